"""METIS's slit in M and N, where the sky outshines the star: light and noise of the prediction."""

import io
import json

import numpy as np
import pytest
from astropy.io import fits

from elvis_cli import pipeline
from elvis_cli.instrument import registry
from elvis_cli.reduction import associate, flat_response, layout, raw, spectra
from elvis_cli.request import parse
from tests.conftest import changed, closure_only, run

KINDS = [None, *["dark"] * 4, *["flat"] * 30, "arc"]
"""ERR has the noise of the flats, 3 % of it in M with four of them: the prediction has none."""
WINDOW = {"x0": 874, "y0": 700, "nx": 300, "ny": 400}


def test_what_columns_of_the_flat_have_in_common_by_chance_is_their_response():
    """A sky on pixels that scatter by a per cent is even, column by column, to less than their medians' scatter."""
    setup = pipeline.configure(parse.read(json.dumps(registry.load("metis").example("lss_m_scao"))))
    strip = layout.of_chip(setup, setup.detector.chips[0].extname, (300, 400, 875, 701)).strips[0]
    own = np.random.default_rng(1).normal(1.0, 0.01, (int(strip.row.max()) + 1, 300)).astype(np.float32)
    lamp = flat_response.lamp(strip, 5e4 * own)
    pixels = flat_response.response(strip, 5e4 * own, lamp, np.ones(strip.wave.shape))
    whole = strip.inside.all(axis=0)
    columns = np.mean(strip.cut(own)[:, whole] / pixels[:, whole], axis=0)
    assert columns.size > 100
    assert np.std(columns) < 1e-4


@closure_only
@pytest.mark.parametrize(("mode", "mag", "half"), [("lss_m_scao", 10, 0.00272), ("lss_n_scao", 6, 0.00339)])
def test_slits_before_the_thermal_sky_have_the_predicted_light_and_noise(mode, mag, half):
    """The prediction has no noise of the sky's subtraction.

    The star stands on a pixel, ``half`` a pixel from the middle: a box that cuts pixels in half has less noise.
    """
    document = changed(registry.load("metis").example(mode), {"target/brightness/mag": mag})
    document["output"] = {"snr": {"snr": True, "noise_components": True}}
    frames = []
    for n, kind in enumerate(KINDS):
        block = {"window": WINDOW, "date": f"2026-01-01T04:{n:02d}:00", "exposure": n + 1, "skip": ["nonlinearity"]}
        block |= {"calibration": kind} if kind else {"offset": [0.0, half]}
        timing = document["timesnr"] | ({"DET.NDIT": 10 * document["timesnr"]["DET.NDIT"]} if kind == "dark" else {})
        frames.append(run("--seed", str(n), stdin=json.dumps(document | {"elvis": block, "timesnr": timing})))
    assert all(one.code == 0 for one in frames), [one.err for one in frames]
    with fits.open(io.BytesIO(frames[0].out)) as hdus:
        pixels, header = int(hdus[0].header["ESO SIM APER DIAM"]), hdus["SNR"].data
        box, optimal = (np.array(header[name]) for name in ("SNR", "SNR_OPT"))
        wave, light = np.array(header["WAVELENGTH"]), np.square(hdus["NOISE_COMPONENTS"].data["TARGET"])
    (files,) = [each for each in associate.associate(raw.open_all([one.out for one in frames])) if each.science]
    (one,) = spectra.reduce(files, spectra.SpectrumOptions(aperture=pixels)).spectra
    order = np.argsort(wave)
    box, optimal, light = (np.interp(one.wave, wave[order], each[order]) for each in (box, optimal, light))
    good = ~one.bad & (light > 0.3 * light.max())
    ratios = [
        np.median(values[good])
        for values in (
            one.box * files.science[0].dit / light,
            one.box / np.sqrt(np.square(one.box_err) - np.square(one.box_sky_err)) / box,
            one.flux / np.sqrt(np.square(one.err) - np.square(one.sky_err)) / optimal,
        )
    ]
    print(mode, ratios)
    assert ratios[0] == pytest.approx(1.0, abs=0.01)
    assert ratios[1:] == pytest.approx([1.0, 1.0], abs=0.03)

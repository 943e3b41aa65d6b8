"""UVES's image slicer: the object fills three slices in each order, whose light is added; the sky is a SKY frame's."""

import json

import numpy as np
import pytest

from elvis_cli import pipeline
from elvis_cli.instrument import registry
from elvis_cli.reduction import associate, raw, spectra
from elvis_cli.reduction.extract import Spectrum
from elvis_cli.reduction.slicer import together
from elvis_cli.request import parse
from tests.conftest import changed, closure_only, run

STAR = {"target/brightness/mag": 8.5, "output": {}}


def document(**block):
    """A bright star in the red arm."""
    window = {"x0": 0, "y0": 1000, "nx": 700, "ny": 160}
    example = changed(registry.load("uves").example("red_imsl_std"), STAR)
    return example | {"elvis": {"chips": [1], "window": window, **block}}


def spectrum(wave, flux, err):
    nought = np.zeros_like(wave)
    return Spectrum(90, 1, wave, np.gradient(wave), flux, err, flux, err, nought, err <= 0, 0)


def test_slices_are_added_at_the_same_wavelength():
    """Two slices half a pixel apart, with a quarter and three quarters of a sloping light."""
    wave = 0.5 + 1e-5 * np.arange(500)
    slices = [
        spectrum(at, part * (1000.0 + 2e5 * (at - 0.5)), np.full(500, 5.0))
        for at, part in ((wave, 0.75), (wave + 0.5e-5, 0.25))
    ]
    one = together(slices)
    expected = 1000.0 + 2e5 * (one.wave - 0.5)
    assert one.flux[2:-2] == pytest.approx(expected[2:-2], rel=2e-3)
    assert one.box[2:-2] == pytest.approx(expected[2:-2], rel=1e-6)
    assert np.median(one.box_err) == pytest.approx(5.0 * np.sqrt(2), rel=0.01)
    assert np.median(one.err) == pytest.approx(5.0 / np.hypot(0.75, 0.25), rel=0.01)


@pytest.mark.parametrize(
    ("name", "mode", "alone"),
    [
        ("uves", "red_imsl_std", True),
        ("uves", "red_slit_std", False),
        ("andes", "ifu", True),
        ("andes", "seeing", False),
    ],
)
def test_what_fills_its_apertures_needs_exposures_of_the_sky(name, mode, alone):
    setup = pipeline.configure(parse.read(json.dumps(registry.load(name).example(mode))))
    assert spectra.needs_sky(setup) is alone


@closure_only
def test_a_slicer_has_the_predicted_light_and_noise():
    kinds = [None, "bias", "bias", "bias", "flat", "flat", "flat", "arc", "sky"]
    blocks = [{"date": f"2026-01-01T04:{n:02d}:00", "exposure": n + 1} for n in range(len(kinds))]
    made = [document(**one, **({"calibration": kind} if kind else {})) for one, kind in zip(blocks, kinds, strict=True)]
    frames = [run("--seed", str(n), stdin=json.dumps(one)) for n, one in enumerate(made)]
    assert all(one.code == 0 for one in frames), [one.err for one in frames]
    (files,) = [each for each in associate.associate(raw.open_all([one.out for one in frames])) if each.science]
    product = spectra.reduce(files, spectra.SpectrumOptions())
    assert product.sky_way == "exposures"
    prediction = pipeline.prepare(parse.read(json.dumps(made[0]))).prediction
    predicted = {one.order: one for one in prediction.orders}
    fluxes, ratios = [], []
    for one in product.spectra:
        own = predicted[one.order]
        everything = np.interp(one.wave, own.wave, own.target * own.enslitted / own.encircled)
        ideal = np.interp(one.wave, own.wave, np.sqrt(own.ideal * prediction.count))
        fluxes.append(np.median(one.box * files.science[0].dit / everything))
        ratios.append(np.median(one.flux / one.err / ideal))
    print("slicer", fluxes, ratios)
    assert len(fluxes) > 3
    assert np.median(fluxes) == pytest.approx(1.0, abs=0.01)
    assert np.array(ratios) == pytest.approx(np.ones(len(ratios)), abs=0.03)

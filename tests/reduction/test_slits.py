"""Orders of X-shooter's slits: light, noise and scatter of the prediction and of ERR."""

import json

import numpy as np
import pytest

from elvis_cli import pipeline
from elvis_cli.instrument import registry
from elvis_cli.reduction import associate, raw, spectra
from elvis_cli.request import parse
from tests.conftest import changed, closure_only, run

ARMS = {
    "uvb": ("bias", 14, (640, 0, 360, 3000)),
    "uvb, faint": ("bias", 17, (640, 0, 360, 3000)),
    "vis": ("bias", 14, (900, 0, 540, 4000)),
    "nir": ("dark", 13, (0, 270, 2048, 420)),
}
"""Frames without light, magnitude in V, and a window with three orders or more from end to end."""
WHOLE = 0.94
"""Of the pixels of the longest order, and of its good ones: the window cuts others across the slit."""
FAINT = 10.0
"""Signal-to-noise ratio of a pixel below which a flux is known to no better than 1 %."""


def documents(arm, mag, dark, window):
    """Yield two exposures of a star and their calibrations; ERR has the noise of the flats, the prediction none."""
    document = changed(registry.load("xshooter").example("slit"), {"target/brightness/mag": mag}) | {"output": {}}
    places = dict(zip(("x0", "y0", "nx", "ny"), window, strict=True))
    for n, kind in enumerate([None, None, *[dark] * 5, *["flat"] * 10, "arc"]):
        block = {"arm": arm, "window": places, "date": f"2026-01-01T04:{n:02d}:00", "exposure": n + 1}
        yield document | {"elvis": block | ({"calibration": kind} if kind else {})}


@closure_only
@pytest.mark.parametrize("case", ARMS)
def test_orders_have_the_predicted_light_and_noise(case):
    """The prediction has no noise of the sky's subtraction, ERR has: two exposures differ by it."""
    dark, mag, window = ARMS[case]
    made = list(documents(case.split(",")[0], mag, dark, window))
    frames = [run("--seed", str(n), stdin=json.dumps(one)) for n, one in enumerate(made)]
    assert all(one.code == 0 for one in frames), [one.err for one in frames]
    frames = [one.out for one in frames]
    ready = pipeline.prepare(parse.read(json.dumps(made[0])))
    predicted = {one.order: one for one in ready.prediction.orders}
    options = spectra.SpectrumOptions(aperture=ready.prediction.aperture_pix)
    products = []
    for star in frames[:2]:
        (files,) = associate.associate(raw.open_all([star, *frames[2:]]))
        products.append(spectra.reduce(files, options))
    dit = products[0].files.science[0].dit
    longest = max(one.wave.size for one in products[0].spectra)
    seen = 0
    for one, two in zip(*(product.spectra for product in products), strict=True):
        own, good = predicted[one.order], ~one.bad & ~two.bad
        if good.sum() < WHOLE * longest:
            continue
        seen += 1
        light, box, ideal = (
            np.interp(one.wave, own.wave, each)[good]
            for each in (own.target, own.single * np.sqrt(ready.prediction.count), np.sqrt(own.ideal))
        )
        noise, box_noise = (
            np.sqrt(np.square(err) - np.square(sky))[good]
            for err, sky in ((one.err, one.sky_err), (one.box_err, one.box_sky_err))
        )
        flux = np.median(one.box[good] * dit / light)
        ratios = np.median(one.box[good] / box_noise / box), np.median(one.flux[good] / noise / ideal)
        pull = (one.flux - two.flux)[good] / np.hypot(one.err, two.err)[good]
        scatter = 1.4826 * np.median(np.abs(pull))
        print(f"X-shooter {case} {one.order}: flux {flux:.4f} S/N {ratios[0]:.4f} {ratios[1]:.4f} pull {scatter:.3f}")
        if np.median(one.flux[good] / one.err[good]) > FAINT:
            assert flux == pytest.approx(1.0, abs=0.01)
        assert ratios == pytest.approx((1.0, 1.0), abs=0.03)
        assert scatter == pytest.approx(1.0, abs=0.1)
    assert seen > 2

"""Bundles of fibres, divided apertures and fields of fibres: flux and signal-to-noise ratio of the prediction."""

import json
import math
import os

import numpy as np
import pytest

from elvis_cli import pipeline
from elvis_cli.instrument import registry
from elvis_cli.model.spectrograph import disc_profile
from elvis_cli.reduction import associate, raw, spectra
from elvis_cli.request import parse
from tests.conftest import changed, run

IR = ["dark", "dark", "dark", "flat", "flat", "flat", "arc"]
MODES = {
    "andes": ("andes", "seeing", {"arm": "j"}, 12, (2000, 1600, 300, 400), IR),
    "andes ifu": ("andes", "ifu", {"arm": "j"}, 10, (2000, 1600, 300, 400), [*IR, "sky"]),
    "mosaic near-infrared": ("mosaic", "mos_nir", {}, 16, (1500, 1960, 160, 120), IR),
    "mosaic visible": ("mosaic", "mos_vis", {}, 17, (3000, 5780, 160, 364), ["bias", "bias", *IR[3:]]),
    "mosaic units": ("mosaic", "mifu", {}, 14, (1500, 1120, 160, 1000), IR),
}


def documents(name, mode, block, mag, window, kinds):
    """Yield a star and its calibrations on a part of the first chip."""
    document = changed(registry.load(name).example(mode), {"target/brightness/mag": mag})
    places = dict(zip(("x0", "y0", "nx", "ny"), window, strict=True))
    for number, kind in enumerate([None, *kinds]):
        own = {"chips": [1], "window": places, "date": f"2026-01-01T04:{number:02d}:00", "exposure": number + 1}
        yield document | {"output": {}, "elvis": block | own | ({"calibration": kind} if kind else {})}


def electrons(ready, own):
    """Return the electrons of one order that all fibres of the target hold.

    The prediction has those of round(image / 2 + blur / 2) pixels and a half to either side of a fibre's middle, in
    MOSAIC's near infrared 98.4 %; of a field those of fibres in a circle.
    """
    graph = ready.setup.spectrograph
    apertures = [one for one in graph.apertures if one.feed == "sky" and np.hypot(one.x, one.y) < 2.0]
    if len(apertures) > 19:
        return own.target / own.encircled * own.enslitted * np.mean([one.transmission for one in apertures])
    height = apertures[0].length / ready.setup.optics.pixel_scale
    x, light = disc_profile(height, graph.blur)
    rows = math.inf if apertures[0].places else round(height / 2 + graph.blur / 2) + 0.5  # many fibres side by side
    return own.target / (light[np.abs(x) <= rows].sum() * (x[1] - x[0]))


@pytest.mark.parametrize("case", MODES)
def test_bundles_have_the_predicted_light_and_noise(case):
    if not os.environ.get("ELVIS_CLOSURE"):
        pytest.skip("make closure: ten seconds of rendering each")
    made = list(documents(*MODES[case]))
    frames = [run("--seed", str(n), stdin=json.dumps(one)) for n, one in enumerate(made)]
    assert all(one.code == 0 for one in frames), [one.err for one in frames]
    (files,) = [each for each in associate.associate(raw.open_all([one.out for one in frames])) if each.science]
    product = spectra.reduce(files, spectra.SpectrumOptions())
    ready = pipeline.prepare(parse.read(json.dumps(made[0])))
    predicted = {one.order: one for one in ready.prediction.orders}
    dit, target = product.files.science[0].dit, max(product.spectra, key=lambda one: one.signal).aperture
    seen = [one for one in product.spectra if one.aperture == target]
    assert seen
    for one in seen:
        own, good = predicted[one.order], ~one.bad
        expected = np.interp(one.wave, own.wave, electrons(ready, own))
        ideal = np.interp(one.wave, own.wave, np.sqrt(own.ideal * ready.prediction.count))
        noise = np.sqrt(np.square(one.err) - np.square(one.sky_err))  # the prediction has none of the sky's
        flux = np.median((one.flux * dit / expected)[good])
        ratio = np.median((one.flux / noise / ideal)[good])
        print(f"{case} order {one.order}: flux {flux:.4f} S/N {ratio:.4f} sky {product.sky_way}")
        assert flux == pytest.approx(1.0, abs=0.01)
        assert ratio == pytest.approx(1.0, abs=0.03)

"""What is rendered has the signal-to-noise ratio that its header predicts."""

import json
from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from elvis_cli import pipeline
from elvis_cli.base.overlap import aperture_sum
from elvis_cli.detector import chain
from elvis_cli.focalplane.geometry import field_to_pixel
from elvis_cli.instrument import registry
from elvis_cli.request import parse

SEEDS = 100
# the ETC's formula knows nothing of these
SKIP = ["cosmic_rays", "hot_pixels", "dead_pixels", "nonlinearity"]


def measure(document, step, half, mag):
    """Return measured S/N of one integration, the prediction, and measured over predicted target electrons."""
    places = np.arange(-half, half + 1) * step
    x, y = (a.ravel() for a in np.meshgrid(places, places))
    document["elvis"]["skip"] = SKIP
    document["elvis"]["catalogue"] = {"x": x.tolist(), "y": y.tolist(), "mag": [mag] * x.size}
    request = parse.read(json.dumps(document))
    ready = pipeline.prepare(request)
    setup, prediction = ready.setup, ready.prediction
    chip = setup.detector.chip(setup.frame.chips[0])
    px, py = field_to_pixel(setup, chip, x, y)
    sums = []

    @cache
    def draw(parts):
        return ready.renderer.illuminate(chip, setup.frame.window, parts)

    for seed in range(SEEDS):
        *_, (_, image) = chain.develop(draw, setup, chip, replace(request.elvis, seed=seed))
        electrons = (image - setup.detector.bias) * chip.gain - prediction.sky - prediction.dark
        places = zip(px - setup.frame.window.x0, py - setup.frame.window.y0, strict=True)
        sums.append([aperture_sum(electrons, a, b, prediction.aperture_pix / 2) for a, b in places])
    noise = np.sqrt(np.var(sums, axis=0, ddof=1).mean())
    return np.mean(sums) / noise, prediction.snr_single, np.mean(sums) / prediction.target


def test_fors_star(fors):
    elvis = {"window": {"x0": 1898, "y0": 98, "nx": 300, "ny": 300}, "chips": [1]}
    measured, predicted, flux = measure(fors({"target/brightness/mag": 23, "elvis": elvis}), 7.0, 2, 23)
    assert measured == pytest.approx(predicted, rel=0.05)
    assert flux == pytest.approx(1.0, abs=0.03)


def test_micado_star(micado):
    elvis = {"window": {"x0": 1948, "y0": 1948, "nx": 200, "ny": 200}, "chips": [5]}
    measured, predicted, flux = measure(micado({"target/brightness/mag": 24, "elvis": elvis}), 0.15, 2, 24)
    assert measured == pytest.approx(predicted, rel=0.05)
    assert flux == pytest.approx(1.0, abs=0.03)


@pytest.mark.parametrize("name", ["fors", "micado"])
def test_photon_transfer(name, request):
    """Pairs of uniform frames: variance against mean has the slope 1/gain; the bias frames' variance is RON^2."""
    document = request.getfixturevalue(name)({"target/morphology": {"morphologytype": "extended"}})
    document["target"]["morphology"]["extendedtype"] = "infinite"
    window = {"x0": 0, "y0": 0, "nx": 1024, "ny": 512}
    document["elvis"] = {"window": window, "chips": [1], "skip": [*SKIP, "flat_field"]}
    time = "DET.DIT" if name == "micado" else "DET.WIN1.UIT1"
    mean, variance = [], []
    for dit, mag in ((0.01, 40), (20, 18), (20, 15.5), (20, 14.7)):
        document["timesnr"][time] = dit
        document["target"]["brightness"]["mag"] = mag + (0 if name == "fors" else -4)
        pair = []
        for seed in (1, 2):
            document["elvis"]["seed"] = seed
            ready = pipeline.prepare(parse.read(json.dumps(document)))
            ((chip, image),) = pipeline.frames(ready)
            pair.append(image.astype(float))
        mean.append(np.mean(pair) - ready.setup.detector.bias)
        variance.append(np.var(pair[0] - pair[1]) / 2)
    ron = chip.gain * np.sqrt(variance[0] - 1 / 12 - mean[0] / chip.gain)
    assert ron == pytest.approx(chip.ron, rel=0.02)
    slope = np.array([(v - variance[0]) / (m - mean[0]) for m, v in zip(mean[1:], variance[1:], strict=True)])
    assert mean[-1] * chip.gain > 1e4
    np.testing.assert_allclose(1 / slope, chip.gain, rtol=0.01)


def neighbours(difference):
    """Return the variance of a pair's ``difference`` with the covariances of the eight nearest neighbours, halved.

    What capacitance between pixels takes from the variance stands in the covariances (Moore, Ninkov & Forrest 2006,
    Opt. Eng. 45, 076402), whose sum is the variance of the charge.
    """
    whole, size = difference - difference.mean(), difference.shape
    inner = whole[1:-1, 1:-1]
    shifted = [whole[1 + j : size[0] - 1 + j, 1 + i : size[1] - 1 + i] for j in (-1, 0, 1) for i in (-1, 0, 1)]
    return sum(float(np.mean(inner * other)) for other in shifted) / 2


def test_photon_transfer_with_capacitance_between_pixels():
    """METIS: 0.02 to each neighbour, 0.002 to each diagonal one, make the naive gain (1 - 0.088)^-2 = 1.2 times it."""
    document = registry.load("metis").example("img_lm_scao")
    document["target"]["brightness"]["mag"] = 30
    window = {"x0": 256, "y0": 256, "nx": 1024, "ny": 512}
    document["elvis"] = {"window": window, "skip": [*SKIP, "flat_field"]}
    document["timesnr"]["DET.NDIT"] = 1
    mean, naive, corrected = [], [], []
    for dit in (0.05, 0.3):
        document["timesnr"]["DET.DIT"] = dit
        pair = []
        for seed in (1, 2):
            document["elvis"]["seed"] = seed
            ready = pipeline.prepare(parse.read(json.dumps(document)))
            ((chip, image),) = pipeline.frames(ready)
            pair.append(image.astype(float))
        mean.append(np.mean(pair))
        naive.append(np.var(pair[0] - pair[1]) / 2)
        corrected.append(neighbours(pair[0] - pair[1]))
    signal = mean[1] - mean[0]
    assert signal / (naive[1] - naive[0]) > 1.15 * chip.gain
    assert signal / (corrected[1] - corrected[0]) == pytest.approx(chip.gain, rel=0.015)

"""What is rendered has the signal-to-noise ratio that its header predicts."""

import io

import numpy as np
import pytest
from astropy.io import fits

from elvis_cli.focalplane.imager import aperture_sum

SEEDS = 50
# the ETC's formula knows nothing of these
SKIP = ["cosmic_rays", "hot_pixels", "dead_pixels"]


def grid(step, half):
    places = np.arange(-half, half + 1) * step
    x, y = np.meshgrid(places, places)
    return x.ravel(), y.ravel()


def measure(document, render, step, half, mag):
    """Return measured S/N, predicted S/N and the ratio of measured to predicted target electrons."""
    x, y = grid(step, half)
    document["elvis"] = {
        **document["elvis"],
        "skip": SKIP,
        "catalogue": {"x": x.tolist(), "y": y.tolist(), "mag": [mag] * x.size},
    }
    sums = []
    for seed in range(SEEDS):
        document["elvis"]["seed"] = seed
        with fits.open(io.BytesIO(render(document))) as hdus:
            primary, chip = hdus[0].header, hdus[1].header
            image = hdus[1].data.astype(float)
        gain = chip["ESO DET CHIP GAIN"] if "ESO DET CHIP GAIN" in chip else chip["ESO DET OUT1 CONAD"]
        scale = abs(chip["CD1_1"]) * 3600
        electrons = (image - chip.get("ESO DET OUT1 BIAS", 0.0)) * gain
        electrons -= primary["ESO SIM SKY ELEC"] + primary["ESO SIM DARK ELEC"]
        radius = primary["ESO SIM APER DIAM"] / 2
        px = chip["CRPIX1"] - 1 + x / scale
        py = chip["CRPIX2"] - 1 + y / scale
        sums.append([aperture_sum(electrons, a, b, radius) for a, b in zip(px, py, strict=True)])
    sums = np.array(sums)
    noise = np.sqrt(sums.var(axis=0, ddof=1).mean())
    return sums.mean() / noise, primary["ESO SIM SNR SINGLE"], sums.mean() / primary["ESO SIM TARG ELEC"]


def test_fors_star(fors, render):
    document = fors({"target/brightness/mag": 23, "elvis": {"window": {"x0": 1900, "y0": 400, "nx": 300, "ny": 300}}})
    document["elvis"]["chips"] = [1]
    measured, predicted, flux = measure(document, render, 5.0, 2, 23)
    assert measured == pytest.approx(predicted, rel=0.05)
    assert flux == pytest.approx(1.0, abs=0.05)


def test_micado_star(micado, render):
    window = {"x0": 1948, "y0": 1948, "nx": 200, "ny": 200}
    document = micado({"target/brightness/mag": 24, "elvis": {"window": window, "chips": [5]}})
    measured, predicted, flux = measure(document, render, 0.15, 2, 24)
    assert measured == pytest.approx(predicted, rel=0.05)
    assert flux == pytest.approx(1.0, abs=0.05)

"""Chopped and nodded exposures: whose sky each takes, and what is left."""

from types import SimpleNamespace

import numpy as np
import pytest

from elvis_cli.detection import apertures
from elvis_cli.reduction import chip_image, sky
from elvis_cli.reduction.combine import Stack
from elvis_cli.reduction.frame import Frame


def exposure(mjd, **cards):
    header = {f"ESO SEQ {key}": value for key, value in cards.items()}
    return SimpleNamespace(mjd=mjd, header=header, get=header.get)


def chopped(mjd, nod, place, cycle):
    return exposure(mjd, **{"NODPOS": nod, "NODCYCLE": 1, "CHOP POS": place, "CHOP CYCLE": cycle})


def test_a_half_takes_the_other_half_of_its_cycle():
    files = [chopped(n, nod, place, cycle) for n, (nod, cycle, place) in enumerate(
        (nod, cycle, place) for nod in "AB" for cycle in (1, 2) for place in "AB")]  # fmt: skip
    assert sky.partners(files) == [1, 0, 3, 2, 5, 4, 7, 6]


def test_without_a_chopper_the_nods_are_pairs():
    files = [exposure(n, NODPOS=place, NODCYCLE=n // 2 + 1) for n, place in enumerate("ABBA")]
    assert sky.partners(files) == [1, 0, 3, 2]
    assert sky.partners([exposure(n, NODPOS="A", NODCYCLE=1) for n in range(3)]) is None
    assert sky.partners([exposure(n) for n in range(3)]) is None


def test_pairs_leave_the_stars_and_the_noise_of_two_exposures():
    random = np.random.default_rng(2)
    pattern = random.normal(1e4, 300.0, (80, 80))
    frames = []
    for column in (20, 60):
        image = pattern + random.normal(0.0, 1.0, pattern.shape)
        image[40, column] += 5000.0
        dq = np.zeros(pattern.shape, np.uint32)
        dq[10, column] = 2
        frames.append(Frame(image.astype(np.float32), np.ones(pattern.shape, np.float32), dq, None))
    sky.from_partners(frames, [1, 0])
    for frame, star, negative in zip(frames, (20, 60), (60, 20), strict=True):
        assert frame.sci[40, star] == pytest.approx(5000.0, abs=10.0)
        assert frame.sci[40, negative] == pytest.approx(-5000.0, abs=10.0)
        assert np.std(frame.sci[:30]) == pytest.approx(2**0.5, rel=0.05)
        assert np.median(frame.var) == 2.0
        assert frame.dq[10, 20] == frame.dq[10, 60] == 2


@pytest.mark.parametrize("crowded", [False, True])
def test_negative_images_of_partners_are_no_noise(crowded):
    """Noise of 1: stars and their negative images, over all of the image if it is ``crowded``."""
    y, x = np.indices((256, 256))
    sci = np.random.default_rng(4).normal(0.0, 1.0, x.shape)
    for n, place in enumerate(range(16, 256, 16) if crowded else (60, 200)):
        for sign, at in ((1.0, 60 + 80 * (n % 2)), (-1.0, 100 + 80 * (n % 2))):
            sci += sign * 3000.0 * np.exp(-((x - place) ** 2 + (y - at) ** 2) / (2 * 4.0**2))
    stack = Stack(sci.astype("f4"), np.ones(x.shape, "f4"), np.zeros(x.shape, "u4"), np.ones(x.shape, "f4"))
    correlation = apertures.Correlation(np.array([1.0, 16.0]), np.array([1.0, 1.0]))
    treatment = chip_image.Treatment("pairs", 0, True, 1e9)
    made = chip_image.measure("CHIP", stack, None, None, correlation, treatment)
    assert made.pixel_noise == pytest.approx(1.0, rel=0.15)

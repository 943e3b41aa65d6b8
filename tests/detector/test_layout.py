from dataclasses import replace

import numpy as np
import pytest

from elvis_cli.detector import layout
from elvis_cli.model.detector import Quadrant
from elvis_cli.model.elvis_block import Window


@pytest.fixture
def ccd_detector(ccd, detector):
    return detector(**ccd())


def test_quadrants_are_read_from_the_corners(ccd_detector):
    image = np.arange(80 * 64).reshape(80, 64)
    first = {a.quadrant.name: a.read_order(image)[0, 0] for a in
             layout.areas(image.shape, ccd_detector, Window(0, 0, 64, 80))}  # fmt: skip
    assert first == {"E": image[0, 0], "F": image[0, -1], "G": image[-1, -1], "H": image[-1, 0]}


@pytest.mark.parametrize("order", [(True, False), (False, True)])
def test_scans_surround_the_light(ccd_detector, order):
    light = np.arange(80.0 * 64, dtype=np.float32).reshape(80, 64) + 1
    window, image = Window(0, 0, 64, 80), light
    for serial in order:
        image = layout.add_scans(image, ccd_detector, window, serial=serial)
    assert image.shape == (80 + 2 * 6, 64 + 4 * 0 + 2 * (5 + 7)) == layout.with_scans(ccd_detector, window)
    assert (image == 0).sum() == image.size - light.size
    for area, before in zip(layout.areas(image.shape, ccd_detector, window),
                            layout.areas(light.shape, ccd_detector, window), strict=True):  # fmt: skip
        np.testing.assert_array_equal(area.light(image), before.read_order(light))
        read = area.read_order(image)
        assert read.shape == (46, 44)
        assert not read[:, :5].any()
        assert not read[:, 37:].any()
        assert not read[40:].any()


def test_window_knows_how_far_its_amplifiers_are(ccd_detector):
    found = layout.areas((20, 30), ccd_detector, Window(10, 30, 30, 20))
    assert [(a.quadrant.name, a.first_x, a.first_y, a.nx, a.ny) for a in found] == [
        ("E", 10, 30, 22, 10),
        ("F", 64 - 40, 30, 8, 10),
        ("G", 64 - 40, 80 - 50, 8, 10),
        ("H", 10, 80 - 50, 22, 10),
    ]
    one = layout.areas((5, 5), ccd_detector, Window(0, 0, 5, 5))
    assert [a.quadrant.name for a in one] == ["E"]


def test_without_quadrants_the_chip_is_one(ccd_detector):
    plain = replace(ccd_detector, quadrants=())
    assert layout.quadrants(plain) == (Quadrant("", 0, 0, 64, 80, "bottom-left"),)
    image = np.ones((80, 64), np.float32)
    assert layout.add_scans(image, plain, Window(0, 0, 64, 80), serial=True) is image

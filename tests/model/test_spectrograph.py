"""Apertures and the lines that they make: places in a turned slit, the width of a blurred one."""

from __future__ import annotations

import math

import numpy as np
import pytest

from elvis_cli.model.spectrograph import Aperture, Spectrograph


def line_width(width, blur):
    """Return the width of the line of a slit, both in pixels."""
    return Spectrograph((), (), dispersion_scale=1.0, blur=blur).line_width(Aperture(0.0, 0.0, 10.0, width))


def test_a_turned_aperture_counts_along_itself():
    turned = Aperture(1.0, 2.0, 10.0, 0.4, angle=90.0)  # s points to +x
    across, along = turned.within(1.5, 2.25)
    assert (across, along) == (pytest.approx(-0.25), pytest.approx(0.5))
    assert Aperture(1.0, 2.0, 10.0, 0.4).within(1.5, 2.25) == (0.5, 0.25)


@pytest.mark.parametrize(
    ("width", "blur", "expected"),
    [(4.0, 0.0, 4.0), (0.0, 2.0, 2.0), (4.0, 0.5, 4.0), (0.1, 2.0, 2.0), (0.0, 0.0, 0.0)],
)
def test_a_wide_slit_keeps_its_width_and_a_narrow_one_has_the_blur_s(width, blur, expected):
    assert line_width(width, blur) == pytest.approx(expected, rel=2e-3)


def test_the_width_of_a_line_is_that_of_its_profile():
    x = np.linspace(-6, 6, 6001)
    line = np.convolve(abs(x) <= 1.0, np.exp(-4 * math.log(2) * (x / 2.0) ** 2), "same")
    assert np.ptp(x[line >= line.max() / 2]) == pytest.approx(line_width(2.0, 2.0), abs=4e-3)

"""A grating that turns: it sends order times wavelength to a place; the blaze of its orders."""

from dataclasses import replace

import numpy as np
import pytest

from elvis_cli.base.curve import Curve
from elvis_cli.instrument import grating
from elvis_cli.instrument.grating import Setting
from elvis_cli.model.spectrograph import Trace
from tests.each import each

FIRST = 109.536


def trace(order, l0, slope):
    """Return light in ``order`` around ``l0`` um, ``slope`` mm off per arcsec."""
    x, y = np.array([[0.1], [38.0]]), np.array([[-30.0, slope], [0.2, 0.0]])
    one = Curve(np.array([1.0, 9.0]), np.ones(2))
    return Trace(order, 0, (l0 - 0.03, l0 + 0.03), l0, 0.03, 0.0, 0.44, x, y, one)


SETTINGS = (Setting(3.8, 29, (trace(29, 3.8, -0.9), trace(30, 3.67, -0.8))),
            Setting(4.7, 23, (trace(23, 4.7, -0.7), trace(24, 4.50, -0.6))))  # fmt: skip


@each(("centre", "order"), [(3.8, 29), (4.7, 23), (5.216, 21), (2.9, 38), (500.0, 1)])
def test_the_order_is_the_one_with_the_nearest_blaze(centre, order):
    assert grating.order(FIRST, centre) == order


@pytest.mark.parametrize("setting", SETTINGS)
def test_at_a_known_setting_nothing_changes(setting):
    for found, known in zip(grating.rotate(SETTINGS, setting.order, setting.at), setting.traces, strict=True):
        assert (found.order, found.l0, found.lw) == pytest.approx((known.order, known.l0, known.lw))
        assert found.wave == pytest.approx(known.wave)
        np.testing.assert_allclose(found.y, known.y)


def test_half_way_in_order_times_wavelength_the_light_falls_half_way():
    order, phase = 26, (29 * 3.8 + 23 * 4.7) / 2
    first, second = grating.rotate(SETTINGS, order, phase / order)
    assert (first.order, second.order) == (26, 27)
    assert first.l0 == pytest.approx(phase / order)
    assert second.l0 * 27 == pytest.approx((3.67 * 30 + 4.50 * 24) / 2)
    assert first.y[0, 1] == pytest.approx(-0.8)
    assert first.wave[1] - first.wave[0] == pytest.approx((0.06 * 29 + 0.06 * 23) / 2 / 26)


def test_beyond_the_settings_the_same_line_goes_on():
    order = 29
    centre = (2 * 29 * 3.8 - 23 * 4.7) / order
    assert grating.rotate(SETTINGS, order, centre)[0].y[0, 1] == pytest.approx(2 * -0.9 - -0.7)


@pytest.mark.parametrize("settings", [SETTINGS[:1], (SETTINGS[0], Setting(4.7, 23, SETTINGS[1].traces[:1]))])
def test_two_settings_alike_are_needed(settings):
    with pytest.raises(ValueError, match="two settings"):
        grating.rotate(settings, 29, 3.8)


def test_the_blaze_peaks_in_its_order_ends_in_the_next_and_is_shared_in_between():
    def at(order, wave):
        return grating.apply_blaze(trace(order, FIRST / order, 0.0), FIRST, 0.75).efficiency.at(np.array([wave]))[0]

    assert at(29, FIRST / 29) == pytest.approx(0.75)
    wide = replace(trace(29, 3.8, 0.0), wave=(FIRST / 30, FIRST / 28))
    blaze = grating.apply_blaze(wide, FIRST, 0.75).efficiency
    assert blaze.value[[0, -1]] == pytest.approx(0.0, abs=1e-12)
    half = np.array([FIRST / 29.5, FIRST / 28.5])
    np.testing.assert_allclose(blaze.at(half), 0.75 * np.sinc(0.5) ** 2, rtol=3e-3)

"""Standard stars by name and band, linearity up to saturation, flats of one integration time."""

import json

import numpy as np
import pytest

from elvis_cli.reduction import chip_calibration, zeropoint
from elvis_cli.reduction.frame import DEAD
from elvis_cli.reduction.layout import ChipLayout
from elvis_cli.reduction.master import Masters, Readout, _before_saturation
from elvis_cli.scene import standards
from tests.conftest import changed, run

HAWKI = json.loads(run("example", "hawki").out)


def test_the_shipped_standards_are_real_stars():
    stars = standards.read()
    assert {star.band for star in stars} == set("VRIJHKLMN")
    assert all(star.source and 0 <= star.ra < 360 and -90 <= star.dec <= 90 for star in stars)
    assert all(star.error < 0.05 for star in stars)


def test_a_standard_is_chosen_by_the_band_of_the_filter():
    stars = standards.read()
    assert zeropoint.select(["", "s 217-d"], stars, "Ks").mag == 10.936
    assert zeropoint.select(["S217-D"], stars, "J").mag == 11.323
    assert zeropoint.select(["S217-D"], stars, "v_HIGH+114") is None
    assert zeropoint.select(["nobody"], stars, "Ks") is None


def test_a_made_up_star_tells_its_magnitude_by_its_name():
    assert zeropoint.select(["STD A0V K=17.5"], standards.read(), "J").mag == 17.5
    assert zeropoint.select(["STD G2V K=17.5"], standards.read(), "J") is None


def test_a_frame_of_a_real_standard_has_its_name_and_brightness():
    request = changed(HAWKI, {"elvis/calibration": "std", "elvis/standard": {"name": "S217-D", "band": "K"}})
    request["elvis"] |= {"chips": [1], "window": {"x0": 1750, "y0": 1750, "nx": 100, "ny": 100}}
    result = run(stdin=json.dumps(request))
    assert result.code == 0, result.err
    assert b"OBJECT  = 'S217-D" in result.out
    wrong = run(stdin=json.dumps(changed(request, {"elvis/standard": {"name": "S217-E"}})))
    assert wrong.code == 65
    assert "S217-D" in wrong.err


def test_a_ramp_ends_where_its_pixels_clip():
    t = np.array([3.0, 5, 8, 10, 13, 16, 18])
    x = np.minimum(2769 * t, 48290)
    spread = np.array([0.011, 0.0107, 0.0105, 0.0104, 0.0102, 0.0101, 0.0001])
    times, levels = _before_saturation(t, x, spread)
    assert times[-1] == 16
    assert levels[-1] == pytest.approx(2769 * 16)


def test_a_ramp_that_is_saturated_from_the_start_tells_nothing():
    t = np.array([10.0, 30, 50, 80, 100])
    times, _ = _before_saturation(t, np.full(5, 64320.0), np.full(5, 4e-5))
    assert times.size == 0


def test_dead_pixels_of_spectra_are_flagged():
    """By their response; what is within the flat's noise is not, in frames that are turned."""
    response, noise = np.ones((40, 30), np.float32), np.full((40, 30), 0.01, np.float32)
    response[5, 7], response[6, 7], response[7, 7] = 0.05, 0.7, 0.7
    noise[7, 7] = 0.1
    masters = Masters(Readout(1.0, 1.0, 0.0))
    chip_calibration.flag_dead(masters, ChipLayout([], transposed=True), response, noise)
    assert masters.dq.shape == (30, 40)
    assert np.argwhere(masters.dq == DEAD).tolist() == [[7, 5], [7, 6]]

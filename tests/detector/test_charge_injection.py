import numpy as np
import pytest

TABLE = {"level": 1.5e5, "first": 16, "on": 4, "off": 6}


def injected(expose, rate, table, **changes):
    change = {"dit": 1, "elvis_block": {"stages": ("charge_injection",)}} | changes
    return expose(rate, **change | {"stages": {"charge_injection": table}}).astype(float)


def test_rows_hold_the_level_and_others_are_untouched(expose, ccd):
    rate = np.random.default_rng(1).uniform(0, 9, (80, 64)).astype(np.float32)
    frame = injected(expose, rate, TABLE, **ccd())
    lines = [y for y in range(40) if y >= 16 and (y - 16) % 10 < 4]
    lines += [79 - y for y in lines]
    np.testing.assert_array_equal(frame[lines], 1.5e5)
    rest = np.setdiff1d(np.arange(80), lines)
    np.testing.assert_array_equal(frame[rest], rate[rest])


def test_scatter_is_of_columns_and_slope_of_rows(expose):
    frame = injected(expose, np.zeros((40, 2000)), TABLE | {"scatter": 100, "slope": -50})
    assert frame[16].std() == pytest.approx(100, rel=4.5 / 4000**0.5)
    np.testing.assert_allclose(frame[17] - frame[16], -50, atol=0.02)
    np.testing.assert_allclose(frame[26], frame[16], atol=0.02)


def test_window_cuts_the_lines_of_the_chip(expose, ccd):
    table = TABLE | {"scatter": 100}
    full = injected(expose, np.zeros((80, 64)), table, **ccd())
    cut = injected(expose, np.zeros((50, 30)), table, x0=20, y0=11, **ccd())
    np.testing.assert_array_equal(cut, full[11:61, 20:50])

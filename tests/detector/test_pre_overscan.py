import numpy as np


def test_scans_hold_bias_and_read_noise_only(expose, ccd):
    rate = np.full((80, 64), 100.0)
    frame = expose(rate, **ccd(), ron=3, gain=1, elvis_block={"skip": ("cti",)}).astype(float)
    assert frame.shape == (92, 88)
    scans = np.concatenate([frame[:40, :5].ravel(), frame[:40, 37:44].ravel(), frame[40:46, 5:37].ravel()])
    assert abs(scans.mean() - 1000) < 4.5 * 3 / scans.size**0.5
    assert abs(scans.std() / (9 + 1 / 12) ** 0.5 - 1) < 4.5 / (2 * scans.size) ** 0.5
    assert frame[:40, 5:37].mean() > 1900


def test_each_scan_is_a_stage_of_its_own(expose, ccd):
    rate = np.full((80, 64), 1.0)
    assert expose(rate, **ccd(), elvis_block={"stages": ("pre_overscan",)}).shape == (80, 88)
    assert expose(rate, **ccd(), elvis_block={"stages": ("parallel_overscan",)}).shape == (92, 64)
    assert expose(rate, **ccd(), elvis_block={"stages": ()}).shape == (80, 64)


def test_window_has_the_scans_of_its_quadrants(expose, ccd):
    cut = expose(np.full((10, 12), 1.0), **ccd(), dit=1, elvis_block={"stages": ("pre_overscan", "parallel_overscan")})
    assert cut.shape == (16, 24)
    np.testing.assert_array_equal(cut[:10, 5:17], 1)
    assert cut.sum() == 120

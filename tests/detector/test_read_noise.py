import numpy as np
import pytest

ONLY = {"stages": ("read_noise",)}


@pytest.mark.parametrize(("count", "expected"), [(1, 12), (100, 1.2), (10_000, 0.12)])
def test_noise_of_the_mean(expose, count, expected):
    frame = expose(np.zeros((512, 512)), count=count, ron=12, elvis_block=ONLY)
    assert frame.std(dtype=float) == pytest.approx(expected, rel=0.006)
    assert abs(frame.mean(dtype=float)) < 4.5 * expected / 512


def test_noise_is_white(expose):
    frame = expose(np.zeros((512, 512)), elvis_block=ONLY)
    for a, b in ((frame[1:], frame[:-1]), (frame[:, 1:], frame[:, :-1]), (frame[64:], frame[:-64])):
        assert abs(np.corrcoef(a.ravel(), b.ravel())[0, 1]) < 0.009


def test_ccd_frame_is_one_exposure(expose):
    frame = expose(np.zeros((256, 256)), kind="ccd", count=100, ron=12, elvis_block=ONLY)
    assert frame.std(dtype=float) == pytest.approx(12, rel=0.012)

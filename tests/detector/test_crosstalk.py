import numpy as np
import pytest

from elvis_cli.errors import ResourceError

# rows: disturbed; columns: disturbing, in the order E F G H
MATRIX = [0, 1e-4, 2e-4, 0, 0, 0, 0, 0, 0, 0, 0, 5e-5, 0, 0, 0, 0]


def coupled(expose, ccd, rate, **changes):
    change = (
        ccd(stages={"crosstalk": {"matrix": MATRIX}}) | {"dit": 1, "elvis_block": {"stages": ("crosstalk",)}} | changes
    )
    return expose(rate, **change).astype(float)


def test_a_star_makes_mirror_images_at_the_coefficients(expose, ccd):
    rate = np.zeros((80, 64))
    rate[10, 60], rate[70, 50], rate[45, 3] = 1e6, 5e5, 2e5  # in F, G and H
    frame = coupled(expose, ccd, rate)
    assert frame[10, 63 - 60] == pytest.approx(1e6 * 1e-4)
    assert frame[79 - 70, 63 - 50] == pytest.approx(5e5 * 2e-4)
    assert frame[45, 63 - 3] == pytest.approx(2e5 * 5e-5)
    assert np.count_nonzero(frame) == 6
    np.testing.assert_array_equal(frame[rate > 0], rate[rate > 0])


def test_window_couples_what_is_read_at_the_same_time(expose, ccd):
    rate = np.zeros((80, 64))
    rate[10, 40] = 1e6
    full = coupled(expose, ccd, rate)
    np.testing.assert_array_equal(coupled(expose, ccd, rate[5:30, 15:50], x0=15, y0=5), full[5:30, 15:50])


@pytest.mark.parametrize(("matrix", "words"), [([0, 1e-4, 1e-4], "square"), ([1e-4, 0, 0, 0], "diagonal")])
def test_wrong_matrices(expose, ccd, matrix, words):
    with pytest.raises(ResourceError, match=words):
        expose(np.zeros((4, 4)), **ccd(stages={"crosstalk": {"matrix": matrix}}))

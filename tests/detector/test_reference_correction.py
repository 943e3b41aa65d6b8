import numpy as np
import pytest

TABLES = {
    "correlated_noise": {
        "columns": 64, "c_pink": 6, "u_pink": 6, "acn": 0, "pedestal": 10, "row_overhead": 12, "frame_overhead": 1,
    },
    "reference_pixels": {"border": 4, "noise": 0.8},
    "reference_correction": {"columns": 64, "border": 4},
}  # fmt: skip
NAMES = ("read_noise", "correlated_noise")


def frame(expose, *more, shape=(2048, 2048), seed=0, **place):
    elvis_block = {"stages": (*NAMES, *more), "seed": seed}
    return expose(np.zeros(shape), dark=0, ron=4, stages=TABLES, elvis_block=elvis_block, **place)


def test_correction_lowers_the_correlated_noise(expose):
    raw, corrected = (
        [frame(expose, *more, seed=n).astype(float)[4:-4, 4:-4] for n in range(3)]
        for more in ((), ("reference_correction",))
    )
    assert np.mean(np.square(corrected)) < 0.6 * np.mean(np.square(raw))
    levels = np.array(corrected).mean(axis=(1, 2))
    assert abs(levels).max() < 0.3 * abs(np.array(raw).mean(axis=(1, 2))).max()


def test_each_output_has_the_median_of_its_own_reference_pixels_taken_off(expose):
    stages = {"reference_correction": {"columns": 64, "border": 4}}
    rate = np.repeat(np.arange(32.0), 64) * np.ones((2048, 1))
    rate[1000, 1000] = 1e4
    rate[0, 7] = 1e6  # one bad reference pixel does not matter
    corrected = expose(rate, dit=1, dark=0, stages=stages, elvis_block={"stages": ("reference_correction",)})
    assert np.count_nonzero(corrected) == 2


def test_windows_use_the_reference_pixels_that_they_have(expose):
    full = frame(expose, "reference_correction")
    corner = frame(expose, "reference_correction", shape=(100, 64))
    raw = frame(expose, shape=(100, 64))
    np.testing.assert_allclose(raw - corner, np.median(raw[:4]), atol=1e-4)
    assert full.shape == (2048, 2048)
    inside = {"shape": (64, 64), "x0": 700, "y0": 700}
    np.testing.assert_array_equal(frame(expose, "reference_correction", **inside), frame(expose, **inside))


def test_reference_pixels_have_their_own_noise(expose):
    image = expose(np.zeros((2048, 2048)), dark=0, ron=10, stages=TABLES, elvis_block={"stages": ("read_noise",)})
    border = np.ones(image.shape, bool)
    border[4:-4, 4:-4] = False
    assert image[border].std(dtype=float) == pytest.approx(8, rel=0.02)
    assert image[~border].std(dtype=float) == pytest.approx(10, rel=0.01)

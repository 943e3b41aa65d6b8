import numpy as np
import pytest

ONLY = {"stages": ("adc",)}


def test_ccd_gives_whole_numbers_within_range(expose):
    frame = expose([[-50, -0.4, 0.6, 2.4, 65000.2, 65535.4, 1e6]], kind="ccd", dit=1, elvis_block=ONLY)
    assert frame.dtype == np.uint16
    np.testing.assert_array_equal(frame, [[0, 0, 1, 2, 65000, 65535, 65535]])


def test_converter_with_fewer_bits(expose):
    assert expose([[1e6]], kind="ccd", adc_max=16383, elvis_block=ONLY) == 16383
    assert expose([[1e6]], kind="ccd", adc_max=1e6, elvis_block=ONLY) == 65535  # never wraps round


def test_infrared_difference_of_reads_may_be_negative(expose):
    frame = expose([[-50.4, 0.6, 1e6]], dit=1, elvis_block=ONLY)
    assert frame.dtype == np.float32
    np.testing.assert_array_equal(frame, [[-50, 1, 65535]])


@pytest.mark.parametrize("count", [4, 50])
def test_mean_of_whole_numbers(expose, count):
    frame = expose([[3.3, 1000.77]], dit=1, count=count, elvis_block=ONLY)
    np.testing.assert_allclose(frame, np.rint(np.array([[3.3, 1000.77]]) * count) / count, rtol=1e-6)


def test_mean_of_several_conversions(expose):
    fine = {"adc": {"samples": 16}}
    frame = expose([[3.3, 1000.77]], dit=1, stages=fine, elvis_block=ONLY)
    np.testing.assert_allclose(frame, np.rint(np.array([[3.3, 1000.77]]) * 16) / 16, rtol=1e-6)


def test_rounding_adds_no_bias(expose):
    rate = np.linspace(10, 11, 100_001)[None]
    assert expose(rate, dit=1, elvis_block=ONLY).mean(dtype=float) == pytest.approx(10.5, abs=1e-4)

import numpy as np
import pytest

from elvis_cli.kernels.response import multiply_response

KEY = np.uint64(0xFEDCBA9876543210)
MASK = 2**64 - 1


def response(shape, rms=0.01, x0=0, y0=0, binning=1, key=KEY):
    image = np.ones(shape, np.float32)
    multiply_response(image, key, rms, x0, y0, binning)
    return image


def deviate(x, y):
    """The definition, in Python's integers."""
    z = (int(KEY) + ((y << 32) | x) * 0x9E3779B97F4A7C15) & MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
    z ^= z >> 31
    words = [(z >> s) & 0xFFFF for s in (0, 16, 32, 48)]
    return (sum(words) - 2 * 65535) / ((65536**2 - 1) / 3) ** 0.5


def test_equals_its_definition():
    reference = [[1 + 0.01 * deviate(x, y) for x in range(5, 9)] for y in range(70, 73)]
    np.testing.assert_allclose(response((3, 4), x0=5, y0=70), reference, rtol=2e-7)


def test_moments_are_those_of_a_normal_deviate():
    z = (response((1000, 1000), rms=0.1).astype(float) - 1) / 0.1
    assert abs(z.mean()) < 4e-3
    assert z.std() == pytest.approx(1, abs=3e-3)
    assert (z**4).mean() == pytest.approx(2.7, abs=0.02)  # Irwin-Hall, n = 4
    assert np.abs(z).max() < 3.47


def test_neighbours_and_chips_are_uncorrelated():
    z = response((1000, 1000)).astype(float) - 1
    other = response((1000, 1000), key=KEY + np.uint64(1)).astype(float) - 1
    for a, b in ((z[1:], z[:-1]), (z[:, 1:], z[:, :-1]), (z, other)):
        assert abs(np.corrcoef(a.ravel(), b.ravel())[0, 1]) < 5e-3


def test_window_is_the_cut_of_the_whole():
    np.testing.assert_array_equal(response((30, 20), x0=11, y0=17), response((100, 100))[17:47, 11:31])


def test_binned_pixel_is_the_mean_of_its_physical_pixels():
    fine = response((40, 60), rms=0.1, x0=8, y0=4).astype(float)
    binned = response((20, 30), rms=0.1, x0=4, y0=2, binning=2)
    np.testing.assert_allclose(binned, fine.reshape(20, 2, 30, 2).mean(axis=(1, 3)), rtol=3e-7)

"""Convolution by FFT against the sum of shifted responses."""

import numpy as np
import pytest
from scipy.ndimage import map_coordinates

from elvis_cli.base import parallel
from elvis_cli.focalplane import convolution

MARGIN = 5


def response(rng: np.random.Generator) -> np.ndarray:
    return rng.random((2 * MARGIN + 1, 2 * MARGIN + 1), dtype=np.float32)


def direct(sources: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    ny, nx = sources.shape
    size = 2 * MARGIN + 1
    shifted = (
        kernel[j, i] * sources[size - 1 - j : ny - j, size - 1 - i : nx - i] for j in range(size) for i in range(size)
    )
    return np.asarray(sum(shifted))


@pytest.mark.parametrize("shape", [(90, 64), (75, 81), (150, 135)])
@pytest.mark.parametrize("room", [True, False])
def test_terms_add_up_to_the_sum_of_shifted_responses(shape: tuple[int, int], room: bool) -> None:
    rng = np.random.default_rng(1)
    terms, expected = [], 0.0
    for _ in range(2):
        sources = convolution.blank(shape) if room else np.zeros(shape, np.float32)
        sources[:] = rng.random(shape)
        kernel = response(rng)
        expected = expected + direct(sources.copy(), kernel)
        terms.append((sources, 0, kernel))
    result = convolution.convolve(terms)
    assert result.dtype == np.float32
    np.testing.assert_allclose(result, expected, rtol=2e-5)
    assert np.shares_memory(result, terms[0][0]) == room


def test_only_signed_sources_give_what_is_negative() -> None:
    sources, kernel = np.zeros((64, 64), np.float32), response(np.random.default_rng(2))
    sources[30, 30] = -1.0
    assert convolution.convolve([(sources, 0, kernel)]).min() == 0.0
    assert convolution.convolve([(sources, 0, kernel)], signed=True).min() == pytest.approx(-kernel.max(), rel=1e-4)


def test_threads_do_not_change_a_bit() -> None:
    rng = np.random.default_rng(3)
    sources, kernel = rng.random((200, 180), dtype=np.float32), response(rng)
    results = []
    for threads in (1, 3):
        parallel.set_threads(threads)
        try:
            results.append(convolution.convolve([(sources, 2, kernel)]))
        finally:
            parallel.set_threads(0)
    np.testing.assert_array_equal(*results)


@pytest.mark.parametrize("corner", [(0.0, 0.0), (-3.5, -7.25)])
def test_values_between_nodes_are_bilinear(corner: tuple[float, float]) -> None:
    rng = np.random.default_rng(4)
    nodes, image = rng.random((21, 30), dtype=np.float32), np.ones((70, 100), np.float32)
    convolution.add_interpolated(image, nodes, *corner, step=4)
    x, y = np.meshgrid((np.arange(100) - corner[0]) / 4, (np.arange(70) - corner[1]) / 4)
    expected = 1.0 + map_coordinates(nodes.astype(float), [y, x], order=1)
    np.testing.assert_allclose(image, expected, rtol=1e-6)

"""Kernels of the reduction against the same in numpy and scipy, which are slower."""

import numpy as np
import pytest
from scipy.spatial import cKDTree

from elvis_cli.kernels import exposures, sources
from elvis_cli.kernels.apertures import annulus_means


@pytest.fixture
def random():
    return np.random.default_rng(7)


def test_a_median_is_that_of_finite_values_and_of_two_the_lower(random):
    images = random.normal(size=(5, 40, 40)).astype(np.float32)
    images[random.random(images.shape) < 0.5] = np.nan
    count, ordered = np.isfinite(images).sum(axis=0), np.sort(images, axis=0)
    assert set(np.unique(count)) == {0, 1, 2, 3, 4, 5}
    out = np.empty((40, 40), np.float32)
    exposures.finite_median(images, out)
    assert not out[count < 2].any()
    assert np.array_equal(out[count == 2], ordered[0][count == 2])
    more = count > 2
    assert np.array_equal(out[more], np.nanmedian(images[:, more], axis=0))


def test_the_sky_of_an_annulus_has_no_stars_in_it(random):
    image, good = random.normal(size=(90, 80)).astype(np.float32), random.random((90, 80)) > 0.05
    image[random.random(image.shape) < 0.05] += 30.0
    x, y = random.uniform(-3, 85, (2, 40))
    rows, columns = np.indices(image.shape)
    for at, (mean, variance) in enumerate(annulus_means(image, good, x, y, 6.0, 11.0, 3.0, 5)):
        distance = np.hypot(columns - x[at], rows - y[at])
        kept = image[(distance >= 6.0) & (distance < 11.0) & good].astype(float)
        for _ in range(5):
            middle = np.median(kept)
            kept = kept[np.abs(kept - middle) < 3.0 * 1.4826 * np.median(np.abs(kept - middle))]
        assert mean == pytest.approx(kept.mean(), abs=1e-6)
        assert variance == pytest.approx(kept.var() / kept.size, abs=1e-6)
    assert not annulus_means(image, good, x, y, 0.5, 1.1, 3.0, 5).any()  # fewer than eight pixels


def test_neighbours_are_those_of_a_tree(random):
    places = random.integers(0, 120, (300, 2)).astype(float)
    near = cKDTree(places).query_pairs(9.0)
    pairs = set(zip(*(each.tolist() for each in sources.neighbours(*places.T.copy(), 9.0)), strict=True))
    assert pairs == near | {(j, i) for i, j in near}
    assert [each.size for each in sources.neighbours(np.array([1.0, 50.0]), np.array([1.0, 50.0]), 9.0)] == [0, 0]

from itertools import pairwise

import numpy as np
import pytest

from elvis_cli.detector.rtn import telegraph
from elvis_cli.errors import ResourceError
from elvis_cli.model.sampling import Sampling

ONLY = {"stages": ("rtn",)}
TABLE = {"fraction": 0.05, "low": 10, "high": 50, "fast": 1, "slow": 100}


def test_times_in_the_levels_are_exponential_with_their_means():
    up, down, step = 7.0, 3.0, 0.05
    states = telegraph(np.full(200, up), np.full(200, down), np.arange(8000) * step, np.random.default_rng(1))
    assert states.mean() == pytest.approx(up / (up + down), abs=0.01)
    for level, mean in ((True, up), (False, down)):
        dwells = []
        for pixel in states.T:
            jumps = np.flatnonzero(np.diff(pixel)) + 1
            dwells += [(b - a) * step for a, b in pairwise(jumps) if pixel[a] == level]
        assert np.mean(dwells) == pytest.approx(mean, rel=0.04)
        assert np.std(dwells) == pytest.approx(mean, rel=0.05)  # of an exponential distribution
        assert np.mean(np.array(dwells) > mean) == pytest.approx(np.exp(-1), abs=0.02)


def frame(expose, *, shape=(1024, 1024), sampling=1, dit=1.0, elvis_block=ONLY, **more):
    table = TABLE | more.pop("table", {})
    return expose(
        np.zeros(shape), dit=dit, sampling=Sampling(sampling), stages={"rtn": table}, elvis_block=elvis_block, **more
    )


def test_pixels_and_steps_are_fixed_on_the_chip(expose):
    first, second = (frame(expose, elvis_block=ONLY | {"exposure": n}) for n in (1, 2))
    both = (first > 0) & (second > 0)
    np.testing.assert_array_equal(first[both], second[both])
    assert np.mean(first > 0) == pytest.approx(0.025, rel=0.05)  # half are up, as levels are alike on average
    assert 0.3 < np.mean(both) / np.mean(first > 0) < 0.9  # 2/3 or so
    assert (first[first > 0].min(), first.max()) == (pytest.approx(10, rel=0.01), pytest.approx(50, rel=0.01))
    logs = np.log(first[first > 0] / 10) / np.log(5)
    assert np.histogram(logs, 5, (0, 1))[0].min() > 0.18 * logs.size


def test_window_has_the_pixels_of_the_chip(expose):
    slow = {"table": {"fast": 1e8, "slow": 1e8}, "sampling": 1}
    full = sum(frame(expose, elvis_block=ONLY | {"exposure": n}, **slow) > 0 for n in range(12)) > 0
    part = frame(expose, shape=(200, 200), x0=300, y0=500, **slow) > 0
    assert part.sum() > 500
    assert np.count_nonzero(part & ~full[500:700, 300:500]) < 0.005 * part.sum()


def test_difference_of_two_reads_shows_what_jumped(expose):
    """Over a time t a pixel of equal dwell times T changes with the chance (1 - exp(-2 t / T)) / 2."""
    table = {"low": 20, "high": 20, "fast": 10, "slow": 10}
    image = frame(expose, sampling=2, dit=5.0, table=table)
    assert set(np.unique(image)) == {-20, 0, 20}
    changed = (1 - np.exp(-1)) / 2 * 0.05
    assert np.mean(image != 0) == pytest.approx(changed, rel=0.05)
    assert abs(image.sum(dtype=float)) < 4 * 20 * (changed * image.size) ** 0.5


@pytest.mark.parametrize("count", [4, 100])
def test_mean_of_many_integrations(expose, count):
    table = {"fraction": 0.2, "low": 20, "high": 20, "fast": 10, "slow": 10}
    one, mean = (frame(expose, sampling=2, dit=5.0, count=n, table=table).astype(float) for n in (1, count))
    assert mean.var() == pytest.approx(one.var() / count, rel=0.03)


def test_ranges_are_checked(expose):
    with pytest.raises(ResourceError, match="low is above high"):
        frame(expose, shape=(4, 4), table={"low": 60})

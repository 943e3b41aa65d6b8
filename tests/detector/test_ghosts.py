import numpy as np
import pytest

TABLE = {"ratio": 5e-5, "outer": 60, "inner": 20, "y": 120}


def with_ghosts(expose, rate, table=TABLE):
    return expose(rate, dit=1, stages={"ghosts": table}, elvis_block={"stages": ()}).astype(float)


def test_ghost_has_its_share_of_the_light_at_its_place(expose):
    rate = np.zeros((400, 300))
    rate[102, 150] = 1e9
    ghost = with_ghosts(expose, rate) - rate
    assert ghost.sum() / 1e9 == pytest.approx(5e-5, rel=1e-4)
    y, x = np.indices(rate.shape)
    assert (ghost * y).sum() / ghost.sum() == pytest.approx(102 + 120, abs=2)
    assert (ghost * x).sum() / ghost.sum() == pytest.approx(150, abs=2)
    distance = np.hypot(y - 222, x - 150)
    assert not ghost[distance > 70].any()
    assert ghost[distance < 10].sum() < 1e-3 * ghost.sum()


def test_without_light_there_is_none(expose):
    assert not with_ghosts(expose, np.zeros((40, 40))).any()


def test_ratio_zero_leaves_the_image(expose):
    rate = np.random.default_rng(1).uniform(0, 9, (100, 90)).astype(np.float32)
    np.testing.assert_array_equal(with_ghosts(expose, rate, TABLE | {"ratio": 0}), rate)

import numpy as np
import pytest

from elvis_cli.model.elvis_block import Model

TABLE = {"calibration_lamp": {"level": 50, "corner": 0.8}}


def test_level_in_the_middle_and_in_the_corners(expose):
    frame = expose(np.zeros((100, 60)), dit=2, nx=60, ny=100, stages=TABLE, elvis_block={"stages": ()})
    assert frame[50, 30] == pytest.approx(100, rel=1e-3)
    assert frame[0, 0] == pytest.approx(80, rel=0.01)
    assert frame.mean() == pytest.approx(100 * (1 - 0.2 / 3), rel=1e-3)


def test_it_only_shines_when_asked(expose):
    change = {"dit": 1, "stages": TABLE, "optional": ("calibration_lamp",)}
    assert not expose(np.zeros((4, 4)), **change, elvis_block={"stages": ()}).any()
    assert expose(np.zeros((4, 4)), **change, elvis_block={"stages": (), "also": ("calibration_lamp",)}).all()


def test_profile_of_the_user(expose):
    profile = np.random.default_rng(1).uniform(0.5, 1, (30, 20)).astype("<f4")
    models = {"calibration_lamp": Model({"level": 3}, {0: (profile.tobytes(), (30, 20))})}
    frame = expose(np.zeros((10, 12)), dit=2, x0=3, y0=5, nx=20, ny=30, stages={},
                   elvis_block={"stages": (), "models": models})  # fmt: skip
    np.testing.assert_allclose(frame, 6 * profile[5:15, 3:15], rtol=1e-6)

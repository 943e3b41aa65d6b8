import numpy as np


def test_rows_follow_those_with_light(expose, ccd):
    frame = expose(np.full((80, 64), 1.0), **ccd(), dit=1, elvis_block={"stages": ("parallel_overscan",)})
    assert frame[:40].all()
    assert frame[52:].all()
    assert not frame[40:52].any()


def test_it_carries_the_parallel_trail_alone(expose, ccd):
    traps = {"model": "arctic", "parallel_density": [2.0], "parallel_tau": [3.0], "parallel_well": 2e5, "beta": 0.5}
    stages = ("pre_overscan", "parallel_overscan", "cti")
    frame = expose(np.full((80, 64), 1e3), **ccd(stages={"cti": traps}), dit=1, elvis_block={"stages": stages})
    trail = frame[40:46, 5:37].mean(axis=1)
    assert np.all(np.diff(trail) < 0)
    assert trail[0] > 1
    assert not frame[40:46, :5].any()
    assert not frame[40:46, 37:44].any()
    np.testing.assert_allclose(frame[46:52, 5:37][::-1], frame[40:46, 5:37], rtol=1e-6)

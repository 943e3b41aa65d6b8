import numpy as np
import pytest

from elvis_cli.detector.persistence import Parameters, decode, encode, integrate, returned, system
from elvis_cli.errors import ResourceError
from elvis_cli.model.elvis_block import Exposed, Previous, Window
from tests.each import each

TAU, SHARE = (1.0, 10.0, 100.0, 1e3, 1e4), (0.307, 0.175, 0.188, 0.136, 0.194)
TABLE = {"amplitude": 0.003, "tau": TAU, "share": SHARE}
LAW = Parameters(**TABLE)
FLUX = -2


def light():
    start = np.zeros(len(TAU) + 3)
    start[FLUX] = 50.0
    return start


@each("time", [0.1, 10.0, 1e3, 1e5])
def test_charge_is_conserved(time):
    """What the light brings is in the charge that is read or in the traps."""
    state = integrate(system(0.1, TAU, SHARE), time, 1) @ light()
    assert state[-1] + state[1:FLUX].sum() == pytest.approx(50 * time, rel=1e-7)
    many = integrate(system(0.1, TAU, SHARE), time, 7) @ light()
    assert many[-1] + many[1:FLUX].sum() == pytest.approx(7 * 50 * time, rel=1e-7)


def test_traps_follow_their_equation():
    """A fine loop over dn = (a Q - n) dt / tau (Tulloch & George 2019)."""
    charge, traps, step = 0.0, np.zeros(5), 1e-3
    for _ in range(20_000):
        caught = (0.1 * np.array(SHARE) * charge - traps) * step / TAU
        traps += caught
        charge += 50 * step - caught.sum()
    state = integrate(system(0.1, TAU, SHARE), 20.0, 1) @ light()
    assert state[-1] == pytest.approx(charge, rel=1e-3)
    np.testing.assert_allclose(state[1:FLUX], traps, rtol=2e-3)


@each("tau", TAU)
def test_decays_with_the_time_constant(tau):
    law = Parameters(0.003, (tau,), (1.0,))
    gaps = np.array([0, 0.5, 1, 2, 4]) * tau
    left = [returned(law, (60, 1), gap, (10, 1)) for gap in gaps]
    np.testing.assert_allclose(left, left[0] * np.exp(-gaps / tau), rtol=1e-9)


def test_small_and_never_more_than_was_caught():
    for gap in (0.0, 10.0, 1e3):
        for now in ((10, 1), (100, 1), (10, 50)):
            assert 0 < returned(LAW, (60, 1), gap, now) * now[1] < LAW.amplitude
    assert returned(LAW, (60, 1), 0, (1e7, 1)) < returned(LAW, (60, 20), 0, (1e7, 1)) < LAW.amplitude


def test_all_that_was_caught_comes_back_in_the_end():
    matrix, start = system(0.003, TAU, SHARE), light()
    state = integrate(matrix, 60.0, 1) @ start
    back = returned(LAW, (60.0, 1), 0.0, (1e4, 60)) * 60 * state[-1]
    assert back == pytest.approx(state[1:FLUX].sum(), rel=0.01)


def test_a_byte_holds_a_charge_within_three_percent():
    charge = np.geomspace(4, 9e6, 5000).astype(np.float32)
    np.testing.assert_allclose(decode(encode(charge)), charge, rtol=0.03)
    assert not decode(encode(np.array([-50, 0, 1.9], np.float32))).any()
    np.testing.assert_array_equal(encode(decode(np.arange(256, dtype=np.uint8))), np.arange(256))


def exposed(expose, before, here, *, gap=30.0, chip=1, **more):
    """Expose a dark window ``here`` = (x0, y0, nx, ny) after an exposure of the window ``before`` to 1e5 electrons."""
    data = encode(np.full((before[3], before[2]), 1e5, np.float32)).tobytes()
    previous = Previous(60.0, 1, gap, (Exposed(1, Window(*before), data),))
    elvis_block = {"stages": ("persistence",), "previous": previous}
    rate = np.zeros((here[3], here[2]))
    setting = {"x0": here[0], "y0": here[1], "stages": {"persistence": TABLE}, "dark": 0, "chip": chip}
    return expose(rate, dit=60.0, elvis_block=elvis_block, **setting, **more)


def test_image_of_the_previous_exposure_where_windows_overlap(expose):
    frame = exposed(expose, (100, 200, 50, 40), (80, 220, 60, 60))
    part = returned(LAW, (60, 1), 30, (60, 1))
    assert np.count_nonzero(frame) == 40 * 20
    np.testing.assert_allclose(frame[:20, 20:], 1e5 * part, rtol=0.03)
    assert 1 < frame.max() < 300
    assert not exposed(expose, (0, 0, 50, 40), (80, 220, 60, 60)).any()
    assert not exposed(expose, (100, 200, 50, 40), (80, 220, 60, 60), chip=2).any()


def test_later_there_is_less(expose):
    levels = [exposed(expose, (0, 0, 9, 9), (0, 0, 9, 9), gap=gap).max() for gap in (0, 10, 100, 1000, 1e5)]
    assert np.all(np.diff(levels) < 0)
    assert levels[-1] < 1e-3 * levels[0]


def test_shares_are_checked(expose):
    with pytest.raises(ResourceError, match="its sum 1"):
        expose(np.zeros((4, 4)), stages={"persistence": TABLE | {"share": [0.5] * 5}})

"""The reads one by one are the reference for the frame that is made at once."""

import numpy as np
import pytest

from elvis_cli.base import parallel
from elvis_cli.detector import chain
from elvis_cli.model.sampling import Sampling

ALL = {
    "nonlinearity": {"beta": 6e-7},
    "ipc": {"edge": 0.02, "corner": 0.002},
    "reset": {"level": 5000, "ktc": 29},
    "rtn": {"fraction": 0.05, "low": 10, "high": 50, "fast": 1, "slow": 100},
    "correlated_noise": {
        "columns": 64, "c_pink": 3, "u_pink": 1, "acn": 0.5, "pedestal": 4, "row_overhead": 12, "frame_overhead": 1,
    },
}  # fmt: skip


@pytest.fixture(autouse=True)
def _threads():
    yield
    parallel.set_threads(0)


@pytest.fixture
def reads(expose, monkeypatch):
    """Return the reads and the frame of an exposure with ``reads``."""
    kept = {}

    def develop(rate, *rest):
        kept.update(chain.develop(lambda _: rate, *rest))
        return kept[None]

    def run(rate, *, elvis_block=None, **more):
        monkeypatch.setattr(chain, "expose", develop)
        frame = expose(rate, elvis_block={"reads": True, **(elvis_block or {})}, **more)
        monkeypatch.undo()
        return kept["READS"], frame

    return run


def test_frame_is_the_fit_of_its_reads(reads):
    elvis_block = {"skip": ("bias", "adc", "hot_pixels", "cosmic_rays")}
    cube, frame = reads(np.full((200, 150), 40.0), sampling=Sampling(7), stages=ALL, elvis_block=elvis_block)
    assert cube.shape == (7, 200, 150)
    assert cube.dtype == frame.dtype == np.float32
    slope = np.polyfit(np.arange(7) / 6, cube.reshape(7, -1), 1)[0]
    np.testing.assert_allclose(frame.ravel(), slope, atol=0.02)
    assert cube[0].mean() == pytest.approx(5000 / 2, rel=0.01)  # the level of the reset, gain 2


def test_noiseless_ramp_is_straight(reads):
    elvis_block = {"stages": ()}
    cube, frame = reads(np.full((9, 9), 40.0), dit=10, sampling=Sampling(5), elvis_block=elvis_block)
    for i in range(5):
        np.testing.assert_allclose(cube[i], 100 * i)
    np.testing.assert_allclose(frame, 400, rtol=1e-6)


def test_charge_only_grows_by_what_poisson_says(reads):
    cube, _ = reads(np.full((300, 300), 40.0), dit=10, sampling=Sampling(5), elvis_block={"stages": ("shot_noise",)})
    steps = np.diff(cube.astype(float), axis=0)
    assert steps.min() >= 0
    assert not cube[0].any()
    assert steps.mean() == pytest.approx(100, rel=0.001)
    assert steps.var() == pytest.approx(100, rel=0.01)
    assert abs(np.corrcoef(steps.reshape(4, -1)) - np.eye(4)).max() < 0.015


@pytest.mark.parametrize("at_once", [True, False])
@pytest.mark.parametrize(("n", "noise"), [(2, 1.414), (4, 1.342), (8, 1.080), (16, 0.813), (32, 0.594), (64, 0.426)])
def test_read_noise_falls_as_published(expose, reads, n, noise, at_once):
    """Rauscher 2007 eq. 1: noise of the frame in units of that of a read, 5 electrons."""
    setting = {"ron": 5 * Sampling(n).noise, "sampling": Sampling(n), "stages": {}}
    elvis_block = {"stages": ("read_noise",)}
    if at_once:
        frame = expose(np.zeros((300, 300)), elvis_block=elvis_block, **setting)
    else:
        cube, frame = reads(np.zeros((300, 300)), elvis_block=elvis_block, **setting)
        assert cube.std(dtype=float) == pytest.approx(5, rel=0.01)
    assert frame.std(dtype=float) / 5 == pytest.approx(noise, rel=0.02)


@pytest.mark.parametrize("at_once", [True, False])
@pytest.mark.parametrize(("n", "factor"), [(2, 1.000), (4, 1.020), (8, 1.083), (16, 1.134), (32, 1.165), (64, 1.182)])
def test_shot_noise_grows_as_published(expose, reads, n, factor, at_once):
    """The second term of the same: variance of the frame over its electrons."""
    rate, setting = (
        np.full((500, 500), 40.0),
        {"dit": 10, "sampling": Sampling(n), "elvis_block": {"stages": ("shot_noise",)}},
    )
    frame = expose(rate, **setting) if at_once else reads(rate, **setting)[1]
    assert frame.mean(dtype=float) == pytest.approx(400, rel=0.001)
    assert frame.var(dtype=float) / 400 == pytest.approx(factor, rel=0.012)


@pytest.mark.parametrize("count", [1, 9])
@pytest.mark.parametrize("n", [1, 2, 6])
def test_at_once_equals_read_by_read(expose, reads, n, count):
    rate, names = np.full((256, 256), 30.0), ("shot_noise", "nonlinearity", "ipc", "rtn", "reset", "read_noise")
    setting = {"dit": 10, "count": count, "sampling": Sampling(n), "stages": ALL, "elvis_block": {"stages": names}}
    at_once, (_, slow) = expose(rate, **setting).astype(float), reads(rate, **setting)
    assert at_once.mean() == pytest.approx(slow.mean(dtype=float), abs=4 * at_once.std() / 256 * 1.5)
    assert at_once.std() == pytest.approx(slow.std(dtype=float), rel=0.02)


@pytest.mark.parametrize("level", [0.5, 1.0, 1.7, 30.0])
def test_saturated_ramps_are_fitted_as_they_are(expose, reads, level):
    names = ("full_well", "nonlinearity")
    setting = {"dit": 1, "sampling": Sampling(9), "stages": ALL, "elvis_block": {"stages": names}}
    rate = np.full((4, 4), level * 1.2e5)
    cube, frame = reads(rate, **setting)
    straight = 1.2e5 * np.minimum(level * np.arange(9) / 8, 1)
    np.testing.assert_allclose(cube[:, 0, 0], straight * (1 - 6e-7 * straight), rtol=1e-5)
    np.testing.assert_allclose(expose(rate, **setting), frame, rtol=1e-4 if level <= 1 else 0.08)


# --- cosmic rays -----------------------------------------------------------------------------------------------------

HITS = {"cosmic_rays": {"rate": 3, "probability": [0, 1], "length": [1, 1], "energy": [3000, 3000]}}


def hits(reads, n=6, **more):
    elvis_block = {"stages": ("cosmic_rays", "full_well")}
    return reads(np.zeros((256, 256)), dit=100, sampling=Sampling(n), stages=HITS, elvis_block=elvis_block, **more)


def test_only_reads_after_a_hit_see_it(reads):
    cube, _ = hits(reads)
    steps = np.diff(cube, axis=0)
    jumped = (steps > 0).sum(axis=0)
    assert not cube[0].any()
    assert steps.min() == 0
    assert np.mean(jumped[jumped > 0] == 1) > 0.97  # but for pixels that are hit twice
    groups = np.array([(step > 0).sum() for step in steps])
    assert groups == pytest.approx(np.full(5, groups.mean()), abs=4 * groups.mean() ** 0.5)


def test_hit_is_in_the_frame_as_the_fit_has_it_at_once_too(expose, reads):
    """A jump before the read k counts the sum of the later weights."""
    setting = {"dit": 100, "sampling": Sampling(6), "stages": HITS, "elvis_block": {"stages": ("cosmic_rays",)}}
    at_once, (cube, frame) = expose(np.zeros((256, 256)), **setting), hits(reads)
    np.testing.assert_allclose(at_once, frame, atol=0.5)
    last = np.cumsum(Sampling(6).weights()[::-1])[::-1][1:]
    single = (np.diff(cube, axis=0) > 2999).sum(axis=0) == 1
    shares = frame[single] / cube[-1][single]
    assert single.sum() > 20
    assert abs(shares[:, np.newaxis] - last).min(axis=1).max() < 1e-3


def test_hit_fills_a_pixel_to_the_full_well(expose, reads):
    table = {"cosmic_rays": HITS["cosmic_rays"] | {"energy": [1e6, 1e6]}}
    setting = {"dit": 100, "sampling": Sampling(6), "stages": table, "full_well": 8e4}
    cube, frame = reads(np.zeros((128, 128)), elvis_block={"stages": ("cosmic_rays", "full_well")}, **setting)
    assert cube.max() == 8e4
    at_once = expose(np.zeros((128, 128)), elvis_block={"stages": ("cosmic_rays", "full_well")}, **setting)
    whole = (cube[-1] == 8e4) & ((np.diff(cube, axis=0) > 0).sum(axis=0) == 1)
    assert whole.sum() > 5
    # at once, a fit above the full well passes for a straight ramp
    np.testing.assert_allclose(at_once[whole], frame[whole], rtol=0.18)
    low = whole & (frame < 8e4)
    np.testing.assert_allclose(at_once[low], frame[low], rtol=1e-4)


# --- determinism -----------------------------------------------------------------------------------------------------


def test_threads_do_not_matter(reads):
    rate, setting = np.full((300, 200), 90.0), {"sampling": Sampling(4), "stages": ALL}
    parallel.set_threads(1)
    one = [image.tobytes() for image in reads(rate, **setting)]
    parallel.set_threads(3)
    assert [image.tobytes() for image in reads(rate, **setting)] == one


def test_reads_are_digitised_and_have_the_bias(reads):
    cube, frame = reads(np.full((100, 100), 90.0), sampling=Sampling(3), stages={})
    assert np.array_equal(cube, np.rint(cube))
    assert cube[0].mean(dtype=float) == pytest.approx(1000, abs=0.5)
    assert frame.mean(dtype=float) == pytest.approx(1000 + 450, rel=0.01)

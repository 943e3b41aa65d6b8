import numpy as np
import pytest

from elvis_cli.base import parallel
from elvis_cli.detector.correlated_noise import pink
from elvis_cli.errors import ResourceError
from elvis_cli.model.sampling import Sampling

NONE = {"columns": 64, "c_pink": 0, "u_pink": 0, "acn": 0, "pedestal": 0, "row_overhead": 12, "frame_overhead": 1}
ONLY = {"stages": ("correlated_noise",)}


@pytest.fixture(autouse=True)
def _threads():
    yield
    parallel.set_threads(0)


def slope(streams):
    """Exponent of the mean power spectrum of periodic streams."""
    power = np.mean([np.abs(np.fft.rfft(s)) ** 2 for s in streams], axis=0)[1:-1]
    return np.polyfit(np.log(np.arange(1, power.size + 1)), np.log(power), 1)[0]


def test_pink_noise_has_slope_one_and_its_amplitude():
    random = np.random.default_rng(1)
    streams = [pink(2**14, 3.0, 0.0, random) for _ in range(100)]
    assert slope(streams) == pytest.approx(-1, abs=0.1)
    assert np.mean(np.square(streams)) ** 0.5 == pytest.approx(3, rel=0.02)
    assert abs(np.mean(streams, axis=1)).max() < 1e-4
    assert streams[0].dtype == np.float32


def test_alternating_noise_is_two_independent_streams_of_slope_one():
    random = np.random.default_rng(1)
    streams = np.array([pink(2**14, 0.0, 2.0, random) for _ in range(100)])
    even, odd = streams[:, ::2], streams[:, 1::2]
    for half in (even, odd):
        assert slope(half) == pytest.approx(-1, abs=0.1)
        assert half.std() == pytest.approx(2, rel=0.05)
    assert abs(np.mean(even * odd)) / 4 < 0.05


def frame(expose, *, shape=(2048, 2048), sampling=1, stages=None, elvis_block=ONLY, **changes):
    window = {key: changes.pop(key) for key in ("x0", "y0", "count", "chip") if key in changes}
    table = {"correlated_noise": NONE | changes} | (stages or {})
    return expose(np.zeros(shape), dark=0, sampling=Sampling(sampling), stages=table, elvis_block=elvis_block, **window)


def test_each_output_has_its_own_noise(expose):
    image = frame(expose, u_pink=5).astype(float)
    assert image.std() == pytest.approx(5, rel=0.05)
    stripes = image.reshape(2048, 32, 64).transpose(1, 0, 2)
    together = np.corrcoef(stripes.reshape(32, -1))
    assert abs(together - np.eye(32)).max() < 0.3
    assert abs((together - np.eye(32)).mean()) < 0.02
    # slow: neighbours in a row are alike, and so is the level of a whole row of an output
    assert np.corrcoef(stripes[:, :, 1:].ravel(), stripes[:, :, :-1].ravel())[0, 1] > 0.8
    assert stripes.mean(axis=2).std() > 0.6 * image.std()


def test_common_noise_is_the_same_in_all_outputs_read_in_turn_from_left_and_right(expose):
    stripes = frame(expose, c_pink=3).reshape(2048, 32, 64)
    assert stripes.std(dtype=float) == pytest.approx(3, rel=0.3)  # a single stream, whose slowest waves differ
    np.testing.assert_array_equal(stripes[:, 2::2], np.broadcast_to(stripes[:, :1], (2048, 15, 64)))
    np.testing.assert_array_equal(stripes[:, 1::2], np.broadcast_to(stripes[:, :1, ::-1], (2048, 16, 64)))


def test_alternating_columns(expose):
    image = frame(expose, acn=2)
    columns = image.reshape(2048, 32, 32, 2).astype(float)
    assert columns.std() == pytest.approx(2, rel=0.05)
    assert abs(np.corrcoef(columns[..., 0].ravel(), columns[..., 1].ravel())[0, 1]) < 0.1
    assert np.corrcoef(columns[:, :, 1:, 0].ravel(), columns[:, :, :-1, 0].ravel())[0, 1] > 0.7


def test_pedestal_is_one_level_of_its_own(expose):
    levels = [frame(expose, shape=(4, 4), pedestal=4, elvis_block=ONLY | {"seed": n}) for n in range(400)]
    assert max(np.ptp(level) for level in levels) == 0
    assert np.std([level[0, 0] for level in levels]) == pytest.approx(4, rel=0.15)


@pytest.mark.parametrize("reads", [2, 8])
def test_counts_as_the_reads_do(expose, reads):
    one, many = (frame(expose, shape=(64, 64), u_pink=5, pedestal=1, sampling=n) for n in (1, reads))
    np.testing.assert_allclose(many, one * Sampling(reads).noise, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(
        frame(expose, shape=(64, 64), u_pink=5, pedestal=1, count=9), one / 3, rtol=1e-4, atol=1e-5
    )


def test_window_is_the_cut_of_the_whole_chip_for_any_number_of_threads(expose):
    noise = {"c_pink": 3, "u_pink": 1, "acn": 0.5, "pedestal": 4}
    parallel.set_threads(1)
    full = frame(expose, **noise)
    parallel.set_threads(3)
    for x0, y0 in ((0, 0), (100, 1900), (1017, 33)):
        part = frame(expose, shape=(70, 150), x0=x0, y0=y0, **noise)
        np.testing.assert_array_equal(part, full[y0 : y0 + 70, x0 : x0 + 150])


def test_chips_and_exposures_differ(expose):
    base = frame(expose, shape=(64, 64), u_pink=5)
    for other in ({"chip": 2}, {"elvis_block": ONLY | {"exposure": 2}}):
        assert not np.any(frame(expose, shape=(64, 64), u_pink=5, **other) == base)


def test_amplitudes_are_checked(expose):
    with pytest.raises(ResourceError, match=r"correlated_noise\.acn"):
        frame(expose, shape=(4, 4), acn=-1)

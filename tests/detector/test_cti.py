import numpy as np
import pytest

from elvis_cli.base import parallel
from elvis_cli.errors import ResourceError
from tests.each import each

CDM03 = {
    "model": "cdm03", "beta": 0.6, "velocity": 1.168e7,
    "parallel_density": [1e9], "parallel_sigma": [2e-15], "parallel_tau": [0.05], "parallel_period": 20.48e-3,
    "parallel_well": 2e5, "parallel_volume": 6e-11,
    "serial_density": [2e9], "serial_sigma": [5e-12], "serial_tau": [1e-5], "serial_period": 5e-6,
    "serial_well": 7.3e5, "serial_volume": 1e-10,
}  # fmt: skip
ARCTIC = {
    "model": "arctic", "beta": 0.58,
    "parallel_density": [0.13, 0.25], "parallel_tau": [1.25, 4.4],
    "serial_density": [0.0442, 0.1326], "serial_tau": [0.8, 4.0],
}  # fmt: skip
ALL = ("pre_overscan", "parallel_overscan", "cti")


@pytest.fixture(autouse=True)
def _threads():
    yield
    parallel.set_threads(0)


def clocked(expose, ccd, rate, table, stages=ALL, **changes):
    made = expose(rate, **ccd(stages={"cti": table}, **changes), dit=1, elvis_block={"stages": stages})
    return made.astype(float)


def test_published_packet_of_cdm03(expose):
    """Short et al. 2013: a packet of 1e4 electrons at row 1000 (see tests/kernels/test_cdm03.py)."""
    rate = np.zeros((1200, 3))
    rate[1000, 1] = 1e4
    table = {key: value for key, value in CDM03.items() if not key.startswith("serial")}
    frame = expose(rate, kind="ccd", nx=3, ny=1200, dit=1, stages={"cti": table}, elvis_block={"stages": ("cti",)})
    assert frame[1000, 1] == pytest.approx(9986.823095, abs=1e-3)
    assert frame[1001, 1] == pytest.approx(4.428550, abs=1e-5)


@pytest.mark.parametrize("table", [CDM03, ARCTIC], ids=["cdm03", "arctic"])
def test_trails_point_away_from_every_amplifier_and_grow_with_distance(expose, ccd, table):
    rate = np.zeros((80, 64))
    for y in (10, 35, 69, 44):
        for x in (10, 28, 53, 35):
            rate[y, x] = 1e4
    frame = clocked(expose, ccd, rate, table, stages=("cti",))
    np.testing.assert_allclose(frame, frame[::-1], rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(frame, frame[:, ::-1], rtol=1e-6, atol=1e-6)
    assert frame[11, 10] > frame[9, 10] == 0
    assert frame[10, 11] > frame[10, 9] == 0
    assert frame[10, 10] > frame[35, 10] > frame[35, 28]
    assert frame[36, 10] > frame[11, 10]


def test_charge_ends_up_in_the_trails(expose, ccd):
    """Of a star in the middle of a quadrant, overscans included."""
    rate = np.zeros((80, 64))
    rate[20, 12] = 1e4
    frame = clocked(expose, ccd, rate, ARCTIC | {"express": 0}, overscan=30, rows=30)
    assert frame.sum() == pytest.approx(1e4, rel=1e-6)
    assert frame[20, 5 + 12] < 9999


@pytest.mark.parametrize("table", [CDM03, ARCTIC], ids=["cdm03", "arctic"])
def test_zero_dose_changes_nothing(expose, ccd, table):
    rate = np.random.default_rng(1).gamma(0.5, 1000, (80, 64))
    with_ = clocked(expose, ccd, rate, table | {"dose": 0})
    np.testing.assert_array_equal(with_, clocked(expose, ccd, rate, table, stages=ALL[:2]))


def test_extended_edge_response_of_a_flat_gives_the_trap_density(expose, ccd):
    """CTI from the overscan (leading order): sum = N rho V (1 - exp(-K / tau)); two species, to 1 %."""
    level, rows, n = 5e4, 60, 1000
    table = {key: value for key, value in ARCTIC.items() if not key.startswith("serial")}
    frame = clocked(expose, ccd, np.full((2 * n, 8), level), table, nx=4, ny=n, rows=rows)
    trail = frame[n : n + rows, 5:9].sum(axis=0)
    volume = (level / 2e5) ** 0.58
    expected = sum(n * rho * volume * (1 - np.exp(-rows / tau)) for rho, tau in ((0.13, 1.25), (0.25, 4.4)))
    np.testing.assert_allclose(trail, expected, rtol=0.01)


def test_background_shields_faint_stars(expose, ccd):
    rate = np.zeros((80, 64))
    rate[30, 20] = 500.0
    bare = clocked(expose, ccd, rate, CDM03, stages=("cti",))
    shielded = clocked(expose, ccd, rate, CDM03 | {"background": 200}, stages=("cti",))
    assert 0 < 500 - shielded[30, 20] < 500 - bare[30, 20]


@pytest.mark.parametrize("table", [CDM03, ARCTIC], ids=["cdm03", "arctic"])
def test_threads_do_not_matter(expose, ccd, table):
    rate = np.random.default_rng(1).gamma(0.5, 1000, (120, 1400))
    frames = []
    for threads in (1, 3):
        parallel.set_threads(threads)
        frames.append(clocked(expose, ccd, rate, table, nx=700, ny=60))
    np.testing.assert_array_equal(*frames)


@each(
    ("change", "words"),
    [
        ({"parallel_tau": [1.0, 2.0, 3.0]}, "equally long"),
        ({"velocity": 0.0}, "needs velocity"),
        ({"model": "hole"}, "cdm03"),
        ({"parallel_sigma": []}, "parallel_sigma"),
    ],
)
def test_wrong_tables_are_refused(expose, ccd, change, words):
    with pytest.raises(ResourceError, match=words):
        clocked(expose, ccd, np.zeros((80, 64)), CDM03 | change)

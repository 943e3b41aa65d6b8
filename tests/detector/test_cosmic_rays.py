import numpy as np
import pytest

from elvis_cli.detector.cosmic_rays import Parameters, draw
from elvis_cli.errors import ResourceError
from tests.each import each

ONLY = {"stages": ("cosmic_rays",)}
TRACKS = Parameters(5.0, (0, 0.5, 0.9, 1), (10, 40, 100, 500), (1e3, 4e3, 1e4, 1e5))


def test_rate_is_per_area_and_time():
    # half of the longest track, 500 um = 50 pixels of 10 um, lies around the array on each side
    numbers = [len(draw((300, 400), 10.0, 20.0, TRACKS, np.random.default_rng(s))) for s in range(40)]
    expected = 5.0 * 20.0 * (350 * 450 * 1e-6)
    assert np.mean(numbers) == pytest.approx(expected, abs=4 * (expected / 40) ** 0.5)
    assert np.var(numbers) == pytest.approx(expected, rel=0.9)


def test_quantiles_of_length_and_energy():
    tracks = draw((3000, 3000), 10.0, 2000.0, TRACKS, np.random.default_rng(1))
    length, charge = tracks[:, 4] * 10, tracks[:, 5]
    np.testing.assert_allclose(np.quantile(length, [0, 0.5, 0.9, 1]), TRACKS.length, rtol=0.06)
    np.testing.assert_allclose(np.quantile(charge, [0, 0.5, 0.9, 1]), TRACKS.energy, rtol=0.06)
    np.testing.assert_allclose(np.hypot(tracks[:, 2], tracks[:, 3]), 1)
    assert abs(tracks[:, 2:4].mean()) < 0.05
    assert np.all(np.diff(charge[np.argsort(length)]) >= 0)  # one deviate for both


def test_charge_per_pixel_is_rate_times_mean_energy_up_to_the_border(expose):
    stages = {"cosmic_rays": {"rate": 30, "probability": [0, 1], "length": [200, 200], "energy": [1000, 1000]}}
    frame = expose(np.zeros((400, 400)), dit=500, full_well=1e9, stages=stages, elvis_block=ONLY)
    expected = 30 * 500 * (0.0015**2) * 1000
    assert frame.mean(dtype=float) == pytest.approx(expected, rel=0.05)
    border = np.concatenate([frame[:5].ravel(), frame[-5:].ravel(), frame[:, :5].ravel(), frame[:, -5:].ravel()])
    assert border.mean(dtype=float) == pytest.approx(expected, rel=0.2)


def test_scales_with_time_and_stays_the_mean_per_integration(expose):
    stages = {"cosmic_rays": {"rate": 1, "probability": [0, 1], "length": [1, 1], "energy": [1e4, 1e4]}}
    one = expose(np.zeros((1024, 1024)), dit=100, full_well=1e9, stages=stages, elvis_block=ONLY)
    many = expose(np.zeros((1024, 1024)), dit=100, count=20, full_well=1e9, stages=stages, elvis_block=ONLY)
    hits = 1 * 100 * (1024 * 0.0015) ** 2
    assert one.sum(dtype=float) / 1e4 == pytest.approx(hits, abs=4 * hits**0.5)
    assert many.sum(dtype=float) * 20 / 1e4 == pytest.approx(20 * hits, abs=4 * (20 * hits) ** 0.5)


def test_hit_fills_at_most_one_integration(expose):
    stages = {"cosmic_rays": {"rate": 1, "probability": [0, 1], "length": [1, 1], "energy": [1e6, 1e6]}}
    frame = expose(np.zeros((256, 256)), dit=10, count=50, full_well=8e4, stages=stages, elvis_block=ONLY)
    # a pixel hit twice in different integrations may hold twice as much
    assert np.median(frame[frame > 0]) == pytest.approx(8e4 / 50, rel=1e-3)


def test_differs_between_exposures_and_chips(expose):
    def hits(chip=1, **elvis_block):
        return expose(np.zeros((512, 512)), dit=1000, chip=chip, elvis_block=ONLY | elvis_block) > 0

    base = hits()
    assert base.any()
    for other in (hits(exposure=2), hits(seed=1), hits(chip=2)):
        assert np.count_nonzero(base & other) < 0.1 * np.count_nonzero(base)


@each(
    ("change", "words"),
    [
        ({"length": [1, 2, 3]}, "equally long"),
        ({"probability": [0, 0.9]}, "ascend from 0 to 1"),
        ({"energy": [10, 5]}, "energy must not descend"),
        ({"length": [0, 5]}, "length"),
    ],
)
def test_tables_are_checked(expose, change, words):
    table = {"rate": 1, "probability": [0, 1], "length": [1, 9], "energy": [1, 9]} | change
    with pytest.raises(ResourceError, match=words):
        expose(np.zeros((4, 4)), stages={"cosmic_rays": table})


def test_covered_part_of_a_quadrant(expose):
    """1.42 / (cm2 s) with the lengths of the simulator ELViS cover 1.4 % of the pixels in 565 s."""
    pixels = np.array([1.0, 1.9, 3.9, 6.0, 9.5, 22, 51, 120])
    table = {
        "rate": 1.42, "probability": [0, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 1],
        "length": list(pixels * 12), "energy": [1e3, 3.3e3, 6e3, 1.22e4, 3.7e4, 3e5, 1.4e6, 5e6],
    }  # fmt: skip
    change = {"kind": "ccd", "pixel_mm": 0.012, "stages": {"cosmic_rays": table}, "elvis_block": ONLY}
    covered = [(expose(np.zeros((2066, 2048)), dit=dit, **change) > 0).mean() for dit in (565, 56.5)]
    assert covered[0] == pytest.approx(0.014, rel=0.1)
    assert covered[1] == pytest.approx(covered[0] / 10, rel=0.15)

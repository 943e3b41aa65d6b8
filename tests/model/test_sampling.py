import numpy as np
import pytest

from elvis_cli.errors import RequestError
from elvis_cli.model.sampling import Sampling, parse
from tests.each import each

NUMBERS = [1, 2, 3, 4, 8, 16, 32, 64]


@each(
    ("reads", "noise", "shot"),
    [
        (2, 1.414, 1.000),
        (4, 1.342, 1.020),
        (8, 1.080, 1.083),
        (16, 0.813, 1.134),
        (32, 0.594, 1.165),
        (64, 0.426, 1.182),
    ],
)
def test_published_factors(reads, noise, shot):
    """Rauscher 2007 eq. 1 with Robberto's correction, to the three digits of the table."""
    assert Sampling(reads).noise == pytest.approx(noise, abs=6e-4)
    assert Sampling(reads).shot == pytest.approx(shot, abs=6e-4)


@each("reads", NUMBERS)
def test_factors_are_those_of_the_weights(reads):
    sampling = Sampling(reads)
    weights, later = sampling.weights(), np.cumsum(sampling.weights()[::-1])[::-1]
    assert sampling.noise == pytest.approx((weights**2).sum() ** 0.5)
    steps = later[1:] if reads > 1 else later
    assert sampling.shot == pytest.approx((steps**2).mean())


@each("reads", NUMBERS)
def test_fit_finds_the_slope_whatever_the_reset_level(reads):
    sampling = Sampling(reads)
    level = 0 if reads == 1 else 1e4
    assert sampling.weights() @ (level + 70 * sampling.times()) == pytest.approx(70)


def test_fit_is_that_of_numpy():
    reads = np.random.default_rng(1).normal(size=9)
    sampling = Sampling(9)
    assert sampling.weights() @ reads == pytest.approx(np.polyfit(sampling.times(), reads, 1)[0])


@each("reads", NUMBERS[1:])
def test_slope_of_a_parabola_is_its_difference_end_to_end(reads):
    """So the quadratic non-linearity of a ramp is that of its last read."""
    sampling = Sampling(reads)
    assert sampling.weights() @ sampling.times() ** 2 == pytest.approx(1)


@each("reads", NUMBERS)
def test_share_of_a_charge_is_one_on_average(reads):
    arrival = (np.arange(20_000) + 0.5) / 20_000
    assert Sampling(reads).share(arrival).mean() == pytest.approx(1, rel=1e-3)


@each("n", [1, 2, 4, 16])
@each("step", [0.0, 0.02])
def test_groups_at_both_ends(n, step):
    sampling, between = Sampling(2 * n, step), 1 - (n - 1) * step
    assert sampling.noise == pytest.approx((2 / n) ** 0.5 / between)  # Fowler & Gatley 1990
    assert sampling.weights() @ (1e4 + 70 * sampling.times()) == pytest.approx(70)
    assert sampling.weights() @ sampling.times() ** 2 == pytest.approx(1)
    arrival = (np.arange(200_000) + 0.5) / 200_000
    share = sampling.share(arrival)
    assert share.mean() == pytest.approx(1, rel=1e-3)
    assert (share**2).mean() == pytest.approx(sampling.shot, rel=1e-3)


@pytest.mark.parametrize("sampling", [Sampling(6), Sampling(6, 0.05)])
def test_share_is_the_fit_of_a_jump(sampling):
    for u in (0.1, 0.45, 0.99):
        assert sampling.share(np.array([u])) == pytest.approx(sampling.weights() @ (sampling.times() > u))


def test_clipped_ramp():
    sampling = Sampling(6)
    for ratio in (1.0, 1.3, 40.0):
        ramp = np.minimum(ratio * sampling.times(), 1)
        assert sampling.clipped(np.array([ratio], np.float32)) == pytest.approx(sampling.weights() @ ramp, rel=1e-5)
    assert Sampling(2).clipped(np.array([5.0], np.float32)) == 1


@each(
    ("text", "dit", "least", "reads"),
    [
        ("single", 1, None, 1),
        ("cds", 1, 1, 2),
        ("mcds:1", 1, 1, 2),
        ("mcds:4", 9, 1, 8),
        ("mcds:4", 9, None, 8),
        ("utr:8", 9, 1, 8),
        ("utr:8", 9, None, 8),
        ("utr", 9, 1, 10),
    ],
)
def test_names(text, dit, least, reads):
    sampling = parse(text, dit, least)
    assert sampling.reads == reads
    assert parse(sampling.name, dit, least) == sampling


@each(
    ("text", "least", "words"),
    [
        ("up", 1, "no way"),
        ("utr:1", 1, "no ramp"),
        ("utr:999", None, "no ramp"),
        ("utr:12", 1, "up to 11"),
        ("utr", None, "how many"),
        ("mcds:6", 1, "up to 11"),
        ("mcds:0", 1, "no ramp"),
        ("mcds", 1, "no way"),
    ],
)
def test_what_cannot_be(text, least, words):
    with pytest.raises(RequestError) as error:
        parse(text, 10, least)
    assert error.value.details["pointer"] == "/elvis/readout"
    assert words in f"{error.value} {error.value.details.get('allowed')}"

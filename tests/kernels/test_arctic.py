"""ArCTIC against its own published example, and against traps that are simulated one by one."""

import numpy as np
import pytest

from elvis_cli.kernels import arctic
from tests.each import each

LN2 = np.log(2.0)


def clocked(lines, express, density, tau, notch=0.0, well=1000.0, beta=1.0):
    """Clock the rows of an array."""
    lines = np.array(lines, float, order="C", copy=True)
    weights = arctic.passes(np.arange(lines.shape[1]) + 1.0, express)
    density, left = np.atleast_1d(density).astype(float), np.exp(-1.0 / np.atleast_1d(tau))
    arctic.clock(lines, 0, len(lines), weights, density, left, notch, well, beta)
    return lines


def test_example_of_the_reference_implementation():
    """README of github.com/jkeger/arctic; the trap-by-trap model below gives the same."""
    image = np.zeros((6, 4))
    image[1, 0] = image[2, 1] = image[3, 2] = 200
    parallel = clocked(image.T, 0, 10.0, 1 / LN2).T
    after = clocked(parallel, 0, 10.0, 1 / LN2)
    expected = [
        [0, 0, 0, 0], [194.06, 0.98, 0.49, 0.25], [1.96, 190.22, 1.92, 0.97],
        [0.99, 2.89, 186.47, 2.82], [0.50, 1.46, 3.80, 0.06], [0.25, 0.74, 1.92, 0.03],
    ]  # fmt: skip
    np.testing.assert_allclose(after, expected, atol=0.0101)
    assert after[1, 0] == pytest.approx(200 * 0.99**3, abs=0.005)


def one_by_one(line, density, tau, notch, well, beta, count=4000):
    """``count`` traps at every volume of every pixel, each with its own filled fraction."""
    line, volumes = np.array(line, float), (np.arange(count) + 0.5) / count
    left = np.exp(-1.0 / np.asarray(tau))
    for pixel in range(len(line))[::-1]:
        fill = np.zeros((len(density), count))
        for x in range(pixel, len(line)):
            freed = (np.asarray(density) * (fill * (1 - left[:, None])).mean(axis=1)).sum()
            fill *= left[:, None]
            packet = line[x] + freed
            volume = np.clip((packet - notch) / (well - notch), 0, 1) ** beta if packet > notch else 0.0
            inside = volumes < volume
            wanted = (np.asarray(density) * ((1 - fill) * inside).mean(axis=1)).sum()
            part = min(1.0, packet / wanted) if wanted > 0 else 0.0
            fill = np.where(inside, fill + part * (1 - fill), fill)
            line[x] = packet - part * wanted
    return line


def test_levels_are_the_traps_one_by_one():
    line = np.random.default_rng(4).gamma(0.4, 400, 25)
    line[8:12] = 0
    species = ([0.8, 2.5], [1.5, 6.0])
    after = clocked(line[None], 0, *species, notch=5.0, beta=0.6)[0]
    np.testing.assert_allclose(after, one_by_one(line, *species, 5.0, 1000.0, 0.6), rtol=2e-4, atol=0.02)


def test_negative_notch_fills_traps_even_of_faint_packets():
    line = [0, 2.0, 0, 0, 0, 0, 0]
    species = ([5.0], [2.0])
    after = clocked([line], 0, *species, notch=-86.0, well=2e5, beta=0.51)[0]
    np.testing.assert_allclose(after, one_by_one(line, *species, -86.0, 2e5, 0.51), atol=2e-3)
    assert after[1] < clocked([line], 0, *species, notch=0.0, well=2e5, beta=0.51)[0, 1]


def test_charge_is_conserved_with_all_transfers():
    line = np.zeros((1, 200))
    line[0, 20:40] = np.random.default_rng(1).uniform(0, 5000, 20)
    after = clocked(line, 0, [1.0, 0.5], [1.25, 4.4], well=2e5, beta=0.58)
    assert after.sum() == pytest.approx(line.sum(), rel=1e-9)


def test_few_passes_stand_for_all():
    line = np.zeros((1, 300))
    line[0, 200] = 3000.0
    species = {"density": [0.13, 0.25], "tau": [1.25, 4.4], "well": 2e5, "beta": 0.58}
    exact = clocked(line, 0, **species)
    for express in (1, 5):
        some = clocked(line, express, **species)
        assert 3000 - some[0, 200] == pytest.approx(3000 - exact[0, 200], rel=0.01)
        np.testing.assert_allclose(some[0, 201:206], exact[0, 201:206], rtol=0.05)


@each(("express", "count"), [(0, 7), (1, 1), (3, 3), (50, 7)])
def test_passes_share_the_transfers(express, count):
    transfers = np.array([1.0, 2, 3, 4, 5, 6, 7, 7, 7])
    weights = arctic.passes(transfers, express)
    assert len(weights) == count
    np.testing.assert_allclose(weights.sum(axis=0), transfers)


# --- first pixel response and extended pixel edge response, to leading order in traps per electron -------------------

START, STOP, LEVEL, WELL, BETA = 1000, 1200, 30000.0, 2e5, 0.58
SPECIES = ([0.05, 0.08], [1.25, 8.0])


def block():
    line = np.zeros((1, STOP + 200))
    line[0, START:STOP] = LEVEL
    transfers = np.minimum(np.arange(line.size) + 1.0, STOP)  # what follows is overscan
    density, left = np.array(SPECIES[0]), np.exp(-1 / np.array(SPECIES[1]))
    arctic.clock(line, 0, 1, arctic.passes(transfers, 1), density, left, 0.0, WELL, BETA)
    return line[0]


def test_first_pixel_loses_what_all_traps_take():
    volume = (LEVEL / WELL) ** BETA
    assert LEVEL - block()[START] == pytest.approx((START + 1) * sum(SPECIES[0]) * volume, rel=0.01)


def test_trail_is_the_sum_of_the_species_exponentials():
    volume, k = (LEVEL / WELL) ** BETA, np.arange(1, 31)
    expected = sum(
        STOP * rho * volume * (1 - np.exp(-1 / tau)) * np.exp(-(k - 1) / tau) for rho, tau in zip(*SPECIES, strict=True)
    )
    np.testing.assert_allclose(block()[STOP : STOP + 30], expected, rtol=0.01)

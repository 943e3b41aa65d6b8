"""Compute the absorption cells from the constants of diatomic molecules: no list of lines is read.

Energies are those of Huber & Herzberg, Constants of Diatomic Molecules (1979), G(v) + B(v) J(J+1) - D (J(J+1))^2. So
the lines have the right pattern, density and depth; those of real iodine, whose upper state needs twenty more
constants near its limit, lie elsewhere by up to some cm-1. A real cell's scan would serve the same reader.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.linalg import eigh_tridiagonal

from elvis_cli.base import depths
from elvis_cli.base.arrays import Floats
from elvis_cli.data._build.packages import Provenance

RATIO = float(np.exp(1 / 600000))
SCALE = 2000.0, 0.02
FINER = 8
"""Samples within one of the table, whose transmissions are averaged."""
BOLTZMANN = 0.6950348
"""cm-1 / K."""
ANGSTROM2 = 16.857629
"""hbar^2 / (2 u) in cm-1 angstrom^2."""


@dataclass(frozen=True)
class State:
    """An electronic state; cm-1, and angstrom for ``re``."""

    te: float
    we: float
    wexe: float
    be: float
    ae: float
    de: float
    re: float = 0.0
    weye: float = 0.0

    def vibration(self, v: Floats | int) -> Floats:
        """Return Te + G(v)."""
        x = np.asarray(v) + 0.5
        return self.te + self.we * x - self.wexe * x**2 + self.weye * x**3

    def rotation(self, v: int, j: Floats) -> Floats:
        """Return F(v, J)."""
        x = j * (j + 1)
        return (self.be - self.ae * (v + 0.5)) * x - self.de * x**2


I2_X = State(0.0, 214.502, 0.6147, 0.037372, 0.0001138, 4.5e-9, re=2.6663)
I2_B = State(15769.01, 125.697, 0.7642, 0.029039, 0.000158, 5.4e-9, re=3.0247)
CO_X = State(0.0, 2169.81358, 13.28831, 1.93128087, 0.01750441, 6.1214e-6, weye=0.010511)
CO_BANDS = ((1, 9.8e-18), (2, 7.5e-20), (3, 4.7e-22))
"""v' and strength of the bands from v = 0, cm per molecule at 296 K (HITRAN's sums)."""

IODINE_BAND = 0.5, 0.65
"""um."""
IODINE_AREA = 4500.0
"""Integral of the depth, cm-1: about half of the light at 0.55 um passes."""


def franck_condon(lower: State, upper: State, mass: float, lows: int, highs: int) -> Floats:
    """Return squared overlaps (lows, highs) of the vibrations of two Morse oscillators of reduced ``mass`` (u)."""
    r, step = np.linspace(2.1, 5.6, 1400, retstep=True)
    waves = []
    for state, count in ((lower, lows), (upper, highs)):
        dissociation = state.we**2 / (4 * state.wexe)
        a = np.sqrt(state.wexe * mass / ANGSTROM2)
        potential = dissociation * (1 - np.exp(-a * (r - state.re))) ** 2
        hop = ANGSTROM2 / mass / step**2
        side = np.full(r.size - 1, -hop)
        _, vectors = eigh_tridiagonal(potential + 2 * hop, side, select="i", select_range=(0, count - 1))
        waves.append(vectors)
    return np.asarray((waves[0].T @ waves[1]) ** 2)


def iodine() -> Iterator[tuple[Floats, Floats]]:
    """Yield wavenumbers (cm-1) and relative strengths of the lines of B - X of iodine at 333 K."""
    overlaps, kelvin = franck_condon(I2_X, I2_B, 63.4522, 7, 62), 333.0
    j = np.arange(201.0)
    spin = np.where(j % 2, 7.0, 5.0)  # of two nuclei of 5/2
    for low in range(7):
        energy = I2_X.vibration(low) - I2_X.vibration(0) + I2_X.rotation(low, j)
        people = spin * np.exp(-energy / (BOLTZMANN * kelvin))
        for high in range(62):
            origin = float(I2_B.vibration(high) - I2_X.vibration(low))
            for delta, weight in ((1, j + 1), (-1, j)):
                upper = j + delta
                place = origin + I2_B.rotation(high, upper) - I2_X.rotation(low, j)
                yield place[weight > 0], (people * weight * overlaps[low, high] * place)[weight > 0]


def carbon_monoxide() -> Iterator[tuple[Floats, Floats]]:
    """Yield wavenumbers (cm-1) and strengths (cm per molecule) of the bands of CO at 296 K."""
    j = np.arange(31.0)
    people = np.exp(-CO_X.rotation(0, j) / (BOLTZMANN * 296.0))
    people /= np.sum((2 * j + 1) * people)
    for high, band in CO_BANDS:
        origin = float(CO_X.vibration(high) - CO_X.vibration(0))
        for delta, weight in ((1, j + 1), (-1, j)):
            place = origin + CO_X.rotation(high, np.maximum(j + delta, 0.0)) - CO_X.rotation(0, j)
            yield place[weight > 0], (band * people * weight * place / origin)[weight > 0]


def table(lines: Iterator[tuple[Floats, Floats]], low: float, high: float, width: float, column: float) -> Floats:
    """Return the depth of lines at the table's samples from ``low`` to ``high`` um.

    ``width`` is the FWHM over the wavenumber, ``column`` the factor from strengths to the integral of the depth, cm-1.
    """
    count = int(np.log(high / low) / np.log(RATIO))
    step = np.log(RATIO) / FINER
    fine = np.zeros(count * FINER)
    for wavenumber, strength in lines:
        at = np.rint(np.log(1e4 / wavenumber / low) / step + (FINER - 1) / 2).astype(int)
        inside = (at >= 0) & (at < fine.size)
        np.add.at(fine, at[inside], (strength * column / (wavenumber * step))[inside])
    reach = int(4 * width / step)
    kernel = np.exp(-4 * np.log(2) * (np.arange(-reach, reach + 1) * step / width) ** 2)
    fine = np.convolve(fine, kernel / kernel.sum(), "same")
    passed = np.exp(-fine).reshape(count, FINER).mean(axis=1)
    return np.asarray(-np.log(np.maximum(passed, 1e-5)))


def build(out: Path) -> list[Provenance]:
    """Write the cells' tables and return their provenance."""
    lines = list(iodine())
    whole = sum(float(np.sum(strength)) for _, strength in lines)
    cell = table(iter(lines), *IODINE_BAND, 2e-6, IODINE_AREA / whole)
    depths.save(out / "cell_iodine", depths.pack_depths(cell[None], IODINE_BAND[0], RATIO, SCALE))
    gas = table(carbon_monoxide(), 1.5, 5.0, 3e-6, 1e19)
    depths.save(out / "cell_carbon_monoxide", depths.pack_depths(gas[None], 1.5, RATIO, SCALE))
    constants = "Huber & Herzberg 1979, Constants of Diatomic Molecules"
    done = "computed, no list of lines: "
    return [
        Provenance("ELVIS", "-", "as ELVIS", "_build/cells.py", "cell_iodine.npy, cell_iodine_index.npz", constants,
                   done + "B - X of iodine at 333 K, Morse oscillators; the integral of the depth is 4500 cm-1"),
        Provenance("ELVIS", "-", "as ELVIS", "_build/cells.py",
                   "cell_carbon_monoxide.npy, cell_carbon_monoxide_index.npz", constants + "; strengths of bands: HITRAN",
                   done + "CO at 296 K, 1e19 molecules per cm2, bands 1-0, 2-0 and 3-0"),
    ]  # fmt: skip

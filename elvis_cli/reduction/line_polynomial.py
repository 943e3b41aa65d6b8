"""The polynomial by which lines of an arc are off the layout."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from elvis_cli.base.arrays import Floats
from elvis_cli.kernels import strips as kernel
from elvis_cli.reduction.layout import Strip


@dataclass(frozen=True, slots=True, eq=False)
class LinePolynomial:
    """Pixels by which lines are off the layout: sums of u^a w^b m^c, m being the order within -1 to 1."""

    powers: list[tuple[int, int, int]]
    orders: tuple[float, float]
    coefficients: Floats

    def order(self, order: Floats | float) -> Floats:
        """Return orders as -1 to 1."""
        low, high = self.orders
        return np.asarray((2 * order - low - high) / max(high - low, 1.0))

    def design(self, u: Floats, w: Floats, order: Floats) -> Floats:
        """Return the terms (n, k) of points (n,)."""
        m = self.order(order)
        return np.stack([u**a * w**b * m**c for a, b, c in self.powers], axis=-1)

    def at(self, u: Floats, w: Floats, order: Floats) -> Floats:
        """Return the pixels (n,) of points (n,)."""
        return np.asarray(self.design(u, w, order) @ self.coefficients)

    def of_strip(self, strip: Strip) -> Floats:
        """Return the pixels (n, m) of all pixels of a strip."""
        m = float(self.order(float(strip.order)))
        terms = np.zeros((1 + max(a for a, _, _ in self.powers), 1 + max(b for _, b, _ in self.powers)))
        for (a, b, c), value in zip(self.powers, self.coefficients, strict=True):
            terms[a, b] += value * m**c
        w = np.clip((strip.s - strip.slit.offset) / (strip.slit.length / 2), -1.1, 1.1)
        return np.asarray(kernel.surface(unit(strip), w, terms))


def unit(strip: Strip) -> Floats:
    """Return the places (n,) of a strip's rows along the dispersion, -1 to 1."""
    first, last = strip.row[0], strip.row[-1]
    return np.asarray((2.0 * strip.row - first - last) / max(last - first, 1))

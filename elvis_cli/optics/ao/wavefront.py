"""The second moments of a wavefront: structure functions and spectra of the optical path difference, nm2.

Path differences do not depend on the wavelength, so that one structure function serves all of them:
D(rad2) = (2 pi / lambda)^2 D(nm2). Spectra are W(f) in nm2 m2, spatial frequencies f in 1/m, shifts rho in m.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from elvis_cli.base.arrays import Floats
from elvis_cli.sky.turbulence import Air, Real, von_karman


@dataclass(frozen=True, slots=True, eq=False)
class Wavefront:
    """The second moments of a residual wavefront."""

    shift: Floats
    """m, ascending from 0: abscissa of ``isotropic``."""
    isotropic: Floats
    """Structure function of the part that is the same in all directions, nm2."""
    spectrum: tuple[Floats, Floats] | None = None
    """The rest: W at (fx, fy) = (i, j) df and at (i, -j) df, as (j, i) arrays, nm2 m2."""
    df: float = 0.0
    """1/m."""
    variance: float = math.inf
    """All that is left of the wavefront error, nm2."""
    jitter: float = 0.0
    """Image motion on top of it, arcsec rms per axis."""
    halo: bool = False
    """Whether only the light that it scatters out of the coherent image is meant."""

    def factor(self, scale: float, structure: Real) -> Real:
        """Return the factor on the OTF of a pupil, exp(-D/2); of the halo alone that less its limit exp(-variance).

        ``scale`` is the exponent over D, ``structure``, in nm2.
        """
        result = np.exp(np.float32(scale) * structure)
        return np.asarray(result - np.float32(math.exp(2.0 * scale * self.variance)) if self.halo else result)

    def structure(self, rho: Floats) -> tuple[Real, Real | None]:
        """Return the parts e, o of D(rho[i], rho[j]) = e + o and D(rho[i], -rho[j]) = e - o, as (j, i) arrays, nm2.

        ``rho`` is in m; o is None where it vanishes.
        """
        if self.spectrum is None:
            return self.even(rho), None
        plus, minus = self.spectrum
        half = (0.5 * (plus - minus)).astype(np.float32)
        sin = _weighted(np.sin, len(plus), self.df, rho)
        return self.even(rho), 2.0 * product(product(sin.T, half), sin) if half.any() else None

    def even(self, rho: Floats) -> Real:
        """Return the part e of `structure`: the mean of D(rho[i], rho[j]) and D(rho[i], -rho[j]), nm2."""
        even = np.interp(np.hypot(rho, rho[:, None]), self.shift, self.isotropic).astype(np.float32)
        if self.spectrum is None:
            return even
        plus, minus = self.spectrum
        mean = (0.5 * (plus + minus)).astype(np.float32)
        cos = _weighted(np.cos, len(plus), self.df, rho)
        even += np.float32(2.0 * integral(mean, mean, self.df)) - 2.0 * product(product(cos.T, mean), cos)
        return even


def _weighted(wave: Callable[[Floats], Floats], size: int, df: float, rho: Floats) -> Real:
    """Return the weighted cosines or sines of ``size`` frequencies (rows), multiples of ``df``, at shifts (columns)."""
    phase = 2 * math.pi * df * np.outer(np.arange(size), rho)
    return (quadrant_weights(size, df)[:, None] * wave(phase)).astype(np.float32)


def quadrant_weights(size: int, step: float) -> Floats:
    """Return the weights along one axis of a symmetric function that is given at (i, j) and (i, -j) ``step``."""
    weight = np.full(size, 2.0 * step)
    weight[0] = step  # both quadrants hold the axes
    return weight


def integral(plus: Real, minus: Real, step: float) -> float:
    """Return the integral over the plane of a symmetric function, given at (i, j) ``step`` and (i, -j) ``step``."""
    weight = quadrant_weights(len(plus), step)
    return 0.5 * float(np.sum(weight[:, None] * weight * (plus + minus)))


def product(a: Real, b: Real) -> Real:
    """Return the matrix product a b, a few rows of ``a`` at a time.

    BLAS shares large products between threads, and rounding then depends on their number; below 2^18
    multiplications it does not (OpenBLAS, interface/gemm.c), and nothing is lost by the wait for other threads.
    """
    rows = max(1, (1 << 18) // (a.shape[1] * b.shape[1]))
    whole = len(a) // rows * rows
    parts = np.ascontiguousarray(a[:whole]).reshape(-1, rows, a.shape[1]) @ b
    return np.concatenate([parts.reshape(whole, b.shape[1]), a[whole:] @ b])


def seeing_limited(atmosphere: Air, longest: float) -> Wavefront:
    """Return the uncorrected wavefront, for shifts up to ``longest`` m (von Karman)."""
    shift = np.concatenate(([0.0], np.geomspace(1e-4, longest, 1500)))
    return Wavefront(shift, von_karman(shift, atmosphere))


def uniform_motion(longest: float, jitter: float) -> Wavefront:
    """Return a perfect wavefront, for shifts up to ``longest`` m, whose image moves by ``jitter`` arcsec rms."""
    return Wavefront(np.array([0.0, longest]), np.zeros(2), variance=0.0, jitter=jitter)

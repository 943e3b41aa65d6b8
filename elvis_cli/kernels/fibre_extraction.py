"""Spectra of fibres side by side on a chip: in each row all of them at once, so that cross talk is solved, not cut.

The light of a row is the sum of all profiles times their fluxes; the fluxes are the least squares with the inverse
variance for weights (Bolton & Schlegel 2010, PASP 122, 248, in one dimension). Neighbours alone overlap, so that the
normal equations are a band.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from elvis_cli.base.arrays import Image
from elvis_cli.kernels.compile import njit

Floats = NDArray[np.float64]
BAND = 2
"""Neighbours to either side that overlap with a fibre, at most."""
PASSES = 4
SIGMA = 5.0
TOLERANCE = 0.1
"""Relative error of a profile that is no cosmic ray."""


@njit(cache=True, nogil=True)
def _shares(out: Floats, profile: Image, step: float, centre: float, half: int) -> int:
    """Set ``out`` (2 half + 1,) to the shares of pixels about ``centre``, sum 1; return the first of them."""
    first = math.floor(centre + 0.5) - half
    middle = (profile.size - 1) / 2
    total = 0.0
    for k in range(2 * half + 1):
        x = (first + k - centre) / step + middle
        i = math.floor(x)
        out[k] = 0.0
        if 0 <= i < profile.size - 1:
            out[k] = max((1.0 - (x - i)) * profile[i] + (x - i) * profile[i + 1], 0.0)
        total += out[k]
    if total > 0:
        for k in range(2 * half + 1):
            out[k] /= total
    return first


@njit(cache=True, nogil=True)
def _solve(a: Floats, b: Floats, n: int, inverse: Floats) -> None:
    """Solve the first ``n`` equations of the band ``a`` (n, BAND + 1) for ``b`` in place; set the inverse's diagonal.

    a[i, k] is the element (i + k, i), 0 beyond the last. L D L^T; the inverse within the band is by Takahashi's
    recurrence.
    """
    for i in range(n):
        if a[i, 0] <= 0:
            a[i, :] = 0.0
            a[i, 0], b[i] = 1.0, 0.0
        for j in range(1, min(BAND, n - 1 - i) + 1):
            for k in range(j, min(BAND, n - 1 - i) + 1):
                a[i + j, k - j] -= a[i, k] * a[i, j] / a[i, 0]
            b[i + j] -= b[i] * a[i, j] / a[i, 0]
        a[i, 1:] /= a[i, 0]
    for i in range(n - 1, -1, -1):
        b[i] /= a[i, 0]
        inverse[i, :] = 0.0
        inverse[i, 0] = 1.0 / a[i, 0]
        for k in range(1, min(BAND, n - 1 - i) + 1):
            b[i] -= a[i, k] * b[i + k]
            for j in range(1, min(BAND, n - 1 - i) + 1):
                inverse[i, k] -= a[i, j] * inverse[min(i + k, i + j), abs(k - j)]
            inverse[i, 0] -= a[i, k] * inverse[i, k]


@njit(cache=True, nogil=True)
def _equations(
    sci: Image,
    var: Image,
    good: NDArray[np.bool_],
    model: Floats,
    shares: Floats,
    first: NDArray[np.int64],
    n: int,
    seconds: float,
    a: Floats,
    b: Floats,
) -> None:
    """Set the normal equations of the ``n`` fibres of a row, whose light is about ``model`` (nx,)."""
    a[:n], b[:n] = 0.0, 0.0
    for i in range(n):
        for k in range(max(-first[i], 0), min(shares.shape[1], sci.size - first[i])):
            x = first[i] + k
            if not good[x]:
                continue
            w = shares[i, k] / (var[x] + max(model[x], 0.0) / seconds + 1e-30)
            a[i, 0] += w * shares[i, k]
            b[i] += w * sci[x]
            for j in range(1, min(BAND, n - 1 - i) + 1):
                if first[i + j] <= x < first[i + j] + shares.shape[1]:
                    a[i, j] += w * shares[i + j, x - first[i + j]]


@njit(cache=True, nogil=True)
def _add(model: Floats, shares: Floats, first: int, flux: float) -> None:
    """Add the light of a fibre to a row ``model`` (nx,)."""
    for k in range(max(-first, 0), min(shares.size, model.size - first)):
        model[first + k] += flux * shares[k]


@njit(cache=True, nogil=True)
def _reject(
    sci: Image,
    var: Image,
    good: NDArray[np.bool_],
    model: Floats,
    shares: Floats,
    first: NDArray[np.int64],
    n: int,
    seconds: float,
) -> int:
    """Take the pixel that is farthest off under each profile of a row out of ``good``; return their number."""
    count = 0
    for i in range(n):
        worst, at = 1.0, -1
        for k in range(max(-first[i], 0), min(shares.shape[1], sci.size - first[i])):
            x = first[i] + k
            if good[x] and shares[i, k] > 0:
                light = max(model[x], 0.0)
                away = abs(sci[x] - model[x]) / (SIGMA * math.sqrt(var[x] + light / seconds) + TOLERANCE * light)
                if away > worst:
                    worst, at = away, x
        if at >= 0:
            good[at] = False
            count += 1
    return count


@njit(cache=True, nogil=True)
def _lost(good: NDArray[np.bool_], shares: Floats, first: int) -> float:
    """Return the part of a profile that is in bad pixels of a row or beyond it."""
    seen = 0.0
    for k in range(max(-first, 0), min(shares.size, good.size - first)):
        if good[first + k]:
            seen += shares[k]
    return 1.0 - seen


@njit(cache=True, nogil=True)
def extract(
    sci: Image,
    var: Image,
    good: NDArray[np.bool_],
    centre: Image,
    profile: Image,
    block: int,
    step: float,
    half: int,
    seconds: float,
    flux: Floats,
    err: Floats,
    lost: Image,
    information: Floats,
) -> int:
    """Set flux, err (traces, ny) of all fibres of a chip and the ``lost`` part of each profile; return rejections.

    ``information`` (traces, ny, BAND + 1) is set to the inverse covariance of each with itself and the next of a row.

    ``sci`` (ny, nx) and ``var``, that of the pixels without light; ``centre`` (traces, ny) are the columns of the
    traces, from left to right, NaN where there is none; ``profile`` (traces, blocks of ``block`` rows, m) the light in
    steps of ``step`` pixels about the centre. A rate f has the variance f / ``seconds``. ``good`` loses what is more
    than SIGMA off.
    """
    count = centre.shape[0]
    which, first = np.zeros(count, np.int64), np.zeros(count, np.int64)
    shares = np.zeros((count, 2 * half + 1))
    a, inverse, b = np.zeros((count, BAND + 1)), np.zeros((count, BAND + 1)), np.zeros(count)
    model = np.zeros(sci.shape[1])
    rejected = 0
    for y in range(sci.shape[0]):
        n = 0
        for t in range(count):
            if not math.isnan(centre[t, y]):
                part = profile[t, min(y // block, profile.shape[1] - 1)]
                which[n], first[n] = t, _shares(shares[n], part, step, centre[t, y], half)
                n += 1
        model[:] = 0.0
        for turn in range(PASSES):
            _equations(sci[y], var[y], good[y], model, shares, first, n, seconds, a, b)
            for i in range(n):
                information[which[i], y] = a[i]
            _solve(a, b, n, inverse)
            model[:] = 0.0
            for i in range(n):
                _add(model, shares[i], first[i], b[i])
            if 1 <= turn < PASSES - 1:
                found = _reject(sci[y], var[y], good[y], model, shares, first, n, seconds)
                rejected += found
                if found == 0:
                    break
        for i in range(n):
            flux[which[i], y], err[which[i], y] = b[i], math.sqrt(max(inverse[i, 0], 0.0))
            lost[which[i], y] = _lost(good[y], shares[i], first[i])
    return rejected


@njit(cache=True, nogil=True)
def correlations(information: Floats, centre: Image, correlation: Floats, joint: Floats) -> None:
    """Set what the errors of the fibres of each row of a chip have to do with each other, from `extract`'s results.

    ``information`` (traces, ny, BAND + 1) and ``centre`` (traces, ny) are those of `extract`. ``correlation`` (traces,
    ny, BAND) is set to the coefficients with the next fibres of the row, ``joint`` (traces, ny) to a fibre's part of
    the variance of the sum of all over its own variance: 1 where no neighbour overlaps.
    """
    count, ny = centre.shape
    which = np.zeros(count, np.int64)
    a, inverse, b = np.zeros((count, BAND + 1)), np.zeros((count, BAND + 1)), np.zeros(count)
    for y in range(ny):
        n = 0
        for t in range(count):
            if not math.isnan(centre[t, y]) and information[t, y, 0] > 0:
                which[n], a[n], b[n] = t, information[t, y], 1.0
                n += 1
        _solve(a, b, n, inverse)
        for i in range(n):
            joint[which[i], y] = b[i] / inverse[i, 0]
            for j in range(1, min(BAND, n - 1 - i) + 1):
                correlation[which[i], y, j - 1] = inverse[i, j] / math.sqrt(inverse[i, 0] * inverse[i + j, 0])


@njit(cache=True, nogil=True)
def profiles(
    flat: Image,
    centre: Image,
    profile: Image,
    block: int,
    step: float,
    half: int,
    flux: Floats,
    total: Floats,
    weight: Floats,
    place: Floats,
) -> None:
    """Add to ``total``, ``weight`` and ``place`` (traces, blocks, m) what a flat says of the profiles.

    ``profile`` and ``flux`` (traces, ny) are those so far, by which the light of neighbours is taken away. total over
    weight is the light over the fibre's, place over weight the distance from the centre in pixels.
    """
    count, ny = centre.shape
    nx = flat.shape[1]
    size = 2 * half + 1
    first = np.zeros(count, np.int64)
    shares = np.zeros((count, size))
    model = np.zeros(nx)
    middle = (profile.shape[2] - 1) / 2
    for y in range(ny):
        part = min(y // block, profile.shape[1] - 1)
        model[:] = 0.0
        for t in range(count):
            if not math.isnan(centre[t, y]):
                first[t] = _shares(shares[t], profile[t, part], step, centre[t, y], half)
                _add(model, shares[t], first[t], flux[t, y])
        for t in range(count):
            f = flux[t, y]
            if math.isnan(centre[t, y]) or f <= 0:
                continue
            for k in range(size):
                x = first[t] + k
                if 0 <= x < nx:
                    away = x - centre[t, y]
                    m = math.floor(away / step + middle + 0.5)
                    if 0 <= m < profile.shape[2]:
                        total[t, part, m] += f * (flat[y, x] - model[x] + f * shares[t, k])
                        weight[t, part, m] += f * f
                        place[t, part, m] += f * f * away


@njit(cache=True, nogil=True)
def render(out: Image, centre: Image, profile: Image, block: int, step: float, half: int, flux: Floats) -> None:
    """Add the light (ny, nx) of fibres with ``flux`` (traces, ny) to ``out``."""
    shares, model = np.zeros(2 * half + 1), np.zeros(out.shape[1])
    for y in range(out.shape[0]):
        model[:] = 0.0
        for t in range(centre.shape[0]):
            if not math.isnan(centre[t, y]):
                part = profile[t, min(y // block, profile.shape[1] - 1)]
                first = _shares(shares, part, step, centre[t, y], half)
                _add(model, shares, first, flux[t, y])
        out[y] += model

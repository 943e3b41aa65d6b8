"""Putting stars on pixels: one star over a whole frame, and crowds of star cores."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from elvis_cli.base.arrays import Image
from elvis_cli.kernels.compile import njit


@njit(cache=True, nogil=True)
def _cubic(t):  # type: ignore[no-untyped-def]
    """Return the four Catmull-Rom weights at fraction ``t`` between the second and third sample."""
    return (
        t * (-0.5 + t * (1.0 - 0.5 * t)),
        1.0 + t * t * (-2.5 + 1.5 * t),
        t * (0.5 + t * (2.0 - 1.5 * t)),
        t * t * (-0.5 + 0.5 * t),
    )


@njit(cache=True, nogil=True)
def add_star(
    image: Image,
    row: int,
    x: float,
    y: float,
    flux: float,
    fine: Image,
    oversample: int,
    coarse: Image,
    step: float,
    radius: float,
) -> None:
    """Add ``flux`` times the point-spread function centred at (x, y) to every pixel of ``image``.

    ``image`` (ny, nx) begins at row ``row`` of the frame in which (x, y) is given. Within ``radius`` pixels of the star
    the PSF is ``fine`` (sampled every 1/``oversample`` pixel, cubic interpolation), beyond it ``coarse`` (sampled every
    ``step`` pixels, bilinear); both have the star at [n//2, n//2]. Beyond ``coarse`` nothing is added.
    """
    ny, nx = image.shape
    nf, nc = fine.shape[0], coarse.shape[0]
    fx = nf // 2 - x * oversample
    fraction = fx - math.floor(fx)
    wx = _cubic(fraction)
    ix = math.floor(fx) - 1
    for j in range(ny):
        dy = row + j - y
        v = nf // 2 + dy * oversample
        jv = math.floor(v)
        wy = _cubic(v - jv)
        jv -= 1
        cv = nc // 2 + dy / step
        jc = math.floor(cv)
        tv = cv - jc
        rows_inside = abs(dy) <= radius and jv >= 0 and jv + 3 < nf
        for i in range(nx):
            dx = i - x
            if rows_inside and dx * dx + dy * dy <= radius * radius:
                k = ix + i * oversample
                if k >= 0 and k + 3 < nf:
                    total = 0.0
                    for b in range(4):
                        line = 0.0
                        for a in range(4):
                            line += wx[a] * fine[jv + b, k + a]
                        total += wy[b] * line
                    image[j, i] += np.float32(flux * total)
                    continue
            cu = nc // 2 + dx / step
            ic = math.floor(cu)
            if jc >= 0 and jc + 1 < nc and ic >= 0 and ic + 1 < nc:
                tu = cu - ic
                low = (1.0 - tu) * coarse[jc, ic] + tu * coarse[jc, ic + 1]
                high = (1.0 - tu) * coarse[jc + 1, ic] + tu * coarse[jc + 1, ic + 1]
                image[j, i] += np.float32(flux * ((1.0 - tv) * low + tv * high))


@njit(cache=True, nogil=True)
def fill_cores(cores: NDArray[np.float32], fine: Image, oversample: int) -> None:
    """Set ``cores`` (p + 1, p + 1, s, s) to a point-spread function, as `add_star` interpolates ``fine``; 0 outside it.

    Its star is at fractions 0, 1/p ... 1 of a pixel (y, x) right of and above the centre of pixel [s//2, s//2].
    """
    p, size, nf = cores.shape[0] - 1, cores.shape[2], fine.shape[0]
    half = size // 2
    lines = np.zeros((nf, size))
    for i in range(p + 1):
        fx = nf // 2 - (half + i / p) * oversample
        w0, w1, w2, w3 = _cubic(fx - math.floor(fx))
        for n in range(size):
            k = math.floor(fx) - 1 + n * oversample
            if k < 0 or k + 3 >= nf:
                lines[:, n] = 0.0
            else:
                for b in range(nf):
                    lines[b, n] = w0 * fine[b, k] + w1 * fine[b, k + 1] + w2 * fine[b, k + 2] + w3 * fine[b, k + 3]
        for j in range(p + 1):
            for m in range(size):
                v = nf // 2 + (m - (half + j / p)) * oversample
                v0, v1, v2, v3 = _cubic(v - math.floor(v))
                b = math.floor(v) - 1
                if b >= 0 and b + 3 < nf:
                    a0, a1, a2, a3 = lines[b], lines[b + 1], lines[b + 2], lines[b + 3]
                    out = cores[j, i, m]
                    for n in range(size):
                        out[n] = np.float32(v0 * a0[n] + v1 * a1[n] + v2 * a2[n] + v3 * a3[n])


@njit(cache=True, nogil=True)
def add_cores(
    image: Image,
    row: int,
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    flux: NDArray[np.float64],
    zone: NDArray[np.int64],
    bank: NDArray[np.float32],
) -> None:
    """Add the cores of many stars to ``image`` (ny, nx), which begins at row ``row`` of the frame.

    ``bank`` (zones, p + 1, p + 1, s, s), s odd, holds the core of each zone's PSF with the star at fractions 0, 1/p ...
    1 of a pixel (y, x) right of and above the centre of pixel [s//2, s//2]; a star is the bilinear mean of four.
    """
    ny, nx = image.shape
    p = bank.shape[1] - 1
    size = bank.shape[3]
    half = size // 2
    for n in range(x.size):
        iy = math.floor(y[n])
        if iy + half < row or iy - half >= row + ny:
            continue
        ix = math.floor(x[n])
        if ix + half < 0 or ix - half >= nx:
            continue
        py, px = (y[n] - iy) * p, (x[n] - ix) * p
        qy, qx = min(int(py), p - 1), min(int(px), p - 1)
        ty, tx = py - qy, px - qx
        w00 = np.float32(flux[n] * (1.0 - ty) * (1.0 - tx))
        w01 = np.float32(flux[n] * (1.0 - ty) * tx)
        w10 = np.float32(flux[n] * ty * (1.0 - tx))
        w11 = np.float32(flux[n] * ty * tx)
        stamps = bank[zone[n]]
        first, last = max(ix - half, 0), min(ix + half + 1, nx)
        begin, end = first + half - ix, last + half - ix
        for j in range(max(iy - half, row), min(iy + half + 1, row + ny)):
            b = j - iy + half
            # slices of one length, counted from 0: the loop is vectorised
            a00, a01 = stamps[qy, qx, b, begin:end], stamps[qy, qx + 1, b, begin:end]
            a10, a11 = stamps[qy + 1, qx, b, begin:end], stamps[qy + 1, qx + 1, b, begin:end]
            out = image[j - row, first:last]
            for i in range(out.size):
                out[i] += w00 * a00[i] + w01 * a01[i] + w10 * a10[i] + w11 * a11[i]


@njit(cache=True, nogil=True)
def deposit(image: Image, x: NDArray[np.float64], y: NDArray[np.float64], flux: NDArray[np.float64]) -> None:
    """Add points to ``image`` (ny, nx), each shared bilinearly between its four nearest pixels; outside is left out."""
    ny, nx = image.shape
    for n in range(x.size):
        ix, iy = math.floor(x[n]), math.floor(y[n])
        tx, ty = x[n] - ix, y[n] - iy
        for b in range(2):
            for a in range(2):
                i, j = ix + a, iy + b
                if 0 <= i < nx and 0 <= j < ny:
                    w = (tx if a else 1.0 - tx) * (ty if b else 1.0 - ty)
                    image[j, i] += np.float32(flux[n] * w)


@njit(cache=True, nogil=True)
def add_bilinear(
    image: Image,
    nodes: Image,
    row: NDArray[np.int64],
    along_y: NDArray[np.float32],
    column: NDArray[np.int64],
    along_x: NDArray[np.float32],
) -> None:
    """Add ``nodes`` to ``image`` (ny, nx), bilinear between them.

    Pixel (j, i) lies the fraction ``along_y[j]`` of the way from node ``row[j]`` to the next, ``along_x[i]`` from
    ``column[i]``. All is done in single precision, along y first.
    """
    ny, nx = image.shape
    one = np.float32(1.0)
    line = np.empty(nodes.shape[1], np.float32)
    for j in range(ny):
        low, high, t = nodes[row[j]], nodes[row[j] + 1], along_y[j]
        for n in range(line.size):
            line[n] = (one - t) * low[n] + t * high[n]
        for i in range(nx):
            image[j, i] += (one - along_x[i]) * line[column[i]] + along_x[i] * line[column[i] + 1]

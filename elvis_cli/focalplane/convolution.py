"""Convolution with the PSF by FFT: haloes of crowds, galaxies, pictures."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from elvis_cli.base import parallel
from elvis_cli.base.arrays import Image
from elvis_cli.base.taper import taper
from elvis_cli.focalplane.geometry import rotate_stamp
from elvis_cli.model.detector import Chip
from elvis_cli.optics.psf_types import Psf

Spectrum = NDArray[np.complex64]

REACH = 1024
"""Pixels around a frame within which the stars of a crowd are near it."""
CORE = 640
"""Pixels beyond which nothing counts as the PSF's core."""
COLUMNS = 16
"""Columns of a transform that are worked out at a time: they fit a processor's cache."""
LEAST = 1e-6
"""Share of the light below which a halo is left out."""


def add_star(image: Image, x: float, y: float, rate: float, psf: Psf, chip: Chip, index: int) -> None:
    """Add a star of ``rate`` electrons/s at pixel (x, y) of ``image`` to all of it, with PSF number ``index``."""
    from elvis_cli.kernels import stamp

    fine, coarse = rotate_stamp(psf.fine[index], chip), rotate_stamp(psf.coarse[index], chip)

    def work(_: int, rows: slice) -> None:
        stamp.add_star(
            image[rows], rows.start, x, y, rate, fine, psf.oversample, coarse,
            float(psf.step), float(psf.fine_radius),
        )  # fmt: skip

    parallel.for_rows(image.shape[0], work)


def padded(shape: tuple[int, int], margin: int) -> tuple[int, int]:
    """Return a shape good for transforms that holds ``shape`` with ``margin`` pixels on every side."""
    from scipy import fft

    ny, nx = (fft.next_fast_len(n + 2 * margin, real=True) for n in shape)
    return ny, nx


def kernel(psf: Psf, chip: Chip, index: int, margin: int) -> Image:
    """Return the PSF on pixels (2 margin + 1, 2 margin + 1), the star in the middle."""
    image = np.zeros((2 * margin + 1, 2 * margin + 1), np.float32)
    add_star(image, margin, margin, 1.0, psf, chip, index)
    return image


@lru_cache(maxsize=8)
def core_and_halo(psf: Psf, chip: Chip, index: int) -> tuple[Image, Image]:
    """Return the PSF in two parts that go over into each other smoothly and add up to all of it.

    The core (2 m + 1, 2 m + 1) is on pixels, the star in the middle; the halo is on elements of ``psf.step`` pixels,
    shares of the star's light too. It is all 0 where the PSF ends within the core. Both are kept: not to be changed.
    """
    margin = math.ceil(min(2.0 * psf.fine_radius, CORE))

    def inside(half: int, step: int) -> Image:
        """Return the core's part of the elements (2 half + 1, 2 half + 1), ``step`` pixels wide, about the star."""
        offset = np.arange(half + 1) * step
        quarter = np.asarray(taper(np.hypot(offset, offset[:, None]), margin), np.float32)
        around = np.abs(np.arange(-half, half + 1))
        return quarter[around[:, None], around]

    core = kernel(psf, chip, index, margin)
    core *= inside(margin, 1)
    coarse = rotate_stamp(psf.coarse[index], chip)
    even = 1 - coarse.shape[0] % 2  # then the star is right of and above the middle
    halo = coarse[even:, even:] * np.float32(psf.step**2)
    halo *= 1 - inside(len(halo) // 2, psf.step)
    return core, halo if halo.sum() > LEAST else np.zeros_like(halo)


def add_halo(
    image: Image,
    x: float,
    y: float,
    halo: Image,
    step: int,
    draw: Callable[[tuple[int, int], float, float], Sequence[Image]],
    signed: bool = False,
) -> None:
    """Add sources, psf like the ``halo`` of `core_and_halo`, to ``image``; the first of them is at pixel (x, y).

    ``draw`` returns their electrons/s on elements of ``step`` pixels, in arrays of a shape, the first at an element;
    ``signed``, some of them are negative.
    """
    if not halo.any():
        return
    (ny, nx), margin = image.shape, halo.shape[0] // 2
    # nodes are counted from the first source: the same for every window
    first_x, first_y = math.floor(-x / step), math.floor(-y / step)
    nodes = math.floor((ny - 1 - y) / step) + 2 - first_y, math.floor((nx - 1 - x) / step) + 2 - first_x
    parts = draw(padded(nodes, margin), margin - first_x, margin - first_y)
    wide = convolve([(part, 0, halo) for part in parts], signed)[: nodes[0], : nodes[1]]
    wide *= np.float32(1 / step**2)
    add_interpolated(image, wide, x + first_x * step, y + first_y * step, step)


def add_interpolated(image: Image, nodes: Image, x: float, y: float, step: int) -> None:
    """Add values given every ``step`` pixels, the first at pixel (x, y), to ``image`` (ny, nx), bilinear between."""
    from elvis_cli.kernels import stamp

    ny, nx = image.shape

    def split(size: int, first: float, count: int) -> tuple[NDArray[np.int64], Image]:
        at = (np.arange(size) - first) / step
        below = np.clip(np.floor(at), 0, count - 2).astype(np.int64)
        return below, (at - below).astype(np.float32)

    (row, along_y), (column, along_x) = split(ny, y, nodes.shape[0]), split(nx, x, nodes.shape[1])

    def work(_: int, rows: slice) -> None:
        stamp.add_bilinear(image[rows], nodes, row[rows], along_y[rows], column, along_x)

    parallel.for_rows(ny, work)


def blank(shape: tuple[int, int]) -> Image:
    """Return zeros (ny, nx) with room at the end of each row, so that `convolve` has its transform in their place."""
    ny, nx = shape
    return np.zeros((ny, nx // 2 + 1), np.complex64).view(np.float32)[:, :nx]


def convolve(terms: Sequence[tuple[Image, int, Image]], signed: bool = False) -> Image:
    """Return the sum of sources, each convolved with its response, where it is free of wrapping.

    It is not less than 0, unless the sources are ``signed``.

    Each term is (sources, power, response): sources (ny, nx) as given by `padded`, and how often the pixel's average
    (sinc) is to be taken out of them: 0, twice when they are shared bilinearly, four times by the cubic B-spline. Each
    response is (2 m + 1, 2 m + 1); the result, (ny - 2 m, nx - 2 m), begins at pixel (m, m).

    Sources that are `blank` arrays are overwritten: the first touch of such a large array takes as long as its
    transform. A few columns at a time are transformed there and back, which fit the processor's cache.
    """
    from scipy import fft

    (ny, nx), margin = terms[0][0].shape, terms[0][2].shape[0] // 2
    lines = [_Lines.of(*term) for term in terms]
    spectrum = lines[0].sources

    def columns(_: int, part: slice) -> None:
        total, *others = (line.product(part) for line in lines)
        for other in others:
            total += other
        spectrum[:, part] = fft.ifft(total, axis=0, norm="forward", overwrite_x=True)

    parallel.for_rows(spectrum.shape[1], columns, COLUMNS)
    spectrum = spectrum[2 * margin :]
    result = spectrum.view(np.float32)[:, : nx - 2 * margin]

    def rows(_: int, part: slice) -> None:
        wide = fft.irfft(spectrum[part], nx, axis=1, norm="forward")
        np.multiply(wide[:, 2 * margin :], np.float32(1.0 / (ny * nx)), out=result[part])
        if not signed:  # rounding of the transform far out
            np.maximum(result[part], 0.0, out=result[part])

    parallel.for_rows(len(result), rows)
    return result


class _Lines(NamedTuple):
    """A term of `convolve`, of which the rows are transformed."""

    sources: Spectrum
    """Half spectra (ny, nx / 2 + 1), in the place of the sources."""
    response: Spectrum
    """Half spectra (2 m + 1, nx / 2 + 1), without the pixel's average along the rows."""
    along_y: Image | None
    """Factors (ny, 1) that take the pixel's average out of the columns' spectra; None if it is not in them."""

    @classmethod
    def of(cls, sources: Image, power: int, response: Image) -> _Lines:
        """Return a term as `convolve` has it."""
        from scipy import fft

        ny, nx = sources.shape
        own = isinstance(sources.base, np.ndarray) and sources.base.dtype == np.complex64  # it is a `blank`
        lines = _rows(response, nx)
        lines *= np.sinc(fft.rfftfreq(nx)).astype(np.float32) ** -power
        along_y = np.sinc(fft.fftfreq(ny)).astype(np.float32)[:, None] ** -power if power else None
        return cls(_rows(sources, nx, sources.base if own else None), lines, along_y)

    def product(self, part: slice) -> Spectrum:
        """Return some columns (ny, n) of the spectrum of the sources convolved with the response."""
        from scipy import fft

        spectrum = fft.fft(self.sources[:, part], axis=0)
        spectrum *= fft.fft(self.response[:, part], len(spectrum), axis=0)
        if self.along_y is not None:
            parts = spectrum.view(np.float32)  # numpy multiplies real numbers faster
            parts *= self.along_y
        return np.asarray(spectrum)


def _rows(values: Image, nx: int, room: Spectrum | None = None) -> Spectrum:
    """Return the half spectrum (rows, nx / 2 + 1) of each row, zeros behind it up to ``nx``; in ``room`` if given."""
    from scipy import fft

    spectra = np.empty((len(values), nx // 2 + 1), np.complex64) if room is None else room

    def work(_: int, part: slice) -> None:
        spectra[part] = fft.rfft(values[part], nx, axis=1)

    parallel.for_rows(len(values), work)
    return spectra

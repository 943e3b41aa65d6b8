"""The point-spread function from the optical transfer function: pupil, wavefront, image motion, pixel."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from elvis_cli.base import parallel
from elvis_cli.base.arrays import Floats
from elvis_cli.base.constants import ARCSEC
from elvis_cli.model.setup import Optics
from elvis_cli.optics import pupil
from elvis_cli.optics.ao.wavefront import Wavefront, integral, product
from elvis_cli.optics.psf_types import Psf, Stack, disc, power_of_two
from elvis_cli.sky.turbulence import KOLMOGOROV, REFERENCE, Air, Real

BLEND = 0.6
"""Part of the fine grid's radius from where it goes over into the coarse one."""


MAX_WIDE_POSITIONS = 4
"""Up to this many positions get the wide fine grid."""


@dataclass(frozen=True, slots=True)
class Grid:
    """Sampling: ``box`` and ``step`` in pixels, powers of two that divide each other."""

    pixel: float
    """arcsec."""
    oversample: int
    box: int
    """Width of the fine grid."""
    step: int
    nc: int

    @property
    def nf(self) -> int:
        """Samples across the fine grid."""
        return self.box * self.oversample

    @property
    def radius(self) -> float:
        """Pixels from the star up to which the fine grid is used."""
        return self.box / 2 - 4.0


def grid(optics: Optics, extent: int, shortest: float, positions: int, seeing: float | None) -> Grid:
    """Return a sampling that resolves the PSF and reaches over a chip of ``extent`` pixels.

    ``shortest`` is a wavelength, um; ``seeing`` (arcsec) that of a PSF which it limits, else None.
    """
    pixel = optics.pixel_scale
    finest = optics.telescope.diameter / (shortest * 1e-6) * ARCSEC  # cycles/arcsec
    if seeing is not None:  # nothing is left beyond a few times r0
        finest = min(finest, 4.0 / seeing)
    oversample = min(power_of_two(3.0 * pixel * finest), 32)  # beyond, the pixel has blurred it all away
    few = positions <= MAX_WIDE_POSITIONS
    if seeing is not None:
        box = min(power_of_two(24.0 * seeing / pixel), max(64, 1024 // oversample))
    else:
        box = max(64, (1024 if few else 512) // oversample)
    # the coarse grid is sharp enough from about eight steps on, and should reach over a chip
    reach = 2 * extent
    step = max(1, min(box // 32, power_of_two(max(reach, 4 * box) / 512)))
    nc = min(power_of_two(reach / step), 1024 if few else 512)
    return Grid(pixel, oversample, box, step, max(nc, 4 * box // step))


def build(
    grid: Grid,
    aperture: pupil.Pupil,
    wave: Floats,
    weight: Floats,
    turbulence: Air,
    wavefronts: Sequence[Wavefront],
    positions: int,
) -> Psf:
    """Return the PSF of each wavefront, repeated for all ``positions`` where there is one wavefront for them."""
    maker = _Maker(grid, aperture, wave, np.asarray(weight, float) / np.sum(weight), turbulence)
    stars = parallel.gather(maker.star, wavefronts)
    if len(stars) < positions:  # the same everywhere
        stars *= positions
    return Psf(
        fine=np.stack([star[0] for star in stars]),
        coarse=np.stack([star[1] for star in stars]),
        oversample=grid.oversample,
        step=grid.step,
        fine_radius=grid.radius,
        pixel_scale=grid.pixel,
        strehl=stars[0][2],
        fwhm=stars[0][3],
    )


class _Maker:
    """Makes the PSFs of one passband; what does not depend on the field position is made once."""

    def __init__(self, grid: Grid, aperture: pupil.Pupil, wave: Floats, weight: Floats, atmosphere: Air) -> None:
        self.grid, self.weight = grid, weight
        self.scale = -0.5 * (2 * math.pi / (wave * 1e3)) ** 2  # exponent of the OTF over D in nm2
        metres = wave * 1e-6 / ARCSEC  # shift per cycle/arcsec
        self.df = 1.0 / (grid.box * grid.pixel)  # cycles/arcsec
        self.shifts = [_shifts(aperture.diameter, m * self.df, grid.nf) for m in metres]
        self.telescope = [aperture.sample(rho) for rho in self.shifts]
        self.df_coarse = 1.0 / (grid.nc * grid.step * grid.pixel)
        self.shifts_coarse = [_shifts(aperture.diameter, m * self.df_coarse, grid.nc) for m in metres]
        self.telescope_coarse = [aperture.radial(np.hypot(rho, rho[:, None])) for rho in self.shifts_coarse]
        # the limits of the halo (Kolmogorov's law) and of the diffraction rings far out: a r^-p per pixel, r in pixels
        pixel = grid.pixel / metres  # of spatial frequency, 1/m
        phase = KOLMOGOROV * atmosphere.r0 ** (-5 / 3) * (REFERENCE * 1e-3 / wave) ** 2
        self.wing = (
            (11 / 3, float(weight @ (phase * pixel ** (-5 / 3)))),
            (3.0, float(weight @ (aperture.slope / pixel)) / (4 * math.pi**2)),
        )
        self.outside, self.ghost = self._beyond()
        cells = grid.box // grid.step
        self.node = np.arange(-2, cells + 3)
        self.spline = np.zeros((grid.nf, len(self.node)), np.float32)
        first, weights = pupil.cubic(np.arange(grid.nf) / (grid.oversample * grid.step) + 2.0)
        for k in range(4):
            self.spline[np.arange(grid.nf), first + k - 1] = weights[k]
        offset = (np.arange(grid.nf, dtype=np.float32) - grid.nf // 2) ** 2
        samples = np.sqrt(offset + offset[:, None])  # from the star
        edge = np.float32(grid.radius * grid.oversample)
        self.inside = np.clip(edge + np.float32(0.5) - samples, 0.0, 1.0)
        self.blend = np.clip((samples / edge - np.float32(BLEND)) / np.float32(1.0 - BLEND), 0.0, 1.0)

    def star(self, wavefront: Wavefront) -> tuple[Stack, Stack, float, float]:
        """Return the fine and the coarse grid of a star, its Strehl ratio and FWHM (arcsec)."""
        grid = self.grid
        coarse = self._coarse(wavefront)
        replicas, smooth = self._replicas(coarse)
        plus, minus = self._otf(wavefront)
        perfect = sum(w * integral(*otf, 1.0) for w, otf in zip(self.weight, self.telescope, strict=True))
        fwhm = self._fwhm(plus + minus, float(replicas[grid.nf // 2, grid.nf // 2]))
        pixel = np.sinc(self.df * grid.pixel * np.arange(len(plus)))
        fine = _image(plus, minus, pixel, grid.nf) * np.float32(grid.oversample**2) - replicas
        fine += self.blend * (smooth - fine)
        np.maximum(fine, 0.0, out=fine)
        inside = float((fine * self.inside).sum(dtype=np.float64)) / grid.oversample**2
        ring = float(coarse.sum()) - disc(coarse, grid.radius / grid.step)
        total = inside + ring * grid.step**2 + self.outside
        strehl = integral(plus, minus, 1.0) / float(perfect)
        return (fine / total).astype(np.float32), (coarse / total).astype(np.float32), strehl, fwhm

    def _otf(self, wavefront: Wavefront) -> tuple[Real, Real]:
        """Return the mean OTF of the wavelengths without the pixel, at (i, j) df and (i, -j) df."""
        size = max(len(rho) for rho in self.shifts)
        plus, minus = np.zeros((size, size), np.float32), np.zeros((size, size), np.float32)
        for scale, weight, rho, (right, left) in zip(self.scale, self.weight, self.shifts, self.telescope, strict=True):
            cut = slice(len(rho)), slice(len(rho))
            even, odd = wavefront.structure(rho)
            if odd is None:
                even = np.float32(weight) * wavefront.factor(scale, even)
                plus[cut] += right * even
                minus[cut] += left * even
            else:
                plus[cut] += np.float32(weight) * right * wavefront.factor(scale, even + odd)
                minus[cut] += np.float32(weight) * left * wavefront.factor(scale, even - odd)
        motion = _motion(wavefront, self.df, size)
        return plus * motion * motion[:, None], minus * motion * motion[:, None]

    def _coarse(self, wavefront: Wavefront) -> Real:
        """Return the PSF (nc, nc) over the chip."""
        grid = self.grid
        size = max(len(rho) for rho in self.shifts_coarse)
        otf = np.zeros((size, size))
        for scale, weight, rho, telescope in zip(
            self.scale, self.weight, self.shifts_coarse, self.telescope_coarse, strict=True
        ):
            otf[: len(rho), : len(rho)] += weight * telescope * wavefront.factor(scale, wavefront.even(rho))
        k = np.arange(size)
        # falls smoothly to 1e-6 where the grid ends: rings of the core would show in the wings
        otf *= np.exp(-14.0 * (np.hypot(k, k[:, None]) / (grid.nc / 2)) ** 4)
        line = np.sinc(self.df_coarse * grid.pixel * k) * _motion(wavefront, self.df_coarse, size)
        return np.maximum(_image(otf, otf, line, grid.nc) / grid.step**2 - self.ghost, 0.0)

    def _replicas(self, coarse: Real) -> tuple[Real, Real]:
        """Return, on the fine grid, what copies of the star one box width apart add, and the coarse grid itself."""
        grid = self.grid
        cells = grid.box // grid.step
        tiles = grid.nc // cells
        centred = np.roll(coarse, (cells // 2, cells // 2), axis=(0, 1))
        folded = centred.reshape(tiles, cells, tiles, cells).sum(axis=(0, 2)) + self.outside / grid.box**2
        around = self.node + grid.nc // 2 - cells // 2
        smooth = coarse[np.ix_(around, around)]
        copies = folded[np.ix_(self.node % cells, self.node % cells)] - smooth
        first, second = (
            product(product(self.spline, part.astype(np.float32)), self.spline.T) for part in (copies, smooth)
        )
        return first, second

    def _beyond(self) -> tuple[float, Real]:
        """Return the light beyond the coarse grid, and what its copies put into the grid."""
        grid = self.grid
        width = grid.nc * grid.step
        angle = (np.arange(64) + 0.5) * math.pi / 256

        def outside(half: float) -> float:
            """Light outside a square of half width ``half``: in each direction from half / cos on."""
            return sum(
                2 * math.pi * a / (p - 2) * math.pow(half, 2 - p) * float(np.mean(np.cos(angle) ** (p - 2)))
                for p, a in self.wing
            )

        node = np.linspace(-0.5, 0.5, 65) * width
        around = 3
        ghost = np.full((65, 65), outside((around + 0.5) * width) / width**2)
        for i in range(-around, around + 1):
            for j in range(-around, around + 1):
                if i or j:
                    r2 = (node + i * width) ** 2 + (node[:, None] + j * width) ** 2
                    ghost += sum(a * r2 ** (-p / 2) for p, a in self.wing)
        at = np.arange(grid.nc) / grid.nc * 64
        linear = np.maximum(0.0, 1.0 - np.abs(at[:, None] - np.arange(65)))
        return outside(width / 2), product(product(linear, ghost), linear.T)

    def _fwhm(self, both: Real, copies: float) -> float:
        """Return the FWHM (arcsec), mean of the cuts along x and y, without the pixel.

        ``both`` is the OTF at (i, j) plus that at (i, -j), ``copies`` what copies of the star add per pixel.
        """
        background = copies / (self.grid.pixel * self.df) ** 2
        widths = []
        for axis in (0, 1):
            line = both.sum(axis=axis) - 0.5 * both.take(0, axis=axis)
            line[0] *= 0.5
            widths.append(self._half_width(2.0 * line, background))
        return float(np.mean(widths)) * 2.0

    def _half_width(self, line: Real, background: float) -> float:
        """Return where the cut with the cosine coefficients ``line`` falls to half its centre, arcsec."""
        low, high = 0.0, self.grid.box * self.grid.pixel / 2
        f = self.df * np.arange(len(line))
        half = 0.5 * (float(line.sum()) - background)
        for _ in range(3):
            x = np.linspace(low, high, 64)
            cut = (np.cos(2 * math.pi * x[:, None] * f) * line).sum(axis=1) - background
            below = int(np.argmax(cut < half))
            if not below:
                return high
            low, high = x[below - 1], x[below]
        return float(0.5 * (low + high))


def _shifts(diameter: float, step: float, size: int) -> Floats:
    """Return the shifts (m) of the non-negative frequencies of a grid of ``size`` within the pupil's diameter."""
    return np.arange(min(size // 2, math.ceil(diameter / step)), dtype=float) * step


def _motion(wavefront: Wavefront, df: float, size: int) -> Floats:
    """Return the OTF of image motion along one axis."""
    return np.asarray(np.exp(-2.0 * (math.pi * wavefront.jitter * df * np.arange(size)) ** 2))


def _image(plus: Real, minus: Real, line: Real, size: int) -> Real:
    """Return the image (size, size), sum 1, centre at [size // 2, size // 2], of an OTF times line[i] line[j]."""
    n = len(plus)
    exact = np.complex128 if size <= 512 else np.complex64
    # shifting by half the size alternates the sign of the frequencies
    line = line * (1 - 2 * (np.arange(n) % 2))
    half = np.zeros((size, size // 2 + 1), exact)
    half[:n, :n] = plus * line * line[:, None]
    half[size - n + 1 :, :n] = (minus * line * line[:, None])[:0:-1]
    return np.asarray(np.fft.irfft2(half, s=(size, size)))

"""The point-spread function, from the optical transfer function."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from elvis_cli.base import parallel
from elvis_cli.base.arrays import Floats
from elvis_cli.errors import ElvisError
from elvis_cli.model.setup import Setup
from elvis_cli.model.telescope import Telescope
from elvis_cli.optics import pupil
from elvis_cli.optics.ao import corrected
from elvis_cli.optics.ao.wavefront import Wavefront, integral, product, seeing_limited
from elvis_cli.sky.turbulence import ARCSEC, KOLMOGOROV, REFERENCE, Air, Real, air

Stack = NDArray[np.float32]

ETC_OUTER_SCALE = 46.0
"""Outer scale in the ESO ETC's image quality, m."""
BLEND = 0.6
"""Part of the fine grid's radius from where it goes over into the coarse one."""
FEW = 4
"""Up to this many positions get the wide fine grid."""


@dataclass(frozen=True, slots=True, eq=False)
class Psf:
    """The PSF of each field position on two grids: the fraction of the star's light in a pixel centred there."""

    fine: Stack
    """(n, nf, nf): every 1/``oversample`` pixel, the star at [nf // 2, nf // 2]."""
    coarse: Stack
    """(n, nc, nc): every ``step`` pixels, the star at [nc // 2, nc // 2]; smoothed over about two steps, the arms of
    the diffraction pattern spread over all directions."""
    oversample: int
    step: int
    fine_radius: float
    """Pixels from the star up to which ``fine`` is to be used, ``coarse`` beyond."""
    pixel_scale: float
    """arcsec."""
    strehl: float
    """Of the first position, mean over the wavelengths."""
    fwhm: float
    """Of the first position, before the pixels, arcsec."""
    gaussian: bool = False
    """The PSF is the ETC's Gaussian of ``fwhm``."""

    def encircled(self, diameter_pix: float, index: int = 0) -> float:
        """Return the fraction of the light in a circle (diameter in pixels) about the star.

        The pixels' own blur is part of the light's distribution, except for the ETC's Gaussian, where the
        fraction is the ETC's 1 - 2^-((d / FWHM)^2).
        """
        if self.gaussian:
            return 1.0 - math.exp2(-((diameter_pix * self.pixel_scale / self.fwhm) ** 2))
        radius = 0.5 * diameter_pix
        inner = min(radius, self.fine_radius)
        total = disc(self.fine[index], inner * self.oversample) / self.oversample**2
        if radius > inner:
            coarse = self.coarse[index]
            ring = disc(coarse, radius / self.step) - disc(coarse, inner / self.step)
            total += ring * self.step**2
        return min(total, 1.0)


@dataclass(frozen=True, slots=True)
class _Grid:
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
        return self.box * self.oversample

    @property
    def radius(self) -> float:
        return self.box / 2 - 4.0


def build(
    setup: Setup, airmass: float, wave: Floats, weight: Floats, positions: Floats, guide: Floats = corrected.NOWHERE
) -> Psf:
    """Return the PSF at ``positions`` (n, 2), arcsec in the field; ``guide`` is the natural guide star's place.

    ``wave`` (um) and ``weight`` (sum 1) stand for the passband. The OTF is that of the pupil times
    exp(-(2 pi / wave)^2 D / 2) with the wavefront's structure function D (Roddier 1981), times those of image
    motion and of the square pixel. Lasers stand about the field centre, several natural guide stars about ``guide``.

    Raises
    ------
    ElvisError
        The Setup asks for a kind of PSF that does not exist.
    """
    if setup.psf == "gaussian":
        return _gaussian(setup, airmass, len(positions))
    if setup.psf == "cube":
        from elvis_cli.optics import user_psf

        return user_psf.build(setup, wave, weight, len(positions))
    wave, weight = np.asarray(wave, float), np.asarray(weight, float) / np.sum(weight)
    aperture = pupil.transfer(setup.telescope, setup.pupil_mask)
    if setup.psf == "seeing":
        atmosphere = air(setup, airmass)
        wavefronts = [seeing_limited(atmosphere, 1.5 * aperture.diameter)]
    elif setup.psf == "ao":
        budget = corrected.Corrected(setup, airmass, aperture.diameter, guide)
        atmosphere = budget.air
        wavefronts = parallel.gather(budget.towards, list(np.asarray(positions, float)))
    elif setup.psf == "diffraction":
        atmosphere = Air(math.inf, math.inf, *np.zeros((3, 0)))
        shift = np.array([0.0, 2.0 * aperture.diameter])
        wavefronts = [Wavefront(shift, np.zeros(2), variance=0.0, jitter=setup.jitter)]
    else:
        raise ElvisError(f"no PSF of the kind {setup.psf!r}: gaussian, seeing, ao, cube, diffraction")
    grid = _grid(setup, wave, len(wavefronts))
    maker = _Maker(grid, aperture, wave, weight, atmosphere)
    made = parallel.gather(maker.star, wavefronts)
    if len(made) < len(positions):  # the same everywhere
        made *= len(positions)
    return Psf(
        fine=np.stack([star[0] for star in made]),
        coarse=np.stack([star[1] for star in made]),
        oversample=grid.oversample,
        step=grid.step,
        fine_radius=grid.radius,
        pixel_scale=grid.pixel,
        strehl=made[0][2],
        fwhm=made[0][3],
    )


def image_quality(
    seeing: float, airmass: float, wavelength: float, telescope: Telescope, outer_scale: float = ETC_OUTER_SCALE
) -> float:
    """Return the ESO ETC's image quality, FWHM in arcsec, at ``wavelength`` um.

    FWHM_atm = s X^0.6 (l/500)^-0.2 sqrt(1 + F 2.183 (r0/L0)^0.356), F = 1/(1 + 300 D/L0) - 1,
    r0 = 0.100/s (l/500)^1.2 X^-0.6 m; FWHM_tel = 0.000212 l/D; l in nm (ESO ETC 2.0, after Martinez et al. 2010).
    D is the primary mirror, even where another one stops it down.
    """
    diameter = telescope.mirror or telescope.diameter
    scaled = wavelength * 1e3 / REFERENCE
    r0 = 0.100 / seeing * scaled**1.2 * airmass**-0.6
    size = 1.0 / (1.0 + 300.0 * diameter / outer_scale) - 1.0
    atmosphere = seeing * airmass**0.6 * scaled**-0.2
    atmosphere *= math.sqrt(max(0.0, 1.0 + size * 2.183 * (r0 / outer_scale) ** 0.356))
    return math.hypot(atmosphere, 0.000212 * wavelength * 1e3 / diameter)


def _gaussian(setup: Setup, airmass: float, count: int) -> Psf:
    """Return the Gaussian of the ETC's image quality, integrated over pixels."""
    fwhm = image_quality(setup.seeing, airmass, setup.filter_centre, setup.telescope)
    width = fwhm / setup.pixel_scale  # pixels
    oversample = max(2, power_of_two(8.0 / width))
    box = power_of_two(10.0 * width)
    step = max(1, box // 32)
    slope = 2.0 * math.sqrt(math.log(2.0)) / width

    def profile(size: int, pitch: float) -> Stack:
        offset = (np.arange(size) - size // 2) * pitch
        line = np.array([0.5 * (math.erf(slope * (x + 0.5)) - math.erf(slope * (x - 0.5))) for x in offset])
        return np.repeat(np.outer(line, line).astype(np.float32)[None], count, axis=0)

    return Psf(
        fine=profile(box * oversample, 1.0 / oversample),
        coarse=profile(64, float(step)),
        oversample=oversample,
        step=step,
        fine_radius=box / 2 - 2.0,
        pixel_scale=setup.pixel_scale,
        strehl=0.0,
        fwhm=fwhm,
        gaussian=True,
    )


def power_of_two(x: float) -> int:
    """Return the smallest power of two that is at least ``x``."""
    return 1 << max(0, math.ceil(math.log2(x)))


def _grid(setup: Setup, wave: Floats, count: int) -> _Grid:
    """Return a sampling that resolves the PSF and reaches over a chip."""
    pixel = setup.pixel_scale
    finest = setup.telescope.diameter / (float(wave.min()) * 1e-6) * ARCSEC  # cycles/arcsec
    if setup.psf == "seeing":  # nothing is left beyond a few times r0
        finest = min(finest, 4.0 / setup.seeing)
    oversample = min(power_of_two(3.0 * pixel * finest), 32)  # beyond, the pixel has blurred it all away
    few = count <= FEW
    if setup.psf == "seeing":
        box = min(power_of_two(24.0 * setup.seeing / pixel), max(64, 1024 // oversample))
    else:
        box = max(64, (1024 if few else 512) // oversample)
    # the coarse grid is sharp enough from about eight steps on, and should reach over a chip
    reach = 2 * max(setup.detector.nx, setup.detector.ny)
    step = min(box // 32, power_of_two(max(reach, 4 * box) / 512))
    nc = min(power_of_two(reach / step), 1024 if few else 512)
    return _Grid(pixel, oversample, box, step, max(nc, 4 * box // step))


class _Maker:
    """Makes the PSFs of one passband; what does not depend on the field position is made once."""

    def __init__(self, grid: _Grid, aperture: pupil.Pupil, wave: Floats, weight: Floats, atmosphere: Air) -> None:
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
                even = np.float32(weight) * np.exp(np.float32(scale) * even)
                plus[cut] += right * even
                minus[cut] += left * even
            else:
                plus[cut] += np.float32(weight) * right * np.exp(np.float32(scale) * (even + odd))
                minus[cut] += np.float32(weight) * left * np.exp(np.float32(scale) * (even - odd))
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
            otf[: len(rho), : len(rho)] += weight * telescope * np.exp(np.float32(scale) * wavefront.structure(rho)[0])
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


def disc(image: Real, radius: float) -> float:
    """Return the sum inside a circle about [n // 2, n // 2], radius in samples, samples at its border shared."""
    middle = image.shape[0] // 2
    reach = min(middle, math.ceil(radius) + 1)
    cut = slice(middle - reach, min(middle + reach + 1, image.shape[0]))
    offset = np.arange(cut.start, cut.stop) - middle
    inside = np.clip(radius + 0.5 - np.hypot(offset, offset[:, None]), 0.0, 1.0)
    return float((image[cut, cut] * inside).sum(dtype=np.float64))

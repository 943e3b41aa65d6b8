"""The image of the star behind a coronagraph: what leaks coherently, the halo of the residual turbulence, speckles.

For stationary Gaussian residuals the mean image is I = exp(-s2) |F E|^2 + T H: E the field behind the stop without
them, s2 their phase variance, H the light that they scatter, as without a mask, and T the mask's transmission of light
at that distance. Static and slow aberrations are in E. Image motion on the mask is the mean of the star at rest and
of four tilts of twice its standard deviation. The image is symmetric about the star: behind a vortex, as unpolarised
light sees both handednesses; behind a disc this leaves out how static and diffracted light interfere.

One exposure's speckles are a modified Rician (Aime & Soummer 2004, ApJ 612, L85), of which it averages as many as
there are speckle lifetimes in it. In a cube one pattern is drawn against theta / lambda: speckles move outwards with
the wavelength, lines of companions do not.
"""

from __future__ import annotations

import hashlib
import math
import pickle
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from elvis_cli.base import parallel
from elvis_cli.base.arrays import Floats
from elvis_cli.base.constants import ARCSEC
from elvis_cli.base.random_streams import generator, pattern_key
from elvis_cli.model.atmosphere import Atmosphere
from elvis_cli.model.coronagraph import Coronagraph
from elvis_cli.model.psf_model import AoPsf
from elvis_cli.model.setup import Optics
from elvis_cli.model.telescope import Telescope
from elvis_cli.optics import otf, psf_store, pupil
from elvis_cli.optics.ao.corrected import Corrected
from elvis_cli.optics.ao.wavefront import Wavefront, uniform_motion
from elvis_cli.optics.coronagraph import FAR, NEAR_AXIS, Operator, Transmission, energy
from elvis_cli.optics.otf import Grid
from elvis_cli.optics.psf_types import Psf, Stack
from elvis_cli.sky.turbulence import NO_AIR, Air

COARSER = (4, 2)
"""Samples of the pupil taken together for the table of transmissions, near the axis and far from it."""
BLURRED = ("spot", "none")
"""Masks that leave the field in the pupil alone: motion of the star blurs its image, as without a mask."""
EDGE = 1e-6
"""Of its radius, within which a spot ends."""
KNEE = 2.0
"""Cycles across the pupil below which the spectrum of slow aberrations is flat; beyond it falls as f^-2."""


@dataclass(frozen=True, slots=True, eq=False)
class OccultedStar:
    """The light of a star on the mask, in units of what would pass the stop without one, on the grids of a PSF."""

    coherent: Psf
    """(1, ...)."""
    halo: Psf
    leak: float
    """All light of the coherent image without turbulence."""

    def mean(self) -> Psf:
        """Return the mean image, as a PSF whose sum is what is left of the star."""
        return replace(
            self.coherent,
            fine=self.coherent.fine + self.halo.fine,
            coarse=self.coherent.coarse + self.halo.coarse,
        )

    def exposed(self, optics: Optics, wave: float, lifetimes: float, rng: Generator) -> Psf:
        """Return the image of one exposure, which averages 1 + ``lifetimes`` patterns of speckles; ``wave`` in um."""
        return self.with_speckles(speckles(self.coherent, optics, wave, rng), lifetimes)

    def with_speckles(self, u: NDArray[np.complex64], lifetimes: float) -> Psf:
        """Return the image of one exposure; ``u`` is a field of `speckles`, ``lifetimes`` are as in `exposed`."""
        psf = self.coherent
        c, h = self.coherent.fine[0], self.halo.fine[0]
        patterns = 1.0 + lifetimes
        fine = c + h * (1.0 + (np.abs(u) ** 2 - 1.0) / math.sqrt(patterns)) + 2.0 * np.sqrt(c * h / patterns) * u.real
        fine = np.maximum(fine, 0.0).astype(np.float32)
        return replace(psf, fine=fine[None], coarse=psf.coarse + self.halo.coarse)

    def stretched(self, ratio: float) -> OccultedStar:
        """Return the star at ``ratio`` times its wavelength, its fine images being functions of theta / lambda."""

        def larger(psf: Psf) -> Psf:
            fine = np.maximum(stretched(psf.fine[0], ratio), 0.0) * np.float32(ratio**-2)
            return replace(psf, fine=fine[None])

        return replace(self, coherent=larger(self.coherent), halo=larger(self.halo))


def mixed(low: OccultedStar, high: OccultedStar, part: float) -> OccultedStar:
    """Return 1 - ``part`` of one star and ``part`` of another on the same grids."""
    a, b = np.float32(1.0 - part), np.float32(part)

    def both(first: Psf, second: Psf) -> Psf:
        return replace(first, fine=a * first.fine + b * second.fine, coarse=a * first.coarse + b * second.coarse)

    return OccultedStar(
        both(low.coherent, high.coherent), both(low.halo, high.halo), (1.0 - part) * low.leak + part * high.leak
    )


def stretched(image: Stack, ratio: float) -> Stack:
    """Return an image (n, n) ``ratio`` times as large about [n // 2, n // 2], beyond its border as on it."""
    n = len(image)
    first, weights = pupil.cubic((np.arange(n) - n // 2) / ratio + n // 2)
    taps = [(np.clip(first + k - 1, 0, n - 1), weights[k]) for k in range(4)]
    rows = sum(weight[:, None] * image[at] for at, weight in taps)
    columns = np.ascontiguousarray(np.asarray(rows).T)
    return np.asarray(sum(weight[:, None] * columns[at] for at, weight in taps)).T


def unit(optics: Optics, wave: float) -> float:
    """Return lambda / D at ``wave`` (um), arcsec; D is the telescope's diameter for diffraction."""
    return wave * 1e-6 / optics.telescope.diameter / ARCSEC


@lru_cache(maxsize=4)
def operator(telescope: Telescope, coronagraph: Coronagraph) -> Operator:
    """Return the operator of a coronagraph, with the telescope's diameter as that of lambda / D."""
    return Operator(telescope, coronagraph, telescope.diameter)


@lru_cache(maxsize=4)
def transmission(telescope: Telescope, coronagraph: Coronagraph, radius: float) -> Transmission:
    """Return the transmissions of a mask over the distance from its centre; ``radius`` (lambda / D) is a disc's.

    They are kept on disk: each takes dozens of propagations, the same for all requests of a mode.
    """
    if coronagraph.mask == "spot":
        passed = np.array([coronagraph.depth, 1.0])
        return Transmission(radius * np.array([1.0, 1.0 + EDGE]), passed, passed)
    key = hashlib.sha256(pickle.dumps(("transmission", telescope, coronagraph, radius))).digest()
    tables = psf_store.find(key)
    if tables is None:
        parts = [
            operator(telescope, coronagraph).coarsened(coarser).transmission(distances, radius)
            for coarser, distances in zip(COARSER, (NEAR_AXIS, FAR), strict=True)
        ]
        tables = np.concatenate(parts, axis=1)
        psf_store.add({key: tables})
    return Transmission(np.concatenate([NEAR_AXIS, FAR]), *tables)


def throughput(telescope: Telescope, coronagraph: Coronagraph) -> float:
    """Return the fraction of the light from the telescope that passes apodiser and stop."""
    return operator(telescope, coronagraph).throughput


@lru_cache(maxsize=4)
def aperture(telescope: Telescope, coronagraph: Coronagraph) -> pupil.Pupil:
    """Return the OTF of the pupil with apodiser and stop, as a point far from the mask sees it."""
    parts = operator(telescope, coronagraph)
    plain = pupil.correlate(parts.plain)
    return pupil.Pupil(pupil.extent(telescope), parts.step, plain, pupil.initial_slope(plain, parts.step))


def build(
    psf: AoPsf,
    optics: Optics,
    atmosphere: Atmosphere,
    extent: int,
    samples: tuple[Floats, Floats],
    slow: tuple[float, int],
) -> OccultedStar:
    """Return the star on the mask; ``extent`` and ``samples`` (wave and weight) are as in `make_psf.build`.

    ``slow`` is the time since the start of the series, s, and the seed of the aberrations that grow in it.
    """
    device = optics.coronagraph
    assert device is not None
    slowly = device.static**2 + device.drift**2
    fast = replace(psf.system, residual=math.sqrt(max(psf.system.residual**2 - slowly, 0.0)))
    budget = Corrected(replace(psf, system=fast), optics.telescope, atmosphere, pupil.extent(optics.telescope))
    grid = otf.grid(optics, extent, float(np.min(samples[0])), 1, None)
    opd = slow_aberrations(device, optics.telescope, *slow)
    return image(optics, grid, samples, budget.towards(np.zeros(2)), budget.air, opd)


def image(
    optics: Optics,
    grid: Grid,
    samples: tuple[Floats, Floats],
    wavefront: Wavefront,
    air: Air,
    opd: Floats | None = None,
) -> OccultedStar:
    """Return the star on the mask behind a residual ``wavefront`` and slow aberrations ``opd`` (ACROSS, ACROSS), nm."""
    device, telescope = optics.coronagraph, optics.telescope
    assert device is not None
    wave, weight = samples
    middle = float(weight @ wave)
    radius = device.radius / unit(optics, middle)
    held = np.exp(-wavefront.variance * (2 * math.pi / (wave * 1e3)) ** 2)  # exp(-s2)
    leaked, leak = leaking(optics, middle, radius, opd)
    # without a mask before the stop image motion blurs
    motion = uniform_motion(2.0 * pupil.extent(telescope), device.jitter * 1e-3 if device.mask in BLURRED else 0.0)
    coherent = otf.build(grid, leaked, wave, weight * held, NO_AIR, [motion], 1)
    whole = replace(aperture(telescope, device), slope=0.0)
    halo = otf.build(grid, whole, wave, weight, air, [replace(wavefront, halo=True)], 1)
    scattered = float(weight @ (1.0 - held))
    table = None if device.mask in BLURRED else transmission(telescope, device, radius)
    return OccultedStar(
        _scaled(coherent, leak * float(weight @ held)),
        _behind(halo, scattered, table, unit(optics, middle)),
        leak,
    )


def leaking(optics: Optics, wave: float, radius: float, opd: Floats | None = None) -> tuple[pupil.Pupil, float]:
    """Return the OTF of the star's coherent light behind the stop, and its energy over that without a mask.

    ``wave`` is in um, ``radius`` (lambda / D) is a disc's, ``opd`` (ACROSS, ACROSS) the slow aberrations, nm.
    """
    device = optics.coronagraph
    assert device is not None
    parts = operator(optics.telescope, device)
    phase = 1.0 if opd is None else np.exp(2j * math.pi / (wave * 1e3) * opd).astype(np.complex64)
    passed, total = energy(parts.plain), 0.0
    power = np.zeros((pupil.SIZE, pupil.SIZE), np.float32)

    def tilted(motion: tuple[float, float, float]) -> tuple[float, NDArray[np.float32], float]:
        weight, x, y = motion
        field = parts.behind(parts.tilt(x, y) * phase, radius)
        return weight, pupil.power(field), energy(field)

    first, *others = _motion(0.0 if device.mask in BLURRED else device.jitter * 1e-3 / unit(optics, wave))
    # one alone first: it makes what all share
    for weight, spectrum, light in (tilted(first), *parallel.gather(tilted, others)):
        power += np.float32((1.0 - device.leak) * weight) * spectrum
        total += (1.0 - device.leak) * weight * light / passed
    if device.leak:
        power += np.float32(device.leak) * pupil.power(parts.plain * phase)
        total += device.leak
    result = pupil.otf_of(power)
    slope = pupil.initial_slope(result, parts.step)
    return pupil.Pupil(pupil.extent(optics.telescope), parts.step, result, slope), total


def _motion(sigma: float) -> list[tuple[float, float, float]]:
    """Return weights and tilts (x, y) whose mean is that over a Gaussian's, ``sigma`` per axis.

    It is exact for what depends on the distance up to its fourth power: <r^2> = 2 sigma^2, <r^4> = 8 sigma^4. Opposite
    tilts differ behind an unsymmetric pupil and one handedness; the image mirrored is that of the other.
    """
    if not sigma:
        return [(1.0, 0.0, 0.0)]
    away = 2.0 * sigma
    return [(0.5, 0.0, 0.0), *((0.125, away * x, away * y) for x, y in ((1, 0), (-1, 0), (0, 1), (0, -1)))]


def _scaled(psf: Psf, factor: float) -> Psf:
    """Return a PSF times a factor."""
    return replace(psf, fine=psf.fine * np.float32(factor), coarse=psf.coarse * np.float32(factor))


def behind_spot(psf: Psf, table: Transmission, unit: float) -> Psf:
    """Return an image of the star (1, ...) behind a spot in the last focus; ``unit`` is lambda / D, arcsec."""
    return _behind(psf, 1.0, table, unit)


def _behind(psf: Psf, factor: float, table: Transmission | None, unit: float) -> Psf:
    """Return a PSF times a factor and the transmission of a mask; ``unit`` is lambda / D, arcsec."""
    pixel = psf.pixel_scale / unit
    return replace(
        psf,
        fine=_dimmed(psf.fine, factor, table, pixel / psf.oversample),
        coarse=_dimmed(psf.coarse, factor, table, pixel * psf.step),
    )


def _dimmed(stack: Stack, factor: float, table: Transmission | None, step: float) -> Stack:
    """Return a PSF's grid (1, n, n) times a factor and the transmission; ``step`` is in lambda / D."""
    if table is None:
        return np.asarray(stack * np.float32(factor))
    offset = (np.arange(stack.shape[1]) - stack.shape[1] // 2) * step
    distance = np.hypot(offset, offset[:, None])
    return np.asarray(stack * (factor * table.of_energy(distance)).astype(np.float32)[None])


def slow_aberrations(device: Coronagraph, telescope: Telescope, elapsed: float, seed: int) -> Floats | None:
    """Return the static and the slowly growing path difference (ACROSS, ACROSS), nm; None if there is none."""
    if not device.static and not device.drift:
        return None
    parts = operator(telescope, device)
    always = generator(pattern_key(telescope.name, device.name, 0, "static aberrations"), 0, 0, "static aberrations", 0)
    opd = device.static * _aberration(parts, always)
    if device.drift and elapsed:
        later = generator(seed, 0, 0, "slow aberrations", 0)
        opd += device.drift * elapsed / device.drift_time * _aberration(parts, later)
    return opd


def _aberration(parts: Operator, rng: Generator) -> Floats:
    """Return a random map (ACROSS, ACROSS) of mean 0 and rms 1 over the pupil; spectrum 1 / (f^2 + KNEE^2)."""
    from scipy import fft

    n = 2 * len(parts.x)
    f = fft.fftfreq(n, parts.step / parts.diameter)  # cycles across the pupil
    squared = f[: n // 2 + 1] ** 2 + f[:, None] ** 2
    inside = squared < (parts.diameter / 1.0) ** 2  # what a deformable mirror of 0.5 m between actuators shapes
    noise = rng.standard_normal((n, n)).astype(np.float32)
    spectrum = fft.rfft2(noise) * np.where(inside, (squared + KNEE**2) ** -0.5, 0.0).astype(np.float32)
    values = fft.irfft2(spectrum, s=(n, n))[: n // 2, : n // 2]
    weight = parts.pupil**2 / (parts.pupil**2).sum()
    values -= (values * weight).sum()
    return np.asarray(values / math.sqrt((values**2 * weight).sum()))


def speckles(psf: Psf, optics: Optics, wave: float, rng: Generator) -> NDArray[np.complex64]:
    """Return a complex Gaussian field (nf, nf) on the fine grid, mean |u|^2 = 1, correlated as the pupil makes it."""
    from scipy import fft

    device = optics.coronagraph
    assert device is not None
    parts = operator(optics.telescope, device)
    n = psf.fine.shape[1]
    pitch = wave * 1e-6 / ARCSEC / (n * psf.pixel_scale / psf.oversample)  # m in the pupil between samples
    half = min(n // 2, math.ceil(pupil.extent(optics.telescope) / 2 / pitch))
    at = np.rint(np.arange(-half, half) * pitch / parts.step + (len(parts.x) - 1) / 2).astype(int)
    inside = (at >= 0) & (at < len(parts.x))
    amplitude = parts.plain[np.ix_(np.clip(at, 0, len(parts.x) - 1), np.clip(at, 0, len(parts.x) - 1))]
    amplitude = amplitude * inside * inside[:, None]
    noise = rng.standard_normal((2, 2 * half, 2 * half), np.float32)
    field = np.zeros((n, n), np.complex64)
    field[: 2 * half, : 2 * half] = (noise[0] + 1j * noise[1]) * amplitude
    result = fft.fft2(field, overwrite_x=True) / math.sqrt(2.0 * float((amplitude**2).sum()))
    return np.asarray(result)

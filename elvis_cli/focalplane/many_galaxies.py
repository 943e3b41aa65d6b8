"""Many galaxies at once: their light on elements finer than the pixels, convolved with the PSF strip by strip.

The light of each Sersic profile is parted smoothly by elliptical radius, so that each part is sampled well enough for
what it is: the cusp is made of points (`elvis_cli.kernels.galaxy`), what follows of samples on the fine elements, and
a tail, which the PSF leaves as it is, of samples on coarse ones. The PSF is parted too: its core meets the fine light;
its wings, smooth over many pixels, a rougher image; its far halo the galaxies' centres.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from elvis_cli.base import parallel
from elvis_cli.base.arrays import Floats
from elvis_cli.focalplane import convolution
from elvis_cli.focalplane.geometry import field_to_pixel, rotation
from elvis_cli.model.detector import Chip
from elvis_cli.model.elvis_block import Window
from elvis_cli.model.setup import Setup
from elvis_cli.optics.psf_types import Psf
from elvis_cli.scene.component import Galaxies

Image = NDArray[np.float32]
CORE = 32
"""Half size of the PSF's core, pixels, if the PSF is so wide; the taper to the wings runs from half of it to all."""
STRIP = 512
"""Rows of one strip."""
CUSP = (2.0, 6.0)
"""Fine elements along the minor axis between which points go over into samples."""
SMOOTH = (16.0, 32.0)
"""Pixels along the minor axis between which samples go over into the tail."""
NODE = 4
"""Pixels of a coarse element."""
LIGHT = 0.9995
"""Of a profile that is drawn, scaled up to all of it."""
FARTHEST = 4096.0
"""Pixels along the major axis beyond which nothing is drawn."""
POINTS, ROUGH = 2048, 128
"""Of the cusp; and of a whole galaxy under the PSF's wings."""
INDEX = (0.25, 12.0, 48)
"""Sersic indices: least, most, and how many in the table of radii."""


@dataclass(frozen=True, slots=True, eq=False)
class Profiles:
    """Sersic profiles on the pixels and axes of a chip; all arrays (n,)."""

    x: Floats
    y: Floats
    rate: Floats
    """Electrons/s, all light."""
    radius: Floats
    """Half-light radius along the major axis, pixels."""
    index: Floats
    ratio: Floats
    """Minor over major axis."""
    angle: Floats
    """Of the major axis from +x towards +y, rad."""

    def __getitem__(self, rows: NDArray[np.bool_]) -> Profiles:
        """Return some of them."""
        return Profiles(*(getattr(self, name)[rows] for name in self.__dataclass_fields__))

    @property
    def b(self) -> Floats:
        """The profiles' constants b (`elvis_cli.scene.sersic.Sersic`)."""
        from scipy.special import gammaincinv

        return np.asarray(gammaincinv(2.0 * self.index, 0.5))

    def intensity(self) -> Floats:
        """Return I_e per pixel for unit light (Graham & Driver 2005, eq. 4)."""
        from scipy.special import gammaln

        n, b = self.index, self.b
        log = np.log(2.0 * math.pi * n * self.ratio) + 2.0 * np.log(self.radius)
        return np.asarray(np.exp(-(log + b - 2.0 * n * np.log(b) + gammaln(2.0 * n))))

    def enclosed(self, radius: Floats) -> Floats:
        """Return the fraction of each one's light inside an elliptical radius, pixels (eq. 2)."""
        from scipy.special import gammainc

        return np.asarray(gammainc(2.0 * self.index, self.b * (radius / self.radius) ** (1.0 / self.index)))

    def containing(self, light: float) -> Floats:
        """Return the elliptical radius that holds a fraction of each one's light, pixels."""
        from scipy.special import gammaincinv

        return np.asarray(self.radius * (gammaincinv(2.0 * self.index, light) / self.b) ** self.index)


def on_chip(shapes: Galaxies, rate: Floats, setup: Setup, chip: Chip, window: Window) -> Profiles:
    """Return galaxies of the field, ``rate`` electrons/s each, on the pixels of a window."""
    x, y = field_to_pixel(setup, chip, shapes.x, shapes.y)
    cos, sin = rotation(chip)
    angle = shapes.angle - math.atan2(sin, cos)
    radius = shapes.radius / setup.optics.pixel_scale
    return Profiles(x - window.x0, y - window.y0, rate, radius, shapes.index, shapes.ratio, angle)


def draw(image: Image, profiles: Profiles, psf: Psf, chip: Chip) -> None:
    """Add galaxies, convolved with PSF number 0, to ``image`` (ny, nx)."""
    ny, nx = image.shape
    response, far = convolution.core_and_halo(psf, chip, 0)
    margin = response.shape[0] // 2
    _add_far(image, profiles, far, psf.step)
    end = np.minimum(profiles.containing(LIGHT), FARTHEST)
    reach = np.minimum(end, 1.5 * SMOOTH[1] / profiles.ratio) + margin
    x, y = profiles.x, profiles.y
    near = (x > -reach) & (x < nx + reach) & (y > -reach) & (y < ny + reach) & (profiles.rate > 0)
    _add_tails(image, profiles, end)
    if not near.any():
        return
    profiles, end = profiles[near], end[near]
    half = min(CORE, margin)
    middle = slice(margin - half, margin + half + 1)
    response[middle, middle] -= _add_cores(image, profiles, end, psf, chip, half)
    light = np.zeros(convolution.padded(image.shape, margin), np.float32)
    _points(light, profiles, margin, margin, 1, _tail(profiles, end), ROUGH)
    image += convolution.convolve([(light, 2)], np.maximum(response, 0.0))[:ny, :nx]


def _tail(profiles: Profiles, end: Floats) -> Floats:
    """Return the elliptical radii (n, 2) between which the tail begins; beyond ``end`` where there is none."""
    begin = np.stack([SMOOTH[0] / profiles.ratio, SMOOTH[1] / profiles.ratio], axis=1)
    return np.where((end > begin[:, 1])[:, None], begin, end[:, None])


def _shape(profiles: Profiles, scale: float) -> tuple[Floats, Floats]:
    cos, sin = np.cos(profiles.angle), np.sin(profiles.angle)
    return profiles.radius * scale, np.stack([profiles.ratio, cos, sin], axis=1)


def _points(image: Image, profiles: Profiles, left: float, low: float, scale: int, limits: Floats, count: int) -> None:
    """Add the middles of profiles as ``count`` points each; ``limits`` (n, 2), pixels: where their weight falls.

    Pixel (0, 0) is at element (left, low) of ``image``; a pixel is ``scale`` elements wide.
    """
    from elvis_cli.kernels import galaxy

    table, first, step = _radii()
    inside = profiles.enclosed(limits[:, 1])
    flux = profiles.rate * inside / profiles.enclosed(np.minimum(profiles.containing(LIGHT), FARTHEST))
    radius, axes = _shape(profiles, scale)
    place = np.stack([profiles.x * scale + left, profiles.y * scale + low, flux], axis=1)
    shape = np.column_stack([radius, np.log(profiles.index), axes, np.sqrt(inside)])
    galaxy.add_points(image, place, shape, limits * scale, table, first, step, _spiral(count))


def _samples(image: Image, profiles: Profiles, left: float, low: float, scale: float, limits: Floats) -> None:
    """Add samples of profiles; as for `_points`, ``limits`` (n, 4) as for the kernel."""
    from elvis_cli.kernels import galaxy

    drawn = profiles.enclosed(np.minimum(profiles.containing(LIGHT), FARTHEST))
    radius, axes = _shape(profiles, scale)
    intensity = profiles.rate / drawn * profiles.intensity() / scale**2
    place = np.stack([profiles.x * scale + left, profiles.y * scale + low, intensity], axis=1)
    shape = np.column_stack([radius, 1.0 / profiles.index, profiles.b, axes])
    galaxy.add_samples(image, place, shape, limits * scale)


def _add_cores(image: Image, profiles: Profiles, end: Floats, psf: Psf, chip: Chip, half: int) -> Image:
    """Add the galaxies less their tails, convolved with the PSF's core; return that core, (2 half + 1, ...) pixels."""
    from scipy import fft

    ny, nx = image.shape
    fine = min(max(psf.oversample // 2, 1), 4)
    fine_core = _core(psf, chip, fine, half)
    rows, columns = (fft.next_fast_len(fine * (n + 2 * half), real=True) for n in (min(STRIP, ny), nx))
    rows += -rows % fine
    larger = np.zeros((rows, columns), np.float32)
    larger[: fine_core.shape[0], : fine_core.shape[1]] = fine_core
    transfer = fft.rfft2(larger)
    sinc = (np.sinc(fft.fftfreq(rows))[:, None] * np.sinc(fft.rfftfreq(columns))).astype(np.float32) ** 2
    cusp = np.array(CUSP) / fine / profiles.ratio[:, None]
    tail = _tail(profiles, end)
    cusp = np.where(end[:, None] < cusp[:, 1:], end[:, None], cusp)  # a small one is all points
    reach = tail[:, 1] + half + 2

    def work(y0: int) -> None:
        y1 = min(y0 + STRIP, ny)
        here = (profiles.y > y0 - reach) & (profiles.y < y1 + reach)
        if not here.any():
            return
        some, left, low = profiles[here], float(fine * half), float(fine * (half - y0))
        points, samples = np.zeros((2, rows, columns), np.float32)
        _points(points, some, left, low, fine, cusp[here], POINTS)
        _samples(samples, some, left, low, fine, np.column_stack([cusp[here], tail[here]]))
        spectrum = fft.rfft2(points)
        spectrum /= sinc
        spectrum += fft.rfft2(samples)
        spectrum *= transfer
        # every ``fine``th row: the spectrum folded
        folded = spectrum.reshape(fine, rows // fine, -1).mean(axis=0)
        blurred = fft.irfft2(folded, s=(rows // fine, columns))[2 * half :, 2 * half * fine :: fine]
        image[y0:y1] += np.maximum(blurred[: y1 - y0, :nx], 0.0)

    parallel.gather(work, range(0, ny, STRIP))
    return fine_core[::fine, ::fine]


def _core(psf: Psf, chip: Chip, fine: int, half: int) -> Image:
    """Return the tapered core of the PSF (2 fine half + 1, ...) on elements of 1 / ``fine`` pixel, star in the middle.

    Its values are shares of the light in a pixel that is centred there.
    """
    size = 2 * fine * half + 1
    core = np.zeros((size + fine - 1, size + fine - 1), np.float32)
    for j in range(fine):
        for i in range(fine):
            stamp = np.zeros((2 * half + 1, 2 * half + 1), np.float32)
            convolution.add_star(stamp, half - i / fine, half - j / fine, 1.0, psf, chip, 0)
            core[j::fine, i::fine] = stamp
    offset = (np.arange(size) - fine * half) / fine
    r = np.hypot(offset, offset[:, None])
    taper = 0.5 + 0.5 * np.cos(math.pi * np.clip(2.0 * r / half - 1.0, 0.0, 1.0))
    return core[:size, :size] * taper.astype(np.float32)


def _add_far(image: Image, profiles: Profiles, halo: Image, step: int) -> None:
    """Add the far halo of the PSF about the galaxies' centres."""
    from elvis_cli.kernels import stamp

    x, y = profiles.x, profiles.y

    def draw(size: tuple[int, int], px: float, py: float) -> list[Image]:
        points = np.zeros(size, np.float32)
        stamp.deposit(points, (x - x[0]) / step + px, (y - y[0]) / step + py, profiles.rate)
        return [points]

    convolution.add_halo(image, float(x[0]), float(y[0]), halo, step, draw)


def _add_tails(image: Image, profiles: Profiles, end: Floats) -> None:
    """Add what the cores leave out of large profiles, from nodes NODE pixels apart, cubic between."""
    begin = _tail(profiles, end)
    ny, nx = image.shape
    x, y = profiles.x, profiles.y
    far = (begin[:, 1] < end) & (x > -end) & (x < nx + end) & (y > -end) & (y < ny + end)
    if not far.any():
        return
    nodes = np.zeros((ny // NODE + 4, nx // NODE + 4), np.float32)
    limits = np.column_stack([begin, end, end])[far]
    _samples(nodes, profiles[far], 1.0, 1.0, 1.0 / NODE, limits)
    nodes /= NODE**2
    along, across = _cubic(ny, nodes.shape[0]), _cubic(nx, nodes.shape[1])

    def work(_: int, rows: slice) -> None:
        first, weight = along[0][rows], along[1][:, rows]
        lines = sum(weight[k, :, None] * nodes[first + k] for k in range(4))
        image[rows] += sum(across[1][k] * np.asarray(lines)[:, across[0] + k] for k in range(4))

    parallel.for_rows(ny, work)


def _cubic(size: int, count: int) -> tuple[NDArray[np.int64], Image]:
    """Return the first of four nodes (node 1 is at pixel 0) around each pixel, and their weights (4, n) (Keys 1981)."""
    from elvis_cli.optics.pupil import cubic

    first, weights = cubic(np.arange(size) / NODE + 1.0)
    return np.minimum(first - 1, count - 4), weights


def _spiral(count: int) -> Floats:
    """Return cos, sin and sqrt of the light's fraction of points on Vogel's spiral, (3, count)."""
    n = np.arange(count)
    turn = n * math.pi * (3.0 - math.sqrt(5.0))
    return np.stack([np.cos(turn), np.sin(turn), np.sqrt((n + 0.5) / count)])


def _radii() -> tuple[Floats, float, float]:
    """Return the table of radii of the kernel `add_points`, and the first and the step of ln of the index."""
    from scipy.special import gammaincinv

    log = np.linspace(math.log(INDEX[0]), math.log(INDEX[1]), INDEX[2])
    n, v = np.exp(log)[:, None], np.linspace(0.0, 1.0, 129)
    v[0], v[-1] = 1e-4, math.sqrt(LIGHT)
    table = (gammaincinv(2.0 * n, v**2) / gammaincinv(2.0 * n, 0.5)) ** n / v
    return table, float(log[0]), float(log[1] - log[0])

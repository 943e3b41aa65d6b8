"""Sersic profiles, one or many at once, convolved with the PSF: each part of a profile on a grid fine enough for it.

The light of a profile is parted smoothly by elliptical radius. The middle is made of points of light on elements finer
than the pixels, and meets the PSF's core there, tile by tile; the PSF's wings, smooth over many pixels, meet it on
the pixels. What follows is sampled on the pixels, and the tail on nodes some pixels apart; both meet all of the PSF
but its far halo, which is added to the whole profile, on elements of the halo's own grid.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import product

import numpy as np
from numpy.typing import NDArray

from elvis_cli.base import parallel
from elvis_cli.base.arrays import Floats, Image
from elvis_cli.base.taper import taper
from elvis_cli.focalplane import convolution
from elvis_cli.focalplane.geometry import field_to_pixel, rotation
from elvis_cli.model.detector import Chip
from elvis_cli.model.elvis_block import Window
from elvis_cli.model.setup import Setup
from elvis_cli.optics.psf_types import Psf
from elvis_cli.scene import sersic
from elvis_cli.scene.component import Galaxies, Profile

CORE = 32
"""Half size of the PSF's core, pixels, if the PSF is so wide; the taper to the wings runs from half of it to all."""
TILE = 512
"""Pixels along a side of one tile, about: the transforms of larger ones spend their time on new pages of memory."""
TO_SAMPLES = (2.0, 6.0)
"""Pixels along the minor axis between which points go over into samples."""
TO_TAIL = (16.0, 32.0)
"""Pixels along the minor axis between which samples go over into the tail."""
NODE = 4
"""Pixels between the nodes of the tail."""
GUARD = 8
"""Nodes beyond those that are needed: there the spline has forgotten the edge."""
LIGHT = 0.9998
"""Fraction of a profile that is drawn."""
DENSITY = 12.0
"""Points per pixel: what they lack of a profile is about 0.015 / DENSITY of its peak, on finer elements too."""
POINTS = (512, 16384)
"""Least and most points of a profile's middle."""
ROUGH_POINTS = 128
"""Points of a profile under the PSF's wings, and of a whole one under its halo."""
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

    def moved(self, x: float, y: float) -> Profiles:
        """Return the profiles at places x, y pixels further."""
        return Profiles(self.x + x, self.y + y, self.rate, self.radius, self.index, self.ratio, self.angle)

    def enclosed(self, radius: Floats) -> Floats:
        """Return the fraction of each one's light inside an elliptical radius, pixels."""
        return sersic.enclosed(self.index, radius / self.radius)

    def containing(self, fraction: float) -> Floats:
        """Return the elliptical radius that holds a fraction of each one's light, pixels."""
        return self.radius * sersic.radius_of(self.index, fraction)


def on_chip(shapes: Galaxies, rate: Floats, setup: Setup, chip: Chip, window: Window) -> Profiles:
    """Return galaxies of the field, ``rate`` electrons/s each, on the pixels of a window."""
    x, y = field_to_pixel(setup, chip, shapes.x, shapes.y)
    cos, sin = rotation(chip)
    angle = shapes.angle - math.atan2(sin, cos)
    radius = shapes.radius / setup.optics.pixel_scale
    return Profiles(x - window.x0, y - window.y0, rate, radius, shapes.index, shapes.ratio, angle)


def alone(x: float, y: float, rate: float, profile: Profile, setup: Setup, chip: Chip) -> Profiles:
    """Return one profile of the field, ``rate`` electrons/s, at pixel (x, y)."""
    cos, sin = rotation(chip)
    shape = profile.sersic
    values = (
        x, y, rate, shape.radius / setup.optics.pixel_scale, shape.index, 1.0 - shape.ellipticity,
        shape.angle - math.atan2(sin, cos),
    )  # fmt: skip
    return Profiles(*(np.array([float(value)]) for value in values))


def draw(image: Image, profiles: Profiles, psf: Psf, chip: Chip) -> None:
    """Add galaxies, convolved with PSF number 0, to ``image`` (ny, nx)."""
    if not profiles.rate.any():
        return
    end = profiles.containing(LIGHT)
    _add_halo(image, profiles, end, psf, chip)
    _add_tails(image, profiles, end, psf, chip)
    _add_samples(image, profiles, end, psf, chip)
    _add_middles(image, profiles, end, psf, chip)


@dataclass(frozen=True, slots=True, eq=False)
class _Responses:
    """The PSF without its far halo, and its two parts: a core on fine elements, and the wings on pixels."""

    whole: Image
    """(2 m + 1, 2 m + 1) pixels."""
    wings: Image
    """The same, less the core."""
    core: Image
    """(2 fine half + 1, ...) elements."""
    fine: int
    """Elements per pixel."""
    half: int
    """Pixels."""


@lru_cache(maxsize=4)
def _responses(psf: Psf, chip: Chip) -> _Responses:
    """Return the parts of PSF number 0; not to be changed."""
    whole, _ = convolution.core_and_halo(psf, chip, 0)
    margin = whole.shape[0] // 2
    half = min(CORE, margin)
    fine = min(psf.oversample, 2) if psf.oversample < 8 else 4  # the pixel has blurred away what 2 do not resolve
    core = _core(psf, chip, fine, half)
    wings, middle = whole.copy(), slice(margin - half, margin + half + 1)
    wings[middle, middle] -= core[::fine, ::fine]
    return _Responses(whole, np.maximum(wings, 0.0), core, fine, half)


def _core(psf: Psf, chip: Chip, fine: int, half: int) -> Image:
    """Return the tapered core of the PSF (2 fine half + 1, ...) on elements of 1 / ``fine`` pixel, star in the middle.

    Its values are fractions of the light in a pixel that is centred there.
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
    return core[:size, :size] * taper(r, half).astype(np.float32)


def _begin(profiles: Profiles, end: Floats, pixels: tuple[float, float]) -> Floats:
    """Return the elliptical radii (n, 2) where the next part begins; both are ``end`` where it would begin beyond."""
    begin = np.stack([pixels[0] / profiles.ratio, pixels[1] / profiles.ratio], axis=1)
    return np.where((end > begin[:, 1])[:, None], begin, end[:, None])


def _near(profiles: Profiles, shape: tuple[int, ...], reach: Floats) -> NDArray[np.bool_]:
    """Return which profiles (n,) come within ``reach`` pixels of an image (ny, nx)."""
    x, y = profiles.x, profiles.y
    ny, nx = shape
    return (x > -reach) & (x < nx + reach) & (y > -reach) & (y < ny + reach) & (profiles.rate > 0)


def _box(profiles: Profiles, shape: tuple[int, ...], reach: Floats) -> tuple[slice, slice]:
    """Return the part of an image (ny, nx) that is within ``reach`` pixels of the profiles."""
    low, high, left, right = (
        min(max(math.floor(at), 0), n)
        for places, n in ((profiles.y, shape[0]), (profiles.x, shape[1]))
        for at in ((places - reach).min(), (places + reach).max() + 1.0)
    )
    return slice(low, high), slice(left, right)


def _points(
    image: Image,
    profiles: Profiles,
    origin: tuple[float, float],
    scale: float,
    limits: Floats,
    count: NDArray[np.int64],
    cubic: bool = True,
) -> None:
    """Add the middles of profiles as ``count`` (n,) points each; ``limits`` (n, 2), pixels: where their weight falls.

    Pixel (0, 0) is at element ``origin`` (left, low) of ``image``; a pixel is ``scale`` elements wide.
    """
    from elvis_cli.kernels import galaxy

    table, first, step = _radii()
    inside = profiles.enclosed(limits[:, 1])
    radius, axes = _shape(profiles, scale)
    x, y = profiles.x * scale + origin[0], profiles.y * scale + origin[1]
    place = np.stack([x, y, profiles.rate * inside], axis=1)
    shape = np.column_stack([radius, np.log(profiles.index), axes, np.sqrt(inside)])
    galaxy.add_points(image, place, shape, limits * scale, count, table, first, step, _spiral(), cubic)


def _samples(image: Image, profiles: Profiles, origin: tuple[float, float], scale: float, limits: Floats) -> None:
    """Add samples of profiles, electrons/s/pixel; as for `_points`, ``limits`` (n, 4) as for the kernel."""
    from elvis_cli.kernels import galaxy

    radius, axes = _shape(profiles, scale)
    intensity = profiles.rate * sersic.intensity(profiles.index, profiles.radius, profiles.ratio)
    place = np.stack([profiles.x * scale + origin[0], profiles.y * scale + origin[1], intensity], axis=1)
    shape = np.column_stack([radius, 1.0 / profiles.index, sersic.half_light_constant(profiles.index), axes])
    galaxy.add_samples(image, place, shape, limits * scale)


def _shape(profiles: Profiles, scale: float) -> tuple[Floats, Floats]:
    cos, sin = np.cos(profiles.angle), np.sin(profiles.angle)
    return profiles.radius * scale, np.stack([profiles.ratio, cos, sin], axis=1)


def _add_middles(image: Image, profiles: Profiles, end: Floats, psf: Psf, chip: Chip) -> None:
    """Add the middles of profiles, convolved with the PSF's core on fine elements.

    Of the convolved light only every ``fine``th element is wanted. It is the sum of what each of the grids of elements
    that are a pixel apart gives, so that no transform is larger than a tile.
    """
    from scipy import fft

    parts = _responses(psf, chip)
    fine, half = parts.fine, parts.half
    limits = _begin(profiles, end, TO_SAMPLES)
    reach = limits[:, 1] + half + 2.0
    near = _near(profiles, image.shape, reach)
    if not near.any():
        return
    profiles, limits, reach = profiles[near], limits[near], reach[near]
    box = _box(profiles, image.shape, reach)
    image = image[box]
    profiles = profiles.moved(-box[1].start, -box[0].start)
    height, width = (math.ceil(n / max(round(n / TILE), 1)) for n in image.shape)
    count = _count(profiles, limits)
    shape = convolution.padded((height + 1, width + 1), half)
    transfers = _transfers(parts.core, shape, fine)

    def work(corner: tuple[int, int]) -> None:
        y0, x0 = corner
        tile = image[y0 : y0 + height, x0 : x0 + width]
        here = _near(profiles.moved(-x0, -y0), tile.shape, reach)
        if not here.any():
            return
        points = np.zeros((shape[0] * fine, shape[1] * fine), np.float32)
        origin = float(fine * (half - x0)), float(fine * (half - y0))
        _points(points, profiles[here], origin, fine, limits[here], count[here])
        grids = points.reshape(shape[0], fine, shape[1], fine)
        spectrum = np.zeros(transfers.shape[2:], np.complex64)
        for j, i in product(range(fine), repeat=2):
            spectrum += fft.rfft2(grids[:, j, :, i]) * transfers[j, i]
        blurred = fft.irfft2(spectrum, s=shape)[2 * half :, 2 * half :]
        tile += np.maximum(blurred[: tile.shape[0], : tile.shape[1]], 0.0)

    parallel.gather(work, list(product(range(0, image.shape[0], height), range(0, image.shape[1], width))))


def _count(profiles: Profiles, limits: Floats) -> NDArray[np.int64]:
    """Return how many points each middle is made of, (n,)."""
    area = math.pi * limits[:, 1] ** 2 * profiles.ratio
    return np.clip(DENSITY * area, *POINTS).astype(np.int64)


def _transfers(core: Image, shape: tuple[int, int], fine: int) -> NDArray[np.complex64]:
    """Return the transforms (fine, fine, rows, columns / 2 + 1) of the PSF's core for points on each grid of elements.

    They are those of the core over that of the spline by which points are shared.
    """
    from scipy import fft

    rows, columns = shape[0] * fine, shape[1] * fine
    transform = fft.rfft2(core, (rows, columns))
    transform /= (np.sinc(fft.fftfreq(rows))[:, None] * np.sinc(fft.rfftfreq(columns))).astype(np.float32) ** 4
    response = fft.irfft2(transform, s=(rows, columns))
    transfers = np.empty((fine, fine, shape[0], shape[1] // 2 + 1), np.complex64)
    for j, i in product(range(fine), repeat=2):
        transfers[j, i] = fft.rfft2(np.roll(response, (j, i), (0, 1))[::fine, ::fine])
    return transfers


def _add_samples(image: Image, profiles: Profiles, end: Floats, psf: Psf, chip: Chip) -> None:
    """Add what follows the middles, convolved with the PSF, and the middles convolved with its wings."""
    parts = _responses(psf, chip)
    margin = parts.whole.shape[0] // 2
    middle, tail = _begin(profiles, end, TO_SAMPLES), _begin(profiles, end, TO_TAIL)
    reach = tail[:, 1] + margin
    near = _near(profiles, image.shape, reach)
    if not near.any():
        return
    profiles, middle, tail = profiles[near], middle[near], tail[near]
    box = _box(profiles, image.shape, reach[near])
    image = image[box]
    origin = float(margin - box[1].start), float(margin - box[0].start)
    shape = convolution.padded(image.shape, margin)
    terms = []
    if parts.wings.any():
        rough = np.zeros(shape, np.float32)
        _points(rough, profiles, origin, 1.0, middle, np.full(len(middle), ROUGH_POINTS))
        terms.append((rough, 4, parts.wings))
    follows = tail[:, 1] > middle[:, 1]
    if follows.any():
        sampled = np.zeros(shape, np.float32)
        _samples(sampled, profiles[follows], origin, 1.0, np.column_stack([middle, tail])[follows])
        terms.append((sampled, 0, parts.whole))
    if terms:
        image += convolution.convolve(terms)[: image.shape[0], : image.shape[1]]


def _add_halo(image: Image, profiles: Profiles, end: Floats, psf: Psf, chip: Chip) -> None:
    """Add the far halo of the PSF about profiles."""
    _, halo = convolution.core_and_halo(psf, chip, 0)
    first = profiles.x[0], profiles.y[0]
    limits = np.stack([end, end], axis=1)
    count = np.full(end.size, ROUGH_POINTS)

    def rough(size: tuple[int, int], px: float, py: float) -> list[Image]:
        points = np.zeros(size, np.float32)
        at = px - first[0] / psf.step, py - first[1] / psf.step
        _points(points, profiles, at, 1.0 / psf.step, limits, count, cubic=False)
        return [points]

    convolution.add_halo(image, *first, halo, psf.step, rough)


def _add_tails(image: Image, profiles: Profiles, end: Floats, psf: Psf, chip: Chip) -> None:
    """Add the tails of large profiles, convolved with the PSF, from nodes NODE pixels apart, a cubic spline between."""
    begin = _begin(profiles, end, TO_TAIL)
    margin = convolution.core_and_halo(psf, chip, 0)[0].shape[0] // 2
    large = (begin[:, 1] < end) & _near(profiles, image.shape, end + margin)
    if not large.any():
        return
    ny, nx = image.shape
    # nodes are counted from the first profile: the same for every window
    x0, y0 = (math.floor(at) % NODE - 2 * NODE for at in (float(profiles.x[0]), float(profiles.y[0])))
    count = tuple(math.ceil((n - first) / NODE) + 3 for n, first in ((ny, y0), (nx, x0)))
    response = _node_response(psf, chip)
    border = response.shape[0] // 2
    nodes = np.zeros(convolution.padded((count[0], count[1]), border), np.float32)
    limits = np.column_stack([begin, end, end])[large]
    _samples(nodes, profiles[large], (border - x0 / NODE, border - y0 / NODE), 1.0 / NODE, limits)
    spline = convolution.convolve([(nodes, 0, response)])
    first_row, row_weight = _spline(np.arange(ny), y0)
    first_column, column_weight = _spline(np.arange(nx), x0)

    def work(_: int, rows: slice) -> None:
        lines = sum(row_weight[k, rows, None] * spline[first_row[rows] + k] for k in range(4))
        for phase in range(min(NODE, nx)):  # columns of a phase are one node apart
            first, weight = first_column[phase], column_weight[:, phase]
            width = len(first_column[phase::NODE])
            image[rows, phase::NODE] += sum(
                weight[k] * np.asarray(lines)[:, first + k : first + k + width] for k in range(4)
            )

    parallel.for_rows(ny, work)


def _spline(pixels: NDArray[np.int64], first: int) -> tuple[NDArray[np.int64], Image]:
    """Return the first of four nodes at each pixel, and their weights (4, n); node 0 is at pixel ``first``.

    The cubic B-spline: de Boor 1978, A Practical Guide to Splines; Unser 1999, IEEE Signal Process. Mag. 16, 22.
    """
    below, rest = np.divmod(pixels - first, NODE)
    t = rest / NODE
    weights = (1.0 - t) ** 3, 4.0 + t**2 * (3.0 * t - 6.0), 1.0 + 3.0 * t * (1.0 + t * (1.0 - t)), t**3
    return below - 1, (np.array(weights) / 6.0).astype(np.float32)


@lru_cache(maxsize=4)
def _node_response(psf: Psf, chip: Chip) -> Image:
    """Return what turns samples at nodes into the coefficients of a spline that is convolved with the PSF.

    The samples' own spline, convolved with the PSF, is sampled at the nodes, and a spline is laid through it.
    """
    from scipy import fft

    whole, _ = convolution.core_and_halo(psf, chip, 0)
    margin = whole.shape[0] // 2
    border = math.ceil(margin / NODE) + GUARD
    size = 2 * border + 1
    first, weight = _spline(np.arange(-margin, margin + 1), -NODE * border)
    matrix = np.zeros((size, 2 * margin + 1))
    for k in range(4):
        matrix[first + k, np.arange(2 * margin + 1)] = weight[k]
    spectrum = fft.rfft2(matrix @ whole @ matrix.T)
    spline = [(2.0 + np.cos(2.0 * math.pi * f)) / 3.0 for f in (fft.fftfreq(size), fft.rfftfreq(size))]
    return np.asarray(fft.irfft2(spectrum / (spline[0][:, None] * spline[1]) ** 2, s=(size, size)), np.float32)


@cache
def _spiral() -> Floats:
    """Return cos and sin (2, p) of the directions of points on Vogel's spiral (Vogel 1979, Math. Biosci. 44, 179)."""
    turn = np.arange(POINTS[1]) * math.pi * (3.0 - math.sqrt(5.0))
    return np.stack([np.cos(turn), np.sin(turn)])


@cache
def _radii() -> tuple[Floats, float, float]:
    """Return the table of radii of the kernel `add_points`, and the first and the step of ln of the index."""
    log = np.linspace(math.log(INDEX[0]), math.log(INDEX[1]), INDEX[2])
    v = 1.0 - (1.0 - np.linspace(0.0, 1.0, 129)) ** 2
    v[0], v[-1] = 1e-4, 1.0 - 1e-7
    return sersic.radius_of(np.exp(log)[:, None], v**2) / v, float(log[0]), float(log[1] - log[0])

"""The scene behind a coronagraph: the star on the mask, everything else dimmed by it, and the turn of the field.

The pupil stands still on the detector (pupil tracking), so the sky turns with the parallactic angle: within one
exposure what is off the axis moves along an arc, which is drawn in steps.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from elvis_cli.base import parallel
from elvis_cli.base.arrays import Floats, Image
from elvis_cli.base.random_streams import generator
from elvis_cli.errors import RequestError
from elvis_cli.focalplane.convolution import add_star
from elvis_cli.focalplane.geometry import field_to_pixel
from elvis_cli.light.compose import Extended, Scene
from elvis_cli.light.illumination import Illumination
from elvis_cli.model.detector import Chip
from elvis_cli.model.elvis_block import ElvisBlock, Window
from elvis_cli.model.psf_model import AoPsf
from elvis_cli.model.setup import Setup
from elvis_cli.optics import make_psf, occulted_star
from elvis_cli.optics.coronagraph import Transmission
from elvis_cli.optics.occulted_star import OccultedStar
from elvis_cli.optics.psf_types import Psf
from elvis_cli.scene.component import Picture
from elvis_cli.sky.pointing import ExposureGeometry

Flags = NDArray[np.bool_]

ON_AXIS = 0.1
"""Distance from the axis, lambda / D, up to which a star is on the mask."""
ARC_STEP = 0.25
"""Pixels between the points of an arc."""
EVEN_STEPS = 64
"""Steps per lambda / D in which an even light is dimmed."""
MAX_STEPS = 32
"""Points of an arc at most."""


@dataclass(frozen=True, slots=True)
class ExposureState:
    """Seed, number and rotation of an exposure, on which its speckles and smeared places depend."""

    seed: int
    number: int
    elapsed: float
    """From the start of the series to the middle of the exposure, s."""
    turn: float
    """Of the detector's position angle from start to end, deg: the sky turns the other way on the detector."""
    mean: bool = False
    """Whether the mean of all realisations is drawn in place of this exposure's speckles."""


@dataclass(frozen=True, slots=True, eq=False)
class Dimming:
    """The mask's transmission at places in the field."""

    setup: Setup
    table: Transmission
    unit: float
    """lambda / D, arcsec."""

    def on_mask(self, x: Floats | float, y: Floats | float) -> Flags:
        """Return whether points are on the mask."""
        return np.asarray(_distance(self.setup, x, y) < ON_AXIS * self.unit)

    def peak(self, x: Floats | float, y: Floats | float) -> Floats:
        """Return the transmission of the peak of points at x, y, arcsec."""
        return self.table.of_peak(_distance(self.setup, x, y) / self.unit)

    def energy(self, x: Floats | float, y: Floats | float) -> Floats:
        """Return the transmission of all light of points at x, y, arcsec."""
        return self.table.of_energy(_distance(self.setup, x, y) / self.unit)

    def spot(self, star: Psf) -> Psf:
        """Return the image of a star on the axis behind a spot in the last focus; unchanged without one."""
        device = self.setup.optics.coronagraph
        if device is None or device.mask != "spot":
            return star
        return occulted_star.behind_spot(star, self.table, self.unit)

    def source(self, source: Extended) -> Extended:
        """Return an extended source behind the mask: a picture element by element, a profile as its middle."""
        shape = source.shape
        if not isinstance(shape, Picture):
            return replace(source, rate=source.rate * float(self.energy(shape.x, shape.y)))
        ny, nx = shape.image.shape
        u, v = (np.arange(nx) - (nx - 1) / 2) * shape.scale, (np.arange(ny)[:, None] - (ny - 1) / 2) * shape.scale
        sin, cos = math.sin(math.radians(shape.angle)), math.cos(math.radians(shape.angle))
        passed = self.energy(shape.x + cos * u - sin * v, shape.y + sin * u + cos * v)
        image = np.asarray(shape.image * passed, np.float32)
        left = float(image.sum(dtype=np.float64)) / float(shape.image.sum(dtype=np.float64))
        return Extended(replace(shape, image=image), source.rate * left)


@dataclass(frozen=True, slots=True, eq=False)
class BehindMask:
    """The star on the mask and how everything else is imaged."""

    field: Psf
    """Of a point far from the mask."""
    target: Psf
    """Of the target: what is left of it."""
    star: Psf | None
    """Of a star on the mask in this exposure; None where there is none."""
    dim: Dimming
    turn: float
    """deg, as in ExposureState."""
    wave: float
    """Middle of the band, um."""
    on_target: bool
    """Whether the target is on the mask."""
    occulted: OccultedStar | None = None
    """Mean and halo of the star on the mask, from which ``star`` is drawn; None if no star is on it."""

    def off_axis(self, scene: Scene) -> Scene:
        """Return the part of a scene beside the mask, dimmed by it and drawn along its arcs."""
        off = ~self.dim.on_mask(scene.x, scene.y)
        x, y = scene.x[off], scene.y[off]
        setup = self.dim.setup
        rate = scene.rate[off] * self.dim.peak(x, y)
        reach = max([float(_distance(setup, x, y).max(initial=0.0)), *(_reach(one, setup) for one in scene.extended)])
        steps = arc_steps(reach, self.turn, setup.optics.pixel_scale)
        angles = -self.turn * (np.arange(steps) + 0.5) / steps
        px, py = zip(*(_turned(x, y, setup, angle) for angle in angles), strict=True)
        extended = [self.dim.source(one) for one in scene.extended]
        return replace(
            scene,
            x=np.concatenate(px),
            y=np.concatenate(py),
            rate=np.tile(rate / steps, steps),
            extended=tuple(_arc(one, setup, angle, steps) for one in extended for angle in angles),
            galaxies=tuple((shapes, rates * self.dim.energy(shapes.x, shapes.y)) for shapes, rates in scene.galaxies),
        )

    def even(self, level: float, glowing: float, chip: Chip, window: Window) -> Image:
        """Return the light (electrons/s/pixel) of an even background in a window of a chip, behind the mask.

        The mask dims its ``level``; at the mask's centre the part that is ``glowing``, sky and warm optics, glows.
        """
        optics = self.dim.setup.optics
        x, y = field_to_pixel(self.dim.setup, chip, *(np.array([place]) for place in optics.axis))
        u, v = (np.arange(n) + first - at for n, first, at in ((window.nx, window.x0, x), (window.ny, window.y0, y)))
        r = np.sqrt((u**2).astype(np.float32) + (v**2).astype(np.float32)[:, None])
        r *= np.float32(EVEN_STEPS * optics.pixel_scale / self.dim.unit)
        distance = np.arange(int(r.max()) + 2) / EVEN_STEPS
        values = level * self.dim.table.of_energy(distance)
        assert optics.coronagraph is not None
        if glowing and optics.coronagraph.glow:
            at, glow = np.array(optics.coronagraph.glow).T
            values += glowing * np.interp(distance, at, glow) * np.minimum(at[-1] / np.maximum(distance, at[-1]), 1.0)
        return np.asarray(values.astype(np.float32)[(r + np.float32(0.5)).astype(np.int32)])

    def brightest(self, scene: Scene) -> float:
        """Return the electrons/s of the brightest point of a scene in its best pixel."""
        most = float(self.off_axis(scene).rate.max(initial=0.0)) * float(self.field.fine.max())
        if self.star is None:
            return most
        on = scene.rate[self.dim.on_mask(scene.x, scene.y)]
        return max(most, float(on.max(initial=0.0)) * float(self.star.fine.max()))

    def draw(self, image: Image, scene: Scene, chip: Chip, window: Window) -> None:
        """Add the stars of a scene that are on the mask to ``image``, a window of a chip."""
        on = self.dim.on_mask(scene.x, scene.y)
        if self.star is None or not on.any():
            return
        x, y = field_to_pixel(self.dim.setup, chip, scene.x[on], scene.y[on])
        for px, py, rate in zip(x, y, scene.rate[on], strict=True):
            add_star(image, float(px) - window.x0, float(py) - window.y0, float(rate), self.star, chip, 0)


def state(block: ElvisBlock, setup: Setup, geometry: ExposureGeometry) -> ExposureState:
    """Return the state of an exposure; the product "expected" has the mean of the speckles."""
    turn = (geometry.parallactic_end - geometry.parallactic + 180.0) % 360.0 - 180.0
    middle = (setup.exposure.number - 0.5) * setup.exposure.duration
    return ExposureState(block.seed, block.exposure, middle, turn, block.product == "expected")


def prepare(
    light: Illumination, scene: Scene, state: ExposureState, samples: tuple[Floats, Floats] | None = None
) -> BehindMask:
    """Return the renderer of a scene behind the mask; ``samples`` are wavelengths (um) and weights.

    Raises
    ------
    RequestError
        The user gives a point-spread function.
    """
    setup, (wave, weight) = light.setup, light.psf_samples() if samples is None else samples
    optics, psf = setup.optics, setup.psf
    device = optics.coronagraph
    assert device is not None
    if not isinstance(psf, AoPsf):
        raise RequestError("/elvis/psf", "cannot be combined with a coronagraph, whose images depend on the place")
    extent = max(setup.detector.nx, setup.detector.ny)
    field = make_psf.build(psf, optics, setup.atmosphere, extent, wave, weight, np.array([optics.axis]))
    middle = float(weight @ wave)
    unit = occulted_star.unit(optics, middle)
    table = occulted_star.transmission(optics.telescope, device, device.radius / unit)
    dim = Dimming(setup, table, unit)
    on_target = bool(dim.on_mask(*scene.centre))
    mean, star, occulted = field, None, None
    if on_target or dim.on_mask(scene.x, scene.y).any():
        occulted = occulted_star.build(
            psf, optics, setup.atmosphere, extent, (wave, weight), (state.elapsed, state.seed)
        )
        mean = star = replace(dim.spot(occulted.mean()), fwhm=field.fwhm, strehl=field.strehl)
        if not state.mean:
            rng = generator(state.seed, state.number, 0, "speckles", 0)
            star = dim.spot(occulted.exposed(optics, middle, lifetimes(setup), rng))
    if not on_target:
        seen = np.float32(dim.peak(*scene.centre))
        mean = replace(field, fine=field.fine * seen, coarse=field.coarse * seen)
    return BehindMask(field, mean, star, dim, state.turn, middle, on_target, occulted)


def lifetimes(setup: Setup) -> float:
    """Return how many lifetimes of the speckles an exposure lasts."""
    device = setup.optics.coronagraph
    assert device is not None
    return setup.exposure.duration / device.speckle_time


def over_band(nodes: Sequence[BehindMask], wave: Floats, state: ExposureState) -> list[BehindMask]:
    """Return the scene behind the mask at wavelengths (um) between those of some ``nodes``, ascending.

    The star's images between two nodes are mixed as functions of theta / lambda. One pattern of speckles, drawn at the
    shortest wavelength, is stretched to all others.
    """
    at = np.array([one.wave for one in nodes])
    nearest = np.argmin(np.abs(np.log(wave[:, None] / at)), axis=1)
    if nodes[0].occulted is None:
        return [nodes[n] for n in nearest]
    optics = nodes[0].dim.setup.optics
    rng = generator(state.seed, state.number, 0, "speckles", 0)
    pattern = None if state.mean else occulted_star.speckles(nodes[0].occulted.coherent, optics, float(at[0]), rng)

    def between(number: int) -> BehindMask:
        here, own = float(wave[number]), nodes[int(nearest[number])]
        low = min(max(int(np.searchsorted(at, here)) - 1, 0), len(nodes) - 2)
        first, second = nodes[low].occulted, nodes[low + 1].occulted
        assert first is not None
        assert second is not None
        part = min(max((here - at[low]) / (at[low + 1] - at[low]), 0.0), 1.0)
        star = occulted_star.mixed(first.stretched(here / at[low]), second.stretched(here / at[low + 1]), part)
        mean = drawn = replace(own.dim.spot(star.mean()), fwhm=own.field.fwhm, strehl=own.field.strehl)
        if pattern is not None:
            real, imaginary = (occulted_star.stretched(each, here / at[0]) for each in (pattern.real, pattern.imag))
            drawn = own.dim.spot(star.with_speckles(real + 1j * imaginary, lifetimes(own.dim.setup)))
        return replace(own, target=mean if own.on_target else own.target, star=drawn, wave=here, occulted=None)

    return parallel.gather(between, list(range(len(wave))))


def _distance(setup: Setup, x: Floats | float, y: Floats | float) -> Floats:
    """Return the distance from the axis, arcsec."""
    return np.asarray(np.hypot(x - setup.optics.axis[0], y - setup.optics.axis[1]))


def arc_steps(reach: float, turn: float, pixel_scale: float) -> int:
    """Return in how many steps a ``turn`` (deg) is drawn for what reaches ``reach`` arcsec from the axis."""
    return min(MAX_STEPS, max(1, math.ceil(reach * abs(math.radians(turn)) / (ARC_STEP * pixel_scale))))


def _turned(x: Floats, y: Floats, setup: Setup, angle: float) -> tuple[Floats, Floats]:
    """Return places in the field turned about the axis by ``angle`` deg, from +y through -x."""
    sin, cos = math.sin(math.radians(angle)), math.cos(math.radians(angle))
    ax, ay = setup.optics.axis
    u, v = x - ax, y - ay
    return ax + cos * u - sin * v, ay + sin * u + cos * v


def _reach(source: Extended, setup: Setup) -> float:
    """Return the distance of an extended source's far side from the axis, arcsec; a profile's is that of its middle."""
    shape = source.shape
    away = float(_distance(setup, shape.x, shape.y))
    return away + (math.hypot(*shape.image.shape) * shape.scale / 2 if isinstance(shape, Picture) else 0.0)


def _arc(source: Extended, setup: Setup, angle: float, steps: int) -> Extended:
    """Return an extended source at one of the ``steps`` of its arc, turned by ``angle`` deg."""
    shape = source.shape
    x, y = (float(one) for one in _turned(np.array(shape.x), np.array(shape.y), setup, angle))
    if isinstance(shape, Picture):
        return Extended(replace(shape, x=x, y=y, angle=shape.angle + angle), source.rate / steps)
    return Extended(replace(shape, x=x, y=y), source.rate / steps)

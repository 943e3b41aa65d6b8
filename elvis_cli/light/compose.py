"""The scene: where the sources are in the field and how many electrons per second each gives."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from elvis_cli.base.arrays import Floats
from elvis_cli.light.illumination import Illumination
from elvis_cli.model.request import SceneRequest, Target
from elvis_cli.model.setup import Setup
from elvis_cli.scene import library, spectrum
from elvis_cli.scene.component import Component, Cube, Galaxies, Picture, Points, Profile

TRAIL = 0.5
"""Pixels between the points of which a trail is made."""
LONGEST = 4096
"""Points of one trail."""
POINT_BYTES = 64
"""Bytes of memory that a point takes: its place and its light, copied as all are put together."""


@dataclass(frozen=True, slots=True, eq=False)
class Extended:
    """An extended source and its electrons/s, integrated to infinity."""

    shape: Profile | Picture
    rate: float


@dataclass(frozen=True, slots=True, eq=False)
class Sources:
    """What the truth table tells; arrays (n,), one row a source."""

    name: NDArray[np.str_]
    x: Floats
    y: Floats
    """arcsec in the field, at the middle of the exposure."""
    mag: Floats
    rate: Floats
    """Electrons/s, all light."""
    id: NDArray[np.int64] | None = None
    """Number in the user's catalogue, -1 for what is not from there; None = there are no numbers."""


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """Sources in field coordinates (arcsec, +x West, +y North at position angle 0)."""

    x: Floats
    y: Floats
    """Point sources (n,); a trail is many."""
    rate: Floats
    """Electrons/s of each."""
    extended: tuple[Extended, ...]
    surface: float
    """Uniform source, electrons/s/arcsec2."""
    centre: tuple[float, float]
    """Target's place, arcsec."""
    sources: Sources
    galaxies: tuple[tuple[Galaxies, Floats], ...] = ()
    """Many at once, and the electrons/s of each."""
    moving: bool = False
    """Whether it depends on how long the exposure is."""
    notes: tuple[str, ...] = ()


def compose(request: SceneRequest, light: Illumination) -> Scene:
    """Return the scene of a request in the light of its exposure.

    Each component's magnitudes become electrons/s through its own spectra. A source that moves is drawn as a trail
    over the integrations of this exposure, after the way it made in those before.

    Raises
    ------
    RequestError
        A component's spectrum cannot be scaled to its brightness.
    """
    parts, notes = [], list[str]()
    for component in library.components(request):
        rates, own = _rates(component, request, light)
        parts.append((component, rates))
        notes += own
    uniform = request.target.morphology.kind == "infinite" and not parts
    return assemble(request, light.setup, parts, light.target.rate if uniform else 0.0, notes)


def assemble(
    request: SceneRequest,
    setup: Setup,
    parts: Iterable[tuple[Component, Floats]],
    surface: float = 0.0,
    notes: Iterable[str] = (),
) -> Scene:
    """Return the scene of components, each with the rate (n,) of its brightness with each of its spectra."""
    seconds = setup.exposure.duration
    # A template's exposures have dates and a pointing of their own, that of their middle if the target is followed.
    tracked = request.elvis.motion is not None and request.elvis.motion.tracked
    began = -seconds / 2 if tracked else 0.0 if request.elvis.template else (setup.exposure.number - 1) * seconds
    drawn: list[tuple[Floats, ...]] = []  # x, y, rate of the points
    true: list[tuple[Floats, ...]] = []  # x, y, mag, rate of the sources
    names: list[NDArray[np.str_]] = []
    extended: list[Extended] = []
    galaxies: list[tuple[Galaxies, Floats]] = []
    numbers: list[NDArray[np.int64]] = []
    numbered = moving = False
    points = 0
    for component, rates in parts:
        shape, (vx, vy) = component.shape, component.motion
        moving |= (vx, vy) != (0.0, 0.0)
        way = began + seconds / 2  # to the middle of the exposure, s
        if isinstance(shape, Points):
            x, y, mag = shape.x, shape.y, shape.mag
            rate = rates[shape.sed] * 10.0 ** (-0.4 * (mag - component.brightness.mag))
            trail = math.hypot(vx, vy) * seconds / setup.optics.pixel_scale
            steps = min(LONGEST, max(1, math.ceil(trail / TRAIL)))
            points += steps * x.size if moving else 0
            request.limits.check_memory(request.memory + POINT_BYTES * points, "/elvis/motion")
            times = began + seconds * (np.arange(steps) + 0.5) / steps
            if (vx, vy) == (0.0, 0.0):  # crowds stand still: no copies of them
                drawn.append((x, y, rate))
            else:
                path = np.add.outer(vx * times, x).ravel(), np.add.outer(vy * times, y).ravel()
                drawn.append((*path, np.tile(rate / steps, steps)))
        elif isinstance(shape, Galaxies):
            x, y, mag = shape.x, shape.y, shape.mag
            rate = rates[shape.sed] * 10.0 ** (-0.4 * (mag - component.brightness.mag))
            galaxies.append((shape, rate))
        else:
            total = float(rates[0])
            if isinstance(shape, Cube):
                image = np.tensordot(rates.astype(np.float32), shape.images, 1)
                shape, total = shape.plane(image), float(image.sum(dtype=np.float64))
            x, y, mag, rate = np.array([[shape.x], [shape.y], [component.brightness.mag], [total]])
            extended.append(Extended(replace(shape, x=shape.x + vx * way, y=shape.y + vy * way), total))
        true.append((x + vx * way, y + vy * way, mag, rate) if (vx, vy) != (0.0, 0.0) else (x, y, mag, rate))
        names.append(np.broadcast_to(component.name, x.size) if component.names is None else component.names)
        numbers.append(np.full(x.size, -1) if component.id is None else component.id)
        numbered |= component.id is not None
    px, py, point_rate = _joined(drawn, 3)
    sx, sy, source_mag, source_rate = _joined(true, 4)
    return Scene(
        x=px,
        y=py,
        rate=point_rate,
        extended=tuple(extended),
        surface=surface,
        centre=request.elvis.offset,
        sources=Sources(
            names[0] if len(names) == 1 else np.concatenate(names or [np.zeros(0, np.str_)]),
            *(sx, sy, source_mag, source_rate),
            np.concatenate(numbers) if numbered else None,
        ),
        galaxies=tuple(galaxies),
        moving=moving,
        notes=tuple(dict.fromkeys(notes)),
    )


def _rates(component: Component, request: SceneRequest, light: Illumination) -> tuple[Floats, list[str]]:
    """Return electrons/s of the component's brightness with each of its spectra, and notes."""
    rates: list[float] = []
    budget = light.budget
    notes: list[str] = []
    for rest in component.seds:
        sed = spectrum.moving(rest, component.velocity)
        if sed == request.target.sed and component.brightness == request.target.brightness:
            rates.append(light.target.rate)  # its notes are the light's own
            continue
        flux, own = spectrum.flux(Target(sed=sed, brightness=component.brightness), budget.wave)
        rates.append(float(np.sum(flux * budget.total * budget.width)) * budget.area)
        notes += own
    return np.array(rates), notes


def _joined(parts: list[tuple[Floats, ...]], columns: int) -> list[Floats]:
    """Return the columns of all parts, one after another; those of a single part are not copied."""
    if len(parts) == 1:
        return list(parts[0])
    return [np.concatenate([part[n] for part in parts] or [np.zeros(0)]) for n in range(columns)]

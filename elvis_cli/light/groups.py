"""The scene as a spectrograph sees it: groups of sources that share one spectrum."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from elvis_cli.base.arrays import Floats
from elvis_cli.light.compose import Scene, assemble
from elvis_cli.model.psf_model import SeeingPsf
from elvis_cli.model.request import Brightness, SceneRequest, Sed, Target
from elvis_cli.model.setup import Setup
from elvis_cli.scene import library, spectrum
from elvis_cli.scene.component import Component, Cube, Galaxies, Points

SINGLE = 24
"""Sources of a component that keep their own velocity, be it as odd as it may: those that matter most."""
MOST = 64
"""Groups that the velocities of a component's other sources may make, or LEAST for each spectrum."""
LEAST = 3
NODE_STEPS = 5.0
"""Steps of velocity, of `groups`, between those from which the velocities of other sources are mixed: half a pixel, so
that lines two pixels wide become 4 % wider at most, and stay in place."""
NEAR = 0.1
"""arcsec: how soon a source beside an aperture matters less."""
FAR = 0.4
"""arcsec, and so many seeing disks where nothing corrects the seeing: further from an aperture, only what the sources
give together counts, and their velocities are the mean."""


@dataclass(frozen=True, slots=True, eq=False)
class Group:
    """Sources with the same spectrum."""

    scene: Scene
    """As `compose.compose` makes it, but a rate (or a surface) of 1 is ``target``, its spectrum and its brightness."""
    target: Target
    """Spectrum, all velocities included, and brightness (per arcsec2 where ``scene.surface`` is not 0)."""
    band: tuple[float, float] | None = None
    """um: there is no light outside; None = anywhere."""


def groups(request: SceneRequest, setup: Setup, step: float) -> tuple[Group, ...]:
    """Return the scene of a request as groups; their order is that of the scene.

    ``step`` (km/s) is how finely velocities are told apart, a small part of what a pixel spans. Sources that matter
    most (brightest, nearest to an aperture) keep their own; others are in two groups, of velocities around their own.
    What has no light in the band is left out.

    Raises
    ------
    RequestError
        Parts of the request contradict each other.
    """
    components = library.components(request)
    if request.target.morphology.kind == "infinite" and not components:
        return (Group(assemble(request, setup, (), 1.0), request.target, spectrum.reach(request.target.sed)),)
    parts: dict[tuple[Sed, Brightness], list[tuple[Component, Brightness, float]]] = {}
    for component in components:
        brightness = component.brightness
        for sed, one, fraction in _split(component, setup, step):
            key = sed, replace(brightness, mag=0.0, flux=0.0)
            parts.setdefault(key, []).append((one, brightness, fraction))
    made = []
    for (sed, _), members in parts.items():
        band = spectrum.reach(sed)
        if band and (band[1] <= setup.optics.band[0] or band[0] >= setup.optics.band[1]):
            continue
        reference = members[0][1]
        rated = [(one, np.array([fraction * _ratio(bright, reference)])) for one, bright, fraction in members]
        made.append(Group(assemble(request, setup, rated), Target(sed=sed, brightness=reference), band))
    return tuple(made)


def density(group: Group, edges: Floats, lines: bool = False) -> Floats:
    """Return photon/s/m2/um above the atmosphere of a rate of 1, averaged between ``edges`` (um, (n + 1,)): (n,).

    Raises
    ------
    RequestError
        The spectrum cannot be scaled to its brightness.
    """
    return spectrum.between(group.target, edges, lines)


def _split(component: Component, setup: Setup, step: float) -> Iterator[tuple[Sed, Component, float]]:
    """Yield each spectrum of a component, velocity included, the sources that have it, and a plane's share of a cube.

    Sources of a catalogue have magnitudes of their own: their share is 1.
    """
    shape, motion = component.shape, component.velocity
    if isinstance(shape, Cube):
        for sed, image in zip(component.seds, shape.images, strict=True):
            if share := float(image.sum(dtype=np.float64)):
                yield spectrum.moving(sed, motion), replace(component, shape=shape.plane(image)), share
        return
    if not isinstance(shape, Points | Galaxies):
        yield spectrum.moving(component.seds[0], motion), component, 1.0
        return
    mix = _Mix(np.arange(shape.x.size), np.zeros(shape.x.size), np.ones(shape.x.size))
    if shape.velocity is not None:
        mix = _mixed(shape, shape.velocity, setup, step)
    values, which = np.unique(mix.velocity, return_inverse=True)
    keys, member = np.unique(shape.sed[mix.row] * values.size + which, return_inverse=True)
    order = np.argsort(member, kind="stable")
    for key, some in zip(keys, np.split(order, np.cumsum(np.bincount(member))[:-1]), strict=True):
        sed = spectrum.moving(component.seds[key // values.size], motion)
        part = _rows(component, shape, mix.row[some], mix.share[some])
        yield spectrum.moving(sed, float(values[key % values.size])), part, 1.0


def _rows(component: Component, shape: Points | Galaxies, rows: NDArray[np.int64], share: Floats) -> Component:
    """Return a ``share`` (rows,) of the light of a component's sources ``rows``, as of one spectrum."""
    columns = {name: getattr(shape, name) for name in shape.__slots__}
    taken = {name: column[rows] for name, column in columns.items() if column is not None}
    taken["sed"] = np.zeros(rows.size, np.int64)
    if (share < 1.0).any():
        taken["mag"] = taken["mag"] - 2.5 * np.log10(share)
    return replace(
        component,
        shape=replace(shape, **taken),
        seds=component.seds[:1],
        id=None if component.id is None else component.id[rows],
        names=None if component.names is None else component.names[rows],
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Mix:
    """Sources as parts of one velocity each, arrays (parts,)."""

    row: NDArray[np.int64]
    """Number of the source."""
    velocity: Floats
    """km/s."""
    share: Floats
    """Part of the source's light; those of a source add up to 1."""


def _mixed(shape: Points | Galaxies, velocity: Floats, setup: Setup, step: float) -> _Mix:
    """Return each source at its own velocity (km/s), or as the linear mixture of two multiples of some velocity."""
    distance = _distance(shape, setup)
    weight = 10.0 ** (-0.4 * (shape.mag - shape.mag.min())) / (1.0 + (distance / NEAR) ** 2)
    far = distance > FAR * (1.0 if not isinstance(setup.psf, SeeingPsf) else max(1.0, setup.atmosphere.seeing / FAR))
    own = np.argsort(-np.where(far, 0.0, weight), kind="stable")[:SINGLE]
    alone = velocity.astype(float)
    if far.any():
        alone[far] = np.average(velocity[far], weights=10.0 ** (-0.4 * (shape.mag[far] - shape.mag.min())))
    rest = np.setdiff1d(np.flatnonzero(~far), own)
    most, spacing = max(MOST, LEAST * np.unique(shape.sed[rest]).size), NODE_STEPS * step
    while True:
        below = np.floor(velocity[rest] / spacing)
        above = velocity[rest] / spacing - below
        between = above > 0
        nodes = np.concatenate([below, below[between] + 1])
        rows = np.concatenate([rest, rest[between]])
        if np.unique(np.stack([nodes, shape.sed[rows]]), axis=1).shape[1] <= most:
            break
        spacing *= 2.0
    kept = np.setdiff1d(np.arange(velocity.size), rest)
    return _Mix(
        np.concatenate([kept, rows]),
        np.concatenate([alone[kept], nodes * spacing]),
        np.concatenate([np.ones(kept.size), 1.0 - above, above[between]]),
    )


def _distance(shape: Points | Galaxies, setup: Setup) -> Floats:
    """Return how far each source is from the nearest aperture, arcsec."""
    found = np.full(shape.x.size, np.inf)
    for aperture in setup.spectrograph.apertures if setup.spectrograph else ():
        across, along = (np.abs(at) for at in aperture.within(shape.x, shape.y))
        width, length = aperture.extent
        beyond = np.maximum(across - width / 2, 0.0), np.maximum(along - length / 2, 0.0)
        found = np.minimum(found, np.hypot(*beyond))
    return found if np.isfinite(found).all() else np.zeros(shape.x.size)


def _ratio(brightness: Brightness, reference: Brightness) -> float:
    """Return how many times as bright as another of its kind, its band and its system a brightness is."""
    if brightness.kind == "mag":
        return float(10.0 ** (-0.4 * (brightness.mag - reference.mag)))
    return brightness.flux / reference.flux if reference.flux else 1.0

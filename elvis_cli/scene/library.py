"""The scenes that a request can ask for, and what each is made of.

``elvis.scene`` or ``elvis.image`` stands in the place of the ETC's single target, at ``elvis.offset``, and moves with
``elvis.motion``. ``elvis.catalogue`` adds stars that stand still; the ETC's target is then only there if it moves.
A catalogue's x and y count from ``elvis.offset`` too; its ra and dec are what they are. With ``elvis.place`` all of it
keeps its coordinates on the sky when the pointing moves.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from importlib import import_module
from typing import Any

import elvis_schemas
import numpy as np

from elvis_cli.base.arrays import Floats
from elvis_cli.base.geometry import deproject, field_to_sky, project, sky_to_field
from elvis_cli.errors import RequestError
from elvis_cli.model.elvis_block import Catalogue, Image, NamedScene
from elvis_cli.model.elvis_block import Cube as DataCube
from elvis_cli.model.request import SceneRequest, Sed
from elvis_cli.scene import frame, spectrum, starlight, templates
from elvis_cli.scene.component import Component, Cube, Galaxies, Picture, Points, Profile
from elvis_cli.scene.sersic import Sersic


def components(request: SceneRequest) -> tuple[Component, ...]:
    """Return what shines in the field of a request, () if its target is infinite.

    Raises
    ------
    RequestError
        Parts of the request contradict each other, or a scene's parameters do.
    """
    parts = _components(request)
    return tuple(_on_sky(request, part) for part in parts) if request.elvis.place else parts


def _on_sky(request: SceneRequest, part: Component) -> Component:
    """Return a component that keeps its coordinates on the sky while the pointing moves.

    Its x and y from the target are tangent-plane offsets about the target's place. About the pointing, which has
    another meridian, they differ: by 0.02 arcsec at 5 arcmin, for a dither of 30 arcsec at declination -30.
    """
    place, pointing, shape = request.elvis.place, request.elvis.pointing, part.shape
    stars = request.elvis.catalogue
    if place is None or pointing is None or (part.name in ("star", "galaxy") and stars and stars.celestial):
        return part
    x0, y0 = request.elvis.offset
    east, north = field_to_sky(np.asarray(shape.x) - x0, np.asarray(shape.y) - y0, pointing.position_angle)
    x, y = _in_field(request, *deproject(east, north, *place))
    if isinstance(shape, Points | Galaxies):
        return replace(part, shape=replace(shape, x=x, y=y))
    return replace(part, shape=replace(shape, x=float(x), y=float(y)))


def _components(request: SceneRequest) -> tuple[Component, ...]:
    elvis_block = request.elvis
    names = [name for name in ("scene", "image", "cube") if getattr(elvis_block, name)]
    if len(names) > 1:
        raise RequestError(f"/elvis/{names[1]}", f"cannot be combined with /elvis/{names[0]}")
    if elvis_block.scene:
        parts = generate(request, elvis_block.scene)
    elif elvis_block.image:
        parts = (picture(request, elvis_block.image),)
    elif elvis_block.cube:
        parts = (cube(request, elvis_block.cube),)
    elif elvis_block.catalogue and not elvis_block.motion:
        parts = ()
    else:
        parts = () if request.target.morphology.kind == "infinite" else (target(request),)
    replaced = next((name for name in ("scene", "image", "cube", "catalogue") if getattr(elvis_block, name)), None)
    if replaced and request.target.morphology.kind != "point" and not any(c.name == "target" for c in parts):
        raise RequestError(f"/elvis/{replaced}", "replaces the target, whose morphology must be point", allowed="point")
    if elvis_block.motion:
        if not parts or any(component.motion != (0.0, 0.0) for component in parts):
            reason = "the scene has a rate and an angle of its own" if parts else "an infinite target cannot move"
            raise RequestError("/elvis/motion", reason)
        x, y = frame.displacement(request, elvis_block.motion.rate / 3600.0, elvis_block.motion.angle)
        if elvis_block.motion.tracked and elvis_block.catalogue:  # galaxies leave none
            stars = (
                replace(c, motion=(-x, -y)) if c.name == "star" else c
                for c in catalogue(request, elvis_block.catalogue)
            )
            return (*parts, *stars)
        parts = parts if elvis_block.motion.tracked else tuple(replace(component, motion=(x, y)) for component in parts)
    return (*parts, *catalogue(request, elvis_block.catalogue)) if elvis_block.catalogue else parts


def generate(request: SceneRequest, scene: NamedScene) -> tuple[Component, ...]:
    """Return the components of a scene by name, its parameters completed by the schema's defaults."""
    generator = import_module(f"elvis_cli.scene.generators.{scene.name.replace('-', '_')}")
    defaults = {name: p["default"] for name, p in parameters(scene.name).items() if "default" in p}
    parts: tuple[Component, ...] = generator.components(request, **{**defaults, **scene.parameters})
    return parts


def scenes() -> dict[str, Mapping[str, Any]]:
    """Return each scene's branch of the schema by its name."""
    branches = elvis_schemas.load()["properties"]["elvis"]["properties"]["scene"]["oneOf"]
    return {b["properties"]["name"]["const"]: b for b in branches if "properties" in b}


def parameters(name: str) -> dict[str, Mapping[str, Any]]:
    """Return the schema of each parameter of a scene."""
    return {key: value for key, value in scenes()[name]["properties"].items() if key != "name"}


def target(request: SceneRequest) -> Component:
    """Return the ETC's own target, a point or a Sersic profile."""
    shape, brightness = request.target.morphology, request.target.brightness
    x, y = request.elvis.offset
    source: Points | Profile
    if shape.kind == "point":
        source = Points(np.array([x]), np.array([y]), np.array([brightness.mag]), np.zeros(1, np.int64))
    else:
        angle = frame.axis(request, shape.angle)
        source = Profile(Sersic(shape.index, shape.radius, shape.ellipticity, angle), x, y)
    return Component(source, (request.target.sed,), brightness, name="target")


def picture(request: SceneRequest, image: Image) -> Component:
    """Return the embedded image; elements that are not finite are dark, negative ones belong to its sum."""
    pixels = np.frombuffer(image.data, "<f4").reshape(image.shape).astype(np.float32)
    pixels = np.where(np.isfinite(pixels), pixels, np.float32(0))
    x, y = request.elvis.offset
    shape = Picture(pixels, image.scale, x, y, image.position_angle - frame.position_angle(request))
    return Component(shape, (request.target.sed,), request.target.brightness, name="image")


def cube(request: SceneRequest, volume: DataCube) -> Component:
    """Return the embedded data cube: each channel a picture, its spectrum a triangle from one neighbour to the other.

    So the spectrum is linear between the channels. The outer halves of the first and the last channel are as bright as
    they; beyond, it is dark.
    """
    points, density, _ = spectrum.density(request.target, volume.wavelength[0], volume.wavelength[-1])
    total = np.array([light or 1.0 for light in volume.total], np.float32)
    images = np.frombuffer(volume.data, "<f4").reshape(volume.shape) / total[:, None, None]
    seds = []
    for n in range(1, points.size - 1):
        near = slice(n - 1, n + 2)
        peak = np.array([0.0, density[n], 0.0])
        if n == 1:
            peak[0] = density[0]
        if n == points.size - 2:
            peak[-1] = density[-1]
        seds.append(Sed("channel", uploaded=(tuple(points[near].tolist()), tuple(peak.tolist()))))
    x, y = request.elvis.offset
    shape = Cube(
        images.astype(np.float32, copy=False), volume.scale, x, y, volume.position_angle - frame.position_angle(request)
    )
    return Component(shape, tuple(seds), request.target.brightness, name="cube")


def catalogue(request: SceneRequest, stars: Catalogue) -> tuple[Component, ...]:
    """Return the stars and the galaxies of a catalogue.

    Raises
    ------
    RequestError
        The target's brightness is no magnitude, a template does not exist, or a star is not in front of us.
    """
    brightness = frame.catalogue_magnitude(request)
    x, y = places(request, stars)
    seds: tuple[Sed, ...] = (request.target.sed,)
    which = np.zeros(x.size, np.int64)
    base = request.target.sed
    if stars.temperature is not None:
        temperature = np.asarray(stars.temperature)
        known = temperature > 0.0
        seds, which[known] = starlight.seds(base, temperature[known])
        which[~known] = len(seds)
        seds += (base,)
    elif stars.sed is not None:
        known_seds = {name: n for n, name in enumerate(dict.fromkeys(stars.sed))}
        which = np.array([known_seds[name] for name in stars.sed])
        seds = tuple(_template(base, name, stars.sed.index(name)) if name else base for name in known_seds)
    mag, numbers = np.asarray(stars.mag), None if stars.id is None else np.asarray(stars.id)
    radius = np.zeros(x.size) if stars.radius is None else np.asarray(stars.radius)
    names = None if stars.name is None else np.asarray(stars.name)
    parts: list[Component] = []
    for name, members in (("star", radius == 0.0), ("galaxy", radius > 0.0)):
        if not members.any():
            continue
        rows = slice(None) if members.all() else members  # a slice copies nothing
        velocity = None if stars.velocity is None else np.asarray(stars.velocity)[rows]
        shape: Points | Galaxies = Points(x[rows], y[rows], mag[rows], which[rows], velocity)
        if name == "galaxy":
            index, ellipticity, angle = (
                np.full(radius.size, usual) if column is None else np.asarray(column)
                for column, usual in ((stars.index, 1.0), (stars.ellipticity, 0.0), (stars.angle, 0.0))
            )
            turned = np.radians(angle[rows]) + frame.axis(request, 0.0)
            shapes = radius[rows], index[rows], 1.0 - ellipticity[rows], turned
            shape = Galaxies(x[rows], y[rows], mag[rows], which[rows], *shapes, velocity)
        own = None if names is None else np.where(names[rows] == "", name, names[rows])
        identity = None if numbers is None else numbers[rows]
        parts.append(Component(shape, seds, brightness, name=name, id=identity, names=own))
    return tuple(parts)


def places(request: SceneRequest, stars: Catalogue) -> tuple[Floats, Floats]:
    """Return field coordinates (arcsec) of a catalogue's sources.

    Raises
    ------
    RequestError
        A source is not in front of us.
    """
    x, y = np.asarray(stars.x), np.asarray(stars.y)
    if stars.celestial:
        return _in_field(request, x, y)
    east, north = request.elvis.offset
    return (x, y) if (east, north) == (0.0, 0.0) else (x + east, y + north)


def _in_field(request: SceneRequest, ra: Floats, dec: Floats) -> tuple[Floats, Floats]:
    pointing = request.elvis.pointing
    assert pointing is not None
    east, north = project(ra, dec, pointing.ra, pointing.dec)
    behind = np.flatnonzero(~np.isfinite(east))
    if behind.size:
        row = int(behind[0])
        raise RequestError(
            f"/elvis/catalogue/ra/{row}",
            f"ra {ra[row]:g}, dec {dec[row]:g} is 90 deg or more from the pointing",
            allowed=f"stars around ra {pointing.ra:g}, dec {pointing.dec:g}",
        )
    return sky_to_field(east, north, pointing.position_angle)


def _template(base: Sed, name: str, row: int) -> Sed:
    catalog, _, identity = name.partition(":")
    try:
        templates.find(catalog, identity)
    except RequestError as error:
        details = {key: error.details[key] for key in ("allowed", "nearest")}
        raise RequestError(f"/elvis/catalogue/sed/{row}", error.details["reason"], found=name, **details) from None
    return replace(base, kind="template", catalog=catalog, id=identity, uploaded=None)

"""The telescope, its adaptive optics and the surfaces behind it, from their tables."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np

from elvis_cli.base.curve import Curve
from elvis_cli.errors import ResourceError
from elvis_cli.instrument import coronagraphs
from elvis_cli.instrument.filters import Filter
from elvis_cli.instrument.sourced_table import SourcedTable
from elvis_cli.model.telescope import AoSystem, PupilMask, Surface, Telescope

TANGENT = 1.0 / 3.0
"""Cubic term of the tangent."""


def axis(facts: SourcedTable) -> tuple[tuple[float, float], float]:
    """Return the field coordinates (arcsec) of the telescope's axis and the cubic distortion (1/arcsec2) about it.

    The table gives the ``distortion`` d as the zenithal polynomial of FITS (ZPN, PV2_3): an angle z from the axis is
    imaged at z + d z^3. Field coordinates are tangents, z + z^3 / 3.
    """
    x, y = facts.value("axis", "arcsec") if "axis" in facts else (0.0, 0.0)
    cubic = facts.number("distortion", "1/rad2") - TANGENT if "distortion" in facts else 0.0
    return (float(x), float(y)), cubic * math.radians(1.0 / 3600.0) ** 2


def make(facts: SourcedTable) -> Telescope:
    """Return the collecting area and pupil of a telescope file."""
    return Telescope(
        name=facts.text("name"),
        area=facts.number("area", "m2"),
        diameter=facts.number("diameter", "m"),
        inner=facts.number("inner", "m"),
        spider_width=facts.number("spider_width", "m"),
        spider_angles=tuple(float(a) for a in facts.value("spider_angles", "deg")),
        segments=tuple(float(s) for s in facts.value("segments", "m")) if "segments" in facts else (),
        mirror=facts.number("mirror", "m") if "mirror" in facts else 0.0,
    )


def make_pupil_mask(facts: SourcedTable, in_beam: list[str], centre: float) -> PupilMask | None:
    """Return the mask that a wheel's element in the beam is, if any; ``centre`` (um) is the filter's wavelength."""
    name = next((name for name in in_beam if name in facts.part("pupil_masks")), None)
    if name is None:
        return None
    table = facts.part("pupil_masks", name)
    plate = facts.part("pupil_masks", table.text("plate")) if "plate" in table else table  # the phase of another mask
    sines = plate.value("sines", "rad") if "sines" in plate else ()
    return PupilMask(
        name=name,
        angle=table.number("angle", "deg"),
        holes=tuple((float(x), float(y), float(r)) for x, y, r in table.value("holes", "m"))
        if "holes" in table
        else (),
        sines=tuple(tuple(float(a) for a in row) for row in sines),
        grating=table.number("grating", "1") if "grating" in table else 0.0,
        leak=float(table.curve("leak").at(np.array([centre]))[0]) if "leak" in table else 0.0,
        stop=coronagraphs.make_stop(facts.part("stops", table.text("stop"))) if "stop" in table else None,
    )


def make_ao(facts: SourcedTable) -> AoSystem:
    """Return an adaptive-optics system; the names in the table are the fields of AoSystem."""
    parameters: dict[str, Any] = {}
    for item in dataclasses.fields(AoSystem):
        if item.name not in facts:
            if item.default is dataclasses.MISSING:
                raise ResourceError(f"{facts.file}: {facts.path}.{item.name} is missing", file=facts.file)
            continue
        raw = facts.tree[item.name]
        value = raw if isinstance(raw, str) else facts.value(item.name)
        parameters[item.name] = frozen(value)
    return AoSystem(**parameters)


def frozen(value: Any) -> Any:
    """Return lists, and lists in them, as tuples."""
    return tuple(frozen(item) for item in value) if isinstance(value, (list, tuple)) else value


def make_surface(facts: SourcedTable) -> Surface:
    """Return an optical element, or ``count`` equal ones in a row as one.

    What is not transmitted or reflected is emitted (Kirchhoff) unless the table gives ``emissivity``, that of one
    element. A row of n equal elements of throughput t and emissivity e emits
    e (1 + t + ... + t^(n-1)) = e (1 - t^n) / (1 - t).
    """
    one = facts.curve("throughput")
    count = int(facts.number("count", "1")) if "count" in facts else 1
    throughput = Curve(one.wave, one.value**count, one.outside)
    if "emissivity" in facts:
        emissivity = facts.curve("emissivity")
        t = one.at(emissivity.wave)
        row = np.where(t < 1.0, (1.0 - t**count) / np.where(t < 1.0, 1.0 - t, 1.0), count)
        emissivity = Curve(emissivity.wave, emissivity.value * row, emissivity.outside)
    else:
        emissivity = Curve(one.wave, 1.0 - throughput.value)
    return Surface(facts.text("name"), facts.text("group"), throughput, emissivity, facts.number("temperature", "K"))


def make_surfaces(facts: SourcedTable, telescope: SourcedTable, in_beam: list[Filter]) -> tuple[Surface, ...]:
    """Return the telescope's mirrors, then the ``optics`` list of the mode; "filters" in it stands for the wheels."""
    dark = Curve(np.array([0.0, 1.0]), np.zeros(2))
    surfaces = [make_surface(telescope.part("surfaces", name)) for name in telescope.part("surfaces")]
    for name in facts.tree.get("optics", ["filters"]):
        if name == "filters":
            cold = facts.number("filter_temperature", "K")
            surfaces += [Surface(f.name, "filter", f.transmission, dark, cold) for f in in_beam]
        else:
            surfaces.append(make_surface(facts.part("surfaces", name)))
    return tuple(surfaces)

"""Coronagraphs from an instrument's tables ``coronagraph`` and ``stops``."""

from __future__ import annotations

import numpy as np

from elvis_cli.base.curve import Curve
from elvis_cli.errors import ResourceError
from elvis_cli.instrument.sourced_table import SourcedTable
from elvis_cli.model.coronagraph import ColdStop, Coronagraph
from elvis_cli.model.telescope import Surface, Telescope

MASKS = ("vortex", "disc", "spot", "none")


def make(facts: SourcedTable, telescope: Telescope) -> tuple[Coronagraph | None, tuple[Surface, ...]]:
    """Return the coronagraph of a mode, None where it has none, and its stop and apodiser as a cold surface.

    Raises
    ------
    ResourceError
        There is no such kind of mask.
    """
    if "coronagraph" not in facts:
        return None, ()
    from elvis_cli.optics import occulted_star

    table = facts.part("coronagraph")
    mask, name = table.text("mask"), table.text("stop")
    if mask not in MASKS:
        raise ResourceError(f"{facts.file}: coronagraph.mask is {mask!r}; allowed: {', '.join(MASKS)}")

    def number(key: str, unit: str, otherwise: float) -> float:
        return table.number(key, unit) if key in table else otherwise

    ring = None
    if "ring_radius" in table:
        ring = table.number("ring_radius", "m"), table.number("ring_amplitude", "1")
    shape: tuple[tuple[float, ...], ...] = ()
    pitch = 0.0
    if "apodiser" in table:
        apodiser = facts.part("apodisers", table.text("apodiser"))
        shape = tuple(tuple(float(a) for a in row) for row in apodiser.value("pixels", "1"))
        pitch = apodiser.number("pitch", "m")
    glow: tuple[tuple[float, float], ...] = ()
    if "glow" in table:
        radii, levels = table.value("glow_radius", "lambda/D"), table.value("glow", "1")
        glow = tuple((float(r), float(level)) for r, level in zip(radii, levels, strict=True))
    result = Coronagraph(
        name=table.text("name"),
        mask=mask,
        stop=make_stop(facts.part("stops", name)),
        ring=ring,
        pixels=shape,
        pitch=pitch,
        radius=number("radius", "arcsec", 0.0),
        depth=number("depth", "1", 0.0),
        leak=number("leak", "1", 0.0),
        glow=glow,
        jitter=number("jitter", "mas", 0.0),
        static=number("static", "nm", 0.0),
        drift=number("drift", "nm", 0.0),
        drift_time=number("drift_time", "s", 3600.0),
        speckle_time=number("speckle_time", "s", 0.3),
        angle=number("angle", "deg", 0.0),
    )
    share = min(1.0, occulted_star.throughput(telescope, result))  # of an open stop it is 1 and a rounding
    passed = Curve(np.array([0.0, 1.0]), np.full(2, share))
    dark = Curve(np.array([0.0, 1.0]), np.zeros(2))
    cold = facts.part("stops", name).number("temperature", "K")
    return result, (Surface(name, "instrument", passed, dark, cold),)


def make_stop(table: SourcedTable) -> ColdStop:
    """Return a cold stop of the table ``stops``; the widths of its arms are in the order of their angles."""
    angles, widths = table.value("arm_angles", "deg"), table.value("arm_widths", "m")
    return ColdStop(
        outer=table.number("outer", "m"),
        inner=table.number("inner", "m"),
        arms=tuple((float(a), float(w)) for a, w in zip(angles, widths, strict=True)),
        round_edge=table.text("edge") == "circle",
        round_hole=table.text("hole") == "circle",
    )

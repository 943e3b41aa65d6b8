"""Direction of the telescope and position angle of the field at a time, with offsets."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import numpy as np

from elvis_cli.base.geometry import deproject, field_to_sky, project, sky_to_field
from elvis_cli.errors import RequestError
from elvis_cli.model.atmosphere import Site
from elvis_cli.model.setup import Setup
from elvis_cli.observing import ephemeris
from elvis_cli.observing.offset import MAX_OFFSET, TelescopeOffset, TelescopePosition
from elvis_cli.observing.target import Target
from elvis_cli.observing.visit import ExposureStep
from elvis_cli.request import payload


def follow(target: Target, time: datetime, origin: datetime) -> tuple[float, float]:
    """Return the telescope's direction without offsets, ICRS ra, dec (deg); rates count from ``origin``."""
    return target.at(ephemeris.decimal_year(time), (time - origin) / timedelta(hours=1))


def position_angle(target: Target, time: datetime, origin: datetime, site: Site) -> float:
    """Return the position angle (deg) of the detector's +y without offsets.

    pa: that of the target. vertical: that of the zenith, and the target's further on. stationary: the rotator has
    stood still since ``origin`` at a Nasmyth focus, where the field turns by the parallactic angle less the altitude.
    """
    angle, mode = target.pa or 0.0, target.rotmode or "pa"
    if mode == "pa" or site.space:
        return angle
    now = ephemeris.local_position(*follow(target, time, origin), time, site)
    if mode == "vertical":
        return angle + now.parallactic
    then = ephemeris.local_position(*follow(target, origin, origin), origin, site)
    return angle + (now.parallactic - now.altitude) - (then.parallactic - then.altitude)


def align_to_slit(step: ExposureStep, setup: Setup) -> ExposureStep:
    """Return the step with its offsets along the slit converted to offsets along the field's axes."""
    slit = setup.spectrograph.apertures[0].angle if setup.spectrograph else 0.0
    return replace(
        step, move=step.move and step.move.align_to_slit(slit), chop=step.chop and step.chop.align_to_slit(slit)
    )


def pointing_section(
    target: Target,
    at: tuple[float, float],
    position: TelescopePosition,
    chop: TelescopeOffset | None,
    angle: float,
    pointer: str,
) -> dict[str, Any]:
    """Return ``pointing`` and ``place`` of a request: where on the sky the field centre is, and where the target.

    ``at`` is the pointing without offsets, ``angle`` the position angle without them; the chopper looks on from the
    telescope's position.

    Raises
    ------
    RequestError
        The offsets lead too far away.
    """
    angle += position.rotation
    east, north = position.east, position.north
    if chop is not None:
        chopped = chop.frame.offset(*chop.arcsec(), angle)
        east, north = east + chopped[0], north + chopped[1]
    ra, dec = _sky(east, north, at)
    ra, dec = round(ra, 9) % 360.0, round(dec, 9)
    # Coordinates that have offsets of their own are not where the telescope points.
    star = _sky(-target.ra_offset, -target.dec_offset, at)
    away = project(np.float64(star[0]), np.float64(star[1]), ra, dec)  # type: ignore[arg-type]
    x, y = sky_to_field(float(away[0]), float(away[1]), angle)
    if not math.hypot(x, y) < MAX_OFFSET:
        raise RequestError(pointer, "the offsets lead more than 10 deg away from the target")
    position_angle = round((angle + 180.0) % 360.0 - 180.0, 9)
    return {
        "pointing": {"ra": ra, "dec": dec, "position_angle": position_angle},
        "place": {"ra": round(star[0], 9) % 360.0, "dec": round(star[1], 9)},
    }


def motion(target: Target, time: datetime) -> dict[str, Any] | None:
    """Return the block ``motion`` of a target with rates, which the telescope follows; None if it has none."""
    from elvis_cli.request.files.ephemeris import motion as section

    rate = target.rate(ephemeris.decimal_year(time))
    return section(*rate) if rate != (0.0, 0.0) else None


def fix_catalogue(target: Target, catalogue: Mapping[str, Any], origin: datetime, site: Site) -> dict[str, Any]:
    """Return the catalogue with ra, dec in place of x, y, which count from the target in the field at ``origin``.

    So the stars keep their coordinates while the field rotates, the telescope nods and the target moves.
    """
    stars = payload.catalogue(catalogue, pointed=True)
    if stars.celestial:
        return dict(catalogue)
    angle = position_angle(target, origin, origin, site)
    star = _sky(-target.ra_offset, -target.dec_offset, follow(target, origin, origin))
    east, north = field_to_sky(np.asarray(stars.x), np.asarray(stars.y), angle)
    places = zip(("ra", "dec"), deproject(east, north, *star), strict=True)
    kept = {key: value for key, value in catalogue.items() if key not in ("x", "y")}
    return kept | {key: payload.pack_column(np.asarray(column)) for key, column in places}


def offset_cards(step: ExposureStep, position: TelescopePosition, angle: float) -> dict[str, Any]:
    """Return the header cards of the offsets, commanded and cumulative; ``angle`` as in `pointing_section`."""
    x, y = position.on_detector(angle)
    cumulative = (
        ("RAOFF", "A", position.east, "East"),
        ("DECOFF", "D", position.north, "North"),
        ("INSTXOFF", "X", x, "along x of the field"),
        ("INSTYOFF", "Y", y, "along y of the field"),
    )
    result: dict[str, Any] = {}
    for keyword, axis, value, where in cumulative:
        result[keyword] = [_micro(value), f"[arcsec] telescope from the target, {where}"]
        result[f"ESO SEQ CUMOFFSET{axis}"] = [_micro(value), f"[arcsec] cumulative offset, {where}"]
    result["ESO SEQ CUMOFFSETR"] = [_micro(position.rotation), "[deg] cumulative turn of the field"]
    if step.move is not None:
        axes = "AD" if step.move.frame.kind == "SkyFrame" else "XY"
        how = "from the place before" if step.move.relative else "from the target"
        for axis, value in zip((*axes, "R"), (*step.move.arcsec(), step.move.dr), strict=True):
            unit = "deg" if axis == "R" else "arcsec"
            result[f"ESO SEQ RELOFFSET{axis}"] = [_micro(value), f"[{unit}] commanded, {how}"]
        result["ESO SEQ GUIDE"] = [step.move.guide, "whether the telescope guides here"]
        if step.move.posname:
            result["ESO SEQ POSNAME"] = [step.move.posname, "name of the place"]
    return result


def _sky(east: float, north: float, at: tuple[float, float]) -> tuple[float, float]:
    if east == north == 0.0:
        return at
    ra, dec = deproject(np.float64(east), np.float64(north), *at)  # type: ignore[arg-type]
    return float(ra), float(dec)


def _micro(value: float) -> float:
    return round(value, 6) + 0.0

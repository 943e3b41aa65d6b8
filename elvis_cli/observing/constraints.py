"""Airmass, Moon, seeing, water and airglow at the time of an exposure, and the constraints that they violate."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from elvis_cli.errors import RequestError
from elvis_cli.model.atmosphere import Site
from elvis_cli.model.setup import Setup
from elvis_cli.observing import ephemeris, weather
from elvis_cli.observing.visit import Visit
from elvis_cli.sky.pointing import apparent, isot

MAX_AIRMASS = 3.0
"""Largest airmass of the sky model."""
MAX_SUN_ALTITUDE = -6.0
"""deg: altitude of the Sun above which the sky model, of the night, is wrong."""
OLDER_SKY_KEYS = ("moon_fli", "moon_target_sep", "moon_sun_sep", "almanac")
"""Keys of the ``sky`` section in older generations of ETC JSON, which the plan replaces."""


@dataclass(frozen=True, slots=True)
class Violation:
    """A constraint of a block that one exposure violates."""

    block: str
    quantity: str
    excess: float
    """By how much the limit is exceeded, in the unit of the quantity."""
    text: str


def summarise(violations: Iterable[Violation]) -> list[str]:
    """Return a line of text for the worst violation of each quantity in each block."""
    kinds: dict[tuple[str, str], list[Violation]] = {}
    for one in violations:
        kinds.setdefault((one.block, one.quantity), []).append(one)
    notes = []
    for (block, _), alike in kinds.items():
        worst = max(alike, key=lambda one: one.excess)
        notes.append(f"{block}: {worst.text}" + (f" (worst of {len(alike)} exposures)" if len(alike) > 1 else ""))
    return notes


def start_violations(visit: Visit, start: datetime, site: Site) -> tuple[Violation, ...]:
    """Return the violations of a block's time constraints by its ``start`` (UTC)."""
    reasons = []
    if visit.windows and not any(a <= start <= b for a, b in visit.windows):
        reasons.append(f"it starts at {isot(start)[:16]}, outside its absolute time constraints")
    hour = 0.0 if site.space else apparent(0.0, 0.0, start, site).sidereal_time / 15.0 % 24.0
    if visit.sidereal and not any(a <= hour <= b if a <= b else not b < hour < a for a, b in visit.sidereal):
        reasons.append(f"it starts at {hour:.2f} h sidereal time, outside its sidereal time constraints")
    return tuple(Violation(visit.name, text, 0.0, text) for text in reasons)


def sky_section(
    at: tuple[float, float], time: datetime, site: Site, visit: Visit
) -> tuple[dict[str, Any], tuple[Violation, ...]]:
    """Return the ``sky`` section for ICRS ra, dec (deg) at a time, and the violations of the block's constraints.

    Raises
    ------
    RequestError
        The target is too low.
    """
    position, moon = ephemeris.local_position(*at, time, site), ephemeris.moon(time, site)
    airmass, distance = max(1.0, position.airmass), moon.separation(*at)
    if airmass > MAX_AIRMASS:
        name = visit.target.name if visit.target else visit.name
        raise RequestError(
            f"{visit.pointer}/target",
            f"{name} stands at an altitude of {position.altitude:.1f} deg at {isot(time)}",
            found=round(position.altitude, 3),
            allowed=f"airmass up to {MAX_AIRMASS:g}: another time (--start)",
        )
    section = {
        "airmass": round(airmass, 4),
        "fli": round(min(1.0, max(0.0, moon.illumination)), 4),
        "moonDistance": round(distance, 3),
        "moon_alt": round(moon.altitude, 3),
    }
    limits, when = visit.constraints, isot(time)[:16]
    violations = [
        Violation(visit.name, name, excess, f"{name} {value:.3g} at {when}, the constraint is {limits[key]:g}")
        for key, name, value, worse in (
            ("airmass", "airmass", airmass, 1),
            ("fli", "lunar illumination", moon.illumination if moon.altitude > 0 else 0.0, 1),
            ("moonDistance", "distance of the Moon", distance, -1),
        )
        if key in limits and (excess := worse * (value - limits[key])) > 0
    ]
    if moon.sun_altitude > MAX_SUN_ALTITUDE:
        text = f"the Sun stands at {moon.sun_altitude:.0f} deg at {when}; the sky is a night's"
        violations.append(Violation(visit.name, "Sun", moon.sun_altitude, text))
    return section, tuple(violations)


def airmass_section(at: tuple[float, float], time: datetime, site: Site) -> dict[str, float]:
    """Return the airmass of ICRS ra, dec (deg) for the ``sky`` section; empty where it exceeds MAX_AIRMASS."""
    airmass = ephemeris.local_position(*at, time, site).airmass
    return {"airmass": round(max(1.0, airmass), 4)} if airmass <= MAX_AIRMASS else {}


def weather_patch(document: Mapping[str, Any], setup: Setup, time: datetime, seed: int) -> dict[str, Any]:
    """Return a merge patch of the request with the seeing, water vapour and airglow at a UTC time."""
    section, block = document.get("sky") or {}, document.get("elvis") or {}
    seeing = setup.atmosphere.seeing * weather.SEEING.factor(seed, time)
    water = float(section.get("waterVapour") or section.get("pwv") or 2.5) * weather.WATER.factor(seed, time)
    airglow = float(block.get("airglow") or 1.0) * weather.AIRGLOW.factor(seed, time)
    return {
        "sky": {"waterVapour": round(min(30.0, max(0.05, water)), 4), "pwv": None},
        "elvis": {"atmosphere": {"seeing": round(min(5.0, max(0.05, seeing)), 4)}, "airglow": round(airglow, 4)},
    }

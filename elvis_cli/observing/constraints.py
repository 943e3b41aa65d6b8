"""Airmass, Moon, seeing and the like at the time of an exposure, and whether a block wanted them so."""

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
class Breach:
    """What a block did not want, at one exposure."""

    block: str
    what: str
    excess: float
    """The more, the worse."""
    text: str


def told(breaches: Iterable[Breach]) -> list[str]:
    """Return the worst of each kind in each block, for a person."""
    kinds: dict[tuple[str, str], list[Breach]] = {}
    for one in breaches:
        kinds.setdefault((one.block, one.what), []).append(one)
    notes = []
    for (block, _), found in kinds.items():
        worst = max(found, key=lambda one: one.excess)
        notes.append(f"{block}: {worst.text}" + (f" (worst of {len(found)} exposures)" if len(found) > 1 else ""))
    return notes


def late(visit: Visit, start: datetime, site: Site) -> tuple[Breach, ...]:
    """Return whether a block starts outside its time constraints."""
    found = []
    if visit.windows and not any(a <= start <= b for a, b in visit.windows):
        found.append(f"it starts at {isot(start)[:16]}, outside its absolute time constraints")
    hour = 0.0 if site.space else apparent(0.0, 0.0, start, site).sidereal_time / 15.0 % 24.0
    if visit.sidereal and not any(a <= hour <= b if a <= b else not b < hour < a for a, b in visit.sidereal):
        found.append(f"it starts at {hour:.2f} h sidereal time, outside its sidereal time constraints")
    return tuple(Breach(visit.name, text, 0.0, text) for text in found)


def sky(at: tuple[float, float], time: datetime, site: Site, visit: Visit) -> tuple[dict[str, Any], tuple[Breach, ...]]:
    """Return the ``sky`` section for ICRS ra, dec (deg) at a time, and what breaks the block's constraints.

    Raises
    ------
    RequestError
        The target is too low.
    """
    seen, moon = ephemeris.sight(*at, time, site), ephemeris.moon(time, site)
    airmass, distance = max(1.0, seen.airmass), moon.separation(*at)
    name = visit.target.name if visit.target else visit.name
    if airmass > MAX_AIRMASS:
        raise RequestError(
            f"{visit.pointer}/target",
            f"{name} stands at an altitude of {seen.altitude:.1f} deg at {isot(time)}",
            found=round(seen.altitude, 3),
            allowed=f"airmass up to {MAX_AIRMASS:g}: another time (--start)",
        )
    found = {
        "airmass": round(airmass, 4),
        "fli": round(min(1.0, max(0.0, moon.illumination)), 4),
        "moonDistance": round(distance, 3),
        "moon_alt": round(moon.altitude, 3),
    }
    limits, when = visit.constraints, isot(time)[:16]
    breaches = [
        Breach(visit.name, what, excess, f"{what} {value:.3g} at {when}, the constraint is {limits[key]:g}")
        for key, what, value, worse in (
            ("airmass", "airmass", airmass, 1),
            ("fli", "lunar illumination", moon.illumination if moon.altitude > 0 else 0.0, 1),
            ("moonDistance", "distance of the Moon", distance, -1),
        )
        if key in limits and (excess := worse * (value - limits[key])) > 0
    ]
    if moon.sun_altitude > MAX_SUN_ALTITUDE:
        text = f"the Sun stands at {moon.sun_altitude:.0f} deg at {when}; the sky is a night's"
        breaches.append(Breach(visit.name, "Sun", moon.sun_altitude, text))
    return found, tuple(breaches)


def height(at: tuple[float, float], time: datetime, site: Site) -> dict[str, float]:
    """Return the airmass of ICRS ra, dec (deg) for the ``sky`` section, nothing where it is too low for one."""
    airmass = ephemeris.sight(*at, time, site).airmass
    return {"airmass": round(max(1.0, airmass), 4)} if airmass <= MAX_AIRMASS else {}


def drift(document: Mapping[str, Any], setup: Setup, time: datetime, seed: int) -> dict[str, Any]:
    """Return a merge patch with seeing, water and airglow of this time."""
    section, block = document.get("sky") or {}, document.get("elvis") or {}
    seeing = setup.atmosphere.seeing * weather.SEEING.factor(seed, time)
    water = float(section.get("waterVapour") or section.get("pwv") or 2.5) * weather.WATER.factor(seed, time)
    airglow = float(block.get("airglow") or 1.0) * weather.AIRGLOW.factor(seed, time)
    return {
        "sky": {"waterVapour": round(min(30.0, max(0.05, water)), 4), "pwv": None},
        "elvis": {"atmosphere": {"seeing": round(min(5.0, max(0.05, seeing)), 4)}, "airglow": round(airglow, 4)},
    }

"""The target of a block: coordinates that may move, or none (calibrations)."""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from elvis_cli.base.geometry import deproject
from elvis_cli.errors import RequestError, ResourceError
from elvis_cli.observing.checked_object import CheckedObject, abbreviate, number
from elvis_cli.observing.ephemeris import TT_MINUS_UTC
from elvis_cli.observing.offset import MAX_OFFSET

if TYPE_CHECKING:
    from astropy.coordinates import SkyCoord

    from elvis_cli.request.files.moving import Ephemeris

NAMES_WITHOUT_COORDINATES = ("none", "domeflat", "domeflats")
"""Names of targets without coordinates."""
ROTATOR_MODES = ("pa", "stationary", "vertical")
WRAPS = {"n": "north", "north": "north", "s": "south", "south": "south", "shortest": "shortest", "none": "none"}
APPARENT = "apparent"
"""Frame of geocentric places of the true equator and equinox of the date of observation."""
FRAMES = ("icrs", "fk5", "fk4", APPARENT)
BANDS = ("B", "V", "R", "I", "u", "g", "r", "i", "z", "Y", "J", "H", "K", "Ks", "L", "M", "N")
TARGET_KEYS = {
    "name": "name",
    "RA": "ra",
    "Dec": "dec",
    "equinox": "equinox",
    "frame": "frame",
    "epoch": "epoch",
    "rotmode": "rotmode",
    "PA": "pa",
    "RAOffset": "ra_offset",
    "DecOffset": "dec_offset",
    "PMRA": "pmra",
    "PMDec": "pmdec",
    "mag": "mag",
    "wrap": "wrap",
    "dra": "dra",
    "ddec": "ddec",
    "comment": "comment",
}
"""Attribute of `Target` by the key in files."""
_SEXAGESIMAL = re.compile(r"([+-]?)(\d{1,3})[:hd\s]+(\d{1,2})(?:[:m'\s]+(\d{1,2}(?:\.\d*)?))?[s\"]?")


@dataclass(frozen=True, slots=True)
class Target:
    """A name, coordinates and their rates, and the rotation of the field."""

    name: str
    ra: float | None = None
    dec: float | None = None
    """deg, in ``frame``; None = no coordinates."""
    equinox: float = 2000.0
    """Year of the coordinate system; 2000 in ICRS."""
    frame: str = "icrs"
    epoch: float = 2000.0
    """Year in which a star with a proper motion is at ra, dec."""
    rotmode: str | None = None
    """pa, stationary or vertical; None = pa."""
    pa: float | None = None
    """deg, North through East; None = 0."""
    ra_offset: float = 0.0
    dec_offset: float = 0.0
    """From the coordinates to where the telescope points, arcsec on the sky."""
    pmra: float = 0.0
    """arcsec/yr on the sky (mu_alpha cos dec)."""
    pmdec: float = 0.0
    mag: Mapping[str, float] = field(default_factory=dict)
    """Vega magnitudes by band."""
    wrap: str | None = None
    dra: float = 0.0
    """Rate in right ascension, seconds of time per hour (Keck's arcsec/hr / 15)."""
    ddec: float = 0.0
    """Rate in declination, arcsec per hour."""
    comment: str = ""
    ephemeris: Ephemeris | None = field(default=None, compare=False, repr=False)
    """Its places at any time, in place of all coordinates and rates."""

    @property
    def placed(self) -> bool:
        """Whether it has coordinates."""
        return self.ephemeris is not None or (self.ra is not None and self.dec is not None)

    def notes(self) -> tuple[str, ...]:
        """Return a note on the defaults that are used for missing members."""
        if not self.placed:
            return ()
        choices = (("rotmode", self.rotmode, "pa"), ("PA", self.pa, 0))
        missing = [f"{name} = {default}" for name, value, default in choices if value is None]
        notes = [f"target {self.name}: not given, so taken: {', '.join(missing)}"] if missing else []
        if self.ephemeris is not None:
            notes += self.ephemeris.notes
            if self.ra is not None:
                notes.append(f"target {self.name}: the places are those of {self.ephemeris.name}, not RA and Dec")
        elif self.frame == APPARENT:
            notes.append(f"target {self.name}: RA and Dec are taken as apparent places of each exposure's time")
        return tuple(notes)

    def at(self, year: float, hours: float = 0.0) -> tuple[float, float]:
        """Return ICRS right ascension and declination (deg) in a ``year``, ``hours`` after the start of its block.

        A straight line in space, without the change of its distance: each rate counts by itself, and with it the
        offsets of the pointing.

        Raises
        ------
        RequestError
            It has no coordinates.
        """
        if self.ephemeris is not None:
            return _step(*self.ephemeris.at(_mjd(year)), self.ra_offset, self.dec_offset)
        ra, dec = self.icrs(year)
        years = year - self.epoch
        ra, dec = _step(ra, dec, self.pmra * years, self.pmdec * years)
        east = self.dra * 15.0 * math.cos(math.radians(dec)) * hours
        return _step(ra, dec, east + self.ra_offset, self.ddec * hours + self.dec_offset)

    def rate(self, year: float) -> tuple[float, float]:
        """Return the rate on the sky in a ``year``, arcsec per hour East and North; without the proper motion."""
        if self.ephemeris is not None:
            return self.ephemeris.rate(_mjd(year))
        return self.dra * 15.0 * math.cos(math.radians(self.dec or 0.0)), self.ddec

    def icrs(self, year: float) -> tuple[float, float]:
        """Return the coordinates as they are written, in ICRS, deg; apparent ones are those of ``year``."""
        if self.ra is None or self.dec is None:
            raise RequestError("", f"the target {self.name} has no coordinates")
        if self.frame == "icrs":
            return self.ra, self.dec
        if self.frame == APPARENT:
            return _from_apparent(self.ra, self.dec, year)
        return _to_icrs(self.ra, self.dec, self.frame, self.equinox)

    def coord(self) -> SkyCoord:
        """Return the coordinates as they are written, as astropy has them."""
        return _coord(self.ra, self.dec, self.frame, self.equinox)

    def to_dict(self) -> dict[str, Any]:
        """Return the object that `from_dict` reads, without members that are None."""
        members = {key: getattr(self, name) for key, name in TARGET_KEYS.items()}
        members["mag"] = dict(self.mag)
        if self.frame == APPARENT:
            del members["equinox"]
        return {key: value for key, value in members.items() if value is not None}

    def header(self) -> dict[str, Any]:
        """Return the cards of Keck's dictionary."""
        cards = {
            "TNAME": self.name,
            "TRA": self.ra,
            "TDEC": self.dec,
            "TEQUINOX": "APP" if self.frame == APPARENT else self.equinox,
            "TEPOCH": self.epoch,
            "TFRAME": self.frame,
            "TROTMODE": self.rotmode or "pa",
            "TPA": self.pa or 0.0,
            "TRAOFF": self.ra_offset,
            "TDECOFF": self.dec_offset,
            "TPMRA": self.pmra,
            "TPMDEC": self.pmdec,
            **{f"T{band.upper()}MAG": value for band, value in self.mag.items()},
            "TDRA": self.dra,
            "TDDEC": self.ddec,
            "TCOMMENT": self.comment,
        }
        return {key: value for key, value in cards.items() if value is not None}


def _coord(ra: float | None, dec: float | None, frame: str, equinox: float) -> SkyCoord:
    from astropy.coordinates import FK4, FK5, ICRS, SkyCoord

    kind = {"icrs": ICRS, "fk5": FK5, "fk4": FK4}[frame]
    system = kind() if frame == "icrs" else kind(equinox=f"{'JB'[frame == 'fk4']}{equinox}")
    return SkyCoord(ra, dec, unit="deg", frame=system)


@lru_cache(maxsize=1024)
def _to_icrs(ra: float, dec: float, frame: str, equinox: float) -> tuple[float, float]:
    """Return ICRS coordinates (deg); kept, for astropy takes 10 ms and each file of a night asks for them."""
    coordinates = _coord(ra, dec, frame, equinox).icrs
    return float(coordinates.ra.deg), float(coordinates.dec.deg)


def from_dict(
    node: Any, pointer: str, *, resolve: bool = False, ephemerides: Mapping[str, Ephemeris] = MappingProxyType({})
) -> Target:
    """Return the target that an object describes; ``resolve`` asks for missing coordinates by name (network).

    ``ephemerides`` are those of targets by their names; the name "" means any target.

    Raises
    ------
    RequestError
        The name is missing, or the coordinates, or a member is wrong.
    ResourceError
        The name cannot be resolved.
    """
    members = CheckedObject(node, pointer, (*TARGET_KEYS, "objecttype", "obstime"))
    name = members.text("name")
    frame = members.choice("frame", FRAMES, "icrs")
    ra, dec = _coordinates(members)
    ephemeris = None if name.casefold() in NAMES_WITHOUT_COORDINATES else ephemerides.get(name, ephemerides.get(""))
    own = [key for key in ("PMRA", "PMDec", "dra", "ddec") if members.number(key, 0.0)]
    if own and (ephemeris is not None or (frame == APPARENT and own[0].startswith("PM"))):
        reason = f"cannot be combined with {'an ephemeris' if ephemeris else 'apparent places, which it has moved'}"
        raise RequestError(members.at(own[0]), reason)
    if ra is None and ephemeris is None and name.casefold() not in NAMES_WITHOUT_COORDINATES:
        if not resolve:
            reason = "is missing (--resolve asks for it by the target's name; --ephemeris has places of a moving one)"
            raise RequestError(members.at("RA" if "RA" not in members else "Dec"), reason, allowed="0 to 360 deg")
        ra, dec = from_name(name)
        frame = "icrs"
    equinox = 2000.0 if frame in ("icrs", APPARENT) else round(_year(members, "equinox", 2000.0), 6)
    return Target(
        name,
        ra,
        dec,
        equinox,
        frame,
        _year(members, "epoch", 2000.0),
        members.choice("rotmode", ROTATOR_MODES) if "rotmode" in members else None,
        members.optional_number("PA", 0.0, 360.0, unit="deg"),
        members.number("RAOffset", 0.0, -MAX_OFFSET, MAX_OFFSET, unit="arcsec"),
        members.number("DecOffset", 0.0, -MAX_OFFSET, MAX_OFFSET, unit="arcsec"),
        members.number("PMRA", 0.0, -100, 100, unit="arcsec/yr"),
        members.number("PMDec", 0.0, -100, 100, unit="arcsec/yr"),
        _magnitudes(members),
        WRAPS[members.choice("wrap", WRAPS)] if "wrap" in members else None,
        members.number("dra", 0.0, -1e5, 1e5, unit="s of time per hour"),
        members.number("ddec", 0.0, -1e6, 1e6, unit="arcsec/hr"),
        members.text("comment", ""),
        ephemeris,
    )


def from_name(name: str) -> tuple[float, float]:
    """Return the ICRS coordinates (deg) that Sesame (CDS) knows for a name; asks the network.

    Raises
    ------
    ResourceError
        It does not know it, or does not answer.
    """
    from astropy.coordinates import SkyCoord
    from astropy.coordinates.name_resolve import NameResolveError

    try:
        coordinates = SkyCoord.from_name(name).icrs
    except (NameResolveError, OSError) as error:
        raise ResourceError(
            f"the name {name!r} could not be resolved ({str(error)[:120]}): give RA and Dec", name=name
        ) from None
    return float(coordinates.ra.deg), float(coordinates.dec.deg)


def sexagesimal(text: str, pointer: str) -> float:
    """Return the number in "hh:mm:ss.s" or "dd mm ss.s", in hours or degrees."""
    match = _SEXAGESIMAL.fullmatch(text.strip())
    minute, second = (float(match[n] or 0) for n in (3, 4)) if match else (60.0, 60.0)
    if not match or minute >= 60 or second >= 60:
        raise RequestError(
            pointer, f"{abbreviate(text)} is not a sexagesimal number", allowed="12:34:56.7 or 12 34 56.7"
        )
    return (-1.0 if match[1] == "-" else 1.0) * (float(match[2]) + minute / 60 + second / 3600)


def _coordinates(members: CheckedObject) -> tuple[float | None, float | None]:
    ra, dec = members.node.get("RA"), members.node.get("Dec")
    if ra is None or dec is None:
        if ra is not None or dec is not None:
            members.require("Dec" if dec is None else "RA")
        return None, None
    texts = isinstance(ra, str) and isinstance(dec, str)
    if isinstance(ra, str) != isinstance(dec, str):
        raise RequestError(members.at("RA"), "RA and Dec are one a text and one a number", allowed="both of one kind")
    if texts:
        ra, dec = 15.0 * sexagesimal(ra, members.at("RA")), sexagesimal(dec, members.at("Dec"))
    return number(ra, members.at("RA"), 0.0, 360.0, "deg"), number(dec, members.at("Dec"), -90.0, 90.0, "deg")


def _year(members: CheckedObject, name: str, default: float) -> float:
    """Return a year; J2000 and B1950 are taken too."""
    year = members.node.get(name)
    if isinstance(year, str) and year[:1] in ("J", "B"):
        return number(year[1:], members.at(name), 1800, 2200, "year")
    return members.number(name, default, 1800, 2200, unit="year")


def _magnitudes(members: CheckedObject) -> dict[str, float]:
    magnitudes = members.table("mag")
    inner = CheckedObject(magnitudes, members.at("mag"), BANDS)
    return {band: inner.number(band, low=-30, high=60, unit="mag") for band in inner.node}


def _step(ra: float, dec: float, east: float, north: float) -> tuple[float, float]:
    if east == north == 0.0:
        return ra, dec
    lon, lat = deproject(np.float64(east), np.float64(north), ra, dec)  # type: ignore[arg-type]
    return float(lon), float(lat)


def _mjd(year: float) -> float:
    """Return the modified Julian date of a Julian year."""
    return 51544.5 + (year - 2000.0) * 365.25


def _from_apparent(ra: float, dec: float, year: float) -> tuple[float, float]:
    """Return the ICRS place (deg) of an apparent one (true equator and equinox) in a year; no parallax of the site."""
    import erfa  # type: ignore[import-untyped]

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", erfa.ErfaWarning)
        frame, origins = erfa.apci13(2400000.5, _mjd(year) + TT_MINUS_UTC / 86400.0)
        lon, lat = erfa.aticq(math.radians(ra) + origins, math.radians(dec), frame)
    return math.degrees(float(lon)) % 360.0, math.degrees(float(lat))


def with_rate(target: Target, east: float) -> Target:
    """Return the target with a rate on the sky to the East (arcsec per hour) as its rate in right ascension."""
    cos = math.cos(math.radians(target.dec or 0.0))
    return replace(target, dra=east / 15.0 / cos if cos > 1e-6 else 0.0)

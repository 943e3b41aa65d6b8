"""Keck's starlists: a target in each line.

Columns 1 to 16 are the name, then follow RA, Dec and equinox, then pairs key=value, then a comment behind #. Keck's
own keys are raoffset, decoffset and rotdest; KeckODL's raoff, decoff and PA are read too. Magnitudes stand in the
line (vmag=) or, as KeckODL has them, in the comment.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from elvis_cli.errors import RequestError
from elvis_cli.observing import target as targets
from elvis_cli.observing.checked_object import abbreviate
from elvis_cli.observing.target import BANDS, Target

NAME_WIDTH = 16
"""Characters of a name."""
STARLIST_KEYS = {
    "raoffset": "RAOffset", "raoff": "RAOffset", "decoffset": "DecOffset", "decoff": "DecOffset", "rotmode": "rotmode",
    "rotdest": "PA", "pa": "PA", "wrap": "wrap", "dra": "dra", "ddec": "ddec", "pmra": "PMRA", "pmdec": "PMDec",
    "epoch": "epoch",
}  # fmt: skip
WRITTEN_KEYS = ("raoffset", "decoffset", "rotmode", "rotdest", "wrap", "dra", "ddec", "pmra", "pmdec", "epoch")
_PLACE = re.compile(
    r"\s*(\d{1,3}[\s:]+\d{1,2}[\s:]+\d{1,2}(?:\.\d*)?)\s+([+-]?\d{1,2}[\s:]+\d{1,2}[\s:]+\d{1,2}(?:\.\d*)?)"
    r"\s+(APP|[JB]?\d{4}(?:\.\d*)?)\s*(.*)"
)
_PAIR = re.compile(r"([A-Za-z_]+)\s*=\s*([^\s=]+)")
_BANDS = {band.casefold(): band for band in reversed(BANDS)}


def read(text: str) -> tuple[Target, ...]:
    """Return the targets of a starlist; empty lines and comments are passed over.

    Raises
    ------
    RequestError
        A line is not one of a starlist.
    """
    return tuple(_line(line, f"/{n}") for n, line in enumerate(text.splitlines()) if line.split("#")[0].strip())


def write(targets: Iterable[Target]) -> str:
    """Return the starlist of targets; those without coordinates have no line.

    Names are cut to 16 characters. Coordinates are written to 0.001 s and 0.01 arcsec.
    """
    return "".join(f"{_written(one)}\n" for one in targets if one.placed)


def looks_like(text: str) -> bool:
    """Return whether the first line that says something is one of a starlist."""
    first = next((line for line in text.splitlines() if line.split("#")[0].strip()), "")
    return _PLACE.fullmatch(first.split("#")[0][NAME_WIDTH:].rstrip()) is not None


def _line(line: str, pointer: str) -> Target:
    body, _, comment = line.partition("#")
    match = _PLACE.fullmatch(body[NAME_WIDTH:].rstrip())
    if not match:
        raise RequestError(pointer, f"{abbreviate(line)} is not a line of a starlist",
                           allowed="name in 16 columns, hh mm ss.ss +dd mm ss.s 2000 key=value")  # fmt: skip
    ra, dec, equinox, rest = match.groups()
    node: dict[str, Any] = {"name": body[:NAME_WIDTH].strip(), "RA": ra, "Dec": dec}
    if equinox == "APP":
        raise RequestError(pointer, "apparent coordinates cannot be used", found=equinox, allowed="an equinox")
    year = float(equinox.lstrip("JB"))
    if year != 2000.0:
        node |= {"frame": "fk4" if equinox[0] == "B" or year == 1950.0 else "fk5", "equinox": year}
    magnitudes: dict[str, float] = {}
    for key, value in _PAIR.findall(rest):
        if not _magnitude(key, value, magnitudes):
            if key.casefold() not in STARLIST_KEYS:
                raise RequestError(
                    pointer, f"{key!r} is not a key of a starlist", found=key, allowed=list(STARLIST_KEYS)
                )
            node[STARLIST_KEYS[key.casefold()]] = value
    for key, value in _PAIR.findall(comment):
        if _magnitude(key, value, magnitudes):
            comment = re.sub(rf"\b{key}\s*=\s*{re.escape(value)}", "", comment)
    node |= {"mag": magnitudes, "comment": comment.strip()}
    if "rotmode" in node:
        node["rotmode"] = {"posang": "pa", "positionangle": "pa"}.get(node["rotmode"].casefold(), node["rotmode"])
    return targets.from_dict({key: value for key, value in node.items() if value not in ({}, "")}, pointer)


def _magnitude(key: str, value: str, magnitudes: dict[str, float]) -> bool:
    band = key[:-3]
    if not key.casefold().endswith("mag") or not band:
        return False
    name = band if band in BANDS else _BANDS.get(band.casefold())
    try:
        if name:
            magnitudes[name] = float(value)
    except ValueError:
        return False
    return name is not None


def _written(one: Target) -> str:
    assert one.ra is not None
    assert one.dec is not None
    ra, dec = one.ra / 15.0 % 24.0, one.dec
    equinox = f"{one.equinox:g}" if one.frame == "icrs" else f"{'JB'[one.frame == 'fk4']}{one.equinox:g}"
    values = {
        "raoffset": one.ra_offset, "decoffset": one.dec_offset, "rotmode": one.rotmode, "rotdest": one.pa,
        "wrap": one.wrap, "dra": one.dra, "ddec": one.ddec, "pmra": one.pmra, "pmdec": one.pmdec,
        "epoch": one.epoch if one.pmra or one.pmdec else None,
    }  # fmt: skip
    pairs = [
        f"{key}={value if isinstance(value, str) else f'{value:.10g}'}"
        for key in WRITTEN_KEYS
        if (value := values[key]) not in (None, 0.0, "") or (key == "rotdest" and value is not None)
    ]
    if "V" in one.mag:
        pairs.append(f"vmag={one.mag['V']:g}")
    remarks = [f"{band}mag={value:g}" for band, value in one.mag.items() if band != "V"]
    remarks += [one.comment] if one.comment else []
    name = f"{one.name[:NAME_WIDTH]:<{NAME_WIDTH}}"
    line = f"{name} {_sixty(ra, 3, ' ')} {_sixty(dec, 2, '+')} {equinox} {' '.join(pairs)}".rstrip()
    return f"{line} # {' '.join(remarks)}" if remarks else line


def _sixty(value: float, digits: int, plus: str) -> str:
    """Return hours or degrees as "hh mm ss.sss", without 60 seconds."""
    unit = 10**digits
    parts = round(abs(value) * 3600 * unit)
    minutes, rest = divmod(parts, 60 * unit)
    hours, minute = divmod(minutes, 60)
    sign = "-" if value < 0 else plus.strip()
    return f"{sign}{hours:02d} {minute:02d} {rest / unit:0{3 + digits}.{digits}f}"

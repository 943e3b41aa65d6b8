"""An ephemeris of a moving target -> its places and rates; the keys ``pointing`` and ``motion`` of a request.

Places are astrometric (ICRF), as JPL Horizons' quantity 1 and most tables have them. They are used as they are: light
time, parallax and the observer's place are those of the table. A catalogue's stars have such places too, so the target
stands right among them. Rates (quantity 3) are arcsec per hour on the sky, East and North. Dates are UT.
"""

from __future__ import annotations

import math
import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np

from elvis_cli.base.dates import parse_date
from elvis_cli.base.geometry import deproject, field_to_sky
from elvis_cli.errors import RequestError, UsageError
from elvis_cli.model.request import SceneRequest
from elvis_cli.request.files import ephemeris_table
from elvis_cli.request.files.horizons import read_horizons, read_minor_planet_center
from elvis_cli.request.files.moving import OPTION, Ephemeris, to_mjd, wrong
from elvis_cli.request.parse import parse_json

MAX_RATE = 3.6e6
"""Highest rate of a request's ``motion``, arcsec per hour."""


def read_ephemeris(path: Path) -> Ephemeris:
    """Return the ephemeris in a file: an observer table of JPL Horizons as text, or a table that astropy reads (ECSV).

    Raises
    ------
    UsageError
        The file cannot be read.
    RequestError
        It has no times or places, or they are in no known form.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UsageError(f"{OPTION}: cannot read {path}: {error.strerror}") from None
    try:
        text = "" if content.startswith(b"SIMPLE") else content.decode("utf-8-sig")
    except UnicodeDecodeError:  # a table, perhaps compressed
        return ephemeris_table.read(path)
    if text.lstrip().startswith("{"):  # as the service of Horizons answers
        try:
            text = str(parse_json(text)["result"])
        except (RequestError, KeyError, TypeError):
            raise wrong(path.name, "is JSON without a text 'result'") from None
    if "$$SOE" in text:
        return read_horizons(path.name, text)
    if re.search(r"Date\s+UT\s+R\.A\. \(J2000\) Decl\.", text):
        return read_minor_planet_center(path.name, text)
    return ephemeris_table.read(path)


def follow(ephemeris: Ephemeris, request: SceneRequest, duration: float) -> dict[str, Any]:
    """Return the keys ``pointing`` and ``motion`` that follow the target in an exposure of ``duration`` s.

    The place is that in the middle of the exposure. A target beside the field's centre (``offset``) stays there.

    Raises
    ------
    RequestError
        The request has no date, or one that the ephemeris does not hold.
    """
    block = request.elvis
    if block.date is None:
        raise RequestError("/elvis/date", f"is missing: {ephemeris.name} needs the time of the exposure", allowed="UTC")
    start = parse_date(block.date, "/elvis/date")
    ephemeris.check(start, start + timedelta(seconds=duration))
    day = to_mjd(start + timedelta(seconds=duration / 2))
    ra, dec = ephemeris.at(day)
    if block.offset != (0.0, 0.0):
        angle = block.pointing.position_angle if block.pointing else 0.0
        east, north = (np.float64(-value) for value in field_to_sky(*block.offset, angle))
        ra, dec = (float(value) for value in deproject(east, north, ra, dec))  # type: ignore[arg-type]
    pointing = {"ra": round(ra, 9) % 360.0, "dec": round(dec, 9)}
    return {"pointing": pointing, "motion": motion(*ephemeris.rate(day))}


def motion(east: float, north: float) -> dict[str, Any]:
    """Return the block ``motion`` of a target that the telescope follows, from its rates in arcsec per hour."""
    angle = round(math.degrees(math.atan2(east, north)), 6)
    return {"rate": round(min(math.hypot(east, north), MAX_RATE), 6), "angle": angle, "tracked": True}

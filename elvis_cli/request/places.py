"""The place of a target on the sky, as its offset in the field."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from elvis_cli.errors import RequestError

MAX_OFFSET = 36000.0
"""arcsec: as far as ``offset`` may be."""


def offset(place: Mapping[str, Any], block: Mapping[str, Any]) -> tuple[float, float]:
    """Return the field coordinates x, y (arcsec) of the ``place`` (ra, dec) of a request's block ``elvis``.

    Raises
    ------
    RequestError
        The block has an offset too, has no pointing, or points more than 10 deg away from the place.
    """
    if block.get("offset") is not None:
        raise RequestError("/elvis/place", "cannot be combined with /elvis/offset", allowed="one of them")
    pointing = block.get("pointing")
    if not pointing:
        raise RequestError("/elvis/place", "needs /elvis/pointing", allowed="pointing: {ra, dec}")
    from elvis_cli.base.geometry import project, sky_to_field

    ra, dec = float(place["ra"]), float(place["dec"])
    east, north = project(ra, dec, float(pointing["ra"]), float(pointing["dec"]))  # type: ignore[arg-type]
    x, y = sky_to_field(float(east), float(north), float(pointing.get("position_angle") or 0.0))
    if not (abs(x) <= MAX_OFFSET and abs(y) <= MAX_OFFSET):
        raise RequestError("/elvis/place", f"ra {ra:g}, dec {dec:g} is more than 10 deg from the pointing")
    return x, y

"""The zero point from a standard star, with its error, and the encircled energy of its image."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from elvis_cli.base.arrays import Floats
from elvis_cli.detection import apertures, sources
from elvis_cli.errors import ResourceError
from elvis_cli.reduction.combine import UNSEEN, Stack

CATALOGUE = Path(__file__).with_name("standards.csv")
AB_MINUS_VEGA = {
    "u": 0.91, "b": -0.09, "g": 0.0, "v": 0.02, "r": 0.21, "i": 0.45, "z": 0.54, "y": 0.634, "j": 0.91, "h": 1.39,
    "k": 1.85, "l": 2.76, "m": 3.40, "n": 5.20,
}  # fmt: skip
"""m(AB) - m(Vega) of the band that a filter's first letter names: Blanton & Roweis 2007, AJ 133, 734, table 1 (u to K),
Hewett et al. 2006, MNRAS 367, 454 (z, Y); L, M, N from the flux of Vega, 3631 Jy over 285, 158 and 30 Jy."""
COLUMNS = ("name", "ra", "dec", "band", "mag", "system", "error", "sed", "source")
ALIASES = {
    "xi": "i",
    "xy": "y",
    "xj": "j",
    "xh": "h",
    "xk": "k",
    "br": "k",
    "paschen": "j",
    "pa": "j",
    "fe": "h",
    "he": "j",
}


@dataclass(frozen=True, slots=True, eq=False)
class ZeroPoint:
    """Magnitude of 1 electron/s of all of a star's light."""

    vega: float
    error: float
    ab: float | None
    star: str
    radii: Floats
    """Pixels."""
    encircled: Floats
    """Fraction of the light in circles of these radii."""

    def correction(self, radius: float) -> float:
        """Return the magnitudes to add to a magnitude in a circle of ``radius`` pixels."""
        return 2.5 * math.log10(float(np.interp(radius, self.radii, self.encircled)))


def read_standards(path: Path | None = None) -> dict[str, dict[str, str]]:
    """Return the rows of a catalogue of standards by name; None is the one that ships.

    Raises
    ------
    ResourceError
        The file cannot be read or has not the columns.
    """
    import csv

    path = path or CATALOGUE
    try:
        with path.open(newline="") as file:
            rows = list(csv.DictReader(line for line in file if not line.startswith("#")))
    except OSError as error:
        raise ResourceError(f"--standards: {path} cannot be read: {error.strerror}", path=str(path)) from None
    for row in rows:
        lacking = [name for name in COLUMNS[:6] if row.get(name) is None]
        if lacking:
            raise ResourceError(f"--standards: {path} has no column {', '.join(lacking)}", path=str(path))
    return {row["name"].strip(): row for row in rows}


def ab_offset(filters: str) -> float | None:
    """Return m(AB) - m(Vega) of a filter, None if its name tells no band."""
    for word in filters.split():
        name = word.lower()
        for alias, band in ALIASES.items():
            if name.startswith(alias):
                return AB_MINUS_VEGA[band]
        if name[:1] in AB_MINUS_VEGA and name not in ("open", "nond", "none"):
            return AB_MINUS_VEGA[name[:1]]
    return None


def measure(stack: Stack, place: tuple[float, float], star: Mapping[str, str], filters: str, fwhm: float) -> ZeroPoint:
    """Return the zero point from the image of a star near ``place`` (pixels from 0).

    All its light is that within the largest circle that fits with its annulus of sky into the image and whose error is
    below 0.3 %; its profile inside is its curve of growth.

    Raises
    ------
    ResourceError
        There is no star.
    """
    good = (stack.dq & UNSEEN) == 0
    found = sources.find(stack.sci, stack.err, good, fwhm, 20.0)
    if found.x.size == 0:
        raise ResourceError(f"the standard star {star['name']} is not in its frame")
    near = np.hypot(found.x - place[0], found.y - place[1])
    reach = max(20.0 * fwhm, 40.0)
    candidates = np.flatnonzero(near < reach)
    best = (
        candidates[np.argmax(found.significance[candidates])] if candidates.size else int(np.argmax(found.significance))
    )
    x, y = found.x[best : best + 1], found.y[best : best + 1]
    ny, nx = stack.sci.shape
    room = min(float(x[0]), float(y[0]), nx - 1 - float(x[0]), ny - 1 - float(y[0]))
    most = max(room / 1.35, 3.0 * fwhm)
    radii = np.geomspace(max(1.0, 0.5 * fwhm), most, 24)
    ring = (most * 1.05, most * 1.35)
    fluxes = [apertures.measure(stack.sci, stack.err, good, x, y, float(radius), ring) for radius in radii]
    curve, errors = (np.array([float(getattr(each, name)[0]) for each in fluxes]) for name in ("flux", "error"))
    precise = np.flatnonzero(errors < 0.003 * np.maximum(curve, 1e-30))
    last = int(precise[-1]) if precise.size else int(np.argmax(curve / errors))
    curve = np.maximum.accumulate(curve[: last + 1])
    rate, error = float(curve[-1]), float(errors[last])
    magnitude = float(star["mag"])
    offset = ab_offset(filters)
    if star["system"].lower() == "ab":
        magnitude -= offset or 0.0
    zero = magnitude + 2.5 * math.log10(rate)
    sigma = math.hypot(2.5 / math.log(10) * error / rate, float(star.get("error") or 0.0))
    return ZeroPoint(
        zero, sigma, None if offset is None else zero + offset, star["name"], radii[: last + 1], curve / rate
    )


def select(names: Sequence[str], standards: Mapping[str, Mapping[str, str]]) -> Mapping[str, str] | None:
    """Return the first of ``names`` that is a standard, None if none is."""
    folded = {key.casefold(): value for key, value in standards.items()}
    return next((folded[name.strip().casefold()] for name in names if name.strip().casefold() in folded), None)


def star_names(header: Any) -> list[str]:
    """Return the names of its star that a raw frame has."""
    return [str(header.get(key, "")) for key in ("OBJECT", "ESO OBS TARG NAME")]

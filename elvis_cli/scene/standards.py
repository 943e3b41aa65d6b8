"""Photometric standard stars: those of the shipped catalogue or of a file, and made-up ones told by their names."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from elvis_cli.errors import ResourceError

CATALOGUE = Path(__file__).with_name("standards.csv")
COLUMNS = ("name", "ra", "dec", "band", "mag", "system")
_MADE_UP = re.compile(r"STD (?P<type>\S+) (?P<band>\S+)=(?P<mag>-?[\d.]+)(?: (?P<system>\S+))?$")


@dataclass(frozen=True, slots=True)
class StandardStar:
    """A star and its magnitude in one band."""

    name: str
    ra: float | None
    """ICRS, deg; None = where the telescope points."""
    dec: float | None
    band: str
    mag: float
    system: str
    error: float
    """mag."""
    sed: str
    """Template, ``catalog:id``."""
    source: str


def read(path: Path | None = None) -> tuple[StandardStar, ...]:
    """Return the rows of a catalogue of standards, one a star and band; None is the one that ships.

    Raises
    ------
    ResourceError
        The file cannot be read, has not the columns, or a number is none.
    """
    import csv

    path = path or CATALOGUE
    try:
        with path.open(newline="") as file:
            rows = list(csv.DictReader(line for line in file if not line.startswith("#")))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ResourceError(f"--standards: {path} cannot be read: {error}", path=str(path)) from None
    if not rows:
        raise ResourceError(f"--standards: {path} has no star", path=str(path))
    stars = []
    for number, row in enumerate(rows, 1):
        lacking = [name for name in COLUMNS if row.get(name) is None]
        if lacking:
            raise ResourceError(f"--standards: {path} has no column {', '.join(lacking)}", path=str(path))
        try:
            stars.append(_star(row))
        except ValueError as error:
            raise ResourceError(f"--standards: {path}, star {number}: {error}", path=str(path)) from None
    return tuple(stars)


def _star(row: dict[str, str]) -> StandardStar:
    ra, dec = (float(row[axis]) if row[axis].strip() else None for axis in ("ra", "dec"))
    error = float(row.get("error") or 0.0)
    words = (row[name].strip() for name in ("name", "band", "system"))
    name, band, system = words
    return StandardStar(
        name, ra, dec, band, float(row["mag"]), system, error, row.get("sed") or "", row.get("source") or ""
    )


def made_up(name: str) -> StandardStar | None:
    """Return the star that a name such as "STD A0V K=12" tells; None if it tells none."""
    told = _MADE_UP.match(name.strip())
    if told is None:
        return None
    return StandardStar(
        name.strip(), None, None, told["band"], float(told["mag"]), (told["system"] or "vega").lower(), 0.0,
        f"Pickles:{told['type']}", "made up",
    )  # fmt: skip


def named(names: Iterable[str], stars: Sequence[StandardStar]) -> list[StandardStar]:
    """Return the rows of the first of ``names`` that is a standard; letters and blanks do not count."""
    for name in names:
        found = [star for star in stars if _folded(star.name) == _folded(name)]
        invented = made_up(name)
        if found or invented:
            return found or [invented]  # type: ignore[list-item]
    return []


def _folded(name: str) -> str:
    return re.sub(r"[\s_]+", "", name).casefold()

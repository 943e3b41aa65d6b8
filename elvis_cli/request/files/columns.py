"""The columns of a table of sources: found by quantity, in our units."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from astropy import units
from astropy.table import Table

from elvis_cli.base.arrays import Floats
from elvis_cli.errors import RequestError, nearest_name
from elvis_cli.request.files.table import numbers_of
from elvis_cli.request.files.text_table import REPEATED
from elvis_cli.request.files.unit_words import unit_of

POINTER = "/elvis/catalogue"
QUANTITY_NAMES: dict[str, tuple[tuple[str, ...], str]] = {
    "x": (("x",), "arcsec"),
    "y": (("y",), "arcsec"),
    "temperature": (("temperature", "teff", "t_eff", "teff_gspphot", "effective_temperature"), "K"),
    "sed": (("sed",), ""),
    "radius": (("radius", "half_light_radius", "re", "r_e", "reff", "r_eff", "r_half", "hlr"), "arcsec"),
    "index": (("index", "sersic_index", "sersic_n", "n_sersic", "sersic"), ""),
    "ellipticity": (("ellipticity", "ellip"), ""),
    "angle": (("angle", "position_angle", "pa", "theta", "theta_j2000"), "deg"),
    "velocity": (("velocity", "rv", "radial_velocity", "vrad", "hrv"), "km/s"),
    "id": (("id", "source_id", "source", "number", "objid", "obj_id", "object_id"), ""),
    "name": (
        (
            "name",
            "main_id",
            "object",
            "object_name",
            "objname",
            "target",
            "star",
            "star_name",
            "source_name",
            "designation",
            "identifier",
        ),
        "",
    ),
}
"""Names that a column may have, in any case, and the unit that it is brought to."""

QUANTITIES = ("x", "y", "ra", "dec", "mag", *(name for name in QUANTITY_NAMES if name not in "xy"))
"""Quantities of a source that a column may hold."""

RANGES = {
    "mag": (-30.0, 60.0),
    "ra": (-360.0, 360.0),
    "dec": (-90.0, 90.0),
    "temperature": (0.0, math.inf),
    "radius": (0.0, math.inf),
    "index": (0.3, 10.0),
    "ellipticity": (0.0, 1.0),
    "angle": (-360.0, 360.0),
    "velocity": (-998.0, 998.0),
}
"""Values beyond these that are written with nines only, such as 99, -999 or 99.99, mean that there is none."""


class ColumnReader:
    """Looks up the columns of a table, and keeps which of them were used."""

    def __init__(self, path: Path, table: Table, named: dict[str, str], notes: list[str]) -> None:
        self.path, self.table, self.named, self.notes = path, table, named, notes
        self.used: set[str] = set()
        for quantity, column in named.items():
            self.named[quantity] = self._existing(column, quantity)

    def find(self, key: str) -> str | None:
        """Return the name of the column that holds a quantity, None if there is none."""
        if key in self.named:
            return self.named[key]
        names = [str(name) for name in self.table.colnames if name not in self.named.values()]
        words, unit = QUANTITY_NAMES[key]
        for known in (*words, *(f"{word}_" for word in words)):
            found = [name for name in names if plain_name(name) == known or _has_unit(name, known, unit)]
            if len(found) > 1:
                raise RequestError(
                    f"{POINTER}/{key}", f"{self.path.name}: which column?", found=found, allowed=f"--column {key}=NAME"
                )
            if found:
                return found[0]
        return None

    def use(self, name: str, key: str) -> None:
        """Count a column as used; raise a RequestError if several have its name."""
        self.used.add(name)
        if self.named.get(key) != name:
            self._check_unique(name, key)

    def number(self, name: str, key: str, unit: str) -> Floats:
        """Return a column in ``unit``, which it is taken to be in if it does not say; nan = no value."""
        self.use(name, key)
        column = self.table[name]
        values = numbers_of(self.path, column, name, f"{POINTER}/{key}")
        own = getattr(column, "unit", None) or _unit_in_name(name, unit)
        if key and own is not None and str(own):
            values = self._converted(values, own, name, key, unit)
        low, high = RANGES.get(key, (-math.inf, math.inf))
        for row in np.flatnonzero((values < low) | (values > high) | np.isinf(values)):
            if not np.isfinite(values[row]) or re.fullmatch(r"9{2,}(\.9+)?", f"{abs(values[row]):.10g}"):
                values[row] = np.nan
        return values

    def missing(self, what: Sequence[str]) -> NoReturn:
        """Raise the RequestError for a table that lacks columns."""
        raise RequestError(
            f"{POINTER}/{what[0]}",
            f"{self.path.name} has no column {' and no '.join(what)}",
            found=[str(name) for name in self.table.colnames],
            allowed="x, y (arcsec) or ra, dec (deg); mag; temperature (K) or sed; radius (arcsec), index ...; "
            f"--column {what[0]}=NAME for one of {', '.join(map(str, self.table.colnames[:20]))}",
        )

    def _check_unique(self, name: str, key: str) -> None:
        numbers = self.table.meta.get(REPEATED, {}).get(name)
        if numbers:
            places = " or ".join(f"--column {key or name}={number}" for number in numbers)
            reason = f"{self.path.name}: columns {' and '.join(map(str, numbers))} are named {name}: which? {places}"
            raise RequestError(f"{POINTER}/{key}", reason, found=name, allowed=places)

    def _existing(self, column: str, quantity: str) -> str:
        names = [str(name) for name in self.table.colnames]
        if column in names:
            self._check_unique(column, quantity)
            return column
        if column.isdecimal() and 1 <= int(column) <= len(names):
            return names[int(column) - 1]
        found = [name for name in names if name.casefold() == column.casefold()]
        if len(found) == 1:
            return found[0]
        raise RequestError(
            f"{POINTER}/{quantity}",
            f"{self.path.name} has no column {column}",
            found=column,
            allowed=names,
            nearest=nearest_name(column, names),
        )

    def _converted(self, values: Floats, own: Any, name: str, key: str, unit: str) -> Floats:
        known = unit_of(own)
        if key == "ra" and known in (units.hour, units.hourangle):
            known = units.hourangle
        try:
            return np.array((values * units.Unit(known)).to_value(unit), dtype=float)
        except (units.UnitConversionError, ValueError, TypeError):
            raise RequestError(
                f"{POINTER}/{key}",
                f"{self.path.name}: column {name} is in {own}",
                found=str(own),
                allowed=f"{unit or 'no unit'}, or what converts to it",
            ) from None

    def plain_names(self) -> set[str]:
        """Return the names of columns as `plain_name` has them, and the quantities for which one is named."""
        return {plain_name(name) for name in self.table.colnames} | set(self.named)


def _unit_in_name(name: str, unit: str) -> str | None:
    """Return the unit at the end of a name such as x_mas, None if there is none that converts to ``unit``."""
    last = name.strip().rpartition("_")[2]
    known = unit_of(last) if unit and last != name else None
    return last if known is not None and known.is_equivalent(units.Unit(unit)) else None


def _has_unit(name: str, stem: str, unit: str) -> bool:
    """Return whether a name is a stem that ends in _ and a unit."""
    last = _unit_in_name(name, unit)
    return last is not None and stem.endswith("_") and plain_name(name) == stem + last.casefold()


def plain_name(name: str) -> str:
    """Return a column's name in small letters, with _ for spaces."""
    return re.sub(r"[\s-]+", "_", str(name).strip()).casefold()

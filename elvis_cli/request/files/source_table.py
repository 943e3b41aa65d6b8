"""The sources of a file, whose magnitudes are those of a request's band."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from elvis_cli.base.arrays import Floats
from elvis_cli.errors import RequestError
from elvis_cli.model.request import Brightness
from elvis_cli.request.files.columns import POINTER
from elvis_cli.request.files.magnitudes import UNBANDED, Magnitudes, describe_nearest, nearest
from elvis_cli.request.payload import MAX_CATALOGUE_ROWS, pack_column, pack_names


@dataclass(slots=True)
class SourceTable:
    """The sources of a file; which of its magnitudes they have depends on the band of a request's brightness."""

    name: str
    columns: dict[str, Any]
    """Numbers (nan = no value) or words of each source, by quantity."""
    magnitudes: dict[str, Magnitudes]
    """The columns of magnitudes, by name."""
    chosen: str | None
    """The column that is named as that of the magnitudes."""
    file_notes: list[str]
    notes: list[str] = field(default_factory=list)
    """Assumptions behind the latest `block`."""
    latest: tuple[tuple[str, str] | None, dict[str, Any]] | None = None
    """Band and system of the latest `block`, and it."""

    def __call__(self, brightness: Brightness) -> dict[str, Any]:
        """Return `block`: so the table may stand in the place of one where the request is not known yet."""
        return self.block(brightness)

    def block(self, brightness: Brightness | None) -> dict[str, Any]:
        """Return the block ``elvis.catalogue`` with the magnitudes of the target's band; None takes the only ones.

        Raises
        ------
        RequestError
            There are no magnitudes in this band, or no source that can be used.
        """
        key = None if brightness is None else (brightness.band, brightness.system)
        if self.latest is None or self.latest[0] != key:
            self.latest = key, self._packed(brightness)
        return dict(self.latest[1])

    def _packed(self, brightness: Brightness | None) -> dict[str, Any]:
        self.notes = list(self.file_notes)
        mag = self._magnitudes(brightness)
        columns = {**self.columns, "mag": mag}
        place = ("x", "y") if "x" in columns else ("ra", "dec")
        placed = np.isfinite(columns[place[0]]) & np.isfinite(columns[place[1]])
        bright = np.isfinite(mag)
        for what, bad in (("place", ~placed), ("magnitude", placed & ~bright)):
            if count := int(bad.sum()):
                self.notes.append(f"{self.name}: {rows_text(count)} of {mag.size} without a {what}: left out")
        rows = np.flatnonzero(placed & bright)
        if not rows.size and mag.size:
            raise RequestError(POINTER, f"{self.name}: no row has both a place and a magnitude")
        if not 1 <= rows.size <= MAX_CATALOGUE_ROWS:
            raise RequestError(POINTER, f"{self.name} has {rows.size} rows", allowed=f"1 to {MAX_CATALOGUE_ROWS}")
        if rows.size < mag.size and "id" not in columns:
            columns["id"] = np.arange(mag.size, dtype=float)
            self.notes.append(f"{self.name}: the sources are numbered by their rows, from 0")
        block: dict[str, Any] = {}
        for key, values in columns.items():
            if key in ("sed", "name"):
                words = [values[row] for row in rows]
                block[key] = words if key == "sed" else pack_names(words)
            else:
                block[key] = pack_column(np.asarray(values)[rows])
        return block

    def band(self) -> str | None:
        """Return the band that the name of the magnitudes' column says, None if it says none."""
        return None if self._plain() else next(iter(self.magnitudes.values())).band

    def _plain(self) -> Magnitudes | None:
        """Return the magnitudes that are of the target's band because nothing says otherwise."""
        if self.chosen:
            return self.magnitudes[self.chosen]
        found = [m for m in self.magnitudes.values() if m.band is None]
        found.sort(key=lambda m: UNBANDED.index(m.column.casefold()))
        if len(found) > 1 and found[0].column.casefold() == found[1].column.casefold():
            names = [m.column for m in found[:2]]
            reason = f"{self.name}: which column? {' or '.join(f'--column mag={name}' for name in names)}"
            raise RequestError(f"{POINTER}/mag", reason, found=names, allowed="--column mag=NAME")
        return found[0] if found else None

    def _magnitudes(self, brightness: Brightness | None) -> Floats:
        found = self._plain()
        if found is None:
            fitting = [m for m in self.magnitudes.values() if brightness is None or m.is_in(brightness.band)]
            if brightness is not None and not fitting:
                fitting = nearest(list(self.magnitudes.values()), brightness.band)
            names = ", ".join(f"{m.column} ({m.band})" for m in self.magnitudes.values())
            if len(fitting) != 1:
                band = "" if brightness is None else f" in the target's band {brightness.band}"
                many = "several columns of magnitudes" if len(fitting) > 1 else "no column of magnitudes"
                raise RequestError(
                    f"{POINTER}/mag",
                    f"{self.name} has {many}{band}: it has {names}",
                    found=list(self.magnitudes),
                    allowed="--column mag=NAME, or another /target/brightness/magband",
                )
            found = fitting[0]
        if brightness and found.system and found.system.casefold() != brightness.system.casefold():
            raise RequestError(
                f"{POINTER}/mag",
                f"{self.name}: column {found.column} is in {found.system} magnitudes, the target's are "
                f"{brightness.system}",
                found=found.system,
                allowed=f"/target/brightness/magsys: {found.system}",
            )
        if found.problem:
            raise RequestError(f"{POINTER}/mag", found.problem)
        if found.column.casefold() != "mag":
            band = "" if brightness is None else f", taken in the target's band {brightness.band} ({brightness.system})"
            band += "" if brightness is None else describe_nearest(found, brightness.band)
            self.notes.append(f"{self.name}: magnitudes are those of column {found.column}{band}")
        return found.values


def rows_text(count: int) -> str:
    """Return a number of rows in words."""
    return f"{count} row{'' if count == 1 else 's'}"

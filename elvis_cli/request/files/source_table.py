"""The sources of a file, whose magnitudes are those of a request's filter or band."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from elvis_cli.errors import RequestError
from elvis_cli.model.request import Brightness
from elvis_cli.request.files.columns import POINTER
from elvis_cli.request.files.magnitudes import (
    NEAREST,
    UNBANDED,
    Magnitudes,
    Passband,
    describe_nearest,
    nearest,
    of_filter,
)
from elvis_cli.request.payload import MAX_CATALOGUE_ROWS, pack_column, pack_names

BRIGHTEST, FAINTEST = -30.0, 60.0
"""Numbers beyond are no magnitudes."""
Units = dict[str, Any]
"""Band and system of the magnitudes as the block has them, where they are not the target's."""


@dataclass(slots=True)
class SourceTable:
    """The sources of a file; a request's filter and brightness say which of its magnitudes they have."""

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
    latest: tuple[tuple[str, str, Passband | None] | None, dict[str, Any]] | None = None
    """Band, system and passband of the latest `block`, and it."""

    def __call__(self, brightness: Brightness, passband: Passband | None = None) -> dict[str, Any]:
        """Return `block`: so the table may stand in the place of one where the request is not known yet."""
        return self.block(brightness, passband)

    def block(self, brightness: Brightness | None, passband: Passband | None = None) -> dict[str, Any]:
        """Return the block ``elvis.catalogue`` with the magnitudes that suit a request; None takes the only ones.

        They are those nearest to the ``passband`` of its filter, or else those of the target's band.

        Raises
        ------
        RequestError
            There are no such magnitudes, or no source that can be used.
        """
        key = None if brightness is None else (brightness.band, brightness.system, passband)
        if self.latest is None or self.latest[0] != key:
            self.latest = key, self._packed(brightness, passband)
        return dict(self.latest[1])

    @property
    def has_bands(self) -> bool:
        """Whether the filter of a request has a say in which magnitudes are taken."""
        return not self.chosen and all(m.band for m in self.magnitudes.values())

    def _packed(self, brightness: Brightness | None, passband: Passband | None) -> dict[str, Any]:
        self.notes = list(self.file_notes)
        magnitudes, units = self._magnitudes(brightness, passband)
        mag = magnitudes.values
        columns = {**self.columns, "mag": mag}
        place = ("x", "y") if "x" in columns else ("ra", "dec")
        placed = np.isfinite(columns[place[0]]) & np.isfinite(columns[place[1]])
        bright = np.isfinite(mag) & (mag >= BRIGHTEST) & (mag <= FAINTEST)
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
        block: dict[str, Any] = dict(units)
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

    def _magnitudes(self, brightness: Brightness | None, passband: Passband | None) -> tuple[Magnitudes, Units]:
        found, band = self._plain(), None if brightness is None else brightness.band
        if found is None:
            found, band = self._of_band(brightness, passband)
        if found.problem:
            raise RequestError(f"{POINTER}/mag", found.problem)
        text = f"{self.name}: magnitudes are those of column {found.column}"
        if brightness is None or band is None:
            if found.column.casefold() != "mag":
                self.notes.append(text)
            return found, {}
        system = found.system or brightness.system
        if system.casefold() not in ("vega", "ab"):
            raise RequestError(
                f"{POINTER}/mag",
                f"{self.name}: column {found.column} is in {system} magnitudes",
                found=system,
                allowed=["vega", "AB"],
            )
        if band == brightness.band and system.casefold() == brightness.system.casefold():
            if found.column.casefold() != "mag":
                text += f", taken in the target's band {band} ({system})"
                self.notes.append(text + describe_nearest(found, band))
            return found, {}
        why = ""
        if passband is not None and band != brightness.band:
            why = f", nearest to {passband.name} at {passband.centre:.3g} um"
        asked = f"not those of /target/brightness, {brightness.band} ({brightness.system})"
        self.notes.append(f"{text}{why}, in {band} ({system}){describe_nearest(found, band)}; {asked}")
        return found, {"magband": band, "magsys": system}

    def _of_band(self, brightness: Brightness | None, passband: Passband | None) -> tuple[Magnitudes, str | None]:
        """Return the magnitudes of a filter, or else of the target's band, and the ETC's band that they are in."""
        every = list(self.magnitudes.values())
        if brightness is None:
            return self._only(every, ""), None
        wanted = f" in the target's band {brightness.band}"
        if passband is not None and (fitting := of_filter(every, passband)):
            asked = [m for m in fitting if m.is_in(brightness.band)]
            found = self._only(asked or fitting, f" near {passband.name} at {passband.centre:.3g} um")
            stands = asked or found.distance(brightness.band) <= NEAREST
            return found, brightness.band if stands else found.etc_band
        fitting = [m for m in every if m.is_in(brightness.band)] or nearest(every, brightness.band)
        return self._only(fitting, wanted), brightness.band

    def _only(self, fitting: list[Magnitudes], where: str) -> Magnitudes:
        if len(fitting) == 1:
            return fitting[0]
        names = ", ".join(f"{m.column} ({m.band})" for m in self.magnitudes.values())
        many = "several columns of magnitudes" if fitting else "no column of magnitudes"
        raise RequestError(
            f"{POINTER}/mag",
            f"{self.name} has {many}{where}: it has {names}",
            found=list(self.magnitudes),
            allowed="--column mag=NAME, or another /target/brightness/magband",
        )


def rows_text(count: int) -> str:
    """Return a number of rows in words."""
    return f"{count} row{'' if count == 1 else 's'}"

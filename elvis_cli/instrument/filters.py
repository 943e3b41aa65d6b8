"""Filters of an instrument: transmission curves, and the passband of several filters in the beam.

A data file has ``[[filter_tables]]``, each with ``shape``, ``columns``, ``units``, ``source`` and ``rows`` (a list per
filter); ``when`` restricts a table (keys of the request and the options they must have). Tabulated curves stand in
``[filters.NAME]``: ``transmission`` and perhaps ``centre``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from elvis_cli.base.arrays import Floats
from elvis_cli.base.curve import Curve
from elvis_cli.errors import ResourceError
from elvis_cli.instrument.sourced_table import EVERYWHERE, SourcedTable

EDGE_MEAN = 0.875
"""Mean over peak within the half-power points, where no mean is known: edges half as wide as the band."""


@dataclass(frozen=True, slots=True, eq=False)
class Filter:
    """One element of a filter wheel."""

    name: str
    transmission: Curve
    cuts: tuple[float, float] | None
    """Wavelengths of half the peak, um; None for a grey element (open, neutral density, closed)."""
    centre: float
    """um: where the ETC quotes the image quality."""


def trapezoid(cut_on: float, cut_off: float, peak: float, mean: float) -> Curve:
    """Return the trapezoid with these half-power points (um), plateau, and mean between the half-power points.

    With edges of width w on a band of width W the mean is peak (1 - w / 4W), and the equivalent width is peak W.
    """
    width = cut_off - cut_on
    half = 2.0 * width * (1.0 - mean / peak)
    if not 0.0 < half <= width / 2 * (1 + 1e-9):
        raise ValueError(f"no trapezoid has mean {mean} and peak {peak}: mean/peak must be within 0.75..1")
    half = min(half, width / 2 * (1 - 1e-6))
    wave = np.array([cut_on - half, cut_on + half, cut_off - half, cut_off + half])
    return Curve(wave, np.array([0.0, peak, peak, 0.0]), outside=0.0)


def half_power(curve: Curve) -> tuple[float, float]:
    """Return the outermost wavelengths (um) at which the curve has half its largest value."""
    level = curve.value.max() / 2
    above = np.flatnonzero(curve.value >= level)

    def crossing(inside: int, outside: int) -> float:
        if not 0 <= outside < len(curve.wave):
            return float(curve.wave[inside])
        rise = (level - curve.value[inside]) / (curve.value[outside] - curve.value[inside])
        return float(curve.wave[inside] + rise * (curve.wave[outside] - curve.wave[inside]))

    first, last = int(above[0]), int(above[-1])
    return crossing(first, first - 1), crossing(last, last + 1)


def load(facts: SourcedTable, name: str, options: Mapping[str, Any]) -> Filter:
    """Return the filter ``name`` of a data file, ``options`` being what the request's keys chose.

    Raises
    ------
    ResourceError
        The data file has no such filter, or its entry is invalid.
    """
    tabulated = facts.part("filters")
    if name in tabulated:
        entry = facts.part("filters", name)
        curve = entry.curve("transmission")
        cuts = half_power(curve)
        return Filter(name, curve, cuts, entry.number("centre", "um") if "centre" in entry else sum(cuts) / 2)
    for table in facts.tree.get("filter_tables", []):
        applies = all(options.get(key) == option for key, option in table.get("when", {}).items())
        if applies and name in table["rows"]:
            return _from_row(facts, table, name)
    raise ResourceError(f"{facts.file}: there is no filter {name!r}", file=facts.file)


def _from_row(facts: SourcedTable, table: Mapping[str, Any], name: str) -> Filter:
    row = table["rows"][name]
    nodes = {
        column: {"value": value, "unit": unit, "source": table["source"], "assumed": table.get("assumed", False)}
        for column, unit, value in zip(table["columns"], table["units"], row, strict=True)
    }
    entry = SourcedTable(nodes, facts.file, f"filters.{name}", facts.root, facts.ledger)
    if table["shape"] == "grey":
        level = entry.number("transmission", "1")
        return Filter(name, Curve(np.array(EVERYWHERE), np.full(2, level)), None, 0.0)
    if table["shape"] != "trapezoid":
        raise ResourceError(f"{facts.file}: filters.{name}: no shape {table['shape']!r}", file=facts.file)
    peak = entry.number("peak", "1")
    mean = entry.number("mean", "1") if "mean" in entry else EDGE_MEAN * peak
    if "cut_on" in entry:
        cuts = entry.number("cut_on", "um"), entry.number("cut_off", "um")
    else:
        centre, fwhm = entry.number("centre", "um"), entry.number("fwhm", "um")
        cuts = centre - fwhm / 2, centre + fwhm / 2
    return Filter(name, trapezoid(*cuts, peak, mean), cuts, sum(cuts) / 2)


def centre(filters: Sequence[Filter], band: tuple[float, float]) -> float:
    """Return the wavelength (um) that represents several filters: the narrowest one's, or the middle of ``band``."""
    coloured = [f for f in filters if f.cuts is not None]
    narrowest = min(coloured, key=lambda f: f.cuts[1] - f.cuts[0] if f.cuts else 0.0, default=None)
    return narrowest.centre if narrowest else sum(band) / 2


def passband(curves: Iterable[Curve], limit: float = 1e-3) -> tuple[tuple[float, float], float]:
    """Return the range (um) outside which the product of the curves stays below ``limit`` of its peak, and that peak.

    Where the product is 0 everywhere (a closed wheel, filters that do not overlap) the range is that of the last curve.
    """
    curves = list(curves)
    wave: Floats = np.unique(np.concatenate([c.wave for c in curves]))
    wave = wave[(wave > EVERYWHERE[0]) & (wave < EVERYWHERE[1])]
    product = np.prod([c.at(wave) for c in curves], axis=0)
    peak = float(product.max())
    if peak <= 0.0:
        return (float(curves[-1].wave[0]), float(curves[-1].wave[-1])), 0.0
    passing = np.flatnonzero(product > limit * peak)
    return (float(wave[max(passing[0] - 1, 0)]), float(wave[min(passing[-1] + 1, len(wave) - 1)])), peak

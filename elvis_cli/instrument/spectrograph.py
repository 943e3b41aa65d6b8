"""Build the Spectrograph of a Setup from the table ``[spectrograph]`` of an instrument and its trace files."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from elvis_cli.base.curve import Curve
from elvis_cli.base.geometry import rotate
from elvis_cli.errors import RequestError, ResourceError
from elvis_cli.instrument import cross_disperser, fibres, grating, grism
from elvis_cli.instrument import mask as masks
from elvis_cli.instrument.sourced_table import EVERYWHERE, SourcedTable
from elvis_cli.light import cells
from elvis_cli.model.elvis_block import Mask
from elvis_cli.model.sourced_value import SourcedValue
from elvis_cli.model.spectrograph import Aperture, Spectrograph, Trace

Units = tuple[float, float, float]
"""Of a trace file: factor on its s, its wavelength 0 in um, and its unit of wavelength in um."""


def make(
    facts: SourcedTable,
    kind: str,
    folder: Path,
    pixel: tuple[float, float],
    binning: tuple[int, int],
    targets: fibres.Places | None = None,
    mask: Mask | None = None,
) -> Spectrograph:
    """Return the spectrograph of the table ``facts`` of a mode of a ``kind``; its trace files lie in ``folder``.

    ``pixel`` is the side of an unbinned pixel, arcsec and mm; ``targets`` are where movable fibres are wanted,
    ``mask`` has the request's slits. Where pixels are not binned alike along x and y, places along y are in units of
    the binned width (`elvis_cli.instrument.detectors.make`).

    Raises
    ------
    RequestError
        The mask is not one of this mode.
    ResourceError
        A figure or a trace file is missing or invalid.
    """
    scale = facts.number("across", "arcsec") if "across" in facts else pixel[0]
    aperture, fed = facts.part("aperture"), facts.part("aperture").text("kind") == "fibres"
    if fed and mask is not None:
        raise RequestError(masks.POINTER, "this mode has no mask of slits", allowed="absent")
    apertures = fibres.make(aperture, (scale, pixel[0]), targets) if fed else _apertures(aperture, mask)
    orders = facts.tree.get("orders")
    traces = [t for t in _all_traces(facts, folder, apertures, pixel) if orders is None or t.order in orders]
    if fed and any(key in aperture for key in ("slit", "numbers", "count")):  # every fibre has the orders of the first
        traces = [replace(one, aperture=number) for one in traces for number in range(len(apertures))]
    if not traces:
        raise ResourceError(f"{facts.file}: {facts.path}.traces: no traces", file=facts.file)
    columns, rows = binning
    dispersed = rows if traces[0].along_rows else columns
    if rows != columns:
        traces = [replace(trace, y=trace.y * (columns / rows)) for trace in traces]
    return Spectrograph(
        apertures=apertures,
        traces=tuple(traces),
        dispersion_scale=scale * dispersed,
        blur=facts.number("blur", "pixel") / dispersed if "blur" in facts else 0.0,
        adc=facts.number("adc", "1") if "adc" in facts else 0.0,
        reference=facts.number("reference", "um") if "reference" in facts else 0.0,
        kind=kind,
        cell=cell(facts),
        fill=facts.part("reference_lamp").number("fill", "1") if "reference_lamp" in facts else 0.0,
    )


def cell(facts: SourcedTable) -> str:
    """Return the name of the absorption cell of a table, "" if it has none.

    Raises
    ------
    ResourceError
        There is no such cell.
    """
    name = facts.text("cell", "")
    if name and name not in cells.names():
        raise ResourceError(f"{facts.file}: {facts.path}.cell: no cell {name!r}", allowed=list(cells.names()))
    return name


def band(spectrograph: Spectrograph, optics: tuple[float, float]) -> tuple[float, float]:
    """Return the range (um) of the traces as far as the ``optics`` pass it, or of the traces if they pass nothing."""
    lo, hi = extent(spectrograph)
    low, high = max(lo, optics[0]), min(hi, optics[1])
    return (low, high) if low < high else (lo, hi)


def extent(spectrograph: Spectrograph) -> tuple[float, float]:
    """Return the range (um) of the traces."""
    return min(trace.wave[0] for trace in spectrograph.traces), max(trace.wave[1] for trace in spectrograph.traces)


def _apertures(facts: SourcedTable, mask: Mask | None) -> tuple[Aperture, ...]:
    kind = facts.text("kind")
    if kind == "slits":
        return masks.slits(facts, mask)
    if mask is not None:
        raise RequestError(masks.POINTER, "this mode has no mask of slits", allowed="absent")
    width = facts.number("width", "arcsec")
    angle = facts.number("angle", "deg") if "angle" in facts else 0.0
    x, y, offset = (facts.number(name, "arcsec") if name in facts else 0.0 for name in ("x", "y", "offset"))
    length = facts.number("length", "arcsec")
    if kind == "slicer":  # slices side by side on the sky, one behind the other along the slit
        count = int(facts.number("count", "1"))
        steps = [k - (count - 1) / 2 for k in range(count)]
        slices = [(k * length, rotate(k * width, 0.0, -angle)) for k in steps]
        return tuple(Aperture(x + dx, y + dy, length, width, angle, offset + s) for s, (dx, dy) in slices)
    if kind == "slit" and "openings" in facts:  # of a decker over the slit, by the place of their middles along it
        part = facts.number("opening", "arcsec")
        middles = [(s, rotate(0.0, s, -angle)) for s in map(float, facts.value("openings", "arcsec"))]
        return tuple(Aperture(x + dx, y + dy, part, width, angle, offset + s) for s, (dx, dy) in middles)
    if kind == "slit":
        return (Aperture(x, y, length, width, angle, offset),)
    if kind != "slices":
        raise ResourceError(
            f"{facts.file}: {facts.path}.kind: no {kind!r}: slit, slits, slices, fibres", file=facts.file
        )
    count, columns = (int(facts.number(n, "1")) if n in facts else 1 for n in ("count", "columns"))
    stack = (
        ((k - (count - 1) / 2) * width, (c - (columns - 1) / 2) * length) for c in range(columns) for k in range(count)
    )
    turn = ((*rotate(t, s, -angle), s) for t, s in stack)
    return tuple(Aperture(x + dx, y + dy, length, width, angle, offset + s) for dx, dy, s in turn)


def _all_traces(
    facts: SourcedTable, folder: Path, apertures: tuple[Aperture, ...], pixel: tuple[float, float]
) -> tuple[Trace, ...]:
    """Return the traces of a grism, or of all files, or, with a ``centre``, those of the grating rotated to it."""
    if "grism" in facts:
        place = facts.value("place", "arcsec") if "place" in facts else (0.0, 0.0)
        return grism.traces(facts.part("grism"), apertures, pixel[0] / pixel[1], (float(place[0]), float(place[1])))
    scale = facts.number("scale", "1") if "scale" in facts else 1.0
    units = (
        pixel[0] if facts.text("slit_unit", "arcsec") == "pixel" else scale,
        facts.number("middle", "um") if "middle" in facts else 0.0,
        facts.number("dispersion", "um") if "dispersion" in facts else 1.0,
    )
    settings = [_traces(facts, folder / name, len(apertures), units) for name in facts.tree.get("traces", [])]
    traces = tuple(trace for setting in settings for trace in setting.traces)
    if "camera" in facts:
        traces = cross_disperser.traces(facts, folder)
    if facts.part("aperture").text("kind") == "slicer" or "openings" in facts.part("aperture"):
        traces = tuple(replace(trace, aperture=number) for trace in traces for number in range(len(apertures)))
    if "blaze" not in facts:
        return traces
    first, peak = facts.part("blaze").number("first", "um"), facts.part("blaze").number("peak", "1")
    if "centre" in facts and "camera" not in facts:
        centre = facts.number("centre", "um")
        try:
            traces = grating.rotate(settings, grating.order(first, centre), centre)
        except ValueError as error:
            raise ResourceError(f"{facts.file}: {facts.path}.traces: {error}", file=facts.file) from error
    return tuple(grating.apply_blaze(trace, first, peak) for trace in traces)


def _traces(facts: SourcedTable, file: Path, apertures: int, units: Units) -> grating.Setting:
    """Return the traces of a file and note it in the ledger."""
    try:
        document: Mapping[str, Any] = json.loads(file.read_bytes())
        traces = tuple(_trace(entry, units) for entry in document["traces"])
        at, order = float(document.get("at", 0.0)), int(document.get("order", 0))
        source, assumed = str(document["source"]), bool(document.get("assumed", False))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ResourceError(f"cannot read {file}: {error!r}", file=str(file)) from error
    if any(not 0 <= trace.aperture < apertures for trace in traces):
        raise ResourceError(f"{file}: a trace of an aperture that does not exist", file=str(file))
    facts.ledger.append(
        SourcedValue(f"{facts.path}.traces.{file.stem}", f"{len(traces)} traces", "mm", source, assumed)
    )
    return grating.Setting(at, order, traces)


def _trace(entry: Mapping[str, Any], units: Units) -> Trace:
    scale, middle, step = units
    efficiency = entry.get("efficiency", {"wave": EVERYWHERE, "value": (1.0, 1.0)})
    low, high = entry["wave"]
    return Trace(
        order=int(entry["order"]),
        aperture=int(entry.get("aperture", 0)),
        wave=(middle + step * low, middle + step * high),
        l0=middle + step * entry["l0"],
        lw=step * entry["lw"],
        s0=float(entry["s0"]) * scale,
        sw=float(entry["sw"]) * scale,
        x=np.array(entry["x_mm"], float),
        y=np.array(entry["y_mm"], float),
        efficiency=Curve(middle + step * np.array(efficiency["wave"], float), np.array(efficiency["value"], float)),
    )

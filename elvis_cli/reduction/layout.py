"""The layout of spectra on a chip that a reduction begins with: which light each pixel sees, before it is measured.

As a pipeline ships the format of its instrument, the layout comes from the instrument's own tables, at the setting that
the raw header names. Arcs and flats correct it (`wavelength`, `flat_response`); the request in a raw file is not read.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from elvis_cli import pipeline
from elvis_cli.base.arrays import Floats, Image
from elvis_cli.errors import ElvisError, ResourceError
from elvis_cli.focalplane.trace import to_pixels
from elvis_cli.instrument import registry
from elvis_cli.instrument.toml_plugin import TomlInstrument
from elvis_cli.kernels import strips as kernel
from elvis_cli.model.detector import Chip, Detector
from elvis_cli.model.setup import Setup
from elvis_cli.model.spectrograph import Aperture, Trace
from elvis_cli.reduction.raw import RawFile
from elvis_cli.request import parse

TABLE = 2049
"""Wavelengths at which the course of a trace is computed."""
MARGIN = 4
"""Columns kept on either side of an aperture's image."""
APART = 1.5
"""Heights of a fibre's image between two of them from which each is a trace of its own."""


@dataclass(slots=True, eq=False)
class Strip:
    """One order of one aperture on one chip, row by row along the dispersion: arrays (n, m), m pixels across."""

    order: int
    aperture: int
    """From 1, as in the extension APERTURE and the table SLICES."""
    slit: Aperture
    row: NDArray[np.int64]
    """(n,): index of the chip's rows, or of its columns where wavelength runs along x."""
    column: NDArray[np.int64]
    """(n, m): index across them."""
    wave: Floats
    """um, of each pixel."""
    s: Floats
    """arcsec along the aperture, of each pixel."""
    scale: float
    """arcsec of a row's pixel, along the aperture."""
    pixel: float
    """arcsec on the length of a pixel along the aperture, which may be tilted against the rows."""
    line_width: float
    """Pixels: FWHM of a line."""
    on_chip: NDArray[np.bool_]
    """Pixels (n, m) that the window has; ``column`` of the others is that of the nearest."""
    centre: Floats
    """(n,): where the middle of the aperture is across, pixels."""
    planes: tuple[float, float] = (0.0, 0.0)
    """um: shortest wavelength and median step of the instrument's layout, which no arc corrects."""

    @property
    def inside(self) -> NDArray[np.bool_]:
        """Pixels (n, m) of the window that see the aperture."""
        return self.within(0.0)

    def within(self, edge: float) -> NDArray[np.bool_]:
        """Return the pixels (n, m) of the window that are ``edge`` arcsec or more from the ends of the aperture."""
        return np.asarray(self.on_chip & (np.abs(self.s - self.slit.offset) <= self.slit.length / 2 - edge))

    def part(self, columns: slice) -> Strip:
        """Return some of the pixels across."""
        cut = {name: getattr(self, name)[:, columns] for name in ("column", "wave", "s", "on_chip")}
        return replace(self, **cut)

    def outline(self) -> Strip:
        """Return the first and the last row: all that the range of wavelengths needs."""
        ends = np.array([0, -1])
        rows = {name: getattr(self, name)[ends] for name in ("row", "column", "wave", "s", "on_chip", "centre")}
        return replace(self, **rows)

    def cut(self, image: NDArray[Any]) -> NDArray[Any]:
        """Return the strip's pixels (n, m) of a chip's image, which is turned so that rows lie along the dispersion."""
        native = np.asarray(image, image.dtype.newbyteorder("="))
        return np.asarray(kernel.cut(native, self.row, self.column))

    def paste(self, image: NDArray[Any], pixels: NDArray[Any]) -> None:
        """Put the ``pixels`` (n, m) that see the aperture into a chip's turned image, in place."""
        rows, own = np.broadcast_to(self.row[:, None], self.column.shape), self.inside
        image[rows[own], self.column[own]] = pixels[own]

    def middle(self, at: Floats | float) -> Floats:
        """Return the wavelengths (n,), um, at ``at`` arcsec along the aperture."""
        return along(self.s, self.wave, at)

    def dispersion(self) -> Floats:
        """Return um of a row (n, m) at one place along the aperture; below 0 where wavelengths fall.

        A strip's columns step aside with its order, and light there changes by the tilt of the lines too.
        """
        return np.asarray(kernel.dispersion(self.wave, self.s))

    def pixel_scale(self) -> Floats:
        """Return arcsec of a pixel along each row (n,): the light of a lamp that fills the slit goes with it."""
        return np.asarray(np.median(np.abs(np.diff(self.s, axis=1)), axis=1))

    def pixels_per_um(self) -> Floats:
        """Return rows per um (n,) in the middle of the aperture."""
        return np.asarray(1.0 / np.gradient(self.middle(self.slit.offset)))


@dataclass(slots=True, eq=False)
class ChipLayout:
    """The strips of one chip."""

    strips: list[Strip]
    transposed: bool
    """Wavelength runs along x: images are transposed before strips are cut."""

    def turn(self, image: NDArray[Any]) -> NDArray[Any]:
        """Return an image with rows along the dispersion."""
        return image.T if self.transposed else image


def along(s: Floats, values: Floats, at: Floats | float) -> Floats:
    """Return values (n,) of rows (n, m) at the place ``at`` along the aperture, linear between pixels."""
    n, m = s.shape
    place = np.broadcast_to(np.asarray(at, float), (n,))
    step = (s[:, -1] - s[:, 0]) / (m - 1)
    k = np.clip(((place - s[:, 0]) / np.where(step == 0, 1.0, step)).astype(int), 0, m - 2)
    rows = np.arange(n)
    low, high = s[rows, k], s[rows, k + 1]
    part = (place - low) / np.where(high == low, 1.0, high - low)
    return np.asarray(values[rows, k] + part * (values[rows, k + 1] - values[rows, k]))


def configure(file: RawFile, calibration: str | None = None) -> Setup:
    """Return the Setup of an instrument at the setting that a raw header names.

    Raises
    ------
    ResourceError
        The header names no mode, or a setting that the instrument has not.
    """
    name, mode = file.get("ESO SIM INSTR"), file.get("ESO SIM MODE")
    if name is None or mode is None:
        raise ResourceError(f"{file.name}: no ESO SIM INSTR and SIM MODE, from which the layout of spectra is known")
    try:
        instrument = registry.load(str(name))
        document = instrument.example(str(mode))
        known = document["instrument"]
        keys = instrument.keys(str(mode)) if isinstance(instrument, TomlInstrument) else {}
        for key in known:
            value = file.get(keys.get(key, {}).get("card", f"ESO {key.replace('.', ' ')}"))
            if value is not None:
                known[key] = value
        block: dict[str, Any] = {"arm": file.get("ESO SIM ARM")} if file.get("ESO SIM ARM") else {}
        if calibration is not None:
            block["calibration"] = calibration
        if isinstance(instrument, TomlInstrument) and (mask := instrument.mask_of(str(mode), file.header)):
            block["mask"] = mask
        document["elvis"] = block
        return pipeline.configure(parse.read(json.dumps(document)))
    except ElvisError as error:
        raise ResourceError(f"{file.name}: no layout of spectra for its setting: {error.message}") from None


def of_chip(setup: Setup, chip_name: str, window: tuple[int, ...]) -> ChipLayout:
    """Return the strips on the window (columns, rows, first column and row, from 1) of a chip."""
    detector, graph = setup.detector, setup.spectrograph
    assert graph is not None
    chip = next((one for one in detector.chips if one.extname == chip_name), None)
    if chip is None:
        raise ResourceError(f"{setup.instrument}: no chip {chip_name} in its layout")
    nx, ny, x0, y0 = window
    strips: list[Strip] = []
    transposed = _along_x(graph.traces[0], graph.apertures[graph.traces[0].aperture], chip, detector)
    border = int(detector.stages.get("reference_pixels", {}).get("border", 0)) // detector.binning
    lit = [
        (max(border - start + 1, 0), min(whole - border - start + 1, size))
        for size, start, whole in ((nx, x0, detector.nx), (ny, y0, detector.ny))
    ]
    seen = (lit[0], lit[1]) if transposed else (lit[1], lit[0])
    first = (x0 - 1, y0 - 1) if transposed else (y0 - 1, x0 - 1)
    for trace in graph.traces:
        for slit in runs(graph.apertures[trace.aperture]):
            strip = _strip(trace, slit, chip, detector, seen, first, transposed)
            if strip is not None:
                planes = float(strip.wave.min()), float(np.median(np.abs(np.diff(strip.wave, axis=0))))
                strips.append(replace(strip, line_width=max(graph.line_width(slit), 1.5), planes=planes))
    return ChipLayout(strips, transposed)


def runs(slit: Aperture) -> list[Aperture]:
    """Return the parts of an aperture whose images touch in the slit, each as an aperture: a slit itself.

    The light of an aperture may be divided among many fibres side by side, or by fibres at both ends of the slit.
    """
    if not slit.places:
        return [slit]
    places = np.sort(slit.places)
    parts = np.split(places, np.flatnonzero(np.diff(places) > APART * slit.length) + 1)
    return [replace(slit, offset=float(part.mean()), places=tuple(part.tolist())) for part in parts]


def _along_x(trace: Trace, slit: Aperture, chip: Chip, detector: Detector) -> bool:
    ends = np.array(trace.wave)
    x, y = to_pixels(*trace.place(ends, np.full(2, slit.offset)), chip, detector)
    return bool(abs(x[1] - x[0]) > abs(y[1] - y[0]))


def _strip(
    trace: Trace,
    slit: Aperture,
    chip: Chip,
    detector: Detector,
    seen: tuple[tuple[int, int], tuple[int, int]],
    first: tuple[int, int],
    transposed: bool,
) -> Strip | None:
    """Return a trace's strip on a window whose corner is ``first``, None if it is not on it.

    ``seen`` are the first of its rows and columns that see light, and those after the last: a border has none.
    """
    (top, bottom), (left, right) = seen
    half = slit.length / 2
    nodes = slit.offset + np.array([-half, 0.0, half])
    wave = np.linspace(*trace.wave, TABLE)
    rows, columns = np.empty((3, TABLE)), np.empty((3, TABLE))
    for n, s in enumerate(nodes):
        x, y = to_pixels(*trace.place(wave, np.full(TABLE, s)), chip, detector)
        rows[n], columns[n] = (x, y) if transposed else (y, x)
    rows, columns = rows - first[0], columns - first[1]
    backwards = rows[1, -1] < rows[1, 0]
    if backwards:
        rows, columns, wave = rows[:, ::-1], columns[:, ::-1], wave[::-1]
    low = max(int(np.ceil(rows[:, 0].max())), top)
    high = min(int(np.floor(rows[:, -1].min())), bottom - 1)
    if high - low < 16:
        return None
    row = np.arange(low, high + 1)
    place = np.array([np.interp(row, r, c) for r, c in zip(rows, columns, strict=True)])
    waves = np.array([np.interp(row, r, wave) for r in rows])
    width = int(np.ceil(np.abs(place[2] - place[0]).max())) + 2 * MARGIN + 1
    start = np.round(place[1]).astype(int) - width // 2
    on = (start + width > left + MARGIN) & (start < right - MARGIN)
    if slit.fibre:
        on = (place[1] >= left) & (place[1] <= right - 1)
    if np.count_nonzero(on) < 16:
        return None
    row, place, waves, start = row[on], place[:, on], waves[:, on], start[on]
    scale = float(np.median(slit.length / np.abs(place[2] - place[0])))
    pixel = float(np.median(slit.length / np.hypot(columns[2] - columns[0], rows[2] - rows[0])))
    if slit.fibre:  # one light across: pixels (n, 1)
        column, s = np.round(place[1]).astype(int)[:, None], np.full((row.size, 1), slit.offset)
        inside = (column >= left) & (column < right)
        column = np.clip(column, left, right - 1)
        return Strip(
            trace.order,
            trace.aperture + 1,
            slit,
            row,
            column,
            waves[1][:, None],
            s,
            scale,
            pixel,
            0.0,
            inside,
            place[1],
        )
    across = start[:, None] + np.arange(width)
    column, outside = np.clip(across, left, right - 1), (across < left) | (across >= right)
    s = _through(place, np.broadcast_to(nodes[:, None], place.shape), start, width)
    light = _through(place, waves, start, width)
    return Strip(trace.order, trace.aperture + 1, slit, row, column, light, s, scale, pixel, 0.0, ~outside, place[1])


def _through(x: Floats, y: Floats, start: NDArray[np.int64], width: int) -> Floats:
    """Return the parabola through three points (3, n) of each row at ``width`` places (n, m) from ``start`` on."""
    (a, b, c), (low, middle, high) = x, y
    first = (middle - low) / (b - a)
    second = ((high - middle) / (c - b) - first) / (c - a)
    return np.asarray(kernel.newton(a, b, low, first, second, start, width))


def read(file: RawFile, chip: str, layout: ChipLayout) -> Image:
    """Return the pixels of a chip with rows along the dispersion."""
    return np.ascontiguousarray(layout.turn(file.read(chip)[0]))

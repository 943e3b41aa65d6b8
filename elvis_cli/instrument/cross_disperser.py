"""A cross-dispersed echelle at any central wavelength: the traces from the angles at both gratings and the camera.

The echelle, in Littrow, sends wavelength l in order m to the angle b of sin a + sin b = m l G (Schroeder 2000,
Astronomical Optics, 13.5). The cross-disperser, at a fixed angle between camera and collimator, turns until the central
wavelength is on the axis. The camera maps the two angles to the chips by polynomials, fitted to known positions.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from elvis_cli.base.arrays import Floats
from elvis_cli.base.curve import Curve
from elvis_cli.errors import ResourceError
from elvis_cli.instrument.sourced_table import EVERYWHERE, SourcedTable
from elvis_cli.model.sourced_value import SourcedValue
from elvis_cli.model.spectrograph import Trace

PLACES = 301
"""Wavelengths of an order at which it is looked where it falls."""
DEGREE = 6
"""Of the polynomials of a trace in wavelength."""
MIN_PLACES = 12
"""Places on a chip below which an order is left out."""


def traces(facts: SourcedTable, folder: Path) -> tuple[Trace, ...]:
    """Return the traces at the ``centre`` (nm) with the ``grooves`` (1/mm) of a cross-disperser and a ``camera`` file.

    Raises
    ------
    ResourceError
        The file of the camera cannot be read.
    """
    file = folder / facts.text("camera")
    centre, grooves = facts.number("centre", "nm") * 1e-3, facts.number("grooves", "1/mm") * 1e-3
    scale = facts.number("slit_scale", "mm/arcsec")
    try:
        orders, source, assumed = _camera(file.read_bytes(), centre, grooves, scale)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ResourceError(f"cannot read {file}: {error!r}", file=str(file)) from error
    facts.ledger.append(
        SourcedValue(f"{facts.path}.camera.{file.stem}", f"{len(orders)} traces", "mm", source, assumed)
    )
    return orders


@lru_cache(maxsize=8)
def _camera(content: bytes, centre: float, grooves: float, scale: float) -> tuple[tuple[Trace, ...], str, bool]:
    """Return the traces of a camera's file, their source and whether it is assumed; kept, requests are often alike."""
    model: Mapping[str, Any] = json.loads(content)
    orders = tuple(_orders(model, centre, grooves, scale))
    return orders, str(model["source"]), bool(model.get("assumed", False))


def _orders(model: Mapping[str, Any], centre: float, grooves: float, scale: float) -> Iterator[Trace]:
    """Yield the traces of all orders on all chips; ``centre`` in um, ``grooves`` per um, ``scale`` mm per arcsec."""
    blaze = math.radians(model["blaze"])
    littrow = 2.0 * math.sin(blaze) / model["echelle"]
    for chip in model["chips"]:
        for order in range(model["orders"][0], model["orders"][1] + 1):
            wave = littrow / order * np.linspace(1.0 - 1.2 / order, 1.0 + 1.2 / order, PLACES)
            sine = np.clip(order * wave * model["echelle"] - math.sin(blaze), -1.0, 1.0)
            along = model["focal"] * np.tan(np.arcsin(sine) - blaze)
            across = model["focal"] * np.tan(_turn(wave, centre, grooves, math.radians(model["angle"])))
            x, y = (_map(chip[axis], along, across) for axis in ("x", "y"))
            x0, x1, y0, y1 = chip["field"]
            inside = (x > x0) & (x < x1) & (y > y0) & (y < y1)
            if inside.sum() >= MIN_PLACES:
                yield _trace(order, wave[inside], x[inside], y[inside], scale)


def _turn(wave: Floats, centre: float, grooves: float, angle: float) -> Floats:
    """Return the angle (rad) from that of the central wavelength; ``angle`` is between the arms of the grating."""
    half = math.asin(grooves * centre / (2.0 * math.cos(angle / 2.0)))
    sine = np.clip(grooves * wave - math.sin(half + angle / 2.0), -1.0, 1.0)  # beyond is far from any chip
    return np.asarray(np.arcsin(sine) - (half - angle / 2.0))


def _map(coefficients: list[list[float]], along: Floats, across: Floats) -> Floats:
    return np.asarray(np.polynomial.polynomial.polyval2d(along, across, np.array(coefficients)))


def _trace(order: int, wave: Floats, x: Floats, y: Floats, scale: float) -> Trace:
    """Return the polynomials through places (mm); ``scale`` is mm along x of an arcsec along the slit."""
    middle, half = (wave[0] + wave[-1]) / 2.0, (wave[-1] - wave[0]) / 2.0
    u = (wave - middle) / half
    fits = [np.polynomial.polynomial.polyfit(u, place, DEGREE) for place in (x, y)]
    slit = np.zeros((DEGREE + 1, 2))
    slit[0, 1] = scale
    columns = [np.stack([fit, np.zeros_like(fit)], axis=1) for fit in fits]
    return Trace(
        order=order, aperture=0, wave=(float(wave[0]), float(wave[-1])), l0=float(middle), lw=float(half),
        s0=0.0, sw=1.0,
        x=columns[0] + slit, y=columns[1], efficiency=Curve(np.array(EVERYWHERE), np.ones(2)),
    )  # fmt: skip

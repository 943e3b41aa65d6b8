"""What the headers tell of a spectrograph."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from elvis_cli.focalplane.geometry import rotation
from elvis_cli.model.detector import Chip
from elvis_cli.model.elvis_block import Window
from elvis_cli.model.setup import Setup
from elvis_cli.model.spectrograph import Spectrograph, Trace

Card = tuple[str, object, str]
TECHNIQUES = {"imager": "IMAGE", "slit": "SPECTRUM", "ifu": "IFU", "echelle": "ECHELLE", "mos": "MOS"}
"""DPR TECH of each kind of mode, unless the instrument calls it otherwise."""
_PLACES = 65
"""Along an order, between which its wavelengths are interpolated: to 1e-4 nm for CRIRES."""


def cards(setup: Setup) -> list[Card]:
    """Return the primary header's cards of a spectrograph, none of an imager."""
    graph = setup.spectrograph
    if graph is None:
        return []
    one, power = graph.apertures[0], graph.resolving_power(setup.optics.band, setup.detector.pixel_mm)
    cards: list[Card] = [
        ("WAVELMIN", round(setup.optics.band[0] * 1e3, 6), "[nm] shortest wavelength, vacuum"),
        ("WAVELMAX", round(setup.optics.band[1] * 1e3, 6), "[nm] longest wavelength, vacuum"),
        ("SPEC_RES", round(power, 1), "resolving power of the aperture's image"),
        ("SPECSYS", "TOPOCENT", "wavelengths are the observer's"),
        ("ESO SIM SPEC APERTS", len(graph.apertures), "slits, slices or fibres"),
        ("ESO SIM SPEC TRACES", len(graph.traces), "orders of apertures on the focal plane"),
    ]
    if setup.kind == "slit" or (setup.kind == "echelle" and not one.fibre):
        cards.append(("ESO INS SLIT1 WID", one.width, "[arcsec] width of the slit"))
        cards.append(("ESO INS SLIT1 LEN", one.length, "[arcsec] length of the slit"))
    if _is_slit_echelle(graph):
        cards.append(("ESO INS GRAT1 ZP_ORD", _first_order(graph), "order n = 1 of WLEN BEGINn, ENDn, CENYn"))
        centre = setup.header.get("ESO INS WLEN CWLEN")  # nm
        if isinstance(centre, (int, float)):
            nearest = min(graph.traces, key=lambda trace: abs(sum(trace.wave) / 2 - centre * 1e-3))
            cards.append(("ESO INS GRAT1 ORDER", nearest.order, "order in which WLEN CWLEN is"))
    return cards


def order_cards(setup: Setup, chip: Chip, window: Window) -> Iterator[Card]:
    """Yield the cards of a chip's image that tell the place of each order of an echelle with one slit.

    Names are those of CRIRES: INS WLEN BEGINn, ENDn (nm, vacuum, in the first and last column) and CENYn (row of the
    slit's middle in the middle column, 1-based, of the window). n counts from INS GRAT1 ZP_ORD on.
    """
    graph = setup.spectrograph
    if graph is None or not _is_slit_echelle(graph) or graph.traces[0].along_rows:
        return
    for trace in sorted(graph.traces, key=lambda each: each.order):
        if trace.aperture:  # an order is told once, by the middle of the slit
            continue
        x, y, wave = _on_chip(setup, chip, trace, _middle(graph))
        x, y = x - window.x0, y - window.y0
        first, last = max(float(x[0]), 0.0), min(float(x[-1]), window.nx - 1.0)
        row = float(np.interp((first + last) / 2, x, y)) + 1.0
        if first >= last or not 0.5 <= row < window.ny + 0.5:
            continue
        n = trace.order - _first_order(graph) + 1
        begin, end = (float(np.interp(column, x, wave)) * 1e3 for column in (first, last))
        yield f"ESO INS WLEN BEGIN{n}", round(begin, 4), f"[nm] first column, order {trace.order}"
        yield f"ESO INS WLEN END{n}", round(end, 4), f"[nm] last column, order {trace.order}"
        yield f"ESO INS WLEN CENY{n}", round(row, 2), f"[pixel] row, order {trace.order}"


def _is_slit_echelle(graph: Spectrograph) -> bool:
    one_slit = len(graph.apertures) == 1 or graph.polarimeter is not None
    return graph.kind == "echelle" and one_slit and not graph.apertures[0].fibre


def _middle(graph: Spectrograph) -> float:
    """Return the place of the slit's middle along it, arcsec; a decker's openings lie about it."""
    return graph.apertures[0].offset if len(graph.apertures) == 1 else 0.0


def _first_order(graph: Spectrograph) -> int:
    return min(trace.order for trace in graph.traces)


def _on_chip(setup: Setup, chip: Chip, trace: Trace, s: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return columns (ascending), rows (0-based, of the chip) and wavelengths (um) along a trace at ``s`` (arcsec)."""
    detector, (cos, sin) = setup.detector, rotation(chip)
    wave = np.linspace(*trace.wave, _PLACES)
    u, v = trace.place(wave, np.full(_PLACES, s))
    u, v = (u - chip.x_mm) / detector.pixel_mm, (v - chip.y_mm) / detector.pixel_mm
    x = cos * u + sin * v + (detector.nx - 1) / 2
    y = -sin * u + cos * v + (detector.ny - 1) / 2
    order = np.argsort(x)
    return x[order], y[order], wave[order]

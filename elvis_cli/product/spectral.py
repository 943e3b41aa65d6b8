"""What the headers tell of a spectrograph."""

from __future__ import annotations

import numpy as np

from elvis_cli.instrument import Setup

Card = tuple[str, object, str]
TECHNIQUES = {"imager": "IMAGE", "slit": "SPECTRUM", "ifu": "IFU", "echelle": "ECHELLE", "mos": "MOS"}
"""DPR TECH of each kind of mode, unless the instrument calls it otherwise."""
PLACES = 9
"""Along a trace, where its resolving power is looked at."""


def resolving_power(setup: Setup) -> float:
    """Return that of the aperture's own image, median of all traces: a point sharper than the aperture does better."""
    from elvis_cli.extraction import line_width

    graph, powers = setup.spectrograph, []
    assert graph is not None
    for trace in graph.traces:
        wave = np.linspace(max(trace.wave[0], setup.band[0]), min(trace.wave[1], setup.band[1]), PLACES)
        aperture = graph.apertures[trace.aperture]
        line = line_width(aperture.width / graph.across, graph.blur)
        powers.append(wave / (trace.dispersion(wave, aperture.offset, setup.detector.pixel_mm) * line))
    return float(np.median(powers))


def cards(setup: Setup) -> list[Card]:
    """Return the primary header's cards of a spectrograph, none of an imager."""
    graph = setup.spectrograph
    if graph is None:
        return []
    one = graph.apertures[0]
    told: list[Card] = [
        ("WAVELMIN", round(setup.band[0] * 1e3, 6), "[nm] shortest wavelength, vacuum"),
        ("WAVELMAX", round(setup.band[1] * 1e3, 6), "[nm] longest wavelength, vacuum"),
        ("SPEC_RES", round(resolving_power(setup), 1), "resolving power of the aperture's image"),
        ("SPECSYS", "TOPOCENT", "wavelengths are the observer's"),
        ("ESO SIM SPEC APERTURES", len(graph.apertures), "slits, slices or fibres"),
        ("ESO SIM SPEC TRACES", len(graph.traces), "orders of apertures on the focal plane"),
    ]
    if setup.kind == "slit" or (setup.kind == "echelle" and not one.fibre):
        told.append(("ESO INS SLIT1 WID", one.width, "[arcsec] width of the slit"))
        told.append(("ESO INS SLIT1 LEN", one.length, "[arcsec] length of the slit"))
    return told

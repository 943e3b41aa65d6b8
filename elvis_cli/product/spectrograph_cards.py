"""What the headers tell of a spectrograph."""

from __future__ import annotations

from elvis_cli.model.setup import Setup

Card = tuple[str, object, str]
TECHNIQUES = {"imager": "IMAGE", "slit": "SPECTRUM", "ifu": "IFU", "echelle": "ECHELLE", "mos": "MOS"}
"""DPR TECH of each kind of mode, unless the instrument calls it otherwise."""


def cards(setup: Setup) -> list[Card]:
    """Return the primary header's cards of a spectrograph, none of an imager."""
    graph = setup.spectrograph
    if graph is None:
        return []
    one, power = graph.apertures[0], graph.resolving_power(setup.optics.band, setup.detector.pixel_mm)
    told: list[Card] = [
        ("WAVELMIN", round(setup.optics.band[0] * 1e3, 6), "[nm] shortest wavelength, vacuum"),
        ("WAVELMAX", round(setup.optics.band[1] * 1e3, 6), "[nm] longest wavelength, vacuum"),
        ("SPEC_RES", round(power, 1), "resolving power of the aperture's image"),
        ("SPECSYS", "TOPOCENT", "wavelengths are the observer's"),
        ("ESO SIM SPEC APERTURES", len(graph.apertures), "slits, slices or fibres"),
        ("ESO SIM SPEC TRACES", len(graph.traces), "orders of apertures on the focal plane"),
    ]
    if setup.kind == "slit" or (setup.kind == "echelle" and not one.fibre):
        told.append(("ESO INS SLIT1 WID", one.width, "[arcsec] width of the slit"))
        told.append(("ESO INS SLIT1 LEN", one.length, "[arcsec] length of the slit"))
    return told

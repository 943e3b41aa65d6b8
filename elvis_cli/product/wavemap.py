"""The map of a spectrograph: what each pixel sees, and where its apertures stand, as extensions of the frame."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from elvis_cli.focalplane.renderer import Renderer
from elvis_cli.model.request import SceneRequest
from elvis_cli.model.setup import Setup
from elvis_cli.model.spectrograph import Aperture
from elvis_cli.product import header, wcs
from elvis_cli.product.fits import Image, Table
from elvis_cli.sky.pointing import observe

SLICES = "SLICES"
"""Name of the table of apertures."""


def extensions(request: SceneRequest, setup: Setup, renderer: Renderer) -> Iterator[Image | Table]:
    """Yield, for every chip, what each pixel of the window sees: WAVE (um; NaN where nothing), ORDER (0 where
    nothing), APERTURE (from 1; 0 where nothing) and POSITION (arcsec along the aperture; NaN where nothing). EXTVER is
    the number of the chip. The table SLICES follows: where on the sky the apertures are.
    """
    graph = setup.spectrograph
    if graph is None:
        return
    for number in setup.frame.chips:
        chip = setup.detector.chip(number)
        pixels = renderer.wavelengths(chip, setup.frame.window)
        if pixels is None:
            return
        extver: header.Card = ("EXTVER", number, "number of the chip")
        axes = wcs.focal_plane(setup, chip, setup.frame.window)
        yield Image("WAVE", pixels.wave, [extver, ("BUNIT", "um", "vacuum wavelength"), *axes])
        yield Image("ORDER", pixels.order.astype(np.uint16), [extver, ("BUNIT", "1", "order; 0: no light"), *axes])
        of: list[header.Card] = [extver, ("BUNIT", "1", "slit, slice or fibre, from 1; 0: no light"), *axes]
        yield Image("APERTURE", (pixels.aperture + 1).astype(np.uint16), of)
        yield Image("POSITION", pixels.s, [extver, ("BUNIT", "arcsec", "along the aperture"), *axes])
    yield slices(graph.apertures, observe(request.elvis, setup).position_angle)


def slices(apertures: tuple[Aperture, ...], position_angle: float) -> Table:
    """Return the table of ``apertures``: a row for each number of APERTURE.

    X and Y (arcsec) are its centre in the field, +X West and +Y North at position angle 0. POSITION there is OFFSET and
    grows along ANGLE (deg, from +Y towards +X), which is POSANG on the sky (deg, North through East; the exposure's
    ``position_angle`` minus ANGLE). A pixel at POSITION p and t arcsec across sees
    x = X + (p - OFFSET) sin ANGLE + t cos ANGLE, y = Y + (p - OFFSET) cos ANGLE - t sin ANGLE.
    """

    def column(name: str) -> np.ndarray:
        return np.array([getattr(aperture, name) for aperture in apertures], float)

    angle = column("angle")
    columns = {
        "APERTURE": np.arange(1, len(apertures) + 1, dtype=np.int32),
        "X": column("x"),
        "Y": column("y"),
        "WIDTH": column("width"),
        "LENGTH": column("length"),
        "OFFSET": column("offset"),
        "ANGLE": angle,
        "POSANG": (position_angle - angle + 180.0) % 360.0 - 180.0,
    }
    units = dict.fromkeys(("X", "Y", "WIDTH", "LENGTH", "OFFSET"), "arcsec") | {"ANGLE": "deg", "POSANG": "deg"}
    return Table(SLICES, columns, units, [("ESO SIM SLICES PA", position_angle, "[deg] of the field's +Y")])

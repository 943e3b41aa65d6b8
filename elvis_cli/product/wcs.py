"""The celestial WCS of a chip: a gnomonic projection about the pointing, true to the chip's place and rotation.

A frame of spectra has no axis of the sky or of wavelength: its WCS tells the place in the focal plane.

The linear map is that of `elvis_cli.focalplane.geometry`; it is evaluated there, not repeated here. The projection is
about the telescope's axis. The instrument's own distortion makes it a zenithal polynomial (ZPN); a distortion of the
user's is not in it. Reference: Calabretta & Greisen (2002), A&A 395, 1077.
"""

from __future__ import annotations

import math

import numpy as np

from elvis_cli.base.geometry import deproject, field_to_sky, project
from elvis_cli.focalplane.geometry import field_to_pixel, pixel_to_field, rotation
from elvis_cli.model.detector import Chip
from elvis_cli.model.elvis_block import Window
from elvis_cli.model.setup import Setup

TANGENT = 1.0 / 3.0
"""Cubic term of the tangent, in which the field's coordinates are."""


def axis_pointing(setup: Setup, ra: float, dec: float, position_angle: float) -> tuple[float, float, float]:
    """Return ra, dec and position angle (deg) of the telescope's axis, if the field centre has those that are given."""
    x, y = setup.optics.axis
    if x == y == 0.0:
        return ra, dec, position_angle
    east, north = (np.array(axis) for axis in field_to_sky(np.array([x, x]), np.array([y, y + 1.0]), position_angle))
    (ra0, ra1), (dec0, dec1) = deproject(east, north, ra, dec)
    east, north = project(ra1, dec1, float(ra0), float(dec0))
    return float(ra0), float(dec0), math.degrees(math.atan2(float(east), float(north)))


def cards(
    setup: Setup, chip: Chip, window: Window, ra: float, dec: float, position_angle: float, turned: bool = False
) -> list[tuple[str, object, str]]:
    """Return (keyword, value, comment) of the WCS of ``window`` of ``chip``.

    ``ra``, ``dec`` (ICRS, deg) is where the field centre points. CRPIX is the place of the telescope's axis, CRVAL, in
    the windowed, binned array (1-based; usually outside it), ``turned`` by 180 deg or not.
    """
    if setup.detector.wcs == "pixel":
        return pixels(window)
    if setup.spectrograph is not None:
        return focal_plane(setup, chip, window, turned)
    ra, dec, position_angle = axis_pointing(setup, ra, dec, position_angle)
    x, y = field_to_pixel(setup, chip, *setup.optics.axis)
    east, north = field_to_sky(*pixel_to_field(setup, chip, x, y), position_angle)
    columns = []
    for dx, dy in ((1.0, 0.0), (0.0, 1.0)):
        e, n = field_to_sky(*pixel_to_field(setup, chip, x + dx, y + dy), position_angle)
        columns.append(((e - east) / 3600.0, (n - north) / 3600.0))
    (cd11, cd21), (cd12, cd22) = [(-a, -b) for a, b in columns] if turned else columns
    px, py = x - window.x0 + 1.0, y - window.y0 + 1.0
    if turned:
        px, py = window.nx + 1.0 - px, window.ny + 1.0 - py
    cubic = setup.optics.design_distortion / math.radians(1.0 / 3600.0) ** 2
    name, what = ("ZPN", "zenithal polynomial") if cubic else ("TAN", "gnomonic projection")
    polynomial = [("PV2_1", 1.0, "linear term"), ("PV2_3", round(cubic + TANGENT, 6), "[rad-2] cubic term")]
    return [
        ("WCSAXES", 2, "number of axes of the WCS"),
        ("CTYPE1", f"RA---{name}", what),
        ("CTYPE2", f"DEC--{name}", what),
        ("CUNIT1", "deg", "unit of CRVAL1 and CD1_j"),
        ("CUNIT2", "deg", "unit of CRVAL2 and CD2_j"),
        ("CRVAL1", ra, "[deg] right ascension of the telescope's axis"),
        ("CRVAL2", dec, "[deg] declination of the telescope's axis"),
        ("CRPIX1", px, "[pixel] telescope's axis"),
        ("CRPIX2", py, "[pixel] telescope's axis"),
        ("CD1_1", cd11, "[deg/pixel]"),
        ("CD1_2", cd12, "[deg/pixel]"),
        ("CD2_1", cd21, "[deg/pixel]"),
        ("CD2_2", cd22, "[deg/pixel]"),
        *(polynomial if cubic else []),
        ("RADESYS", "ICRS", "celestial reference frame"),
        ("EQUINOX", 2000.0, "[yr] standard FK5 equinox"),
    ]


def pixels(window: Window) -> list[tuple[str, object, str]]:
    """Return the WCS of ``window`` in pixels of the chip, 1-based."""
    axes = (("1", window.x0), ("2", window.y0))
    return [
        *((f"CTYPE{axis}", "PIXEL", "pixel of the chip") for axis, _ in axes),
        *((f"CRVAL{axis}", first + 1.0, "[pixel] first of the window") for axis, first in axes),
        *((f"CRPIX{axis}", 1.0, "[pixel] reference") for axis, _ in axes),
        *((f"CDELT{axis}", 1.0, "[pixel]") for axis, _ in axes),
    ]


def focal_plane(setup: Setup, chip: Chip, window: Window, turned: bool = False) -> list[tuple[str, object, str]]:
    """Return the WCS of ``window`` of ``chip`` in mm on the focal plane, that of the chips' places."""
    detector, (cos, sin) = setup.detector, rotation(chip)
    pixel = -detector.pixel_mm if turned else detector.pixel_mm
    u, v = -chip.x_mm / detector.pixel_mm, -chip.y_mm / detector.pixel_mm
    px = cos * u + sin * v + (detector.nx - 1) / 2 - window.x0 + 1.0
    py = -sin * u + cos * v + (detector.ny - 1) / 2 - window.y0 + 1.0
    if turned:
        px, py = window.nx + 1.0 - px, window.ny + 1.0 - py
    return [
        ("WCSAXES", 2, "number of axes of the WCS"),
        ("CTYPE1", "FOCALX", "place in the focal plane, linear"),
        ("CTYPE2", "FOCALY", "place in the focal plane, linear"),
        ("CUNIT1", "mm", "unit of CRVAL1 and CD1_j"),
        ("CUNIT2", "mm", "unit of CRVAL2 and CD2_j"),
        ("CRVAL1", 0.0, "[mm] middle of the focal plane"),
        ("CRVAL2", 0.0, "[mm] middle of the focal plane"),
        ("CRPIX1", px, "[pixel] middle of the focal plane"),
        ("CRPIX2", py, "[pixel] middle of the focal plane"),
        ("CD1_1", pixel * cos, "[mm/pixel]"),
        ("CD1_2", -pixel * sin + 0.0, "[mm/pixel]"),
        ("CD2_1", pixel * sin + 0.0, "[mm/pixel]"),
        ("CD2_2", pixel * cos, "[mm/pixel]"),
    ]

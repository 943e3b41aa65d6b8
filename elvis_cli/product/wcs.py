"""The celestial WCS of a chip: a gnomonic projection about the pointing, true to the chip's place and rotation.

A frame of spectra has no axis of the sky or of wavelength: its WCS tells the place in the focal plane.

The linear map is that of `elvis_cli.focalplane.geometry`; it is evaluated there, not repeated here. It is exact but for
a distortion of the user's, of which it knows nothing. Reference: Calabretta & Greisen (2002), A&A 395, 1077.
"""

from __future__ import annotations

from elvis_cli.base.geometry import field_to_sky
from elvis_cli.focalplane.geometry import field_to_pixel, pixel_to_field, rotation
from elvis_cli.model.detector import Chip
from elvis_cli.model.elvis_block import Window
from elvis_cli.model.setup import Setup


def cards(
    setup: Setup, chip: Chip, window: Window, ra: float, dec: float, position_angle: float, turned: bool = False
) -> list[tuple[str, object, str]]:
    """Return (keyword, value, comment) of the WCS of ``window`` of ``chip``.

    ``ra``, ``dec`` (ICRS, deg) is where the field centre points; CRPIX is that point in the windowed, binned array
    (1-based; usually outside it), ``turned`` by 180 deg or not.
    """
    if setup.spectrograph is not None:
        return focal_plane(setup, chip, window, turned)
    x, y = field_to_pixel(setup, chip, 0.0, 0.0)
    east, north = field_to_sky(*pixel_to_field(setup, chip, x, y), position_angle)
    columns = []
    for dx, dy in ((1.0, 0.0), (0.0, 1.0)):
        e, n = field_to_sky(*pixel_to_field(setup, chip, x + dx, y + dy), position_angle)
        columns.append(((e - east) / 3600.0, (n - north) / 3600.0))
    (cd11, cd21), (cd12, cd22) = [(-a, -b) for a, b in columns] if turned else columns
    px, py = x - window.x0 + 1.0, y - window.y0 + 1.0
    if turned:
        px, py = window.nx + 1.0 - px, window.ny + 1.0 - py
    return [
        ("WCSAXES", 2, "number of axes of the WCS"),
        ("CTYPE1", "RA---TAN", "gnomonic projection"),
        ("CTYPE2", "DEC--TAN", "gnomonic projection"),
        ("CUNIT1", "deg", "unit of CRVAL1 and CD1_j"),
        ("CUNIT2", "deg", "unit of CRVAL2 and CD2_j"),
        ("CRVAL1", ra, "[deg] right ascension of the field centre"),
        ("CRVAL2", dec, "[deg] declination of the field centre"),
        ("CRPIX1", px, "[pixel] field centre"),
        ("CRPIX2", py, "[pixel] field centre"),
        ("CD1_1", cd11, "[deg/pixel]"),
        ("CD1_2", cd12, "[deg/pixel]"),
        ("CD2_1", cd21, "[deg/pixel]"),
        ("CD2_2", cd22, "[deg/pixel]"),
        ("RADESYS", "ICRS", "celestial reference frame"),
        ("EQUINOX", 2000.0, "[yr] standard FK5 equinox"),
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

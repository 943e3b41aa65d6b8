"""Where a pixel of a chip looks: chip pixels <-> focal plane <-> field of view <-> sky.

Field coordinates are arcsec from the field centre, +x West and +y North at position angle 0.
Pixels are 0-based on the chip's full (binned) array; integers are pixel centres.
"""

from __future__ import annotations

import math

import numpy as np

from elvis_cli.base.geometry import Coordinate
from elvis_cli.model.detector import Chip
from elvis_cli.model.setup import Setup

STEPS = 40
"""Of the iteration that undoes a distortion; each gains a factor of its size at the edge of the field."""


def rotation(chip: Chip) -> tuple[float, float]:
    """Return cos and sin of the chip's rotation, exact at multiples of 90 deg."""
    quarter, rest = divmod(chip.rotation, 90.0)
    if rest == 0.0:
        return ((1.0, 0.0), (0.0, 1.0), (-1.0, 0.0), (0.0, -1.0))[int(quarter) % 4]
    angle = math.radians(chip.rotation)
    return math.cos(angle), math.sin(angle)


def pixel_to_field(setup: Setup, chip: Chip, x: Coordinate, y: Coordinate) -> tuple[Coordinate, Coordinate]:
    """Return the field coordinates (arcsec) of pixel (x, y)."""
    detector = setup.detector
    cos, sin = rotation(chip)
    pixel_mm = detector.pixel_mm * chip.scale
    u = (x - (detector.nx - 1) / 2) * pixel_mm
    v = (y - (detector.ny - 1) / 2) * pixel_mm
    fx = setup.optics.plate_scale * (chip.x_mm + cos * u - sin * v)
    fy = setup.optics.plate_scale * (chip.y_mm + sin * u + cos * v)
    if not setup.optics.distortion:
        return fx, fy
    ax, ay = setup.optics.axis
    fx, fy = fx - ax, fy - ay
    sx, sy = fx, fy
    for _ in range(STEPS):
        stretch = 1.0 + setup.optics.distortion * (sx * sx + sy * sy)
        sx, sy = fx / stretch, fy / stretch
    return sx + ax, sy + ay


def field_to_pixel(setup: Setup, chip: Chip, fx: Coordinate, fy: Coordinate) -> tuple[Coordinate, Coordinate]:
    """Return the pixel (x, y) at which field coordinates (arcsec) land; it may lie outside the chip."""
    detector = setup.detector
    cos, sin = rotation(chip)
    if setup.optics.distortion:
        ax, ay = setup.optics.axis
        stretch = 1.0 + setup.optics.distortion * ((fx - ax) ** 2 + (fy - ay) ** 2)
        fx, fy = ax + (fx - ax) * stretch, ay + (fy - ay) * stretch
    u = fx / setup.optics.plate_scale - chip.x_mm
    v = fy / setup.optics.plate_scale - chip.y_mm
    pixel_mm = detector.pixel_mm * chip.scale
    return (
        (cos * u + sin * v) / pixel_mm + (detector.nx - 1) / 2,
        (-sin * u + cos * v) / pixel_mm + (detector.ny - 1) / 2,
    )


def nearest_chip(setup: Setup, fx: float, fy: float) -> Chip:
    """Return the chip, rendered or not, on which field coordinates (arcsec) land, or that comes nearest to it."""

    def outside(chip: Chip) -> float:
        x, y = field_to_pixel(setup, chip, fx, fy)
        return math.hypot(
            max(-0.5 - x, 0.0, x - setup.detector.nx + 0.5), max(-0.5 - y, 0.0, y - setup.detector.ny + 0.5)
        )

    return min(setup.detector.chips, key=outside)


def rotate_stamp(stamp: np.ndarray, chip: Chip) -> np.ndarray:
    """Return a stamp given in field orientation, turned to the chip's axes (nearest quarter turn).

    A stamp centred at [n//2, n//2] stays so; chips are mounted within a degree of a quarter turn.
    """
    turns = round(chip.rotation / 90.0) % 4
    if turns == 0:
        return stamp
    turned = np.rot90(stamp, turns, axes=(-2, -1))
    if stamp.shape[-1] % 2 == 0:  # the centre of an even stamp is not its middle: put it back
        turned = np.roll(turned, [(0, 0), (1, 0), (1, 1), (0, 1)][turns], axis=(-2, -1))
    return np.ascontiguousarray(turned)

"""Angular differential imaging of cubes: a companion comes back at its place and at its wavelengths."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest

from elvis_cli import pipeline
from elvis_cli.base.geometry import sky_to_field
from elvis_cli.errors import ResourceError
from elvis_cli.reduction import adi_cube, cube
from elvis_cli.reduction.associate import FileSet
from elvis_cli.reduction.cube import Cube
from elvis_cli.reduction.cube_grid import CubeGrid
from elvis_cli.request import parse

STEP = (0.0082, 0.0207)
"""Spaxels of METIS, y and x, arcsec."""
SHAPE = (5, 111, 45)
GRID = CubeGrid(SHAPE, (3.8, -STEP[0] * 55, -STEP[1] * 22), (1e-4, *STEP), 0.0, True)
LINE = 3
"""The companion shines in this plane alone."""
PLACE = (0.2, 110.0)
"""Distance (arcsec) and position angle (deg)."""
FWHM = 0.04


class File:
    """What is asked of a raw file."""

    def __init__(self, number: int, angle: float) -> None:
        self.name = f"{number}.fits"
        self.header = {"ESO ADA POSANG": angle, "ESO SIM IQ FWHM": FWHM}

    def get(self, key: str, other: Any = None) -> Any:
        return self.header.get(key, other)


def exposure(angle: float) -> Cube:
    """Return a star that stands still, with a speckle that moves with the wavelength, and the companion."""
    x, y = np.meshgrid(GRID.x, GRID.y)

    def spot(px: float, py: float) -> np.ndarray:
        return np.exp(-4 * math.log(2) * ((x - px) ** 2 + (y - py) ** 2) / FWHM**2)

    planes = [1e4 * spot(0, 0) + 300.0 * spot(0.1 + 0.01 * k, 0.05) for k in range(SHAPE[0])]
    r, pa = PLACE[0], math.radians(PLACE[1])
    planes[LINE] += 10.0 * spot(*sky_to_field(r * math.sin(pa), r * math.cos(pa), angle))
    sci = np.array(planes, np.float32)
    return Cube(GRID, sci, np.ones_like(sci), np.zeros(SHAPE, np.uint32), np.ones_like(sci))


def reduced(monkeypatch: pytest.MonkeyPatch, angles: list[float]) -> adi_cube.CubeAdi:
    def of_exposures(files: FileSet, *_: Any) -> tuple[Cube, list[Any], str]:
        return exposure(files.science[0].get("ESO ADA POSANG")), [], "exposures"

    monkeypatch.setattr(cube, "of_exposures", of_exposures)
    request = {"instrument": {"name": "metis", "ins_configuration": "lms_ravc"}}
    files: Any = [File(n, angle) for n, angle in enumerate(angles)]
    return adi_cube.reduce(FileSet(files), pipeline.configure(parse.read(json.dumps(request))))


def test_a_companion_has_its_place_and_its_line(monkeypatch: pytest.MonkeyPatch) -> None:
    product = reduced(monkeypatch, [-30.0, -10.0, 10.0, 30.0, 50.0])
    assert product.planes.shape[0] == SHAPE[0]
    assert product.sequence.scale == STEP[0]
    middle, scale = product.planes.shape[1] // 2, product.sequence.scale
    y, x = np.unravel_index(int(np.argmax(product.planes[LINE])), product.planes[LINE].shape)
    east, north = -(x - middle) * scale, (y - middle) * scale
    assert math.hypot(east, north) == pytest.approx(PLACE[0], abs=scale)
    assert math.degrees(math.atan2(east, north)) == pytest.approx(PLACE[1], abs=3.0)
    # light of a spaxel is shared among the squares that it covers; the median of five takes a little of a companion
    expected = 10.0 * STEP[0] / STEP[1]
    assert product.planes[LINE].max() == pytest.approx(expected, rel=0.15)
    others = np.delete(product.planes, LINE, axis=0)
    assert np.abs(others).max() < 1e-3 * expected
    assert product.image.max() == pytest.approx(expected / SHAPE[0], rel=0.2)


def test_three_exposures_are_the_fewest(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ResourceError, match="3 exposures, there are 2"):
        reduced(monkeypatch, [0.0, 10.0])

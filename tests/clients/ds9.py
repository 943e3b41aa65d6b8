"""ds9 opens frames of every imager on a virtual screen, and by XPA says where it sees the stars of TRUTH.

Right ascension and declination of a star become a pixel by its reading of the WCS; the pixels that it shows there have
the star.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from tests.clients.photometry import IMAGERS, POSITION, Field, expose
from tests.clients.programs import program, table

START = 120.0
"""s in which ds9 must answer."""
CLICKS = 4
"""Stars of a frame."""
BOX, WIDTH = 31, 2.5
"""Pixels that are read about a star; width of the weight, pixel."""


class Ds9:
    """A ds9 that answers by XPA."""

    def __init__(self, name: str, environment: dict[str, str]) -> None:
        self.name, self.environment = name, environment

    def set(self, *words: str) -> None:
        """Send a command."""
        subprocess.run(["xpaset", "-p", self.name, *words], env=self.environment, check=True, timeout=START)

    def get(self, *words: str) -> str:
        """Return the answer to a question."""
        done = subprocess.run(
            ["xpaget", self.name, *words],
            env=self.environment,
            capture_output=True,
            text=True,
            check=True,
            timeout=START,
        )
        return done.stdout.strip()

    def numbers(self, *words: str) -> list[float]:
        """Return the numbers of an answer."""
        return [float(word) for word in self.get(*words).split()]


@contextmanager
def opened(frame: str, folder: Path) -> Iterator[Ds9]:
    """Open a frame, ``FILE[EXTENSION]``."""
    screen, ds9 = program("xvfb-run", "xvfb"), program("ds9", "saods9")
    for name in ("xpaget", "xpaset", "xpaaccess"):
        program(name, "xpa-tools")
    environment = {**os.environ, "XPA_METHOD": "local", "XPA_TMPDIR": str(folder / "xpa"), "HOME": str(folder)}
    (folder / "xpa").mkdir(exist_ok=True)
    name = f"elvis{os.getpid()}"
    process = subprocess.Popen([screen, "-a", ds9, "-title", name, frame], env=environment)
    try:
        end = time.monotonic() + START
        while time.monotonic() < end and process.poll() is None:
            answer = subprocess.run(["xpaaccess", name], env=environment, capture_output=True, text=True, check=False)
            if answer.stdout.strip() == "yes":
                break
            time.sleep(0.5)
        else:
            raise AssertionError("ds9 does not answer")
        yield Ds9(name, environment)
    finally:
        subprocess.run(["xpaset", "-p", name, "exit"], env=environment, capture_output=True, check=False)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()


def centre(ds9: Ds9, column: int, row: int) -> tuple[float, float]:
    """Return the place (1-based) of the star near a pixel, from the values that ds9 has there.

    Bertin's windowed centroid: a Gaussian weight that follows the star.
    """
    corner = column - BOX // 2, row - BOX // 2
    values = np.full((BOX, BOX), np.nan)
    for line in ds9.get("data", "image", *map(str, (*corner, BOX, BOX)), "no").splitlines():  # x,y = value
        place, _, value = line.partition("=")
        at = [int(number) - first for number, first in zip(place.split(","), corner, strict=True)]
        values[at[1], at[0]] = float(value)
    edge = np.concatenate([values[0], values[-1], values[:, 0], values[:, -1]])
    light = values - np.median(edge)
    y, x = np.mgrid[:BOX, :BOX]
    found = np.array([BOX // 2, BOX // 2], float)
    for _ in range(30):
        weighted = light * np.exp(-((x - found[0]) ** 2 + (y - found[1]) ** 2) / (2 * WIDTH**2))
        moments = np.array([np.sum(weighted * (x - found[0])), np.sum(weighted * (y - found[1]))])
        found += 2.0 * moments / weighted.sum()
    return corner[0] + found[0], corner[1] + found[1]


def errors(ds9: Ds9, field: Field) -> tuple[float, float]:
    """Return how far (pixel) ds9's reading of WCS and pixels is from TRUTH: the worst star, and the median."""
    places, centres = [], []
    for star in field.truth[:CLICKS]:
        x, y = float(star["X"]), float(star["Y"])
        ds9.set("crosshair", f"{star['RA']:.12f}", f"{star['DEC']:.12f}", "wcs", "icrs")
        places.append(np.hypot(*np.subtract(ds9.numbers("crosshair", "image"), (x, y))))
        centres.append(np.hypot(*np.subtract(centre(ds9, round(x), round(y)), (x, y))))
    return float(max(places)), float(np.median(centres))


def test_ds9_sees_the_stars_where_truth_has_them(tmp_path):
    program("ds9", "saods9")
    rows: list[tuple[object, ...]] = []
    for imager, (mag, aperture) in IMAGERS.items():
        field = expose(tmp_path, imager, mag, aperture)
        with opened(f"{field.path}[{field.hdu}]", tmp_path) as ds9:
            rows.append((imager, *errors(ds9, field)))
            assert ds9.get("fits", "size").split() == [str(size) for size in field.pixels.shape[::-1]]
            (value,) = ds9.numbers("data", "image", "100", "20", "1", "1", "yes")
            assert value == pytest.approx(field.pixels[19, 99], rel=1e-5)
    table("ds9 against TRUTH", ("imager", "WCS, pixel", "star, pixel"), rows)
    assert [row for row in rows if row[1] > POSITION or row[2] > POSITION] == []  # type: ignore[operator]

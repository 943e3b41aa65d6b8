"""A product with stars added to it: the file as it was, but for the pixels."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from elvis_cli.detection import image_file, photometry
from elvis_cli.errors import RequestError, ResourceError
from elvis_cli.request.files import guard

MAX_FLUX = 1e30
"""Of a star, in the unit of the image: pixels have single precision."""
MAX_PLACE = 1e9
"""Pixels from the first one."""


@dataclass(frozen=True, slots=True)
class Stars:
    """Stars of a table, or random ones of one brightness."""

    table: Path | None
    count: int
    mag: float | None
    flux: float | None
    seed: int


def inject(source: Path | bytes, out: BinaryIO, stars: Stars, table: Path | None) -> None:
    """Write the product ``source`` with stars in its first image to ``out``, and their table.

    Raises
    ------
    ResourceError
        A magnitude is given and the product has no zero point, or a table has no brightness.
    RequestError
        A star has no place or no finite flux.
    """
    image = image_file.read(source)[0]
    places, flux = _stars(image, stars)
    _check(places, flux)
    sci = photometry.add_stars(image.sci, photometry.empirical_psf(image), places[:, 0], places[:, 1], flux)
    with guard.opened(source) as hdus:
        hdus[image.name].data = sci.astype(np.float32)
        hdus[0].header["HIERARCH ESO QC INJECTED"] = (len(places), "stars that were added")
        for hdu in hdus:
            hdu.add_checksum(when="checksum of the HDU")
        whole = io.BytesIO()
        hdus.writeto(whole, output_verify="silentfix")
    out.write(whole.getvalue())
    if table is not None:
        columns = {"X": places[:, 0] + 1.0, "Y": places[:, 1] + 1.0, "FLUX": flux}
        with table.open("wb") as file:
            image_file.write_table(columns, {"X": "pixel", "Y": "pixel"}, file, False)


def _check(places: np.ndarray, flux: np.ndarray) -> None:
    """Refuse stars without a place, and those that pixels cannot hold."""
    for number, (x, y, light) in enumerate(np.column_stack([places, flux]).tolist(), 1):
        if not (abs(x) < MAX_PLACE and abs(y) < MAX_PLACE):
            raise RequestError("", f"star {number} has no place: {x + 1:g}, {y + 1:g}", allowed="pixels")
        if not abs(light) <= MAX_FLUX:
            raise RequestError("", f"the flux of star {number} is {light:g}", allowed=f"up to {MAX_FLUX:g}")


def _stars(image: image_file.MeasuredImage, stars: Stars) -> tuple[np.ndarray, np.ndarray]:
    if stars.table is None:
        places = photometry.random_places(image, stars.count, stars.seed)
        one = stars.flux if stars.flux is not None else _flux(image, np.array([stars.mag]))[0]
        return places, np.full(len(places), one)
    table, places = image_file.read_places(stars.table, image)
    names = {name.upper(): name for name in table.colnames}
    if "FLUX" in names:
        return places, image_file.numbers(table, names["FLUX"])
    if "MAG" in names:
        return places, _flux(image, image_file.numbers(table, names["MAG"]))
    raise ResourceError(f"--at: {stars.table} has neither MAG nor FLUX", allowed="MAG or FLUX")


def _flux(image: image_file.MeasuredImage, mag: np.ndarray) -> np.ndarray:
    if image.zero is None:
        raise ResourceError("the image has no zero point (MAGZPT): give --flux in place of --mag")
    with np.errstate(over="ignore"):
        return np.asarray(10.0 ** (0.4 * (image.zero - mag)))

"""Images of products and of other programs, read for measuring; and tables written as ECSV or FITS."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from elvis_cli.base.arrays import Image
from elvis_cli.detection.apertures import INDEPENDENT, Correlation, GrowthCurve
from elvis_cli.errors import RequestError, ResourceError
from elvis_cli.request.files import guard
from elvis_cli.request.files.coordinate_cards import readable
from elvis_cli.request.files.errors import one_line

UNSEEN = 32
"""Flag of FLAG32BIT of a pixel that no exposure sees."""


NUMBERS = re.compile(r"MJD-OBS|MJD-END|EXPTIME|ESO QC (GROW|CORR) [A-Z]+\d+")
"""Keywords whose values are numbers."""


@dataclass(slots=True, eq=False)
class MeasuredImage:
    """An image (ny, nx), its errors, which pixels are good, and what its header says."""

    name: str
    sci: Image
    err: Image
    good: NDArray[np.bool_]
    header: Any
    primary: Any
    correlation: Correlation = INDEPENDENT
    """Noise of apertures over that of independent pixels."""

    @property
    def wcs(self) -> Any:
        """The celestial WCS; None where there is none."""
        import warnings

        from astropy.wcs import WCS

        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                found = WCS(readable(self.header), naxis=2)
        except Exception as error:  # astropy meets damaged cards with any exception there is
            raise RequestError("", f"damaged coordinates: {one_line(error)}") from None
        return found if found.has_celestial else None

    @property
    def zero(self) -> float | None:
        """Zero point (mag) of the image's unit."""
        value = self.header.get("MAGZPT", self.primary.get("MAGZPT"))
        if value is not None and (isinstance(value, str) or not abs(value) <= 100.0):
            raise RequestError("", f"MAGZPT is {value!r:.40}", allowed="-100 to 100 mag")
        return None if value is None else float(value)

    @property
    def growth(self) -> GrowthCurve | None:
        """The curve of growth that the zero point belongs to; None where the header tells none."""
        pairs = _numbered(self.header, "ESO QC GROW RAD", "ESO QC GROW FRA")
        return GrowthCurve(*np.array(pairs).T) if pairs else None

    @property
    def fwhm(self) -> float:
        """FWHM of a star, pixels: the product's, else 3."""
        value = self.header.get("ESO QC FWHM", 3.0)
        if isinstance(value, str) or not 0.1 <= value <= 1000.0:
            raise RequestError("", f"ESO QC FWHM is {value!r:.40}", allowed="0.1 to 1000 pixels")
        return float(value)


def read(source: Path | bytes) -> list[MeasuredImage]:
    """Return the images of a product, or the first images of another FITS file.

    Errors of a file without them are the robust scatter of its pixels.

    Raises
    ------
    ResourceError
        The file cannot be read.
    RequestError
        There is no image in it.
    """
    shown = str(source) if isinstance(source, Path) else "stdin"
    with guard.opened(source) as hdus:
        found = list(_images(hdus))
    if not found:
        raise RequestError("", f"{shown} has no image")
    return found


def _images(hdus: Any) -> Iterator[MeasuredImage]:
    linked = [hdu for hdu in hdus if hdu.header.get("HDUCLAS2") == "DATA"]
    plain = [hdu for hdu in hdus if hdu.is_image and hdu.header.get("NAXIS") == 2 and "SNR_MAP" not in hdu.name]
    for hdu in linked or plain:
        sci = np.ascontiguousarray(hdu.data, dtype=np.float32)
        good = np.isfinite(sci)
        header, correlation = guard.checked_header(hdu.header, NUMBERS), INDEPENDENT
        if "QUALDATA" in header:
            good &= (hdus[header["QUALDATA"]].data & UNSEEN) == 0
        if "ERRDATA" in header:
            err = np.ascontiguousarray(hdus[header["ERRDATA"]].data, dtype=np.float32)
            correlation = _correlation(hdus[header["ERRDATA"]].header)
        else:
            middle = float(np.median(sci[good]))
            sci = sci - np.float32(middle)
            sigma = 1.4826 * float(np.median(np.abs(sci[good])))
            err = np.full(sci.shape, max(sigma, 1e-30), np.float32)
        yield MeasuredImage(
            hdu.name,
            np.where(good, sci, np.float32(0.0)),
            err,
            good,
            header,
            guard.checked_header(hdus[0].header, NUMBERS),
            correlation,
        )


def _correlation(header: Any) -> Correlation:
    """Return the correlation that the header of an ERR extension tells."""
    pairs = _numbered(header, "ESO QC CORR RAD", "ESO QC CORR FAC")
    return Correlation(*np.array(pairs).T) if pairs else INDEPENDENT


def _numbered(header: Any, *names: str) -> list[tuple[float, ...]]:
    """Return the values of numbered cards, a row for each number."""
    rows: list[tuple[float, ...]] = []
    while all(f"{name}{len(rows) + 1}" in header for name in names):
        rows.append(tuple(float(header[f"{name}{len(rows) + 1}"]) for name in names))
    return rows


def write_table(columns: Mapping[str, Any], units: Mapping[str, str], out: BinaryIO, as_fits: bool) -> None:
    """Write a table as ECSV, or as FITS."""
    from astropy.table import Table

    table = Table({key: np.asarray(value) for key, value in columns.items()})
    for key, unit in units.items():
        if key in table.colnames:
            table[key].unit = unit
    if as_fits:
        from elvis_cli.product.fits import Table as FitsTable
        from elvis_cli.product.fits import write_file

        plain = {
            key: value.tolist() if np.asarray(value).dtype.kind in "US" else np.asarray(value)
            for key, value in columns.items()
        }
        write_file(out, [("ORIGIN", "ELVIS", "measured")], [], [FitsTable("SOURCES", plain, dict(units))])
        return
    text = io.StringIO()
    table.write(text, format="ascii.ecsv")
    out.write(text.getvalue().encode())


def read_places(path: Path, image: MeasuredImage) -> tuple[Any, Any]:
    """Return a table and the places (pixels from 0, (n, 2)) of its rows on an image: RA and DEC, or X and Y from 1.

    Raises
    ------
    UsageError
        The file is no table.
    ResourceError
        It has no places.
    RequestError
        Its places are not numbers, or cannot be on the image.
    """
    from astropy.table import Table

    with guard.reading("--at", path):
        table = Table.read(path)
    names = {name.upper(): name for name in table.colnames}
    if "RA" in names and "DEC" in names and image.wcs is not None:
        sky = [numbers(table, names[axis]) for axis in ("RA", "DEC")]
        try:
            places = image.wcs.all_world2pix(*sky, 0)
        except Exception as error:  # what the inversion of a distortion meets
            raise RequestError("", f"RA and DEC have no place on {image.name}: {one_line(error)}") from None
        return table, np.stack(places, axis=1)
    if "X" in names and "Y" in names:
        return table, np.stack([numbers(table, names[axis]) - 1.0 for axis in "XY"], axis=1)
    raise ResourceError(f"--at: {path} has neither RA, DEC nor X, Y", allowed="RA, DEC (deg) or X, Y", path=str(path))


def numbers(table: Any, name: str) -> NDArray[np.float64]:
    """Return a column of a table (n,), NaN where it has no value.

    Raises
    ------
    RequestError
        It does not hold numbers.
    """
    try:
        return np.ma.filled(np.ma.asarray(table[name]).astype(np.float64), np.nan)
    except (TypeError, ValueError):
        raise RequestError("", f"--at: the column {name} does not hold numbers") from None

"""Places of several PSFs in a file: a map or a table, as ScopeSim and AnisoCADO write it, or cards of TIPTOP's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from astropy import units
from astropy.io import fits
from astropy.table import Table
from numpy.typing import NDArray

from elvis_cli.base.arrays import Floats
from elvis_cli.errors import RequestError
from elvis_cli.request.files import wcs

MAX_PLACES = 1 << 16
"""Places of PSFs; a finer map is thinned out."""
_LAYERS = ("layer", "psf", "index", "plane", "kernel", "id")
_POINTER = "/elvis/psf/field"


@dataclass(frozen=True, slots=True, eq=False)
class Places:
    """Places in the field (n,), and the number of the PSF that holds there, from 0."""

    x: Floats
    y: Floats
    """arcsec, +x to the right."""
    psf: NDArray[np.int64]
    kind: str
    """Words for where they come from."""
    number: int = -1
    """Of the HDU that they come from."""
    first: int = 0
    """Number of the first HDU with PSFs."""

    @property
    def count(self) -> int:
        """How many PSFs there are."""
        return int(self.psf.max()) + 1


def places(hdus: fits.HDUList, name: str) -> Places | None:
    """Return the places that a file says its PSFs have, None if it is not of that kind.

    Raises
    ------
    RequestError
        It says that it has them, and does not.
    """
    number = hdus[0].header.get("ECAT")
    if number is None:
        number = next((n for n, h in enumerate(hdus) if "CATTYPE" in h.header or _is_table_of_places(h)), None)
    if number is None or int(number) < 0:
        return None
    number = int(number)
    if number >= len(hdus) or not hdus[number].header.get("NAXIS"):
        raise RequestError(_POINTER, f"{name}: there is no extension with the places of its PSFs", found=number)
    first = int(hdus[0].header.get("EDATA", number + 1))
    found = hdus[number]
    if found.is_image:
        x, y, psf, kind = *_of_map(found, name), f"map [{number}]"
    else:
        x, y, psf, kind = *_of_table(found, name), f"table [{number}]"
    good = np.isfinite(x) & np.isfinite(y) & np.isfinite(psf) & (psf > -0.5)
    if not good.any():
        raise RequestError(_POINTER, f"{name}: the {kind} has no place of a PSF")
    return Places(x[good], y[good], np.rint(psf[good]).astype(np.int64), kind, number, first)


def tiptop(headers: list[fits.Header], count: int) -> Places | None:
    """Return the places of ``count`` PSFs in TIPTOP's cards CCXnnnn, CCYnnnn (arcsec), None if they are not there."""
    for header in headers:
        try:
            x, y = (np.array([float(header[f"{key}{n:04d}"]) for n in range(count)]) for key in ("CCX", "CCY"))
        except (KeyError, ValueError):
            continue
        return Places(x, y, np.arange(count), "CCXnnnn, CCYnnnn")
    return None


def _is_table_of_places(hdu: Any) -> bool:
    if not isinstance(hdu, fits.BinTableHDU | fits.TableHDU):
        return False
    names = {column.casefold() for column in hdu.columns.names}
    return {"x", "y"} <= names and bool(names & set(_LAYERS))


def _of_map(hdu: Any, name: str) -> tuple[Floats, Floats, Floats]:
    """Return x, y and the number of the PSF of each pixel of a map."""
    data = np.asarray(hdu.data, float)
    if data.ndim != 2:
        raise RequestError(_POINTER, f"{name}: the map of its PSFs is not an image", found=list(data.shape))
    axes = []
    for n, size in ((1, data.shape[1]), (2, data.shape[0])):
        at = np.arange(1, size + 1) - float(hdu.header.get(f"CRPIX{n}", (size + 1) / 2))
        step = abs(float(hdu.header.get(f"CDELT{n}", hdu.header.get(f"CD{n}_{n}", 0.0))))
        unit = wcs.unit_name(str(hdu.header.get(f"CUNIT{n}", "")))
        factor = (
            float(units.Unit(unit).to("arcsec")) if unit else wcs.assumed_step(step or 1.0, name)[0] / (step or 1.0)
        )
        if not step:
            raise RequestError(_POINTER, f"{name}: the map of its PSFs has no CDELT{n}", allowed="arcsec an element")
        origin = 0.0 if str(hdu.header.get("CTYPE1", "")).upper().startswith("RA") else hdu.header.get(f"CRVAL{n}", 0.0)
        axes.append(float(origin) * factor + at * step * factor)
    thin = max(1, int(np.ceil(np.sqrt(data.size / MAX_PLACES))))
    x, y = np.meshgrid(axes[0][::thin], axes[1][::thin])
    return x.ravel(), y.ravel(), data[::thin, ::thin].ravel()


def _of_table(hdu: Any, name: str) -> tuple[Floats, Floats, Floats]:
    """Return x, y and the number of the PSF in each row of a table."""
    table = Table(hdu.data)
    columns = {column.casefold(): hdu.columns[column] for column in table.colnames}
    missing = [key for key in ("x", "y") if key not in columns]
    if missing:
        raise RequestError(_POINTER, f"{name}: the table of its PSFs has no column {missing[0]}", found=table.colnames)
    if len(table) > MAX_PLACES:
        raise RequestError(_POINTER, f"{name}: the table of its PSFs is too long", found=len(table), allowed=MAX_PLACES)
    x, y = (
        np.asarray(table[columns[key].name], float)
        * float(units.Unit(wcs.unit_name(columns[key].unit or "arcsec")).to("arcsec"))
        for key in ("x", "y")
    )
    layer = next((key for key in _LAYERS if key in columns), None)
    psf = np.arange(float(len(table))) if layer is None else np.asarray(table[columns[layer].name], float)
    return x, y, psf

"""SODA 1.0: a part of a file, by a circle or polygon on the sky and a range of wavelengths (Bonnarel et al. 2017).

A cut is the smallest window of pixels that holds the region, in each image of the file with celestial axes. Pixels,
headers and names of extensions stay; the reference pixel of the WCS moves. Tables are left out: they tell of the whole.
"""

from __future__ import annotations

import math
import tempfile
import warnings
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from elvis_cli.archive import datalink, regions
from elvis_cli.archive.dali import FITS, DaliError, Parameters, Reply, interval, numbers
from elvis_cli.archive.regions import Circle, Region, RegionError

if TYPE_CHECKING:
    from elvis_cli.archive.store import Store

OUTLINE = 64
"""Places on the edge of a region of which the pixels are looked at."""
NO_CONTENT = 204


def sync(store: Store, parameters: Parameters) -> Reply:
    """Return the cut of one file as FITS; no content where the region is not on it.

    Raises
    ------
    DaliError
        A parameter is wrong or there twice, there is no such file, or it has no such axis.
    """
    identity = parameters.get("ID")
    if not identity:
        raise DaliError("ID is missing")
    row = datalink.find(store, identity)
    if row is None:
        raise DaliError(f"NotFoundFault: {identity[:200]}", 404)
    region, band = _region(parameters), _band(parameters)
    if region is None and band is None:
        return Reply(media_type=FITS, path=Path(row["path"]))
    name = f"{row['dp_id']}.cut.fits"
    out = tempfile.TemporaryFile()  # noqa: SIM115
    if not cut(Path(row["path"]), region, band, out):
        out.close()
        return Reply(media_type=FITS, status=NO_CONTENT)
    out.seek(0)
    return Reply(media_type=FITS, file=out, headers={"content-disposition": f'attachment; filename="{name}"'})


def _region(parameters: Parameters) -> Region | None:
    found: list[Region] = []
    try:
        for kind in ("CIRCLE", "POLYGON"):
            found += [regions.region(kind, tuple(numbers(kind, value))) for value in parameters.all(kind)]
        for value in parameters.all("POS"):
            kind, _, rest = value.strip().partition(" ")
            if kind.upper() not in ("CIRCLE", "POLYGON"):
                raise RegionError("allowed: CIRCLE, POLYGON")
            found.append(regions.region(kind.upper(), tuple(numbers("POS", rest))))
    except RegionError as error:
        raise DaliError(f"UsageFault: {error}") from None
    if len(found) > 1:
        raise DaliError("MultiValuedParamNotSupported: one CIRCLE, POLYGON or POS")
    return found[0] if found else None


def _band(parameters: Parameters) -> tuple[float, float] | None:
    text = parameters.get("BAND")
    return interval("BAND", text) if text else None


def cut(path: Path, region: Region | None, band: tuple[float, float] | None, out: Any) -> bool:
    """Write the part of a file in a region and a band (m) to ``out``; return False where nothing of it is there.

    Raises
    ------
    DaliError
        The file is gone, or no image of it has these axes.
    """
    from astropy.io import fits

    try:
        hdus = fits.open(path, memmap=True)
    except OSError:
        raise DaliError("the file is not where it was when it was added", 404) from None
    with hdus, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        images = [(n, hdu) for n, hdu in enumerate(hdus) if _is_on_sky(hdu)]
        if not images:
            raise DaliError("UsageFault: no image of this file has axes on the sky")
        parts = [(n, part) for n, hdu in images if (part := _part(hdu, region, band)) is not None]
        if not parts:
            return False
        first = hdus[0].header.copy()
        first.add_history("part of a file, cut by ELVIS")
        if parts[0][0] == 0:
            primary = fits.PrimaryHDU(parts[0][1].data, parts[0][1].header)
            rest = [part for _, part in parts[1:]]
        else:
            primary = fits.PrimaryHDU(None, first)
            rest = [part for _, part in parts]
        fits.HDUList([primary, *rest]).writeto(out, output_verify="silentfix", checksum=True)
    return True


def _is_on_sky(hdu: Any) -> bool:
    header = hdu.header
    return hdu.is_image and header.get("NAXIS", 0) >= 2 and str(header.get("CTYPE1", "")).startswith("RA--")


def _part(hdu: Any, region: Region | None, band: tuple[float, float] | None) -> Any:
    """Return the image HDU of a part, None where nothing is left."""
    from astropy.io import fits
    from astropy.wcs import WCS

    header, shape = hdu.header.copy(), hdu.shape
    wcs = WCS(header)
    window = [(0, shape[-1]), (0, shape[-2])]
    if region is not None:
        found = _window(wcs.celestial, region, shape[-1], shape[-2])
        if found is None:
            return None
        window = found
    if band is not None:
        planes = _planes(header, shape, wcs, band)
        if planes is None:
            return None
        window.append(planes)
    elif len(shape) == 3:
        window.append((0, shape[0]))
    for axis, (start, _) in enumerate(window, 1):
        header[f"CRPIX{axis}"] = header[f"CRPIX{axis}"] - start
    for key in ("CHECKSUM", "DATASUM"):
        header.remove(key, ignore_missing=True)
    slices = tuple(slice(*each) for each in reversed(window))
    return fits.ImageHDU(hdu.section[slices], header)


def _window(wcs: Any, region: Region, nx: int, ny: int) -> list[tuple[int, int]] | None:
    """Return the columns and rows that hold a region, None outside the image."""
    places = _outline(region)
    try:
        x, y = wcs.all_world2pix(*np.array(places).T, 0, quiet=True)
    except Exception:  # whatever the inversion of a distortion meets
        return None
    middle = wcs.all_pix2world((nx - 1) / 2, (ny - 1) / 2, 0)
    near = math.cos(regions.angle(regions.vector(*map(float, middle)), regions.vector(*regions.centre(region)))) > 0
    good = np.isfinite(x) & np.isfinite(y)
    if not near or not good.any():
        return None
    bounds = []
    for values, size in ((x[good], nx), (y[good], ny)):
        low, high = max(math.floor(values.min() + 0.5), 0), min(math.floor(values.max() + 0.5) + 1, size)
        if low >= high:
            return None
        bounds.append((low, high))
    return bounds


def _outline(region: Region) -> list[tuple[float, float]]:
    """Return places on the edge of a region."""
    if not isinstance(region, Circle):
        corners = [*region.vectors, region.vectors[0]]
        steps = np.linspace(0.0, 1.0, max(OUTLINE // len(region.vectors), 2), endpoint=False)
        arcs = [np.outer(1 - steps, a) + np.outer(steps, b) for a, b in pairwise(corners)]
        return [regions.place(tuple(v)) for arc in arcs for v in arc.tolist()]
    from elvis_cli.base.geometry import deproject

    angles = np.linspace(0.0, 2 * math.pi, OUTLINE, endpoint=False)
    reach = math.degrees(math.tan(math.radians(min(region.radius, 80.0)))) * 3600.0
    ra, dec = deproject(reach * np.sin(angles), reach * np.cos(angles), region.lon, region.lat)
    return list(zip(ra.tolist(), dec.tolist(), strict=True))


def _planes(header: Any, shape: tuple[int, ...], wcs: Any, band: tuple[float, float]) -> tuple[int, int] | None:
    """Return the planes of a cube whose centres are within a band (m)."""
    if len(shape) != 3 or not str(header.get("CTYPE3", "")).startswith(("WAVE", "AWAV")):
        raise DaliError("UsageFault: this file has no axis of wavelength: BAND does not apply")
    pixels = np.arange(shape[0])
    zeros = np.zeros(shape[0])
    wave = wcs.all_pix2world(zeros, zeros, pixels, 0)[2]  # astropy gives the unit of the standard, m
    inside = np.flatnonzero((wave >= band[0]) & (wave <= band[1]))
    return (int(inside[0]), int(inside[-1]) + 1) if inside.size else None

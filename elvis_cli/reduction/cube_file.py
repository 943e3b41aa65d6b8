"""Cubes as FITS files: signal, errors and flags as ESO's archive takes them, and the white light.

Keywords: ESO-044286, section on SCIENCE.CUBE.IFS.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

import numpy as np

from elvis_cli.base import parallel
from elvis_cli.base.arrays import Image
from elvis_cli.base.constants import LIGHT
from elvis_cli.product import fits
from elvis_cli.product.header import Card
from elvis_cli.reduction import cube_spectrum, sdp
from elvis_cli.reduction.cube import CubeProduct
from elvis_cli.reduction.frame import NO_DATA
from elvis_cli.reduction.product_cards import (
    common_cards,
    flag_cards,
    hdu_cards,
    passed_cards,
    pipeline_cards,
    provenance_cards,
)

RECIPE = "elvis_reduce_cube"
FLUX_UNIT = "10**(-20)erg/s/cm**2/Angstrom"
COUNT_UNIT = "count/s"
"""A count is an electron: the FITS standard 4.0, section 4.3, has no electron among its units."""
LIMIT_SIGMA = 5.0
SAMPLE, LARGE = 3, 10_000_000
"""Of a cube of more voxels, every so many rows and columns tell the noise of a voxel."""
WITHIN = 1.0 - 2.0**-4
"""Part of a Gaussian's light within its FWHM of the centre."""


def write_cube(product: CubeProduct, out: BinaryIO) -> None:
    """Write the cube: SCI, ERR, DQ, each (wavelength, y, x); SCI and ERR are NaN where DQ is not 0."""
    cards = _primary(product, sdp.CUBE)
    cards += [
        ("ASSON1", f"{product.name}_white.fits", "belongs to this file"),
        ("ASSOC1", sdp.WHITE, "category of ASSON1"),
    ]
    fits.write_file(out, cards, _remarks(product), _hdus(product))


def write_white(product: CubeProduct, out: BinaryIO) -> None:
    """Write the white light, the mean of all planes, its error (y, x), and the spectrum of its brightest source."""
    white, err = cube_spectrum.white_light(product.cube)
    wcs = list(product.cube.grid.cards(*product.pointing, flat=True))
    images = [
        fits.Image(name, each, [("BUNIT", COUNT_UNIT, "electron/s of a voxel, mean of all planes"), *wcs])
        for name, each in (("SCI", white), ("ERR", err))
    ]
    fits.write_file(out, _primary(product, sdp.WHITE), _remarks(product), [*images, _source(product)])


def _source(product: CubeProduct) -> fits.Table:
    """Return the table of the light within one FWHM of the brightest source."""
    cube = product.cube
    (x, y), radius = product.place, product.quality[0]
    one = cube_spectrum.spectrum(cube, cube_spectrum.circle(cube, x, y, radius))
    factor = np.where(one.bad, np.nan, scale(product))
    columns = {"WAVELENGTH": product.written_grid.wave * 1e3, "FLUX": one.flux * factor, "ERR": one.err * factor}
    units = {"WAVELENGTH": "nm", "FLUX": unit(product), "ERR": unit(product)}
    place = {"X": x, "Y": y, "RADIUS": radius}
    cards: list[Card] = [
        (f"ESO QC SPEC {name}", round(value, 6), "[arcsec] circle of the spectrum, from the field's middle")
        for name, value in place.items()
        if np.isfinite(value)  # a field without light has no source
    ]
    return fits.Table("SPECTRUM", columns, units, cards)


WRITERS = {"cube": write_cube, "white": write_white}
"""The files of a product, by the last part of their names."""


def unit(product: CubeProduct) -> str:
    """Return the unit of the cube."""
    return FLUX_UNIT if product.response else COUNT_UNIT


def scale(product: CubeProduct) -> Image:
    """Return the factor (n,) of each plane from electron/s to the unit, NaN where the response is not known."""
    grid = product.cube.grid
    if product.response is None:
        return np.ones(grid.shape[0], np.float32)
    factor = product.response.curve((1, 1), grid.wave) / grid.step[0]  # erg/s/cm2/um
    return np.asarray(factor * 1e-4 * 1e20, np.float32)


def _remarks(product: CubeProduct) -> list[str]:
    return [
        "SIMULATED DATA, reduced by ELVIS: no telescope took these exposures.",
        *(f"Note: {n}" for n in product.notes),
    ]


def _hdus(product: CubeProduct) -> Iterator[fits.Image]:
    """Yield the extensions, each made when it is written: one of a large cube has half a gigabyte."""
    cube, factor = product.cube, scale(product)
    missing = np.where(np.isfinite(factor), 0, NO_DATA).astype(cube.dq.dtype)

    def scaled(values: Image, step: int = 1) -> Image:
        """Return the values of every ``step``-th row and column of spaxels, in the product's unit."""
        out = np.empty(values[:, ::step, ::step].shape, np.float32)

        def fill(_: int, planes: slice) -> None:
            lost = (cube.dq[planes, ::step, ::step] != 0) | (missing[planes, None, None] != 0)
            np.multiply(values[planes, ::step, ::step], factor[planes, None, None], out=out[planes])
            out[planes][lost] = np.nan

        parallel.for_rows(len(out), fill)
        return out

    step = SAMPLE if cube.dq.size > LARGE else 1
    noise = scaled(cube.err, step)
    known = noise[np.isfinite(noise)]
    wcs = list(product.written_grid.cards(*product.pointing))
    cards: list[Card] = [
        ("PIXNOISE", float(np.median(known)) if known.size else 0.0, f"[{unit(product)}] noise of a voxel"),
        ("ESO QC CORRFAC", round(cube.correlation, 5), "noise of sums of many voxels over that of free ones"),
        ("ESO QC SKYERR", float(np.nanmedian(cube.sky_err * factor)), f"[{unit(product)}] of a voxel, common to all"),
    ]
    about = [("SCI", cube.sci, "signal", cards), ("ERR", cube.err, "of the signal", [])]
    for name, values, what, more in about:
        other = "ERR" if name == "SCI" else "SCI"
        own = [*hdu_cards(name, other, "DQ"), ("BUNIT", unit(product), what), *wcs, *more]
        yield fits.Image(name, scaled(values), own)
    flags = (cube.dq | missing[:, None, None]).astype(np.int32)
    yield fits.Image("DQ", flags, [*hdu_cards("DQ", "SCI", "ERR"), *wcs, *flag_cards()])


def _primary(product: CubeProduct, category: str) -> list[Card]:
    """Return the primary header, with the provenance of all raw files."""
    files, wave = product.files, product.written_grid.wave * 1e3
    first = files.science[0]
    solutions = product.solutions
    width, error = product.quality
    cards: list[Card] = [
        *common_cards(files, category, product.middle or product.pointing[:2], product.response is not None),
        ("FLUXERR", round(100 * product.response.error, 3) if product.response else -1.0, "[%] error of the flux"),
        ("WAVELMIN", float(wave[0]), "[nm] shortest wavelength, vacuum"),
        ("WAVELMAX", float(wave[-1]), "[nm] longest wavelength, vacuum"),
        ("SPEC_RES", float(first.get("SPEC_RES", 0.0)), "resolving power"),
        ("SPECSYS", "TOPOCENT" if product.velocity is None else "BARYCENT", "frame of the wavelengths"),
        ("SKY_RES", round(width, 5), "[arcsec] FWHM of the brightest source"),
        ("SKY_RERR", round(error, 5), "[arcsec] its error, from parts of the wavelengths"),
        *_limit(product, width),
        (
            "LAMRMS",
            float(np.median([s.rms_nm for s in solutions])) if solutions else -1.0,
            "[nm] rms of the wavelengths",
        ),
        ("LAMNLIN", sum(s.lines for s in solutions), "lines of the wavelength solution, times places on the slices"),
        ("ESO QC SKY METHOD", product.sky_way, "how the sky was taken"),
        ("ESO QC BERV", round(product.velocity or 0.0, 6), "[km/s] about the barycentre, taken out of wavelengths"),
    ]
    return [
        *cards,
        *provenance_cards(files),
        *passed_cards(first),
        *pipeline_cards(files, category, bool(files.linearity), RECIPE),
    ]


def _limit(product: CubeProduct, width: float) -> Iterator[Card]:
    """Yield the limiting magnitude of a point source in the white light, within its FWHM of the centre."""
    if product.response is None:
        return
    cube = product.cube
    factor = scale(product)
    err = float(np.nanmedian(cube_spectrum.white_light(cube)[1])) * cube.correlation
    spaxels = np.pi * width**2 / (cube.grid.step[1] * cube.grid.step[2])
    flux = LIMIT_SIGMA * err * np.sqrt(spaxels) / WITHIN * float(np.nanmedian(factor)) * 1e-20  # erg/s/cm2/A
    wave = float(np.median(cube.grid.wave)) * 1e4
    if flux > 0:
        density = flux * wave**2 / (LIGHT * 1e10)
        yield "ABMAGLIM", round(float(-2.5 * np.log10(density) - 48.6), 3), "[mag] AB, point source of 5 sigma, white"

"""Spectra as FITS files: the merged spectrum as ESO's archive takes it, and the orders of which it is made.

Names, UCDs and utypes of the columns: ESO-044286, section on SCIENCE.SPECTRUM; IVOA Spectrum data model 2.0.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from elvis_cli.base.arrays import Floats
from elvis_cli.product import fits
from elvis_cli.product.header import Card
from elvis_cli.reduction import sdp
from elvis_cli.reduction.product_cards import common_cards, passed_cards, pipeline_cards, provenance_cards
from elvis_cli.reduction.spectra import SpectrumProduct

RECIPE = "elvis_reduce_spectrum"
FLUX_UNIT = "erg.cm**(-2).s**(-1).angstrom**(-1)"
COUNT_UNIT = "electron.s**(-1).nm**(-1)"
_UTYPES = {
    "WAVE": ("spec:Data.SpectralAxis.Value", "em.wl"),
    "FLUX": ("spec:Data.FluxAxis.Value", "phot.flux.density;em.wl"),
    "ERR": ("spec:Data.FluxAxis.Accuracy.StatError", "stat.error;phot.flux.density;em.wl"),
    "QUAL": ("spec:Data.FluxAxis.Accuracy.QualityStatus", "meta.code.qual;phot.flux.density;em.wl"),
    "SNR": ("", "stat.snr"),
    "SKY": ("", "phot.flux.density;em.wl"),
}


def write_spectrum(product: SpectrumProduct, out: BinaryIO) -> None:
    """Write the merged spectrum: one row whose columns are arrays against wavelength (nm, vacuum)."""
    cards = _primary(product, sdp.SPECTRUM)
    cards += [
        ("ASSON1", f"{product.name}_orders.fits", "belongs to this file"),
        ("ASSOC1", sdp.ORDERS, "category of ASSON1"),
    ]
    fits.write_file(out, cards, _remarks(product), [_spectrum(product)])


def write_orders(product: SpectrumProduct, out: BinaryIO) -> None:
    """Write a row for each order of each aperture and chip: optimal and box extraction in electron/s a pixel."""
    fits.write_file(out, _primary(product, sdp.ORDERS), _remarks(product), [_orders(product)])


def write_targets(product: SpectrumProduct, out: BinaryIO) -> None:
    """Write a row for each target of slitlets or fibres, its orders merged, in the unit of the spectrum."""
    fits.write_file(out, _primary(product, sdp.TARGETS), _remarks(product), [_targets(product)])


def writers(product: SpectrumProduct) -> dict[str, Callable[[SpectrumProduct, BinaryIO], None]]:
    """Return the writers of a product's files, by the last part of their names."""
    made: dict[str, Callable[[SpectrumProduct, BinaryIO], None]]
    made = {"spectrum": write_spectrum, "orders": write_orders}
    return made | {"targets": write_targets} if len(product.targets) > 1 else made


def unit(product: SpectrumProduct) -> tuple[str, float]:
    """Return the unit of FLUX, and what the merged densities (per um) are multiplied by for it."""
    return (FLUX_UNIT, 1e-4) if product.response else (COUNT_UNIT, 1e-3)


def _remarks(product: SpectrumProduct) -> list[str]:
    return [
        "SIMULATED DATA, reduced by ELVIS: no telescope took these exposures.",
        *(f"Note: {n}" for n in product.notes),
    ]


def _spectrum(product: SpectrumProduct) -> fits.Table:
    merged = product.merged
    flux_unit, scale = unit(product)
    columns: dict[str, Floats] = {
        "WAVE": merged.wave * 1e3,
        "FLUX": merged.flux * scale,
        "ERR": merged.err * scale,
        "QUAL": merged.quality.astype(np.int32),
        "SNR": merged.snr,
        "SKY": merged.sky * scale,
    }
    units = {"WAVE": "nm", "FLUX": flux_unit, "ERR": flux_unit, "QUAL": "", "SNR": "", "SKY": flux_unit}
    low, high = float(columns["WAVE"][0]), float(columns["WAVE"][-1])
    first, last = product.files.science[0], product.files.science[-1]
    elapsed = (last.mjd - first.mjd) * 86400.0 + last.dit * last.ndit
    cards: list[Card] = [
        ("VOCLASS", "SPECTRUM v2.0", "data model"),
        ("VOPUB", "ELVIS", "publisher: a simulation"),
        ("TITLE", f"{first.get('OBJECT', '')} {first.get('ESO OBS PROG ID', 'SIMULATED')}", "title"),
        ("OBJECT", str(first.get("OBJECT", "")), "target"),
        ("RA", float(first.get("RA", 0.0)), "[deg] target"),
        ("DEC", float(first.get("DEC", 0.0)), "[deg] target"),
        ("APERTURE", float(first.get("ESO INS SLIT1 WID", product.width)) / 3600.0, "[deg] width of the slit"),
        ("TELAPSE", round(elapsed, 6), "[s] from start to end"),
        ("TMID", round(first.mjd + elapsed / 2 / 86400.0, 8), "[d] MJD of the middle"),
        ("SPEC_VAL", (low + high) / 2, "[nm] middle"),
        ("SPEC_BW", high - low, "[nm] width"),
        ("TDMIN1", low, "[nm] first wavelength"),
        ("TDMAX1", high, "[nm] last wavelength"),
        ("NELEM", merged.wave.size, "points"),
    ]
    for number, name in enumerate(columns, 1):
        utype, ucd = _UTYPES[name]
        if utype:
            cards.append((f"TUTYP{number}", utype, "utype"))
        cards.append((f"TUCD{number}", ucd, "UCD"))
    return fits.Table("SPECTRUM", {name: column[None, :] for name, column in columns.items()}, units, cards)


def _padded(values: Iterable[Floats]) -> Floats:
    """Return arrays of different lengths as the rows of one, NaN behind their ends."""
    arrays = list(values)
    most = max(array.size for array in arrays)
    return np.stack([np.pad(v.astype(float), (0, most - v.size), constant_values=np.nan) for v in arrays])


def _targets(product: SpectrumProduct) -> fits.Table:
    flux_unit, scale = unit(product)
    parts = list(product.targets.values())
    columns: dict[str, NDArray[Any]] = {
        "APERTURE": np.array(list(product.targets), np.int32),
        "WAVE": _padded(one.wave * 1e3 for one in parts),
        "FLUX": _padded(one.flux * scale for one in parts),
        "ERR": _padded(one.err * scale for one in parts),
        "QUAL": _padded(one.quality for one in parts),
        "SNR": _padded(one.snr for one in parts),
        "SKY": _padded(one.sky * scale for one in parts),
    }
    return fits.Table("TARGETS", columns, {"WAVE": "nm", **dict.fromkeys(("FLUX", "ERR", "SKY"), flux_unit)})


def _orders(product: SpectrumProduct) -> fits.Table:
    spectra = product.spectra
    column = _padded
    columns: dict[str, NDArray[Any]] = {
        "ORDER": np.array([one.order for one in spectra], np.int32),
        "APERTURE": np.array([one.aperture for one in spectra], np.int32),
        "WAVE": column(one.wave * 1e3 for one in spectra),
        "FLUX": column(one.flux for one in spectra),
        "ERR": column(one.err for one in spectra),
        "FLUX_BOX": column(one.box for one in spectra),
        "ERR_BOX": column(one.box_err for one in spectra),
        "SKY": column(one.sky for one in spectra),
        "QUAL": column(one.bad.astype(float) for one in spectra),
        "BLAZE": column(np.zeros_like(one.wave) if one.blaze is None else one.blaze for one in spectra),
    }
    rates = dict.fromkeys(("FLUX", "ERR", "FLUX_BOX", "ERR_BOX", "SKY", "BLAZE"), "electron/s")
    return fits.Table("ORDERS", columns, {"WAVE": "nm", **rates})


def _primary(product: SpectrumProduct, category: str) -> list[Card]:
    """Return the primary header, with the provenance of all raw files."""
    files, merged = product.files, product.merged
    first = files.science[0]
    good = merged.quality == 0
    solutions = product.solutions
    place = float(first.get("RA", 0.0)), float(first.get("DEC", 0.0))
    cards: list[Card] = [
        *common_cards(files, category, place, product.response is not None),
        ("FLUXERR", round(100 * product.response.error, 3) if product.response else -1.0, "[%] error of the flux"),
        ("WAVELMIN", float(merged.wave[0] * 1e3), "[nm] shortest wavelength, vacuum"),
        ("WAVELMAX", float(merged.wave[-1] * 1e3), "[nm] longest wavelength, vacuum"),
        ("SPEC_BIN", float(np.median(np.diff(merged.wave)) * 1e3), "[nm] bin"),
        ("SPEC_RES", float(first.get("SPEC_RES", 0.0)), "resolving power"),
        ("SNR", round(float(np.median(merged.snr[good])) if good.any() else 0.0, 4), "median signal-to-noise ratio"),
        ("SPECSYS", "TOPOCENT" if product.velocity is None else "BARYCENT", "frame of the wavelengths"),
        ("CONTNORM", False, "not normalised to the continuum"),
        ("TOT_FLUX", False, "what the slit loses is not made up for"),
        ("EXT_OBJ", False, "extended source"),
        ("DISPELEM", str(first.get("ESO INS GRIS1 NAME", first.get("ESO INS MODE", ""))), "disperser"),
        (
            "LAMRMS",
            float(np.median([s.rms_nm for s in solutions])) if solutions else -1.0,
            "[nm] rms of the wavelengths",
        ),
        ("LAMNLIN", sum(s.lines for s in solutions), "lines of the wavelength solution, times places on the slit"),
        ("ESO QC FWHM", round(product.fwhm, 6), "[arcsec] width of the object along the slit"),
        ("ESO QC BOX", round(product.width, 6), "[arcsec] length of the box"),
        ("ESO QC SKY METHOD", product.sky_way, "how the sky was taken"),
        ("ESO QC BERV", round(product.velocity or 0.0, 6), "[km/s] about the barycentre, taken out of WAVE"),
        ("ESO QC COSMICS", sum(one.rejected for one in product.spectra), "pixels that are not of the profile"),
    ]
    return [
        *cards,
        *provenance_cards(files),
        *passed_cards(first),
        *pipeline_cards(files, category, bool(files.linearity), RECIPE),
    ]

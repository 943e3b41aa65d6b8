"""Polarised spectra from four sub-exposures of two beams each, by ratios of the beams.

With u and d the two beams and s the sign of a sub-exposure, R is the product of (u / d)^s; P / I = (r - 1) / (r + 1)
with r = R^(1/4) (Donati et al. 1997, MNRAS 291, 658, eq. 2). Neither how well the beams pass nor what changes from one
sub-exposure to the next stays in it. The null spectrum has the signs of half of the pairs turned (their eq. 3): it
shows noise alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from elvis_cli.base.arrays import Floats
from elvis_cli.errors import ResourceError
from elvis_cli.model.spectrograph import Polarimeter
from elvis_cli.product import fits
from elvis_cli.product.header import Card
from elvis_cli.reduction import chip_calibration, layout, sdp, spectra
from elvis_cli.reduction.associate import FileSet, product_name
from elvis_cli.reduction.chip_calibration import ChipCalibration
from elvis_cli.reduction.extract import Spectrum
from elvis_cli.reduction.product_cards import common_cards, passed_cards, pipeline_cards, provenance_cards
from elvis_cli.reduction.raw import RawFile
from elvis_cli.reduction.spectrum_options import SpectrumOptions

NUMBER = "ESO SEQ POL EXPNO"
"""Number of a sub-exposure, from 1."""
RECIPE = "elvis_reduce_polarimetry"


@dataclass(slots=True, eq=False)
class PolarisedOrder:
    """One order on one chip: arrays (n,) at the wavelengths of the upper beam of the first sub-exposure."""

    chip: str
    order: int
    wave: Floats
    """um."""
    intensity: Floats
    """Electron/s a pixel, both beams."""
    intensity_err: Floats
    stokes: Floats
    """Stokes parameter over intensity."""
    err: Floats
    null: Floats
    bad: NDArray[np.bool_]


@dataclass(slots=True, eq=False)
class PolarimetryProduct:
    """The polarised spectra of one set of raw files before they are written."""

    name: str
    files: FileSet
    stokes: str
    orders: list[PolarisedOrder]
    notes: list[str] = field(default_factory=list)


def reduce(files: FileSet, polarimeter: Polarimeter, options: SpectrumOptions) -> PolarimetryProduct:
    """Return the polarised spectra of a set, the mean of its groups of sub-exposures.

    Raises
    ------
    ResourceError
        Sub-exposures are missing, or no order shows both beams.
    """
    groups, notes = _groups(files.science, len(polarimeter.signs)), list[str]()
    known: dict[Any, ChipCalibration] = {}
    first = files.science[0]
    setup = layout.configure(first, "arc" if files.arc else None)
    orders: list[PolarisedOrder] = []
    for name in first.chips:
        chip = chip_calibration.cached(files, name, setup, notes, known)
        parts: dict[int, list[PolarisedOrder]] = {}
        for group in groups:
            beams = [_beams(files, one, chip, options) for one in group]
            for order in sorted(set.intersection(*(set(each) for each in beams))):
                parts.setdefault(order, []).append(
                    demodulate(name, order, [each[order] for each in beams], polarimeter.signs)
                )
        orders += [_mean(several) for several in parts.values()]
    if not orders:
        raise ResourceError(f"{product_name(files)}: no order shows both beams of the polarimeter")
    return PolarimetryProduct(product_name(files), files, polarimeter.stokes, orders, list(dict.fromkeys(notes)))


def _groups(science: Sequence[RawFile], count: int) -> list[list[RawFile]]:
    """Return groups of sub-exposures 1 to ``count``, in the order of time."""
    numbers = [int(one.get(NUMBER, 0)) for one in science]
    if len(science) % count or numbers != list(range(1, count + 1)) * (len(science) // count):
        raise ResourceError(
            f"{science[0].name}: polarimetry needs the sub-exposures 1 to {count} one after another", found=numbers
        )
    return [list(science[n : n + count]) for n in range(0, len(science), count)]


def _beams(
    files: FileSet, one: RawFile, chip: ChipCalibration, options: SpectrumOptions
) -> dict[int, tuple[Spectrum, Spectrum]]:
    """Return the spectra of the upper and the lower beam of one exposure by order."""
    found, *_ = spectra.extracted(replace(files, science=[one]), chip, options)
    apertures = sorted({each.aperture for each in found})
    by = {(each.order, each.aperture): each for each in found}
    if len(apertures) != 2:
        return {}
    upper, lower = apertures
    return {order: (by[order, upper], by[order, lower]) for order, number in by
            if number == upper and (order, lower) in by}  # fmt: skip


def demodulate(
    chip: str, order: int, beams: Sequence[tuple[Spectrum, Spectrum]], signs: Sequence[int]
) -> PolarisedOrder:
    """Return the polarised spectrum of one order of a group of sub-exposures."""
    wave = beams[0][0].wave
    pairs = [[_at(wave, one) for one in pair] for pair in beams]
    flux, err, bad = (np.array([[each[n] for each in pair] for pair in pairs]) for n in range(3))  # (exposures, 2, n)
    lost = np.asarray(((bad > 0) | (flux <= 0)).any(axis=(0, 1)))
    ratio = np.log(np.where(lost, 1.0, flux[:, 0]) / np.where(lost, 1.0, flux[:, 1]))
    sign = np.array(signs, float)[:, None]
    r = np.exp((sign * ratio).mean(axis=0))
    turned = np.exp((_null_signs(signs)[:, None] * ratio).mean(axis=0))
    relative = np.sqrt(np.square(np.where(lost, 0.0, err) / np.where(lost, 1.0, flux)).sum(axis=(0, 1)))
    return PolarisedOrder(
        chip=chip,
        order=order,
        wave=wave,
        intensity=np.where(lost, np.nan, flux.sum(axis=1).mean(axis=0)),
        intensity_err=np.where(lost, np.nan, np.sqrt(np.square(err).sum(axis=(0, 1))) / len(beams)),
        stokes=np.where(lost, np.nan, (r - 1.0) / (r + 1.0)),
        err=np.where(lost, np.nan, 2.0 * r / (r + 1.0) ** 2 * relative / len(beams)),
        null=np.where(lost, np.nan, (turned - 1.0) / (turned + 1.0)),
        bad=lost,
    )


def _null_signs(signs: Sequence[int]) -> Floats:
    """Return signs of the null spectrum: of the sub-exposures of each sign every second one is turned."""
    result = np.ones(len(signs))
    for sign in (1, -1):
        result[[n for n, each in enumerate(signs) if each == sign][1::2]] = -1.0
    return result


def _at(wave: Floats, one: Spectrum) -> tuple[Floats, Floats, Floats]:
    """Return flux, error and flags of a spectrum at wavelengths (n,), linear between its own.

    What this takes from sharp lines is the same in all sub-exposures, so that ratios do not see it.
    """
    cut = slice(None) if one.wave[-1] > one.wave[0] else slice(None, None, -1)
    x, flux, err, bad = one.wave[cut], one.flux[cut], one.err[cut], one.bad[cut]
    low = np.clip(np.searchsorted(x, wave, side="right") - 1, 0, x.size - 2)
    part = np.clip((wave - x[low]) / (x[low + 1] - x[low]), 0.0, 1.0)
    seen = (bad[low] & (part < 1.0)) | (bad[low + 1] & (part > 0.0)) | (wave < x[0]) | (wave > x[-1])
    value = (1.0 - part) * flux[low] + part * flux[low + 1]
    return value, np.hypot((1.0 - part) * err[low], part * err[low + 1]), seen.astype(float)


def _mean(several: Sequence[PolarisedOrder]) -> PolarisedOrder:
    """Return the mean of an order over groups, at the wavelengths of the first."""
    first, count = several[0], len(several)
    if count == 1:
        return first

    def rows(name: str) -> Floats:
        return np.array([np.interp(first.wave, *_sorted(one.wave, getattr(one, name))) for one in several])

    def error(name: str) -> Floats:
        return np.asarray(np.sqrt(np.square(rows(name)).sum(axis=0)) / count)

    return replace(
        first,
        intensity=rows("intensity").mean(axis=0),
        intensity_err=error("intensity_err"),
        stokes=rows("stokes").mean(axis=0),
        err=error("err"),
        null=rows("null").mean(axis=0),
        bad=rows("bad").max(axis=0) > 0,
    )


def _sorted(x: Floats, y: NDArray[Any]) -> tuple[Floats, Floats]:
    """Return values against ascending wavelengths."""
    return (x, np.asarray(y, float)) if x[-1] > x[0] else (x[::-1], np.asarray(y, float)[::-1])


def write(product: PolarimetryProduct, out: BinaryIO) -> None:
    """Write a row for each order and chip: intensity, the Stokes parameter over it, the null spectrum, errors.

    NaN is where a pixel of a beam is bad or without light.
    """
    orders = product.orders
    most = max(one.wave.size for one in orders)

    def column(name: str, scale: float = 1.0) -> Floats:
        values = (np.asarray(getattr(one, name), float) * scale for one in orders)
        return np.stack([np.pad(each, (0, most - each.size), constant_values=np.nan) for each in values])

    columns: dict[str, NDArray[Any]] = {
        "CHIP": np.array([one.chip for one in orders]),
        "ORDER": np.array([one.order for one in orders], np.int32),
        "WAVE": column("wave", 1e3),
        "INTENSITY": column("intensity"),
        "ERR_INTENSITY": column("intensity_err"),
        "STOKES": column("stokes"),
        "ERR": column("err"),
        "NULL": column("null"),
    }
    units = {"WAVE": "nm", "INTENSITY": "electron/s", "ERR_INTENSITY": "electron/s"}
    first = product.files.science[0]
    cards: list[Card] = [
        *common_cards(
            product.files, sdp.POLARIMETRY, (float(first.get("RA", 0.0)), float(first.get("DEC", 0.0))), False
        ),
        ("ESO QC POL STOKES", product.stokes, "column STOKES is this parameter over I"),
        *provenance_cards(product.files),
        *passed_cards(first),
        *pipeline_cards(product.files, sdp.POLARIMETRY, bool(product.files.linearity), RECIPE),
    ]
    remarks = ["SIMULATED DATA, reduced by ELVIS: no telescope took these exposures."]
    remarks += [f"Note: {note}" for note in product.notes]
    fits.write_file(out, cards, remarks, [fits.Table("POLARIMETRY", columns, units)])


WRITERS: Mapping[str, Callable[[PolarimetryProduct, BinaryIO], None]] = {"polarimetry": write}
"""By the last part of the names of the files."""

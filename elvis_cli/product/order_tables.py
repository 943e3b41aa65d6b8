"""The ETC's ``output`` series of a spectrograph: for each group a table for each order (EXTVER).

THROUGHPUT, SED, SIGNALS, MAXSIGNALS, SNR, NOISE_COMPONENTS and DISPERSION have a row for each spectral pixel, with
its WAVELENGTH (um) and CHIP, and a column for each flag; PSF has one for each place along the aperture on a chip.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from elvis_cli.prediction import series as etc_output
from elvis_cli.product.fits import ELECTRONS, Table

if TYPE_CHECKING:
    from elvis_cli.base.arrays import Floats
    from elvis_cli.light.illumination import Illumination
    from elvis_cli.prediction.extraction import Spectrum
    from elvis_cli.prediction.spectroscopy import SpectroscopyPrediction

Columns = dict[str, "Floats"]
UNITS = {
    **{f"sed/{flag}": unit for flag, unit in etc_output.ENERGIES.items()},
    "dispersion/dispersion": "nm pixel-1",
    **{f"{group}/{flag}": ELECTRONS for group, flags in etc_output.ELECTRONS.items() for flag in flags},
}
WHERE = {"signals": "in the aperture", "maxsignals": "in the brightest pixel"}


def tables(
    series: frozenset[str], light: Illumination, prediction: SpectroscopyPrediction, _rates: object = None
) -> Iterator[Table]:
    """Yield the tables that ``series`` asks for, group by group; they need no rates of pixels."""
    groups: dict[str, Callable[[Spectrum], Columns]] = {
        "throughput": lambda spectrum: throughput(spectrum, light, endless=prediction.endless),
        "sed": lambda spectrum: sed(spectrum, light),
        "signals": signals,
        "maxsignals": maxsignals,
        "dispersion": lambda spectrum: {"dispersion": 1e3 * spectrum.dispersion},
    }
    for group, columns in groups.items():
        for spectrum in prediction.listed:
            wanted = dict(etc_output.pick(columns(spectrum), group, series))
            if wanted:
                units = {flag.upper(): UNITS[name] for flag in wanted if (name := f"{group}/{flag}") in UNITS}
                yield table(group.upper(), spectrum, wanted, units, WHERE.get(group, ""))
    for spectrum in prediction.listed if "snr/noise_components" in series else ():
        noise = spectrum.noise()
        units = dict.fromkeys((origin.upper() for origin in noise), ELECTRONS)
        yield table("NOISE_COMPONENTS", spectrum, noise, units, "rms in the aperture")
    for spectrum in prediction.listed if "psf/psf" in series else ():
        yield profiles(spectrum)
    for spectrum in prediction.listed if "snr/snr" in series else ():
        yield table("SNR", spectrum, ratios(spectrum, prediction.count), {"NPIX": "pixel"}, "")


def table(name: str, spectrum: Spectrum, columns: Columns, units: dict[str, str], where: str) -> Table:
    """Return the table of one order."""
    cards: list[tuple[str, object, str]] = [("EXTVER", spectrum.order, "number of the order")]
    if where:
        cards.append(("ESO SIM OUT WHERE", f"{where}, per integration", "what the electrons are"))
    named: dict[str, Any] = {"WAVELENGTH": spectrum.wave, "CHIP": spectrum.chip.astype(np.int32)}
    named |= {flag.upper(): np.asarray(values, float) for flag, values in columns.items()}
    return Table(name, named, {"WAVELENGTH": "um", **units}, cards)


def throughput(spectrum: Spectrum, light: Illumination, *, endless: bool) -> Columns:
    """Return the fractions by flag; totalinclsky is their product without slit, fibre and aperture.

    Of an ``endless`` target, whose brightness is per arcsec2, nothing is lost at edges.
    """
    within = np.ones_like(spectrum.wave) if endless else spectrum.enslitted
    parts = {flag: np.interp(spectrum.wave, light.budget.wave, curve) for flag, curve in _shared(light).items()}
    return parts | {
        "blaze": spectrum.efficiency,
        "enslittedenergy": within,
        "encircledenergy": within if endless else spectrum.encircled,
        "fibinj": within,
        "totalinclsky": spectrum.total,
    }


def _shared(light: Illumination) -> Columns:
    parts = etc_output.throughput(light.budget, 1.0)
    return {flag: parts[flag] for flag in ("atmosphere", "telescope", "instrument", "detector")}


def sed(spectrum: Spectrum, light: Illumination) -> Columns:
    """Return J/s/m2/m: the target above the atmosphere (per arcsec2 when it is infinite), and the sky per arcsec2."""
    return {flag: np.interp(spectrum.wave, light.budget.wave, curve) for flag, curve in etc_output.sed(light).items()}


def signals(spectrum: Spectrum) -> Columns:
    """Return the electrons of one integration in the aperture; obstotal includes the dark current."""
    total = spectrum.target + spectrum.sky + spectrum.dark
    return {"obstarget": spectrum.target, "obssky": spectrum.sky, "obstotal": total}


def maxsignals(spectrum: Spectrum) -> Columns:
    """Return the electrons of one integration in the brightest pixel; maxpixeltotal includes the dark current."""
    return {
        "maxpixeltarget": spectrum.peak_target,
        "maxpixelsky": spectrum.peak_sky,
        "maxpixeltotal": spectrum.peak,
    }


def ratios(spectrum: Spectrum, count: int) -> Columns:
    """Return the signal-to-noise ratios in the aperture, of one integration, and by optimal extraction."""
    many = math.sqrt(count)
    return {
        "snr": many * spectrum.single,
        "snr_single": spectrum.single,
        "snr_opt": many * np.sqrt(spectrum.ideal),
        "npix": spectrum.npix,
    }


def profiles(spectrum: Spectrum) -> Table:
    """Return the mean share of the target's light in each row of pixels, for each chip that the order falls on."""
    parts = spectrum.profiles
    columns: dict[str, NDArray[Any]] = {
        "ANGLE": np.concatenate([profile.s for profile in parts]),
        "CHIP": np.concatenate([np.full(profile.s.size, profile.chip, np.int32) for profile in parts]),
        "PSF": np.concatenate([profile.share for profile in parts]),
    }
    return Table("PSF", columns, {"ANGLE": "arcsec"}, [("EXTVER", spectrum.order, "number of the order")])

"""The ETC's ``output`` series as FITS extensions: a table for each group, a column for each flag, and two images.

THROUGHPUT, SED (against WAVELENGTH), SIGNALS, MAXSIGNALS, SNR, NOISE_COMPONENTS (of one row, for a mode without
dispersion), SNR_MAP (an image a chip, EXTVER its number), PSF (image) and PSF_ENCIRCLED. A mode that disperses has
those of `elvis_cli.product.order_tables`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from elvis_cli.model.detector import Chip
from elvis_cli.model.request import Request
from elvis_cli.model.setup import Setup
from elvis_cli.prediction import series as etc_output
from elvis_cli.prediction.imaging import Prediction
from elvis_cli.prediction.series import pick
from elvis_cli.product import header, wcs
from elvis_cli.product.fits import Image, Table
from elvis_cli.sky.pointing import observe

if TYPE_CHECKING:
    from elvis_cli.light.budget import PhotonBudget
    from elvis_cli.optics.make_psf import Psf
    from elvis_cli.prediction import spectroscopy

ELECTRON = "electron"


def extensions(
    series: frozenset[str],
    request: Request,
    setup: Setup,
    light: PhotonBudget,
    psf: Psf,
    prediction: Prediction | spectroscopy.Prediction,
    rates: Mapping[int, NDArray[np.float32]],
) -> Iterator[Table | Image]:
    """Yield the extensions that ``series`` asks for; ``rates`` (electrons/s, by chip) are read at the end only."""
    if not isinstance(prediction, Prediction):
        from elvis_cli.product import order_tables

        yield from order_tables.tables(series, light, prediction)
        return
    infinite = request.target.morphology.kind == "infinite"
    parts = etc_output.throughput(light, 1.0 if infinite else prediction.encircled)
    yield from _spectral("throughput", parts, {}, light, series)
    yield from _spectral("sed", etc_output.sed(light), etc_output.ENERGIES, light, series)
    yield from _row("SIGNALS", dict(pick(etc_output.signals(prediction), "signals", series)), "in the aperture")
    brightest = dict(pick(etc_output.maxsignals(prediction), "maxsignals", series))
    yield from _row("MAXSIGNALS", brightest, "in the brightest pixel")
    if "snr/noise_components" in series:
        yield from _row("NOISE_COMPONENTS", etc_output.noise(prediction), "rms in the aperture")
    if "psf/psf" in series:
        yield from _psf(psf)
    if "snr/snr" in series:
        columns = {"SNR": np.array([prediction.snr]), "SNR_SINGLE": np.array([prediction.snr_single])}
        counts = {"COUNT": prediction.count, "DIAMETER": prediction.aperture_pix, "NPIX": prediction.npix}
        yield Table("SNR", columns | {key: np.array([n], np.int32) for key, n in counts.items()}, {"DIAMETER": "pixel"})
        yield from _maps(request, setup, light, prediction, rates)


def kept(stage: str, unit: str, chip: Chip, image: NDArray[np.float32]) -> Image:
    """Return the extension of an image that was kept after a stage."""
    cards: list[header.Card] = [
        ("EXTVER", chip.id, "number of the chip"),
        ("BUNIT", unit, "kept after this stage of the detector chain"),
        ("ESO DET CHIP NO", chip.id, "number of the chip in the mosaic"),
    ]
    return Image(stage, image, cards)


def _spectral(
    group: str, parts: Mapping[str, Any], units: Mapping[str, str], light: PhotonBudget, series: frozenset[str]
) -> Iterator[Table]:
    """Yield the table of a group against wavelength, if any of its series is asked for."""
    columns = dict(pick(parts, group, series))
    if columns:
        named = {flag.upper(): values for flag, values in columns.items()}
        unit = {"WAVELENGTH": "um"} | {flag.upper(): text for flag, text in units.items() if flag in columns}
        yield Table(group.upper(), {"WAVELENGTH": light.wave, **named}, unit)


def _row(name: str, values: Mapping[str, float], where: str) -> Iterator[Table]:
    """Yield a table of one row of electrons per integration, if there is anything in it."""
    if values:
        columns = {flag.upper(): np.array([value]) for flag, value in values.items()}
        remark = [("ESO SIM OUT WHERE", f"{where}, per integration", "what the electrons are")]
        yield Table(name, columns, dict.fromkeys(columns, ELECTRON), remark)


def _psf(psf: Psf) -> Iterator[Table | Image]:
    size, scale = psf.fine.shape[-1], psf.pixel_scale / psf.oversample
    quality: list[header.Card] = [("ESO SIM IQ FWHM", round(psf.fwhm, 6), "[arcsec] before the pixels")]
    if not psf.gaussian:
        quality.append(("ESO SIM IQ STREHL", round(psf.strehl, 6), "Strehl ratio"))
    linear: list[header.Card] = []
    for axis in "12":
        linear += [
            (f"CTYPE{axis}", "OFFSET", "linear, from the star"),
            (f"CUNIT{axis}", "arcsec", "unit of CDELT"),
            (f"CRPIX{axis}", size // 2 + 1.0, "[pixel] the star"),
            (f"CRVAL{axis}", 0.0, "[arcsec]"),
            (f"CDELT{axis}", scale, "[arcsec/pixel]"),
        ]
    sampling: list[header.Card] = [
        ("BUNIT", "1", "fraction of the light in a pixel centred here"),
        *linear,
        ("ESO SIM PSF OVERSAMP", psf.oversample, "samples per detector pixel"),
    ]
    yield Image("PSF", psf.fine[0], [*sampling, *quality])
    diameter, fraction = etc_output.encircled(psf)
    columns = {"DIAMETER": diameter, "RADIUS": 0.5 * diameter * psf.pixel_scale, "ENCIRCLED": fraction}
    yield Table("PSF_ENCIRCLED", columns, {"DIAMETER": "pixel", "RADIUS": "arcsec"}, quality)


def _maps(
    request: Request,
    setup: Setup,
    light: PhotonBudget,
    prediction: Prediction,
    rates: Mapping[int, NDArray[np.float32]],
) -> Iterator[Image]:
    when = observe(request, setup, prediction.count)
    for number, rate in rates.items():
        chip = setup.detector.chip(number)
        made = etc_output.snr_map(rate, light.background_rate, setup, chip, prediction.count)
        cards: list[header.Card] = [
            ("EXTVER", number, "number of the chip"),
            ("BUNIT", "1", "expected signal / noise, all integrations"),
            *wcs.cards(setup, chip, setup.window, when.ra, when.dec, when.position_angle),
        ]
        yield Image("SNR_MAP", made, cards)

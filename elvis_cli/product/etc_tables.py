"""The ETC's ``output`` series as FITS extensions: a table for each group, a column for each flag, and two images.

THROUGHPUT, SED (against WAVELENGTH), SIGNALS, MAXSIGNALS, SNR, NOISE_COMPONENTS (of one row, for a mode without
dispersion), SNR_MAP (an image a chip, EXTVER its number), PSF (image) and PSF_ENCIRCLED. A mode that disperses has
those of `elvis_cli.product.order_tables`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from elvis_cli.base.arrays import Floats
from elvis_cli.focalplane.imager import Imager
from elvis_cli.light.illumination import Illumination
from elvis_cli.model.detector import Chip
from elvis_cli.model.elvis_block import ElvisBlock
from elvis_cli.model.request import Target
from elvis_cli.optics.psf_types import Psf
from elvis_cli.prediction import series as etc_output
from elvis_cli.prediction.imaging import ImagingPrediction
from elvis_cli.prediction.series import pick
from elvis_cli.product import header, wcs
from elvis_cli.product.fits import ELECTRONS, Image, Table
from elvis_cli.sky.pointing import observe


def extensions(
    series: frozenset[str],
    target: Target,
    block: ElvisBlock,
    renderer: Imager,
    prediction: ImagingPrediction,
    rates: Mapping[int, NDArray[np.float32]],
) -> Iterator[Table | Image]:
    """Yield the extensions of an image that ``series`` asks for; ``rates`` (electrons/s, by chip) are read last."""
    light = renderer.light
    parts = etc_output.throughput(light.budget, 1.0 if target.morphology.kind == "infinite" else prediction.encircled)
    wave = light.budget.wave
    yield from _spectral("throughput", parts, {}, wave, series)
    yield from _spectral("sed", etc_output.sed(light), etc_output.ENERGIES, wave, series)
    yield from _row("SIGNALS", dict(pick(etc_output.signals(prediction), "signals", series)), "in the aperture")
    brightest = dict(pick(etc_output.maxsignals(prediction), "maxsignals", series))
    yield from _row("MAXSIGNALS", brightest, "in the brightest pixel")
    if "snr/noise_components" in series:
        yield from _row("NOISE_COMPONENTS", etc_output.noise_components(prediction), "rms in the aperture")
    if "psf/psf" in series:
        yield from _psf(renderer.psf)
    if "snr/snr" in series:
        columns = {"SNR": np.array([prediction.snr]), "SNR_SINGLE": np.array([prediction.snr_single])}
        counts = {"COUNT": prediction.count, "DIAMETER": prediction.aperture_pix, "NPIX": prediction.npix}
        yield Table("SNR", columns | {key: np.array([n], np.int32) for key, n in counts.items()}, {"DIAMETER": "pixel"})
        yield from _maps(light, block, prediction.count, rates)


def kept(stage: str, unit: str, chip: Chip, image: NDArray[np.float32]) -> Image:
    """Return the extension of an image that was kept after a stage."""
    cards: list[header.Card] = [
        ("EXTVER", chip.id, "number of the chip"),
        ("BUNIT", unit, "kept after this stage of the detector chain"),
        ("ESO DET CHIP NO", chip.id, "number of the chip in the mosaic"),
    ]
    return Image(stage, image, cards)


def _spectral(
    group: str, parts: Mapping[str, Any], units: Mapping[str, str], wave: Floats, series: frozenset[str]
) -> Iterator[Table]:
    """Yield the table of a group against wavelength, if any of its series is asked for."""
    columns = dict(pick(parts, group, series))
    if columns:
        named = {flag.upper(): values for flag, values in columns.items()}
        unit = {"WAVELENGTH": "um"} | {flag.upper(): text for flag, text in units.items() if flag in columns}
        yield Table(group.upper(), {"WAVELENGTH": wave, **named}, unit)


def _row(name: str, values: Mapping[str, float], where: str) -> Iterator[Table]:
    """Yield a table of one row of electrons per integration, if there is anything in it."""
    if values:
        columns = {flag.upper(): np.array([value]) for flag, value in values.items()}
        remark = [("ESO SIM OUT WHERE", f"{where}, per integration", "what the electrons are")]
        yield Table(name, columns, dict.fromkeys(columns, ELECTRONS), remark)


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
    light: Illumination, block: ElvisBlock, count: int, rates: Mapping[int, NDArray[np.float32]]
) -> Iterator[Image]:
    setup = light.setup
    when = observe(block, setup)
    for number, rate in rates.items():
        chip = setup.detector.chip(number)
        ratios = etc_output.snr_map(rate, light.budget.background_rate, setup, chip, count)
        cards: list[header.Card] = [
            ("EXTVER", number, "number of the chip"),
            ("BUNIT", "1", "expected signal / noise, all integrations"),
            *wcs.cards(setup, chip, setup.frame.window, when.ra, when.dec, when.position_angle),
        ]
        yield Image("SNR_MAP", ratios, cards)

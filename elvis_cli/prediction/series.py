"""What the ETC's ``output`` section asks for: which series, and their numbers.

A series is named "group/flag" as in the third generation of ETC JSON. Nothing here knows FITS: see
`elvis_cli.product.etc_tables`.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from elvis_cli.base.arrays import Floats, Image
from elvis_cli.base.constants import LIGHT, PLANCK
from elvis_cli.light.budget import PhotonBudget
from elvis_cli.light.illumination import Illumination
from elvis_cli.model.detector import Chip
from elvis_cli.model.setup import Setup
from elvis_cli.optics.psf_types import Psf
from elvis_cli.prediction import noise
from elvis_cli.prediction.imaging import ImagingPrediction

FIRST_GENERATION = {
    "sky/obsemission": "signals/obssky",
    "sky/obsemissioncentralpix": "maxsignals/maxpixelsky",
    "target/obstarget": "signals/obstarget",
    "target/obstargetcentralpix": "maxsignals/maxpixeltarget",
    "background/obsbackground": "signals/obssky",
    "background/obsbackgroundcentralpix": "maxsignals/maxpixelsky",
    "totalsignal/totalsignal": "signals/obstotal",
    "totalsignal/totalsignalcentralpix": "maxsignals/maxpixeltotal",
    "blip/blip": "snr/noise_components",
}
"""What stands for the flags that only the first generation has."""
SPECTROSCOPIC = ("throughput/blaze", "throughput/enslittedenergy", "throughput/fibinj", "dispersion/dispersion")
"""Series that an image does not have."""
ELECTRONS = {
    "signals": ("obstarget", "obssky", "obstotal"),
    "maxsignals": ("maxpixeltarget", "maxpixelsky", "maxpixeltotal"),
}
ENERGIES = {"target": "J s-1 m-2 m-1", "sky": "J s-1 m-2 m-1 arcsec-2"}
"""Units of `sed`."""
MAP_PIXELS = 2**22
"""Frames with more pixels than this get no S/N map: it would double the file, and is kept until the frame is out."""
CORE = 64.0
"""Pixels up to which the encircled-energy curve is given in fine steps: rings there, a smooth halo beyond."""


def requested(output: Mapping[str, Any], setup: Setup) -> tuple[frozenset[str], tuple[str, ...]]:
    """Return the series whose flag is true (``{"flag": true}`` is), as far as the mode has them, and notes.

    The reader has warned of flags that do not exist; they ask for nothing.
    """
    series, missing = set(), []
    absent: tuple[str, ...] = SPECTROSCOPIC
    what = "an image"
    if setup.spectrograph is not None:
        fibres = any(aperture.fibre for aperture in setup.spectrograph.apertures)
        absent, what = (("throughput/enslittedenergy",), "fibres") if fibres else (("throughput/fibinj",), "slits")
    for group, flags in output.items():
        for flag, value in flags.items() if isinstance(flags, Mapping) else ():
            if (value.get("flag") if isinstance(value, Mapping) else value) is not True:
                continue
            name = FIRST_GENERATION.get(f"{group}/{flag}", f"{group}/{flag}")
            if name in absent:
                missing.append(name)
            else:
                series.add(name)
    notes = []
    if missing:
        notes.append(f"output: {', '.join(missing)}: nothing to tell of {what}")
    if "snr/snr" in series and setup.spectrograph is None and not mapped(series, setup):
        notes.append(f"output: no S/N map, the frame has more than {MAP_PIXELS} pixels; the table SNR is written")
    return frozenset(series), tuple(notes)


def mapped(series: Collection[str], setup: Setup) -> bool:
    """Return whether there is to be an S/N map: of an image, if it is asked for and the frame is not too large."""
    if setup.spectrograph is not None:
        return False
    return "snr/snr" in series and len(setup.frame.chips) * setup.frame.window.nx * setup.frame.window.ny <= MAP_PIXELS


def throughput(budget: PhotonBudget, encircled: float) -> dict[str, Floats]:
    """Return the fractions (n,) on ``budget.wave`` by flag: their product, all but the aperture's, is totalinclsky."""
    everywhere = np.ones_like(budget.wave)
    inside = [curve for group, curve in budget.groups.items() if group not in ("telescope", "detector")]
    return {
        "atmosphere": budget.atmosphere,
        "telescope": budget.groups.get("telescope", everywhere),
        "instrument": np.prod([everywhere, *inside], axis=0),
        "encircledenergy": encircled * everywhere,
        "detector": budget.groups["detector"],
        "totalinclsky": budget.total,
    }


def sed(light: Illumination) -> dict[str, Floats]:
    """Return J/s/m2/m (n,) on ``light.budget.wave``: the target above the atmosphere, and the sky per arcsec2."""
    energy = PLANCK * LIGHT / (light.budget.wave * 1e-6) * 1e6  # of a photon, and um-1 to m-1
    return {"target": light.target.flux * energy, "sky": light.budget.emission * energy}


def signals(prediction: ImagingPrediction) -> dict[str, float]:
    """Return the electrons of one integration in the aperture; obstotal includes the dark current."""
    sky = prediction.npix * prediction.sky
    dark = prediction.npix * prediction.dark
    return {"obstarget": prediction.target, "obssky": sky, "obstotal": prediction.target + sky + dark}


def maxsignals(prediction: ImagingPrediction) -> dict[str, float]:
    """Return the electrons of one integration in the brightest pixel; maxpixeltotal includes the dark current."""
    return {
        "maxpixeltarget": prediction.brightest - prediction.sky - prediction.dark,
        "maxpixelsky": prediction.sky,
        "maxpixeltotal": prediction.brightest,
    }


def noise_components(prediction: ImagingPrediction) -> dict[str, float]:
    """Return the electrons rms of one integration in the aperture, by origin, and their quadratic sum."""
    npix = prediction.npix
    sky, dark, ron2 = npix * prediction.sky, npix * prediction.dark, npix * prediction.ron**2
    return noise.components(prediction.target, sky, dark, ron2, prediction.shot)


def snr_map(rate: NDArray[np.float32], background: float, setup: Setup, chip: Chip, count: int) -> NDArray[np.float32]:
    """Return the expected S/N of each pixel after ``count`` integrations.

    ``rate`` (ny, nx) is what falls on the chip, electrons/s, of which ``background`` is sky and warm optics; the noise
    is that of the ETC: Poisson's of all light and of the dark current, and the read-out's.
    """
    dit, shot = setup.exposure.dit, setup.detector.sampling.shot
    empty = noise.variance(chip.dark * dit, ron2=chip.ron**2, shot=shot)
    electrons: Image = np.float32(dit) * rate
    rms = noise.variance(electrons, ron2=empty, shot=shot)
    np.sqrt(rms, out=rms)
    signal = rate - np.float32(background)
    signal *= np.float32(dit * math.sqrt(count))
    # a pixel without light, dark current and read noise has neither signal nor noise
    np.divide(signal, rms, out=signal, where=rms > 0)
    return signal


def encircled(psf: Psf) -> tuple[Floats, Floats]:
    """Return diameters (pixels) and the fractions of a star's light in circles of these."""
    widest = psf.coarse.shape[-1] * psf.step
    diameter = np.concatenate([np.geomspace(1.0, CORE, 60), np.geomspace(CORE, max(widest, 2 * CORE), 16)[1:]])
    return diameter, np.array([psf.encircled(float(d)) for d in diameter])


def pick(values: Mapping[str, Any], group: str, series: frozenset[str]) -> Iterator[tuple[str, Any]]:
    """Yield (flag, value) of those of a group that are asked for."""
    return ((flag, value) for flag, value in values.items() if f"{group}/{flag}" in series)

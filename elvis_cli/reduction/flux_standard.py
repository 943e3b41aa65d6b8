"""Flux from the spectrum of a standard star: its known flux density over its counts, order by order."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from elvis_cli.base.arrays import Floats
from elvis_cli.base.constants import LIGHT, PLANCK
from elvis_cli.reduction import zeropoint
from elvis_cli.reduction.associate import FileSet
from elvis_cli.reduction.extract import Spectrum
from elvis_cli.request import parse
from elvis_cli.scene import spectrum, standards
from elvis_cli.scene.standards import StandardStar

SMOOTH = 51
"""Pixels of the running median of the response: wider than lines of star and air."""
SEEN = 5.0
"""Least signal-to-noise ratio of the star, median of as many pixels."""


@dataclass(slots=True, eq=False)
class Response:
    """Flux density over counts, erg/s/cm2/um for an electron/s/um, by (order, aperture)."""

    star: str
    error: float
    """Relative error of the star's flux."""
    curves: dict[tuple[int, int], tuple[Floats, Floats]]
    """Wavelengths (um, ascending) and the response."""
    lamps: dict[tuple[int, int], tuple[Floats, Floats]] = field(default_factory=dict)
    """Wavelengths and the flat's light, electron/s/um, of the star's fibre: that of another tells its response."""

    def at(self, one: Spectrum) -> Floats | None:
        """Return the response (n,) of a spectrum, NaN where it is not known, None of an order that is not in it."""
        key = one.order, one.aperture
        curve = self.curves.get(key)
        if curve is not None:
            return np.interp(one.wave, *curve, left=np.nan, right=np.nan)
        key = next((key for key in self.lamps if key[0] == one.order), key)
        if key not in self.curves or one.blaze is None:
            return None
        own = np.where(one.blaze > 0, one.blaze / one.width, np.nan)
        ratio = np.interp(one.wave, *self.lamps[key]) / own
        return np.interp(one.wave, *self.curves[key], left=np.nan, right=np.nan) * ratio


def star_of(files: FileSet, path: Any, notes: list[str]) -> StandardStar | None:
    """Return the standard star of a set as a catalogue (the shipped one, or that at ``path``) has it, else None."""
    if files.standard is None:
        notes.append("no standard star (DPR TYPE STD) with this setting: fluxes are not calibrated")
        return None
    names = zeropoint.star_names(files.standard.science[0].header)
    star = next((row for row in standards.named(names, standards.read(path)) if row.sed), None)
    if star is None:
        notes.append(
            f"the standard star {names[0]!r} is not in the catalogue (--standards), or without a spectrum: "
            "fluxes are not calibrated"
        )
    return star


def flux_density(star: StandardStar, wave: Floats) -> Floats:
    """Return the star's flux density (erg/s/cm2/um) at ``wave`` (um, ascending)."""
    catalogue, _, name = star.sed.partition(":")
    target: dict[str, Any] = {
        "sed": {
            "sedtype": "spectrum",
            "spectrum": {"spectrumtype": "template", "params": {"catalog": catalogue, "id": name}},
            "extinctionav": 0,
        },
        "brightness": {
            "brightnesstype": "mag",
            "mag": star.mag,
            "magband": star.band,
            "magsys": star.system.lower(),
        },
    }
    request = parse.read(json.dumps({"instrumentName": "standard", "target": target}))
    photons, _ = spectrum.flux(request.target, wave)
    return np.asarray(photons * 1e-4 * PLANCK * LIGHT * 1e7 / (wave * 1e-6))


def measure(spectra: Sequence[Spectrum], star: StandardStar, *, fibres: bool = False) -> Response:
    """Return the response from the spectra of a standard star; that of one of ``fibres`` tells those of all."""
    from scipy.ndimage import median_filter

    curves: dict[tuple[int, int], list[tuple[Floats, Floats]]] = {}
    lamps: dict[tuple[int, int], tuple[Floats, Floats]] = {}
    for one in spectra:
        order = np.argsort(one.wave, kind="stable")
        wave, counts = one.wave[order], (one.flux / one.width)[order]
        ratio = np.divide(one.flux, one.err, out=np.zeros_like(one.flux), where=one.err > 0)[order]
        good = ~one.bad[order] & (counts > 0) & (median_filter(ratio, SMOOTH, mode="nearest") > SEEN)
        if good.sum() < SMOOTH:
            continue
        ratio = flux_density(star, wave)[good] / counts[good]
        smooth = median_filter(ratio, SMOOTH, mode="nearest")
        if fibres and one.blaze is not None:
            lamps[one.order, one.aperture] = wave, (one.blaze / one.width)[order]
        curves.setdefault((one.order, one.aperture), []).append((wave[good], smooth))
    joined = {}
    for key, parts in curves.items():
        wave, ratio = (np.concatenate(column) for column in zip(*parts, strict=True))
        order = np.argsort(wave, kind="stable")
        joined[key] = wave[order], ratio[order]
    return Response(star.name, star.error * np.log(10) / 2.5, joined, lamps)

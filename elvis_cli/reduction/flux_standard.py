"""Flux from the spectrum of a standard star: its known flux density over its counts, order by order."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from elvis_cli.base.arrays import Floats
from elvis_cli.base.constants import LIGHT, PLANCK
from elvis_cli.reduction.associate import FileSet
from elvis_cli.reduction.extract import Spectrum
from elvis_cli.reduction.strip_pixels import running_median
from elvis_cli.reduction.telluric import OPAQUE, Air, outside_lines
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
    noise: dict[tuple[int, int], tuple[Floats, Floats]] = field(default_factory=dict)
    """Wavelengths and the relative noise of the star's pixels, where the response is theirs one by one."""
    air: Air | None = None
    """In front of the target, whose lines are taken out."""

    def at(self, one: Spectrum) -> Floats | None:
        """Return the response (n,) of a spectrum, NaN where it is not known, None of an order that is not in it."""
        key = one.order, one.aperture
        if key in self.curves:
            return self.curve(key, one.wave)
        key = next((key for key in self.lamps if key[0] == one.order), key)
        if key not in self.curves or one.blaze is None:
            return None
        own = np.where(one.blaze > 0, one.blaze / one.width, np.nan)
        ratio = np.interp(one.wave, *self.lamps[key]) / own
        return self.curve(key, one.wave) * ratio

    def curve(self, key: tuple[int, int], wave: Floats) -> Floats:
        """Return the response (n,) of an (order, aperture) at ``wave`` (um), NaN where it is not known."""
        known = np.interp(wave, *self.curves[key], left=np.nan, right=np.nan)
        if self.air is None:
            return known
        passed = self.air.transmission(key[1], wave)
        return np.where(passed > OPAQUE, known / np.maximum(passed, OPAQUE), np.nan)

    def noise_at(self, one: Spectrum) -> Floats | float:
        """Return the relative noise (n,) that the star's pixels add to a spectrum; 0 of a smooth response."""
        key = one.order, one.aperture
        key = key if key in self.noise else next((key for key in self.noise if key[0] == one.order), key)
        return np.interp(one.wave, *self.noise[key]) if key in self.noise else 0.0


def star_of(files: FileSet, path: Any, notes: list[str]) -> StandardStar | None:
    """Return the standard star of a set as a catalogue (the shipped one, or that at ``path``) has it, else None."""
    if files.standard is None:
        notes.append("no standard star (DPR TYPE STD) with this setting: fluxes are not calibrated")
        return None
    names = files.standard.science[0].star_names
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


def measure(
    spectra: Sequence[Spectrum],
    star: StandardStar,
    *,
    fibres: bool = False,
    lines: Air | None = None,
    air: tuple[Air, Air] | None = None,
    power: float | None = None,
) -> Response:
    """Return the response from the spectra of a standard star; that of one of ``fibres`` tells those of all.

    It is smooth, a running median across the ``lines`` of the air in front of the star, so that they stay in the
    spectra, unless they are taken out: by the model of the ``air`` in front of star and target, or with the star's own,
    to the ``power`` of the ratio of the airmasses.
    """
    curves: dict[tuple[int, int], list[tuple[Floats, Floats, Floats]]] = {}
    lamps: dict[tuple[int, int], tuple[Floats, Floats]] = {}
    for one in spectra:
        order = np.argsort(one.wave, kind="stable")
        wave, counts = one.wave[order], (one.flux / one.width)[order]
        signal = np.divide(one.flux, one.err, out=np.zeros_like(one.flux), where=one.err > 0)[order]
        good = ~one.bad[order] & (counts > 0) & (running_median(signal, SMOOTH) > SEEN)
        passed = np.ones_like(wave) if lines is None else lines.transmission(one.aperture, wave)
        if air is not None:
            good &= passed > OPAQUE
        if good.sum() < SMOOTH:
            continue
        ratio = flux_density(star, wave)[good] / counts[good]
        if air is not None:
            ratio = ratio * passed[good]
        # over the lamp's light, because the blaze falls within the median at the ends of an order
        lamp = np.ones_like(ratio) if one.blaze is None else np.maximum(one.blaze / one.width, 1e-30)[order][good]
        clear = outside_lines(passed)[good]
        if clear.sum() < SMOOTH:
            clear[:] = True
        level = running_median((ratio * lamp)[clear], SMOOTH)
        smooth = np.interp(wave[good], wave[good][clear], level) / lamp
        if power is not None:
            smooth = smooth * (ratio / smooth) ** power
        if fibres and one.blaze is not None:
            lamps[one.order, one.aperture] = wave, (one.blaze / one.width)[order]
        curves.setdefault((one.order, one.aperture), []).append((wave[good], smooth, 1.0 / signal[good]))
    joined, noise = {}, {}
    for key, parts in curves.items():
        wave, ratio, error = (np.concatenate(column) for column in zip(*parts, strict=True))
        order = np.argsort(wave, kind="stable")
        joined[key] = wave[order], ratio[order]
        if power is not None:
            noise[key] = wave[order], error[order]
    return Response(star.name, star.error * np.log(10) / 2.5, joined, lamps, noise, None if air is None else air[1])

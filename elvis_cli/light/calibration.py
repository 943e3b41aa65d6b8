"""Calibration frames: what shines in the target's place, and what the frame is called.

A calibration changes the request and the Setup, and the frame is then made as any other. The light of the calibration
unit fills the aperture evenly behind the telescope: no atmosphere, no telescope, but the instrument's own heat. Its
brightness is that which fills a part of the full well in the brightest pixel, as an operator sets it; in flats for the
detector's linearity it does so in the mode's usual integration time.
"""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from elvis_cli.errors import RequestError
from elvis_cli.light import lamps
from elvis_cli.light.budget import PhotonBudget
from elvis_cli.light.uniform import Uniform
from elvis_cli.model.calibration import POINTER, Calibration
from elvis_cli.model.elvis_block import Catalogue
from elvis_cli.model.request import Brightness, Request, Sed, SkyConditions, Target
from elvis_cli.model.setup import Setup
from elvis_cli.prediction.imaging import Exposed

if TYPE_CHECKING:
    from elvis_cli.focalplane.spectrometer import Spectrometer

UNIT = ("lines", "lamp", "pinholes", "off")
"""Light that comes from the calibration unit."""
AROUND = ("ghosts", "faint_galaxies", "shutter")
"""Stages that are about the light of the sky."""


def arranged(request: Request, setup: Setup) -> tuple[Request, Setup]:
    """Return the request and the Setup of the frame.

    Raises
    ------
    RequestError
        The lamps have no line in the band.
    """
    made = setup.calibration
    assert made is not None
    elvis_block = replace(request.elvis, scene=None, image=None, cube=None, motion=None, catalogue=None)
    if made.standard is not None:
        return replace(request, target=made.standard, elvis=elvis_block), setup
    low, high = setup.band
    if made.light == "lines" and not any(np.any((lamp.wave > low) & (lamp.wave < high)) for lamp in made.lamps):
        names = " + ".join(lamp.name for lamp in made.lamps)
        wave = np.concatenate([lamp.wave for lamp in made.lamps])
        near = wave[np.abs(wave - (low + high) / 2).argmin()]
        reason = f"{names}: no line between {low:.4g} and {high:.4g} um, the nearest is at {near:.5g}"
        allowed = [each for each in made.offered if each != made.name]
        raise RequestError(POINTER, reason, found=made.name, allowed=allowed)
    x, y = made.pinholes
    holes = Catalogue(x, y, (0.0,) * len(x))
    warm = next((lamp.temperature for lamp in made.lamps if lamp.temperature), 1000.0)
    target = Target(sed=Sed("blackbody", temperature=warm), brightness=Brightness(mag=0.0))
    told = request.elvis.truth and made.light == "pinholes"
    elvis_block = replace(elvis_block, catalogue=holes, truth=told, offset=(0.0, 0.0))
    setup = replace(setup, count=setup.count or 1, dit=0.0 if made.name == "bias" else setup.dit)
    if made.light not in ("sky", "twilight"):
        kept = {name: table for name, table in setup.detector.stages.items() if name not in AROUND}
        setup = replace(setup, detector=replace(setup.detector, stages=kept))
    return replace(request, target=target, elvis=elvis_block), setup


def seen(request: Request, setup: Setup) -> tuple[Request, Setup]:
    """Return both as the light of the calibration sees them: that of the unit comes in behind the telescope.

    Its pinholes are seen by a perfect pupil of the telescope's shape.
    """
    made = setup.calibration
    assert made is not None
    if made.light not in (*UNIT, "none"):
        return request, setup
    behind = tuple(surface for surface in setup.surfaces if surface.group != "telescope")
    nowhere = replace(setup.site, space=True, zodiacal=(99.0, 1.0), pressure=0.0)
    request = replace(request, sky=SkyConditions(airmass=1.0), elvis=replace(request.elvis, sky="local"))
    return request, replace(setup, site=nowhere, surfaces=behind, psf="diffraction", ao=None)


def exposed(request: Request, setup: Setup, light: PhotonBudget) -> tuple[Request, PhotonBudget]:
    """Return what draws the frame: the request, and the light in place of what `seen` detects."""
    made = setup.calibration
    assert made is not None
    dark = np.zeros_like(light.wave)
    if made.light == "sky":
        return request, light
    if made.light == "none":
        return request, lamps.instead(light, {"sky": dark}, setup)
    if made.light == "pinholes":
        most = lamps.brightest_point(light, setup)
        ratio = level(made, setup) / most if most > 0.0 else 1.0
        mag = -2.5 * math.log10(ratio)
        target = replace(request.target, brightness=replace(request.target.brightness, mag=mag))
        holes = Catalogue(*made.pinholes, mag=(mag,) * len(made.pinholes[0]))
        request = replace(request, target=target, elvis=replace(request.elvis, catalogue=holes))
        light = replace(light, target=light.target * ratio, target_rate=light.target_rate * ratio)
    shine = lamps.continuum(made.lamps, light) if made.light in ("lamp", "twilight") else dark
    most = lamps.brightest(shine, light, setup)
    if most > 0.0:
        shine = shine * (level(made, setup) / most)
    return request, lamps.instead(light, {**light.density, "sky": shine}, setup)


def lined(spectra: Spectrometer) -> Spectrometer:
    """Return a spectrometer that sees the lines of the lamps in place of the sky, if they have any."""
    made = spectra.setup.calibration
    if made is None or made.light != "lines":
        return spectra
    wave, strength = lamps.lines(made.lamps, spectra.light)
    most = lamps.brightest_line(wave, strength, spectra.setup)
    if most > 0.0:
        strength = strength * (level(made, spectra.setup) / most)
    comb = Uniform("background", partial(lamps.comb, wave, strength))
    return replace(spectra, uniform=(comb, *(each for each in spectra.uniform if each.part != "background")))


def level(made: Calibration, setup: Setup) -> float:
    """Return the electrons/s of the brightest pixel."""
    return made.fill * lamps.capacity(setup) / (made.time or setup.dit)


def told(request: Request, setup: Setup, sky_model: str) -> Exposed:
    """Return what the header says in place of a prediction."""
    made = setup.calibration
    assert made is not None
    cards: list[tuple[str, object, str]] = [("ESO SIM CALIB", made.name, "kind of calibration frame")]
    if made.light in ("sky", "twilight"):
        cards.append(("ESO SIM SKY MODEL", sky_model, "where the sky comes from"))
    if made.lamps:
        cards.append(("ESO SIM LAMP NAME", " + ".join(lamp.name for lamp in made.lamps), "what shines"))
        cards.append(("ESO SIM LAMP FILL", made.fill, "part of the full well in the brightest pixel"))
    notes = []
    if request.elvis.lamp and not made.lamps:
        notes.append(f"/elvis/lamp: not used, no lamp shines in the calibration {made.name}")
    if request.timing.snr is not None:
        notes.append(f"/timesnr/snr: not used, a calibration has no target; {setup.count_key} is {setup.count}")
    if made.name == "bias" and request.timing.dit:
        notes.append("/timesnr: the integration time of a bias is 0 s")
    return Exposed(setup.count or 1, tuple(cards), tuple(notes))

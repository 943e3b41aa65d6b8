"""Calibration frames: what shines in the target's place, and what the frame is called.

A calibration changes the request and the Setup, and the frame is then made as any other. The light of the calibration
unit fills the aperture evenly behind the telescope: no atmosphere, no telescope, but the instrument's own heat. Its
brightness is that which fills a part of the full well in the brightest pixel, as an operator sets it; in flats for the
detector's linearity it does so in the mode's usual integration time.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np

from elvis_cli import lamps
from elvis_cli.errors import RequestError
from elvis_cli.extras import Catalogue
from elvis_cli.facts import Facts, read
from elvis_cli.focalplane.uniform import Uniform
from elvis_cli.instrument import Setup
from elvis_cli.lamps import Lamp
from elvis_cli.optics import Light
from elvis_cli.request import Brightness, Morphology, Request, Sed, SkyConditions, Target
from elvis_cli.scene import templates
from elvis_cli.snr import Exposed

if TYPE_CHECKING:
    from elvis_cli.focalplane.spectrometer import Spectrometer

POINTER = "/elvis/calibration"
UNIT = ("lines", "lamp", "pinholes", "off")
"""Light that comes from the calibration unit."""
AROUND = ("ghosts", "faint_galaxies", "shutter")
"""Stages that are about the light of the sky."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A calibration as ESO's data flow knows it; an instrument's table ``[calibration.NAME]`` may call it otherwise."""

    category: str
    """DPR CATG."""
    type: str
    """DPR TYPE."""
    light: str
    """lines, lamp, pinholes or off (UNIT); twilight, sky, star; or none."""
    lamps: tuple[str, ...] = ()
    """Unless the instrument says otherwise."""


KINDS: Mapping[str, Kind] = MappingProxyType(
    {
        "arc": Kind("CALIB", "WAVE,LAMP", "lines"),
        "flat": Kind("CALIB", "FLAT,LAMP", "lamp", ("halogen",)),
        "dark": Kind("CALIB", "DARK", "none"),
        "bias": Kind("CALIB", "BIAS", "none"),
        "sky": Kind("SCIENCE", "SKY", "sky"),
        "std": Kind("CALIB", "STD", "star"),
        "pinhole": Kind("CALIB", "FLAT,PINHOLE", "pinholes", ("halogen",)),
        "twilight": Kind("CALIB", "FLAT,SKY", "twilight", ("twilight",)),
        "off": Kind("CALIB", "FLAT,OFF", "off"),
        "detlin": Kind("CALIB", "FLAT,LINEARITY,DETCHAR", "lamp", ("halogen",)),
    }
)


@dataclass(frozen=True, slots=True, eq=False)
class Calibration:
    """A calibration exposure of one instrument."""

    name: str
    light: str
    lamps: tuple[Lamp, ...]
    fill: float
    """Part of the full well that the lamp fills in the brightest pixel."""
    time: float
    """s in which it does so; 0 = one integration."""
    pinholes: tuple[tuple[float, ...], tuple[float, ...]]
    """x and y in the field, arcsec."""
    standard: Target | None
    offered: tuple[str, ...]
    """All kinds that the instrument's mode has."""


def make(
    name: str, request: Request, facts: Facts, find: Callable[[str, str], Path]
) -> tuple[Calibration, dict[str, str]]:
    """Return the calibration ``name`` and its header cards.

    ``facts`` is the instrument, ``find`` looks for a file in a shared folder.

    Raises
    ------
    RequestError
        The instrument cannot take such a frame.
    """
    reason = _lacking(name, facts)
    offered = [each for each in KINDS if not _lacking(each, facts)]
    if reason:
        raise RequestError(POINTER, f"no {name!r} here: {reason}", found=name, allowed=offered)
    kind, table = KINDS[name], facts.part("calibration", name)
    light, names = kind.light, table.tree.get("lamps", kind.lamps)
    shining = tuple(_lamp(each, facts, find) for each in names)
    fill = table.number("fill", "1") if "fill" in table else max((lamp.fill for lamp in shining), default=0.0)
    x, y = (table.value(axis, "arcsec") if light == "pinholes" else () for axis in ("x", "y"))
    made = Calibration(
        name=name,
        light=light,
        lamps=shining,
        fill=request.extras.lamp or fill,
        time=facts.part("timing").number("dit", "s") if name == "detlin" else 0.0,
        pinholes=(tuple(map(float, x)), tuple(map(float, y))),
        standard=_standard(request, facts) if light == "star" else None,
        offered=tuple(offered),
    )
    cards = {"ESO DPR CATG": table.text("category", kind.category), "ESO DPR TYPE": table.text("type", kind.type)}
    if "technique" in table:
        cards["ESO DPR TECH"] = table.text("technique")
    arm = "spec" if "spectrograph" in facts else "img"
    cards["ESO TPL ID"] = table.text("template", f"{facts.text('name').upper()}_{arm}_cal_{name}")
    cards["ESO TPL NAME"] = f"Calibration: {name}"
    if light != "star":
        cards["OBJECT"] = cards["ESO DPR TYPE"]
    return made, cards


def arranged(request: Request, setup: Setup) -> tuple[Request, Setup]:
    """Return the request and the Setup of the frame.

    Raises
    ------
    RequestError
        The lamps have no line in the band.
    """
    made = setup.calibration
    assert made is not None
    extras = replace(request.extras, scene=None, image=None, cube=None, motion=None, catalogue=None)
    if made.standard is not None:
        return replace(request, target=made.standard, extras=extras), setup
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
    told = request.extras.truth and made.light == "pinholes"
    extras = replace(extras, catalogue=holes, truth=told, offset=(0.0, 0.0))
    setup = replace(setup, count=setup.count or 1, dit=0.0 if made.name == "bias" else setup.dit)
    if made.light not in ("sky", "twilight"):
        kept = {name: table for name, table in setup.detector.stages.items() if name not in AROUND}
        setup = replace(setup, detector=replace(setup.detector, stages=kept))
    return replace(request, target=target, extras=extras), setup


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
    request = replace(request, sky=SkyConditions(airmass=1.0), extras=replace(request.extras, sky="local"))
    return request, replace(setup, site=nowhere, surfaces=behind, psf="diffraction", ao=None)


def exposed(request: Request, setup: Setup, light: Light) -> tuple[Request, Light]:
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
        request = replace(request, target=target, extras=replace(request.extras, catalogue=holes))
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
    if request.extras.lamp and not made.lamps:
        notes.append(f"/elvis/lamp: not used, no lamp shines in the calibration {made.name}")
    if request.timing.snr is not None:
        notes.append(f"/timesnr/snr: not used, a calibration has no target; {setup.count_key} is {setup.count}")
    if made.name == "bias" and request.timing.dit:
        notes.append("/timesnr: the integration time of a bias is 0 s")
    return Exposed(setup.count or 1, tuple(cards), tuple(notes))


def _lacking(name: str, facts: Facts) -> str:
    """Return why an instrument cannot take a calibration, "" if it can."""
    table, who = facts.part("calibration", name), facts.text("name")
    if "refused" in table:
        return table.text("refused")
    if name == "arc" and "spectrograph" not in facts:
        return "an image has no wavelengths, a lamp of lines would make one more flat"
    if name == "arc" and not table.tree.get("lamps"):
        return f"{who} has no lamp of lines in this mode"
    if name == "bias" and facts.part("detectors", facts.text("detector")).text("kind") != "ccd":
        return "an infrared array has no bias frames, only darks"
    if name == "pinhole" and "x" not in table:
        return f"{who} has no mask of pinholes in this mode"
    return ""


def _lamp(name: str, facts: Facts, find: Callable[[str, str], Path]) -> Lamp:
    """Return a lamp of the instrument's ``[lamps.NAME]``, else of the shared files."""
    table = facts.part("lamps", name)
    if not table.tree:
        tree = read(find("_lamps", f"{name}.toml"))
        table = Facts(tree, f"{name}.toml", f"lamps.{name}", tree, facts.ledger)
    lines, none = table.curve("lines") if "lines" in table else None, np.zeros(0)
    return Lamp(
        table.text("name"),
        none if lines is None else lines.wave,
        none if lines is None else lines.value,
        table.number("temperature", "K") if "temperature" in table else 0.0,
        table.number("fill", "1") if "fill" in table else 0.5,
    )


def _standard(request: Request, facts: Facts) -> Target:
    """Return the standard star: what the request says of it, else the instrument, else the request's target."""
    asked, table = request.extras.standard, facts.part("standard")
    star = replace(request.target, morphology=Morphology())
    if table.tree:
        brightness = Brightness("mag", table.number("mag", "mag"), table.text("band"), table.text("system", "vega"))
        star = Target(brightness=brightness, sed=_template(table.text("sed")))
    if asked.sed is not None:
        star = replace(star, sed=_template(asked.sed))
        try:
            templates.find(star.sed.catalog, star.sed.id)
        except RequestError as error:
            details = {key: error.details[key] for key in ("allowed", "nearest")}
            raise RequestError("/elvis/standard/sed", error.details["reason"], found=asked.sed, **details) from None
    given = {key: value for key in ("mag", "band", "system") if (value := getattr(asked, key)) is not None}
    if given and star.brightness.kind != "mag":
        raise RequestError("/elvis/standard", "the brightness of the target, whose part it takes, is no magnitude")
    return replace(star, brightness=replace(star.brightness, **given))


def _template(name: str) -> Sed:
    catalog, _, identity = name.partition(":")
    return Sed(catalog=catalog, id=identity)

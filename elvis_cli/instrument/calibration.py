"""Build the Calibration of a request from the instrument's data."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from elvis_cli.base.arrays import Floats
from elvis_cli.base.dates import parse_date
from elvis_cli.errors import RequestError, nearest_name
from elvis_cli.instrument import spectrograph
from elvis_cli.instrument.sourced_table import SourcedTable, read
from elvis_cli.light import etalon
from elvis_cli.model.calibration import KINDS, POINTER, WAVELENGTH_KINDS, Calibration, Etalon, Lamp
from elvis_cli.model.request import Brightness, Morphology, Request, Sed, Target
from elvis_cli.model.setup import Setup
from elvis_cli.scene import standards, templates
from elvis_cli.scene.standards import StandardStar
from elvis_cli.sky.pointing import observe

_LAMP_NAMES = {
    "arc": "lamp of lines",
    "comb": "laser frequency comb",
    "fabry-perot": "Fabry-Perot",
    "cell": "absorption cell",
    "orders": "lamp and short slit",
    "format": "lamp of lines and short slit",
}
_DEVICES = {"pinhole": ("x", "mask of pinholes"), "pupil": ("diameter", "pupil imager")}
"""Kinds that need a figure of the instrument's, and whose it is."""


def make(
    name: str, request: Request, facts: SourcedTable, find: Callable[[str, str], Path]
) -> tuple[Calibration, dict[str, Any]]:
    """Return the calibration ``name`` and its header cards.

    ``facts`` is the instrument, ``find`` looks for a file in a shared folder.

    Raises
    ------
    RequestError
        The instrument cannot take such a frame.
    """
    reason = _refusal(name, facts)
    offered = [each for each in KINDS if not _refusal(each, facts)]
    if reason:
        raise RequestError(POINTER, f"no {name!r} here: {reason}", found=name, allowed=offered)
    kind, table = KINDS[name], facts.part("calibration", name)
    light, names = kind.light, table.tree.get("lamps", kind.lamps)
    lamps = tuple(_lamp(each, facts, find) for each in names)
    fill = table.number("fill", "1") if "fill" in table else max((lamp.fill for lamp in lamps), default=0.0)
    x, y = (table.value(axis, "arcsec") if light == "pinholes" else () for axis in ("x", "y"))
    result = Calibration(
        name=name,
        light=light,
        lamps=lamps,
        fill=request.elvis.lamp or fill,
        time=facts.part("timing").number("dit", "s") if name == "detlin" else 0.0,
        pinholes=(tuple(map(float, x)), tuple(map(float, y))),
        standard=_standard(request, facts) if light == "star" else None,
        offered=tuple(offered),
        pupil=table.number("diameter", "pixel") if light == "pupil" else 0.0,
    )
    cards: dict[str, Any] = dict(table.part("header").tree)
    cards |= {"ESO DPR CATG": table.text("category", kind.category), "ESO DPR TYPE": table.text("type", kind.type)}
    if "technique" in table:
        cards["ESO DPR TECH"] = table.text("technique")
    arm = "spec" if "spectrograph" in facts else "img"
    cards["ESO TPL ID"] = table.text("template", f"{facts.text('name').upper()}_{arm}_cal_{name}")
    cards["ESO TPL NAME"] = f"Calibration: {name}"
    cards["OBJECT"] = cards["ESO DPR TYPE"]
    if result.standard is not None:
        cards["OBJECT"] = request.elvis.standard.name or _star_name(result.standard)
    return result, cards


def reference(facts: SourcedTable, find: Callable[[str, str], Path]) -> tuple[Lamp, ...]:
    """Return the lamps that shine into reference fibres."""
    names = facts.part("spectrograph", "reference_lamp").tree.get("lamps", ())
    return tuple(_lamp(name, facts, find) for name in names)


def faded(calibration: Calibration, request: Request, setup: Setup) -> Calibration:
    """Return the calibration at the time of its exposure: a twilight fades from the start of its template on.

    A level that the request gives (`elvis.lamp`) holds for every exposure.
    """
    fade = max((lamp.fade for lamp in calibration.lamps), default=0.0)
    if not fade or request.elvis.lamp is not None:
        return calibration
    exposure, template = observe(request.elvis, setup), request.elvis.template
    first = exposure.first
    if template is not None and request.elvis.date is not None:
        first = parse_date(template.start, "/elvis/template/start")
    elapsed = max((exposure.start - first).total_seconds(), 0.0)
    return replace(calibration, fill=calibration.fill * math.exp(-elapsed / fade))


def _refusal(name: str, facts: SourcedTable) -> str:
    """Return why an instrument cannot take a calibration, "" if it can."""
    table, who = facts.part("calibration", name), facts.text("name")
    if "refused" in table:
        return table.text("refused")
    if name in WAVELENGTH_KINDS and "spectrograph" not in facts:
        return "an image has no wavelengths, a lamp of lines would make one more flat"
    if name in WAVELENGTH_KINDS and not table.tree.get("lamps"):
        return f"{who} has no {_LAMP_NAMES[name]} in this mode"
    if name == "bias" and facts.part("detectors", facts.text("detector")).text("kind") != "ccd":
        return "an infrared array has no bias frames, only darks"
    key, device = _DEVICES.get(name, ("", ""))
    if key and key not in table:
        return f"{who} has no {device} in this mode"
    return ""


def _lamp(name: str, facts: SourcedTable, find: Callable[[str, str], Path]) -> Lamp:
    """Return a lamp of the instrument's ``[lamps.NAME]``, else of the shared files."""
    table = facts.part("lamps", name)
    if not table.tree:
        tree = read(find("_lamps", f"{name}.toml"))
        table = SourcedTable(tree, f"{name}.toml", f"lamps.{name}", tree, facts.ledger)
    return Lamp(
        table.text("name"),
        *_lines(table),
        table.number("temperature", "K") if "temperature" in table else 0.0,
        table.number("fill", "1") if "fill" in table else 0.5,
        table.number("fade", "s") if "fade" in table else 0.0,
        Etalon(table.number("gap", "mm") * 1e3, table.number("finesse", "1")) if "gap" in table else None,
        spectrograph.cell(table),
    )


def _lines(table: SourcedTable) -> tuple[Floats, Floats]:
    """Return wavelengths (um, ascending) and strengths of a lamp's lines: a list, a comb's modes, or none."""
    if "lines" in table:
        lines = table.curve("lines")
        return lines.wave, lines.value
    if "spacing" not in table:
        return np.zeros(0), np.zeros(0)
    modes = etalon.comb_modes(
        *(table.number(key, "GHz") for key in ("offset", "spacing")),
        *(table.number(key, "um") for key in ("blue_end", "red_end")),
    )
    return modes, np.ones(modes.size)


def _standard(request: Request, facts: SourcedTable) -> Target:
    """Return the standard star: keys of the request first, then the instrument's star, then the request's target."""
    request_keys, table = request.elvis.standard, facts.part("standard")
    star = replace(request.target, morphology=Morphology())
    if table.tree:
        brightness = Brightness("mag", table.number("mag", "mag"), table.text("band"), table.text("system", "vega"))
        star = Target(brightness=brightness, sed=_template(table.text("sed")))
    if request_keys.name is not None:
        row = _catalogued(request_keys.name, request_keys.band or star.brightness.band)
        star = Target(brightness=Brightness("mag", row.mag, row.band, row.system), sed=_template(row.sed))
    if request_keys.sed is not None:
        star = replace(star, sed=_template(request_keys.sed))
        try:
            templates.find(star.sed.catalog, star.sed.id)
        except RequestError as error:
            details = {key: error.details[key] for key in ("allowed", "nearest")}
            raise RequestError(
                "/elvis/standard/sed", error.details["reason"], found=request_keys.sed, **details
            ) from None
    changes = {key: value for key in ("mag", "band", "system") if (value := getattr(request_keys, key)) is not None}
    if changes and star.brightness.kind != "mag":
        raise RequestError(
            "/elvis/standard", "the brightness of the target, which it takes in part, is not a magnitude"
        )
    return replace(star, brightness=replace(star.brightness, **changes))


def _catalogued(name: str, band: str) -> StandardStar:
    """Return a star of the catalogue of standards in a band."""
    stars = standards.read()
    rows = [star for star in standards.named([name], stars) if star.ra is not None]
    if not rows:
        allowed = sorted({star.name for star in stars})
        raise RequestError(
            "/elvis/standard/name", "is not in the catalogue of standards", found=name, allowed=allowed,
            nearest=nearest_name(name, allowed),
        )  # fmt: skip
    row = next((star for star in rows if star.band[:1].lower() == band[:1].lower()), None)
    if row is None:
        raise RequestError(
            "/elvis/standard/band", f"the catalogue has no magnitude of {rows[0].name} in this band", found=band,
            allowed=[star.band for star in rows],
        )  # fmt: skip
    return row


def _star_name(star: Target) -> str:
    """Return the name of a standard star: spectral type, band and magnitude, as the catalogue of standards has it."""
    sed, brightness = star.sed, star.brightness
    kind = sed.id if sed.kind == "template" else sed.kind
    if brightness.kind != "mag":
        return f"STD {kind}"
    system = "" if brightness.system.lower() == "vega" else f" {brightness.system}"
    return f"STD {kind} {brightness.band}={brightness.mag:g}{system}"


def _template(name: str) -> Sed:
    catalog, _, identity = name.partition(":")
    return Sed(catalog=catalog, id=identity)

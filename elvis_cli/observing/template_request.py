"""The request that the exposures of a template run have in common, checked by the instrument."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from elvis_cli.base.merge import merge
from elvis_cli.errors import RequestError
from elvis_cli.instrument import registry
from elvis_cli.model.setup import Setup
from elvis_cli.observing import templates
from elvis_cli.observing.constraints import OLDER_SKY_KEYS
from elvis_cli.observing.templates import Overheads
from elvis_cli.observing.visit import ExposureStep, TemplateRun, Visit
from elvis_cli.request import parse
from elvis_cli.scene import standards
from elvis_cli.scene.standards import StandardStar

PLANNED_KEYS = ("pointing", "offset", "place", "date", "exposure", "calibration", "obs", "template")
"""CheckedObject of a request's block ``elvis`` that the plan writes."""
BANDS = {"B": ("B", 0.44), "V": ("V", 0.55), "R": ("R", 0.64), "I": ("I", 0.8), "u": ("sdss_u", 0.36),
         "g": ("sdss_g", 0.47), "r": ("sdss_r", 0.62), "i": ("sdss_i", 0.75), "z": ("sdss_z", 0.89), "Y": ("Y", 1.02),
         "J": ("J", 1.25), "H": ("H", 1.65), "K": ("K", 2.2), "Ks": ("VISTA_Ks", 2.15), "L": ("L", 3.5),
         "M": ("M", 4.8), "N": ("N", 10.0)}  # fmt: skip
"""Band of the ETC and its wavelength (um) for each band of a target's magnitudes."""
SEQUENCE_COUNT = "SEQ.NEXPO"
"""The key of a sequence, and of some instruments' ETC forms: the sequence repeats, not the form's default too."""


@dataclass(frozen=True, slots=True, eq=False)
class TemplateRequest:
    """The request that the exposures of a template run have in common, and what follows from it."""

    document: Mapping[str, Any]
    setup: Setup
    overheads: Overheads
    count: int
    """Integrations in a file."""
    repeats: int = 1
    """Files at each place: an arm has its own number of exposures."""

    @property
    def shutter(self) -> float:
        """Seconds of light in a file."""
        return self.setup.exposure.dit * (self.count if self.setup.detector.kind == "ir" else 1)

    @property
    def readout(self) -> float:
        """Seconds to read out a file."""
        further = self.count - 1 if self.setup.detector.kind == "ir" else 0
        return self.overheads.readout + further * self.overheads.integration


def arms(visit: Visit, run: TemplateRun, patch: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the arms of which a template run makes files; a patch may choose one."""
    plugin = registry.load(visit.instrument)
    block = merge(merge({}, patch), visit.request).get("elvis")
    arm = block.get("arm") if isinstance(block, Mapping) else None
    return plugin.arms(parse.read(json.dumps({**plugin.example(run.mode), "elvis": {"arm": arm}})))


def make(
    visit: Visit, run: TemplateRun, step: ExposureStep | None, patch: Mapping[str, Any], arm: str = ""
) -> TemplateRequest:
    """Return the request of a template run; ``step`` is one with an exposure time or read-out of its own.

    It is that of one ``arm`` of an instrument with several.

    The instrument's example comes first, then ``patch``, then the visit's patch, then the run.

    Raises
    ------
    RequestError
        The instrument refuses the request, or a patch has a member that the plan writes.
    """
    plugin = registry.load(visit.instrument)
    document = plugin.example(run.mode)
    times = list(document["timesnr"])
    document["timesnr"] |= dict.fromkeys(set(times) & {SEQUENCE_COUNT}, 1)
    document["output"] = {}
    patch = merge(merge({}, patch), visit.request)
    _check_patch(patch.get("elvis"), visit.pointer)
    document = merge(document, {key: value for key, value in patch.items() if key != "instrumentName"})
    for name in ("instrument", "timesnr", "sky", "elvis"):
        if not isinstance(document.setdefault(name, {}), dict):
            raise RequestError(f"{visit.pointer}/{name}", "must be an object")
    for old in OLDER_SKY_KEYS:
        document["sky"].pop(old, None)
    document["instrument"] |= {"ins_configuration": run.mode, **run.keys}
    document["timesnr"] |= run.timing
    if arm:
        document["elvis"]["arm"] = arm
    if step is not None:
        document["instrument"] |= step.keys
        if step.dit is not None:
            document["timesnr"] |= dict.fromkeys(times[::2], step.dit) | dict.fromkeys(times[1::2], step.count or 1)
        document["timesnr"] |= {key: document["timesnr"][key] * step.dit_factor for key in times[::2]}
        document["elvis"] |= step.elvis
    calibration_kind = (step.calibration if step is not None else None) or run.calibration
    if calibration_kind:
        document["elvis"]["calibration"] = calibration_kind
        document["elvis"].pop("catalogue", None)
    stars = _standard(visit, run, document)
    if "ra" in (document["elvis"].get("catalogue") or {}):  # the plan gives each exposure its own pointing
        document["elvis"]["pointing"] = {"ra": 0.0, "dec": 0.0}
    document["elvis"] = {"window": "full", "chips": "all", **document["elvis"]}
    try:
        request = parse.read(json.dumps(document))
        setup = plugin.configure(request)
        if setup.calibration is not None:
            from elvis_cli.light import calibration

            _, setup = calibration.arrange(request, setup)
    except RequestError as error:
        raise RequestError(
            run.pointer, f"{run.template} cannot be carried out: {error.message}", found=error.details["found"]
        ) from None
    count_key, repeats = setup.exposure.count_key, 1
    if setup.detector.kind != "ir":
        repeats = document["timesnr"].get(count_key, 1) if arm else 1
        document["timesnr"][count_key] = 1  # further exposures are files of their own
    elif setup.exposure.count is None:
        raise RequestError(run.pointer, f"{run.template} needs {count_key}, not a signal-to-noise ratio")
    _set_brightness(document, patch, visit, setup, stars)
    overheads = templates.load(visit.instrument).overheads(request.keys)
    return TemplateRequest(document, setup, overheads, setup.exposure.count or 1, repeats)


def _check_patch(block: Any, pointer: str) -> None:
    """Raise RequestError if a patch has a member that the plan writes."""
    for key in PLANNED_KEYS:
        if isinstance(block, Mapping) and key in block:
            raise RequestError(f"{pointer}/elvis/{key}", "follows from the block and cannot be set by a patch")


def _standard(visit: Visit, run: TemplateRun, document: dict[str, Any]) -> list[StandardStar]:
    """Return the rows of the catalogue of standards that a template of a standard star means by its target's name.

    There are none where the block gives magnitudes of its own. The star is alone: the field of the science target goes.
    """
    if run.object_type != "STD" or run.calibration or visit.target is None or visit.target.mag:
        return []
    found = [star for star in standards.named([visit.target.name], standards.read()) if star.band in BANDS]
    for name in ("catalogue", "scene", "image", "cube") if found else ():
        document["elvis"].pop(name, None)
    return found


def _set_standard(document: dict[str, Any], stars: list[StandardStar], setup: Setup) -> None:
    """Set the target to a standard star, with its magnitude in the band nearest to the filter."""
    star = min(stars, key=lambda each: abs(math.log(BANDS[each.band][1] / setup.optics.filter_centre)))
    catalogue, _, template = star.sed.partition(":")
    spectrum = {"spectrumtype": "template", "params": {"catalog": catalogue, "id": template}}
    brightness = {"brightnesstype": "mag", "magband": BANDS[star.band][0], "mag": star.mag, "magsys": star.system}
    document["target"] = {
        "morphology": {"morphologytype": "point"},
        "sed": {"sedtype": "spectrum", "spectrum": spectrum},
        "brightness": brightness,
    }


def _set_brightness(
    document: dict[str, Any], patch: Mapping[str, Any], visit: Visit, setup: Setup, stars: list[StandardStar]
) -> None:
    """Set the target's brightness to its magnitude in the band nearest to the filter, unless the patch has one.

    ``stars`` are the rows of the standard star that the target is.
    """
    if stars:
        _set_standard(document, stars, setup)
        return
    magnitudes = visit.target.mag if visit.target else {}
    patch_target = patch.get("target")
    if not magnitudes or (isinstance(patch_target, Mapping) and patch_target.get("brightness")):
        return
    band = min(magnitudes, key=lambda name: abs(math.log(BANDS[name][1] / setup.optics.filter_centre)))
    name, system = BANDS[band][0], "AB" if BANDS[band][0].startswith("sdss") else "vega"
    brightness = {"brightnesstype": "mag", "magband": name, "mag": magnitudes[band], "magsys": system}
    document["target"] = {**document.get("target", {}), "brightness": brightness}

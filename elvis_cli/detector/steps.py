"""The stages of a detector in their order: which exist, which run, which are kept, with their parameters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from typing import Any

from elvis_cli.detector.stage import Stage, StageContext
from elvis_cli.errors import RequestError, choice_error
from elvis_cli.model.detector import Detector
from elvis_cli.model.elvis_block import ElvisBlock

DRAWN = {
    "stars": "point sources",
    "galaxies": "extended sources",
    "thermal": "emission of warm telescope and instrument",
    "background": "sky",
}
"""What the focal plane draws."""


PARTS = frozenset(DRAWN)


LIGHT = (*DRAWN, "ghosts", "faint_galaxies", "calibration_lamp")
"""Sources of light: `Extras.stages` does not choose among them."""


NAMES = (
    "stars",
    "ghosts",
    "galaxies",
    "faint_galaxies",
    "calibration_lamp",
    "thermal",
    "background",
    "shutter",
    "intrapixel",
    "flat_field",
    "reference_pixels",
    "dark",
    "hot_pixels",
    "persistence",
    "dead_pixels",
    "shot_noise",
    "cosmic_rays",
    "brighter_fatter",
    "bleeding",
    "full_well",
    "charge_injection",
    "trap_pumping",
    "cosmetics",
    "pre_overscan",
    "parallel_overscan",
    "cti_charge_injection",
    "cti",
    "nonlinearity",
    "ipc",
    "rtn",
    "reset",
    "read_noise",
    "correlated_noise",
    "reference_correction",
    "crosstalk",
    "gain",
    "bias",
    "adc",
)
"""The usual order; a stage's name is that of its module."""


OWN = frozenset(
    ("dark", "shot_noise", "full_well", "pre_overscan", "parallel_overscan", "read_noise", "gain", "bias", "adc")
)
"""Stages whose parameters are numbers of the chip or the detector: they need no table."""


OPTICAL_MODELS = ("zero_point", "distortion")
"""Models of the user's that are the optics', not a stage's."""


@dataclass(frozen=True, slots=True)
class Step:
    """A stage of one chip; ``stage`` is None for a part of the light that is drawn."""

    name: str
    stage: Stage[Any] | None
    parameters: Any
    runs: bool
    keep: bool


def stage(name: str) -> Stage[Any]:
    """Return the stage with this name."""
    found: Stage[Any] = import_module(f"elvis_cli.detector.{name}").STAGE
    return found


def unit(names: Sequence[str], name: str) -> str:
    """Return the unit of the image after a stage of an order."""
    last = name not in names  # the reads of a ramp
    return "adu" if "gain" in names and (last or names.index(name) >= names.index("gain")) else "electron"


def sequence(detector: Detector, order: str | None) -> tuple[str, ...]:
    """Return the names of a detector's stages in one of its orders (None: its usual one).

    Raises
    ------
    RequestError
        The detector has no such order.
    """
    orders = detector.orders or {"usual": NAMES}
    if order is None:
        return next(iter(orders.values()))
    if order not in orders:
        raise choice_error("/elvis/order", order, orders)
    return orders[order]


def select(elvis_block: ElvisBlock, detector: Detector) -> tuple[Step, ...]:
    """Return the stages of the detector in their order, without parameters, and which of them are to run and be kept.

    Raises
    ------
    RequestError
        An unknown order, or an unknown name, at /elvis/<key>/i.
    """
    names = sequence(detector, elvis_block.order)
    given: dict[str, set[str]] = {}
    for key in ("stages", "skip", "only", "also", "keep"):
        known = (*names, "all") if key == "keep" else names
        asked = getattr(elvis_block, key)
        for i, name in enumerate(asked or ()):
            if name not in known:
                raise choice_error(f"/elvis/{key}/{i}", name, known)
        given[key] = set(asked or ())
    wanted = given["also"] | given["only"] | given["stages"]
    steps = []
    for name in names:
        runs = name not in detector.optional or name in wanted
        if elvis_block.only is not None:
            runs &= name in given["only"] | given["also"]
        if elvis_block.stages is not None and name not in LIGHT:
            runs &= name in given["stages"] | given["also"]
        runs &= name not in given["skip"]
        steps.append(Step(name, None, None, runs, name in given["keep"] or (runs and "all" in given["keep"])))
    return tuple(steps)


def configure(context: StageContext, elvis_block: ElvisBlock) -> list[Step]:
    """Return the steps of a chip that run or are kept, each with its parameters.

    Raises
    ------
    RequestError
        An unknown stage or order, or a stage asked for by name that this instrument has no parameters for.
    ResourceError
        The instrument's parameters are wrong.
    """
    detector, steps = context.detector, []
    _check_models(context, elvis_block)
    for step in select(elvis_block, detector):
        made = parameters = None
        if step.runs and (step.name in OWN or step.name in detector.stages or step.name in context.models):
            made = stage(step.name)
            parameters = made.configure(context)
        if parameters is not None or (step.runs and step.name in DRAWN):
            steps.append(replace(step, stage=made, parameters=parameters))
            continue
        if step.runs:
            _refuse_if_asked(step.name, elvis_block, context)
        if step.keep and "all" not in elvis_block.keep:  # as it was, since nothing happens to it
            steps.append(replace(step, runs=False))
    return steps


def drawn(elvis_block: ElvisBlock, detector: Detector) -> frozenset[str]:
    """Return the parts of the light that are to be drawn."""
    return frozenset(step.name for step in select(elvis_block, detector) if step.runs) & PARTS


def _check_models(context: StageContext, elvis_block: ElvisBlock) -> None:
    """Raise if a model is of no stage of the detector, or an image has not the chip's shape."""
    names = [name for name in sequence(context.detector, elvis_block.order) if name not in DRAWN]
    for name in elvis_block.models:
        if name in OPTICAL_MODELS:
            continue
        if name not in names:
            raise choice_error(f"/elvis/models/{name}", name, [*names, *OPTICAL_MODELS])
        if stage(name).array:
            context.array(name)


def _refuse_if_asked(name: str, elvis_block: ElvisBlock, context: StageContext) -> None:
    """Raise if a stage that has no parameters was asked for by name."""
    detector = context.detector
    for key in ("stages", "only", "also"):
        asked = list(getattr(elvis_block, key) or ())
        if name in asked:
            raise RequestError(
                f"/elvis/{key}/{asked.index(name)}",
                f"{context.instrument} ({detector.name}) has no parameters for the stage {name!r}",
                found=name,
                allowed=[n for n in sequence(detector, elvis_block.order) if n in OWN | PARTS or n in detector.stages],
            )

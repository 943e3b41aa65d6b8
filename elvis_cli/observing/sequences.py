"""Sequences of templates: the parameters of a template -> its exposure steps."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any

from numpy.random import Generator

from elvis_cli.observing.frames import InstrumentFrame, SlitFrame
from elvis_cli.observing.offset import TelescopeOffset
from elvis_cli.observing.visit import MAX_BLOCK_FILES, ExposureStep
from elvis_cli.product import pair_cards

Values = Mapping[str, Any]
SUBEXPOSURES = 4
"""Of a polarimeter at one place."""


def steps(sequence: str, values: Values, rng: Generator) -> tuple[ExposureStep, ...]:
    """Return the exposure steps of a sequence with the parameters ``values``; ``rng`` draws the jitter.

    Of a sequence with too many, one step more than `visit.MAX_BLOCK_FILES` is returned.
    """
    return tuple(islice(_SEQUENCES[sequence](values, rng), MAX_BLOCK_FILES + 1))


def _repeat(step: ExposureStep, count: int) -> Iterator[ExposureStep]:
    """Yield a step ``count`` times; the telescope moves before the first only."""
    yield step
    for _ in range(count - 1):
        yield replace(step, move=None)


def _acquisition(values: Values, rng: Generator) -> Iterator[ExposureStep]:
    yield from ()


def _stare(values: Values, rng: Generator) -> Iterator[ExposureStep]:
    yield from _repeat(ExposureStep(), values["SEQ.NEXPO"])


def _linearity(values: Values, rng: Generator) -> Iterator[ExposureStep]:
    """Yield steps with the lamp on, steps with it off, and perhaps darks, at each integration time of a ramp."""
    dark = values.get("SEQ.DARK.TYPE")
    for factor in values["SEQ.DIT.FACTORS"]:
        yield from _repeat(ExposureStep(dit_factor=factor), values["SEQ.NEXPO"])
        yield from _repeat(ExposureStep(dit_factor=factor, calibration="off"), values["SEQ.NEXPO"])
        if dark:
            yield from _repeat(ExposureStep(dit_factor=factor, calibration="dark", type=dark), values["SEQ.NEXPO"])


def _offset_steps(values: Values) -> Iterator[ExposureStep]:
    """Yield a step for each of a list of relative offsets, as in ESO's GenericOffset templates."""
    frame = InstrumentFrame() if values["SEQ.OFFSET.COORDS"] == "DETECTOR" else None
    lists = [
        values[name] for name in ("SEQ.OFFSET1.LIST", "SEQ.OFFSET2.LIST", "SEQ.OFFSET.POSANG.LIST", "SEQ.OBSTYPE.LIST")
    ]
    for n in range(values.get("SEQ.NOFFSET") or max(map(len, lists))):
        sky = _item(values["SEQ.OBSTYPE.LIST"], n) == "S"
        x, y, turn = (_item(values[f"SEQ.OFFSET{axis}.LIST"], n) for axis in ("1", "2", ".POSANG"))
        move = TelescopeOffset(x, y, turn, relative=True, posname="S" if sky else "O", guide=not sky)
        yield ExposureStep(replace(move, frame=frame) if frame else move, sky)


def _offset(values: Values, rng: Generator) -> Iterator[ExposureStep]:
    for step in _offset_steps(values):
        yield from _repeat(step, values["SEQ.NEXPO"])


def _jitter(values: Values, rng: Generator) -> Iterator[ExposureStep]:
    """Yield a step at the target, then steps at random offsets in a box around it."""
    half = values["SEQ.JITTER.WIDTH"] / 2
    for n in range(values.get("SEQ.NOFFSET") or 1):
        dx, dy = (0.0, 0.0) if n == 0 else rng.uniform(-half, half, 2).round(3).tolist()
        yield from _repeat(ExposureStep(TelescopeOffset(dx, dy, posname="O")), values["SEQ.NEXPO"])


def _sky(values: Values, rng: Generator) -> Iterator[ExposureStep]:
    """Yield steps on object and sky: O S, S O, ..."""
    half = values["SEQ.JITTER.WIDTH"] / 2
    away = values["SEQ.SKYOFFSET.ALPHA"], values["SEQ.SKYOFFSET.DELTA"]
    for cycle in range(values["SEQ.NABCYCLES"]):
        dx, dy = (0.0, 0.0) if cycle == 0 else rng.uniform(-half, half, 2).round(3).tolist()
        for sky in (False, True) if cycle % 2 == 0 else (True, False):
            east, north = (dx + away[0], dy + away[1]) if sky else (dx, dy)
            move = TelescopeOffset(east, north, posname="S" if sky else "O", guide=not sky)
            yield from _repeat(ExposureStep(move, sky), values["SEQ.NEXPO"])


def _masked(values: Values, rng: Generator) -> Iterator[ExposureStep]:
    """Yield steps with the star on a coronagraph's mask, then on the sky, or with the star beside the mask."""
    if values["SEQ.PSF.OFFAXIS"]:
        move = TelescopeOffset(values["SEQ.PSF.OFFSET"], 0.0, posname="P")
        yield from _repeat(ExposureStep(move, type="PSF,OFFAXIS", category="CALIB"), values["SEQ.NEXPO"])
        return
    away = TelescopeOffset(values["SEQ.SKYOFFSET.ALPHA"], values["SEQ.SKYOFFSET.DELTA"], posname="S", guide=False)
    for _ in range(values["SEQ.NABCYCLES"]):
        yield from _repeat(ExposureStep(TelescopeOffset(0.0, 0.0, posname="O")), values["SEQ.NEXPO"])
        if values["SEQ.SKY.NEXPO"]:
            yield from _repeat(ExposureStep(away, sky=True), values["SEQ.SKY.NEXPO"])


def _nod(values: Values, rng: Generator) -> Iterator[ExposureStep]:
    """Yield steps at the two ends of a nod along the slit: A B, B A, ...; both have the same jitter."""
    for cycle, name, jitter in _nods(values, rng):
        y = (values["SEQ.NOD.THROW"] / 2) * (1 if name == "A" else -1) + jitter
        move = TelescopeOffset(0.0, y, frame=SlitFrame(), posname=name)
        cards = pair_cards.nod(name, cycle, values["SEQ.NOD.THROW"])
        yield from _repeat(ExposureStep(move, cards=cards), values["SEQ.NEXPO"])


def _polarimetry(values: Values, rng: Generator) -> Iterator[ExposureStep]:
    """Yield the four sub-exposures at each end of a nod along the slit, with the decker of that end."""
    deckers = values.get("SEQ.POL.DECKERS", ())
    for nod in _nod({**values, "SEQ.NEXPO": 1}, rng):
        end = 0 if nod.cards[pair_cards.NOD_POSITION] == "A" else -1
        decker = {values["SEQ.POL.DECKER"]: deckers[end]} if deckers else {}
        for number in range(1, SUBEXPOSURES + 1):
            move = nod.move if number == 1 else None
            yield replace(nod, move=move, keys={**decker, "polarimeter_exposure": number})


def _nods(values: Values, rng: Generator) -> Iterator[tuple[int, str, float]]:
    """Yield the number of the cycle, the position (A or B) and the jitter (arcsec) of each nod."""
    half = values["SEQ.JITTER.WIDTH"] / 2
    for cycle in range(values["SEQ.NABCYCLES"]):
        jitter = 0.0 if cycle == 0 else round(float(rng.uniform(-half, half)), 3)
        for name in "AB" if cycle % 2 == 0 else "BA":
            yield cycle + 1, name, jitter


def _chop(step: ExposureStep, values: Values, chop: TelescopeOffset) -> Iterator[ExposureStep]:
    """Yield a step for each half of each chop cycle."""
    angle = {"ESO SEQ CHOP POSANG": values["SEQ.CHOP.POSANG"]} if "SEQ.CHOP.POSANG" in values else {}
    for cycle in range(values["SEQ.CHOP.NCYCLES"]):
        for place, where in (("A", None), ("B", chop)):
            cards = {**step.cards, **pair_cards.chop(place, cycle + 1, values["SEQ.CHOP.THROW"]), **angle}
            move = step.move if cycle == 0 and where is None else None
            yield replace(step, move=move, chop=where, cards=cards)


def _chop_throw(values: Values) -> TelescopeOffset:
    """Return the offset of the chopper from its angle and throw."""
    angle = math.radians(values["SEQ.CHOP.POSANG"])
    throw = values["SEQ.CHOP.THROW"]
    return TelescopeOffset(throw * math.sin(angle), throw * math.cos(angle))


def _chop_offset(values: Values, rng: Generator) -> Iterator[ExposureStep]:
    for step in _offset_steps(values):
        yield from _chop(step, values, _chop_throw(values))


def _chop_nod(values: Values, rng: Generator) -> Iterator[ExposureStep]:
    """Yield the chopped steps at A and B of each nod.

    The nod is opposite to the chop: in half B at nod B the target is where it is in half A at nod A.
    """
    chop = _chop_throw(values)
    along = (-chop.dx, -chop.dy) if values["SEQ.NOD.DIRECTION"] == "PARALLEL" else (-chop.dy, chop.dx)
    for cycle, name, jitter in _nods(values, rng):
        x, y = (jitter, jitter) if name == "A" else (along[0] + jitter, along[1] + jitter)
        cards = pair_cards.nod(name, cycle, values["SEQ.CHOP.THROW"])
        yield from _chop(ExposureStep(TelescopeOffset(x, y, posname=name), cards=cards), values, chop)


def _chop_nod_slit(values: Values, rng: Generator) -> Iterator[ExposureStep]:
    """Yield the chopped steps at A and B of each nod along the slit."""
    throw = values["SEQ.CHOP.THROW"]
    chop = TelescopeOffset(0.0, throw, frame=SlitFrame())
    for cycle, name, jitter in _nods(values, rng):
        y = jitter - (throw if name == "B" else 0.0)
        cards = pair_cards.nod(name, cycle, throw)
        move = TelescopeOffset(0.0, y, frame=SlitFrame(), posname=name)
        yield from _chop(ExposureStep(move, cards=cards), values, chop)


def _item(values: Sequence[Any], number: int) -> Any:
    """Return an item of a list that starts again at its end."""
    return values[number % len(values)]


_SEQUENCES: dict[str, Callable[[Values, Generator], Iterator[ExposureStep]]] = {
    "acquisition": _acquisition,
    "stare": _stare,
    "linearity": _linearity,
    "offset": _offset,
    "jitter": _jitter,
    "sky": _sky,
    "masked": _masked,
    "nod": _nod,
    "polarimetry": _polarimetry,
    "chop_offset": _chop_offset,
    "chop_nod": _chop_nod,
    "chop_nod_slit": _chop_nod_slit,
}

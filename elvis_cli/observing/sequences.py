"""The sequences that templates are made of: parameters -> the shots and the telescope's motions between them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from numpy.random import Generator

from elvis_cli.observing.frames import InstrumentFrame, SlitFrame
from elvis_cli.observing.offset import TelescopeOffset
from elvis_cli.observing.visit import Shot

Values = Mapping[str, Any]


def shots(sequence: str, values: Values, rng: Generator) -> tuple[Shot, ...]:
    """Return the files of a template in their order; ``rng`` draws its jitter."""
    return tuple(_SEQUENCES[sequence](values, rng))


def _times(shot: Shot, count: int) -> Iterator[Shot]:
    """Yield a shot several times; the telescope only moves before the first."""
    yield shot
    for _ in range(count - 1):
        yield replace(shot, move=None)


def _acquisition(values: Values, rng: Generator) -> Iterator[Shot]:
    yield from ()


def _stare(values: Values, rng: Generator) -> Iterator[Shot]:
    yield from _times(Shot(), values["SEQ.NEXPO"])


def _places(values: Values) -> Iterator[Shot]:
    """Yield the places of a list of relative offsets, as ESO's GenericOffset templates have them."""
    frame = InstrumentFrame() if values["SEQ.OFFSET.COORDS"] == "DETECTOR" else None
    lists = [
        values[name] for name in ("SEQ.OFFSET1.LIST", "SEQ.OFFSET2.LIST", "SEQ.OFFSET.POSANG.LIST", "SEQ.OBSTYPE.LIST")
    ]
    for n in range(values.get("SEQ.NOFFSET") or max(map(len, lists))):
        sky = _cycled(values["SEQ.OBSTYPE.LIST"], n) == "S"
        x, y, turn = (_cycled(values[f"SEQ.OFFSET{axis}.LIST"], n) for axis in ("1", "2", ".POSANG"))
        move = TelescopeOffset(x, y, turn, relative=True, posname="S" if sky else "O", guide=not sky)
        yield Shot(replace(move, frame=frame) if frame else move, sky)


def _offset(values: Values, rng: Generator) -> Iterator[Shot]:
    for shot in _places(values):
        yield from _times(shot, values["SEQ.NEXPO"])


def _jitter(values: Values, rng: Generator) -> Iterator[Shot]:
    """Yield the target's place, then random ones in a box around it."""
    half = values["SEQ.JITTER.WIDTH"] / 2
    for n in range(values.get("SEQ.NOFFSET") or 1):
        dx, dy = (0.0, 0.0) if n == 0 else rng.uniform(-half, half, 2).round(3).tolist()
        yield from _times(Shot(TelescopeOffset(dx, dy, posname="O")), values["SEQ.NEXPO"])


def _sky(values: Values, rng: Generator) -> Iterator[Shot]:
    """Yield object and sky in turn: O S, S O, ..."""
    half = values["SEQ.JITTER.WIDTH"] / 2
    away = values["SEQ.SKYOFFSET.ALPHA"], values["SEQ.SKYOFFSET.DELTA"]
    for cycle in range(values["SEQ.NABCYCLES"]):
        dx, dy = (0.0, 0.0) if cycle == 0 else rng.uniform(-half, half, 2).round(3).tolist()
        for sky in (False, True) if cycle % 2 == 0 else (True, False):
            east, north = (dx + away[0], dy + away[1]) if sky else (dx, dy)
            move = TelescopeOffset(east, north, posname="S" if sky else "O", guide=not sky)
            yield from _times(Shot(move, sky), values["SEQ.NEXPO"])


def _nod(values: Values, rng: Generator) -> Iterator[Shot]:
    """Yield the two ends of a nod along the slit: A B, B A, ...; both jitter alike."""
    for cycle, name, jitter in _nods(values, rng):
        y = (values["SEQ.NOD.THROW"] / 2) * (1 if name == "A" else -1) + jitter
        move = TelescopeOffset(0.0, y, frame=SlitFrame(), posname=name)
        cards = {"ESO SEQ NODPOS": name, "ESO SEQ NODTHROW": values["SEQ.NOD.THROW"], "ESO SEQ NODCYCLE": cycle}
        yield from _times(Shot(move, cards=cards), values["SEQ.NEXPO"])


def _nods(values: Values, rng: Generator) -> Iterator[tuple[int, str, float]]:
    half = values["SEQ.JITTER.WIDTH"] / 2
    for cycle in range(values["SEQ.NABCYCLES"]):
        jitter = 0.0 if cycle == 0 else round(float(rng.uniform(-half, half)), 3)
        for name in "AB" if cycle % 2 == 0 else "BA":
            yield cycle + 1, name, jitter


def _chop(shot: Shot, values: Values, chop: TelescopeOffset) -> Iterator[Shot]:
    """Yield the two halves of each chop cycle as files of their own."""
    angle = {"ESO SEQ CHOP POSANG": values["SEQ.CHOP.POSANG"]} if "SEQ.CHOP.POSANG" in values else {}
    for cycle in range(values["SEQ.CHOP.NCYCLES"]):
        for place, where in (("A", None), ("B", chop)):
            cards = {**shot.cards, "ESO SEQ CHOP POS": place, "ESO SEQ CHOP THROW": values["SEQ.CHOP.THROW"],
                     "ESO SEQ CHOP CYCLE": cycle + 1, **angle}  # fmt: skip
            move = shot.move if cycle == 0 and where is None else None
            yield replace(shot, move=move, chop=where, cards=cards)


def _thrown(values: Values) -> TelescopeOffset:
    angle = math.radians(values["SEQ.CHOP.POSANG"])
    throw = values["SEQ.CHOP.THROW"]
    return TelescopeOffset(throw * math.sin(angle), throw * math.cos(angle))


def _chop_offset(values: Values, rng: Generator) -> Iterator[Shot]:
    for shot in _places(values):
        yield from _chop(shot, values, _thrown(values))


def _chop_nod(values: Values, rng: Generator) -> Iterator[Shot]:
    """Yield A and B of the nod, each chopped; against the chop, B's half B has the target where A's half A has it."""
    chop = _thrown(values)
    along = (-chop.dx, -chop.dy) if values["SEQ.NOD.DIRECTION"] == "PARALLEL" else (-chop.dy, chop.dx)
    for cycle, name, jitter in _nods(values, rng):
        x, y = (jitter, jitter) if name == "A" else (along[0] + jitter, along[1] + jitter)
        cards = {"ESO SEQ NODPOS": name, "ESO SEQ NODTHROW": values["SEQ.CHOP.THROW"], "ESO SEQ NODCYCLE": cycle}
        yield from _chop(Shot(TelescopeOffset(x, y, posname=name), cards=cards), values, chop)


def _chop_nod_slit(values: Values, rng: Generator) -> Iterator[Shot]:
    """Yield the same along the slit."""
    throw = values["SEQ.CHOP.THROW"]
    chop = TelescopeOffset(0.0, throw, frame=SlitFrame())
    for cycle, name, jitter in _nods(values, rng):
        y = jitter - (throw if name == "B" else 0.0)
        cards = {"ESO SEQ NODPOS": name, "ESO SEQ NODTHROW": throw, "ESO SEQ NODCYCLE": cycle}
        move = TelescopeOffset(0.0, y, frame=SlitFrame(), posname=name)
        yield from _chop(Shot(move, cards=cards), values, chop)


def _cycled(values: Sequence[Any], number: int) -> Any:
    return values[number % len(values)]


_SEQUENCES: dict[str, Callable[[Values, Generator], Iterator[Shot]]] = {
    "acquisition": _acquisition,
    "stare": _stare,
    "offset": _offset,
    "jitter": _jitter,
    "sky": _sky,
    "nod": _nod,
    "chop_offset": _chop_offset,
    "chop_nod": _chop_nod,
    "chop_nod_slit": _chop_nod_slit,
}

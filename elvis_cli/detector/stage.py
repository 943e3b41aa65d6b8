"""What a detector stage is, what it may know of the exposure, and how its parameters are checked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, field, fields
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from elvis_cli import streams
from elvis_cli.detector.layout import Area, areas
from elvis_cli.errors import ResourceError, nearest_name
from elvis_cli.instrument import Chip, Detector
from elvis_cli.parallel import ROWS
from elvis_cli.request import Previous, Window
from elvis_cli.sampling import Sampling

Image = NDArray[np.float32]
P = TypeVar("P")


@dataclass(frozen=True, slots=True, eq=False)
class Readout:
    """One chip (or a window of it) being exposed and read."""

    instrument: str
    detector: Detector
    chip: Chip
    window: Window
    dit: float
    """Time of one integration, s."""
    count: int
    """Integrations averaged into the frame (NDIT); 1 for a CCD."""
    seed: int
    exposure: int
    previous: Previous | None = None
    """The exposure before this one."""
    read: int | None = None
    """Which read of an infrared array is made, from 0; None = the frame that is made of them."""

    @property
    def sampling(self) -> Sampling:
        """How an infrared array is sampled."""
        return self.detector.sampling

    @property
    def weights(self) -> NDArray[np.float64]:
        """The weight of every read in what is made."""
        return self.sampling.weights() if self.read is None else np.eye(self.sampling.reads)[self.read]

    @property
    def noise_factor(self) -> float:
        """Noise of what is made in units of the noise of a read."""
        return self.sampling.noise if self.read is None else 1.0

    def areas(self, image: NDArray[Any]) -> tuple[Area, ...]:
        """Return the quadrants of the chip in an array that may have its pre- and overscans already."""
        return areas(image.shape, self.detector, self.window)

    def generator(self, stage: str, y: int = 0) -> Generator:
        """Return the random stream of ``stage`` for the block of rows that begins at row ``y`` of the window."""
        return streams.generator(self.seed, self.exposure, self.chip.id, stage, y // ROWS)

    def read_generator(self, stage: str, y: int = 0) -> Generator:
        """Return the same for what differs from read to read."""
        return self.generator(stage if self.read is None else f"{stage}/{self.read}", y)

    def key(self, stage: str) -> int:
        """Return the 64-bit key of the fixed pattern of ``stage`` on this chip."""
        return streams.pattern_key(self.instrument, self.detector.name, self.chip.id, stage)


@dataclass(frozen=True, slots=True)
class Stage(Generic[P]):
    """One effect. Exactly one of ``rows`` and ``image`` is set.

    The array holds electrons of one integration (the mean of ``count`` of them) up to the stage `gain`, ADU after it.
    """

    name: str
    title: str
    parameters: type[P]
    rows: Callable[[Image, int, P, Readout], None] | None = None
    """``rows(array, y, parameters, readout)`` works in place on the rows from ``y`` of the window; it must not
    depend on other rows. Called for blocks of ROWS rows from several threads."""
    image: Callable[[Image, P, Readout], NDArray[Any]] | None = None
    """``image(array, parameters, readout)`` sees the whole window and returns it, in place or as a new array (of
    another shape or type if need be)."""
    own: Callable[[Readout], Mapping[str, Any] | None] | None = None
    """Parameters that are numbers of the chip or the detector (None where it has none); without the function, the
    instrument's table of this stage."""

    def configure(self, readout: Readout) -> P | None:
        """Return the checked parameters, or None when the instrument has no table for this stage.

        Raises
        ------
        ResourceError
            A parameter of the instrument is missing, unknown, or out of range.
        """
        table = self.own(readout) if self.own else readout.detector.stages.get(self.name)
        where = f"{readout.instrument}: {readout.detector.name}: stages.{self.name}"
        return None if table is None else read(self.parameters, where, table)


def number(unit: str, low: float, high: float, text: str, default: Any = MISSING) -> Any:
    """Declare a parameter: a number within ``low``..``high``."""
    return field(default=default, metadata={"unit": unit, "low": low, "high": high, "text": text, "table": False})


def numbers(unit: str, low: float, high: float, text: str) -> Any:
    """Declare a parameter that is a list of numbers, each within ``low``..``high``."""
    return field(metadata={"unit": unit, "low": low, "high": high, "text": text, "table": True})


def read(kind: type[P], where: str, table: Mapping[str, Any]) -> P:
    """Make the dataclass ``kind`` of an instrument's numbers.

    Raises
    ------
    ResourceError
        Naming the key ``where.parameter``, what was found and what is allowed.
    """
    declared = {f.name: f for f in fields(kind)}  # type: ignore[arg-type]
    for key in table:
        if key not in declared:
            raise _error(where, key, "is not a parameter", table[key], list(declared), nearest_name(key, declared))
    values: dict[str, Any] = {}
    for key, item in declared.items():
        meta = item.metadata
        allowed = f"{meta['low']:g}..{meta['high']:g} {meta['unit']}".rstrip()
        if key not in table:
            if item.default is MISSING:
                raise _error(where, key, "is missing", None, allowed)
            continue
        found = table[key]
        if meta["table"] != isinstance(found, (list, tuple)):
            raise _error(where, key, "must be a list" if meta["table"] else "must be a number", found, allowed)
        for value in found if meta["table"] else [found]:
            if isinstance(value, bool) or not isinstance(value, (int, float)):
                raise _error(where, key, f"must be a number, not {value!r}", found, allowed)
            if not meta["low"] <= value <= meta["high"]:
                raise _error(where, key, f"is {value!r}", found, allowed)
        values[key] = tuple(float(v) for v in found) if meta["table"] else float(found)
    try:
        return kind(**values)
    except ValueError as error:  # a relation between the parameters, checked by the dataclass itself
        raise ResourceError(f"{where}: {error}", key=where) from error


def _error(
    where: str, key: str, reason: str, found: object, allowed: object, nearest: str | None = None
) -> ResourceError:
    hint = f"; did you mean {nearest!r}?" if nearest else ""
    return ResourceError(
        f"{where}.{key} {reason}; allowed: {allowed}{hint}",
        key=f"{where}.{key}",
        found=found,
        allowed=allowed,
        nearest=nearest,
    )

"""What a detector stage is, what it may know of the exposure, and how its parameters are checked."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from elvis_cli.base import random_streams
from elvis_cli.base.arrays import Image
from elvis_cli.base.parameters import read
from elvis_cli.detector.layout import Area, areas, quadrants, with_scans
from elvis_cli.errors import RequestError, ResourceError
from elvis_cli.model.detector import Chip, Detector
from elvis_cli.model.elvis_block import Model, Previous, Window
from elvis_cli.model.sampling import Sampling

P = TypeVar("P")


@dataclass(frozen=True, slots=True, eq=False)
class StageContext:
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
    models: Mapping[str, Model] = field(default_factory=dict)
    """What replaces the instrument's models, by stage."""
    shape: tuple[int, int] = (0, 0)
    """Of the image, overscans included."""
    done: frozenset[str] = frozenset()
    """Stages that came before one that works on the whole image."""
    previous: Previous | None = None
    """The exposure before this one."""
    arm: str = ""
    """Arm of the instrument that has the detector; "" without arms."""
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

    def amplifiers(self, rows: Image, y: int, values: Sequence[float]) -> Iterator[tuple[Image, float]]:
        """Yield the part of each quadrant in rows from ``y`` of the image, with its value (one, or one a quadrant)."""
        if len(values) == 1:
            yield rows, values[0]
            return
        names = [quadrant.name for quadrant in quadrants(self.detector)]
        for area in areas(self.shape, self.detector, self.window):
            part = rows[max(0, area.y.start - y) : max(0, area.y.stop - y), area.x]
            if part.size:
                yield part, values[names.index(area.quadrant.name)]

    def array(self, stage: str) -> Image | None:
        """Return the user's image for a stage, of the window, or None.

        Raises
        ------
        RequestError
            It has neither the shape of the chip nor that of the window or the image.
        """
        arrays = self.models[stage].arrays if stage in self.models else {}
        number = self.chip.id if self.chip.id in arrays else 0
        if number not in arrays:
            return None
        data, shape = arrays[number]
        array: Image = np.frombuffer(data, "<f4").reshape(shape)
        window, whole = self.window, (self.detector.ny, self.detector.nx)
        pointer = f"/elvis/models/{stage}/arrays/{number}/shape"
        if shape not in ((window.ny, window.nx), with_scans(self.detector, window)):
            if shape != whole:
                raise RequestError(pointer, f"{list(shape)} is not the chip's shape", found=shape, allowed=list(whole))
            array = array[window.y0 : window.y0 + window.ny, window.x0 : window.x0 + window.nx]
        if self.shape not in ((0, 0), array.shape):
            allowed = list(self.shape)
            raise RequestError(pointer, f"{list(shape)} is not the image's shape here", found=shape, allowed=allowed)
        return array

    def areas(self, image: NDArray[Any]) -> tuple[Area, ...]:
        """Return the quadrants of the chip in an array that may have its pre- and overscans already."""
        return areas(image.shape, self.detector, self.window)

    def by_amplifier(self, key: str, usual: float) -> tuple[float, ...]:
        """Return a figure of every quadrant, ``usual`` where it has none of its own; one if none has."""
        own = [getattr(quadrant, key) for quadrant in self.detector.quadrants]
        return tuple(usual if value is None else value for value in own) if set(own) - {None} else (usual,)

    def generator(self, stage: str) -> Generator:
        """Return the random stream of ``stage``, for what is not drawn pixel by pixel."""
        return random_streams.generator(self.seed, self.exposure, self.chip.id, self._of_arm(stage), 0)

    def read_generator(self, stage: str) -> Generator:
        """Return the same for what differs from read to read."""
        return self.generator(self.read_name(stage))

    def read_name(self, stage: str) -> str:
        """Return the name of the stream of ``stage`` for what differs from read to read."""
        return stage if self.read is None else f"{stage}/{self.read}"

    def noise_key(self, stage: str) -> np.uint64:
        """Return the key of the deviates of ``stage`` (`elvis_cli.kernels.deviates`) in this exposure of the chip."""
        return np.uint64(random_streams.noise_key(self.seed, self.exposure, self.chip.id, self._of_arm(stage)))

    def _of_arm(self, stage: str) -> str:
        return f"{self.arm} {stage}" if self.arm else stage  # chips of two arms may have the same number

    def place(self, y: int) -> tuple[int, int]:
        """Return the row and the column, on the chip, of the first pixel of row ``y``: a window cuts the noise too."""
        return self.window.y0 + y, self.window.x0

    def normal(self, stage: str, shape: tuple[int, ...], y: int) -> Image:
        """Return normal deviates of ``stage`` for rows from ``y`` of the image."""
        from elvis_cli.kernels.deviates import fill_normal

        deviates = np.empty(shape, np.float32)
        fill_normal(deviates, self.noise_key(stage), *self.place(y))
        return deviates

    def key(self, stage: str) -> int:
        """Return the 64-bit key of the fixed pattern of ``stage`` on this chip."""
        return random_streams.pattern_key(self.instrument, self.detector.name, self.chip.id, stage)


@dataclass(frozen=True, slots=True)
class Stage(Generic[P]):
    """One effect. Exactly one of ``rows`` and ``image`` is set.

    The array holds electrons of one integration (the mean of ``count`` of them) up to the stage `gain`, ADU after it.
    """

    name: str
    title: str
    parameters: type[P]
    rows: Callable[[Image, int, P, StageContext], None] | None = None
    """``rows(array, y, parameters, context)`` works in place on the rows from ``y`` of the window; it must not
    depend on other rows. Called for blocks of ROWS rows from several threads."""
    image: Callable[[Image, P, StageContext], NDArray[Any]] | None = None
    """``image(array, parameters, context)`` sees the whole window and returns it, in place or as a new array (of
    another shape or type if need be)."""
    own: Callable[[StageContext], Mapping[str, Any] | None] | None = None
    """Parameters that are numbers of the chip or the detector (None where it has none); without the function, the
    instrument's table of this stage."""

    array: str = ""
    """What an image of the user's is for this stage, with its unit; "" = it takes none."""
    image_parameters: Mapping[str, Any] = field(default_factory=dict)
    """Parameters that do not matter where there is such an image and no table."""

    def configure(self, context: StageContext) -> P | None:
        """Return the checked parameters, or None when the instrument has no table for this stage.

        Raises
        ------
        ResourceError
            A parameter of the instrument is missing, unknown, or out of range.
        """
        table = self.own(context) if self.own else context.detector.stages.get(self.name)
        model = context.models.get(self.name)
        if model is None:
            where = f"{context.instrument}: {context.detector.name}: stages.{self.name}"
            return None if table is None else read(self.parameters, where, table)
        if model.arrays and not self.array:
            raise RequestError(f"/elvis/models/{self.name}/arrays", "this stage takes no image", allowed="parameters")
        try:
            return read(self.parameters, self.name, {**self.image_parameters, **(table or {}), **model.parameters})
        except ResourceError as error:
            found, allowed = error.details.get("found"), error.details.get("allowed")
            pointer = f"/elvis/models/{self.name}/parameters"
            reason = error.message.partition("; allowed")[0]
            raise RequestError(pointer, reason, found=found, allowed=allowed) from None

"""The user's models of the optics in place of the instrument's: `--model zero_point=FILE` and `distortion=FILE`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

from elvis_cli.base.parameters import number, read
from elvis_cli.errors import RequestError, ResourceError
from elvis_cli.model.elvis_block import Model as StageModel

Model = TypeVar("Model", "ZeroPoint", "Distortion")


@dataclass(frozen=True, slots=True)
class ZeroPoint:
    """A grey factor on the throughput."""

    shift: float = number("mag", -5.0, 5.0, "zero point less that of the instrument: above 0 there is more light")


@dataclass(frozen=True, slots=True)
class Distortion:
    """Radial distortion of the third order: r on the detector = r on the sky (1 + cubic r^2)."""

    cubic: float = number("1/arcsec2", -1e-2, 1e-2, "above 0 the corners are drawn out (pincushion)")


def throughput(models: Mapping[str, StageModel]) -> float:
    """Return what the instrument's throughput is multiplied by.

    Raises
    ------
    RequestError
        The model is not one number, ``shift``.
    """
    model = _model(models, "zero_point", ZeroPoint, "shift: -5..5 mag")
    return 1.0 if model is None else float(10.0 ** (0.4 * model.shift))


def distortion(models: Mapping[str, StageModel], design: float = 0.0) -> float:
    """Return the cubic term of the distortion, 1/arcsec2; that of the ``design`` where the user has no model.

    Raises
    ------
    RequestError
        The model is not one number, ``cubic``.
    """
    model = _model(models, "distortion", Distortion, "cubic: -0.01..0.01 1/arcsec2")
    return design if model is None else model.cubic


def _model(models: Mapping[str, StageModel], name: str, kind: type[Model], allowed: str) -> Model | None:
    """Return the parameters of the user's model, or None if it has none."""
    model = models.get(name)
    if model is None:
        return None
    try:
        if model.arrays:
            raise RequestError(f"/elvis/models/{name}/arrays", "this model is no image", allowed="parameters")
        return read(kind, name, model.parameters)
    except ResourceError as error:
        reason = error.message.partition("; allowed")[0]
        raise RequestError(f"/elvis/models/{name}/parameters", reason, allowed=allowed) from None

"""The user's zero point in place of the instrument's: `--model zero_point=FILE`."""

from __future__ import annotations

from dataclasses import dataclass

from elvis_cli.detector.stage import number, read
from elvis_cli.errors import RequestError, ResourceError
from elvis_cli.request import Request

NAME = "zero_point"


@dataclass(frozen=True, slots=True)
class Parameters:
    """A grey factor on the throughput."""

    shift: float = number("mag", -5.0, 5.0, "zero point less that of the instrument: above 0 there is more light")


def factor(request: Request) -> float:
    """Return what the throughput is multiplied by.

    Raises
    ------
    RequestError
        The model is not one number, ``shift``.
    """
    model = request.extras.models.get(NAME)
    if model is None:
        return 1.0
    try:
        if model.arrays:
            raise RequestError(f"/elvis/models/{NAME}/arrays", "a zero point is no image", allowed="parameters")
        return float(10.0 ** (0.4 * read(Parameters, NAME, model.parameters).shift))
    except ResourceError as error:
        reason = error.message.partition("; allowed")[0]
        raise RequestError(f"/elvis/models/{NAME}/parameters", reason, allowed="shift: -5..5 mag") from None

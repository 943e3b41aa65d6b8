"""Options that change a request, from text to keys of the block ``elvis``: of the command line and of the service."""

from __future__ import annotations

import math
from typing import Any

from elvis_cli.errors import UsageError

WINDOW_KEYS = ("x0", "y0", "nx", "ny")
LISTS = ("stages", "skip", "only", "also", "keep")
"""Options that are names separated by commas."""
ORDER = (
    "seed",
    "window",
    "chips",
    "pointing",
    "date",
    "sky",
    "product",
    "calibration",
    "lamp",
    "wavemap",
    "bare",
    "arm",
    "exposure",
    "stages",
    "skip",
    "only",
    "also",
    "order",
    "keep",
    "models",
    "readout",
    "reads",
    "truth",
)
"""Keys in the order in which they stand in the request that travels in the file."""


def block_keys(values: dict[str, Any]) -> dict[str, Any]:
    """Return keys of the block ``elvis`` from options by name; those that are None are left out.

    ``window``, ``chips`` and the lists of names are text; ``ra``, ``dec`` and ``pa`` become the pointing.

    Raises
    ------
    UsageError
        A list of numbers is malformed.
    """
    given = dict(values)
    window, chips = given.get("window"), given.get("chips")
    if window not in (None, "full"):
        given["window"] = dict(zip(WINDOW_KEYS, whole_numbers("--window", window, 4), strict=True))
    if chips not in (None, "all"):
        given["chips"] = whole_numbers("--chips", chips)
    for name in LISTS:
        given[name] = _names(given.get(name))
    pointing = {"ra": given.pop("ra", None), "dec": given.pop("dec", None), "position_angle": given.pop("pa", None)}
    given["pointing"] = {key: value for key, value in pointing.items() if value is not None} or None
    return {key: given[key] for key in ORDER if given.get(key) is not None}


def whole_numbers(option: str, text: str, count: int | None = None) -> list[int]:
    """Return whole numbers that are separated by commas, ``count`` of them if that is known.

    Raises
    ------
    UsageError
        The text is none.
    """
    try:
        numbers = [int(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    if not numbers or (count and len(numbers) != count):
        raise UsageError(f"{option}: {text!r} is not {count or 'a list of'} whole numbers separated by commas")
    return numbers


def picture_limits(text: str | None) -> tuple[float, float] | str | None:
    """Return the limits of a picture: "zscale", two numbers, or None.

    Raises
    ------
    UsageError
        The text is neither.
    """
    if text in (None, "zscale"):
        return text
    try:
        low, high = (float(part) for part in text.split(","))
    except ValueError:
        low = high = math.nan
    if not (math.isfinite(low) and math.isfinite(high)):
        raise UsageError(f"--limits: {text!r} is neither zscale nor two numbers LOW,HIGH")
    return low, high


def _names(text: str | None) -> list[str] | None:
    return None if text is None else [part.strip() for part in text.split(",") if part.strip()]

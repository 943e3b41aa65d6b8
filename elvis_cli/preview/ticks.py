"""Round numbers for axes and colour bars, and how to write them."""

from __future__ import annotations

import math
from collections.abc import Iterator

_ROUND = (5.0, 2.0, 1.0)


def step(span: float, count: int) -> float:
    """Return the least of 1, 2, 5 times a power of ten that parts ``span`` into at most ``count``."""
    power = 10.0 ** math.floor(math.log10(span / count))
    return next(factor * power for factor in (1.0, 2.0, 5.0, 10.0) if factor * power * count >= span * (1.0 - 1e-9))


def linear(low: float, high: float, count: int) -> list[tuple[float, str]]:
    """Return at most ``count`` + 1 round numbers in [low, high], evenly spaced, with their texts."""
    by = step(high - low, count)
    slack = 1e-6
    numbers = range(math.ceil(low / by - slack), math.floor(high / by + slack) + 1)
    return [(number * by, text(number * by, by)) for number in numbers]


def logarithmic(low: float, high: float, count: int) -> list[tuple[float, str]]:
    """Return at most about ``count`` round numbers in [low, high], both above 0, for a logarithmic axis."""
    first, last = math.ceil(math.log10(low) - 1e-9), math.floor(math.log10(high) + 1e-9)
    if last - first < 1:
        return linear(low, high, count)
    every = math.ceil((last - first + 1) / count)
    return [(10.0**power, text(10.0**power, 10.0**power)) for power in range(first, last + 1, every)]


def roundest(low: float, high: float) -> tuple[float, str]:
    """Return the number in [low, high] with the fewest digits, and its text."""
    if low <= 0.0 <= high:
        return 0.0, "0"
    for by in _steps(max(abs(low), abs(high))):
        number = math.ceil(low / by)
        if number * by <= high:
            return number * by, text(number * by, by)
    return low, text(low, abs(low) * 1e-6)


def text(value: float, by: float) -> str:
    """Return ``value`` with as many digits as tell it from ``value + by``."""
    if value == 0.0 or abs(value) < by * 1e-6:
        return "0"
    size, fine = math.floor(math.log10(abs(value)) + 1e-9), math.floor(math.log10(by) + 1e-9)
    if fine >= -4 and size < 6:
        return f"{value:.{max(0, -fine)}f}"
    mantissa, _, exponent = f"{value:.{min(15, max(0, size - fine))}e}".partition("e")
    return f"{mantissa}e{int(exponent)}"


def _steps(largest: float) -> Iterator[float]:
    top = math.ceil(math.log10(largest))
    for power in range(top, top - 13, -1):
        for factor in _ROUND:
            yield factor * 10.0**power

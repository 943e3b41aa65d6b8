"""The fraction of injected events that are found again, by their amplitude."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

from elvis_cli.observatory import detection
from elvis_cli.observatory.analysis import Analysis
from elvis_cli.observatory.parameters import Parameters

BINS = 20
"""Bins of amplitude, from the least to the largest."""


def events(
    parameters: Parameters, key: bytes, sources: Sequence[dict[str, Any]], found: Sequence[dict[str, Any]]
) -> Iterator[tuple[str, int, Any, bool]]:
    """Yield source, number, event and whether it was found of all events in sources with data.

    The events are drawn again from the key: they are stored nowhere.
    """
    analysis, name = Analysis(parameters), parameters.analysis.name
    seals: dict[str, set[str]] = {}
    for row in found:
        seals.setdefault(row["source"], set()).add(row["seal"])
    for row in sources:
        if not row["has_data"]:
            continue
        drawn = analysis.events(key, row["name"])
        own = seals.get(row["name"], set())
        hits = set(detection.injected_numbers(key, name, row["name"], own, len(drawn)))
        for number, event in enumerate(drawn):
            yield row["name"], number, event, number in hits


def injected_seals(parameters: Parameters, key: bytes, sources: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the events by the seals that their detections have."""
    analysis, name = Analysis(parameters), parameters.analysis.name
    return {
        detection.seal(key, name, row["name"], number, True): event
        for row in sources
        if row["has_data"]
        for number, event in enumerate(analysis.events(key, row["name"]))
    }


def efficiency(
    parameters: Parameters, key: bytes, sources: Sequence[dict[str, Any]], found: Sequence[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Return rows of amplitude (S/N or mag; the middle of its bin), injected, recovered, efficiency and its range.

    The range of 68 % is Wilson's (1927, JASA 22, 209).
    """
    p = parameters.simulator
    low, high = p.mag or p.snr
    step = (high - low) / BINS or 1.0
    injected, recovered = [0] * BINS, [0] * BINS
    for _, _, event, is_found in events(parameters, key, sources, found):
        amplitude = event.mag if p.mag is not None else event.snr
        place = min(int((amplitude - low) / step), BINS - 1)
        injected[place] += 1
        recovered[place] += is_found
    rows = []
    for n, (total, hits) in enumerate(zip(injected, recovered, strict=True)):
        if total:
            below, above = wilson(hits, total)
            row = {"amplitude": low + (n + 0.5) * step, "injected": total, "recovered": hits}
            rows.append({**row, "efficiency": hits / total, "low": below, "high": above})
    return rows


def wilson(hits: int, total: int, z: float = 1.0) -> tuple[float, float]:
    """Return Wilson's range of a fraction at ``z`` sigma."""
    p = hits / total
    middle = (p + z * z / (2 * total)) / (1 + z * z / total)
    half = z / (1 + z * z / total) * math.sqrt(p * (1 - p) / total + z * z / (4 * total * total))
    return max(0.0, middle - half), min(1.0, middle + half)

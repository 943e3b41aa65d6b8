"""Histograms that add: how many epochs of what quality were searched, over all sources."""

from __future__ import annotations

import json
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from elvis_cli.errors import ElvisError, ResourceError
from elvis_cli.observatory.parameters import HistogramParameters

Bin = tuple[int | str, ...]


@dataclass(frozen=True, slots=True)
class Axis:
    """An axis: bins by their centres, or labels.

    A fixed axis has ``low`` to ``high``, and counts what is below and above; a growing one has all centres
    ``low`` + n ``step``.
    """

    name: str
    kind: str
    """fixed, growing or labels."""
    low: float = 0.0
    high: float = 0.0
    step: float = 1.0

    @property
    def size(self) -> int:
        """Number of bins of a fixed axis, without those for below and above."""
        return round((self.high - self.low) / self.step) + 1

    def bins(self, values: NDArray[Any]) -> list[Any]:
        """Return the bin of each value: a number, or a label; None for NaN; -1 below and ``size`` above."""
        if self.kind == "labels":
            return [str(each) for each in np.asarray(values).tolist()]
        values = np.asarray(values, np.float64)
        finite = np.where(np.isnan(values), self.low, values)
        steps = (finite - self.low) / self.step
        if self.kind == "fixed":
            steps = np.clip(steps, -1.0, float(self.size))
        numbers = np.floor(np.clip(steps, -1e15, 1e15) + 0.5).astype(np.int64).tolist()
        return [None if bad else n for n, bad in zip(numbers, np.isnan(values).tolist(), strict=True)]

    def centre(self, place: int | str) -> float | str:
        """Return the centre of a bin, -inf or inf for below and above, or the label."""
        if isinstance(place, str):
            return place
        if self.kind == "fixed" and not 0 <= place < self.size:
            return float("-inf") if place < 0 else float("inf")
        return round(self.low + place * self.step, 9)


def axes_of(p: HistogramParameters) -> dict[str, Axis]:
    """Return the axes by name."""
    fixed = {key: Axis(key, "fixed", *getattr(p, key)) for key in ("snr", "dmag", "offset", "mag")}
    growing = Axis("exptime", "growing", p.exptime[0], 0.0, p.exptime[1])
    return fixed | {"exptime": growing, "filter": Axis("filter", "labels"), "quality": Axis("quality", "labels")}


@dataclass
class Histogram:
    """Counts of epochs by score, each score against the same other axes; a part for each source.

    ``a + b`` has the parts of both: it is commutative, associative, and a source of both counts once.
    """

    scores: tuple[str, ...] = ("snr", "dmag", "offset")
    others: tuple[str, ...] = ("mag", "exptime", "filter")
    parameters: HistogramParameters = field(default_factory=HistogramParameters)
    parts: dict[str, bytes] = field(default_factory=dict)

    @property
    def axes(self) -> dict[str, Axis]:
        """The axes that are used."""
        every = axes_of(self.parameters)
        return {key: every[key] for key in (*self.scores, *self.others)}

    @property
    def names(self) -> list[str]:
        """The sources."""
        return sorted(self.parts)

    def add(self, source: str, *data: Mapping[str, Any]) -> bool:
        """Add the epochs of a source: columns, or single values, by axis; False if it is there already.

        Raises
        ------
        ResourceError
            An axis has no data; the error names it.
        """
        if source in self.parts:
            return False
        self.parts[source] = pack(self.part(*data))
        return True

    def part(self, *data: Mapping[str, Any]) -> dict[str, Counter[Bin]]:
        """Return the counts of a source, by score."""
        counts: dict[str, Counter[Bin]] = {score: Counter() for score in self.scores}
        axes = self.axes
        for columns in data:
            for key in axes:
                if key not in columns:
                    raise ResourceError(f"the axis {key} of the histogram has no data", found=list(columns))
            size = max(np.size(columns[score]) for score in self.scores)
            bins = {key: axes[key].bins(np.broadcast_to(np.asarray(columns[key]), size)) for key in axes}
            for score in self.scores:
                rows = zip(bins[score], *(bins[key] for key in self.others), strict=True)
                counts[score].update(row for row in rows if None not in row)
        return counts

    def __add__(self, other: Histogram) -> Histogram:
        if (self.scores, self.others, self.parameters) != (other.scores, other.others, other.parameters):
            raise ElvisError("histograms of different axes cannot be added")
        for name in self.parts.keys() & other.parts.keys():
            if self.parts[name] != other.parts[name]:
                raise ElvisError(f"{name} has different epochs in the two histograms")
        return Histogram(self.scores, self.others, self.parameters, {**self.parts, **other.parts})

    def counts(self) -> dict[str, Counter[Bin]]:
        """Return the counts of all sources, by score."""
        return total(self.scores, self.parts.values())

    def along(self, axis: str) -> Counter[int | str]:
        """Return the counts along one axis; an axis besides the scores is taken with the first score."""
        score = axis if axis in self.scores else self.scores[0]
        place = 0 if axis in self.scores else 1 + self.others.index(axis)
        found: Counter[int | str] = Counter()
        for row, count in self.counts()[score].items():
            found[row[place]] += count
        return found


def total(scores: Iterable[str], parts: Iterable[bytes]) -> dict[str, Counter[Bin]]:
    """Return the sum of parts, one in memory at a time."""
    counts: dict[str, Counter[Bin]] = {score: Counter() for score in scores}
    for part in parts:
        for score, rows in unpack(part):
            counts[score].update(rows)
    return counts


def pack(part: Mapping[str, Counter[Bin]]) -> bytes:
    """Return a part as bytes, the same for the same counts."""
    plain = {score: [[*row, n] for row, n in sorted(rows.items(), key=lambda each: repr(each[0]))]
             for score, rows in sorted(part.items())}  # fmt: skip
    return zlib.compress(json.dumps(plain, separators=(",", ":")).encode(), 1)


def unpack(part: bytes) -> Iterator[tuple[str, dict[Bin, int]]]:
    """Yield score and counts of a part."""
    for score, rows in json.loads(zlib.decompress(part)).items():
        yield score, {tuple(row[:-1]): row[-1] for row in rows}


def tables(
    name: str,
    scores: Iterable[str],
    others: Iterable[str],
    axes: Mapping[str, Axis],
    counts: Mapping[str, Counter[Bin]],
) -> list[Any]:
    """Return FITS tables of the counts, one for each score, a row for each bin that is not empty."""
    from elvis_cli.product.fits import Table

    made = []
    for score in scores:
        keys = (score, *others)
        rows = sorted(counts[score].items(), key=lambda each: tuple(map(_order, each[0])))
        columns: dict[str, Any] = {}
        for n, key in enumerate(keys):
            centres = [axes[key].centre(row[n]) for row, _ in rows]
            columns[key] = centres if axes[key].kind == "labels" else np.array(centres, np.float64)
        columns["count"] = np.array([count for _, count in rows], np.int64)
        cards = [
            (f"AXIS{n}", f"{key} {axes[key].kind} {axes[key].low:g} {axes[key].high:g} {axes[key].step:g}", "axis")
            for n, key in enumerate(keys, 1)
        ]
        made.append(Table(f"{name}_{score}".upper(), columns, {"exptime": "s", "mag": "mag", "dmag": "mag"}, cards))
    return made


def _order(place: int | str) -> tuple[int, str]:
    return (place, "") if isinstance(place, int) else (0, place)

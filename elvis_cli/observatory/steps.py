"""Steps of a run, states of their tasks, and what was made of a source."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from elvis_cli.observatory.dataset import Dataset
from elvis_cli.observatory.source import Source

FETCH, REDUCE, ANALYSE = "fetch", "reduce", "analyse"
STEPS = (FETCH, REDUCE, ANALYSE)
OPEN, LEASED, DONE, FAILED = "open", "leased", "done", "failed"


@dataclass(slots=True)
class SourceResult:
    """What was made of a source: what `Store.commit` writes."""

    source: Source
    done: list[tuple[str, str]] = field(default_factory=list)
    """(observatory, step) of the tasks that were done."""
    reused: int = 0
    """Raw datasets that were there."""
    datasets: list[Dataset] = field(default_factory=list)
    """Without their data."""
    replaced: list[tuple[str, str]] = field(default_factory=list)
    """(observatory, level) whose datasets are all those above."""
    analysis: Any = None
    """`analysis.Result`, None if the source was not analysed."""
    failure: tuple[str, str, str] | None = None
    """Observatory, step and error."""

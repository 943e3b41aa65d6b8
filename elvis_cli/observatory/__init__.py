"""The virtual observatory: sources of a catalogue are observed, stored, calibrated and analysed.

The classes are loaded when they are asked for: ``from elvis_cli.observatory import Catalog, Analysis``.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_HOMES = {
    "Analysis": "analysis",
    "Calibration": "calibration",
    "Catalog": "catalog",
    "Dataset": "dataset",
    "Demo": "demo",
    "Detection": "detection",
    "Elvis": "simulated",
    "Files": "files",
    "Finder": "finder",
    "Histogram": "histogram",
    "ImageDataset": "dataset",
    "LightCurve": "lightcurve",
    "Observatory": "base",
    "Parameters": "parameters",
    "PhotometricDataset": "dataset",
    "Project": "project",
    "Quality": "quality",
    "Sia2": "virtual",
    "Simulator": "simulator",
    "Source": "source",
    "SpectralDataset": "dataset",
    "Tap": "virtual",
}

__all__ = sorted(_HOMES)  # noqa: PLE0605 - the names are those of the table


def __getattr__(name: str) -> Any:
    """Return a class, loading its module."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)

"""Parameters of a run: types, units, meanings and defaults; read from YAML and from options.

The later source wins: default, file, option.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import types
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from elvis_cli import __version__
from elvis_cli.base.merge import merge
from elvis_cli.errors import RequestError, ResourceError, UsageError, choice_error, json_pointer, nearest_name
from elvis_cli.model.limits import read_all
from elvis_cli.observing import yaml_text

T = TypeVar("T")

Range = tuple[float, ...]
"""Two numbers, the lower one first."""


def parameter(
    default: Any,
    text: str,
    unit: str = "",
    *,
    choices: Sequence[str] = (),
    low: float | None = None,
    high: float | None = None,
    length: int | None = None,
) -> Any:
    """Declare a parameter with what it means, its unit and what is allowed."""
    about = {"text": text, "unit": unit, "choices": tuple(choices), "low": low, "high": high, "length": length}
    if isinstance(default, dict):
        return dataclasses.field(default_factory=lambda: dict(default), metadata=about)
    return dataclasses.field(default=default, metadata=about)


def section(kind: type[Any], text: str) -> Any:
    """Declare a group of parameters."""
    return dataclasses.field(default_factory=kind, metadata={"text": text})


@dataclass(frozen=True)
class CatalogParameters:
    """Of the catalogue."""

    file: str | None = parameter(None, "CSV, ECSV, FITS, VOTable or HDF5; null draws random rows")
    tap: str | None = parameter(None, "address of a TAP service to ask in place of a file; it uses the network")
    query: str | None = parameter(None, "ADQL query for the TAP service")
    rows: int = parameter(10, "number of random rows, without a file", low=1, high=10_000_000)
    seed: int = parameter(1, "seed of the random rows", low=0)
    columns: dict[str, str] = parameter({}, "names of columns, where they are others: {ra: RAJ2000}")
    filter: str = parameter("R", "band of the column mag, without a column filter")
    epoch: float = parameter(2000.0, "time of the places, without a column epoch", "yr", low=1800, high=2200)
    at: float | None = parameter(None, "time of the observations, for proper motions", "yr", low=1800, high=2200)
    cone: tuple[float, ...] | None = parameter(None, "only sources within [ra, dec, radius]", "deg", length=3)
    mags: tuple[float, ...] | None = parameter(None, "only sources within [bright, faint]", "mag", length=2)
    merge_radius: float = parameter(2.0, "sources nearer to each other are one", "arcsec", low=0, high=3600)


@dataclass(frozen=True)
class CalibrationParameters:
    """Of the calibration, which is applied when data are loaded and never stored."""

    name: str = parameter("standard", "name of the calibration", choices=("standard", "none"))
    zero_points: dict[str, float] = parameter({}, "magnitudes to add, by filter", "mag")
    filters: dict[str, str] = parameter({}, "names of filters, by <observatory>-<filter> or <filter>")
    ignore_flags: bool = parameter(False, "take flagged epochs as good")


@dataclass(frozen=True)
class FinderParameters:
    """Of the search for events."""

    snr_threshold: float = parameter(5.0, "|dsnr| of the peak of an event", low=0.5, high=1000)
    snr_region: float = parameter(3.0, "|dsnr| down to which an event reaches", low=0, high=1000)
    max_detections: int = parameter(1, "detections in a light curve, the strongest first", low=1, high=1000)
    positive_only: bool = parameter(False, "only brightenings")
    remove_failed: bool = parameter(True, "drop detections with epochs of bad quality; else they carry quality_flag 1")


@dataclass(frozen=True)
class QualityParameters:
    """Of the quality of epochs."""

    offset_limit: float = parameter(3.5, "|r - median|/MAD of the place above which an epoch is bad", low=0.1)


@dataclass(frozen=True)
class SimulatorParameters:
    """Of the events that are injected."""

    kinds: tuple[str, ...] = parameter(
        ("flare", "dip"),
        "kinds of events, equally often",
        choices=("box", "gaussian", "flare", "dip", "transit", "step", "moving"),
    )
    snr: Range = parameter((5.0, 20.0), "amplitudes from, to, in units of the noise of an epoch", length=2, low=0)
    mag: tuple[float, ...] | None = parameter(
        None, "amplitudes from, to in magnitudes in place of snr", "mag", length=2, low=0
    )
    width: Range = parameter((0.5, 30.0), "widths from, to, evenly in their logarithm", "d", length=2, low=1e-6)
    level: str = parameter(
        "lightcurve",
        "where events are added: to light curves, or to requests, so that frames are rendered with them",
        choices=("lightcurve", "frames"),
    )


@dataclass(frozen=True)
class HistogramParameters:
    """Of the histograms: axes [low, high, step] by the centres of their bins."""

    snr: Range = parameter((-20.0, 20.0, 0.1), "signal-to-noise ratio of the change", length=3)
    dmag: Range = parameter((-3.0, 3.0, 0.1), "change, positive is brighter", "mag", length=3)
    offset: Range = parameter((-5.0, 5.0, 0.1), "place, (r - median)/MAD", length=3)
    mag: Range = parameter((15.0, 21.0, 0.5), "magnitude of the source", "mag", length=3)
    exptime: Range = parameter((30.0, 0.3), "growing axis: a centre and the step", "s", length=2)


@dataclass(frozen=True)
class AnalysisParameters:
    """Of the analysis."""

    name: str = parameter("events", "name of the analysis")
    num_injections: float = parameter(1.0, "mean number of injected events of a source", low=0, high=1000)
    save_detections: bool = parameter(True, "store detections")
    save_histograms: bool = parameter(True, "store histograms")
    save_processed: bool = parameter(False, "store the calibrated light curves that were searched")
    save_injected: bool = parameter(False, "store the light curves with injected events, of all sources alike")


@dataclass(frozen=True)
class Parameters:
    """All parameters of a run."""

    project: str = parameter("demo", "name of the project")
    output: str = parameter("run", "folder of the run, relative to this file")
    data: str | None = parameter(None, "folder of raw data, which runs may share; null is data in the run's folder")
    database: str | None = parameter(
        None,
        "null is SQLite in the run's folder; or postgresql+psycopg://host/name. Passwords belong into the environment:"
        " ELVIS_DATABASE or PGPASSWORD",
    )
    key: str | None = parameter(None, "file of the secret key of injections; null is run.key in the run's folder")
    version_control: bool = parameter(False, "the names of folder and config carry the hash of the parameters")
    max_failures: int = parameter(100, "failures after which a run stops", low=1)
    max_failures_in_row: int = parameter(10, "failures in a row after which a run stops", low=1)
    lease: float = parameter(60.0, "time after which another process may take over", "s", low=1, high=86400)
    catalog: CatalogParameters = section(CatalogParameters, "sources")
    observatories: dict[str, Any] = parameter({"demo": {}}, "observatories by name; a key `class` says which one it is")
    calibration: CalibrationParameters = section(CalibrationParameters, "raw to calibrated")
    quality: QualityParameters = section(QualityParameters, "quality of epochs")
    finder: FinderParameters = section(FinderParameters, "search for events")
    simulator: SimulatorParameters = section(SimulatorParameters, "injected events")
    histograms: HistogramParameters = section(HistogramParameters, "axes of the histograms")
    analysis: AnalysisParameters = section(AnalysisParameters, "analysis")

    @classmethod
    def load(cls, path: Path | None = None, options: Mapping[str, Any] | None = None) -> Parameters:
        """Return the parameters of a YAML file, changed by ``options`` (a merge patch).

        Raises
        ------
        ResourceError
            The file cannot be read.
        RequestError
            A key or a value is wrong; the error has its JSON pointer.
        """
        table: Any = {} if path is None else _yaml(path)
        return read(cls, merge(table, options or {}))

    def as_dict(self) -> dict[str, Any]:
        """Return the parameters as plain JSON values."""
        plain: dict[str, Any] = json.loads(json.dumps(dataclasses.asdict(self)))
        return plain

    @cached_property
    def science(self) -> dict[str, Any]:
        """The parameters that results depend on."""
        return {key: value for key, value in self.as_dict().items() if key not in _TECHNICAL}

    @cached_property
    def cfg_hash(self) -> str:
        """SHA-256 of the parameters that results depend on, as canonical JSON, and of the version."""
        return digest({"parameters": self.science, "version": __version__})


MAX_BYTES = 1 << 20
"""Of a file of parameters."""
_TECHNICAL = ("output", "data", "database", "key", "version_control", "max_failures", "max_failures_in_row", "lease")


def digest(value: Any) -> str:
    """Return the SHA-256 of a value as canonical JSON."""
    return hashlib.sha256(canonical(value).encode()).hexdigest()


def canonical(value: Any) -> str:
    """Return canonical JSON: keys sorted, no spaces."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def _yaml(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            table = yaml_text.parse(read_all(file, MAX_BYTES).decode())
    except OSError as error:
        raise ResourceError(f"cannot read {path}: {error.strerror}", path=str(path)) from None
    except ValueError as error:  # bytes that are no text, or a name of a file that cannot be
        raise RequestError("", f"{path} is not YAML: {' '.join(str(error).split())}") from None
    if table is None:
        return {}
    if not isinstance(table, dict) or not all(isinstance(key, str) for key in table):
        raise RequestError("", f"{path} is not a mapping of names to values")
    return table


def option(text: str) -> dict[str, Any]:
    """Return the merge patch of ``a.b=value``; the value is YAML.

    Raises
    ------
    UsageError
        It is not of this form.
    """
    path, equals, value = text.partition("=")
    if not equals or not path:
        raise UsageError(f"--set: {text!r} is not NAME=VALUE")
    try:
        patch: Any = yaml_text.parse(value)
    except RequestError as error:
        raise UsageError(f"--set: {value!r:.60}: {error.message}") from None
    for name in reversed(path.split(".")):
        patch = {name: patch}
    return dict(patch)


def _hints(kind: Any) -> dict[str, Any]:
    return get_type_hints(kind)


def read(kind: type[T], table: object, pointer: str = "") -> T:
    """Return the dataclass ``kind`` of a mapping of plain values; an integer does for a float.

    Raises
    ------
    RequestError
        A key is unknown, or a value has the wrong type or is not allowed.
    """
    if not isinstance(table, Mapping):
        raise RequestError(pointer, f"is {table!r:.60}", found=table, allowed="a mapping of names to values")
    declared = {each.name: each for each in fields(kind)}  # type: ignore[arg-type]
    for key in table:
        if key not in declared:
            where = pointer + json_pointer(key)
            raise RequestError(
                where, "unknown parameter", found=key, allowed=list(declared), nearest=nearest_name(key, declared)
            )
    values: dict[str, Any] = {}
    hints = _hints(kind)
    for key, value in table.items():
        hint, where = hints[key], pointer + json_pointer(key)
        if is_dataclass(hint):
            values[key] = read(hint, value, where)  # type: ignore[arg-type]
        else:
            values[key] = _converted(hint, value, where)
            _check(values[key], declared[key].metadata, where)
    return kind(**values)


_WORDS = {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}


def _converted(hint: Any, value: object, where: str) -> Any:
    if hint is Any:
        return value
    if isinstance(hint, types.UnionType) or get_origin(hint) is Union:
        if value is None:
            return None
        (hint,) = (each for each in get_args(hint) if each is not type(None))
    kind, inside = get_origin(hint) or hint, get_args(hint)
    if kind is tuple and isinstance(value, (list, tuple)):
        return tuple(_converted(inside[0], each, f"{where}/{n}") for n, each in enumerate(value))
    if kind is dict and isinstance(value, Mapping) and all(isinstance(key, str) for key in value):
        if inside[1] is Any:
            return dict(value)
        return {key: _converted(inside[1], each, where + json_pointer(key)) for key, each in value.items()}
    if kind in _WORDS and (type(value) is kind or (kind is float and type(value) is int)):
        return float(value) if kind is float else value  # type: ignore[arg-type]
    words = {tuple: "a list", dict: "a mapping"}.get(kind) or _WORDS[kind]
    raise RequestError(where, f"is {value!r:.60}", found=value, allowed=words)


def _check(value: Any, about: Mapping[str, Any], where: str) -> None:
    if value is None:
        return
    if about.get("length") is not None and len(value) != about["length"]:
        raise RequestError(where, f"has {len(value)} values", found=value, allowed=f"{about['length']} values")
    for each in value if isinstance(value, tuple) else (value,):
        if about.get("choices") and each not in about["choices"]:
            raise choice_error(where, each, about["choices"])
        if isinstance(each, float) and math.isnan(each):
            raise RequestError(where, "is not a number", allowed="a finite number")
        low, high = about.get("low"), about.get("high")
        if (low is not None and each < low) or (high is not None and each > high):
            shown = f"{'' if low is None else f'from {low:g}'}{'' if high is None else f' to {high:g}'} {about['unit']}"
            raise RequestError(where, f"is {each!r}", found=each, allowed=shown.strip())


def described(kind: type[Any], indent: int = 0) -> Iterator[tuple[int, str, Any, str]]:
    """Yield indent, name, default and meaning of each parameter of a dataclass; of a group the default is a type."""
    hints = _hints(kind)
    for each in fields(kind):
        hint = hints[each.name]
        about = each.metadata
        if is_dataclass(hint):
            yield indent, each.name, hint, about["text"]
            yield from described(hint, indent + 1)  # type: ignore[arg-type]
            continue
        default: Any = each.default
        if each.default_factory is not dataclasses.MISSING:
            default = each.default_factory()
        unit = f" [{about['unit']}]" if about["unit"] else ""
        allowed = f" ({', '.join(about['choices'])})" if about["choices"] else ""
        yield indent, each.name, default, f"{about['text']}{unit}{allowed}"

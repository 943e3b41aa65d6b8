"""A source fetched, reduced and analysed: what runs in a process of the pool or on a node of the cluster."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np

from elvis_cli import __version__, errors
from elvis_cli.errors import ElvisError, ResourceError
from elvis_cli.observatory import base
from elvis_cli.observatory.analysis import Analysis
from elvis_cli.observatory.base import Observatory
from elvis_cli.observatory.calibration import Calibration
from elvis_cli.observatory.dataset import (
    INJECTED,
    PROCESSED,
    RAW,
    REDUCED,
    Dataset,
    ImageDataset,
    PhotometricDataset,
    file_name,
)
from elvis_cli.observatory.lightcurve import LightCurve
from elvis_cli.observatory.parameters import Parameters
from elvis_cli.observatory.simulator import Event, Injection, brightening
from elvis_cli.observatory.source import Source
from elvis_cli.observatory.steps import ANALYSE, FETCH, REDUCE, SourceResult


@dataclass(frozen=True)
class RunSettings:
    """What all sources of a run share."""

    parameters: Parameters
    data: str
    """Folder of raw data."""
    folder: str
    """Folder of reduced data."""
    config_folder: str
    """Folder that files in the parameters are relative to."""
    key: bytes
    steps: tuple[str, ...]
    version: str = __version__

    @property
    def folders(self) -> dict[str, str]:
        """Folders by level."""
        return {RAW: self.data} | dict.fromkeys((REDUCED, PROCESSED, INJECTED), self.folder)


@dataclass(frozen=True)
class SourceTask:
    """Some sources with the datasets that are stored of each; a task for `batch.pool`."""

    run: RunSettings
    sources: tuple[tuple[Source, tuple[Dataset, ...]], ...]

    def do(self, settings: Any, report: Any) -> list[SourceResult]:
        """Return the result of each source; whatever is wrong with one is told in its result."""
        if self.run.version != __version__:
            return self.lost(ResourceError(f"this is ELVIS {__version__}, and the run is of {self.run.version}"))
        return [_Work(self.run, source, list(stored)).result() for source, stored in self.sources]

    def lost(self, error: ElvisError) -> list[SourceResult]:
        """Return the results of sources whose process ended."""
        return [SourceResult(one, failure=("", self.run.steps[0], error.message)) for one, _ in self.sources]


@lru_cache(maxsize=4)
def _observatories(settings_key: str, folder: str) -> list[Observatory]:
    return base.make_all(Parameters.load(None, {"observatories": json.loads(settings_key)}), folder)


def observatories(run: RunSettings) -> list[Observatory]:
    """Return the observatories of a run; kept in a process."""
    return _observatories(json.dumps(run.parameters.observatories), run.config_folder)


class _Work:
    """The work on one source."""

    def __init__(self, run: RunSettings, source: Source, stored: list[Dataset]) -> None:
        self.run, self.source, self.stored = run, source, stored
        self.made = SourceResult(source)
        self.at = ("", run.steps[0])

    def result(self) -> SourceResult:
        """Return what was made; of a failure its step and reason."""
        try:
            self._all()
        except Exception as error:  # whatever it is, the other sources go on
            self.made.failure = (*self.at, errors.expected(error).message)
        for each in self.made.datasets:
            each._data = None  # not to be sent
        return self.made

    def _all(self) -> None:
        seen = [one for one in observatories(self.run) if one.observes(self.source)]
        raws: dict[str, PhotometricDataset] = {}
        reduced: list[PhotometricDataset] = []
        for one in seen:
            if FETCH in self.run.steps:
                self.at = (one.name, FETCH)
                raws[one.name] = self._fetch(one)
                self.made.done.append(self.at)
            if REDUCE in self.run.steps:
                self.at = (one.name, REDUCE)
                raw = raws.get(one.name) or self._stored(one.name, RAW)[0]
                parts = one.reduce(raw, self.source)
                self._save(parts, one.name, REDUCED)
                reduced += parts
                self.made.done.append(self.at)
        if ANALYSE in self.run.steps:
            self.at = ("", ANALYSE)
            if REDUCE not in self.run.steps:
                reduced = [each for one in seen for each in self._stored(one.name, REDUCED)]
            self._analyse(reduced, seen)
            self.made.done.append(self.at)

    def _stored(self, observatory: str, level: str) -> list[Any]:
        which = observatory, level, PhotometricDataset.kind
        return [each for each in self.stored if (each.observatory, each.level, each.kind) == which]

    def _frames(self, observatory: str) -> list[Dataset]:
        """Return the frames that are stored."""
        which = observatory, ImageDataset.kind
        return [each for each in self.stored if (each.observatory, each.kind) == which]

    def _fetch(self, one: Observatory) -> PhotometricDataset:
        """Return the raw data: those that are there, or new ones."""
        path = file_name(PhotometricDataset.kind, one.name, self.source, RAW)
        sha256 = next((each.sha256 for each in self._stored(one.name, RAW)), "")
        there = PhotometricDataset(
            source_name=self.source.name, observatory=one.name, path=path, folder=self.run.data, sha256=sha256
        )
        with suppress(ResourceError):  # a damaged file is fetched again
            if there.load(missing="skip") is not None:
                same = there.meta.get("download") == one.download_hash
                if same or not one.parameters.check_download_pars:
                    there.sha256 = there.checksum()
                    self.made.reused += 1
                    return self._keep(there, one.name, self._frames(one.name))
        fetched = one.fetch(self.source)
        raw = replace(fetched, folder=self.run.data, frames=[])
        for each in fetched.frames:
            each.folder = self.run.data
            each.save(overwrite=True)
        raw.save(overwrite=True)  # the last: as long as it is not there all is fetched again
        return self._keep(raw, one.name, fetched.frames)

    def _keep(self, raw: PhotometricDataset, observatory: str, frames: Sequence[Dataset]) -> PhotometricDataset:
        self.made.datasets += [raw, *frames]
        self.made.replaced.append((observatory, RAW))
        return raw

    def _save(self, parts: Sequence[PhotometricDataset], observatory: str, level: str) -> None:
        for each in parts:
            each.folder = self.run.folder
            each.save(overwrite=True)
        self.made.datasets += parts
        self.made.replaced.append((observatory, level))

    def _analyse(self, reduced: Sequence[PhotometricDataset], seen: Sequence[Observatory]) -> None:
        p = self.run.parameters
        calibration, analysis = Calibration(p.calibration), Analysis(p)
        curves = [calibration.apply(each) for each in reduced if not each.is_empty]
        render = self._renderer(seen, calibration) if p.simulator.level == "frames" else None
        found = analysis.analyse(self.source, curves, self.run.key, render)
        for level, wanted, those in (
            (PROCESSED, p.analysis.save_processed, curves),
            (INJECTED, p.analysis.save_injected, found.injected),
        ):
            if wanted:
                for name in dict.fromkeys(one.name for one in seen):
                    own = [curve for curve in those if curve.observatory == name]
                    parts = [_processed(self.source, c, level, n, len(own)) for n, c in enumerate(own, 1)]
                    for part in parts:
                        part.calibration = calibration.identity
                    self._save(parts, name, level)
        found.injected = []
        self.made.analysis = found

    def _renderer(self, seen: Sequence[Observatory], calibration: Calibration) -> Any:
        """Return what renders the frames of a light curve again with an event."""

        def render(event: Event, injection: Injection, curve: LightCurve) -> LightCurve:
            (one,) = (each for each in seen if each.name == curve.observatory)
            raw = self._raw(one)
            change = brightening(event, injection, curve, np.asarray(raw.data["mjd"]))
            parts = one.reduce(one.render_with(self.source, raw, change), self.source)
            (part,) = (each for each in parts if (each.filter, each.series) == self._series(curve))
            return replace(calibration.apply(part), dataset=curve.dataset)

        return render

    def _raw(self, one: Observatory) -> PhotometricDataset:
        both = (*self.made.datasets, *self.stored)
        raws = [each for each in both if isinstance(each, PhotometricDataset) and each.level == RAW]
        return next(each for each in raws if each.observatory == one.name)

    def _series(self, curve: LightCurve) -> tuple[str, str]:
        those = [each for each in (*self.made.datasets, *self.stored) if each.path == curve.dataset]
        return those[0].filter, those[0].series


def _processed(source: Source, curve: LightCurve, level: str, n: int, parts: int) -> PhotometricDataset:
    """Return a dataset of a calibrated light curve."""
    columns: dict[str, Any] = {
        "mjd": curve.mjd,
        "exptime": curve.exptimes,
        "flux": curve.flux,
        "fluxerr": curve.fluxerr,
        "mag": curve.mag,
        "magerr": curve.magerr,
        "snr": curve.snr,
        "dsnr": curve.dsnr,
        "dmag": curve.dmag,
        "flag": curve.flag.astype(np.int32),
        "ra": curve.ra,
        "dec": curve.dec,
    }
    return PhotometricDataset.of(
        columns,
        source_name=source.name,
        observatory=curve.observatory,
        level=level,
        filter=curve.filter,
        series=curve.series,
        path=file_name(PhotometricDataset.kind, curve.observatory, source, level, n, parts),
    )

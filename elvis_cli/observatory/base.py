"""Observatories: what fetches raw data of a source and reduces them to light curves."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from importlib.metadata import entry_points
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from elvis_cli.base.arrays import Floats
from elvis_cli.errors import RequestError, choice_error, json_pointer
from elvis_cli.observatory import parameters as declared
from elvis_cli.observatory.dataset import RAW, REDUCED, Columns, PhotometricDataset, file_name
from elvis_cli.observatory.parameters import digest, parameter
from elvis_cli.observatory.source import Source, legal

ENTRY_POINTS = "elvis.observatories"
"""Group of the entry points of observatories."""


@dataclass(frozen=True)
class ReductionParameters:
    """Of all observatories: from raw photometry to light curves."""

    gap: float = parameter(40.0, "gap that ends a light curve", "d", low=0)
    drop_flagged: bool = parameter(False, "drop flagged epochs")
    group: str | None = parameter(None, "column whose values are light curves of their own: a sector, an object")
    radius: float = parameter(3.0, "light curves whose mean place is further off are dropped", "arcsec", low=0)
    max_dmag: float | None = parameter(
        None, "light curves whose median is further from the catalogue's magnitude are dropped", "mag", low=0
    )
    min_dec: float = parameter(-90.0, "southern limit", "deg", low=-90, high=90)
    max_dec: float = parameter(90.0, "northern limit", "deg", low=-90, high=90)
    max_mag: float = parameter(99.0, "faintest source", "mag")
    check_download_pars: bool = parameter(False, "fetch again what was fetched with other parameters")


@dataclass(frozen=True)
class Observatory(ABC):
    """Fetches raw photometry of sources, and reduces it.

    A subclass has `Parameters` (a frozen dataclass), `fetch`, and `reduce` if it differs. It keeps no state.
    """

    Parameters: ClassVar[type[ReductionParameters]] = ReductionParameters
    uses_network: ClassVar[bool] = False

    name: str
    """In capitals; of files and rows."""
    parameters: Any
    folder: str = ""
    """Folder that files in the parameters are relative to."""

    @property
    def download_hash(self) -> str:
        """Hash of the parameters that raw data depend on."""
        ours = set(ReductionParameters.__dataclass_fields__)
        return digest({key: value for key, value in asdict(self.parameters).items() if key not in ours})[:16]

    def observes(self, source: Source) -> bool:
        """Return whether a source is within the limits."""
        p = self.parameters
        return p.min_dec <= source.dec <= p.max_dec and not source.mag > p.max_mag

    @abstractmethod
    def fetch(self, source: Source) -> PhotometricDataset:
        """Return the raw photometry of a source; without epochs if there is none.

        Its ``meta`` may have ``local_name``, the observatory's own name of the source.
        """

    def raw(self, source: Source, columns: Columns, **meta: Any) -> PhotometricDataset:
        """Return a raw dataset of columns."""
        return PhotometricDataset.of(
            columns,
            source_name=source.name,
            observatory=self.name,
            path=file_name(PhotometricDataset.kind, self.name, source, RAW),
            meta={"download": self.download_hash, **meta},
        )

    def reduce(self, raw: PhotometricDataset, source: Source) -> list[PhotometricDataset]:
        """Return light curves: by filter, group and season, without those of another object."""
        p = self.parameters
        data = dict(raw.data)
        if not data or raw.number == 0:
            return []
        keep = np.isfinite(data["mjd"])
        if p.drop_flagged and "flag" in data:
            keep &= np.asarray(data["flag"]) == 0
        data = {key: values[keep] for key, values in data.items()}
        filters = data.get("filter", np.full(keep.sum(), raw.filter or source.filter))
        groups = data.get(p.group, np.zeros(keep.sum())) if p.group else np.zeros(keep.sum())
        found: list[tuple[str, str, Columns]] = []
        for filter_name in sorted(set(map(str, filters))):
            for value in np.unique(groups):
                inside = (filters == filter_name) & (groups == value)
                for season, part in enumerate(seasons(np.asarray(data["mjd"])[inside], p.gap)):
                    columns = {key: values[inside][part] for key, values in data.items()}
                    if self._is_of(columns, source):
                        series = f"{value}-{season}" if p.group else str(season)
                        found.append((filter_name, series, columns))
        return [self._reduced(source, raw, each, n, len(found)) for n, each in enumerate(found, 1)]

    def _reduced(
        self, source: Source, raw: PhotometricDataset, part: tuple[str, str, Columns], n: int, parts: int
    ) -> PhotometricDataset:
        return PhotometricDataset.of(
            part[2],
            source_name=source.name,
            observatory=self.name,
            level=REDUCED,
            filter=part[0],
            series=part[1],
            path=file_name(PhotometricDataset.kind, self.name, source, REDUCED, n, parts),
            meta={key: value for key, value in raw.meta.items() if key != "download"},
        )

    def _is_of(self, columns: Columns, source: Source) -> bool:
        """Return whether a light curve is of the source, by place and magnitude."""
        p = self.parameters
        if "ra" in columns and np.isfinite(columns["ra"]).any():
            dx = (np.nanmean(columns["ra"]) - source.ra + 180.0) % 360.0 - 180.0
            distance = np.hypot(dx * np.cos(np.radians(source.dec)), np.nanmean(columns["dec"]) - source.dec)
            if distance * 3600.0 > p.radius:
                return False
        if p.max_dmag is not None and "mag" in columns and np.isfinite(columns["mag"]).any():
            return bool(abs(np.nanmedian(columns["mag"]) - source.mag) <= p.max_dmag)
        return True

    def render_with(self, source: Source, raw: PhotometricDataset, brightening: Floats) -> PhotometricDataset:
        """Return raw data whose frames are rendered again with the source brighter by ``brightening`` (mag, (n,)).

        Raises
        ------
        RequestError
            This observatory renders no frames.
        """
        raise RequestError("/simulator/level", f"{self.name} renders no frames", found="frames", allowed=["lightcurve"])


def seasons(mjd: Floats, gap: float) -> list[slice]:
    """Return the parts of sorted times between which there are more than ``gap`` days."""
    if mjd.size == 0:
        return []
    cuts = [0, *(np.flatnonzero(np.diff(mjd) > gap) + 1).tolist(), mjd.size]
    return [slice(a, b) for a, b in pairwise(cuts)]


def registered() -> dict[str, Any]:
    """Return the entry points of observatories, by name."""
    return {each.name: each for each in entry_points(group=ENTRY_POINTS)}


def make(name: str, table: Mapping[str, Any], folder: str | Path = "") -> Observatory:
    """Return the observatory ``name`` of a table of parameters; its key ``class`` says which, by default the name.

    Raises
    ------
    RequestError
        There is no such observatory, or a parameter is wrong.
    """
    if not isinstance(table, Mapping) and table is not None:
        raise RequestError(f"/observatories{json_pointer(name)}", f"is {table!r:.60}", allowed="a mapping")
    values = dict(table or {})
    kind = str(values.pop("class", name)).lower()
    known = registered()
    pointer = f"/observatories{json_pointer(name)}"
    if kind not in known:
        raise choice_error(f"{pointer}/class", kind, sorted(known))
    cls: type[Observatory] = known[kind].load()
    read = declared.read(cls.Parameters, values, pointer)
    return cls(legal(name), read, str(folder))


def make_all(parameters: declared.Parameters, folder: str | Path = "") -> list[Observatory]:
    """Return the observatories of a run, in the order of the parameters."""
    made = [make(name, table, folder) for name, table in parameters.observatories.items()]
    names = [one.name for one in made]
    for name in names:
        if names.count(name) > 1:
            raise RequestError("/observatories", f"two observatories have the name {name}")
    return made


def replaced(observatory: Observatory, **changes: Any) -> Observatory:
    """Return an observatory with other parameters."""
    return replace(observatory, parameters=replace(observatory.parameters, **changes))

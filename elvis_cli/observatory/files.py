"""An observatory of files: a table of photometry for each source, by name or by place."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from elvis_cli.errors import ResourceError
from elvis_cli.observatory.base import Observatory, ReductionParameters
from elvis_cli.observatory.catalog import Catalog, read_table
from elvis_cli.observatory.columns import SYNONYMS, recognise
from elvis_cli.observatory.dataset import PhotometricDataset
from elvis_cli.observatory.parameters import parameter
from elvis_cli.observatory.source import Source


@dataclass(frozen=True)
class FilesParameters(ReductionParameters):
    """Of the observatory of files."""

    path: str = parameter(
        "{name}.csv", "file of a source, relative to the file of parameters; {name} is any of its names"
    )
    index: str | None = parameter(
        None,
        "table with the columns file, ra, dec, perhaps name, in place of path: sources are matched by their places",
    )
    match_radius: float = parameter(2.0, "distance within which an entry of the index is the source", "arcsec", low=0)
    columns: dict[str, str] = parameter({}, "names of columns, where they are others: {mjd: HJD}")
    exptime: float | None = parameter(None, "exposure time of tables that do not have it", "s", low=0)
    filter: str | None = parameter(None, "filter of tables that do not have it")


@dataclass(frozen=True)
class Files(Observatory):
    """Reads photometry from CSV, ECSV, FITS, VOTable and HDF5 files."""

    Parameters: ClassVar[type[ReductionParameters]] = FilesParameters

    def fetch(self, source: Source) -> PhotometricDataset:
        """Return the photometry in the file of a source."""
        path, name = self._file(source)
        if path is None:
            return self.raw(source, {})
        columns = photometry(columns_of(read_table(path)), self.parameters)
        return self.raw(source, columns, local_name=name, file=path.name)

    def _file(self, source: Source) -> tuple[Path | None, str | None]:
        """Return the file of a source, and the source's name in it; None without one."""
        p, folder = self.parameters, Path(self.folder)
        if p.index is None:
            for name in (*source.aliases, source.name):
                path = folder / p.path.replace("{name}", name)
                if path.is_file():
                    return path, name
            return None, None
        index, files = _index(str(folder / p.index))
        entry = index.nearest_number(source.ra, source.dec, p.match_radius)
        if entry is None:
            return None, None
        return (folder / p.index).parent / files[entry], str(index.columns["name"][entry])


@lru_cache(maxsize=8)
def _index(path: str) -> tuple[Catalog, list[str]]:
    """Return the places of an index, and its files."""
    table = read_table(Path(path))
    if "file" not in table.colnames:
        raise ResourceError(f"{path} has no column file", allowed=["file", "ra", "dec", "name"], path=path)
    names = {} if "name" in table.colnames else {"name": "file"}
    return Catalog.of_table(table, names), [str(each) for each in table["file"]]


def columns_of(table: Any) -> dict[str, NDArray[Any]]:
    """Return the columns of a table as arrays; missing numbers are NaN."""
    found = {}
    for name in table.colnames:
        values = table[name]
        if hasattr(values, "filled"):
            values = values.astype(float).filled(np.nan) if values.dtype.kind in "fi" else values.filled("")
        found[name] = np.asarray(values)
    return found


def photometry(table: dict[str, NDArray[Any]], parameters: Any) -> dict[str, NDArray[Any]]:
    """Return a table's columns of photometry under our names, with ``exptime`` and ``filter`` of the parameters."""
    p = parameters
    for own, name in p.columns.items():
        if name not in table:
            raise ResourceError(f"no column {name} for {own}", found=list(table))
    renamed = {own: table[name] for own, name in p.columns.items()}
    others = {key: values for key, values in table.items() if key not in p.columns.values()}
    keep = tuple(key for key in (p.group,) if key)
    columns = recognise({**renamed, **{k: v for k, v in others.items() if k not in renamed}}, keep)
    for key, value in (("exptime", p.exptime), ("filter", p.filter)):
        if key not in columns and value is not None:
            columns[key] = np.full(columns["mjd"].size, value)
    unknown = set(p.columns) - set(SYNONYMS) - set(keep)
    if unknown:
        raise ResourceError(f"{sorted(unknown)[0]} is not a column of photometry", allowed=list(SYNONYMS))
    return columns

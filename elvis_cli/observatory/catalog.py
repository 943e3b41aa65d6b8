"""A catalogue of sources: read, drawn at random or asked of a TAP service; looked up by name, number or place."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from elvis_cli.base.arrays import Floats
from elvis_cli.errors import RequestError, ResourceError, nearest_name
from elvis_cli.observatory.parameters import CatalogParameters
from elvis_cli.observatory.source import Source, chord, legal, merged, unit_vectors

NUMBERS = ("ra", "dec", "mag", "magerr", "pmra", "pmdec", "parallax", "epoch")
"""Columns of numbers: deg, mag, mas/yr, mas, yr; pmra includes cos(dec)."""
TEXTS = ("name", "filter", "aliases")
NEEDED = ("name", "ra", "dec")
READERS = {
    ".csv": "ascii.csv",
    ".ecsv": "ascii.ecsv",
    ".fits": "fits",
    ".xml": "votable",
    ".vot": "votable",
}


@dataclass(frozen=True, eq=False)
class Catalog:
    """Columns of n sources; each is an array (n,)."""

    columns: Mapping[str, NDArray[Any]]
    filter: str = "R"
    epoch: float = 2000.0
    bands: Mapping[str, Floats] = field(default_factory=dict)
    """Further magnitudes by band: columns mag_BAND."""

    @classmethod
    def load(cls, parameters: CatalogParameters, folder: Path = Path()) -> Catalog:
        """Return the catalogue that the parameters name; a file is relative to ``folder``.

        Raises
        ------
        ResourceError
            It cannot be read, or a column is missing.
        """
        if parameters.tap is not None:
            from elvis_cli.observatory.virtual import query

            table: Any = query(parameters.tap, parameters.query or "")
        elif parameters.file is not None:
            table = read_table(folder / parameters.file)
        else:
            return cls.random(parameters.rows, parameters.seed, parameters.filter).cut(parameters.cone, parameters.mags)
        found = cls.of_table(table, parameters.columns, parameters.filter, parameters.epoch)
        return found.cut(parameters.cone, parameters.mags)

    @classmethod
    def random(cls, rows: int = 10, seed: int = 1, filter: str = "R") -> Catalog:
        """Return ``rows`` sources evenly over the sky, of 15 to 20 mag, named by their places."""
        random = np.random.default_rng(seed)
        ra = random.uniform(0.0, 360.0, rows)
        dec = np.degrees(np.arcsin(random.uniform(-1.0, 1.0, rows)))
        mag = random.uniform(15.0, 20.0, rows)
        columns = {
            "name": np.array([_sexagesimal(a, d) for a, d in zip(ra.tolist(), dec.tolist(), strict=True)]),
            "ra": ra,
            "dec": dec,
            "mag": mag,
            "magerr": random.uniform(0.01, 0.1, rows),
        }
        return cls(columns, filter)

    @classmethod
    def of_table(
        cls, table: Any, names: Mapping[str, str] | None = None, filter: str = "R", epoch: float = 2000.0
    ) -> Catalog:
        """Return the catalogue of a table; ``names`` maps our names of columns to the table's.

        Raises
        ------
        ResourceError
            A column is missing, or a value is not a number.
        """
        names = names or {}
        present = {name.lower(): name for name in reversed(table.colnames)}
        columns: dict[str, NDArray[Any]] = {}
        for unknown in set(names) - {*NUMBERS, *TEXTS} - {name for name in names if name.startswith("mag_")}:
            nearest = nearest_name(unknown, (*NUMBERS, *TEXTS))
            raise RequestError(
                f"/catalog/columns/{unknown}", "unknown column", allowed=[*NUMBERS, *TEXTS], nearest=nearest
            )
        bands = {key[4:]: present[key] for key in present if key.startswith("mag_")}
        bands |= {key[4:]: name for key, name in names.items() if key.startswith("mag_")}
        for key in (*NUMBERS, *TEXTS):
            own = names.get(key) or present.get(key)
            if own is None:
                if key in NEEDED:
                    nearest = nearest_name(key, table.colnames)
                    raise ResourceError(
                        f"the catalogue has no column {key}" + (f"; did you mean {nearest!r}?" if nearest else ""),
                        allowed=list(table.colnames),
                    )
                continue
            if own not in table.colnames:
                raise ResourceError(f"the catalogue has no column {own}", allowed=list(table.colnames))
            columns[key] = _numbers(table, own) if key in NUMBERS else _texts(table, own)
        return cls(columns, filter, epoch, {band.upper(): _numbers(table, own) for band, own in bands.items()})

    def __len__(self) -> int:
        return int(self.columns["ra"].size)

    def cut(self, cone: tuple[float, ...] | None = None, mags: tuple[float, ...] | None = None) -> Catalog:
        """Return the sources within a cone (ra, dec, radius, deg) and a range of magnitudes."""
        kept = np.ones(len(self), bool)
        if cone is not None:
            middle = unit_vectors(np.array(cone[0]), np.array(cone[1]))
            distance = np.linalg.norm(self.vectors - middle, axis=1)
            kept &= distance <= chord(cone[2] * 3600.0)
        if mags is not None:
            mag = self.columns.get("mag", np.full(len(self), np.nan))
            kept &= (mag >= mags[0]) & (mag <= mags[1])
        if kept.all():
            return self
        columns = {key: values[kept] for key, values in self.columns.items()}
        return Catalog(columns, self.filter, self.epoch, {key: each[kept] for key, each in self.bands.items()})

    @cached_property
    def vectors(self) -> Floats:
        """Unit vectors (n, 3) of the places."""
        return unit_vectors(self.columns["ra"], self.columns["dec"])

    @cached_property
    def _tree(self) -> Any:
        from scipy.spatial import cKDTree

        return cKDTree(self.vectors)

    @cached_property
    def _numbers_by_name(self) -> dict[str, int]:
        return {name: n for n, name in reversed(list(enumerate(self.columns["name"].tolist())))}

    @cached_property
    def hash(self) -> str:
        """SHA-256 of names and places."""
        total = hashlib.sha256("\n".join(map(str, self.columns["name"].tolist())).encode())
        for key in ("ra", "dec"):
            total.update(np.ascontiguousarray(self.columns[key], "<f8").tobytes())
        return total.hexdigest()

    def row(self, which: int | str, at: float | None = None, mag: str | None = None) -> Source:
        """Return a source by number (negative ones from the end) or name.

        ``at`` (Julian year) moves it by its proper motion, ``mag`` prefers the magnitude of a band.

        Raises
        ------
        ResourceError
            There is no such source, or no magnitude of that band.
        """
        if isinstance(which, str):
            if which not in self._numbers_by_name:
                nearest = nearest_name(which, self._numbers_by_name)
                raise ResourceError(f"no source {which!r}" + (f"; did you mean {nearest!r}?" if nearest else ""))
            which = self._numbers_by_name[which]
        if not -len(self) <= which < len(self):
            raise ResourceError(f"no source of number {which}: 0 to {len(self) - 1}")
        return self._source(which % len(self), *self._places(at, which % len(self)), mag)

    def nearest(self, ra: float, dec: float, radius: float = 2.0) -> Source | None:
        """Return the nearest source within ``radius`` arcsec of a place (deg), None without one."""
        number = self.nearest_number(ra, dec, radius)
        return None if number is None else self.row(number)

    def nearest_number(self, ra: float, dec: float, radius: float = 2.0) -> int | None:
        """Return the number of the nearest source within ``radius`` arcsec of a place (deg)."""
        distance, number = self._tree.query(unit_vectors(np.array(ra), np.array(dec)))
        return int(number) if distance <= chord(radius) else None

    def within(self, ra: float, dec: float, radius: float) -> list[int]:
        """Return the numbers of the sources within ``radius`` arcsec of a place (deg)."""
        return sorted(self._tree.query_ball_point(unit_vectors(np.array(ra), np.array(dec)), chord(radius)))

    def sources(self, at: float | None = None, merge_radius: float = 2.0) -> list[Source]:
        """Return all sources, at time ``at`` (Julian year), those within ``merge_radius`` arcsec as one.

        Raises
        ------
        ResourceError
            Two sources have the same name.
        """
        ra, dec = self._places(at)
        found = merged([self._source(n, ra, dec, None) for n in range(len(self))], merge_radius)
        seen: dict[str, str] = {}
        for one in found:
            if one.name in seen:
                raise ResourceError(f"two sources have the name {one.name}: {one.aliases[:1]} and {seen[one.name]}")
            seen[one.name] = str(one.aliases[:1])
        return found

    def _source(self, n: int, ra: Floats, dec: Floats, band: str | None) -> Source:
        def number(key: str) -> float:
            return float(self.columns[key][n]) if key in self.columns else float("nan")

        name = str(self.columns["name"][n])
        aliases = [name] if legal(name) != name else []
        if "aliases" in self.columns:
            aliases += [each.strip() for each in str(self.columns["aliases"][n]).split(";") if each.strip()]
        own = str(self.columns["filter"][n]) if "filter" in self.columns else self.filter
        mag = number("mag")
        if band is not None and band.upper() != own.upper():
            if band.upper() not in self.bands:
                raise ResourceError(f"the catalogue has no magnitude in {band}", allowed=[own, *self.bands])
            own, mag = band, float(self.bands[band.upper()][n])
        where = 0 if ra.size == 1 else n
        return Source(
            legal(name), float(ra[where]) % 360.0, float(dec[where]), mag, number("magerr"), own, tuple(aliases)
        )

    def _places(self, at: float | None, only: int | None = None) -> tuple[Floats, Floats]:
        """Return places (deg) at a time; proper motion as a straight line in space (ERFA pmsafe)."""
        part = slice(None) if only is None else slice(only, only + 1)
        ra, dec = self.columns["ra"][part], self.columns["dec"][part]
        if at is None or "pmra" not in self.columns or "pmdec" not in self.columns:
            return ra, dec
        import erfa  # type: ignore[import-untyped]

        def known(key: str, default: float) -> Floats:
            values = self.columns[key][part] if key in self.columns else np.full(ra.size, default)
            return np.where(np.isfinite(values), values, default)

        a, d = np.radians(ra), np.radians(dec)
        rate = np.radians(known("pmra", 0.0) / 3.6e6) / np.cos(d), np.radians(known("pmdec", 0.0) / 3.6e6)
        days = 365.25 * (np.array([0.0, at - 2000.0])[:, None] + np.stack([known("epoch", self.epoch) - 2000.0, 0 * a]))
        parallax = np.maximum(known("parallax", 0.0), 1e-4) / 1000.0
        moved = erfa.pmsafe(a, d, *rate, parallax, 0.0, 2451545.0, days[0], 2451545.0, days[1])
        return np.degrees(moved[0]) % 360.0, np.degrees(moved[1])

    def __iter__(self) -> Iterator[Source]:
        return iter(self.sources(merge_radius=0.0))


def read_table(path: Path) -> Any:
    """Return the table in a CSV, ECSV, FITS, VOTable or HDF5 file.

    Raises
    ------
    ResourceError
        It cannot be read.
    """
    from astropy.table import Table

    if not path.is_file():
        raise ResourceError(f"there is no file {path}", path=str(path))
    kind = path.suffix.lower()
    try:
        if kind in (".h5", ".hdf5"):
            return _read_hdf5(path)
        if kind not in READERS:
            raise ResourceError(f"{path}: unknown kind of file", allowed=[*READERS, ".h5", ".hdf5"], path=str(path))
        if kind == ".csv":
            return Table.read(path, format="ascii.fast_csv", fast_reader={"use_fast_converter": False})
        return Table.read(path, format=READERS[kind])
    except (ResourceError, MemoryError):
        raise
    except Exception as error:  # astropy's many readers raise anything
        raise ResourceError(f"{path} cannot be read: {' '.join(str(error).split())}", path=str(path)) from None


def _read_hdf5(path: Path) -> Any:
    """Return the table of an HDF5 file: one dataset with named fields, or a dataset for each column."""
    from astropy.table import Table

    try:
        import h5py
    except ImportError:
        raise ResourceError("HDF5 needs h5py: pip install 'elvis-cli[hdf5]'") from None
    with h5py.File(path) as file:
        content: Any = file
        while len(content) == 1 and not isinstance(content, h5py.Dataset):
            content = content[next(iter(content))]
        if isinstance(content, h5py.Dataset):
            return Table(content[:])
        return Table({key: content[key][:] for key in content if isinstance(content[key], h5py.Dataset)})


def _numbers(table: Any, name: str) -> Floats:
    values = table[name]
    filled = values.filled(np.nan) if hasattr(values, "filled") and values.dtype.kind == "f" else values
    try:
        return np.ascontiguousarray(np.asarray(filled), np.float64)
    except ValueError:
        raise ResourceError(f"the catalogue's column {name} is not of numbers") from None


def _texts(table: Any, name: str) -> NDArray[Any]:
    values = np.asarray(table[name])
    if values.dtype.kind in "SO":
        return np.array([each.decode() if isinstance(each, bytes) else str(each) for each in values.tolist()])
    return values.astype(str)


def _sexagesimal(ra: float, dec: float) -> str:
    """Return J and a place: hours, minutes, seconds; degrees, minutes, seconds."""
    a, d = round(ra / 15.0 * 360000.0) % (24 * 360000), round(abs(dec) * 36000.0)
    sign = "-" if dec < 0 else "+"
    return (
        f"J{a // 360000:02d}{a // 6000 % 60:02d}{a % 6000 / 100:05.2f}"
        f"{sign}{d // 36000:02d}{d // 600 % 60:02d}{d % 600 / 10:04.1f}"
    )

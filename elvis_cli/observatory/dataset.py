"""Data of a source: metadata here, data in a FITS file that is read when it is needed."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from elvis_cli.errors import OutputError, ResourceError
from elvis_cli.observatory.columns import UNITS
from elvis_cli.observatory.source import Source

RAW, REDUCED, PROCESSED, INJECTED = "raw", "reduced", "processed", "injected"
LEVELS = (RAW, REDUCED, PROCESSED, INJECTED)
Columns = Mapping[str, NDArray[Any]]


def file_name(kind: str, observatory: str, source: Source, level: str, part: int = 1, parts: int = 1) -> str:
    """Return the path of a file, relative to the folder of its level."""
    name = f"{observatory}_{kind}_{source.name}"
    if level != RAW:
        name += f"_{level}_{part:02d}_of_{parts:02d}"
    return f"{observatory}/{source.folder}/{name}.fits"


@dataclass(kw_only=True)
class Dataset:
    """Data of one source from one observatory, at one level."""

    kind: ClassVar[str] = "data"

    source_name: str
    observatory: str
    level: str = RAW
    filter: str = ""
    series: str = ""
    """Which of several: a season, a sector."""
    path: str = ""
    """File, relative to ``folder``; an absolute one stays so."""
    folder: str = ""
    sha256: str = ""
    number: int = 0
    """Of epochs."""
    t_start: float | None = None
    """MJD."""
    t_end: float | None = None
    calibration: str = ""
    meta: dict[str, Any] = field(default_factory=dict)
    """What the observatory tells besides: plain JSON values."""
    _data: Any = field(default=None, repr=False, compare=False)

    @property
    def file(self) -> Path:
        """The whole path of the file."""
        return Path(os.path.normpath(Path(self.folder, self.path)))  # a folder that is left again need not exist

    @property
    def is_empty(self) -> bool:
        """Whether the observatory has nothing of this source."""
        return self.number == 0

    @property
    def data(self) -> Any:
        """The data; the file is read at the first time."""
        if self._data is None:
            self.load()
        return self._data

    def checksum(self) -> str:
        """Return the SHA-256 of the file."""
        try:
            return hashlib.sha256(self.file.read_bytes()).hexdigest()
        except OSError as error:
            raise ResourceError(f"cannot read {self.file}: {error.strerror}", path=str(self.file)) from None

    def load(self, missing: str = "error") -> Self | None:
        """Read the file; a missing one is an error, or with ``missing="skip"`` None is returned.

        Raises
        ------
        ResourceError
            The file is missing, or is not what was written.
        """
        if missing == "skip" and not self.file.is_file():
            return None
        try:
            content = self.file.read_bytes()
        except OSError as error:
            raise ResourceError(f"cannot read {self.file}: {error.strerror}", path=str(self.file)) from None
        if self.sha256 and hashlib.sha256(content).hexdigest() != self.sha256:
            raise ResourceError(f"{self.file} is not what was written: its checksum is another", path=str(self.file))
        self._take(content)
        return self

    def save(self, overwrite: bool = False) -> None:
        """Write the file, whole or not at all.

        Raises
        ------
        OutputError
            It exists, and ``overwrite`` is not set; or it cannot be written.
        """
        if self.file.exists() and not overwrite:
            raise OutputError(f"{self.file} exists: overwrite would replace it", path=str(self.file))
        content = self._bytes()
        from elvis_cli.product.sinks import file_sink

        self.file.parent.mkdir(parents=True, exist_ok=True)
        with file_sink(self.file) as out:
            out.write(content)
        self.sha256 = hashlib.sha256(content).hexdigest()

    def delete(self) -> None:
        """Delete the file, if there is one."""
        self.file.unlink(missing_ok=True)

    def _bytes(self) -> bytes:
        raise NotImplementedError

    def _take(self, content: bytes) -> None:
        raise NotImplementedError


@dataclass(kw_only=True)
class _TableDataset(Dataset):
    """Data that are columns of one length."""

    extension: ClassVar[str] = "DATA"
    units: ClassVar[Mapping[str, str]] = {}

    @classmethod
    def of(cls, columns: Columns, **about: Any) -> Self:
        """Return a dataset of columns."""
        made = cls(**about)
        made._set(dict(columns))
        return made

    def _set(self, columns: dict[str, NDArray[Any]]) -> None:
        self._data = columns
        self.number = len(next(iter(columns.values()))) if columns else 0

    def _bytes(self) -> bytes:
        import io

        from elvis_cli.product.cards import text_rows
        from elvis_cli.product.fits import Table, write_file

        about = {"kind": self.kind, **{key: getattr(self, key) for key in _ABOUT}, "meta": self.meta}
        out = io.BytesIO()
        words = json.dumps(about, sort_keys=True)
        tables = [Table("METADATA", {"JSON": text_rows(words)})]
        if self.number:
            tables.insert(0, Table(self.extension, self.data, self.units))
        write_file(out, [("ORIGIN", "ELVIS", "observatory")], [], tables)
        return out.getvalue()

    def _take(self, content: bytes) -> None:
        columns, about = read_tables(content, str(self.file))
        self.meta = about["meta"]
        self._set(columns)


_ABOUT = ("source_name", "observatory", "level", "filter", "series")


def read_tables(content: bytes, name: str) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """Return the columns of a file of ours and its metadata.

    Raises
    ------
    ResourceError
        It is another file.
    """
    from io import BytesIO

    from astropy.io import fits

    try:
        with fits.open(BytesIO(content), memmap=False) as hdus:
            columns: dict[str, NDArray[Any]] = {}
            about: dict[str, Any] = json.loads("".join(hdus["METADATA"].data["JSON"].tolist()))
            if len(hdus) > 2:
                rows = hdus[1].data.view(np.ndarray)
                for key in rows.dtype.names:
                    values = rows[key]
                    native = values.dtype.newbyteorder("=")
                    columns[key] = np.char.decode(values, "ascii") if native.kind == "S" else values.astype(native)
    except (OSError, KeyError, ValueError, TypeError) as error:
        raise ResourceError(f"{name} is not a dataset of ELVIS: {error}", path=name) from None
    return columns, about


@dataclass(kw_only=True)
class PhotometricDataset(_TableDataset):
    """Epochs of a source: mjd, exptime (s), mag, magerr, flux, fluxerr (uJy), filter, flag, ra, dec (deg)."""

    kind: ClassVar[str] = "photometry"
    extension: ClassVar[str] = "PHOTOMETRY"
    units: ClassVar[Mapping[str, str]] = UNITS

    frames: list[ImageDataset] = field(default_factory=list, repr=False, compare=False)
    """The frames behind raw data that are to be kept; they are datasets of their own."""

    def _set(self, columns: dict[str, NDArray[Any]]) -> None:
        super()._set(columns)
        if self.number:
            self.t_start, self.t_end = float(columns["mjd"].min()), float(columns["mjd"].max())
        else:
            self.t_start = self.t_end = None


@dataclass(kw_only=True)
class SpectralDataset(_TableDataset):
    """A spectrum of a source: wave (um), flux, fluxerr, flag."""

    kind: ClassVar[str] = "spectra"
    extension: ClassVar[str] = "SPECTRUM"
    units: ClassVar[Mapping[str, str]] = {"wave": "um"}


@dataclass(kw_only=True)
class ImageDataset(Dataset):
    """A frame or a product: the bytes of a FITS file as they are."""

    kind: ClassVar[str] = "images"

    def _bytes(self) -> bytes:
        return bytes(self.data)

    def _take(self, content: bytes) -> None:
        self._data = content
        self.number = 1

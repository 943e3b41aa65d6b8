"""Raw files as the reduction sees them: headers and pixels, whether they are on disk or in memory."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from elvis_cli.base.arrays import Image
from elvis_cli.errors import ResourceError, UsageError
from elvis_cli.request.files import guard

NUMBERS = re.compile(
    r"RA|DEC|MJD-(OBS|END)|EXPTIME|SPEC_RES|(CRPIX|CRVAL)\d|(CD|PC)\d_\d|ESO (DET (DIT|NDIT|CHIP1? (GAIN|RON|DARK)"
    r"|OUT1 (PRSC|OVSC)[XY]|WIN1 (STRX|STRY|NX|NY))|TEL ((AIRM|PARANG|AMBI IWV) (START|END))|ADA POSANG|OBS ID"
    r"|SIM IQ (FWHM|STREHL)|INS SLIT1 WID)"
)
"""Keywords whose values are numbers."""


KINDS = {(-32, 0): ">f4", (16, 0): ">i2", (16, 1 << 15): ">i2"}
"""Data types of stored pixels, by BITPIX and BZERO."""


@dataclass(frozen=True, slots=True)
class Stored:
    """Where the pixels of a chip are in a file."""

    offset: int
    """Bytes before them."""
    shape: tuple[int, int]
    kind: str
    zero: int
    """BZERO: ADU to add to the stored numbers."""
    light: tuple[slice, slice]
    """Rows and columns that see light."""


@dataclass(slots=True, eq=False)
class RawFile:
    """A raw file: ``source`` is its path or its bytes, ``name`` the archive's name of it."""

    source: Path | bytes
    name: str
    header: Any
    """astropy Header of the primary HDU."""
    chips: tuple[str, ...]
    """EXTNAME of the extensions with pixels."""
    windows: tuple[tuple[int, ...], ...] = field(repr=False)
    """Columns and rows with light, first column and row of each of them."""
    stored: Mapping[str, Stored] = field(default_factory=dict, repr=False)
    """Where the pixels of chips are that stand in the file as they are: neither packed nor scaled."""

    def get(self, keyword: str, default: Any = None) -> Any:
        """Return a value of the primary header; ``keyword`` is without HIERARCH ("ESO DET DIT")."""
        return self.header.get(keyword, default)

    @property
    def type(self) -> str:
        """DPR TYPE."""
        return str(self.get("ESO DPR TYPE", ""))

    @property
    def mjd(self) -> float:
        """Start of the exposure."""
        return float(self.get("MJD-OBS", 0.0))

    @property
    def dit(self) -> float:
        """Seconds of one integration."""
        return float(self.get("ESO DET DIT", self.get("EXPTIME", 0.0)))

    @property
    def ndit(self) -> int:
        """Integrations whose mean the pixels are."""
        return int(self.get("ESO DET NDIT", 1))

    @property
    def star_names(self) -> list[str]:
        """Names of its star."""
        return [str(self.get(key, "")) for key in ("OBJECT", "ESO OBS TARG NAME")]

    def read(self, chip: str) -> tuple[Image, Any]:
        """Return the pixels with light (ADU, float32) and the header of one chip, pre- and overscans cut."""
        with guard.opened(self.source) as hdus:
            hdu = hdus[chip]
            header = guard.checked_header(hdu.header, NUMBERS)
            rows, columns = self._cut(header)
            if chip in self.stored:
                return self.pixels(chip), header
            return np.ascontiguousarray(hdu.data[rows, columns], dtype=np.float32), header

    def pixels(self, chip: str, step: int = 1) -> Image:
        """Return every ``step``-th row and column of the pixels of `read`, without a look at the header.

        Raises
        ------
        ResourceError
            The file is gone, or shorter than it was.
        """
        where = self.stored.get(chip)
        if where is None:
            return self.read(chip)[0][::step, ::step]
        count = where.shape[0] * where.shape[1]
        try:
            if isinstance(self.source, bytes):
                values = np.frombuffer(self.source, where.kind, count, where.offset)
            else:
                values = np.fromfile(self.source, where.kind, count, offset=where.offset)
            lit = values.reshape(where.shape)[where.light][::step, ::step]
        except (OSError, ValueError) as error:
            raise ResourceError(f"cannot read the pixels of {self.name}: {error}") from error
        image = np.array(lit, np.float32, order="C")
        if where.zero:
            image += np.float32(where.zero)
        return image

    def chip_header(self, chip: str) -> Any:
        """Return the header of one chip, pre- and overscans cut."""
        with guard.opened(self.source) as hdus:
            header = guard.checked_header(hdus[chip].header, NUMBERS)
            self._cut(header)
            return header

    def _cut(self, header: Any) -> tuple[slice, slice]:
        """Return the rows and columns with light, and make the header that of them alone."""
        rows, columns = _light(header, self.header)
        if "CRPIX1" in header:
            header["CRPIX1"] -= columns.start
            header["CRPIX2"] -= rows.start
        header["NAXIS1"], header["NAXIS2"] = columns.stop - columns.start, rows.stop - rows.start
        return rows, columns


def open_all(sources: Sequence[Path | bytes]) -> list[RawFile]:
    """Return the raw files in the order of their exposures, whatever the order of ``sources``.

    Raises
    ------
    UsageError
        Two files have the same ARCFILE.
    ResourceError
        A file is no FITS file, or has no raw frame in it.
    """
    files = sorted((_open(source) for source in sources), key=lambda each: (each.mjd, each.name))
    for name, count in Counter(each.name for each in files).items():
        if count > 1:
            raise UsageError(f"two files are the same exposure: ARCFILE is {name} in both")
    return files


def _open(source: Path | bytes) -> RawFile:
    shown = str(source) if isinstance(source, Path) else "a file in memory"
    with guard.opened(source) as hdus:
        primary = guard.checked_header(hdus[0].header, NUMBERS)
        frames = [hdu for hdu in hdus if _is_frame(hdu)]
        chips = tuple(str(hdu.name) for hdu in frames)
        windows = tuple(_window(hdu.header, primary) for hdu in frames)
        stored = {}
        if isinstance(source, bytes) or _plain(source):
            stored = {str(hdu.name): where for hdu in frames if (where := _stored(hdu, primary)) is not None}
    if not chips:
        raise ResourceError(f"{shown} has no raw frame: no image extension with BUNIT adu", path=shown)
    name = primary.get("ARCFILE") or (source.name if isinstance(source, Path) else "")
    return RawFile(source, str(name), primary, chips, windows, stored)


def _plain(path: Path) -> bool:
    """Return whether a file is not compressed."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(6) == b"SIMPLE"


def _stored(hdu: Any, primary: Any) -> Stored | None:
    """Return where the pixels of a chip's HDU are; None if they are packed, scaled or of another kind."""
    header = hdu.header
    zero = header.get("BZERO", 0)
    kind = KINDS.get((int(header["BITPIX"]), zero))
    if kind is None or "BLANK" in header or header.get("BSCALE", 1) != 1 or "ZNAXIS" in hdu._header:
        return None
    offset = hdu.fileinfo()["datLoc"]
    return Stored(offset, (header["NAXIS2"], header["NAXIS1"]), kind, int(zero), _light(header, primary))


def _is_frame(hdu: Any) -> bool:
    """Return whether an HDU holds a chip's frame; maps and images kept of single stages have no window."""
    header = hdu.header
    return hdu.is_image and header.get("NAXIS") == 2 and "ESO DET WIN1 NX" in header and "BUNIT" in header


def _window(header: Any, primary: Any) -> tuple[int, ...]:
    rows, columns = _light(header, primary)
    return (
        columns.stop - columns.start,
        rows.stop - rows.start,
        *(int(header[f"ESO DET WIN1 {key}"]) for key in ("STRX", "STRY")),
    )


def _light(header: Any, primary: Any) -> tuple[slice, slice]:
    """Return the rows and columns of a frame that see light: what is beyond the window are pre- and overscans.

    The image of one amplifier tells its own scans, and its window holds them (`product.header`).

    Raises
    ------
    ResourceError
        The frame is larger than its window, by other numbers than those of the scans in ESO DET OUT1.
    """
    if "QUADID" in header:
        return _amplifier_light(header, 2, "Y"), _amplifier_light(header, 1, "X")
    slices = []
    for axis, name in ((2, "Y"), (1, "X")):
        size, lit = int(header[f"NAXIS{axis}"]), int(header[f"ESO DET WIN1 N{name}"])
        card = f"ESO DET OUT1 PRSC{name}", f"ESO DET OUT1 OVSC{name}"
        before, after = (int(header.get(key, primary.get(key, 0))) for key in card)
        if before + after == 0 or size == lit:
            before, lit = 0, size
        elif size != before + lit + after:
            raise ResourceError(
                f"{header.get('EXTNAME', 'a frame')}: {size} pixels along {name} are not {lit} of DET WIN1 N{name}, "
                f"{before} of DET OUT1 PRSC{name} and {after} of OVSC{name}",
            )
        slices.append(slice(before, before + lit))
    return slices[0], slices[1]


def _amplifier_light(header: Any, axis: int, name: str) -> slice:
    """Return the rows or columns with light of one amplifier's image: prescan is on its side, overscan on the other."""
    size, near, far = (int(header.get(key, 0)) for key in (f"NAXIS{axis}", f"PRESCAN{name}", f"OVRSCAN{name}"))
    first = int(header.get(f"ESO DET OUT1 {name}", 1)) == 1
    before, after = (near, far) if first else (far, near)
    return slice(before, size - after)


def instrument_setup(file: RawFile) -> Iterator[tuple[str, str]]:
    """Yield the ESO INS and DRS cards that say how the light reached the detector: mode, filters, wheels."""
    for card in file.header.cards:
        words = card.keyword.split()
        if words[:1] == ["ESO"] and words[1] in ("INS", "DRS", "INS1", "INS2", "INS3") and "LAMP" not in card.keyword:
            yield card.keyword, str(card.value)

"""A damaged, endless or oversized file is refused with one line, before a library reads it."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from elvis_cli.errors import RequestError, UsageError
from elvis_cli.model.limits import Limits
from elvis_cli.request.files import guard
from elvis_cli.request.files.guard import reading


def header(*cards: str) -> bytes:
    return "".join(card.ljust(80) for card in (*cards, "END")).encode().ljust(2880)


TOP = header("SIMPLE  =                    T", "BITPIX  =                    8", "NAXIS   =                    0")


def refused(path: Path) -> str:
    begin = time.process_time()
    with pytest.raises(UsageError) as caught, reading("--image", path):
        pass
    assert time.process_time() - begin < 1.0
    assert caught.value.message.startswith(f"--image: cannot read {path}: ")
    return caught.value.message


@pytest.mark.parametrize("name", ["a.fits", "a.fits.gz"])
def test_whole_files_pass(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    table = fits.BinTableHDU.from_columns([fits.Column("A", "PJ()", array=np.array([[1, 2], [3]], object))])
    fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(np.zeros((3, 4))), table, fits.CompImageHDU(np.eye(9))]).writeto(
        path
    )
    with reading("--image", path):
        pass
    with reading("--image", Path(f"{path}[1]")):
        pass


@pytest.mark.parametrize(("name", "pack"), [("gz", gzip.compress), ("bz2", bz2.compress), ("xz", lzma.compress)])
def test_what_unpacks_to_too_much(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, pack: Callable[[bytes], bytes]
) -> None:
    monkeypatch.setattr(guard, "MAX_UNPACKED_BYTES", 1 << 20)
    path = tmp_path / name
    path.write_bytes(pack(bytes(1 << 20)))
    with reading("--image", path):
        pass
    path.write_bytes(pack(bytes((1 << 20) + 1)))
    assert "unpacks to more" in refused(path)
    path.write_bytes(pack(os.urandom(5000))[:-20])
    refused(path)


@pytest.mark.parametrize(
    "cards",
    [
        ("BITPIX  = 8", "NAXIS   = 9223372036854775808"),
        ("BITPIX  = 8", "NAXIS   = 999999"),
        ("BITPIX  = 8", "NAXIS   = -1"),
        ("BITPIX  = 8", "NAXIS   = 2", "NAXIS1  = 1"),
        ("BITPIX  = 8", "NAXIS   = 1", "NAXIS1  = -2880"),
        ("BITPIX  = 8", "NAXIS   = 1", "NAXIS1  = 1", "PCOUNT  = -5760"),
        ("BITPIX  = 8", "NAXIS   = 1", "NAXIS1  = 1", "GCOUNT  = -5"),
        ("BITPIX  = 8", "NAXIS   = 3", *(f"NAXIS{n}  = 99999999" for n in (1, 2, 3))),
        ("BITPIX  = 7", "NAXIS   = 0"),
        ("BITPIX  = '8'", "NAXIS   = 0"),
        ("NAXIS   = 0",),
        (),
    ],
)
@pytest.mark.parametrize("extension", [False, True])
def test_sizes_that_cannot_be(tmp_path: Path, cards: tuple[str, ...], extension: bool) -> None:
    path = tmp_path / "a.fits"
    first = "XTENSION= 'IMAGE   '" if extension else "SIMPLE  =                    T"
    path.write_bytes((TOP if extension else b"") + header(first, *cards))
    refused(path)


def test_a_header_without_end(tmp_path: Path) -> None:
    path = tmp_path / "a.fits"
    path.write_bytes(TOP[:240].ljust(2880) * 3000)
    assert "does not end" in refused(path)


def test_only_regular_files(tmp_path: Path) -> None:
    assert "not a regular file" in refused(Path("/dev/zero"))
    assert "folder" in refused(tmp_path)
    refused(tmp_path / "none.fits")
    os.mkfifo(tmp_path / "pipe")
    assert "not a regular file" in refused(tmp_path / "pipe")
    with (tmp_path / "large").open("wb") as file:
        file.truncate(guard.MAX_FILE_BYTES + 1)
    assert "up to" in refused(tmp_path / "large")


@pytest.mark.parametrize(
    "error", [KeyError("x"), TypeError(), AttributeError(), RecursionError(), fits.VerifyError("y")]
)
def test_exceptions_of_a_library(tmp_path: Path, error: Exception) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"x")
    with pytest.raises(UsageError), reading("--cube", path):
        raise error


def test_errors_of_ours_pass(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"x")
    with pytest.raises(RequestError, match="no light"), reading("--cube", path):
        raise RequestError("/elvis/cube", "no light")


def test_a_file_of_many_hdus(tmp_path: Path) -> None:
    path = tmp_path / "many.fits"
    fits.HDUList([fits.PrimaryHDU(), *(fits.ImageHDU() for _ in range(2000))]).writeto(path)
    with pytest.raises(ValueError, match="more than 2000 HDUs"):
        guard.check(path)


def test_a_text_that_takes_more_memory_than_the_limit(tmp_path: Path) -> None:
    path = tmp_path / "stars.csv"
    path.write_bytes(b"x,y,mag\n" + b"1,2,3\n" * 1000)
    with reading("--catalogue", path, Limits(memory=100_000)):
        pass
    with (
        pytest.raises(RequestError, match=r"--catalogue: stars.csv: .*--limit memory"),
        reading("--catalogue", path, Limits(memory=10_000)),
    ):
        pass


@pytest.mark.parametrize("key", ["TFIELDS", "WCSAXES", "A_ORDER"])
@pytest.mark.parametrize("number", ["1000", "9223372036854775808", "1" * 40, "-1"])
def test_a_number_that_is_counted_to(tmp_path: Path, key: str, number: str) -> None:
    path = tmp_path / "a.fits"
    table = header("XTENSION= 'BINTABLE'", "BITPIX  = 8", "NAXIS   = 0", f"{key:<8}= {number} / so many")
    path.write_bytes(TOP + table)
    assert f"{key} in a header of it is {number}; allowed: 0 to" in refused(path)


def test_behind_the_last_hdu_of_a_compressed_file(tmp_path: Path) -> None:
    path = tmp_path / "a.fits.gz"
    path.write_bytes(gzip.compress(TOP + b"X" * 2880))
    with guard.open_fits(path) as hdus:
        assert [hdu.name for hdu in hdus] == ["PRIMARY"]
    path.write_bytes(gzip.compress(b"X" + TOP))
    with pytest.raises(ValueError, match="not FITS"):
        guard.open_fits(path)


def test_a_long_header_of_a_compressed_image(tmp_path: Path) -> None:
    """Of 1400 blocks, headers whose ENDs were damaged, astropy took half a minute."""
    path = tmp_path / "long.fits"
    fits.HDUList([fits.PrimaryHDU(), fits.CompImageHDU(np.zeros((8, 8), np.int16))]).writeto(path)
    content = path.read_bytes()
    header = content[2880:].split(b"END" + 77 * b" ")[0]
    comment = b"COMMENT".ljust(80)
    path.write_bytes(content[:2880] + (header + comment * 7300 + b"END").ljust(2880 * 210) + bytes(2880))
    with pytest.raises(ValueError, match=r"a compressed image's header has 20[0-9] blocks; allowed: up to 200"):
        guard.check(path)

"""The request comes back out of the file, from a path or a pipe."""

from __future__ import annotations

import io
import json
import os
import threading

import pytest
from astropy.io import fits

from elvis_cli.errors import RequestError, ResourceError
from elvis_cli.product.replay import read_request

DOCUMENT = {
    "instrumentName": "micado",
    "target": {"name": "Zoë's 'star'"},
    "elvis": {"seed": 3, "x": [1.5, None, True]},
}


@pytest.fixture
def frame(setup, request_for, written):
    return written(request_for(DOCUMENT), setup(chips=(1, 5)))


def test_from_a_path(frame, tmp_path):
    path = tmp_path / "frame.fits"
    path.write_bytes(frame)
    assert json.loads(read_request(path)) == DOCUMENT
    assert json.loads(read_request(str(path))) == DOCUMENT


@pytest.mark.parametrize(
    "text", ["a b " * 9000, " " * 30000, "x" * 7980 + " " * 40, ",".join(map(str, range(9000)))], ids=range(4)
)
def test_a_request_of_several_rows(text, setup, request_for, written):
    document = {"target": {"name": text}}
    assert json.loads(read_request(io.BytesIO(written(request_for(document), setup())))) == document


def test_a_file_of_one_row_whatever_its_width():
    """As files were until version 0.1."""
    text = json.dumps({"target": {"name": "a b " * 9000}})
    column = fits.Column("REQUEST", f"{len(text)}A", array=[text])
    out = io.BytesIO()
    table = fits.BinTableHDU.from_columns([column], name="ELVIS_REQUEST")
    fits.HDUList([fits.PrimaryHDU(), table]).writeto(out)
    assert read_request(io.BytesIO(out.getvalue())) == text


def test_from_a_file(frame):
    assert json.loads(read_request(io.BytesIO(frame))) == DOCUMENT


def test_from_a_pipe(frame):
    reader, writer = os.pipe()

    def feed() -> None:
        with open(writer, "wb") as pipe:
            pipe.write(frame)

    thread = threading.Thread(target=feed)
    thread.start()
    with open(reader, "rb") as pipe:
        assert json.loads(read_request(pipe)) == DOCUMENT
    thread.join()


def test_missing_file():
    with pytest.raises(ResourceError, match="No such file"):
        read_request("/nowhere/frame.fits")


@pytest.mark.parametrize(
    "data", [b"", b"{}", b"SIMPLE  =", os.urandom(5760), b"\x89PNG" * 2880, b"SIMPLE  =" + b" " * 9999]
)
def test_not_fits(data):
    with pytest.raises(RequestError, match="not a FITS file"):
        read_request(io.BytesIO(data))


def test_every_truncation_is_refused(frame):
    for length in range(0, len(frame), 1440):
        with pytest.raises(RequestError):
            read_request(io.BytesIO(frame[:length]))


def test_false_sizes_are_refused_without_reading_them(frame):
    for old, new in (
        (b"NAXIS1  =                   64", b"NAXIS1  = 99999999999999999999"),
        (b"NAXIS   =                    2", b"NAXIS   = 'two'               "),
    ):
        assert old in frame
        with pytest.raises(RequestError):
            read_request(io.BytesIO(frame.replace(old, new)))

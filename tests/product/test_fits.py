"""The file: valid to fitsverify and astropy, the same bytes every time, one chip in memory at a time."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import time
import tracemalloc
import warnings

import numpy as np
import pytest
from astropy.io import fits as afits
from hypothesis import given
from hypothesis import strategies as st

from elvis_cli import __version__
from elvis_cli.model.elvis_block import Catalogue, Window
from elvis_cli.product import cards, checksum, fits

KINDS = pytest.mark.parametrize("kind", ["ir", "ccd"])


def need(tool, package):
    """Skip where an outside checker is missing, but never in continuous integration."""
    if shutil.which(tool) is None:
        missing = pytest.fail if os.environ.get("CI") else pytest.skip
        missing(f"{tool} is missing: install the Debian package {package}")


@KINDS
def test_astropy_finds_nothing_to_complain_about(kind, setup, request_for, written):
    data = written(request_for(), setup(kind))
    assert len(data) % 2880 == 0
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with afits.open(io.BytesIO(data), checksum=True) as hdus:
            hdus.verify("exception")
            assert all("CHECKSUM" in hdu.header and "DATASUM" in hdu.header for hdu in hdus)


@KINDS
def test_fitsverify_finds_nothing_to_complain_about(kind, setup, request_for, written, tmp_path):
    need("fitsverify", "fitsverify")
    path = tmp_path / "frame.fits"
    document = {"sky": {"almanac": {"targetName": "a name that needs a second card, for it is so long " * 2}}}
    path.write_bytes(written(request_for(document), setup(kind), notes=("é " * 100,)))
    run = subprocess.run(["fitsverify", path], capture_output=True, text=True, check=False)
    assert run.returncode == 0
    assert "0 warning(s) and 0 error(s)" in run.stdout


def test_dfits_and_fitsort_read_it(setup, request_for, written, tmp_path):
    need("dfits", "qfits-tools")
    path = tmp_path / "frame.fits"
    path.write_bytes(written(request_for(), setup()))
    dfits = subprocess.run(["dfits", path], capture_output=True, check=True)
    keys = ["DPR.TECH", "DET.DIT", "DET.NDIT", "EXPTIME", "INS.FILT1.NAME"]
    table = subprocess.run(["fitsort", *keys], input=dfits.stdout, capture_output=True, check=True).stdout.decode()
    assert table.splitlines()[1].split()[1:] == ["IMAGE", "60.0", "3", "180.0", "Ks"]


@KINDS
def test_pixels_survive(kind, setup, request_for, written, pixels):
    made = setup(kind)
    with afits.open(io.BytesIO(written(request_for(), made))) as hdus:
        for chip, expected in pixels(made):
            found = hdus[chip.extname].data
            assert found.dtype.newbyteorder("=") == expected.dtype
            assert np.array_equal(found, expected)
            assert hdus[chip.extname].header["BUNIT"] == "adu"


def test_expected_product_has_its_unit(setup, request_for, written):
    with afits.open(io.BytesIO(written(request_for(product="expected"), setup()))) as hdus:
        assert hdus["DET5.IMG"].header["BUNIT"] == "electron/s"


def test_order_of_extensions(setup, request_for, written):
    with afits.open(io.BytesIO(written(request_for(), setup(chips=(3, 5))))) as hdus:
        assert [hdu.name for hdu in hdus] == ["PRIMARY", "DET3.IMG", "DET5.IMG", "ELVIS_VALUES", "ELVIS_REQUEST"]


@KINDS
def test_no_card_is_longer_than_80_characters_or_not_ascii(kind, setup, request_for, written):
    document = {"sky": {"almanac": {"targetName": "Zoë's " * 40}}}
    data = written(request_for(document), setup(kind), notes=["ñ" * 500, "line\nbreak\tand tab"])
    at = 0
    with afits.open(io.BytesIO(data)) as hdus:
        places = [(hdu.fileinfo()["hdrLoc"], hdu.fileinfo()["datLoc"]) for hdu in hdus]
        assert hdus[0].header["OBJECT"].startswith("Zoe`s Zoe`s")
        assert len(hdus[0].header["OBJECT"]) == 6 * 40 - 1
    for begin, end in places:
        for at in range(begin, end, 80):
            line = data[at : at + 80].decode("ascii")
            assert line.isprintable()
            assert line[:8].strip() in ("END", "COMMENT", "CONTINUE", "HIERARCH", "") or line[8:10] == "= "


def test_same_request_same_bytes_whatever_the_clock(setup, request_for, written, monkeypatch):
    first = written(request_for(), setup())
    monkeypatch.setattr(time, "time", lambda: 4e9)
    assert written(request_for(), setup()) == first


def test_other_seed_other_bytes(setup, request_for, written):
    assert written(request_for(seed=1), setup()) != written(request_for(seed=2), setup())


def test_request_and_values_travel_along(setup, request_for, written):
    document = {"instrumentName": "micado", "name": "Gaël", "elvis": {"seed": 2**63}}
    with afits.open(io.BytesIO(written(request_for(document, seed=2**63), setup()))) as hdus:
        row = hdus["ELVIS_REQUEST"].data[0]
        assert json.loads(row["REQUEST"]) == document
        assert (row["VERSION"], row["SEED"]) == (__version__, str(2**63))
        value = hdus["ELVIS_VALUES"].data[0]
        assert tuple(value) == ("detector.ron", "12.0", "electron", "irdb: u-electronics", "yes")


def test_no_values_no_rows(setup, request_for, written):
    data = written(request_for(), setup(values=()))
    with afits.open(io.BytesIO(data), checksum=True) as hdus:
        assert len(hdus["ELVIS_VALUES"].data) == 0


def test_big_request(setup, request_for, written):
    stars = {"elvis": {"catalogue": {"x": list(np.linspace(0, 1, 20000))}}}
    with afits.open(io.BytesIO(written(request_for(stars), setup()))) as hdus:
        assert json.loads("".join(hdus["ELVIS_REQUEST"].data["REQUEST"])) == stars


def test_fitsverify_reads_a_request_of_5000_stars(setup, request_for, written, tmp_path):
    """CFITSIO stops at a column of text that is wider than 28800 characters."""
    need("fitsverify", "fitsverify")
    stars = {axis: np.random.default_rng(n).uniform(-9, 9, 5000).tolist() for n, axis in enumerate(("x", "y", "mag"))}
    path = tmp_path / "frame.fits"
    path.write_bytes(written(request_for({"elvis": {"catalogue": stars}}), setup()))
    checked = subprocess.run(["fitsverify", path], capture_output=True, text=True, check=False)
    assert "0 warning(s) and 0 error(s)" in checked.stdout


@given(st.text(alphabet=" ab", max_size=60), st.integers(1, 9))
def test_rows_of_text_are_the_text(text, width):
    rows = cards.text_rows(text, width)
    assert "".join(rows) == text
    assert all(len(row) <= width for row in rows)
    assert all(row[-1:] != " " or not row.strip() for row in rows[:-1])


def test_one_chip_in_memory_and_written_before_the_next_is_asked_for(setup, request_for, prediction):
    made = setup(window=Window(0, 0, 1024, 1024), chips=tuple(range(1, 10)))
    size = 4 * 1024**2

    def frames():
        for number in made.frame.chips:
            yield made.detector.chip(number), np.ones((1024, 1024), dtype=np.float32)

    tracemalloc.start()
    with open("/dev/null", "wb") as out:
        fits.write(request_for(), made, prediction, frames(), (), out)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2.5 * size  # the chip and its big-endian copy


def test_other_pixels_are_refused(setup, request_for, prediction):
    made = setup()
    with pytest.raises(TypeError, match="float64"):
        fits.write(request_for(), made, prediction, [(made.detector.chip(5), np.ones((48, 64)))], (), io.BytesIO())


def test_catalogue_names_the_object(setup, request_for, written):
    stars = Catalogue((0.0, 1.0), (0.0, 1.0), (20.0, 21.0))
    with afits.open(io.BytesIO(written(request_for(catalogue=stars), setup(chips=(1,))))) as hdus:
        assert hdus[0].header["OBJECT"] == "catalogue of 2 stars"


@given(st.binary(max_size=3000))
def test_sum_and_code_bring_any_block_to_zero(data):
    """A block that holds its own code sums to all ones (FITS 4.0, appendix J)."""
    total = checksum.ones_sum(data.ljust(-(-len(data) // 4) * 4, b"\0"))
    assert total == checksum.ones_sum(data)
    words = np.frombuffer(data.ljust(-(-len(data) // 4) * 4, b"\0"), dtype=">u4")
    assert total % 0xFFFFFFFF == sum(int(word) for word in words) % 0xFFFFFFFF
    code = checksum.encode_checksum(total)
    assert len(code) == 16
    assert code.isalnum()
    aligned = code[1:] + code[:1]  # the code starts at the second byte of a word in a header
    zeros = checksum.ones_sum(b"0000" * 4)
    assert (checksum.ones_sum(aligned.encode()) - zeros + total) % 0xFFFFFFFF == 0


@given(st.text(max_size=300), st.sampled_from(["OBJECT", "ESO OBS TARG NAME", "ESO SIM A VERY LONG KEYWORD INDEED"]))
def test_any_text_makes_valid_cards(text, keyword):
    made = cards.card(keyword, text, text)
    image = str(made)
    assert len(image) % 80 == 0
    header = afits.Header.fromstring(image)
    header[keyword]  # parses
    expected = cards.plain(text)
    assert header[keyword] == (expected.replace("'", "`") if len(expected) > 40 else expected).rstrip()


@given(st.one_of(st.integers(-(2**63), 2**64), st.floats(), st.booleans()))
def test_any_number_makes_a_valid_card(value):
    found = afits.Card.fromstring(str(cards.card("ESO SIM NUMBER", value, "c" * 90))).value
    if isinstance(value, float) and not np.isfinite(value):
        assert found == str(value)
    else:
        assert found == pytest.approx(value, rel=1e-12)
        assert type(found) is type(value)


def test_further_tables_and_images_follow_the_chips(setup, request_for, prediction, pixels, tmp_path):
    need("fitsverify", "fitsverify")
    made, asked = setup(), []

    def extensions():
        asked.append(out.tell())
        columns = {"NAME": ["a", "bc"], "X": np.array([1.5, np.nan]), "N": np.array([1, -2], np.int32)}
        yield fits.Table("STARS", columns, {"X": "arcsec"}, [("EXTVER", 2, "the second")])
        yield fits.Table("NOTHING", {"X": np.zeros(0), "NAME": []})
        yield fits.Image("MAP", np.arange(6, dtype=np.float32).reshape(2, 3), [("BUNIT", "electron", "unit")])

    path = tmp_path / "frame.fits"
    with path.open("wb") as out:
        fits.write(request_for(), made, prediction, pixels(made), (), out, extensions())
    assert asked[0] > 48 * 64 * 4  # the frame is written before
    with afits.open(path, checksum=True) as hdus:
        names = ["PRIMARY", "DET5.IMG", "STARS", "NOTHING", "MAP", "ELVIS_VALUES", "ELVIS_REQUEST"]
        assert [hdu.name for hdu in hdus] == names
        stars = hdus["STARS", 2]
        assert list(stars.data["NAME"]) == ["a", "bc"]
        assert stars.data["X"][0] == 1.5
        assert list(stars.data["N"]) == [1, -2]
        assert stars.columns["X"].unit == "arcsec"
        assert len(hdus["NOTHING"].data) == 0
        assert hdus["MAP"].data.tolist() == [[0, 1, 2], [3, 4, 5]]
    run = subprocess.run(["fitsverify", path], capture_output=True, text=True, check=False)
    assert "0 warning(s) and 0 error(s)" in run.stdout

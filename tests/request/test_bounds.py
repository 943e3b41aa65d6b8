"""Requests that are made to take time, memory or the meaning of the output: each is refused at once."""

from __future__ import annotations

import base64
import json
import struct
import time
import zlib
from typing import Any

import pytest

from elvis_cli.errors import RequestError
from elvis_cli.model.limits import Limits
from elvis_cli.request.budget import PROGRAM_BYTES, parse_limits
from elvis_cli.request.parse import MAX_UNKNOWN_KEYS, read
from tests.conftest import FORS, changed
from tests.request.test_normalise import V3
from tests.request.test_parse import refused, text


def block(**members: Any) -> str:
    return json.dumps({**V3, "elvis": members})


def packed(data: bytes) -> str:
    return base64.b64encode(zlib.compress(data)).decode()


@pytest.fixture
def quick() -> Any:
    begin = time.process_time()
    yield
    assert time.process_time() - begin < 6.0


@pytest.mark.usefixtures("quick")
class TestTime:
    def test_a_key_twice_among_many(self) -> None:
        members = ",".join(f'"k{n}":1' for n in range(100_000))
        assert '"k99999" is given twice' in refused("{" + members + ',"k99999":2}').message

    @pytest.mark.parametrize("key", ["chips", "mosaic"])
    def test_objects_that_must_differ(self, key: str) -> None:
        assert refused(block(**{key: [{"a": n} for n in range(900)]})).details["pointer"] == f"/elvis/{key}/0"

    @pytest.mark.parametrize("key", ["chips", "mosaic", "skip", "keep", "only", "also", "stages"])
    def test_the_number_of_items_comes_first(self, key: str) -> None:
        error = refused(block(**{key: [{"a": n} for n in range(100_000)]}))
        assert (error.details["pointer"], error.details["reason"]) == (f"/elvis/{key}", "has 100000 items")

    def test_companions(self) -> None:
        companions = [{"separation": 1, "position_angle": 1, "contrast": 1}] * 100_000
        assert "has 100000 items" in refused(block(scene={"name": "companions", "companions": companions})).message

    def test_the_first_wrong_item_is_enough(self) -> None:
        assert refused(block(catalogue={"mag": [[]] * 200_000})).details["pointer"] == "/elvis/catalogue/mag/0"

    def test_keywords(self) -> None:
        assert "members" in refused(block(keywords={f"K{n}": {} for n in range(100_000)})).message

    def test_unknown_keys_are_counted(self) -> None:
        request = read(text(**{f"k{n}": 1 for n in range(40_000)}))
        unknown = [note for note in request.warnings if "unknown key" in note]
        assert len(unknown) == MAX_UNKNOWN_KEYS + 1
        assert unknown[-1] == f"and {40_000 - MAX_UNKNOWN_KEYS} more unknown keys, not used"


def test_numbers_given_twice() -> None:
    assert "given twice" in refused(block(chips=[1, 2, 1])).message
    assert "given twice" in refused(block(chips=[1, 1.0])).message


@pytest.mark.parametrize("inside", ["[{}]", '{{"a":{}}}'])
def test_depth(inside: str) -> None:
    value = "1"
    for _ in range(101):
        value = inside.format(value)
    assert (
        "nested too deeply"
        in refused(f'{{"instrumentName": "x", "application": {{"executiondate": {value}}}}}').message
    )


def test_an_almanac_that_is_a_number() -> None:
    assert refused(text(sky={"almanac": 5})).details["pointer"] == "/sky/almanac"


STRUCTURE = (
    "SIMPLE BITPIX NAXIS NAXIS1 NAXIS999 EXTEND XTENSION PCOUNT GCOUNT GROUPS BLANK BSCALE BZERO EXTNAME EXTVER "
    "EXTLEVEL INHERIT CHECKSUM DATASUM END CONTINUE HIERARCH COMMENT HISTORY TFIELDS TTYPE1 TFORM12 THEAP PTYPE1 "
    "ZIMAGE ZCMPTYPE ZNAXIS1 ZTENSION CTYPE1 CRVAL2 CD1_1 PC1_2A WCSAXES -A 1A _"
)


@pytest.mark.parametrize("keyword", STRUCTURE.split())
def test_keywords_of_fits_are_not_the_requests(keyword: str) -> None:
    assert refused(block(keywords={keyword: "x"})).details["pointer"] == f"/elvis/keywords/{keyword}"


@pytest.mark.parametrize("keyword", ["OBJECT", "OBSERVER", "RAOFF", "OP01DX", "TEXPTIME", "ESO SEQ POSNAME", "PROJ-ID"])
def test_other_keywords_are(keyword: str) -> None:
    assert read(block(keywords={keyword: "x"})).elvis.keywords == {keyword: "x"}


class TestMemory:
    def test_arrays_together(self) -> None:
        array = {"data": packed(b""), "shape": [8192, 8192]}
        arrays = {str(n): array for n in range(1, 7)}
        error = refused(block(models={"flat_field": {"arrays": arrays}}))
        assert error.details["pointer"] == "/elvis/models/flat_field/arrays/6/shape"
        assert "limit memory" in error.message

    def test_columns_together(self) -> None:
        column = packed(struct.pack("<d", 1.0) * 100_000)
        request = block(catalogue={"x": column, "y": column, "mag": column})
        assert len(read(request).elvis.catalogue.x) == 100_000
        error = refused(request, limits=Limits(memory=PROGRAM_BYTES + 15_000_000))
        assert error.details["pointer"] == "/elvis/catalogue/mag"

    def test_previous(self) -> None:
        chip = {"chip": 1, "window": {"x0": 0, "y0": 0, "nx": 16384, "ny": 16384}, "data": packed(b"")}
        error = refused(block(previous={"dit": 60, "chips": [chip] * 5}))
        assert error.details["pointer"] == "/elvis/previous/chips/4/window"

    @pytest.mark.parametrize(("key", "value"), [("sky", "skycalc"), ("psf", "tiptop")])
    def test_offline(self, key: str, value: str) -> None:
        assert read(block(**{key: value}))
        assert "offline" in refused(block(**{key: value}), limits=Limits(offline=True)).message

    @pytest.mark.parametrize("command", ["split", "plan"])
    def test_offline_by_the_environment(self, elvis: Any, monkeypatch: Any, command: str) -> None:
        monkeypatch.setenv("ELVIS_OFFLINE", "1")
        request = changed(FORS, {"elvis/sky": "skycalc"})
        survey = {"request": request, "survey": {"pointings": [{"ra": 1, "dec": 2}]}}
        result = elvis(command, stdin=json.dumps(request if command == "split" else survey))
        assert (result.code, result.out) == (65, b"")
        assert "/elvis/sky: 'skycalc' is forbidden by the limit offline" in result.err

    def test_no_name_is_looked_up_offline(self, elvis: Any, monkeypatch: Any) -> None:
        monkeypatch.setenv("ELVIS_OFFLINE", "1")
        result = elvis("ob", "--resolve", stdin="- Targets:\n  - {name: M 31}\n")
        assert result.code == 2
        assert "ELVIS_OFFLINE" in result.err


@pytest.mark.parametrize(
    ("given", "memory"),
    [("memory=2GB", 2e9), ("memory=1.5 GiB", 1.5 * 2**30), ("memory=4096", 4096), ("memory=3k", 3e3)],
)
def test_limits(given: str, memory: float) -> None:
    assert parse_limits([given]) == Limits(memory=int(memory))


def test_a_limit_on_time() -> None:
    assert parse_limits(["time=60", "memory=3k"]) == Limits(time=60, memory=3000)


@pytest.mark.parametrize(
    "given", ["memory", "memory=", "memory=-1", "memory=1e9", "speed=1", "output=nan", "memory=2 XB", "time=1s"]
)
def test_no_limits(given: str) -> None:
    with pytest.raises(ValueError, match="such as memory=2GB"):
        parse_limits([given])


def test_a_limit_is_named() -> None:
    with pytest.raises(RequestError, match=r"/elvis/keep: the request takes 3 GB; allowed: the limit output, 2 GB"):
        Limits(output=2 * 10**9).check_output(3e9, "/elvis/keep")

"""Any input gives a valid FITS file, or one line that says what is wrong and nothing on stdout.

The suite renders few of the mutated requests and lists the numbers of some more, which configures without drawing.
ELVIS_FUZZ=10 (`make fuzz`) renders 15000 mutated requests and 5000 damaged texts of all instruments.
"""

from __future__ import annotations

import copy
import json
import os
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

from astropy.io import fits
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from elvis_cli.instrument import registry

MORE = int(os.environ.get("ELVIS_FUZZ", "0"))
"""Multiple of 1500 mutated requests and 500 damaged texts; 0 for the few of the suite."""
WINDOW = "--window=480,480,48,48"

VALUES: list[Any] = [
    None, True, False, 0, -0.0, -1, 1, 2, 0.5, 1e-320, 1e-9, 17, 99.5, 1e6, 1e18, 1e300, -1e300, 2**63, 10**200,
    "", " ", "x", "point", "full", "Ks", "mag", "\x00\x1b[31m", "é🎉\ud800", "a\nb", "0", "V" * 5000,
    [], [1], [None], ["a", {}], [1, 2], {}, {"a": 1}, {"params": {}}, {"snr": 5}, {"x": [0], "y": [0], "mag": [20]},
]  # fmt: skip
NAMES = [
    "mag",
    "magband",
    "sky",
    "airmas",
    "DET.DIT",
    "DET.NDIT",
    "snr",
    "elvis",
    "x/y~z",
    "",
    "\n",
    "ß\ud800",
    "__class__",
]

SHAPES: list[dict[str, Any]] = [
    {
        "morphologytype": "extended",
        "extendedtype": "sersic",
        "index": 4,
        "radius": 1.5,
        "ellipticity": 0.4,
        "angle": 30,
    },
    {"morphologytype": "extended", "extendedtype": "infinite"},
]
SEDS: list[dict[str, Any]] = [
    {"sedtype": "spectrum", "spectrum": {"spectrumtype": "blackbody", "params": {"temperature": 5000}}},
    {"sedtype": "spectrum", "spectrum": {"spectrumtype": "powerlaw", "params": {"exponent": -1}}, "extinctionav": 2},
    {"sedtype": "spectrum", "spectrum": {"spectrumtype": "upload"}, "redshift": {"redshift": 0.1, "baryvelcor": 9}},
    {"sedtype": "emissionline", "emissionline": {"params": {"lambda": 557, "fwhm": 1}}},
]
EXTRAS: dict[str, Any] = {
    "seed": 3, "chips": [1], "pointing": {"ra": 83.6, "dec": -5.4, "position_angle": 20}, "date": "2026-11-20T03:00:00",
    "product": "raw", "exposure": 2, "offset": [0.01, -0.02], "stages": ["shot_noise", "gain"], "skip": ["dark"],
}  # fmt: skip
CATALOGUE = {"catalogue": {"x": [0, 1], "y": [0, 2], "mag": [18, 19]}}
STANDARD = {"calibration": "std", "standard": {"mag": 12, "sed": "Pickles:A0V"}, "lamp": 0.3, "wavemap": True}
UPLOAD = {"sed": {"wavelength_um": [0.2, 1, 5], "flux": [1, 2, 1]}}


def requests() -> list[dict[str, Any]]:
    """Return real requests: examples with every kind of target, and the corpus.

    Most are of the instrument whose PSF is a formula, because it renders twenty times as fast.
    """
    documents = [registry.load(name).example() for name in registry.names()]
    for shape, sed in [*((shape, {}) for shape in SHAPES), *(({}, sed) for sed in SEDS)]:
        document = registry.load("fors").example()
        document["target"]["morphology"].update(shape)
        document["target"]["sed"].update(sed)
        documents += [{**document, "elvis": UPLOAD}, {**document, "elvis": {**EXTRAS, **UPLOAD}}]
    documents += [{**registry.load("fors").example(), "elvis": block} for block in (EXTRAS, CATALOGUE, STANDARD)]
    for path in sorted((Path(__file__).parents[1] / "data" / "etc").glob("*.json")):
        if path.stem.startswith(("fors", "proto", "eris", "crires2_v117_form", "harps", "malformed")):
            documents.append(json.loads(path.read_text()))
    return documents


REQUESTS = requests()
OFTEN = [d for d in REQUESTS if d.get("instrumentName") in ("fors", "metis", "hawki", "micado")]
"""Those that render in a tenth of a second; the others are as right to try, but not as often."""
RENDERED = OFTEN * 12 + REQUESTS if MORE else OFTEN


def places(value: Any) -> Iterator[tuple[dict[str, Any], str]]:
    """Yield every (object, key) in a document."""
    if isinstance(value, dict):
        for key, member in value.items():
            yield value, key
            yield from places(member)


def _replace(parent: dict[str, Any], key: str, value: Any, _name: str) -> None:
    parent[key] = value


def _drop(parent: dict[str, Any], key: str, _value: Any, _name: str) -> None:
    del parent[key]


def _rename(parent: dict[str, Any], key: str, _value: Any, name: str) -> None:
    parent[name] = parent.pop(key)


def _add(parent: dict[str, Any], _key: str, value: Any, name: str) -> None:
    parent[name] = value


def _misspell(parent: dict[str, Any], key: str, _value: Any, _name: str) -> None:
    parent[key[:-1]] = parent.pop(key)


def _scale(parent: dict[str, Any], key: str, value: Any, _name: str) -> None:
    old = parent[key]
    if isinstance(old, (int, float)) and isinstance(value, (int, float)):
        parent[key] = old * value
    elif isinstance(old, str):
        parent[key] = old.swapcase()


def _wrap(parent: dict[str, Any], key: str, _value: Any, name: str) -> None:
    parent[key] = {name: parent[key]}


def _text(parent: dict[str, Any], key: str, _value: Any, _name: str) -> None:
    parent[key] = str(parent[key])


OPERATIONS: list[Callable[[dict[str, Any], str, Any, str], None]] = [
    _replace, _replace, _replace, _scale, _scale, _drop, _rename, _misspell, _add, _wrap, _text,
]  # fmt: skip
MUTATION = st.tuples(
    st.integers(0, 10**6), st.sampled_from(OPERATIONS), st.sampled_from(VALUES), st.sampled_from(NAMES)
)


@st.composite
def mutated(draw: st.DrawFn, documents: list[dict[str, Any]]) -> bytes:
    document = copy.deepcopy(draw(st.sampled_from(documents)))
    for index, operation, value, name in draw(st.lists(MUTATION, min_size=1, max_size=3)):
        everywhere = list(places(document))
        if everywhere:
            operation(*everywhere[index % len(everywhere)], copy.deepcopy(value), name)
    return json.dumps(document).encode()


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    text = bytearray(json.dumps(draw(st.sampled_from(RENDERED))).encode())
    for where, what in draw(st.lists(st.tuples(st.integers(0, 10**6), st.binary(max_size=3)), max_size=3)):
        at = where % len(text)
        text[at : at + 1] = what
        text = text or bytearray(b" ")
    return bytes(text[: draw(st.integers(0, len(text)))] if draw(st.booleans()) else text)


def run(elvis: Any, *argv: str, stdin: bytes) -> Any:
    """Return the result of a command whose exit code and messages are as promised."""
    result = elvis(*argv, stdin=stdin)
    assert result.code in (0, 65, 69), result.err
    assert all(line.startswith("elvis: ") and line.isprintable() for line in result.err.splitlines())
    if result.code:
        assert result.out == b""
        assert len(result.lines) == 1, result.err
        assert len(result.lines[0]) < 4000
    else:
        assert result.lines == []
    return result


def check(elvis: Any, request: bytes) -> Any:
    """Return the result of a render, whose file is valid if there is one."""
    result = run(elvis, WINDOW, stdin=request)
    if result.code:
        return result
    assert len(result.out) % 2880 == 0
    with fits.open(BytesIO(result.out), checksum=True) as hdus:
        assert hdus[1].data.shape == (48, 48) or "QUADID" in hdus[1].header  # a quadrant has scans besides
        assert [hdu.name for hdu in hdus[-2:]] == ["ELVIS_VALUES", "ELVIS_REQUEST"]
    return result


def tries(number: int) -> settings:
    """Return the settings of a test of ``number`` examples, the same in every run."""
    quiet = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example]
    return settings(max_examples=number, derandomize=True, deadline=None, database=None, suppress_health_check=quiet)


@tries(1500 * MORE or 120)
@given(request=mutated(RENDERED))
def test_mutated_requests(elvis: Any, request: bytes) -> None:
    check(elvis, request)


@tries(500 * MORE or 120)
@given(request=damaged())
def test_damaged_text(elvis: Any, request: bytes) -> None:
    check(elvis, request)


@tries(150)
@given(request=mutated(REQUESTS))
def test_mutated_requests_are_configured_or_refused(elvis: Any, request: bytes) -> None:
    result = run(elvis, "explain", stdin=request)
    assert result.code or result.out.startswith(b"name\t")


def test_the_requests_before_mutation_are_right(elvis: Any) -> None:
    unexpected = []
    for number, document in enumerate(REQUESTS):
        name = document.get("instrumentName") or document.get("application", {}).get("instrument")
        text = json.dumps(document).encode()
        # tests/test_cli.py and tests/test_same_bytes.py render those that take long
        result = check(elvis, text) if MORE or document in OFTEN else run(elvis, "explain", stdin=text)
        if name is None and document["instrument"].get("name"):  # CRIRES, damaged on the way
            expected = 65
        elif name not in (*registry.names(), "nirps"):
            expected = 69
        elif "emissionline" not in json.dumps(document) or name == "fors":
            expected = 0
        else:  # a line that is to have a magnitude in a band elsewhere
            expected = 65
        if result.code != expected:
            unexpected.append((number, name, result.code, result.err))
    assert unexpected == []

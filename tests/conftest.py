"""Shared by all tests: requests to start from, an in-process renderer and the command itself."""

from __future__ import annotations

import copy
import io
import json
import sys
from collections.abc import Callable
from io import BytesIO, TextIOWrapper
from typing import Any, NamedTuple

import pytest

from elvis_cli import cli, pipeline, reader

Document = dict[str, Any]
FORS: Document = {
    "target": {
        "morphology": {"morphologytype": "point"},
        "sed": {
            "sedtype": "spectrum",
            "spectrum": {"spectrumtype": "powerlaw", "params": {"exponent": 0}},
            "extinctionav": 0,
        },
        "brightness": {"brightnesstype": "mag", "magband": "V", "mag": 20, "magsys": "vega"},
    },
    "sky": {"airmass": 1.0, "fli": 0, "waterVapour": 30, "moonDistance": 180, "airglowEnabled": False},
    "seeing": {"turbulence_category": 50, "aperturepix": 0},
    "instrument": {
        "ins_configuration": "img_nopol",
        "DET.READ.CLKIND": "200kHz,1x1,low",
        "INS.FILT1.NAME": "v_HIGH+114",
        "SEQ.CCD": "R",
        "INS.COLL.NAID": "COLL_SR+6",
    },
    "timesnr": {"DET.WIN1.UIT1": 100, "SEQ.NEXPO": 1},
    "output": {},
    "instrumentName": "fors",
}
MICADO: Document = {
    "target": {
        "morphology": {"morphologytype": "point"},
        "sed": {
            "sedtype": "spectrum",
            "spectrum": {"spectrumtype": "template", "params": {"catalog": "Pickles", "id": "A0V"}},
            "extinctionav": 0,
        },
        "brightness": {"brightnesstype": "mag", "magband": "K", "mag": 20, "magsys": "vega"},
    },
    "sky": {"airmass": 1.2, "fli": 0.5, "waterVapour": 2.5, "moonDistance": 45},
    "seeing": {"turbulence_category": 50, "aperturepix": 0, "separation": 0},
    "instrument": {"ins_configuration": "img_4mas_scao", "INS.FILT2.NAME": "Ks"},
    "timesnr": {"DET.DIT": 60, "DET.NDIT": 1},
    "output": {},
    "instrumentName": "micado",
}


def changed(document: Document, changes: dict[str, Any]) -> Document:
    """Return a copy with values set by path, e.g. {"sky/airmass": 1.5}; DELETE takes a key out."""
    document = copy.deepcopy(document)
    for path, value in changes.items():
        *parents, last = path.split("/")
        node = document
        for name in parents:
            node = node.setdefault(name, {})
        node[last] = value
    return document


@pytest.fixture
def fors() -> Callable[..., Document]:
    """A FORS2 request that ESO's ETC has answered; keyword ``changes`` by path."""
    return lambda changes=None: changed(FORS, changes or {})


@pytest.fixture
def micado() -> Callable[..., Document]:
    """A MICADO request; ``changes`` by path."""
    return lambda changes=None: changed(MICADO, changes or {})


@pytest.fixture
def predict() -> Callable[[Document], Any]:
    """Return the ETC's prediction for a document."""
    return lambda document: pipeline.predict(reader.read(json.dumps(document)))


@pytest.fixture
def render() -> Callable[[Document], bytes]:
    """Return the FITS bytes for a document."""

    def run(document: Document) -> bytes:
        out = io.BytesIO()
        pipeline.render(reader.read(json.dumps(document)), out)
        return out.getvalue()

    return run


class Result(NamedTuple):
    """What a run of elvis left."""

    code: int
    out: bytes
    err: str

    @property
    def lines(self) -> list[str]:
        """Lines on stderr that are not notes."""
        return [line for line in self.err.splitlines() if not line.startswith("elvis: note: ")]


Elvis = Callable[..., Result]


def run(*argv: str, stdin: str | bytes = b"") -> Result:
    """Run elvis in this process: the same entry as the command, on streams in memory."""
    streams = sys.stdin, sys.stdout, sys.stderr
    given = stdin.encode() if isinstance(stdin, str) else stdin
    sys.stdin = TextIOWrapper(BytesIO(given))
    sys.stdout = TextIOWrapper(BytesIO())
    sys.stderr = TextIOWrapper(BytesIO(), encoding="utf-8", errors="backslashreplace")
    try:
        code = cli.run(list(argv))
        sys.stdout.flush()
        sys.stderr.flush()
        return Result(code, sys.stdout.buffer.getvalue(), sys.stderr.buffer.getvalue().decode())  # type: ignore[attr-defined]
    finally:
        sys.stdin, sys.stdout, sys.stderr = streams


@pytest.fixture(scope="session")
def elvis() -> Elvis:
    """Run elvis in this process: ``elvis("--seed", "1", stdin=request)``."""
    return run

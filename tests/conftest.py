"""Shared by all tests: requests to start from and an in-process renderer."""

from __future__ import annotations

import copy
import io
import json
from collections.abc import Callable
from typing import Any

import pytest

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
    from elvis_cli import pipeline, reader

    return lambda document: pipeline.predict(reader.read(json.dumps(document)))


@pytest.fixture
def render() -> Callable[[Document], bytes]:
    """Return the FITS bytes for a document."""
    from elvis_cli import pipeline, reader

    def run(document: Document) -> bytes:
        out = io.BytesIO()
        pipeline.render(reader.read(json.dumps(document)), out)
        return out.getvalue()

    return run

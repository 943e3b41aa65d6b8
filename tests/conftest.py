"""Shared by all tests: requests to start from, an in-process renderer and the command itself."""

from __future__ import annotations

import copy
import functools
import io
import json
import os
import sys
from collections.abc import Callable
from io import BytesIO, TextIOWrapper
from typing import Any, NamedTuple

import pytest
import typer.main
from astropy.utils import iers

from elvis_cli import cli, pipeline
from elvis_cli.focalplane.renderer import Renderer
from elvis_cli.instrument import registry
from elvis_cli.instrument.toml_plugin import TomlInstrument
from elvis_cli.light import calibration
from elvis_cli.model.request import Request
from elvis_cli.request import parse
from tests.frames import pixels, prediction, request_for, setup, written
from tests.postgres import postgres

__all__ = ["pixels", "postgres", "prediction", "request_for", "setup", "written"]  # fixtures

# Some tests compare with astropy, whose tables of UT1 and of leap seconds may be of any age; some do so at import.
iers.conf.auto_download = False
iers.conf.auto_max_age = None
iers.conf.iers_degraded_accuracy = "ignore"

# Typer builds all commands anew for every command line, which takes 45 ms.
typer.main.get_command = functools.cache(typer.main.get_command)

os.environ["ELVIS_CACHE"] = ""  # tests take nothing from runs before them

closure_only = pytest.mark.skipif(not os.environ.get("ELVIS_CLOSURE"), reason="make closure")
"""Marks a test that takes long and repeats what a cheaper one asserts, of more modes or with more statistics."""

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


@pytest.fixture(autouse=True)
def _no_source_date(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)


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
    return lambda document: pipeline.predict(parse.read(json.dumps(document)))


@pytest.fixture
def render() -> Callable[[Document], bytes]:
    """Return the FITS bytes for a document."""

    def run(document: Document) -> bytes:
        out = io.BytesIO()
        pipeline.render(parse.read(json.dumps(document)), out)
        return out.getvalue()

    return run


def renderer(document: Document) -> Renderer:
    """Return what draws the exposure of a document: no prediction, which takes longer for a spectrograph."""
    request = parse.read(json.dumps(document))
    request, setup = calibration.arrange(request, pipeline.configure(request))
    return pipeline._renderer(*calibration.illuminate(request, setup))


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
        return Result(code, sys.stdout.buffer.getvalue(), sys.stderr.buffer.getvalue().decode())
    finally:
        sys.stdin, sys.stdout, sys.stderr = streams


@pytest.fixture(scope="session")
def elvis() -> Elvis:
    """Run elvis in this process: ``elvis("--seed", "1", stdin=request)``."""
    return run


Bench = Callable[..., Document]
OWN = "made up for the test"


def fact(value: Any, unit: str = "1", **more: Any) -> Document:
    """Return a number as an instrument's file has it."""
    return {"value": value, "unit": unit, "source": OWN, **more}


def facts(table: Document) -> Document:
    """Return a table whose pairs (value, unit) are numbers of an instrument's file."""
    return {key: fact(*value) if isinstance(value, tuple) else value for key, value in table.items()}


def toml(value: Any) -> str:
    """Return TOML on one line, tables inline."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(str(key))} = {toml(item)}" for key, item in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(toml, value)) + "]"
    return json.dumps(value)


def trace(wave: tuple[float, float], x: Any, y: Any, **more: Any) -> Document:
    """Return a trace: polynomials (mm) in u = -1..1 from end to end of ``wave`` and in s, arcsec."""
    low, high = wave
    place = {"l0": (low + high) / 2, "lw": (high - low) / 2, "s0": 0.0, "sw": 1.0, "x_mm": x, "y_mm": y}
    return {"order": 1, "aperture": 0, "wave": list(wave), **place, **more}


STRAIGHT = trace((0.60, 0.66), [[0.0], [3.0]], [[0.0, 0.06]])
"""400 pixels along x, 0.25 arcsec a pixel along y."""


@pytest.fixture
def bench(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """Make an instrument of data alone, "bench", and return a request for it.

    0.25 arcsec a pixel, 512 x 256 pixels of 15 um that see 0.60 to 0.66 um, behind a Gaussian PSF; with ``aperture``
    and ``traces`` (``bench.trace`` makes one) it is a spectrograph, further keywords are keys of its table; numbers
    are pairs (value, unit). ``changes`` by path.
    """

    def make(
        changes: Document | None = None,
        *,
        kind: str = "imager",
        aperture: Document | None = None,
        traces: Any = (STRAIGHT,),
        psf: str = "gaussian",
        tables: Document | None = None,
        **table: Any,
    ) -> Document:
        folder = tmp_path / f"bench{len(list(tmp_path.iterdir()))}"
        (folder / "_telescopes").mkdir(parents=True)
        clear = {"throughput": fact(0.9), "emissivity": fact(0.0), "temperature": fact(280.0, "K")}
        telescope = {
            "name": "LENS",
            "area": fact(0.7, "m2"),
            "diameter": fact(1.0, "m"),
            "inner": fact(0.0, "m"),
            "spider_width": fact(0.0, "m"),
            "spider_angles": fact([], "deg"),
            "surfaces": {"lens": {"name": "lens", "group": "telescope", **clear}},
        }
        chip = {name: fact(0.0, unit) for name, unit in (("x", "mm"), ("y", "mm"), ("rotation", "deg"))}
        detector = {
            "name": "bench",
            "kind": "ccd",
            "nx": fact(512, "pixel"),
            "ny": fact(256, "pixel"),
            "pixel": fact(0.015, "mm"),
            "full_well": fact(1e5, "electron"),
            "bias": fact(100.0, "adu"),
            "adc_max": fact(65535.0, "adu"),
            "qe": {"wave": [0.5999, 0.6, 0.66, 0.6601], "outside": 0.0, **fact([0.0, 0.8, 0.8, 0.0])},
            "gain": fact(2.0, "electron/adu"),
            "ron": fact(3.0, "electron"),
            "dark": fact(0.0, "electron/s"),
            **chip,
            "chips": {"1": {"extname": "CHIP1"}},
        }
        instrument = {
            "name": "bench",
            "site": "paranal",
            "telescope": "lens",
            "default_mode": "only",
            "kind": kind,
            "psf": psf,
            "detector": "bench",
            "binning": fact(1),
            "pixel_scale": fact(0.25, "arcsec"),
            "optics": ["filters"],
            "filter_temperature": fact(280.0, "K"),
            "modes": {"only": {"title": "the only one"}},
            "keys": {},
            "timing": {"dit_key": "DET.WIN1.UIT1", "dit": fact(10.0, "s"), "count_key": "SEQ.NEXPO", "count": fact(1)},
            "seeing": {"default_category": fact(50, "%"), "categories": fact({"50": 0.8}, "arcsec")},
            "frame": {},
            "detectors": {"bench": detector},
            **(tables or {}),
        }
        if aperture is not None:
            (folder / "traces.json").write_text(json.dumps({"source": OWN, "traces": list(traces)}))
            instrument["spectrograph"] = {"traces": ["traces.json"], "aperture": facts(aperture), **facts(table)}
        (folder / "_telescopes" / "lens.toml").write_text("\n".join(f"{k} = {toml(v)}" for k, v in telescope.items()))
        (folder / "instrument.toml").write_text("\n".join(f"{k} = {toml(v)}" for k, v in instrument.items()))
        plugin = TomlInstrument(folder)
        usual = registry.load
        monkeypatch.setattr(registry, "load", lambda name: plugin if name == "bench" else usual(name))
        document = plugin.example()
        document["target"]["sed"]["spectrum"] = {"spectrumtype": "powerlaw", "params": {"exponent": 0}}
        return changed(document, {"sky/airmass": 1, "target/brightness/mag": 12, "output": {}, **(changes or {})})

    make.trace = trace  # type: ignore[attr-defined]
    return make


@pytest.fixture
def ready() -> Callable[[Document], pipeline.PreparedExposure]:
    """Return the observation of a document, nothing drawn yet."""
    return lambda document: pipeline.prepare(parse.read(json.dumps(document)))


@pytest.fixture(scope="session")
def request_with() -> Callable[..., Request]:
    """Return a request; keyword arguments are keys of the block ``elvis``, ``mag`` and ``band`` the target's."""

    def make(mag: float = 15.0, band: str = "K", target: dict[str, Any] | None = None, **elvis: Any) -> Request:
        brightness = {"brightnesstype": "mag", "mag": mag, "magband": band, "magsys": "vega"}
        document = {"instrumentName": "x", "target": {"brightness": brightness, **(target or {})}, "elvis": elvis}
        return parse.read(json.dumps(document))

    return make

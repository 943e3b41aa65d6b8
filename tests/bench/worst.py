"""The worst requests that are accepted: processor time and peak memory of a process, beside ELVIS's own estimate.

The floor is that of whole processes: the imports of libraries, and numpy's deviates for each pixel that is written. It
ends with exit code 1 if a request takes more than 1.3 times the memory of its estimate.

    python -m tests.bench.worst [NAME...]
"""

from __future__ import annotations

import base64
import json
import sys
import tempfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from elvis_cli import pipeline
from elvis_cli.instrument import registry
from elvis_cli.model.limits import DEFAULT, Cost, Limits
from elvis_cli.model.request import Request
from elvis_cli.request import parse
from tests.bench import measure
from tests.bench.run import pixels

WINDOW = {"x0": 500, "y0": 500, "nx": 64, "ny": 64}
RANDOM = np.random.default_rng(1)
Document = dict[str, Any]


def packed(numbers: Any, kind: str = "<f8") -> str:
    """Return numbers as a request has them."""
    return base64.b64encode(zlib.compress(np.asarray(numbers, kind).tobytes(), 1)).decode()


def of(name: str, mode: str | None = None, **block: Any) -> Document:
    """Return an instrument's example with a block ``elvis``."""
    document = registry.load(name).example(mode)
    document["elvis"] = {**document.get("elvis", {}), **block}
    return document


def stars(count: int, half: float, **more: Any) -> Document:
    """Return a catalogue of ``count`` stars up to ``half`` arcsec from the middle in x and y."""
    places = {name: packed(RANDOM.uniform(-half, half, count).round(3)) for name in ("x", "y")}
    return {**places, "mag": packed(RANDOM.uniform(18, 28, count).round(2)), **more}


def cube(instrument: str, scale: float, **more: Any) -> Document:
    """Return a request for a data cube of 256^3 elements."""
    data = packed(RANDOM.uniform(0, 1, (256, 256, 256)).round(2), "<f4")
    wave = np.linspace(1.9, 2.5, 256).tolist()
    return of(instrument, cube={"data": data, "shape": [256] * 3, "scale": scale, "wavelength_um": wave}, **more)


def trails(points: int) -> Document:
    """Return a request for ten thousand stars that leave trails while the telescope follows its target."""
    document = of("hawki", window=WINDOW, chips=[1], catalogue=stars(10_000, 200))
    seconds = document["timesnr"]["DET.DIT"] * document["timesnr"]["DET.NDIT"]
    document["elvis"]["motion"] = {"rate": points * 0.05 * 3600 / seconds, "angle": 30, "tracked": True}
    return document


def models() -> Document:
    """Return a request with a model of the flat field of every chip."""
    array = {"data": packed(np.ones((4096, 4096)), "<f4"), "shape": [4096, 4096]}
    return of("micado", window=WINDOW, models={"flat_field": {"arrays": {str(n): array for n in range(1, 10)}}})


def previous() -> Document:
    """Return a request with an earlier exposure of every chip."""
    window = {"x0": 0, "y0": 0, "nx": 4096, "ny": 4096}
    chip = {"window": window, "data": packed(np.ones((4096, 4096)), "u1")}
    return of("micado", window=WINDOW, previous={"dit": 10, "chips": [{"chip": n, **chip} for n in range(1, 10)]})


CASES: dict[str, Callable[[], Document]] = {
    "no arrays, a window of MICADO": lambda: of("micado", window=WINDOW),
    "5e6 stars, one chip of MICADO": lambda: of("micado", catalogue=stars(5_000_000, 7)),
    "5e6 stars, four chips of HAWK-I": lambda: of("hawki", catalogue=stars(5_000_000, 200)),
    "1e6 galaxies, a window of HAWK-I": lambda: of(
        "hawki", window=WINDOW, chips=[1],
        catalogue=stars(1_000_000, 200, radius=packed(RANDOM.uniform(0.1, 1, 1_000_000))),
    ),
    "image of 4096^2, a chip of HAWK-I": lambda: of(
        "hawki", chips=[1],
        image={"data": packed(RANDOM.uniform(0, 1, 4096**2).round(2), "<f4"), "shape": [4096, 4096], "scale": 0.02},
    ),
    "cube of 256^3, a window of MICADO": lambda: cube("micado", 0.004, window=WINDOW),
    "PSF of 4 x 2048^2, a window of MICADO": lambda: of(
        "micado", window=WINDOW,
        psf={"data": packed(np.exp(-np.hypot(*np.ogrid[-1024:1024, -1024:1024]) / 9)[None].repeat(4, 0), "<f4"),
             "shape": [4, 2048, 2048], "scale": 0.002, "wavelength_um": [1.9, 2.1, 2.3, 2.5]},
    ),
    "models of nine chips of MICADO": models,
    "an earlier exposure of nine chips of MICADO": previous,
    "1e4 trails, a window of HAWK-I": lambda: trails(2500),
    "globular cluster of 2e6 stars, MICADO": lambda: of(
        "micado", scene={"name": "globular-cluster", "stars": 2_000_000, "core_radius": 3, "tidal_radius": 60}
    ),
    "cube of 256^3, a window of HARMONI": lambda: cube("harmoni", 0.01, window=WINDOW),
    "2e4 stars, a window of 4MOST": lambda: of("fourmost", window=WINDOW, catalogue=stars(20_000, 4000)),
    "61 fibres in 18 orders, a window of ANDES": lambda: of("andes", "ifu", window=WINDOW),
    "1500 stars of all temperatures, a window of CRIRES2": lambda: of(
        "crires2", "spec_ngs", window=WINDOW,
        catalogue=stars(1500, 5, temperature=packed(RANDOM.uniform(2700, 30000, 1500).round())),
    ),
}  # fmt: skip


class _Expected(Exception):
    """Bytes and seconds of a request, known before anything is drawn."""


def estimate(text: str) -> tuple[float, float]:
    """Return the bytes and the processor seconds that are expected of a request."""

    sizes = []

    def check(request: Request, expected: Cost) -> None:
        raise _Expected(request.memory + expected.memory, expected.seconds)

    def note(limits: Limits, size: float, pointer: str) -> None:  # the points of trails are checked before the cost
        sizes.append(size)

    pipeline._check_cost, Limits.check_memory = check, note
    try:
        pipeline.prepare(parse.read(text))
    except _Expected as error:
        memory, seconds = error.args
    return max(memory, *sizes), seconds


def main(names: list[str]) -> int:
    """Print the table; 1 if a request takes more than 1.3 times its estimate."""
    measure.head(__doc__)
    above = 0
    for name, make in CASES.items():
        if names and name not in names:
            continue
        with tempfile.TemporaryDirectory() as folder, measure.skipping(name):
            request, output = Path(folder, "request.json"), Path(folder, "out.fits")
            request.write_text(text := json.dumps(make()))
            bytes_, seconds = estimate(text)
            del text
            floor, used = measure.floor(), measure.elvis(request, output)
            estimated = bytes_ / 2**20
            remark = f"estimated {seconds:.0f} s, {estimated:.0f} MiB"
            measure.row(name, used, floor.of(pixels(output)), remark)
            above += used.memory > 1.3 * estimated
    print(f"the limit is {DEFAULT.memory / 2**20:.0f} MiB")
    return int(above > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

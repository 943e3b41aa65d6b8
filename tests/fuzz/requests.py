"""Requests by the schema: values at its limits and beyond, arrays packed and damaged, and documents mutated."""

from __future__ import annotations

import base64
import copy
import json
import math
import random
import struct
import zlib
from functools import cache
from pathlib import Path
from typing import Any

import elvis_schemas

from elvis_cli.detector import steps
from elvis_cli.instrument import registry
from tests.conftest import FORS, MICADO
from tests.fuzz.damage_text import EVIL, dump, mutate

QUICK = ("fors", "hawki", "metis", "eris")
"""Instruments of which most cases are: they render in a tenth of a second."""
CARDS = ["END", "SIMPLE", "CONTINUE", "COMMENT", "HISTORY", "", " ", "HIERARCH", "NAXIS", "NAXIS1", "BSCALE",
     "BLANK", "GROUPS", "XTENSION",
         "EXTNAME", "CHECKSUM", "A", "A=B", "a b", "ESO DET DIT", "HIERARCH ESO X", "A\nB", "A" * 9, "A" * 68,
         "ÄÖ", "\x00", "A.B", "1", "TELESCOP",
         "INSTRUME", "ARCFILE", "DATE-OBS", "MJD-OBS", "ORIGIN", "OBJECT", "CRVAL1", "PV1_1", "DP1.X",
         "ESO " + "X Y " * 12]  # fmt: skip


@cache
def documents() -> tuple[list[Any], list[Any]]:
    """Return requests of quick instruments, and of all: an example of each mode, the ETC's own."""
    every = [plugin.example(mode.mode) for plugin in map(registry.load, registry.names()) for mode in plugin.modes()]
    folder = Path(__file__).parents[1] / "data" / "etc"
    every += [json.loads(path.read_text()) for path in sorted(folder.glob("*.json")) if "malformed" not in path.stem]
    quick = [
        d
        for d in every
        if d.get("instrumentName") in QUICK
        and str((d.get("instrument") or {}).get("ins_configuration")).startswith("img")
    ]
    return [FORS, MICADO, *quick], every


def request(rng: random.Random) -> bytes:
    """Return a request: keys of the block ``elvis`` added, some of it mutated."""
    quick, every = documents()
    document = copy.deepcopy(rng.choice(every if rng.random() < 0.25 else quick))
    block = document["elvis"] = document.get("elvis") or {}
    schema = elvis_schemas.load()["properties"]
    keys = [key for key in schema["elvis"]["properties"] if key != "window"]
    for _ in range(rng.choice([0, 1, 1, 2, 3])):
        key = rng.choice(keys)
        block[key] = (
            BUILDERS[key](rng)
            if key in BUILDERS and rng.random() < 0.93
            else value(schema["elvis"]["properties"][key], rng)
        )
    if "ra" in (block.get("catalogue") or {}) and rng.random() < 0.9:
        block["pointing"] = {"ra": 83.6, "dec": -5.4, "position_angle": rng.choice([0, 20, None])}
    if rng.random() < 0.25:
        section = rng.choice(["target", "sky", "seeing", "timesnr", "output", "instrument"])
        made = value(schema[section], rng)
        old = document.get(section)
        document[section] = {**old, **made} if isinstance(made, dict) and isinstance(old, dict) else made
    for _ in range(rng.choice([0, 0, 1, 1, 1, 2, 3])):
        mutate(document, rng)
    return dump(document, rng)


def value(schema: Any, rng: random.Random, depth: int = 0) -> Any:
    """Return a value that a schema takes, often at its very limits, now and then beyond."""
    if rng.random() < 0.015 or depth > 12:
        return copy.deepcopy(rng.choice(EVIL))
    for word in ("const", "enum", "oneOf", "anyOf"):
        if word in schema:
            found = schema[word]
            return (
                found
                if word == "const"
                else rng.choice(found)
                if word == "enum"
                else value(rng.choice(found), rng, depth + 1)
            )
    kinds = schema.get("type", "object" if "properties" in schema else "number")
    kind = rng.choice([k for k in ([kinds] if isinstance(kinds, str) else kinds) if k != "null"] or ["null"])
    if kind in ("number", "integer"):
        low, high = schema.get("minimum", schema.get("exclusiveMinimum", -1e6)), schema.get("maximum", 1e6)
        pool = [low, high, 0, 1, 2, 1e-9, rng.uniform(low, high), rng.uniform(0, 1), rng.uniform(1, 30), -rng.random()]
        made = min(max(rng.choice(pool), low), high)
        return int(made) if kind == "integer" else made
    if kind == "boolean":
        return rng.random() < 0.6
    if kind == "string":
        pool = [
            "x",
            "",
            "K",
            "V",
            "Pickles:A0V",
            "2030-01-01T03:00:00",
            "2030-01-01",
            "full",
            "all",
            "single",
            "cds",
            "mcds:4",
            "utr:8",
            *steps.NAMES,
        ]
        return rng.choice(pool)[: schema.get("maxLength", 300)]
    if kind == "array":
        count = max(schema.get("minItems", 0), min(schema.get("maxItems", 20), rng.choice([0, 1, 1, 2, 2, 3, 20])))
        items = schema.get("prefixItems") or [schema.get("items", {})] * count
        return [value(item, rng, depth + 1) for item in items]
    if kind == "object":
        wanted = schema.get("required", ())
        return {
            key: value(inner, rng, depth + 1)
            for key, inner in schema.get("properties", {}).items()
            if key in wanted or rng.random() < 0.3
        }
    return None


def pack(data: bytes, rng: random.Random) -> str:
    """Return base64 of zlib of bytes, now and then damaged."""
    text, roll = base64.b64encode(zlib.compress(data, 1)).decode(), rng.random()
    if roll < 0.03:
        return text[: rng.randrange(len(text) + 1)]
    if roll < 0.05:
        at = rng.randrange(len(text))
        return text[:at] + rng.choice("AZaz09+/=!\n é") + text[at + 1 :]
    if roll < 0.06:
        return base64.b64encode(zlib.compress(bytes(50_000_000), 9)).decode()
    if roll < 0.07:
        return base64.b64encode(zlib.compress(data, 1) + b"garbage" * 9).decode()
    return text


def _floats(count: int, rng: random.Random, code: str = "<f") -> bytes:
    values = rng.choice(
        [[rng.random() for _ in range(min(count, 64))]] * 6
        + [[0.0], [-1.0, 2.0], [math.nan, 1.0], [math.inf, 1.0], [3e38], [1e-45, 0.0]]
    )
    one = b"".join(struct.pack(code, number) for number in values)
    size = count * struct.calcsize(code)
    return (one * (size // len(one) + 1))[:size]


def _shape(rng: random.Random, count: int = 2) -> tuple[list[Any], int]:
    shape = [rng.choice([1, 1, 2, 3, 4, 5, 8, 16, 17, 31]) for _ in range(count)]
    size = math.prod(shape)
    if rng.random() < 0.06:
        shape[rng.randrange(count)] = rng.choice([0, -1, 4096, 16384, 100000, 10**9, 2.5, None, "3", 2**63])
    return shape, size


def _image(rng: random.Random) -> dict[str, Any]:
    shape, size = _shape(rng)
    scale = rng.choice([1e-9, 1e-4, 0.002, 0.01, 0.1, 1, 60, 3600])
    return {
        "data": pack(_floats(size, rng), rng),
        "shape": shape,
        "scale": scale,
        "position_angle": rng.choice([0, 30, -360, None]),
    }


def _cube(rng: random.Random) -> dict[str, Any]:
    shape, size = _shape(rng, 3)
    waves = _waves(shape[0], rng)
    return {
        **_image(rng),
        "data": pack(_floats(size, rng), rng),
        "shape": shape,
        "wavelength_um": waves,
        "absolute": rng.choice([True, False, None]),
    }


def _waves(count: Any, rng: random.Random) -> list[float]:
    start, step = rng.choice([0.05, 0.3, 0.5, 2.0, 3.8, 900]), rng.choice([1e-9, 1e-4, 0.01, 0.1, 0.3, 1, 10, 0])
    return [start + n * step for n in range(count if isinstance(count, int) and 0 <= count < 100 else 3)]


def _psf(rng: random.Random) -> dict[str, Any]:
    shape, size = _shape(rng, 3)
    made = {
        "data": pack(_floats(size, rng), rng),
        "shape": shape,
        "scale": rng.choice([1e-9, 1e-3, 0.004, 0.1, 0.25, 1, 1000]),
    }
    if rng.random() < 0.7:
        made["wavelength_um"] = _waves(shape[0], rng)
    if rng.random() < 0.3:
        made["field"] = {"x": [0, 1e4], "y": [0, rng.choice([1, -1e4])], "psf": [0, rng.choice([0, 1, 65535])]}
    return made


def _catalogue(rng: random.Random) -> dict[str, Any]:
    count, packed = rng.choice([1, 2, 5, 50, 1500]), rng.random() < 0.3

    def column(low: float, high: float) -> Any:
        pool = [low, high, 0, rng.uniform(low, high), rng.uniform(-5, 5)]
        values = [float(min(max(rng.choice(pool), low), high)) for _ in range(count + (rng.random() < 0.01))]
        if rng.random() < 0.03:
            values[0] = rng.choice([math.nan, math.inf, high + 1, -1e300])
        return (
            pack(struct.pack(f"<{len(values)}d", *values), rng)
            if packed or not all(map(math.isfinite, values))
            else values
        )

    block: dict[str, Any] = {"mag": column(-30, 60) if rng.random() < 0.2 else column(8, 25)}
    far = 5.0 if rng.random() < 0.7 else 36000.0
    block |= (
        {"x": column(-far, far), "y": column(-far, far)}
        if rng.random() < 0.75
        else {"ra": column(-360, 360), "dec": column(-90, 90)}
    )
    for key, low, high in (("temperature", 0, 1e6), ("radius", 0, 3600), ("index", 0.3, 10), ("ellipticity", 0,
         0.95), ("angle", -360, 360),
                           ("velocity", -1e5, 1e5), ("id", 0, 2**53)):  # fmt: skip
        if rng.random() < 0.2:
            block[key] = column(low, high)
    if rng.random() < 0.2:
        block["sed"] = [rng.choice(["", "Pickles:G2V", "Pickles:A0V", "x", ":", "Kurucz:", "é"]) for _ in range(count)]
    return block


def _models(rng: random.Random) -> dict[str, Any]:
    values = [0, -1, 1, 1e-300, 1e300, 1e9, "x", None, [], [0] * 9, [1] * 9, [1e300] * 3, True, {}, "é\n"]
    keys = [
        "rate",
        "factor",
        "level",
        "shift",
        "cubic",
        "sigma",
        "value",
        "kernel",
        "x",
        "electrons",
        "coefficients",
        "fraction",
        "rms",
    ]
    found: dict[str, Any] = {}
    for _ in range(rng.choice([1, 1, 2])):
        block: dict[str, Any] = {}
        if rng.random() < 0.6:
            block["parameters"] = {rng.choice(keys): rng.choice(values) for _ in range(rng.choice([1, 2]))}
        if rng.random() < 0.5:
            shape, size = rng.choice([([48, 48], 48 * 48), ([2048, 2048], 2048 * 2048), _shape(rng)])
            block["arrays"] = {
                rng.choice(["0", "1", "2", "x", "", "-1", "1" * 30]): {
                    "data": pack(_floats(size, rng), rng),
                    "shape": shape,
                }
            }
        found[rng.choice([*steps.NAMES, "psf", "x", ""])] = block
    return found


def _previous(rng: random.Random) -> dict[str, Any]:
    chips = []
    for number in range(1, rng.choice([2, 2, 3])):
        nx, ny = rng.choice([(48, 48), (1, 1), (2048, 2048), (17, 3)])
        window = {"x0": rng.choice([0, 480, 100000]), "y0": rng.choice([0, 480]), "nx": nx, "ny": ny}
        chips.append(
            {
                "chip": rng.choice([number, 9, 1000]),
                "window": window,
                "data": pack(bytes([rng.randrange(256)]) * (nx * ny), rng),
            }
        )
    return {
        "dit": rng.choice([1e-9, 1, 60, 1e6]),
        "gap": rng.choice([0, 1e-9, 30, 1e6]),
        "count": rng.choice([1, 10, 1000000, None]),
        "chips": chips,
    }


def _keywords(rng: random.Random) -> dict[str, Any]:
    words = [v for v in EVIL if isinstance(v, (str, int, float)) and len(str(v)) < 500] + [
        "a'b" * 40,
        "A" * 67 + "'",
        "A" * 69 + "'&",
        "é" * 80,
    ]
    return {rng.choice(CARDS): rng.choice(words) if rng.random() < 0.5 else [rng.choice(words), rng.choice(["",
         "é\n", "/ x", "a" * 500])]
            for _ in range(rng.choice([1, 2, 5, 30]))}  # fmt: skip


BUILDERS = {"image": _image, "cube": _cube, "psf": _psf, "catalogue": _catalogue, "models": _models,
     "previous": _previous, "keywords": _keywords,
            "sed": lambda rng: {"wavelength_um": _waves(rng.choice([2, 3, 12]), rng), "flux": rng.choice([[1, 2,
            1], [0, 0, 0], [1e300] * 12])}}  # fmt: skip
"""Keys of the block ``elvis`` that a schema alone does not fill well."""

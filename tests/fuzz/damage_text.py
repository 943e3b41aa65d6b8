"""Damage to texts (tables, starlists, YAML, VOTable) and to what JSON holds."""

from __future__ import annotations

import contextlib
import copy
import gzip
import json
import random
import re
from typing import Any

CANARY = "/nowhere/canary"
"""A path, and part of an address, that nothing may open on account of what an input says."""
CELLS = ["", " ", "nan", "NaN", "inf", "-inf", "1e400", "-1e400", "1e-400", "--", "null", "None", "99.99",
     "-99", "1" * 400, "0x10", "1,5",
         "١٢", "1_000", "12:34:56.7", "-00:00:01", "24:00:00", "12h34m56s", "400", "-91", "True", "é🎉", "\x00",
         "'", '"', '"""', "a b", "=1+1",
         "#", "1e308", "9" * 25, "J2000", "2030-01-01T00:00:00", "2460000.5", "x" * 5000, "%s%n", "Pickles:A0V",
         "{}", "[1]", "-", "+", ".", "e5",
         f"file://{CANARY}", f"http://127.0.0.1:9{CANARY}", CANARY]  # fmt: skip
LINES = ["", "#", "# %ECSV 1.0", "# ---", "# datatype:", "# - {name: x, datatype: object}",
     "# - {name: mag, datatype: string, subtype: 'float64[2]'}",
         "# - {name: ra, unit: furlong, datatype: float64}", "# - !!python/object/apply:os.system ['true']",
         "# meta: !!omap", "# delimiter: ','",
         "# schema: astropy-2.0", "# meta: {__serialized_columns__: {ra: {__class__: os.system, value: 1}}}",
         "# meta: {__serialized_columns__: {ra: {__class__: astropy.time.Time, jd1: 1e300, jd2: 0, format: jd}}}",
         "$$SOE", "$$EOE", "*" * 80, "---|---|---", "ra dec mag", "ra,dec,mag", "x;y;mag", "\ufeff", "\x0c",
         "\x1a", "|a|b|", "\\x = 1", "#N ID X", "#K A = 1",
         "Byte-by-byte Description of file: x", "# 1 NUMBER Running object number", "1 2 3 4 5 6 7 8 9 10",
         "&a", "*a", "<<: *a", "? [a]", "!!timestamp x", "%YAML 1.1",
         "- - - -", "key: {", "--- ", "...", "\t", "\r", "=", f"!include {CANARY}", "a=b=c", "vmag=x",
         "pmra=1e400", "dra=nan"]  # fmt: skip
XML = [f'<!DOCTYPE x [<!ENTITY e SYSTEM "file://{CANARY}">]>',
     '<!DOCTYPE x [<!ENTITY a "' + "b" * 99 + '"><!ENTITY c "' + "&a;" * 99 + '"><!ENTITY d "' + "&c;" * 99
       + '"><!ENTITY f "' + "&d;" * 999 + '">]>', "&f;", "&e;",
       f'<BINARY><STREAM href="http://127.0.0.1:9{CANARY}"/></BINARY>',
       f'<BINARY2><STREAM encoding="gzip" href="file://{CANARY}"/></BINARY2>', '<STREAM encoding="base64">AAAA',
       'arraysize="999999999"', 'arraysize="*"', 'arraysize="3x*"',
       'datatype="unicodeChar"', 'datatype="bit"', 'datatype="floatComplex"', 'datatype="x"', "<TD/>", "<TR/>",
       "</TR>", "<VALUES null='x'/>", "<FITS/>", "<TABLE ref='x'/>"]  # fmt: skip
EVIL: list[Any] = [
    None, True, False, 0, -0.0, -1, 1, 2, 0.5, 1e-320, 1e9, 1e18, 1e300, -1e300, 2**31, 2**63, 2**64, 10**200,
         10**299, "", " ", "x", "nan", "full",
    "all", "point", "Ks", "\x00", "a\nb", "\ud800", "🎉" * 30, "\x1b[31m", CANARY, f"file://{CANARY}",
         f"http://127.0.0.1:9{CANARY}", "%s%n", "__class__",
    "(a+)+$" * 20, "2030-01-01", "9999-12-31", "12:00:00", "V" * 5000, [], [1], [None], [[]], ["a", {}], [1, 2],
         [0] * 1000, {}, {"a": 1}, {"": None},
    {"params": {}}, {"name": "x"}, [[[[[[[[1]]]]]]]],
]  # fmt: skip
NAMES = [
    "",
    "\n",
    "ß\ud800",
    "__class__",
    "x/y~z",
    "elvis",
    "snr",
    "a" * 300,
    "INS.A",
    "name",
    "-1",
    "0",
    "request",
    "mag",
    "RA",
]
NUMBERS = [
    "NaN",
    "Infinity",
    "-Infinity",
    "1e999",
    "1" * 301,
    "1" * 5000,
    "-0",
    "0x10",
    "01",
    "tru",
    "'a'",
    "",
    "[" * 2000,
    '{"a":' * 2000,
]


def damaged_text(content: bytes, rng: random.Random, more: list[str] | None = None) -> bytes:
    """Return a text with one to four kinds of damage; ``more`` are words to put in."""
    text = content.decode()
    for _ in range(rng.choice([1, 1, 1, 1, 2, 3])):
        text = _step(text, rng, more or [])
    data = text.encode("utf-8", "surrogatepass")
    roll = rng.random()
    if roll < 0.05:
        data = bytes(b if rng.random() > 0.01 else rng.randrange(256) for b in data)
    elif roll < 0.08:
        data = text.encode("utf-16", "surrogatepass")
    elif roll < 0.1:
        data = b"\xef\xbb\xbf" + data
    elif roll < 0.12:
        data = data.replace(b"\n", b"\r\n")
    elif roll < 0.14:
        data = data.rstrip(b"\n")
    if rng.random() < 0.04:
        data = gzip.compress(data, 1, mtime=0)
        data = data[: rng.randrange(len(data) + 1)] if rng.random() < 0.5 else data
    return data


def _step(text: str, rng: random.Random, more: list[str]) -> str:
    lines = text.split("\n")
    at, roll = rng.randrange(len(lines)), rng.random()
    if roll < 0.35:  # a cell
        cells = list(re.finditer(r"[^\s,;|<>\"'=:]+", lines[at]))
        if cells:
            cell = rng.choice(cells)
            lines[at] = lines[at][: cell.start()] + rng.choice(CELLS + more) + lines[at][cell.end() :]
    elif roll < 0.5:
        lines.insert(at, rng.choice(LINES + more))
    elif roll < 0.58:
        del lines[at]
    elif roll < 0.63:
        lines.insert(rng.randrange(len(lines) + 1), lines[at])
    elif roll < 0.66:
        lines[at:at] = [lines[at]] * rng.choice([10, 2000])
    elif roll < 0.72:
        one, other = rng.choice(" ,;|\t:=-"), rng.choice([" ", ",", ";", "|", "\t", "", "\n", "::", "'"])
        return text.replace(one, other) if rng.random() < 0.3 else text.replace(one, other, rng.choice([1, 3]))
    elif roll < 0.78:
        return text[: rng.randrange(len(text) + 1)]
    elif roll < 0.88 and text:
        place, length = rng.randrange(len(text)), rng.choice([0, 1, 1, 5])
        return (
            text[:place] + rng.choice([*XML, *CELLS, "{", "}", "[", "]", "<", ">", ":", "\n"]) + text[place + length :]
        )
    elif roll < 0.92:
        rng.shuffle(lines)
    elif roll < 0.96:
        lines[at] = lines[at] * rng.choice([2, 50])
    else:
        lines[at] = " ".join(rng.choice(CELLS) for _ in range(rng.choice([1, 3, 8])))
    return "\n".join(lines)


def damaged_json(document: Any, rng: random.Random) -> bytes:
    """Return the text of a document after one to three mutations, now and then damaged as a text."""
    document = copy.deepcopy(document)
    for _ in range(rng.choice([1, 1, 1, 2, 3])):
        mutate(document, rng)
    return dump(document, rng)


def mutate(document: Any, rng: random.Random) -> None:
    """Change one member of a document, in place."""
    everywhere = _places(document, [])
    if not everywhere:
        return
    parent, key = rng.choice(everywhere)
    roll, value = rng.random(), copy.deepcopy(rng.choice(EVIL))
    if roll < 0.4:
        parent[key] = value
    elif roll < 0.55:
        old = parent[key]
        if isinstance(old, (int, float)) and not isinstance(old, bool):
            parent[key] = old * rng.choice([-1, 0, 0.1, 10, 1e3, 1e-3, 1e6, 1e-6, 1e12])
        else:
            parent[key] = str(old)[:5000] if rng.random() < 0.5 else [old]
    elif roll < 0.65 and isinstance(parent, dict):
        del parent[key]
    elif roll < 0.72 and isinstance(parent, dict):
        parent[rng.choice(NAMES)] = parent.pop(key)
    elif roll < 0.8 and isinstance(parent, dict):
        parent[rng.choice(NAMES)] = value
    elif roll < 0.88:
        parent[key] = {rng.choice(NAMES): parent[key]}
    elif roll < 0.91:
        for _ in range(rng.choice([3, 99, 101, 700, 990])):
            value = [value] if rng.random() < 0.5 else {"a": value}
        parent[key] = value
    elif isinstance(parent[key], list) and parent[key]:
        parent[key] = parent[key] * rng.choice([2, 20, 200])
    else:
        other, name = rng.choice(everywhere)
        with contextlib.suppress(RecursionError):  # a value that was nested a thousand deep before
            parent[key] = copy.deepcopy(other[name])


def _places(value: Any, found: list[tuple[Any, Any]], depth: int = 0) -> list[tuple[Any, Any]]:
    if depth < 50:
        items = value.items() if isinstance(value, dict) else enumerate(value[:20]) if isinstance(value, list) else ()
        for key, member in list(items):
            found.append((value, key))
            _places(member, found, depth + 1)
    return found


def dump(document: Any, rng: random.Random) -> bytes:
    """Return the JSON text of a document; one in twelve is damaged in a way that JSON knows."""
    try:
        text = json.dumps(document, ensure_ascii=rng.random() < 0.7)
    except (ValueError, RecursionError):
        text = "[" * 5000
    content, roll = text.encode("utf-8", "surrogatepass"), rng.random()
    if roll < 0.03 and (numbers := list(re.finditer(rb"(?<=[ \[:])-?\d[\d.eE+-]*", content[:100_000]))):
        number = rng.choice(numbers)
        return content[: number.start()] + rng.choice(NUMBERS).encode() + content[number.end() :]
    if roll < 0.05 and (keys := re.findall(rb'"[^"]{1,40}": ', content[:100_000])):
        key = rng.choice(keys)
        return content.replace(key, key + b"1, " + key, 1)
    if roll < 0.06:
        return content[: rng.randrange(len(content) + 1)]
    if roll < 0.07:
        return rng.choice([b"\xef\xbb\xbf", b"\xff\xfe", b"\x00", b"[", b"{", b"\n" * 5000, b"//x\n"]) + content
    if roll < 0.08:
        at = rng.randrange(len(content))
        return content[:at] + bytes([rng.randrange(256)]) + content[at + 1 :]
    return content

"""Keck's starlists: a target in each line.

A line is a name, RA, Dec and equinox, then pairs key=value, then a comment behind #. The name has columns 1 to 16; many
lists keep to no columns, so RA and Dec are found from the equinox backwards. Units are the observatory's: pmra is in
seconds of time a year, dra in arcsec/hr divided by 15. Keck's own keys are raoffset, decoffset and rotdest; KeckODL's
raoff, decoff and PA are read too. Keys of other software (lgs=, b-v=, sep=) become part of the comment.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any, NoReturn

from elvis_cli.errors import RequestError
from elvis_cli.observing import target as targets
from elvis_cli.observing.checked_object import abbreviate
from elvis_cli.observing.target import APPARENT, BANDS, Target

NAME_WIDTH = 16
"""Characters of a name."""
STARLIST_KEYS = {
    "raoffset": "RAOffset", "raoff": "RAOffset", "decoffset": "DecOffset", "decoff": "DecOffset", "rotmode": "rotmode",
    "rotdest": "PA", "pa": "PA", "wrap": "wrap", "dra": "dra", "ddec": "ddec", "pmra": "PMRA", "pmdec": "PMDec",
    "epoch": "epoch",
}  # fmt: skip
WRITTEN_KEYS = ("raoffset", "decoffset", "rotmode", "rotdest", "wrap", "dra", "ddec", "pmra", "pmdec", "epoch")
LINE = "name (16 columns) hh mm ss.ss +dd mm ss.s equinox key=value ... # comment; the equinox is 2000.0, 1950.0 or APP"
_ROTATOR_MODES = {"posang": "pa", "positionangle": "pa", "vert": "vertical", "stat": "stationary"}
_ANGLE = r"\d{1,2}[\s:%s]\s*\d{1,2}[\s:m']\s*\d{1,2}(?:\.\d*)?[s\"]?"
_PLACE = re.compile(
    rf"({_ANGLE % 'h'})(?:\s+|(?=[+-]))([+-]?\s*{_ANGLE % 'd°'})\s+(APP(?!\w)|[JB]?\d{{4}}(?:\.\d*)?(?!\d))",
    re.IGNORECASE,
)
_PLACE_AFTER_NAME = re.compile(rf"(?<!\S){_PLACE.pattern}", re.IGNORECASE)
_KEY = re.compile(r"([A-Za-z][\w-]*?)=")
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")
_SPACED_EQUALS = re.compile(r"\s*=\s*(?!\s|[A-Za-z][\w-]*\s*=)")
_COMMENT_PAIR = re.compile(r"([A-Za-z_]+)\s*=\s*([^\s=]+)")
_BANDS = {band.casefold(): band for band in reversed(BANDS)}
_KNOWN = re.compile(
    rf"(?<![A-Za-z])(?:{'|'.join([*STARLIST_KEYS, *(f'{band}mag' for band in _BANDS)])})=", re.IGNORECASE
)
_MINUS_SIGNS = str.maketrans("−–", "--")


def read(text: str) -> tuple[Target, ...]:
    """Return the targets of a starlist; empty lines and lines that begin with # are passed over.

    Raises
    ------
    RequestError
        A line is not one of a starlist.
    """
    return tuple(_line(line, f"/{n}") for n, line in enumerate(text.splitlines()) if _says_something(line))


def write(targets: Iterable[Target]) -> str:
    """Return the starlist of targets; those without coordinates have no line.

    Names are cut to 16 characters. Coordinates are written to 0.001 s and 0.01 arcsec.
    """
    return "".join(f"{_written(one)}\n" for one in targets if one.placed)


def looks_like(text: str) -> bool:
    """Return whether at least half of the lines that say something are those of a starlist."""
    lines = [line for line in text.splitlines() if _says_something(line)]
    return text.lstrip()[:1] not in "{[" and sum(_split(line) is not None for line in lines) * 2 >= max(len(lines), 1)


def _says_something(line: str) -> bool:
    return line.strip() != "" and not line.lstrip().startswith("#")


def _split(line: str) -> tuple[str, tuple[str, str, str], str, str] | None:
    """Return name, (RA, Dec, equinox), the pairs and the comment of a line; None if it has no coordinates."""
    line = line.strip("\r\n")
    ends = [at for at, character in enumerate(line) if character == "#" and at] or [len(line)]
    for end in [ends[0], *(ends[1:2] or [len(line)])] if ends[0] < NAME_WIDTH else ends[:1]:  # a name may have a #
        body = line[:end].translate(_MINUS_SIGNS)
        match = _PLACE_AFTER_NAME.search(body)
        if match is None and not body[NAME_WIDTH - 1 : NAME_WIDTH].isdigit():  # the name runs into the right ascension
            match = _PLACE.match(body, NAME_WIDTH)
        if match is not None:
            name = " ".join(line[: match.start()].split())
            ra, dec, equinox = match.groups()
            return name, (ra, re.sub(r"(?<=[+-])\s+", "", dec), equinox.upper()), body[match.end() :], line[end + 1 :]
    return None


def _line(line: str, pointer: str) -> Target:
    parts = _split(line)
    if parts is None:
        raise RequestError(pointer, f"{abbreviate(line)} is not a line of a starlist", found=line[:80], allowed=LINE)
    name, (ra, dec, equinox), rest, comment = parts
    name, rest = _without_columns(name, rest, pointer)
    if not name:
        raise RequestError(pointer, f"{abbreviate(line)} has no name", found=line[:80], allowed=LINE)
    node: dict[str, Any] = {"name": name, "RA": ra, "Dec": dec}
    year = 2000.0
    if equinox == "APP":
        node["frame"] = APPARENT
    else:
        year = float(equinox.lstrip("JB"))
        old = equinox[0] == "B" or (year <= 1950.0 and equinox[0] != "J")
        node |= {"frame": "fk4" if old else "fk5", "equinox": year} if year != 2000.0 or old else {}
    members, magnitudes, words = _pairs(rest, pointer)
    if equinox == "APP" and (
        "PMRA" in members or "PMDec" in members
    ):  # "for historic reasons", as the observatory says
        if "dra" in members or "ddec" in members:
            raise RequestError(pointer, "dra, ddec and pmra, pmdec are both rates of a place with the equinox APP",
                               found=rest.strip(), allowed="one of the two")  # fmt: skip
        members = {{"PMRA": "dra", "PMDec": "ddec"}.get(key, key): value for key, value in members.items()}
    for key, value in _COMMENT_PAIR.findall(comment):
        band = _band(key)
        if band and band not in magnitudes and _NUMBER.fullmatch(value):
            magnitudes[band] = float(value)
            comment = re.sub(rf"\b{key}\s*=\s*{re.escape(value)}(?!\S)", "", comment)
    node |= {**members, "mag": magnitudes, "comment": " ".join([*words, *comment.split()])}
    if "PMRA" in node or "PMDec" in node:
        node.setdefault("epoch", year)
    target = targets.from_dict({key: value for key, value in node.items() if value not in ({}, "")}, pointer)
    if "PMRA" not in node:
        return target
    return replace(target, pmra=target.pmra * _arcsec_per_second(target))


def _without_columns(name: str, rest: str, pointer: str) -> tuple[str, str]:
    """Return the name and the pairs of a line whose columns behind the equinox have no keys, as Magellan's have not.

    Magellan's are reference number, name, RA, Dec, equinox, proper motions (seconds of time and arcsec a year), angle
    and mode of the rotator, two guide probes, epoch (https://www.lco.cl/observing-catalogs-format/). Other telescopes
    have proper motions there in other units.

    Raises
    ------
    RequestError
        Numbers behind the equinox are not zero, and nothing says what they are.
    """
    words = rest.split()
    numbers = [float(word) for word in words[:2] if _NUMBER.fullmatch(word)]
    if len(words) > 9 and len(numbers) == 2 and _NUMBER.fullmatch(words[2]) and words[3].isalpha():
        epoch = words[10] if len(words) > 10 and _NUMBER.fullmatch(words[10]) and float(words[10]) else ""
        pairs = [f"pmra={words[0]}", f"pmdec={words[1]}", *([f"epoch={epoch}"] if epoch and any(numbers) else [])]
        moving = pairs if any(numbers) else []
        return name.partition(" ")[2] or name, " ".join([*moving, words[3], words[2], *words[11:]])
    if any(numbers):
        found = " ".join(words[: len(numbers)])
        allowed = "pmra= in seconds of time a year, pmdec= in arcsec a year"
        raise RequestError(pointer, f"{found} behind the equinox has no key", found=found, allowed=allowed)
    return name, rest


def _arcsec_per_second(target: Target) -> float:
    """Return the arcsec on the sky in a second of time of right ascension."""
    return 15.0 * math.cos(math.radians(target.dec or 0.0))


def _pairs(text: str, pointer: str) -> tuple[dict[str, Any], dict[str, float], list[str]]:
    """Return the members of the target by the keys of a line, its magnitudes, and the words that are neither.

    Raises
    ------
    RequestError
        The value of a known key is wrong, or the key is there twice or hidden in another word.
    """
    members: dict[str, Any] = {}
    magnitudes: dict[str, float] = {}
    words: list[str] = []
    for key, value in _separate(text, pointer):
        band = "R" if key == "rmag" else _band(key)  # Keck's own vmag and rmag are V and R
        name = band or STARLIST_KEYS.get(key.casefold())
        clean = value.rstrip(",;")
        if name is None or not clean:  # a key of other software, a remark, or a key without its value
            words.append(f"{key}={value}" if key else value)
            continue
        if name in members or name in magnitudes:
            raise RequestError(pointer, f"{key} is given twice", found=f"{key}={value}")
        if name in ("rotmode", "wrap"):
            if "=" in clean:
                _refuse(f"{key}={value}", "two keys run together", pointer)
            members[name] = _ROTATOR_MODES.get(clean.casefold(), clean)
        elif not _NUMBER.fullmatch(clean):
            _refuse(f"{key}={value}", f"the value of {key} is not a number", pointer)
        else:
            (magnitudes if band else members)[name] = float(clean)
    if -360.0 <= members.get("PA", 0.0) < 0.0:
        members["PA"] += 360.0
    return members, magnitudes, words


def _separate(text: str, pointer: str) -> Iterator[tuple[str, str]]:
    """Yield key and value of each pair, and ("", word) of each other word; pairs run together are taken apart."""
    for word in _SPACED_EQUALS.sub("=", text).split():
        rest = word
        while rest:
            match = _KEY.match(rest)
            key, value = (match[1], rest[match.end() :]) if match else ("", rest)
            number = _NUMBER.match(value)
            rest = value[number.end() :].lstrip(",;") if number and key else ""
            if number and _KEY.match(rest):
                value = number[0]
            elif _KNOWN.search(value):
                _refuse(word, "two keys run together" if key else "a key inside a word", pointer)
            else:
                rest = ""
            yield key, value


def _refuse(word: str, reason: str, pointer: str) -> NoReturn:
    raise RequestError(pointer, f"{abbreviate(word)}: {reason}", found=word, allowed="key=value, separated by blanks")


def _band(key: str) -> str | None:
    """Return the band of a key such as Kmag, if it is one."""
    if not key.casefold().endswith("mag"):
        return None
    return key[:-3] if key[:-3] in BANDS else _BANDS.get(key[:-3].casefold())


def _written(one: Target) -> str:
    assert one.ra is not None
    assert one.dec is not None
    ra, dec = one.ra / 15.0 % 24.0, one.dec
    pmra = 0.0
    if one.pmra:
        if abs(one.dec) > 89.9999:
            raise RequestError("", f"the target {one.name} is at the pole: pmra, in seconds of time, has no limit")
        pmra = one.pmra / _arcsec_per_second(one)
    values = {
        "raoffset": one.ra_offset, "decoffset": one.dec_offset, "rotmode": one.rotmode, "rotdest": one.pa,
        "wrap": one.wrap, "dra": one.dra, "ddec": one.ddec, "pmra": pmra, "pmdec": one.pmdec,
        "epoch": one.epoch if (one.pmra or one.pmdec) and one.epoch != one.equinox else None,
    }  # fmt: skip
    pairs = [
        f"{key}={value if isinstance(value, str) else f'{value:.10g}'}"
        for key in WRITTEN_KEYS
        if (value := values[key]) not in (None, 0.0, "") or (key == "rotdest" and value is not None)
    ]
    pairs += [f"{band.casefold()}mag={one.mag[band]:g}" for band in ("V", "R") if band in one.mag]
    comment = one.comment.split()
    while (
        comment
        and (match := _KEY.match(comment[0]))
        and not _KNOWN.search(comment[0])
        and match.end() < len(comment[0])
    ):
        pairs.append(comment.pop(0))  # a key of other software, as it was
    remarks = [*(f"{band}mag={value:g}" for band, value in one.mag.items() if band not in ("V", "R")), *comment]
    name = f"{one.name[:NAME_WIDTH]:<{NAME_WIDTH}}"
    line = f"{name} {_sixty(ra, 3, ' ')} {_sixty(dec, 2, '+')} {_equinox(one)} {' '.join(pairs)}".rstrip()
    return f"{line} # {' '.join(remarks)}" if remarks else line


def _equinox(one: Target) -> str:
    """Return the equinox as the observatory writes it, with a letter only where the year would mean another system."""
    if one.frame == APPARENT:
        return "APP"
    letter = (
        "B" if one.frame == "fk4" and one.equinox > 1950 else "J" if one.frame == "fk5" and one.equinox <= 1950 else ""
    )
    return f"{letter}{one.equinox:g}"


def _sixty(value: float, digits: int, plus: str) -> str:
    """Return hours or degrees as "hh mm ss.sss", without 60 seconds."""
    unit = 10**digits
    parts = round(abs(value) * 3600 * unit)
    minutes, rest = divmod(parts, 60 * unit)
    hours, minute = divmod(minutes, 60)
    sign = "-" if value < 0 else plus.strip()
    return f"{sign}{hours:02d} {minute:02d} {rest / unit:0{3 + digits}.{digits}f}"

"""The readers of `elvis`, and a damaged case for each: a function of a random generator."""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Callable
from functools import cache
from typing import Any

from elvis_cli.instrument import registry
from tests.conftest import FORS, MICADO, changed
from tests.fuzz import blocks, files, requests
from tests.fuzz.case import Case
from tests.fuzz.damage_fits import damaged as damaged_fits
from tests.fuzz.damage_text import damaged_json, damaged_text

WINDOW = "--window=480,480,24,24"
DRAWN = 0.25
"""Share of the cases of a reader of files in which the frame is drawn."""
UPLOAD = {"target/sed": {"sedtype": "spectrum", "spectrum": {"spectrumtype": "upload"}}}
STAGES = (
    "dark",
    "flat_field",
    "hot_pixels",
    "nonlinearity",
    "bias",
    "gain",
    "full_well",
    "ipc",
    "persistence",
    "cosmetics",
    "distortion",
    "zero_point",
)
UNITS = ("", "um", "nm", "angstrom", "Hz", "cm-1", "x")


@cache
def _request(name: str) -> bytes:
    documents = {
        "fors": FORS,
        "micado": MICADO,
        "upload": changed(FORS, UPLOAD),
        "pointed": changed(FORS, {"elvis/pointing": {"ra": 150, "dec": 2}}),
    }
    return json.dumps(documents[name] if name in documents else registry.load(name).example()).encode()


def _option(
    option: str, content: bytes, rng: random.Random, base: str = "fors", *more: str, suffix: str = ".fits"
) -> Case:
    """Return a render, or a check, with a file as the value of an option."""
    name = f"file{suffix}"
    words = [*(() if rng.random() < DRAWN else ("validate",)), WINDOW, option.replace("FILE", f"{{{name}}}"), *more]
    return Case(tuple(words), _request(base), {name: content})


def _choice(rng: random.Random) -> str:
    return rng.choice([""] * 30 + ["[0]", "[1]", "[SCI]", "[SCI,1]", "[99]", "[x]"])


def image(rng: random.Random) -> Case:
    """Damage an image."""
    return _option(f"--image=FILE{_choice(rng)}", damaged_fits(rng.choice(files.images()), rng), rng)


def cube(rng: random.Random) -> Case:
    """Damage a cube."""
    return _option(f"--cube=FILE{_choice(rng)}", damaged_fits(rng.choice(files.cubes()), rng), rng)


def psf(rng: random.Random) -> Case:
    """Damage a point-spread function, of one place or many."""
    return _option(f"--psf=FILE{_choice(rng)}", damaged_fits(rng.choice(files.psfs()), rng), rng)


def model(rng: random.Random) -> Case:
    """Damage a model of a stage of the detector."""
    if rng.random() < 0.3:
        parameters = {"rate": 0.1, "factor": 2, "kernel": [[0, 0.1, 0], [0.1, 0.6, 0.1], [0, 0.1, 0]]}
        return _option(f"--model={rng.choice(STAGES)}=FILE", damaged_json(parameters, rng), rng, suffix=".json")
    return _option(f"--model={rng.choice(STAGES)}=FILE", damaged_fits(rng.choice(files.models()), rng), rng)


def previous(rng: random.Random) -> Case:
    """Damage an earlier frame."""
    return _option(
        "--previous=FILE",
        damaged_fits(files.frames()[rng.choice([2, 2, 2, 0])], rng),
        rng,
        rng.choice(["hawki", "hawki", "micado"]),
    )


def _table(form: str) -> Callable[[random.Random], Case]:
    def case(rng: random.Random) -> Case:
        content = rng.choice(files.tables()[form])
        words = [
            "ra",
            "dec",
            "mag",
            "x",
            "y",
            "id",
            "radius",
            "sed",
            "Kmag",
            "_RAJ2000",
            "coord.ra",
            "deg",
            "mas",
            "hourangle",
        ]
        content = (
            damaged_fits(content, rng)
            if form == "fits"
            else damaged_gzip(content, rng)
            if form == "other"
            else damaged_text(content, rng, words)
        )
        more = rng.choice([()] * 8 + [("--column=mag=id",), ("--column=mag=x=y",), ("--column=x=ra", "--column=y=dec")])
        if rng.random() < 0.6:
            return Case(("catalog", "{file.tab}", *more), b"", {"file.tab": content})
        return _option("--catalogue=FILE", content, rng, "pointed", *more, suffix=".tab")

    return case


def damaged_gzip(content: bytes, rng: random.Random) -> bytes:
    """Return a table, compressed before or after it was damaged."""
    content = gzip.decompress(content) if content.startswith(b"\x1f\x8b") else content
    return gzip.compress(damaged_text(content, rng), 1, mtime=0)


def _spectrum(form: str) -> Callable[[random.Random], Case]:
    def case(rng: random.Random) -> Case:
        content = rng.choice(files.spectra()[form])
        content = (
            damaged_fits(content, rng)
            if form == "fits"
            else damaged_text(content, rng, ["Angstrom", "nm", "Hz", "flux", "wave", "erg/s/cm2/A"])
        )
        unit = rng.choice(UNITS)
        more = [*([f"--sed-unit={unit}"] if unit else []), *(["--sed-absolute"] if rng.random() < 0.3 else [])]
        return _option(
            f"--sed=FILE{_choice(rng) if form == 'fits' else ''}", content, rng, "upload", *more, suffix=".dat"
        )

    return case


def _ephemeris(form: str) -> Callable[[random.Random], Case]:
    def case(rng: random.Random) -> Case:
        content, suffix = (
            rng.choice(files.ephemerides()[form]),
            ".fits" if form == "fits" else rng.choice([".ecsv", ".csv", ".txt"]),
        )
        content = (
            damaged_fits(content, rng)
            if form == "fits"
            else damaged_text(content, rng, ["R.A.", "UT", "JD", "dRA*cosD", "2030-Mar-01", "deg"])
        )
        if rng.random() < 0.3:
            return Case(
                ("ob", "--ephemeris", f"b={{file{suffix}}}"), blocks.DEFAULTS.encode(), {f"file{suffix}": content}
            )
        return _option("--ephemeris=FILE", content, rng, "fors", "--date=2030-03-01T04:30:00", suffix=suffix)

    return case


def replay(rng: random.Random) -> Case:
    """Damage a frame whose request is rendered again."""
    content = damaged_fits(rng.choice(files.frames()), rng)
    return (
        Case(("replay",), content)
        if rng.random() < 0.3
        else Case(("replay", "{file.fits}"), b"", {"file.fits": content})
    )


def preview(rng: random.Random) -> Case:
    """Damage a file whose picture is drawn."""
    pool = [*files.frames(), *files.images(), *files.cubes()[:2], *files.spectra()["fits"], *files.tables()["fits"]]
    content = damaged_fits(rng.choice(pool), rng)
    more = rng.choice(
        [("--size=64",)] * 5 + [("--size=64", "--ext=CHIP1"), ("--size=64", "--ext=ELVIS_VALUES"), ("--terminal",)]
    )
    return (
        Case(("preview", *more), content)
        if rng.random() < 0.3
        else Case(("preview", "{file.fits}", *more), b"", {"file.fits": content})
    )


def combine(rng: random.Random) -> Case:
    """Damage one of two files of a focal plane."""
    pool = files.frames()
    names = {
        "a.fits": damaged_fits(rng.choice([pool[1], pool[0]]), rng),
        "b.fits": rng.choice([pool[1], pool[0], pool[2]]),
    }
    return Case(
        (
            "combine",
            "{a.fits}",
            *(["{b.fits}"] if rng.random() < 0.5 else []),
            *(["--allow-missing"] if rng.random() < 0.7 else []),
        ),
        b"",
        names,
    )


def detection(rng: random.Random) -> Case:
    """Damage an image that is measured, or the table of places on it; or a raw frame to be reduced."""
    pool = [*files.images(), *files.frames(), *files.cubes()[:1]]
    content = damaged_fits(rng.choice(pool), rng)
    roll = rng.random()
    if roll < 0.3:
        return Case(("reduce", "--plan", "{file.fits}"), b"", {"file.fits": content})
    if roll < 0.6:
        return Case(("detect", "{file.fits}"), b"", {"file.fits": content})
    if roll < 0.8:
        places = damaged_text(b"# %ECSV 1.0\n# ---\n# datatype:\n# - {name: X, datatype: float64}\n"
                              b"# - {name: Y, datatype: float64}\nX Y\n3 4\n5 5\n", rng)  # fmt: skip
        names = {"file.fits": content if rng.random() < 0.3 else pool[0], "at.ecsv": places}
        return Case(("photom", "{file.fits}", "--at", "{at.ecsv}"), b"", names)
    return Case(("inject", "{file.fits}", "--count=2", "--flux=100"), b"", {"file.fits": content})


def starlist(rng: random.Random) -> Case:
    """Damage a starlist."""
    content = damaged_text(
        rng.choice(files.STARLISTS), rng, ["APP", "2000.0", "vmag=", "pmra=1e9", "rotdest=-720", "B1875"]
    )
    return Case(
        ("ob", "--to", rng.choice(["json", "odl", "starlist"]), *(["--format=starlist"] if rng.random() < 0.5 else [])),
        content,
    )


def odl(rng: random.Random) -> Case:
    """Damage blocks of Keck's language, as YAML or as JSON."""
    text = rng.choice([blocks.ODL, blocks.DEFAULTS])
    content = damaged_text(text.encode(), rng) if rng.random() < 0.6 else damaged_json(blocks.as_json(text), rng)
    return Case(rng.choice(OB), content)


def p2(rng: random.Random) -> Case:
    """Damage blocks of ESO's p2."""
    return Case(rng.choice(OB), damaged_json(rng.choice([*blocks.P2, blocks.P2]), rng))


OB = (("ob",), ("ob",), ("ob", "--schedule"), ("ob", "--check"), ("ob", "--to", "json"), ("ob", "--to", "odl"),
     ("ob", "--to", "starlist"), ("ob", "--persistence"),
      ("ob", "--calibrations=1"), ("ob", "--steady", "--start=2030-03-01T02:00"))  # fmt: skip


def parameters(rng: random.Random) -> Case:
    """Damage the parameters of an observatory's run, or one of its options."""
    from elvis_cli.observatory.example import example

    if rng.random() < 0.3:
        value = damaged_text(rng.choice([b"finder.snr_threshold=6", b"output=out", b"analysis={}"]), rng)
        option = value.decode(errors="replace").replace("\0", "")
        return Case(("observatory", "status", "{run.yaml}", f"--set={option}"), b"", {"run.yaml": example().encode()})
    return Case(("observatory", "status", "{run.yaml}"), b"", {"run.yaml": damaged_text(example().encode(), rng)})


def patch(rng: random.Random) -> Case:
    """Damage the defaults of blocks."""
    return Case(
        ("ob", "--request", "{file.json}"), blocks.DEFAULTS.encode(), {"file.json": damaged_json(blocks.PATCH, rng)}
    )


def plan(rng: random.Random) -> Case:
    """Damage a survey."""
    return Case(("plan",), damaged_json(blocks.SURVEY, rng))


def split(rng: random.Random) -> Case:
    """Damage requests for several chips."""
    text = damaged_json(blocks.SPLIT, rng)
    return Case(("split",), text if rng.random() < 0.8 else text + b"\n" + json.dumps(blocks.SPLIT).encode())


def request(rng: random.Random) -> Case:
    """Draw, or check, a request of any kind."""
    roll = rng.random()
    more = ("--truth",) if rng.random() < 0.2 else ()
    return Case(
        (WINDOW, *more) if roll < DRAWN else ("explain",) if roll < 0.4 else ("validate", WINDOW, *more),
        requests.request(rng),
    )


READERS: dict[str, tuple[int, Callable[[random.Random], Case]]] = {
    "request": (12, request),
    "image": (8, image),
    "cube": (8, cube),
    "psf": (8, psf),
    "model": (4, model),
    "previous": (4, previous),
    "replay": (4, replay),
    "preview": (6, preview),
    "combine": (3, combine),
    "detection": (3, detection),
    "table csv": (6, _table("csv")),
    "table ecsv": (4, _table("ecsv")),
    "table votable": (4, _table("votable")),
    "table fits": (4, _table("fits")),
    "table packed": (2, _table("other")),
    "spectrum text": (5, _spectrum("text")),
    "spectrum ecsv": (3, _spectrum("ecsv")),
    "spectrum fits": (4, _spectrum("fits")),
    "ephemeris text": (3, _ephemeris("horizons")),
    "ephemeris table": (2, _ephemeris("table")),
    "ephemeris fits": (2, _ephemeris("fits")),
    "starlist": (5, starlist),
    "odl": (7, odl),
    "p2": (5, p2),
    "block defaults": (2, patch),
    "observatory": (2, parameters),
    "plan": (4, plan),
    "split": (3, split),
}
"""Readers, with the weight of each among the cases."""


def whole() -> list[Case]:
    """Return cases of all readers whose files are as they should be."""
    rng = random.Random(0)
    made = [_option("--image=FILE", content, rng) for content in files.images()]
    made += [_option("--cube=FILE", content, rng) for content in files.cubes()]
    made += [_option("--psf=FILE", content, rng) for content in files.psfs()]
    made += [_option("--model=flat_field=FILE", content, rng) for content in files.models()[:1]]
    made += [_option("--previous=FILE", files.frames()[2], rng, "micado")]
    for contents in files.tables().values():
        made += [Case(("catalog", "{file.tab}"), b"", {"file.tab": content}) for content in contents]
    for contents in files.spectra().values():
        for content in contents:
            more = [] if b"Angstrom" in content or content.startswith(b"SIMPLE") else ["--sed-unit=nm"]
            made.append(_option("--sed=FILE", content, rng, "upload", *more, suffix=".dat"))
    for form, contents in files.ephemerides().items():
        for content in contents:
            suffix = ".fits" if form == "fits" else ".csv" if content.startswith(b"datetime") else ".ecsv"
            made.append(_option("--ephemeris=FILE", content, rng, "fors", "--date=2030-03-01T04:30:00", suffix=suffix))
    made += [Case(("ob", "--to", "json"), content) for content in files.STARLISTS]
    made += [Case(words, blocks.DEFAULTS.encode()) for words in OB if "--persistence" not in words]
    made += [Case(("ob",), blocks.ODL.encode())]
    made += [Case(("ob",), json.dumps(content).encode()) for content in (*blocks.P2, blocks.P2)]
    made += [
        Case(
            ("ob", "--request", "{file.json}"),
            blocks.DEFAULTS.encode(),
            {"file.json": json.dumps(blocks.PATCH).encode()},
        )
    ]
    made += [
        Case((command,), json.dumps(content).encode())
        for command, content in (("plan", blocks.SURVEY), ("split", blocks.SPLIT))
    ]
    made += [Case((command,), content) for content in files.frames() for command in ("replay", "preview")]
    made += [Case(("combine", "{a.fits}", "--allow-missing"), b"", {"a.fits": files.frames()[1]})]
    return made


def case(seed: int, reader: str, number: int) -> Case:
    """Return a case, the same for the same seed, reader and number."""
    return READERS[reader][1](random.Random(f"{seed}/{reader}/{number}"))


def schedule(count: int) -> list[tuple[str, int]]:
    """Return reader and number of ``count`` cases, by the weights of the readers."""
    total = sum(weight for weight, _ in READERS.values())
    counts = {name: round(count * weight / total) for name, (weight, _) in READERS.items()}
    counts["request"] += count - sum(counts.values())
    return [(name, number) for name, many in counts.items() for number in range(many)]


def every() -> list[Any]:
    """Return the readers' names."""
    return list(READERS)

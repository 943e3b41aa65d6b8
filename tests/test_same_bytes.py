"""The same request gives the same bytes: a hash of a small frame of every mode, calibration, a night and a combine.

`python -m tests.test_same_bytes` (`make bytes`) writes ``same_bytes.json`` anew: whoever changes bytes on purpose does
so, and says why in the changes.
Floating point may differ in its last bit between kinds of processors, so the file also names the arithmetic of the
machine that wrote it; on another one the sums of the pixels are compared instead.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import sys
import tempfile
from collections.abc import Callable, Collection, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits

from elvis_cli import pipeline
from elvis_cli.focalplane.geometry import field_to_pixel, nearest_chip
from elvis_cli.instrument import registry
from elvis_cli.request import parse
from tests.conftest import run

FILE = Path(__file__).with_name("same_bytes.json")
EPOCH = "1793577600"
WINDOW = {"nx": 64, "ny": 64}
STARS = {"x": [0.0, 0.05, -0.1], "y": [0.0, 0.08, -0.06], "mag": [16.0, 17.0, 18.0]}
CALIBRATIONS = ("arc", "flat", "dark", "bias", "sky", "std", "pinhole", "twilight", "off", "detlin")
FLAGS = {
    "throughput": ("totalinclsky",),
    "signals": ("obstarget",),
    "snr": ("snr", "noise_components"),
    "psf": ("psf",),
}
FRAMES = ("plain", "catalogue", "expected", "dark")
"""Frames that the suite renders of the first mode of a family, beside that of a lamp."""
DEAR = {("eris", "sam"), ("eris", "app"), ("eris", "lss"), ("eris", "ifs"), ("micado", "lss"), ("micado", "sam"),
        ("micado", "ts"), ("fors", "lss"), ("fors", "mos"), ("fors", "mxu"), ("metis", "lms"), ("eris", "fpc"),
        ("micado", "clc")}  # fmt: skip
DEAR_INSTRUMENTS = {"andes", "crires2", "fourmost", "harmoni", "harps", "mosaic", "uves", "xshooter"}
"""Families, and instruments, of which the suite renders the plain frame of the first mode only."""
DEAREST = {"andes", "harps", "xshooter"}
"""Instruments of which one frame takes five seconds or more: `make bytes-check` renders them."""
SUM = 1e-3
"""Relative difference of the sums that another machine may have."""

Hashes = dict[str, list[Any]]
"""By name: SHA-256 of pixels, tables and numbers of the headers; the sum of the absolute values of all pixels."""


def arithmetic() -> str:
    """Return a hash of what this machine makes of some arithmetic: exponentials, a transform, a matrix product."""
    x = np.random.default_rng(1).random((64, 64))
    made = (np.exp(x.astype(np.float32)), np.sin(x), np.fft.irfft2(np.fft.rfft2(x)), x @ x, np.hypot(x, x.T) ** 1.7)
    return hashlib.sha256(b"".join(part.tobytes() for part in made)).hexdigest()[:16]


def digest(data: bytes) -> list[Any]:
    """Return the hash and the sum of a FITS file; words do not count: notes, the request, where figures come from."""
    sha, total = hashlib.sha256(), 0.0
    with fits.open(io.BytesIO(data)) as file:
        for hdu in file:
            if hdu.name in ("ELVIS_VALUES", "ELVIS_REQUEST"):
                continue
            for card in hdu.header.cards:
                if isinstance(card.value, (bool, int, float)):
                    sha.update(f"{card.keyword}={card.value!r};".encode())
            if hdu.data is not None:
                array = np.asarray(hdu.data)
                sha.update(array.tobytes())
                total += float(np.nansum(np.abs(array.astype(float)))) if array.dtype.names is None else 0.0
    return [sha.hexdigest()[:24], total]


def small(document: dict[str, Any], chip: int | None, middle: tuple[int, int]) -> dict[str, Any]:
    """Return a request for a window about a pixel of one chip."""
    block = dict(document.get("elvis") or {})
    block["window"] = {"x0": middle[0] - 32, "y0": middle[1] - 32, **WINDOW}
    block["seed"] = 3
    if chip is not None:
        block["chips"] = [chip]
    return {**document, "elvis": block}


def variants(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the requests of one mode by name."""
    block = document["elvis"]
    yield "plain", {**document, "output": {group: dict.fromkeys(flags, True) for group, flags in FLAGS.items()}}
    yield "catalogue", {**document, "elvis": {**block, "catalogue": STARS}}
    yield "expected", {**document, "elvis": {**block, "product": "expected"}}
    for name in CALIBRATIONS:
        yield name, {**document, "elvis": {**block, "calibration": name}}


def place(document: dict[str, Any]) -> tuple[int | None, tuple[int, int]]:
    """Return the chip (None where there is one), and the pixel about which the window stands: near the target."""
    setup = pipeline.configure(parse.read(json.dumps(document)))
    chip, detector = nearest_chip(setup, 0.0, 0.0), setup.detector
    if setup.spectrograph is None:
        x, y = field_to_pixel(setup, chip, 0.0, 0.0)
    else:
        x, y = detector.nx / 2, detector.ny / 2
    within = round(min(max(x, 32), detector.nx - 32)), round(min(max(y, 32), detector.ny - 32))
    return (chip.id if len(detector.chips) > 1 else None), within


def of_mode(instrument: str, mode: str, only: Collection[str] | None = None) -> Hashes:
    """Return the hashes of all frames of a mode, or of those that are named in ``only``."""
    document = registry.load(instrument).example(mode)
    hashes: Hashes = {}
    for name, request in variants(small(document, *place(document))):
        if only is not None and name not in only:
            continue
        made = run(stdin=json.dumps(request))
        if made.code == 0:
            hashes[name] = digest(made.out)
        else:
            assert made.code == 65, made.err
            assert name in CALIBRATIONS, made.err
    return hashes


def of_night() -> Hashes:
    """Return the hashes of an Observing Block's files: jittered, with a sky and calibrations of the day."""
    templates = [
        {"templateName": "METIS_img_lm_obs_AutoJitter", "parameters": {"DET.DIT": 1, "SEQ.NOFFSET": 2}},
    ]
    block = {
        "obId": 7, "itemType": "OB", "name": "block", "runId": "110.A-0001(B)",
        "target": {"name": "T", "ra": "05:00:00.000", "dec": "-30:00:00.00", "equinox": "J2000"},
        "templates": templates,
    }  # fmt: skip
    planned = run("ob", stdin=json.dumps(block))
    assert planned.code == 0, planned.err
    hashes: Hashes = {}
    for n, line in enumerate(planned.out.decode().splitlines()):
        document = json.loads(line)
        made = run(stdin=json.dumps(small(document, None, (1024, 1024))))
        assert made.code == 0, made.err
        hashes[f"exposure {n}"] = digest(made.out)
    return hashes


def of_split(folder: Path) -> Hashes:
    """Return the hash of a focal plane that was rendered chip by chip and combined."""
    document = small(registry.load("hawki").example(), None, (1024, 1024))
    document["elvis"]["chips"] = "all"
    lines = run("split", stdin=json.dumps(document))
    assert lines.code == 0, lines.err
    files = []
    for n, line in enumerate(lines.out.decode().splitlines()):
        files.append(str(folder / f"{n}.fits"))
        assert run("-o", files[-1], stdin=line).code == 0
    return {"combined": digest(run("combine", *files).out)}


@cache
def recorded() -> dict[str, Any]:
    """Return what the file holds."""
    return json.loads(FILE.read_text())  # type: ignore[no-any-return]


def family(mode: str) -> str:
    """Return the beginning of a mode's name: img, lss, ifs ..."""
    return mode.partition("_")[0]


def checked(instrument: str, mode: str) -> list[str]:
    """Return which frames of a mode the suite renders; all of them with ELVIS_ALL_BYTES (`make bytes-check`).

    The first mode of a family renders a frame of each way through the program (``FRAMES``) and one of a lamp. Of
    what is dear only its plain frame is rendered.
    """
    names = list(recorded()["hashes"][f"{instrument} {mode}"])
    if os.environ.get("ELVIS_ALL_BYTES"):
        return names
    first = next(m for i, m in modes() if i == instrument and family(m) == family(mode))
    if instrument in DEAR_INSTRUMENTS:
        first_of_all = next(m for i, m in modes() if i == instrument)
        return ["plain"] if mode == first_of_all and instrument not in DEAREST else []
    if (instrument, family(mode)) in DEAR:
        return ["plain"] if mode == first else []
    if mode != first:
        return []
    frames = {*FRAMES, "arc" if "arc" in names else "flat"}
    return [name for name in names if name in frames]


def compare(name: str, hashes: Hashes) -> None:
    """Compare with the file: hashes on a machine of the same arithmetic, else sums."""
    file = recorded()
    expected, same = file["hashes"][name], file["arithmetic"] == arithmetic()
    assert set(hashes) <= set(expected)
    changed = [
        key
        for key, (sha, total) in hashes.items()
        if (sha != expected[key][0] if same else abs(total - expected[key][1]) > SUM * abs(expected[key][1]))
    ]
    assert changed == [], f"{name}: other bytes than same_bytes.json has; if on purpose, `make bytes`"


def modes() -> list[tuple[str, str]]:
    """Return every mode of the built-in instruments that the file knows."""
    return [tuple(name.split()) for name in recorded()["hashes"] if len(name.split()) == 2]


@pytest.fixture(autouse=True)
def epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Set the time at which files say they were made."""
    monkeypatch.setenv("SOURCE_DATE_EPOCH", EPOCH)


@pytest.mark.parametrize(("instrument", "mode"), [mode for mode in modes() if checked(*mode)])
def test_every_mode_gives_the_same_bytes(instrument: str, mode: str) -> None:
    only = checked(instrument, mode)
    hashes = of_mode(instrument, mode, only)
    assert list(hashes) == only
    compare(f"{instrument} {mode}", hashes)


def test_every_mode_is_in_the_file() -> None:
    assert sorted(modes()) == sorted((n, m.mode) for n in registry.names() for m in registry.load(n).modes())


def test_a_night_gives_the_same_bytes() -> None:
    compare("night", of_night())


def test_a_combined_focal_plane_gives_the_same_bytes(tmp_path: Path) -> None:
    compare("combined", of_split(tmp_path))


def rewrite(record: Callable[[str], None]) -> None:
    """Write the file anew."""
    os.environ["SOURCE_DATE_EPOCH"] = EPOCH
    hashes: dict[str, Hashes] = {}
    for name in registry.names():
        for mode in registry.load(name).modes():
            hashes[f"{name} {mode.mode}"] = of_mode(name, mode.mode)
            record(f"{name} {mode.mode}")
    hashes["night"] = of_night()
    with tempfile.TemporaryDirectory() as folder:
        hashes["combined"] = of_split(Path(folder))
    FILE.write_text(json.dumps({"arithmetic": arithmetic(), "hashes": hashes}, indent=1) + "\n")


if __name__ == "__main__":
    rewrite(lambda line: print(line, file=sys.stderr))

"""A case is run in this process, under limits, and what it left is judged."""

from __future__ import annotations

import io
import json
import os
import re
import resource
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits

from tests.conftest import run
from tests.fuzz.case import Case
from tests.fuzz.damage_text import CANARY

PROMISED = (0, 2, 65, 69)
SECONDS = 10.0
"""Of CPU that a case may take."""
MEMORY = 1 << 30
"""Bytes of memory that a case may add."""
ADDRESSES = 6 << 30
"""Bytes of address space beyond those of the warm process."""
LONGEST = 4000
"""Characters of a message."""
MAPS = ("WAVE", "POSITION")
"""Images that are NaN where a pixel sees nothing."""
FITS_WRITERS = ("replay", "combine", "inject")


@dataclass(frozen=True)
class Verdict:
    """What a case came to."""

    code: int
    fault: str = ""
    """"" if all is as promised."""
    seconds: float = 0.0
    memory: int = 0
    valid: bool = False
    """Whether it wrote a FITS file, which is valid."""


_reached: list[str] = []


def watch() -> None:
    """Record each use of the network, each start of a program, each opening of the canary, from now on."""
    home = os.getpid(), threading.main_thread()

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event in ("socket.connect", "socket.getaddrinfo", "subprocess.Popen", "os.system", "urllib.Request"):
            _reached.append(f"{event} {arguments[:2]}"[:100])
        elif event == "open" and CANARY in str(arguments[0]) and home:
            _reached.append(f"open {arguments[0]}"[:100])

    sys.addaudithook(hook)


def confine() -> None:
    """Limit the memory of this process, and what a fault leaves."""
    with open("/proc/self/statm") as file:
        size = int(file.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + ADDRESSES, size + ADDRESSES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def judge(case: Case, *, deep: bool = False) -> Verdict:
    """Run a case; ``deep`` gives its FITS file to fitsverify too."""
    _reached.clear()
    with tempfile.TemporaryDirectory(prefix="elvis-fuzz-") as folder:
        arguments = case.arguments(Path(folder))
        before, start = _peak(reset=True), time.process_time()
        signal.setitimer(signal.ITIMER_PROF, 3 * SECONDS)  # ends a process that does not come back
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                code, out, err = run(*arguments, stdin=case.stdin)
        except BaseException as error:
            return Verdict(-1, f"raised {type(error).__name__}: {traceback.format_exc()[-300:]}")
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
        seconds, memory = time.process_time() - start, _peak() - before
        fault = _fault(case, code, out, err.replace(folder, ""), deep)
    if _reached:
        fault = f"reached {_reached[0]}"
    fault = fault or (f"{seconds:.1f} s of CPU" if seconds > SECONDS else "")
    fault = fault or (f"{memory >> 20} MiB of memory" if memory > MEMORY else "")
    return Verdict(code, fault, seconds, memory, not fault and code == 0 and out.startswith(b"SIMPLE"))


def _peak(*, reset: bool = False) -> int:
    """Return the peak of this process's memory, bytes, since the last reset."""
    if reset:
        Path("/proc/self/clear_refs").write_text("5")
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith("VmHWM"))


def _fault(case: Case, code: int, out: bytes, err: str, deep: bool) -> str:
    lines = [line for line in err.splitlines() if not line.startswith("elvis: note: ")]
    if code not in PROMISED:
        return f"exit code {code}: {' '.join(lines)[:300]}"
    if "Traceback" in err:
        return f"a traceback: {err[-300:]}"
    if not all(line.startswith("elvis: ") and line.isprintable() for line in err.splitlines()):
        return f"a line that is not a message: {err[:300]!r}"
    if max(map(len, err.splitlines()), default=0) > LONGEST:
        return f"a message of {max(map(len, err.splitlines()))} characters"
    if code:
        if out and case.argv[0] != "split":  # a filter of lines
            return f"exit code {code}, and {len(out)} bytes on stdout"
        return "" if len(lines) == 1 else f"exit code {code}, and {len(lines)} lines: {lines[:3]}"
    return _wrong_output(case, out, deep)


def _wrong_output(case: Case, out: bytes, deep: bool) -> str:
    """Return what is wrong with the output of a run that ended well."""
    command = case.argv[0]
    if command in FITS_WRITERS or command.startswith("--"):
        return wrong_fits(out, deep)
    if command == "preview" and "--terminal" not in case.argv:
        return "" if out.startswith(b"\x89PNG") and out.endswith(b"IEND\xaeB`\x82") else "not PNG"
    if command in ("plan", "split") or case.argv == ("ob",):
        for line in out.decode().splitlines():
            try:
                json.loads(line, parse_constant=_refuse)
            except ValueError as error:
                return f"not JSON: {error}"
    return ""


def _refuse(word: str) -> Any:
    raise ValueError(word)


def wrong_fits(data: bytes, deep: bool = False) -> str:
    """Return what is wrong with the bytes of a FITS file, "" if nothing is."""
    if len(data) % 2880 or not data.startswith(b"SIMPLE  =                    T"):
        return "not FITS: not whole blocks, or no SIMPLE"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            with fits.open(io.BytesIO(data), checksum=True) as hdus:
                hdus.verify("exception")
                for hdu in hdus:
                    text = hdu.header.tostring()
                    cards = [
                        text[at : at + 8].rstrip() for at in range(0, len(text), 80) if text[at + 8 : at + 10] == "= "
                    ]
                    if len(set(cards)) < len(cards):
                        return f"not FITS: {next(c for c in cards if cards.count(c) > 1)} twice in {hdu.name}"
                    if not all(re.fullmatch(r"[A-Z0-9_-]+", card) for card in cards):
                        return f"not FITS: a keyword in {hdu.name}"
                    body = hdu.data
                    finite = isinstance(body, np.ndarray) and body.dtype.kind == "f" and hdu.name not in MAPS
                    if finite and not np.isfinite(body).all():
                        return f"pixels of {hdu.name} are not finite"
    except Exception as error:
        return f"not FITS: {type(error).__name__}: {' '.join(str(error).split())[:200]}"
    return _fitsverify(data) if deep else ""


def _fitsverify(data: bytes) -> str:
    with tempfile.NamedTemporaryFile(suffix=".fits") as file:
        file.write(data)
        file.flush()
        _, result = subprocess.getstatusoutput(f"fitsverify -q -e {file.name}")
    _reached.clear()
    return "" if "verification OK" in result else f"not FITS: fitsverify: {result[-200:]}"

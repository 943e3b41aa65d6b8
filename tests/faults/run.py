"""Faults of the machine, injected into the filter and the batch: `make faults` prints a table of what happened.

Usage: python tests/faults/run.py [SIGNALS], the number of random moments at which a signal is sent (200).
"""

from __future__ import annotations

import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from elvis_cli.instrument import registry
from elvis_cli.product.integrity import examine

ELVIS = str(Path(sys.executable).with_name("elvis"))
MEMORY_MB = range(200, 1300, 50)
"""Limits of the address space."""
SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
Case = tuple[str, str]
"""What happened, and what is wrong with it ("" if nothing is)."""


def request(number: int = 0) -> bytes:
    """Return a small request."""
    document = registry.load("micado").example()
    window = {"x0": 0, "y0": 0, "nx": 256, "ny": 256}
    document["elvis"] = {"window": window, "date": f"2026-11-20T05:{number:02d}:00"}
    return json.dumps(document).encode() + b"\n"


def wrong(code: int, err: bytes, allowed: tuple[int, ...]) -> str:
    """Return what is wrong with the end of a process."""
    for sign in (b"Traceback", b"a fault of elvis"):
        if sign in err:
            return sign.decode()
    return "" if code in allowed else f"exit code {code}: {err[-200:]!r}"


def ended(code: int) -> int:
    """Return the exit code as a shell has it."""
    return 128 - code if code < 0 else code


def memory(folder: Path) -> Iterator[Case]:
    """Yield the ends of filters in address spaces of several sizes."""
    for most in MEMORY_MB:

        def limit(most: int = most) -> None:
            resource.setrlimit(resource.RLIMIT_AS, (most * 10**6,) * 2)

        done = subprocess.run([ELVIS], input=request(), capture_output=True, preexec_fn=limit, check=False, cwd=folder)
        code = ended(done.returncode)
        fault = wrong(code, done.stderr, (0, 69))
        if code and (done.stdout or b"memory" not in done.stderr):
            fault = fault or f"no word of memory: {done.stderr[-200:]!r}"
        yield f"exit code {code}", f"{most} MB: {fault}" if fault else ""


def writes(folder: Path) -> Iterator[Case]:
    """Yield the ends of filters and batches of which a write or fsync fails, each in turn (strace)."""
    out = folder / "out.fits"
    batch = [ELVIS, "batch", "-j", "1", "--outdir", str(folder / "raw")]
    plans = [(call, [ELVIS, "-o", str(out)], n) for call in ("write", "rename") for n in range(1, 9)]
    plans += [(call, batch, n) for call in ("fsync", "link", "write") for n in range(1, 9 if call == "write" else 3)]
    for call, command, number in plans:
        fault = f"inject={call}:error=ENOSPC:when={number}"
        strace = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", f"trace={call}", "-e", fault]
        out.write_bytes(b"before")
        done = subprocess.run([*strace, *command], input=request(), capture_output=True, check=False)
        code = ended(done.returncode)
        bad = wrong(code, done.stderr, (0, 1, 74))
        if command is not batch and (code == 0) != (out.read_bytes()[:6] == b"SIMPLE"):
            bad = bad or "the file is not what the exit code says"
        if list(folder.rglob("*.part")) or not all(map(examine, (folder / "raw").glob("*.fits"))):
            bad = bad or "something partial is left"
        shutil.rmtree(folder / "raw", ignore_errors=True)
        yield f"exit code {code}", f"{call} {number} of {command[1]}: {bad}" if bad else ""


def signals(folder: Path, moments: int, is_batch: bool) -> Iterator[Case]:
    """Yield the ends of processes that get a signal at a random moment."""
    chance = random.Random(1)
    raw, out = folder / "raw", folder / "out.fits"
    command = [ELVIS, "batch", "-j", "1", "--outdir", str(raw)] if is_batch else [ELVIS, "-o", str(out)]
    text = b"".join(map(request, range(3))) if is_batch else request()
    begin = time.monotonic()
    subprocess.run(command, input=text, capture_output=True, check=True)
    length = time.monotonic() - begin
    for number in range(moments):
        out.write_bytes(b"before")
        shutil.rmtree(raw, ignore_errors=True)
        sent = SIGNALS[number % len(SIGNALS)]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        with subprocess.Popen(command, start_new_session=True, **pipes) as process:  # type: ignore[call-overload]
            process.stdin.write(text)
            process.stdin.close()
            process.stdin = None
            time.sleep(chance.random() * length)
            if sent == signal.SIGINT:  # a terminal sends it to all
                os.killpg(process.pid, sent)
            else:
                process.send_signal(sent)
            _, err = process.communicate(timeout=60)
        code = ended(process.returncode)
        bad = wrong(code, err, (0, 128 + sent))
        if not is_batch and out.read_bytes()[:6] != (b"SIMPLE" if code == 0 else b"before"):
            bad = bad or "the file is not what the exit code says"
        if not all(map(examine, raw.glob("*.fits"))):
            bad = bad or "a file is not whole"
        if sent != signal.SIGKILL and list(folder.rglob("*.part")):
            bad = bad or "an unfinished file is left"
        for part in folder.rglob("*.part"):
            part.unlink()
        yield f"exit code {code}", f"{sent.name}: {bad}" if bad else ""


def caches(folder: Path) -> Iterator[Case]:
    """Yield the ends of filters with a damaged, an empty, a read-only cache, and two at once."""
    cache = folder / "cache"
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(cache)}

    def run(count: int = 1) -> list[tuple[int, bytes, bytes]]:
        running = [subprocess.Popen([ELVIS], stdin=-1, stdout=-1, stderr=-1, env=environment) for _ in range(count)]
        found = [(process.communicate(request()), process) for process in running]
        return [(process.returncode, *streams) for streams, process in found]

    whole = run()[0][1]
    damages: dict[str, Callable[[bytes], bytes]] = {
        "cut": lambda data: data[:60],
        "empty": lambda _: b"",
        "flipped": lambda data: data[:-200] + bytes(byte ^ 1 for byte in data[-200:]),
    }
    for name, damage in damages.items():
        for file in (*cache.rglob("*.nbi"), *cache.rglob("*.nbc")):
            file.write_bytes(damage(file.read_bytes()))
        for code, out, err in run():
            yield name, wrong(code, err, (0,)) or ("" if out == whole else "other bytes")
    shutil.rmtree(cache)
    for code, out, err in run(2):
        yield "two at once, empty folder", wrong(code, err, (0,)) or ("" if out == whole else "other bytes")


def clock(folder: Path) -> Iterator[Case]:
    """Yield the ends of filters whose clock is wrong (faketime)."""
    whole = subprocess.run([ELVIS], input=request(), capture_output=True, check=True, cwd=folder).stdout
    for when in ("2001-01-01 00:00:00", "2045-01-01 00:00:00"):
        done = subprocess.run(["faketime", when, ELVIS], input=request(), capture_output=True, check=False)
        yield when, wrong(done.returncode, done.stderr, (0,)) or ("" if done.stdout == whole else "other bytes")


def main(moments: int) -> int:
    """Print the table; return 1 if anything is wrong."""
    failures = 0
    print("fault | cases | what happened | wrong\n---|---|---|---")
    for name, cases in {
        "little memory": memory,
        "a write, rename, link or fsync that fails": writes,
        "a signal, filter": lambda folder: signals(folder, moments, is_batch=False),
        "a signal, batch": lambda folder: signals(folder, moments, is_batch=True),
        "cache of kernels": caches,
        "clock": clock,
    }.items():
        with tempfile.TemporaryDirectory() as folder:
            found = list(cases(Path(folder)))
        ends = Counter(end for end, _ in found)
        bad = [fault for _, fault in found if fault]
        failures += len(bad)
        text = ", ".join(f"{end}: {n}" for end, n in sorted(ends.items()))
        print(f"{name} | {len(found)} | {text} | {len(bad)}", *bad[:5], sep="\n    ", flush=True)
    return int(failures > 0)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 200))

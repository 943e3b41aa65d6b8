"""Faults of the machine, injected into the filter and the batch: `make faults` prints a table of what happened.

Usage: python tests/faults/run.py [SIGNALS [ROW...]], the number of random moments at which a signal is sent (200), and
the rows of the table that are wanted.
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
from collections.abc import Callable, Iterator, Sequence
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
        if sent == signal.SIGINT and b"elvis_cli/" not in err and b"Traceback" in err:
            code, err = 128 + sent, b""  # Python's own start, before the first line of elvis
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


def locked_caches(folder: Path) -> Iterator[Case]:
    """Yield the ends of filters whose cache cannot be written: no such folder can be, a file is in its place."""
    (folder / "file").write_bytes(b"")
    whole = subprocess.run([ELVIS], input=request(), capture_output=True, check=True).stdout
    for place in ("/proc/cache", str(folder / "file"), "/dev/full"):
        environment = {**os.environ, "NUMBA_CACHE_DIR": place}
        done = subprocess.run([ELVIS], input=request(), capture_output=True, env=environment, check=False)
        bad = wrong(done.returncode, done.stderr, (0,)) or ("" if done.stdout == whole else "other bytes")
        yield f"exit code {done.returncode}", bad


def redirected(folder: Path, moments: int) -> Iterator[Case]:
    """Yield the ends of filters behind ``>>`` that get a signal: the file has none or all of the frame."""
    chance, out = random.Random(2), folder / "out.fits"
    begin = time.monotonic()
    whole = subprocess.run([ELVIS], input=request(), capture_output=True, check=True).stdout
    length = time.monotonic() - begin
    for number in range(moments):
        out.write_bytes(b"before")
        sent = SIGNALS[number % len(SIGNALS)]
        with out.open("ab") as file, subprocess.Popen([ELVIS], stdin=-1, stdout=file, stderr=-1) as process:
            assert process.stdin
            process.stdin.write(request())
            process.stdin.close()
            process.stdin = None
            time.sleep(chance.random() * length)
            process.send_signal(sent)
            _, err = process.communicate(timeout=60)
        code, content = ended(process.returncode), out.read_bytes()
        bad = wrong(code, err, (0, 128 + sent))
        if content != (b"before" + whole if code == 0 else b"before"):
            bad = bad or f"{len(content) - 6} of {len(whole)} bytes after exit code {code}"
        yield f"exit code {code}", f"{sent.name}: {bad}" if bad else ""


def workers(folder: Path) -> Iterator[Case]:
    """Yield the ends of batches in little memory, and of batches of which a process is killed as for memory."""
    raw, count = folder / "raw", 4
    text = b"".join(map(request, range(count)))
    command = [ELVIS, "batch", "-j", "1", "--outdir", str(raw)]
    for most in (900, 1000, 1200, 0):
        limited = ["bash", "-c", f'ulimit -v {most * 1000}; exec "$@"', "bash", *command] if most else command
        with subprocess.Popen(limited, stdin=-1, stdout=-1, stderr=-1) as process:
            assert process.stdin
            process.stdin.write(text)
            process.stdin.close()
            process.stdin = None
            if not most:
                _kill_worker(process.pid)
            out, err = process.communicate(timeout=300)
        code, lines = ended(process.returncode), out.splitlines()
        bad = wrong(code, err, (0, 1, 69))
        status = Counter(json.loads(line)["status"] for line in lines)
        if code in (0, 1) and (len(lines) != count or (code == 1) != (status["failed"] > 0)):
            bad = bad or f"{status} and exit code {code}"
        if not most and status != {"made": count - 1, "failed": 1}:
            bad = bad or f"of {count} requests {dict(status)}"
        if len(list(raw.glob("*.fits"))) != status["made"] or not all(map(examine, raw.glob("*.fits"))):
            bad = bad or "files are not what the lines say"
        shutil.rmtree(raw, ignore_errors=True)
        what = f"{most} MB" if most else "killed"
        yield f"{what}: exit code {code}, {dict(status)}", bad


def _kill_worker(parent: int) -> None:
    """Kill a process of a batch while it works, as the kernel does for memory."""
    while threads := list(Path(f"/proc/{parent}/task").glob("*/children")):
        for child in (child for thread in threads for child in thread.read_text().split()):
            if int(Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()[11]) > 100:  # ticks of user time
                os.kill(int(child), signal.SIGKILL)
                return
        time.sleep(0.02)


def manifests(folder: Path) -> Iterator[Case]:
    """Yield the ends of batches whose lines on stdout go to a disk that gets full (mounts a tmpfs: needs root)."""
    disk, raw = folder / "disk", folder / "raw"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4k", "tmpfs", str(disk)], check=False).returncode:
        return
    try:
        for filled in (4096, 4000, 3900, 3500, 3000):
            lines = disk / "lines"
            lines.write_bytes(b"-" * (filled - 1) + b"\n")
            with lines.open("ab") as file:
                text = b"".join(map(request, range(3)))
                command = [ELVIS, "batch", "-j", "1", "--outdir", str(raw)]
                done = subprocess.run(command, input=text, stdout=file, stderr=subprocess.PIPE, check=False)
            bad = wrong(done.returncode, done.stderr, (0, 74))
            if not lines.read_bytes().endswith(b"\n"):
                bad = bad or "a part of a line is left"
            if list(raw.glob("*.part")) or not all(map(examine, raw.glob("*.fits"))):
                bad = bad or "a file is not whole"
            shutil.rmtree(raw, ignore_errors=True)
            yield f"exit code {done.returncode}", bad
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def clock_steps(folder: Path) -> Iterator[Case]:
    """Yield the ends of filters and batches whose clock goes back while they run (faketime)."""
    stamp, raw = folder / "stamp", folder / "raw"
    library = next(iter(Path("/usr/lib").rglob("libfaketime.so.1")))
    environment = {
        **os.environ, "LD_PRELOAD": str(library), "FAKETIME_TIMESTAMP_FILE": str(stamp), "FAKETIME_NO_CACHE": "1"
    }  # fmt: skip
    whole = subprocess.run([ELVIS], input=request(), capture_output=True, check=True).stdout
    for moment in (0.3, 1.0, 2.0, 3.0):
        for command in ([ELVIS], [ELVIS, "batch", "-j", "1", "--timeout", "600", "--outdir", str(raw)]):
            stamp.write_text("+10y\n")
            with subprocess.Popen(command, stdin=-1, stdout=-1, stderr=-1, env=environment) as process:
                assert process.stdin
                process.stdin.write(request() if command == [ELVIS] else request() + request(1))
                process.stdin.close()
                process.stdin = None
                time.sleep(moment)
                stamp.write_text("-10y\n")
                out, err = process.communicate(timeout=300)
            bad = wrong(ended(process.returncode), err, (0,))
            if command == [ELVIS]:
                bad = bad or ("" if out == whole else "other bytes")
            elif len(out.splitlines()) != 2 or not all(map(examine, raw.glob("*.fits"))):
                bad = bad or "not two files"
            shutil.rmtree(raw, ignore_errors=True)
            yield f"exit code {process.returncode}", bad


def clock(folder: Path) -> Iterator[Case]:
    """Yield the ends of filters whose clock is wrong (faketime)."""
    whole = subprocess.run([ELVIS], input=request(), capture_output=True, check=True, cwd=folder).stdout
    for when in ("2001-01-01 00:00:00", "2045-01-01 00:00:00"):
        done = subprocess.run(["faketime", when, ELVIS], input=request(), capture_output=True, check=False)
        yield when, wrong(done.returncode, done.stderr, (0,)) or ("" if done.stdout == whole else "other bytes")


def main(moments: int, only: Sequence[str] = ()) -> int:
    """Print the table, or the rows of ``only``; return 1 if anything is wrong."""
    failures = 0
    print("fault | cases | what happened | wrong\n---|---|---|---")
    for name, cases in {
        "little memory": memory,
        "a write, rename, link or fsync that fails": writes,
        "a signal, filter": lambda folder: signals(folder, moments, is_batch=False),
        "a signal, batch": lambda folder: signals(folder, moments, is_batch=True),
        "a signal, filter behind >>": lambda folder: redirected(folder, moments),
        "little memory or a killed process, batch": workers,
        "a full disk behind the lines of batch": manifests,
        "cache of kernels": caches,
        "cache of kernels that cannot be written": locked_caches,
        "clock": clock,
        "clock that goes back": clock_steps,
    }.items():
        if only and name not in only:
            continue
        with tempfile.TemporaryDirectory() as folder:
            found = list(cases(Path(folder)))
        ends = Counter(end for end, _ in found)
        bad = [fault for _, fault in found if fault]
        failures += len(bad)
        text = ", ".join(f"{end}: {n}" for end, n in sorted(ends.items()))
        print(f"{name} | {len(found)} | {text} | {len(bad)}", *bad[:5], sep="\n    ", flush=True)
    return int(failures > 0)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 200, sys.argv[2:]))

"""Try new cases: ``python -m tests.fuzz --cases 50000``; the figures of each reader, failures reduced and kept."""

from __future__ import annotations

import argparse
import gc
import hashlib
import json
import os
import random
import re
import select
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.fuzz import readers
from tests.fuzz.case import Case
from tests.fuzz.judge import SECONDS, Verdict, confine, judge, watch
from tests.fuzz.reduce import reduced

CASES = Path(__file__).parent / "cases"
PER_PROCESS = 300
"""Cases after which a new process is forked: what a reader keeps does not pile up."""
DEEP = 50
"""Of so many cases one gives its FITS file to fitsverify."""


def main() -> int:
    """Run the cases and print the figures; 1 if any is not as promised."""
    given = _arguments()
    seed = random.SystemRandom().randrange(2**32) if given.seed is None else given.seed
    if given.only is not None:
        case = readers.case(seed, given.reader[0], given.only)
        sys.stdout.write(case.dump())
        print(judge(case), file=sys.stderr)
        return 0
    warm()
    work = [pair for pair in readers.schedule(given.cases) if not given.reader or pair[0] in given.reader]
    random.Random(seed).shuffle(work)
    print(f"seed {seed}: {len(work)} cases, {given.jobs} at a time", flush=True)
    figures, begun = Figures(), time.monotonic()
    try:
        campaign(seed, work, given.jobs, lambda job, verdict: _report(figures, seed, job, verdict, given.save))
    except KeyboardInterrupt:
        print("interrupted: the figures up to now")
    print(figures.table())
    print(f"seed {seed}: {time.monotonic() - begun:.0f} s")
    return bool(figures.faults)


def _arguments() -> argparse.Namespace:
    options = argparse.ArgumentParser(prog="python -m tests.fuzz")
    options.add_argument("--seed", type=int)
    options.add_argument("--cases", type=int, default=5000)
    options.add_argument("--jobs", type=int, default=1)
    options.add_argument("--reader", action="append", choices=readers.every())
    options.add_argument("--only", type=int, metavar="N", help="print and run this case of the reader")
    options.add_argument("--save", type=Path, default=CASES, help="folder for what fails, reduced")
    return options.parse_args()


class Figures:
    """Counts by reader."""

    def __init__(self) -> None:
        self.counts: dict[str, Counter[str]] = {}
        self.seconds: dict[str, list[float]] = {}
        self.memory: dict[str, int] = {}
        self.faults: dict[str, int] = {}

    def add(self, reader: str, verdict: Verdict) -> None:
        """Count a case."""
        counts = self.counts.setdefault(reader, Counter())
        counts["cases"] += 1
        counts[f"exit {verdict.code}"] += 1
        counts["FITS"] += verdict.valid
        counts["faults"] += bool(verdict.fault)
        self.seconds.setdefault(reader, []).append(verdict.seconds)
        self.memory[reader] = max(self.memory.get(reader, 0), verdict.memory)

    def table(self) -> str:
        """Return the figures as lines with tabs."""
        codes = ["cases", "exit 0", "exit 2", "exit 65", "exit 69", "FITS", "faults"]
        rows = [["reader", *codes, "CPU s", "longest s", "MiB"]]
        for name, counts in sorted(self.counts.items()):
            seconds = self.seconds[name]
            rows.append(
                [
                    name,
                    *(str(counts[c]) for c in codes),
                    f"{sum(seconds):.0f}",
                    f"{max(seconds):.2f}",
                    str(self.memory[name] >> 20),
                ]
            )
        sums = [str(sum(counts[code] for counts in self.counts.values())) for code in codes]
        every = [s for seconds in self.seconds.values() for s in seconds]
        rows.append(["all", *sums, f"{sum(every):.0f}", f"{max(every):.2f}", str(max(self.memory.values()) >> 20)])
        return "\n".join("\t".join(row) for row in rows)


def _report(figures: Figures, seed: int, job: tuple[str, int], verdict: Verdict, folder: Path) -> None:
    reader, number = job
    figures.add(reader, verdict)
    if not verdict.fault:
        return
    kind = kind_of(reader, verdict)
    figures.faults[kind] = figures.faults.get(kind, 0) + 1
    if figures.faults[kind] > 1:
        return
    print(f"--seed {seed} --reader {reader!r} --only {number}: {verdict.fault[:400]}", flush=True)
    case = reduced(readers.case(seed, reader, number), lambda one: kind_of(reader, forked(one)) == kind)
    folder.mkdir(exist_ok=True, parents=True)
    mark = hashlib.sha256(kind.encode()).hexdigest()[:8]
    (folder / f"{reader.replace(' ', '-')}-{mark}.json").write_text(case.dump())


def kind_of(reader: str, verdict: Verdict) -> str:
    """Return a name for a kind of fault, without what differs from case to case."""
    return f"{reader}: {re.sub(r'[0-9]+|[^ -~]+', 'N', verdict.fault)[:90]}" if verdict.fault else ""


def warm() -> None:
    """Load what each case would else load again: modules, kernels, data."""
    watch()
    os.environ["ELVIS_THREADS"] = "1"
    for case in readers.whole():
        judge(case)
    gc.collect()
    gc.freeze()


def forked(case: Case) -> Verdict:
    """Return the verdict on a case in a process of its own."""
    found: list[Verdict] = []
    _children([lambda: judge(case)], lambda _, verdict: found.append(verdict))
    return found[0]


def campaign(
    seed: int, work: list[tuple[str, int]], jobs: int, report: Callable[[tuple[str, int], Verdict], None]
) -> None:
    """Judge all cases, ``jobs`` at a time, in children that each take several hundred."""
    pools = [_Pool(seed, work[first::jobs], report) for first in range(jobs)]
    while running := [pool for pool in pools if pool.start()]:
        ready = select.select([pool.pipe for pool in running], [], [], 1.0)[0]
        for pool in running:
            pool.step(pool.pipe in ready)


class _Pool:
    """A child at a time that works through a list of cases."""

    def __init__(
        self, seed: int, work: list[tuple[str, int]], report: Callable[[tuple[str, int], Verdict], None]
    ) -> None:
        self.seed, self.work, self.report = seed, work, report
        self.pipe = self.child = -1
        self.buffer = b""
        self.since = time.monotonic()

    def start(self) -> bool:
        """Fork a child if there is none; return whether there is any work left."""
        if self.pipe >= 0:
            return True
        if not self.work:
            return False
        self.pipe, writer = os.pipe()
        self.child = os.fork()
        if self.child == 0:
            try:
                confine()
                for number, (reader, index) in enumerate(self.work[:PER_PROCESS]):
                    verdict = judge(readers.case(self.seed, reader, index), deep=number % DEEP == 0)
                    line = json.dumps(vars(verdict) if hasattr(verdict, "__dict__") else verdict) + "\n"
                    os.write(writer, line.encode()[:60000])
            finally:
                os._exit(0)
        os.close(writer)
        self.since = time.monotonic()
        return True

    def step(self, ready: bool) -> None:
        """Take what the child has said; report the case at which it died or hangs."""
        data = os.read(self.pipe, 1 << 16) if ready else b""
        if ready and data:
            self.buffer += data
            *lines, self.buffer = self.buffer.split(b"\n")
            for line in lines:
                self.report(self.work.pop(0), Verdict(**json.loads(line)))
                self.since = time.monotonic()
        hangs = time.monotonic() - self.since > 60 * SECONDS
        if hangs:
            os.kill(self.child, signal.SIGKILL)
        if hangs or (ready and not data):
            os.close(self.pipe)
            self.pipe = -1
            _, status = os.waitpid(self.child, 0)
            if status or hangs:
                how = "it hangs" if hangs or status & 127 == signal.SIGPROF else f"killed by signal {status & 127}"
                self.report(self.work.pop(0), Verdict(-2, how, 3 * SECONDS))


def _children(tasks: list[Callable[[], Verdict]], report: Callable[[int, Verdict], None]) -> None:
    """Judge each task in a child of its own."""
    for number, task in enumerate(tasks):
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reader)
            confine()
            os.write(writer, json.dumps(vars(task())).encode()[:60000])
            os._exit(0)
        os.close(writer)
        with os.fdopen(reader, "rb") as pipe:
            text = pipe.read()
        _, status = os.waitpid(child, 0)
        known: Any = json.loads(text) if text else None
        how = "it hangs" if status & 127 == signal.SIGPROF else f"killed by signal {status & 127}"
        report(number, Verdict(**known) if known else Verdict(-2, how, 3 * SECONDS))


if __name__ == "__main__":
    sys.exit(main())

"""Warm frames: processor seconds of a further frame of `elvis batch -j 1`, beside numpy's deviates of as many pixels.

Frames of MICADO of 1024 x 1024 pixels: nights whose frames differ by the hour, so that the sky is another one, and
steady ones, whose frames differ by their seeds alone. The time of a start is taken off: it is that of a longer batch
less that of a shorter one.

    python -m tests.bench.warm
"""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from elvis_cli.instrument import registry
from tests.bench import measure

SIDE = 1024
SHORT, LONG = 5, 55
ASKED = 2.0
"""Times the deviates of as many pixels."""
NIGHTS: dict[str, Callable[[int], dict[str, Any]]] = {
    "by the hour": lambda n: {"seed": n, "date": f"2026-11-20T{n // 60:02d}:{n % 60:02d}:00"},
    "steady": lambda n: {"seed": n},
}


def main() -> None:
    """Print a row for each kind of night."""
    measure.head(__doc__)
    document = {**registry.load("micado").example(), "output": {}}
    with tempfile.TemporaryDirectory() as name:
        for kind, block in NIGHTS.items():
            floor, used = measure.floor(), {}
            for count in (SHORT, LONG):
                folder = Path(name, f"{kind} {count}")
                lines = [json.dumps({**document, "elvis": block(n)}) for n in range(count)]
                source = folder.with_suffix(".jsonl")
                source.write_text("\n".join(lines))
                argv = [measure.ELVIS, "batch", "--outdir", str(folder), "--name", "{line}.fits", "-j", "1"]
                with source.open() as stdin:
                    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
                    used[count] = measure.watch(argv, {"ELVIS_THREADS": "1"}, stdin=stdin, **quiet)
            seconds = (used[LONG].cpu - used[SHORT].cpu) / (LONG - SHORT)
            measure.row(
                f"a further frame of {SIDE} x {SIDE}, night {kind}",
                used[LONG]._replace(cpu=seconds),
                SIDE**2 * floor.deviates,
                f"asked {ASKED:g}; {2 / seconds:.0f} a second on two cores",
            )


if __name__ == "__main__":
    main()

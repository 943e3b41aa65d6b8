"""Whole processes of ELVIS, all threads: a request piped into `elvis`, the FITS into a file, as a user does.

Processor time and peak memory (of the elvis process) are medians of up to three runs after a first one, which fills the
caches: as many as end within half a minute of a processor. The floor is taken before each run: the imports of numpy,
typer, jsonschema, numba and astropy.io.fits, and a normal and a Poisson deviate of numpy for each pixel. The goals of
some cases are ratios to its parts. A JSON line at the end has all numbers.

    python -m tests.bench.run [--only NAME]
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from astropy.io import fits

from elvis_cli.instrument import registry
from tests.bench import measure
from tests.bench.measure import ELVIS

TRANSFER = ["stars", "background", "shot_noise", "pre_overscan", "parallel_overscan", "cti", "gain", "bias", "adc"]
WARM = 20
"""Frames of a batch after which all of its processes are warm."""
SIDE = 1024
"""Pixels of the side of a batch's frames."""
PATIENCE = 30.0
"""Processor seconds after which a case is not run again."""
INFRARED = ["ipc", "rtn", "reset", "correlated_noise", "reference_correction"]


def example(instrument: str, mode: str | None = None, **elvis_block: Any) -> dict[str, Any]:
    """Return the plugin's own example (of a mode) with an ``elvis`` block."""
    document = registry.load(instrument).example(mode)
    document["elvis"] = {**document.get("elvis", {}), **elvis_block}
    return document


def dithered(instrument: str, count: int) -> dict[str, Any]:
    """Return the plugin's own example with as many integrations as a product has dithers."""
    document = example(instrument)
    document["timesnr"]["DET.NDIT"] = count
    return document


def crowd(count: int, width: float) -> dict[str, Any]:
    """Return ``count`` stars over ``width`` arcsec, ten times as many for each three magnitudes."""
    rng = np.random.default_rng(1)
    x, y = rng.uniform(-width / 2, width / 2, (2, count))
    mag = 26.0 + 3.0 * np.log10(rng.uniform(1e-3, 1.0, count))
    return {"x": x.round(5).tolist(), "y": y.round(5).tolist(), "mag": mag.round(3).tolist()}


def universe(stars: int, galaxies: int) -> dict[str, Any]:
    """Return stars and galaxies for one CCD of Euclid, sizes and numbers as the sky has them, roughly."""
    rng = np.random.default_rng(1)
    count = stars + galaxies
    x, y = 211.0 + rng.uniform(-205, 205, count), 239.0 + rng.uniform(-207, 207, count)
    mag = np.concatenate(
        [17 + 5 * np.log10(rng.uniform(1, 40, stars)), 25.5 + np.log10(rng.uniform(5e-3, 1, galaxies)) / 0.36]
    )
    radius = 0.25 * 10 ** (-0.12 * (mag - 24.5)) * rng.lognormal(0, 0.35, count)
    radius[:stars] = 0
    early = rng.uniform(size=count) < 0.25
    columns = {
        "x": x,
        "y": y,
        "mag": mag,
        "radius": radius.clip(0, 8),
        "index": np.where(early, rng.uniform(2.5, 4.5, count), rng.uniform(0.6, 1.6, count)),
        "ellipticity": rng.uniform(0, 0.75, count),
        "angle": rng.uniform(0, 180, count),
    }
    return {name: values.round(4).tolist() for name, values in columns.items()}


def spectra() -> dict[str, tuple[dict[str, Any], dict[str, str]]]:
    """Return the spectrographs' cases."""
    whole = {"window": "full", "chips": "all"}
    crowded = {"scene": {"name": "globular-cluster", "core_radius": 0.3}}
    return {
        "metis long slit L 2048 x 2048": (example("metis", "lss_l_scao"), {}),
        "metis LMS 4 x 2048 x 2048": (example("metis", "lms_scao"), {}),
        "eris SPIFFIER 2048 x 2048": (example("eris", "ifs_lgs"), {}),
        "crires2 3 x 2048 x 2048": (example("crires2", "spec_noao"), {}),
        "micado long slit HK 9 x 4096 x 4096": (example("micado", "lss_4mas_scao", **whole), {}),
        "micado long slit HK, globular cluster, 4096 x 4096": (example("micado", "lss_4mas_scao", **crowded), {}),
        "harmoni 8 x 4096 x 4096": (example("harmoni", "ifs_scao", **whole), {}),
        "harmoni 8 x 4096 x 4096, globular cluster": (
            example("harmoni", "ifs_scao", **whole, scene={"name": "globular-cluster"}),
            {},
        ),
    }


REDUCED = "micado 1024 x 1024, five dithers, reduced"
"""With `--product reduced`, which adds three exposures of a standard star and 18 calibrations."""
BUDGET = {
    REDUCED: (5.0, None),
    "metis RAVC 2048 x 2048": (2.5, None),
    "metis long slit L 2048 x 2048": (3.0, None),
    "metis LMS 4 x 2048 x 2048": (6.0, 1500.0),
    "micado long slit HK 9 x 4096 x 4096": (25.0, 2500.0),
    "harmoni 8 x 4096 x 4096, globular cluster": (60.0, 2500.0),
}
"""Seconds and MiB that a case may take on two cores."""


ASKED = {
    "micado 1024 x 1024, 1 thread": ("imports", 1.2),
    "micado 4096 x 4096, 1e4 stars": ("deviates", 2),
    "harmoni 8 x 4096 x 4096": ("deviates", 3),
    "harmoni 8 x 4096 x 4096, globular cluster": ("the same with one star", 4),
}
"""Goals: the part of the floor, or the case, and the ratio of processor seconds to it."""


def cases() -> dict[str, tuple[dict[str, Any], dict[str, str]]]:
    """Return name -> (request, extra environment)."""
    return {
        "micado 1024 x 1024": (example("micado"), {}),
        REDUCED: (dithered("micado", 5), {}),
        "micado 1024 x 1024, 1 thread": (example("micado"), {"ELVIS_THREADS": "1"}),
        "fors 2 x 2048 x 1024": (example("fors"), {}),
        "metis LM 2048 x 2048": (example("metis"), {}),
        "metis RAVC 2048 x 2048": (example("metis", "img_lm_ravc"), {}),
        "metis N 2048 x 2048, 5000 integrations": (example("metis", "img_n_scao"), {}),
        "hawki 4 x 2048 x 2048": (example("hawki"), {}),
        "micado 4096 x 4096, 1e4 stars": (
            example("micado", window="full", chips=[5], catalogue=crowd(10_000, 16.3)),
            {},
        ),
        "micado 4096 x 4096, 1e5 stars": (
            example("micado", window="full", chips=[5], catalogue=crowd(100_000, 16.3)),
            {},
        ),
        "micado 4096 x 4096, the whole infrared chain": (
            example("micado", window="full", chips=[5], also=INFRARED, readout="utr:16"),
            {},
        ),
        "euclid-vis 4096 x 4132, charge transfer of 10 species": (
            example("euclid-vis", window="full", chips=[11], only=TRANSFER),
            {},
        ),
        "euclid-vis CCD, 28 stages, 2000 stars, 1e4 galaxies": (
            example("euclid-vis", catalogue=universe(2000, 10_000), offset=[0, 0]),
            {},
        ),
        **spectra(),
        "micado 9 x 4096 x 4096": (example("micado", window="full"), {}),
        "micado 9 x 4096 x 4096, 1e6 stars": (
            example("micado", window="full", catalogue=crowd(1_000_000, 51.0), truth=False),
            {},
        ),
    }


class Run(NamedTuple):
    """One `cat request | elvis > output`."""

    wall: float
    used: measure.Used
    floor: measure.Floor
    """Just before it."""
    size: int
    """Bytes written."""


def pixels(output: Path) -> int:
    """Return the number of pixels of all frames of a file; maps of the signal-to-noise ratio are none."""
    with fits.open(output) as file:
        frames = [hdu for hdu in file if hdu.is_image and len(hdu.shape) > 1 and hdu.name != "SNR_MAP"]
        return sum(int(np.prod(hdu.shape)) for hdu in frames)


def once(request: Path, environment: dict[str, str], output: Path, *options: str) -> Run:
    """Return what one `cat request | elvis > output` takes."""
    floor, begin = measure.floor(), time.perf_counter()
    used = measure.elvis(request, output, environment, *options)
    return Run(time.perf_counter() - begin, used, floor, output.stat().st_size)


def batch(lines: list[bytes], folder: str, stop: int = 0) -> dict[str, Any]:
    """Return what `elvis batch` did with requests: frames a second when warm, processor seconds a frame, counts.

    After ``stop`` lines of the manifest (0: never) it is killed.
    """
    argv = [ELVIS, "batch", "--outdir", folder]
    elvis = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert elvis.stdin
    assert elvis.stdout
    threading.Thread(target=_feed, args=(elvis.stdin, lines), daemon=True).start()
    counts, made = Counter[str](), []
    for line in elvis.stdout:
        status = json.loads(line)["status"]
        counts[status] += 1
        if status == "made":
            made.append(time.perf_counter())
        if counts.total() == stop:
            elvis.kill()
            break
    _, status, usage = os.wait4(elvis.pid, 0)
    elvis.returncode = os.waitstatus_to_exitcode(status)
    warm = made[WARM:]
    rate = (len(warm) - 1) / (warm[-1] - warm[0])
    # A killed process has not waited for its children: their time is not known.
    cpu = None if stop else round((usage.ru_utime + usage.ru_stime) / max(len(made), 1), 3)
    peak = round(usage.ru_maxrss / 1024, 1)
    return {**counts, "frames_per_s": round(rate, 2), "cpu_s_per_frame": cpu, "peak_MiB": peak}


def _feed(pipe: Any, lines: list[bytes]) -> None:
    with contextlib.suppress(BrokenPipeError), pipe:
        pipe.writelines(lines)


def night(count: int) -> dict[str, Any]:
    """Return how a batch of MICADO frames of 1024 x 1024 does that is killed halfway and started again."""
    document = {**example("micado"), "output": {}}
    lines = []
    for number in range(count):
        date = f"2026-11-20T{number // 60:02d}:{number % 60:02d}:00"
        lines.append(json.dumps({**document, "elvis": {"seed": number, "date": date}}).encode() + b"\n")
    with tempfile.TemporaryDirectory() as folder:
        first = batch(lines, folder, stop=count // 2)
        second = batch(lines, folder)
        if second.get("made", 0) + second.get("skipped", 0) != count or len(os.listdir(folder)) != count:
            raise SystemExit(f"the batch is not complete: {second}")
    return {"case": f"batch of {count}, killed halfway and started again", "first": first, "second": second}


def print_night(made: dict[str, Any]) -> None:
    """Print the row of a batch: processor seconds of a frame, of those that were made after it was killed."""
    second = made["second"]
    remark = f"a frame of {second['made']}; {second['frames_per_s']:g} a second"
    used = measure.Used(second["cpu_s_per_frame"], second["peak_MiB"])
    measure.row(made["case"], used, SIDE**2 * measure.floor().deviates, remark)


def within(name: str) -> str:
    """Return what a case may take, as the table tells it."""
    text = ""
    if name in BUDGET:
        seconds, memory = BUDGET[name]
        text += f"; budget {seconds:g} s" + (f", {memory:g} MiB" if memory else "")
    if name in ASKED:
        part, ratio = ASKED[name]
        text += f"; asked {ratio:g} x {part}"
    return text


def summary(name: str, runs: list[Run], count: int) -> dict[str, Any]:
    """Return the row of a case of ``count`` pixels, of medians."""

    def median(numbers: Iterable[float], digits: int = 2) -> float:
        return round(statistics.median(numbers), digits)

    walls = [run.wall for run in runs]
    return {
        "case": name,
        "runs": len(runs),
        "wall_s": median(walls, 3),
        "wall_min_s": round(min(walls), 3),
        "wall_max_s": round(max(walls), 3),
        "cpu_s": median((run.used.cpu for run in runs), 3),
        "floor_s": median((run.floor.of(count) for run in runs), 3),
        "cpu_to_floor": median(run.used.cpu / run.floor.of(count) for run in runs),
        "cpu_to_imports": median(run.used.cpu / run.floor.imports for run in runs),
        "cpu_to_deviates": median(run.used.cpu / (count * run.floor.deviates) for run in runs),
        "peak_MiB": median((run.used.memory for run in runs), 1),
        "output_MB": round(runs[0].size / 1e6, 1),
        "budget_s": BUDGET.get(name, (None, None))[0],
        "budget_MiB": BUDGET.get(name, (None, None))[1],
    }


def print_row(row: dict[str, Any]) -> None:
    """Print the row of a case."""
    remark = (
        f"{row['cpu_to_imports']:.2f} of the imports, {row['cpu_to_deviates']:.2f} of the deviates; "
        f"{row['wall_s']:.2f} s wall, {row['output_MB']:g} MB{within(row['case'])}"
    )
    measure.row(row["case"], measure.Used(row["cpu_s"], row["peak_MiB"]), row["floor_s"], remark)


def main() -> None:
    """Run the cases and print the table, then the same as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-n", "--runs", type=int, default=3)
    parser.add_argument("--no-warm-up", action="store_true", help="no run before, which fills the caches")
    parser.add_argument("--only", help="run only the cases whose name holds this")
    parser.add_argument("--count", type=int, default=500, help="requests of the batch")
    arguments = parser.parse_args()
    measure.head(__doc__)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        request, output = Path(folder, "request.json"), Path(folder, "out.fits")
        chosen = cases()
        chosen = {name: case for name, case in chosen.items() if not arguments.only or arguments.only in name}
        if not arguments.only or "first run" in arguments.only:
            chosen["first run after an install (no kernel cache)"] = (example("micado"), {"NUMBA_CACHE_DIR": folder})
        for name, (document, environment) in chosen.items():
            request.write_text(json.dumps(document))
            cold = "NUMBA_CACHE_DIR" in environment
            options = ("--product", "reduced") if name == REDUCED else ()
            if not (cold or arguments.no_warm_up):
                once(request, environment, output, *options)
            runs = [once(request, environment, output, *options)]
            while not cold and len(runs) < arguments.runs and sum(run.used.cpu for run in runs) < PATIENCE:
                runs.append(once(request, environment, output, *options))
            rows.append(summary(name, runs, pixels(output)))
            print_row(rows[-1])
    if not arguments.only or arguments.only in "batch":
        rows.append(night(arguments.count))
        print_night(rows[-1])
    print(json.dumps(rows))


if __name__ == "__main__":
    main()

"""Pictures of all there is, to be looked at: every mode, every scene, every kind of `elvis preview`.

`make gallery` leaves gallery/index.html and a PNG for each; `python tests/gallery.py NAME...` makes those whose names
hold one of the words. Everything goes through the command line, as the README tells it.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

ELVIS = (sys.executable, "-m", "elvis_cli.cli")
FOLDER = Path("gallery")
FLAGS = {
    "throughput": ("atmosphere", "telescope", "instrument", "detector", "totalinclsky"),
    "sed": ("target", "sky"),
    "signals": ("obstarget", "obssky", "obstotal"),
    "psf": ("psf",),
    "snr": ("snr",),
}
SERIES = [f"--set=/output/{group}/{flag}=true" for group, flags in FLAGS.items() for flag in flags]
TABLES = [f"--ext={name}" for name in ("THROUGHPUT", "SED", "SIGNALS", "PSF_ENCIRCLED", "SNR_MAP")]

STYLE = """
body { background: #14161c; color: #e2e4e9; font: 14px sans-serif }
figure { display: inline-block; width: 30% }
img { width: 100% }
"""

FIGURE = '<figure><a href="{0}.png"><img src="{0}.png"></a><figcaption>{0}</figcaption></figure>'

Row = tuple[str, list[str], list[str], list[list[str]]]
"""Name, the command that prints the request, options of the rendering, options of each picture."""


def elvis(*argv: str, stdin: bytes = b"") -> bytes:
    """Return what a command writes; its last line if it fails."""
    done = subprocess.run([*ELVIS, *argv], input=stdin, capture_output=True, check=False)
    if done.returncode:
        raise RuntimeError(f"elvis {' '.join(argv)}: {done.stderr.decode().splitlines()[-1:]}")
    return done.stdout


def rows() -> Iterator[Row]:
    """Yield all that the gallery shows."""
    for mode in json.loads(elvis("instruments", "--json")):
        yield f"{mode['instrument']}-{mode['mode']}", ["example", mode["instrument"], "--mode", mode["mode"]], [], [[]]
    for scene in dict.fromkeys(row["scene"] for row in json.loads(elvis("scene", "--json"))):
        yield f"scene-{scene}", ["scene", scene, "--instrument", "micado"], [], [[]]
    cluster = ["scene", "globular-cluster", "--instrument", "micado"]
    whole = ["--window", "full", "--chips", "all"]
    yield "mosaic-micado", cluster, whole, [[], ["--ext=DET5.IMG"]]
    yield "mosaic-hawki", ["scene", "globular-cluster", "--instrument", "hawki"], whole, [[]]
    turned = ["--ra=10", "--dec=-30", "--pa=30"]
    yield "stretch", cluster, turned, [[], ["--stretch=linear"], ["--stretch=sqrt"], ["--limits=zscale"]]
    target = ["scene", "companions", "--instrument", "micado", *SERIES]
    yield "output", target, [], [*([table] for table in TABLES), ["--ext=PSF", "--stretch=log"]]


def make(row: Row) -> Iterator[str]:
    """Render one row; yield the names of its pictures."""
    name, command, options, pictures = row
    with tempfile.NamedTemporaryFile(suffix=".fits") as file:
        elvis(*options, "--output", file.name, stdin=elvis(*command))
        for chosen in pictures:
            suffix = "".join("-" + option.partition("=")[2].replace(".", "") for option in chosen)
            picture = f"{name}{suffix}.png"
            elvis("preview", file.name, *chosen, "--output", str(FOLDER / picture))
            yield picture


def main() -> int:
    """Make what the arguments choose; return how many failed."""
    FOLDER.mkdir(exist_ok=True)
    failed = 0
    for row in rows():
        if len(sys.argv) > 1 and not any(word in row[0] for word in sys.argv[1:]):
            continue
        start = time.perf_counter()
        try:
            told = ", ".join(make(row))
        except RuntimeError as error:
            told, failed = f"FAILED: {error}", failed + 1
        print(f"{time.perf_counter() - start:6.1f} s  {row[0]}: {told}", flush=True)
    names = sorted(path.stem for path in FOLDER.glob("*.png"))
    figures = "\n".join(FIGURE.format(name) for name in names)
    page = f"<!doctype html><meta charset=utf-8><title>ELVIS</title><style>{STYLE}</style>\n{figures}"
    (FOLDER / "index.html").write_text(page)
    return failed


if __name__ == "__main__":
    sys.exit(main())

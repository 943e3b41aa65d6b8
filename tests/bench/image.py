"""ELVIS beside ScopeSim (PyPI): whole processes that render stars on 1024 x 1024 pixels in J, one thread.

ScopeSim's instrument packages (MICADO, METIS) are on its own server, not on PyPI, so it renders the instrument that its
tests ship, `load_example_optical_train`: atmosphere, reflections, filter, a Gaussian seeing of 7.5 pixels, quantum
efficiency, dark current, Poisson noise and read noise, into a file of 64-bit floats. ELVIS renders a window of HAWK-I
with all that, and with a seeing-limited PSF with its wings, the flat field, defects, gain and ADU, the headers and
tables of a raw frame, and checksums. All stars have one spectrum; both have the same number of them on the frame.

    python -m tests.bench.image
"""

from __future__ import annotations

import json
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from elvis_cli import pipeline
from elvis_cli.focalplane.geometry import pixel_to_field
from elvis_cli.instrument import registry
from elvis_cli.request import parse
from tests.bench import measure

SIDE = 1024
COUNTS = 1, 100, 10_000
PIXEL = 0.2
"""arcsec, of ScopeSim's basic instrument."""
SCOPESIM = ("scopesim==0.11.4",)
ONE_THREAD = {"ELVIS_THREADS": "1", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
SCRIPT = """
import sys
import numpy as np
from scopesim import Source
from scopesim.source.source_templates import vega_spectrum
from scopesim.tests.mocks.load_basic_instrument import load_example_optical_train

x, y, mag = np.loadtxt(sys.argv[1], ndmin=2).T
source = Source(x=x, y=y, ref=np.zeros(x.size, int), weight=10 ** (-0.4 * mag), spectra=[vega_spectrum(mag=0)])
train = load_example_optical_train()
train.observe(source)
frames = train.readout()[0]
assert frames[1].data.shape == (1024, 1024)
frames.writeto(sys.argv[2])
"""


def stars(count: int) -> np.ndarray:
    """Return x, y (pixels from the middle of the frame) and magnitudes (count, 3)."""
    rng = np.random.default_rng(3)
    half = 0.45 * SIDE * (count > 1)
    return np.stack([*rng.uniform(-half, half, (2, count)), rng.uniform(14, 20, count)], axis=1)


def request(pixels: np.ndarray) -> dict[str, Any]:
    """Return a request for a window of HAWK-I with stars at the places of `stars`."""
    document = registry.load("hawki").example()
    document["instrument"]["INS.FILT.NAME"] = "J"
    document["target"]["brightness"]["magband"] = "J"
    setup = pipeline.configure(parse.read(json.dumps(document)))
    x, y, mag = pixels.T
    x, y = pixel_to_field(setup, setup.detector.chip(1), x + setup.detector.nx / 2, y + setup.detector.ny / 2)
    corner = (setup.detector.nx - SIDE) // 2
    catalogue = {"x": x.tolist(), "y": y.tolist(), "mag": mag.tolist()}
    window = {"x0": corner, "y0": corner, "nx": SIDE, "ny": SIDE}
    return {**document, "elvis": {"chips": [1], "window": window, "catalogue": catalogue}}


def main() -> None:
    """Print rows."""
    measure.head(__doc__)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        text, output, table, script = (folder / each for each in ("request.json", "elvis.fits", "stars.txt", "run.py"))
        script.write_text(SCRIPT)
        for count in COUNTS:
            text.write_text(json.dumps(request(stars(count))))
            measure.elvis(text, output, ONE_THREAD)  # fills the caches
            limit = measure.floor()
            own = measure.elvis(text, output, ONE_THREAD)
            measure.row(f"{count} stars on {SIDE} x {SIDE}: ELVIS", own, limit.of(SIDE**2))
            np.savetxt(table, stars(count) * [PIXEL, PIXEL, 1.0])
            with measure.skipping("    ScopeSim"):
                python = measure.peer("scopesim", *SCOPESIM)
                argv = [python, str(script), str(table), str(folder / f"scopesim{count}.fits")]
                other = measure.watch(argv, ONE_THREAD, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
                measure.row("    ScopeSim", other, limit.of(SIDE**2), f"{other.cpu / own.cpu:.1f} times ELVIS")


if __name__ == "__main__":
    main()

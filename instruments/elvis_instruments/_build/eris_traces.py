"""Write eris/traces/*.json: SPIFFIER's 32 slitlets, with wavelengths in pixels from the middle, and NIX's grism.

No fit to frames of ERIS is public. The layout is that of SINFONI's raw frames (the same slicer) as software that
reduces them assumes it; the dispersion is linear. Run it from the project's root:

    python instruments/elvis_instruments/_build/eris_traces.py
"""

import json
from pathlib import Path

FOLDER = Path(__file__).parents[1] / "eris" / "traces"
PIXEL = 0.018
"""mm."""
ORDER = [9, 8, 10, 7, 11, 6, 12, 5, 13, 4, 14, 3, 15, 2, 16, 1, 32, 17, 31, 18, 30, 19, 29, 20, 28, 21, 27, 22, 26, 23,
         25, 24]  # fmt: skip
"""Slitlets from left to right; 1 is on top of the field."""
STAGGER = 10
"""Pixels by which every other slitlet is higher, the others lower."""
REACH = 1050
"""Pixels of light to either side of the middle: the detector's 1024, and what a shifted slitlet sees beyond them."""


def spiffier() -> list[dict[str, object]]:
    """Return the 32 traces; s is that of slitlets of 0.8 arcsec."""
    return [
        {
            "order": 1,
            "aperture": slitlet - 1,
            "wave": [-REACH, REACH],
            "l0": 0,
            "lw": 1024,
            "s0": 0,
            "sw": 0.4,
            "x_mm": [[round((column - 15.5) * 64 * PIXEL, 3), 32 * PIXEL]],
            "y_mm": [[(1 if column % 2 else -1) * STAGGER * PIXEL], [-1024 * PIXEL]],
        }
        for column, slitlet in enumerate(ORDER)
    ]


def grism() -> list[dict[str, object]]:
    """Return the trace of NIX's grism, 86 mas of slit (6.6 pixels) being 3.55 um / 900."""
    return [
        {
            "order": 1,
            "aperture": 0,
            "wave": [3.0, 4.15],
            "l0": 3.55,
            "lw": 0.5,
            "s0": 0,
            "sw": 6,
            "x_mm": [[0, round(6.0 / 0.01303 * PIXEL, 5)]],
            "y_mm": [[0], [round(0.5 / (3.55 / 900 / 6.6) * PIXEL, 5)]],
            "efficiency": {"wave": [3.0, 3.05, 3.5, 4.05, 4.15], "value": [0.47, 0.5, 0.8, 0.5, 0.44]},
        }
    ]


def write(name: str, source: str, traces: list[dict[str, object]]) -> None:
    """Write a file with a line for each trace."""
    lines = ",\n".join(json.dumps(trace) for trace in traces)
    text = f'{{"source": {json.dumps(source)},\n"assumed": true,\n"traces": [\n{lines}\n]}}\n'
    (FOLDER / f"{name}.json").write_text(text)


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    write(
        "spiffier",
        "ELVIS (_build/eris_traces.py): 32 slitlets of 64 columns each (ERIS user manual v117.1); their order, 1 on "
        "top, and wavelengths falling with the row as superFATBOY3 reduces SINFONI's frames "
        "(craigwarner-ufastro/superFATBOY3 0082a69); every other slitlet is 20 pixels higher, as in the manual's brick "
        "wall, by an amount that is assumed",
        spiffier(),
    )
    write(
        "lss_l",
        "ELVIS (_build/eris_traces.py): 3.05-4.05 um linear, the slit being R = 900 at 3.55 um (ERIS user manual "
        "v117.1); slit along the rows as in the manual; sense of the dispersion and the grism's efficiency (0.8, 0.5 "
        "at the ends, as in the planning of the reference database) are assumed",
        grism(),
    )

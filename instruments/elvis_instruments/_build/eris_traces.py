"""Write eris/traces/*.json: SPIFFIER's twelve gratings, 32 slitlets each, and NIX's grism.

No fit to frames of ERIS is public. The layout is that of SINFONI's raw frames (the same slicer) as software that
reduces them assumes it; the dispersion is linear over the manual's ranges. Run it from the project's root:

    python instruments/elvis_instruments/_build/eris_traces.py
"""

import json
from pathlib import Path

FOLDER = Path(__file__).parents[1] / "eris" / "traces"
PIXEL = 0.018
"""mm."""
GRATINGS = {
    "J": (0.70, {"low": (1.09, 1.42), "short": (1.10, 1.27), "middle": (1.18, 1.35), "long": (1.26, 1.43)}),
    "H": (0.77, {"low": (1.45, 1.87), "short": (1.46, 1.67), "middle": (1.56, 1.77), "long": (1.66, 1.87)}),
    "K": (0.90, {"low": (1.93, 2.48), "short": (1.93, 2.22), "middle": (2.06, 2.34), "long": (2.19, 2.47)}),
}
"""Efficiency of the high-resolution grating over that of the low one, and ranges on the detector (um).

The former from the bright limits of the user manual v117.1 (J 1.1, 1.1, 1.1, H 1.1, 1.0, 1.0, K 0.8, 0.9, 0.8 mag at
25, 100, 250 mas) less the ratio of the dispersions."""
ORDER = [9, 8, 10, 7, 11, 6, 12, 5, 13, 4, 14, 3, 15, 2, 16, 1, 32, 17, 31, 18, 30, 19, 29, 20, 28, 21, 27, 22, 26, 23,
         25, 24]  # fmt: skip
"""Slitlets from left to right; 1 is on top of the field."""
STAGGER = 10
"""Pixels by which every other slitlet is higher, the others lower."""
MARGIN = 25
"""Pixels of light beyond the manual's range: a shifted slitlet sees them."""
PEAK, EDGE = 0.8, 0.75
"""Efficiency of a low-resolution grating in the middle of its band, and at the ends over that."""


def spiffier(efficiency: float, band: tuple[float, float], reach: tuple[float, float]) -> list[dict[str, object]]:
    """Return the 32 traces of one grating whose efficiency peaks in the middle of ``band``."""
    low, high = reach
    step, middle = (high - low) / 2048, (low + high) / 2
    centre, half = (band[0] + band[1]) / 2, (band[1] - band[0]) / 2
    wave = [round(low - MARGIN * step, 6), round(high + MARGIN * step, 6)]
    grid = [round(wave[0] + (wave[1] - wave[0]) * i / 8, 4) for i in range(9)]
    blaze = [round(efficiency * (1 - (1 - EDGE) * ((w - centre) / half) ** 2), 4) for w in grid]
    return [
        {
            "order": 1,
            "aperture": slitlet - 1,
            "wave": wave,
            "l0": round(middle, 6),
            "lw": round(1024 * step, 7),
            "s0": 0.0,
            "sw": 0.4,
            "x_mm": [[round((column - 15.5) * 64 * PIXEL, 4), 32 * PIXEL]],
            "y_mm": [[(1 if column % 2 else -1) * STAGGER * PIXEL], [-1024 * PIXEL]],
            "efficiency": {"wave": grid, "value": blaze},
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
            "s0": 0.0,
            "sw": 6.0,
            "x_mm": [[0.0, round(6.0 / 0.01303 * PIXEL, 5)]],
            "y_mm": [[0.0], [round(0.5 / (3.55 / 900 / 6.6) * PIXEL, 5)]],
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
    for band, (ratio, settings) in GRATINGS.items():
        for setting, reach in settings.items():
            write(
                f"{band}_{setting}".lower(),
                "ELVIS (_build/eris_traces.py): range of the ERIS user manual v117.1 on 2048 pixels, linear; order of "
                "the slitlets, 1 on top, and wavelengths falling with the row as superFATBOY3 reduces SINFONI's "
                "frames (craigwarner-ufastro/superFATBOY3 0082a69); every other slitlet is 20 pixels higher, as in "
                "the manual's brick wall, by an amount that is assumed, as is the blaze",
                spiffier(PEAK if setting == "low" else PEAK * ratio, settings["low"], reach),
            )
    write(
        "lss_l",
        "ELVIS (_build/eris_traces.py): 3.05-4.05 um linear, the slit being R = 900 at 3.55 um (ERIS user manual "
        "v117.1); slit along the rows as in the manual; sense of the dispersion and the grism's efficiency (0.8, 0.5 "
        "at the ends, as in the planning of the reference database) are assumed",
        grism(),
    )

"""Trace files of the fibre-fed spectrographs from a table of polynomials: python fibre_traces.py TABLE.json.

The table has x and y (mm) of each order against wavelength; what is added here is how a fibre's place in the slit moves
its spectrum: by a pixel for each pixel of the slit, across the dispersion.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).parent.parent


def write(path: str, source: str, traces: list[dict[str, Any]], pixel: float, scale: float, *, assumed: bool,
          shift: float = 0.0, raw: bool = False) -> None:  # fmt: skip
    """Write a trace file; ``pixel`` is in mm, ``scale`` the arcsec of the slit on a pixel, ``shift`` pixels in x.

    In ``raw`` frames wavelength falls along the columns.
    """
    rows = []
    for trace in traces:
        y = [[row[0], pixel / scale if n == 0 else 0.0] for n, row in enumerate(trace["y_mm"])]
        x = [[row[0] + (shift * pixel if n == 0 else 0.0), 0.0] for n, row in enumerate(trace["x_mm"])]
        if raw:
            x, y = y, [[-c for c in row] for row in x]
        rows.append({**trace, "x_mm": x, "y_mm": y, "s0": 0.0, "sw": 1.0})
    text = ",\n  ".join(json.dumps(row) for row in rows)
    head = f'"source": {json.dumps(source)}, "assumed": {json.dumps(assumed)}'
    target = HERE / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(f"{{{head}, \"traces\": [\n  {text}\n]}}\n")


def main(table: str) -> None:
    """Write the files of all instruments."""
    data = json.loads(Path(table).read_text())
    harps = data["harps"]
    write(
        "harps/traces/harps.json",
        "x: fit to 3619 lines of thorium and argon of PyReduce's HARPS solution (rms 0.06 pixels); y: separation of "
        "1.510 mm at order 89 (HARPS User Manual 2.1) and 0.940 mm at 114",
        [*harps["LINDA"]["orders"], *harps["JASMIN"]["orders"]], 0.015, 0.25, assumed=False,
        shift=0.5, raw=True,  # the table counts pixels from the edge of the first; harps_traces.py comes after it
    )  # fmt: skip
    write(
        "harps/traces/nirps.json",
        "wavelengths of the orders: NIRPS-ETC (N. Grieves, January 2023, measured at La Silla); x: curvature of an R4 "
        "echelle; y: equally spaced, nothing is published",
        data["nirps"]["traces"], 0.015, 0.10, assumed=True,
    )  # fmt: skip
    for name, band in data["andes"]["bands"].items():
        shape = "optical model R1 of the consortium" if name == "R" else "shape of the R band's, or of an R4 echelle"
        write(
            f"andes/traces/{name.lower()}.json",
            f"y: rows of the middle fibre in the consortium's optical models (ivh/ANDES_simulator de9f791); x: {shape}",
            band["traces"], 0.015, 1.0, assumed=name != "R", shift=0.5,
        )  # fmt: skip
    for spectrograph, arm, *wave in (row[:5] for row in data["fourmost"]["arms"]):
        bins = np.linspace(0.0, 6143.0, 301)
        nm = wave[0] + wave[1] * bins + wave[2] * bins**2
        write(
            f"fourmost/traces/{spectrograph}_{arm}.json",
            "wavelengths of the bins that the consortium's ETC documentation prints (escience.aip.de), quadratic",
            [along_x(nm / 1000, (bins - 3071.5) * 0.015)], 0.015, 0.4, assumed=False,
        )  # fmt: skip


def along_x(wave: Any, x: Any, order: int = 1) -> dict[str, Any]:
    """Return a straight trace through places ``x`` (mm) of wavelengths ``wave`` (um)."""
    low, high = float(min(wave)), float(max(wave))
    l0, lw = (low + high) / 2, (high - low) / 2
    fit = np.polynomial.polynomial.polyfit((wave - l0) / lw, x, 3)
    rows = [[round(float(c), 7)] for c in fit]
    ends = {"wave": [round(low, 7), round(high, 7)], "l0": round(l0, 8), "lw": round(lw, 8)}
    return {"order": order, **ends, "x_mm": rows, "y_mm": [[0.0]]}


if __name__ == "__main__":
    main(sys.argv[1])

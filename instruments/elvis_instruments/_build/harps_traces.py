"""Rows of HARPS's orders from measured lines: python harps_traces.py BLUE.npz RED.npz HELD.json.

The files are harps_blue_2D.npz and harps_red_2D.npz of pyreduce-astro 0.6.0: lines of thorium and argon in the frames of
the archive. HELD.json has the lines that stay out of the fit, [chip, order, nm in air, column]; they are what the tests
look at. The shape of an order changes with its number, so the column is a polynomial of both order times wavelength and
order. It takes the place of y in
traces/harps.json: in the frames of the archive wavelength falls along the columns, and PyReduce turns them.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.polynomial import chebyshev, polynomial

FILE = Path(__file__).parent.parent / "harps" / "traces" / "harps.json"
FIRST = {"LINDA": 160, "JASMIN": 114}
"""Order of the number 0 in the tables."""
DEGREES = 5, 3
SOURCE = (
    "y: fit to 3584 lines of thorium and argon of PyReduce's HARPS solution (rms 0.04 pixels); x: separation of "
    "1.510 mm at order 89 (HARPS User Manual 2.1) and 0.940 mm at 114"
)


def vacuum(air: Any) -> Any:
    """Return the wavelength (um) in vacuum, Ciddor's formula by N. Piskunov as VALD has it."""
    s2 = 1 / air**2
    return air * (1 + 8.34254e-5 + 2.406147e-2 / (130 - s2) + 1.5998e-4 / (38.9 - s2))


def fit(file: str, chip: str, held: list[list[Any]], orders: list[int]) -> Any:
    """Return a function from order and wavelength (um) to the column (from 0) of fibre A."""
    lines = np.load(file, allow_pickle=True)["cs_lines"]
    lines = lines[lines["flag"]]
    order, wave, column = (
        FIRST[chip] - lines["order"].astype(int),
        vacuum(lines["wll"].astype(float) / 1e4),
        lines["posm"].astype(float),
    )
    good = np.isin(order, orders)
    for name, number, _, place in held:
        good &= (name != chip) | (order != number) | (abs(column - place) > 0.05)
    low, high = (order * wave).min(), (order * wave).max()

    def terms(m: Any, w: Any) -> Any:
        z, n = 2 * (m * w - low) / (high - low) - 1, 2 * (m - orders[0]) / (orders[-1] - orders[0]) - 1
        return chebyshev.chebvander2d(z, n, DEGREES)

    for _ in range(4):  # lines that are blended are left out
        coefficients = np.linalg.lstsq(terms(order[good], wave[good]), column[good], rcond=None)[0]
        rest = terms(order, wave) @ coefficients - column
        good &= abs(rest) < 4 * np.std(rest[good])
    print(chip, int(good.sum()), "lines, rms", np.std(rest[good]))
    return lambda m, w: terms(np.full(w.shape, m), w) @ coefficients


def main(blue: str, red: str, held: str) -> None:
    """Write y of all orders."""
    document, kept = json.loads(FILE.read_text()), json.loads(Path(held).read_text())
    for file, chip, first, last in ((blue, "LINDA", 116, 161), (red, "JASMIN", 89, 114)):
        column = fit(file, chip, kept, list(range(first, last + 1)))
        for trace in document["traces"]:
            if not first <= trace["order"] <= last:
                continue
            u = np.linspace(-1.0, 1.0, 201)
            y = (2047.5 - column(trace["order"], trace["l0"] + u * trace["lw"])) * 0.015
            trace["y_mm"] = [[round(float(c), 7), 0.0] for c in polynomial.polyfit(u, y, 5)]
    text = ",\n  ".join(json.dumps(row) for row in document["traces"])
    FILE.write_text(f'{{"source": {json.dumps(SOURCE)}, "assumed": false, "traces": [\n  {text}\n]}}\n')


if __name__ == "__main__":
    main(*sys.argv[1:])

"""Write crires2/traces/SETTING.json from crires2_settings.csv: where the light of each order falls on each detector.

Along x a trace meets the table's two wavelengths of its order and detector, and between them has the curvature
that the setting's orders have in common (m lambda'' is the same for all orders of an echelle). One cubic for the
three detectors of an order would miss the table by 20 to 40 pixels in half of the orders of M: the table's gaps are
not those of one focal plane there. Where the table is damaged (a dispersion that differs by more than 10 % from those
of the other orders) the wavelengths of the other orders are used: m lambda, linear in 1/m, at the same pixel.

Along y the cross-disperser, one per band, is linear in wavelength and fills the detectors with the band's widest
setting; the detectors are turned so that the orders lie along the rows on average. Nothing of this is published.

The blaze is sinc^2(m lambda_b / lambda - m) of an echelle with 31.6 lines/mm and 63.5 deg (CRIRES User Manual,
VLT-MAN-ESO-14500-3486) in Littrow, where m lambda_b = 2 sin(63.5 deg) / 31.6 mm = 56.64 um. Run it from the root:

    python instruments/elvis_instruments/_build/crires2_traces.py
"""

import csv
import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).parent
FOLDER = HERE.parent / "crires2" / "traces"
PIXEL, COLUMNS, ROWS = 0.018, 2048, 2048
"""mm, pixels."""
PITCH = (2197.0, 2193.5)
"""Pixels between the centres of detectors 1 and 2, 2 and 3: where a cubic through each order of Y to K fits best."""
CENTRE = {1: -PITCH[0], 2: 0.0, 3: PITCH[1]}
SCALE, SLIT = 0.059, 10.0
"""arcsec per pixel; arcsec."""
MARGIN = 20
"""Pixels: light beyond a detector's edges along x, free rows at its edges along y."""
TUNED = {"K2148": 0.63}
"""Efficiency of a setting over that of the model, which K2217 fixes. K2148: chosen so that the ETC's NDIT of 107 (2020,
9360 K, J = 10 AB) comes out, as 100. Its answer of 2021 (1.6, 2.15, 2.65 % in the central pixel on detectors 1 to 3)
asks for less still, 0.23 to 0.29. Of the settings beside it nothing is published."""
BLAZE = 2 * np.sin(np.radians(63.5)) / 31.6e-3
"""m lambda_b, um."""


def table() -> dict[str, dict[int, np.ndarray]]:
    """Return setting -> order -> (3 detectors, first and last wavelength), nm."""
    found: dict[str, dict[int, np.ndarray]] = defaultdict(dict)
    with (HERE / "crires2_settings.csv").open() as file:
        for row in csv.DictReader(line for line in file if not line.startswith("#")):
            limits = found[row["setting"]].setdefault(int(row["order"]), np.zeros((3, 2)))
            limits[int(row["detector"]) - 1] = float(row["first"]), float(row["last"])
    return found


def damaged(orders: dict[int, np.ndarray]) -> set[tuple[int, int]]:
    """Return (order, index of the detector) whose dispersion differs from that of the other orders."""
    spread = {m: m * np.diff(limits, axis=1)[:, 0] for m, limits in orders.items()}
    usual = np.median(list(spread.values()), axis=0)
    return {(m, d) for m, found in spread.items() for d in range(3) if abs(found[d] / usual[d] - 1) > 0.1}


def repaired(orders: dict[int, np.ndarray]) -> dict[int, np.ndarray]:
    """Return the limits with those of damaged entries from the other orders."""
    bad = damaged(orders)
    fixed = {m: limits.copy() for m, limits in orders.items()}
    for m, d in bad:
        good = [n for n in orders if (n, d) not in bad]
        for end in range(2):
            line = np.polyfit([1 / n for n in good], [n * orders[n][d, end] for n in good], 1)
            fixed[m][d, end] = np.polyval(line, 1 / m) / m
    return fixed


def curvature(orders: dict[int, np.ndarray]) -> float:
    """Return m lambda'' of a setting, nm per pixel^2."""
    spread = [m * np.diff(limits, axis=1)[:, 0] / (COLUMNS - 1) for m, limits in orders.items()]
    return float(np.median([(mean[2] - mean[0]) / sum(PITCH) for mean in spread]))


def traces(orders: dict[int, np.ndarray], cross: float, share: float) -> list[dict[str, Any]]:
    """Return the traces of a setting; ``cross`` is the cross-dispersion, pixels per nm, ``share`` scales the blaze."""
    bend = curvature(orders)
    middle = {m: float(limits[1].mean()) for m, limits in orders.items()}
    zero = (min(middle.values()) + max(middle.values())) / 2
    turn = cross * np.mean([np.diff(limits[1])[0] / (COLUMNS - 1) for limits in orders.values()])
    found = []
    for m, limits in orders.items():
        for d in range(3):
            first, last = limits[d]
            column = np.linspace(-MARGIN, COLUMNS - 1 + MARGIN, 201)
            slope = (last - first) / (COLUMNS - 1)
            wave = first + slope * column + bend / m / 2 * column * (column - COLUMNS + 1)
            l0, lw = (wave[0] + wave[-1]) / 2, (wave[-1] - wave[0]) / 2
            x = column - (COLUMNS - 1) / 2 + CENTRE[d + 1]
            y = cross * (wave - zero) - turn * x
            u = (wave - l0) / lw
            blaze = np.linspace(wave[0], wave[-1], 9)
            found.append({
                "order": m,
                "aperture": 0,
                "wave": [round(wave[0] / 1000, 9), round(wave[-1] / 1000, 9)],
                "l0": round(l0 / 1000, 9),
                "lw": round(lw / 1000, 9),
                "s0": 0.0,
                "sw": SLIT / 2,
                "x_mm": [[round(c * PIXEL, 7)] for c in np.polynomial.polynomial.polyfit(u, x, 3)],
                "y_mm": [
                    [round(c * PIXEL, 7), SLIT / 2 / SCALE * PIXEL if i == 0 else 0.0]
                    for i, c in enumerate(np.polynomial.polynomial.polyfit(u, y, 2))
                ],
                "efficiency": {
                    "wave": [round(w / 1000, 8) for w in blaze],
                    "value": [round(float(share * np.sinc(BLAZE / (w / 1000) - m) ** 2), 5) for w in blaze],
                },
            })  # fmt: skip
    return found


def main() -> None:
    """Write all settings."""
    settings = {name: repaired(orders) for name, orders in table().items()}
    widest: dict[str, float] = defaultdict(float)
    for name, orders in settings.items():
        middle = [limits[1].mean() for limits in orders.values()]
        widest[name[0]] = max(widest[name[0]], max(middle) - min(middle))
    FOLDER.mkdir(exist_ok=True, parents=True)
    source = (
        "x: CRIRES User Manual P116.1, Table 20, to 0.001 pixels at both ends of every detector; "
        "y: orders in the sequence of a cross-disperser that fills the detectors, assumed; "
        "blaze: sinc^2 of a 31.6 lines/mm echelle at 63.5 deg"
    )
    for name, orders in settings.items():
        cross = (ROWS - 4 * MARGIN - SLIT / SCALE) / widest[name[0]]
        share = TUNED.get(name, 1.0)
        found = traces(orders, cross, share)
        lines = ",\n".join(json.dumps(trace) for trace in found)
        told = source if share == 1.0 else f"{source}, times {share}: tuned to the ETC's NDIT of 107 (2020)"
        text = f'{{"source": {json.dumps(told)}, "assumed": true, "traces": [\n{lines}\n]}}\n'
        (FOLDER / f"{name}.json").write_text(text)


if __name__ == "__main__":
    main()

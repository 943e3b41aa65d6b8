"""Write crires2/traces/SETTING.json from crires2_settings.csv: where the light of each order falls on each detector.

Along x a trace meets the table's two wavelengths of its order and detector, and between them has the curvature
that the setting's orders have in common (m lambda'' is the same for all orders of an echelle). One cubic for the
three detectors of an order would miss the table by 20 to 40 pixels in half of the orders of M: the table's gaps are
not those of one focal plane there. Where the table is damaged (a dispersion that differs by more than 10 % from those
of the other orders) the wavelengths of the other orders are used: m lambda, linear in 1/m, at the same pixel.

Along y the cross-disperser, one per band, is linear in wavelength and fills the detectors with the band's widest
setting; the detectors are turned so that the orders lie along the rows on average. Nothing of this is published.

The image of the slit is tilted: see `tilt`.

The blaze is sinc^2((m lambda_b / lambda - m) / WIDTH). An echelle with 31.6 lines/mm and 63.5 deg (CRIRES User Manual,
VLT-MAN-ESO-14500-3486) has m lambda_b = 2 sin(63.5 deg) / 31.6 mm = 56.64 um in Littrow; where answers of the ETC show
it, it is theirs. Run it from the root:

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
PER_PIXEL = 2.82e-6
"""Change of the wavelength from one pixel to the next, relative, on detector 2: two are 176 900 (ETC, K2217)."""
SCALE, SLIT = 0.059, 10.0
"""arcsec per pixel; arcsec."""
MARGIN = 20
"""Pixels: light beyond a detector's edges along x, free rows at its edges along y."""
BLAZE = {"Y": 56.50, "J": 56.50, "K": 56.87}
"""m lambda_b by band, um; ECHELLE for the others. K: fit to the central pixels of 15 orders and detectors of K2217
(ETC of 2020-05-16), which leaves 2.4 % rms where ECHELLE and a width of 1 left 6.3 %. Y, J: fit to the ratios of their
detectors in the answers of 2020 (Y1029, J1228)."""
ECHELLE = float(2 * np.sin(np.radians(63.5)) / 31.6e-3)
"""m lambda_b of the grating in Littrow, um."""
WIDTH = 0.914
"""Of the blaze over that of a groove as wide as the grooves' distance: of the same fit."""
TILT = {"L": (0.203, -6.97e-5), "M": (0.169, -4.68e-5)}
"""Pixels along x for each along y, and its change per nm: as telluric lines of 16 settings have it, to 0.005 and 0.006
(Marquart 2026, arXiv 2604.24466, equations 1 and 2)."""
TILT_MIDDLE = -0.041
"""In Y to K, at the middle of the band's orders. There equations 1 and 2 give -0.042 and -0.035, and uranium lines of
J1228 at 1254.7 nm, -0.053 (trace table of ESO's pipeline, quoted in ivh/CharSlit), give -0.046."""
MEASURED = "telluric lines, Marquart 2026 (arXiv 2604.24466)"
INFERRED = "that of an echelle's lines out of plane, as in L and M and in one order of J1228, assumed"
ADDED = {"M4187": 16}
"""Orders that the ETC (v118) has and the table has not, at the wavelengths of the other orders."""


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
    usual = np.median([found for found in spread.values() if found.any()], axis=0)
    return {(m, d) for m, found in spread.items() for d in range(3) if abs(found[d] / usual[d] - 1) > 0.1}


def repaired(orders: dict[int, np.ndarray]) -> dict[int, np.ndarray]:
    """Return the limits with those of damaged entries from the other orders."""
    bad = damaged(orders)
    bad |= {(m, d) for m in orders if not orders[m].any() for d in range(3)}
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


def tilt(band: str, cross: float, middle: float) -> tuple[float, float]:
    """Return the tilt at 0 nm (pixels along x for each along y) and its change per nm.

    Where none is published it is that of light which meets the grooves at an angle out of their normal plane, as
    the cross-disperser spreads it: 2 tan(blaze angle) tan(angle) (Schroeder 2000, Astronomical Optics, 15.4), that is
    4 tan^2(blaze angle) (lambda per pixel / lambda) for each pixel along y. In L and M this gives 6.55e-5 and
    4.90e-5 per nm, where 6.97e-5 and 4.68e-5 were measured. ``cross`` is pixels per nm along y, ``middle`` nm.
    """
    if band in TILT:
        return TILT[band]
    slope = -4 * np.tan(np.radians(63.5)) ** 2 * PER_PIXEL * cross
    return TILT_MIDDLE - slope * middle, slope


def traces(
    orders: dict[int, np.ndarray], cross: float, centre: float, inclination: tuple[float, float]
) -> list[dict[str, Any]]:
    """Return the traces of a setting.

    ``cross`` is the cross-dispersion, pixels per nm, ``centre`` the blaze's, um, ``inclination`` that of `tilt`.
    """
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
            slants = (inclination[0] + inclination[1] * l0, inclination[1] * lw, 0.0, 0.0)
            blaze = np.linspace(wave[0], wave[-1], 17)
            found.append({
                "order": m,
                "aperture": 0,
                "wave": [round(wave[0] / 1000, 9), round(wave[-1] / 1000, 9)],
                "l0": round(l0 / 1000, 9),
                "lw": round(lw / 1000, 9),
                "s0": 0.0,
                "sw": SLIT / 2,
                "x_mm": [
                    [round(c * PIXEL, 7), round(t * SLIT / 2 / SCALE * PIXEL, 7)]
                    for c, t in zip(np.polynomial.polynomial.polyfit(u, x, 3), slants, strict=True)
                ],
                "y_mm": [
                    [round(c * PIXEL, 7), SLIT / 2 / SCALE * PIXEL if i == 0 else 0.0]
                    for i, c in enumerate(np.polynomial.polynomial.polyfit(u, y, 2))
                ],
                "efficiency": {
                    "wave": [round(w / 1000, 8) for w in blaze],
                    "value": [round(float(np.sinc((centre / (w / 1000) - m) / WIDTH) ** 2), 5) for w in blaze],
                },
            })  # fmt: skip
    return found


def main() -> None:
    """Write all settings."""
    limits = table()
    for name, order in ADDED.items():
        limits[name] = {order: np.zeros((3, 2)), **limits[name]}
    settings = {name: repaired(orders) for name, orders in limits.items()}
    widest: dict[str, float] = defaultdict(float)
    ends: dict[str, list[float]] = defaultdict(list)
    for name, orders in settings.items():
        middle = [limits[1].mean() for limits in orders.values()]
        widest[name[0]] = max(widest[name[0]], max(middle) - min(middle))
        ends[name[0]] += [min(middle), max(middle)]
    FOLDER.mkdir(exist_ok=True, parents=True)
    source = (
        "x: CRIRES User Manual P116.1, Table 20, to 0.001 pixels at both ends of every detector; "
        "tilt of the slit: {}; y: orders in the sequence of a cross-disperser that fills the detectors, assumed; "
        "blaze: sinc^2 about {:.2f} um, 0.914 of the width of a groove's, as the ETC's answers of 2020 for K2217 show it"
    )
    for name, orders in settings.items():
        cross = (ROWS - 4 * MARGIN - SLIT / SCALE) / widest[name[0]]
        centre = BLAZE.get(name[0], ECHELLE)
        inclination = tilt(name[0], cross, (min(ends[name[0]]) + max(ends[name[0]])) / 2)
        lines = ",\n".join(json.dumps(trace) for trace in traces(orders, cross, centre, inclination))
        told = MEASURED if name[0] in TILT else INFERRED
        text = f'{{"source": {json.dumps(source.format(told, centre))}, "assumed": true, "traces": [\n{lines}\n]}}\n'
        (FOLDER / f"{name}.json").write_text(text)


if __name__ == "__main__":
    main()

"""Write MICADO's trace files from the fits of its public trace tables, and derive the order that has none.

The fit of order 7 in the cross-disperser's first order is useless (3.4 mm rms). PhotonBudget of wavelength l in order m of the
main grating and n of the cross-disperser leaves them at angles that depend on m l and n l alone, so one polynomial in
(m l, n l, s) describes all orders: it reproduces the seven good fits within 1 um rms, and order 6 (n = 1), when left
out, within 3 um. Order 7 (n = 1) is taken from it. Run it from the project's root with the file of the fits:

    python instruments/elvis_instruments/_build/micado_traces.py FITS.json
"""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.polynomial import polynomial
from numpy.typing import NDArray

FOLDER = Path(__file__).parents[1] / "micado" / "traces"
SOURCE = "Instrument reference database, AstarVienna/irdb dev_master f0a5f30 (2025-12-11): MICADO/TRACE_MICADO.fits, polynomials fitted; order 71 from the others' (m l, n l); efficiency: MICADO/TER_grating.fits"
BLAZE = {
    31: (0.593, 2.040, 1.800, 2.390),
    41: (0.678, 1.570, 1.420, 1.780),
    51: (0.546, 1.290, 1.180, 1.410),
    61: (0.317, 1.080, 1.010, 1.170),
    71: (0.130, 0.940, 0.880, 1.000),
    62: (0.351, 1.040, 0.970, 1.120),
    72: (0.510, 0.910, 0.850, 0.970),
    82: (0.527, 0.800, 0.760, 0.850),
}
"""Peak, its wavelength (um), and where half of it is reached, by 10 m + n."""
SETTINGS = {"hk": (31, 41), "ij": (41, 51, 61, 71, 62, 72, 82)}
"""Orders that the filters let through."""
TERMS = [(i, j, k) for i in range(5) for j in range(4) for k in range(3) if i + j + k <= 5]
"""Powers of m l, n l, s."""
HALF = 0.44295
"""Where sinc^2 is 1/2."""

Floats = NDArray[np.float64]


def design(m: int, n: int, wave: Floats, s: Floats) -> Floats:
    """Return the products of powers (points, terms) at wavelengths (um) and slit positions (arcsec)."""
    a, b, t = (m * wave - 6.55) / 0.95, (n * wave - 1.7) / 0.8, (s - 2.5) / 7.5
    return np.stack([a**i * b**j * t**k for i, j, k in TERMS], axis=1)


def grid(low: float, high: float) -> tuple[Floats, Floats]:
    """Return wavelengths and slit positions over a trace, flat."""
    wave, s = np.meshgrid(np.linspace(low, high, 25), np.linspace(-5.0, 10.0, 9))
    return wave.ravel(), s.ravel()


def law(fits: dict[int, dict[str, Any]]) -> tuple[Floats, Floats]:
    """Return the coefficients of x and of y (mm) in TERMS that fit these traces."""
    rows, x, y = [], [], []
    for order, fit in fits.items():
        wave, s = grid(*fit["wavelength_um"])
        u, w = (wave - fit["l0"]) / fit["lw"], (s - fit["s0"]) / fit["sw"]
        rows.append(design(order // 10, order % 10, wave, s))
        x.append(polynomial.polyval2d(u, w, np.array(fit["x_mm"])))
        y.append(polynomial.polyval2d(u, w, np.array(fit["y_mm"])))
    matrix = np.concatenate(rows)
    return tuple(np.linalg.lstsq(matrix, np.concatenate(v), rcond=None)[0] for v in (x, y))


def derived(order: int, fit: dict[str, Any], coefficients: tuple[Floats, Floats]) -> dict[str, Any]:
    """Return ``fit`` with x_mm and y_mm (5, 3) from the law."""
    wave, s = grid(*fit["wavelength_um"])
    u, w = (wave - fit["l0"]) / fit["lw"], (s - fit["s0"]) / fit["sw"]
    matrix = np.stack([u**i * w**k for i in range(5) for k in range(3)], axis=1)
    target = design(order // 10, order % 10, wave, s)
    made = [np.linalg.lstsq(matrix, target @ c, rcond=None)[0].reshape(5, 3).round(7).tolist() for c in coefficients]
    return {**fit, "x_mm": made[0], "y_mm": made[1]}


def efficiency(order: int, low: float, high: float) -> dict[str, list[float]]:
    """Return the blaze, sinc^2 in 1/wavelength, scaled on either side to the wavelength of half the peak."""
    peak, centre, left, right = BLAZE[order]
    wave = np.linspace(low, high, 33)
    phase = 1 / wave - 1 / centre
    half = np.where(phase > 0, 1 / left - 1 / centre, 1 / centre - 1 / right)
    value = peak * np.sinc(HALF * phase / half) ** 2
    return {"wave": wave.round(5).tolist(), "value": value.round(5).tolist()}


def entry(order: int, fit: dict[str, Any]) -> dict[str, Any]:
    """Return one trace as in a trace file."""
    low, high = fit["wavelength_um"]
    numbers = {key: round(fit[key], 7) for key in ("l0", "lw", "s0", "sw")}
    shape = {key: fit[key] for key in ("x_mm", "y_mm")}
    return {"order": order, "wave": [low, high], **numbers, **shape, "efficiency": efficiency(order, low, high)}


def main() -> None:
    """Write one file a setting."""
    tables = json.loads(Path(sys.argv[1]).read_text())["traces"]["TRACE_MICADO"]
    fits = {int(name[6] + name[8]): fit for name, fit in tables.items()}
    fits[71] = derived(71, fits[71], law({order: fit for order, fit in fits.items() if order != 71}))
    for name, orders in SETTINGS.items():
        lines = ",\n".join(json.dumps(entry(order, fits[order])) for order in orders)
        text = f'{{"source": {json.dumps(SOURCE)}, "assumed": false, "traces": [\n{lines}\n]}}\n'
        (FOLDER / f"{name}.json").write_text(text)


if __name__ == "__main__":
    main()

"""Write uves/traces: where ESO's physical model of UVES puts each wavelength, and cameras for free central wavelengths.

The model is that of `uves_cal_predict` (Debian packages esorex, cpl-plugin-uves 6.1.8), which predicts where the lines of
a table fall for the header of a frame. Here the frames are biases that `elvis` writes with the header of each standard
setting (10 C, 745 mm Hg), and the table has a line every 1.37 Angstrom. Through the lines of each order goes a polynomial
of degree 6, within 0.05 pixel along and across the dispersion; degree 4 would miss them by 0.2.

The recipe then moves its model by polynomials of degree (2, 2) to the lines that it finds on the frame, up to 15 pixels.
uves_regression.json has those of the frames on which the positions in the tests were predicted.

A camera maps the directions behind both gratings onto a chip: polynomials of degree 4 through the lines of all standard
settings of an arm, with the shift and the slopes that the settings of one cross-disperser leave. Its gratings have the
angles of the model. Run it from the root, in a folder that may hold its files:

    python instruments/elvis_instruments/_build/uves_traces.py FOLDER
"""

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits

FOLDER = Path(__file__).parents[1] / "uves" / "traces"
REGRESSION = Path(__file__).with_name("uves_regression.json")
"""By setting and chip: coefficients along and across of (x / 2048)^i (y / 1024)^j, j running first, pixels."""
RECIPES = "/usr/lib/x86_64-linux-gnu/cpl/plugins"
PIXEL, ACROSS = 0.015, 2048
"""mm; pixels of a chip across the dispersion."""
ALONG = {"blue": 3000, "red": 4096}
CHIPS = {"blue": {"blue": 0.0}, "red": {"redu": -15.84, "redl": 15.84}}
"""Middle of each chip in the raw frame's x, mm: half a chip and half of the gap of 0.96 mm."""
SETTINGS = {"346": "CD1", "390": "CD2", "437": "CD2", "520": "CD3", "564": "CD3", "580": "CD3", "600": "CD3",
            "760": "CD4", "860": "CD4"}  # fmt: skip
SCALE = {"CD1": 0.257, "CD2": 0.2465, "CD3": 0.182, "CD4": 0.172}
"""arcsec along the slit on a pixel (UVES User Manual, Tab. 3.2)."""
GROOVES = {"CD1": 1.0, "CD2": 0.66, "CD3": 0.6, "CD4": 0.312}
"""per um (Tab. 2.2)."""
ECHELLE = {"blue": (0.04159, 76.0), "red": (0.0316, 75.04)}
"""Grooves per um and blaze, deg (Tab. 2.2)."""
FOCAL, ANGLE = {"blue": 360.0, "red": 500.0}, {"blue": 46.0, "red": 45.34}
"""mm; deg between the beams at a cross-disperser, of the model."""
ORDERS = {"CD1": (110, 165), "CD2": (85, 150), "CD3": (80, 155), "CD4": (55, 110)}
DEGREE, CAMERA, UNIT = 6, 4, 30.0
"""Degrees of the polynomials of a trace and of a camera; mm, in which the camera's are well conditioned."""
BEYOND = 40.0
"""Pixels beyond the ends of a chip to which a trace goes on, where the slit still reaches it."""
LEFT_OUT = {("520", "redl")}
"""Of the cameras: its orders are 20 pixels beside those of the other settings of CD3."""
POLYNOMIAL = np.polynomial.polynomial


def arm_of(setting: str) -> str:
    """Return the arm of a setting."""
    return "blue" if int(setting) < 450 else "red"


def vacuum(air: np.ndarray) -> np.ndarray:
    """Return um in vacuum of Angstrom in air (Edlen's formula as in Ciddor 1996)."""
    k = (1e4 / air) ** 2
    return air * 1e-4 * (1 + 8.34254e-5 + 2.406147e-2 / (130 - k) + 1.5998e-4 / (38.9 - k))


def predict(folder: Path, setting: str) -> dict[str, np.ndarray]:
    """Return by chip what the model says of the lines: order, um, pixels along and across the dispersion from 1 (4, n)."""
    arm = arm_of(setting)
    wave = np.arange(2950.0, 11000.0, 1.37)
    columns = {"WAVE": wave, "FWHM": np.full(wave.size, 0.03), "FLUX": np.full(wave.size, 1e3),
               "UNCERTAINTY": np.full(wave.size, 1e-5)}  # fmt: skip
    table = fits.BinTableHDU.from_columns([fits.Column(name, "D", array=column) for name, column in columns.items()])
    top = fits.PrimaryHDU()
    top.header["INSTRUME"], top.header["HIERARCH ESO PRO CATG"] = "UVES", "LINE_REFER_TABLE"
    fits.HDUList([top, table]).writeto(folder / "lines.fits", overwrite=True)
    example = subprocess.run(
        ["elvis", "example", "uves", "--mode", f"{arm}_slit_std"], capture_output=True, text=True, check=True
    )
    document = json.loads(example.stdout)
    number = {"blue": 1, "red": 2}[arm]
    document["instrument"] |= {f"INS.{arm.upper()}EXP.MODE": setting, f"DET{number}.READ.SPEED": "225kHz,1x1,low"}
    subprocess.run(
        ["elvis", "--calibration", "bias", "--bare", "-o", str(folder / "frame.fits")],
        input=json.dumps(document), text=True, check=True,
    )  # fmt: skip
    (folder / "sof").write_text(f"frame.fits ARC_LAMP_FORM_{arm.upper()}\nlines.fits LINE_REFER_TABLE\n")
    command = ["esorex", f"--recipe-dir={RECIPES}", "--log-dir=.", "uves_cal_predict", "--debug=TRUE", "sof"]
    subprocess.run(command, cwd=folder, check=True)
    found = {}
    for chip in CHIPS[arm]:
        lines = fits.getdata(folder / f"model_prediction_{chip}.fits", 1)
        found[chip] = regressed(setting, chip, lines["ORDER"], vacuum(lines["IDENT"]), lines["XMOD"], lines["YMOD"])
    return found


def regressed(setting: str, chip: str, *lines: np.ndarray) -> np.ndarray:
    """Return the lines (4, n) moved as the recipe moved its model."""
    order, wave, x, y = lines
    shifts = json.loads(REGRESSION.read_text())[setting][chip]
    powers = np.stack([(x / 2048) ** i * (y / 1024) ** j for i in range(3) for j in range(3)], axis=1)
    return np.stack([order, wave, x + powers @ shifts[0], y + powers @ shifts[1]])


def in_frame(lines: np.ndarray, chip: str) -> np.ndarray:
    """Return order, um, x and y (mm) in the raw frame, in which wavelengths fall along y."""
    arm = "blue" if chip == "blue" else "red"
    order, wave, along, across = lines
    column = across - 1 if arm == "blue" else ACROSS - across
    x = (column - (ACROSS - 1) / 2) * PIXEL + CHIPS[arm][chip]
    return np.stack([order, wave, x, ((ALONG[arm] - along) - (ALONG[arm] - 1) / 2) * PIXEL])


def trace(order: int, wave: np.ndarray, x: np.ndarray, y: np.ndarray, scale: float) -> dict[str, Any]:
    """Return the entry of an order; ``scale`` is arcsec along the slit on a pixel."""
    step = float(np.median(np.diff(wave))) / float(np.median(np.abs(np.diff(y)))) * PIXEL
    low, high = wave[0] - BEYOND * step, wave[-1] + BEYOND * step
    middle, half = (low + high) / 2, (high - low) / 2
    degree = min(DEGREE, wave.size // 2 - 1)
    fits_ = [POLYNOMIAL.polyfit((wave - middle) / half, place, degree) for place in (x, y)]
    away = max(np.abs(p - POLYNOMIAL.polyval((wave - middle) / half, f)).max() for p, f in zip((x, y), fits_, strict=True))
    if away > 0.05 * PIXEL:
        raise SystemExit(f"order {order}: the polynomial is {away / PIXEL:.2f} pixels from the model")
    columns = [[[round(float(c), 6), 0.0] for c in fit] for fit in fits_]
    columns[0][0][1] = round(5.0 * PIXEL / scale, 6)
    return {"order": order, "wave": [round(low, 8), round(high, 8)], "l0": round(middle, 8), "lw": round(half, 9),
            "s0": 0.0, "sw": 5.0, "x_mm": columns[0], "y_mm": [row[:1] for row in columns[1]]}  # fmt: skip


def write_traces(setting: str, found: Mapping[str, np.ndarray]) -> None:
    """Write the traces of a standard setting."""
    entries = []
    for chip in ("blue", "redl", "redu"):
        if chip not in found:
            continue
        order, *rest = in_frame(found[chip], chip)
        for number in np.unique(order):
            wave, x, y = (column[order == number] for column in rest)
            if wave.size >= 8:
                by_wave = np.argsort(wave)
                scale = SCALE[SETTINGS[setting]]
                entries.append(trace(int(number), wave[by_wave], x[by_wave], y[by_wave], scale))
    source = (
        "positions of ESO's physical model (cpl-plugin-uves 6.1.8, uves_cal_predict with the header of the setting, 10 C, "
        "745 mm Hg), fitted to 0.05 pixel (_build/uves_traces.py); axes of the raw frame; slit straight along the rows: assumed"
    )
    lines = ",\n".join(json.dumps(entry) for entry in entries)
    (FOLDER / f"{setting}.json").write_text(f'{{"source": {json.dumps(source)}, "traces": [\n{lines}\n]}}\n')


def directions(arm: str, disperser: str, centre: float, order: np.ndarray, wave: np.ndarray) -> list[np.ndarray]:
    """Return where light goes behind both gratings, mm in the focal plane of a perfect camera, over UNIT."""
    grooves, blaze = ECHELLE[arm][0], np.radians(ECHELLE[arm][1])
    sine = np.clip(order * wave * grooves - np.sin(blaze), -1, 1)
    half_angle = np.radians(ANGLE[arm] / 2)
    half = np.arcsin(GROOVES[disperser] * centre / (2 * np.cos(half_angle)))
    turn = np.arcsin(GROOVES[disperser] * wave - np.sin(half + half_angle)) - (half - half_angle)
    return [FOCAL[arm] * np.tan(angle) / UNIT for angle in (np.arcsin(sine) - blaze, turn)]


def camera(disperser: str, arm: str, chip: str, found: Mapping[str, Mapping[str, np.ndarray]]) -> dict[str, Any]:
    """Return the camera of a cross-disperser on a chip."""
    powers = [(i, j) for i in range(CAMERA + 1) for j in range(CAMERA + 1 - i)]
    rows, own = [], []
    for setting, chips in found.items():
        if chip in chips and (setting, chip) not in LEFT_OUT:
            order, wave, x, y = in_frame(chips[chip], chip)
            a, b = directions(arm, SETTINGS[setting], int(setting) * 1e-3, order, wave)
            rows.append(np.stack([a, b, x, y]))
            own.append(np.full(a.size, SETTINGS[setting] == disperser))
    a, b, *places = np.concatenate(rows, axis=1)
    mine = np.concatenate(own)
    design = np.stack([a**i * b**j for i, j in powers], axis=1)
    result: dict[str, Any] = {}
    for name, place in zip("xy", places, strict=True):
        fit = np.linalg.lstsq(design, place, rcond=None)[0]
        linear = np.stack([np.ones(mine.sum()), a[mine], b[mine]], axis=1)
        shift = np.linalg.lstsq(linear, place[mine] - design[mine] @ fit, rcond=None)[0]
        table = np.zeros((CAMERA + 1, CAMERA + 1))
        for (i, j), value in zip(powers, fit, strict=True):
            table[i, j] = value / UNIT ** (i + j)
        for (i, j), value in zip(((0, 0), (1, 0), (0, 1)), shift, strict=True):
            table[i, j] += value / UNIT ** (i + j)
        result[name] = [[float(f"{value:.8g}") for value in row] for row in table]
    middle, half = CHIPS[arm][chip], ACROSS / 2 * PIXEL
    return {"field": [middle - half, middle + half, -ALONG[arm] / 2 * PIXEL, ALONG[arm] / 2 * PIXEL], **result}


def main() -> None:
    """Write all files."""
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    found = {setting: predict(folder, setting) for setting in SETTINGS}
    for setting, chips in found.items():
        write_traces(setting, chips)
    source = (
        "angles of the gratings (UVES User Manual P110.1, Tab. 2.2; cpl-plugin-uves 6.1.8) and a camera fitted to the positions "
        "of the standard settings (_build/uves_traces.py), within 20 pixels of ESO's physical model at other wavelengths"
    )
    for disperser in GROOVES:
        arm = "blue" if disperser in ("CD1", "CD2") else "red"
        grooves, blaze = ECHELLE[arm]
        cameras = [camera(disperser, arm, chip, found) for chip in CHIPS[arm]]
        model = {"source": source, "assumed": True, "echelle": grooves, "blaze": blaze, "focal": FOCAL[arm],
                 "angle": ANGLE[arm], "orders": ORDERS[disperser], "chips": cameras}  # fmt: skip
        (FOLDER / f"{disperser}.json").write_text(json.dumps(model) + "\n")


if __name__ == "__main__":
    main()

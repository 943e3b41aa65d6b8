"""ESO's UVES recipes take the frames of both arms as ELVIS writes them, and find the wavelengths and light put in."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from elvis_cli import pipeline
from elvis_cli.instrument import registry
from elvis_cli.instrument.sourced_table import read
from elvis_cli.request import parse
from tests.clients.programs import TIME, program, table
from tests.conftest import run

PLUGINS = "/usr/lib/x86_64-linux-gnu/cpl/plugins"
CHIPS = {"red": {"redu": 1, "redl": 2}, "blue": {"blue": 1}}
"""Number of each chip, which is that of its extension in the red arm."""
SETTINGS = [("red", "580"), ("blue", "437")]
MASTERS = {"masterbias": "MASTER_BIAS", "ordertable": "ORDER_TABLE", "linetable": "LINE_TABLE",
           "lineguesstable": "LINE_GUESS_TAB", "masterflat": "MASTER_FLAT"}  # fmt: skip
WHOLE = 0.5
"""Of an order must be on the chip for its light to be compared."""


@dataclass
class Night:
    """A folder of frames and products of one setting; ``document`` is the request of the science frame."""

    folder: Path
    arm: str
    document: dict

    def take(self, name: str, *options: str) -> str:
        """Write a frame and return its name."""
        done = run(*options, "--bare", "-o", str(self.folder / name), stdin=json.dumps(self.document))
        assert done.code == 0, done.err
        return name

    def calibration(self, kind: str, count: int = 1) -> list[str]:
        """Write calibration frames and return their names."""
        return [self.take(f"{kind}{n}.fits", "--calibration", kind, "--exposure", str(n)) for n in range(1, count + 1)]

    def reduce(self, recipe: str, tag: str, frames: list[str], *, lines: bool = False) -> None:
        """Run a recipe on frames, with all masters that are there."""
        arm = self.arm.upper()
        rows = [f"{file} {tag}_{arm}" for file in frames] + ["lines.fits LINE_REFER_TABLE"] * lines
        rows += [
            f"{prefix}_{chip}.fits {master}_{chip.upper()}"
            for prefix, master in MASTERS.items()
            for chip in CHIPS[self.arm]
            if (self.folder / f"{prefix}_{chip}.fits").exists()
        ]
        (self.folder / "frames.sof").write_text("\n".join(rows) + "\n")
        command = ["esorex", f"--recipe-dir={PLUGINS}", "--log-dir=.", recipe, "frames.sof"]
        done = subprocess.run(command, cwd=self.folder, capture_output=True, text=True, check=False, timeout=TIME,
                              env=os.environ)  # fmt: skip
        assert done.returncode == 0, done.stdout[-3000:]


def air(wave):
    """Return Angstrom in air of um in vacuum."""
    k = 1 / wave**2
    return wave * 1e4 / (1 + 8.34254e-5 + 2.406147e-2 / (130 - k) + 1.5998e-4 / (38.9 - k))


def line_table(path):
    """Write the lines of the lamp as the reference table of the recipes."""
    lines = read(registry.find_shared("_lamps", "thorium.toml"))["lines"]
    wave, flux = (np.array(lines[key]) for key in ("wave", "value"))
    near = wave < 1.1
    columns = [
        fits.Column("WAVE", "D", array=air(wave[near]), unit="Angstrom"),
        fits.Column("FWHM", "E", array=np.full(near.sum(), 0.03)),
        fits.Column("FLUX", "E", array=1e4 * flux[near]),
        fits.Column("UNCERTAINTY", "D", array=np.full(near.sum(), 1e-5)),
    ]
    top = fits.PrimaryHDU()
    top.header["INSTRUME"] = "UVES"
    top.header["HIERARCH ESO PRO CATG"] = "LINE_REFER_TABLE"
    fits.HDUList([top, fits.BinTableHDU.from_columns(columns)]).writeto(path)


@pytest.fixture(scope="module", params=SETTINGS, ids="-".join)
def night(request, tmp_path_factory):
    """Return a night that all recipes have reduced."""
    program("esorex", "esorex", "cpl-plugin-uves")
    if not list(Path(PLUGINS).glob("*uves*")):
        program("uves-recipes", "cpl-plugin-uves")
    arm, setting = request.param
    number, slit = {"blue": (1, 2), "red": (2, 3)}[arm]
    document = registry.load("uves").example(f"{arm}_slit_std")
    document["instrument"] |= {f"INS.{arm.upper()}EXP.MODE": setting, f"INS.SLIT{slit}.WID": 0.6,
                               f"DET{number}.READ.SPEED": "225kHz,1x1,low"}  # fmt: skip
    document["target"]["brightness"]["mag"] = 10
    document["timesnr"][f"DET{number}.WIN1.UIT1"] = 300
    night = Night(tmp_path_factory.mktemp(arm), arm, document)
    line_table(night.folder / "lines.fits")
    night.reduce("uves_cal_mbias", "BIAS", night.calibration("bias", 5))
    night.reduce("uves_cal_predict", "ARC_LAMP_FORM", night.calibration("format"), lines=True)
    night.reduce("uves_cal_orderpos", "ORDER_FLAT", night.calibration("orders"))
    night.reduce("uves_cal_mflat", "FLAT", night.calibration("flat", 3))
    night.reduce("uves_cal_wavecal", "ARC_LAMP", night.calibration("arc"), lines=True)
    night.reduce("uves_obs_scired", "SCIENCE", [night.take("science.fits")])
    return night


def test_its_wavelengths_are_those_that_were_put_in(night):
    """Compare the solution at the lines that it found with WAVE, in pixels."""
    done = run("--product", "expected", "--wavemap", "-o", str(night.folder / "map.fits"),
               stdin=json.dumps(night.document))  # fmt: skip
    assert done.code == 0, done.err
    with fits.open(night.folder / "map.fits") as file:
        maps = [hdu.data.astype(float) for hdu in file if hdu.name == "WAVE"]
    figures = []
    for chip, number in CHIPS[night.arm].items():
        wave = air(maps[number - 1][::-1].T)  # as the recipes turn the frames
        wave = wave if night.arm == "blue" else wave[::-1]
        lines = fits.getdata(night.folder / f"linetable_{chip}.fits", 4)
        x, y = lines["X"] - 1, np.round(lines["Ynew"] - 1).astype(int)
        left = np.floor(x).astype(int).clip(0, wave.shape[1] - 2)
        y = y.clip(0, wave.shape[0] - 1)
        step = wave[y, left + 1] - wave[y, left]
        used = (lines["NLinSol"] > 0) & np.isfinite(step) & np.isfinite(lines["WaveC"])
        away = ((lines["WaveC"] - wave[y, left]) / step - (x - left))[used]
        figures.append((chip, int(used.sum()), float(away.mean()), float(away.std())))
    table("UVES: wavelength solution minus WAVE", ("chip", "lines", "mean px", "rms px"), figures)
    assert all(count > 100 and abs(mean) < 0.1 and rms < 0.1 for _, count, mean, rms in figures)


def test_its_spectra_have_the_light_that_was_predicted(night):
    """Compare the electrons of the middle half of each order with those of the target behind the slit."""
    ready = pipeline.prepare(parse.read(json.dumps(night.document)))
    figures = []
    for chip, number in CHIPS[night.arm].items():
        gain = ready.setup.detector.chip(number).gain
        with fits.open(night.folder / f"resampled_science_{chip}.fits") as file:
            header, rows = file[0].header, file[0].data
        ratios = []
        for row, flux in enumerate(rows, 1):
            start, end = header[f"WSTART{row}"], header[f"WEND{row}"]
            wave = start + header["CDELT1"] * np.arange(flux.size)
            for order in ready.prediction.orders:
                own = order.where(order.chip == number)
                seen = air(own.wave)
                if seen.size < WHOLE * order.wave.size or not start < seen[seen.size // 2] < end:
                    continue
                quarter = (seen[-1] - seen[0]) / 4
                inside = (wave > max(seen[0], start) + quarter) & (wave < min(seen[-1], end) - quarter)
                if inside.sum() > WHOLE * flux.size / 2 and abs((start + end) / 2 - seen[seen.size // 2]) < quarter:
                    lit = own.target * own.enslitted / own.encircled
                    ratios.append(np.nansum(flux[inside]) * gain / np.interp(wave[inside], seen, lit).sum())
        figures.append((chip, len(ratios), float(np.median(ratios)), float(np.ptp(ratios))))
    table("UVES: extracted electrons over predicted", ("chip", "orders", "median", "range"), figures)
    assert all(count > 5 and abs(ratio - 1.0) < 0.05 for _, count, ratio, _ in figures)

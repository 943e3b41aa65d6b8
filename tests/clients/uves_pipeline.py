"""ESO's UVES recipes take the red arm's frames as ELVIS writes them, and find the wavelengths that were put in."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from elvis_cli.instrument import registry
from elvis_cli.instrument.sourced_table import read
from tests.clients.programs import TIME, program, table
from tests.conftest import run

PLUGINS = "/usr/lib/x86_64-linux-gnu/cpl/plugins"
CHIPS = {"REDU": 1, "REDL": 2}
"""Extension of each chip."""


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


@pytest.fixture(scope="module")
def reduced(tmp_path_factory):
    """Return the folder of a night that all recipes have reduced."""
    esorex = program("esorex", "esorex", "cpl-plugin-uves")
    if not Path(PLUGINS).glob("*uves*"):
        program("uves-recipes", "cpl-plugin-uves")
    folder = tmp_path_factory.mktemp("uves")
    document = registry.load("uves").example("red_slit_std")
    document["instrument"] |= {"INS.SLIT3.WID": 1.0, "DET2.READ.SPEED": "225kHz,1x1,low"}
    document["target"]["brightness"]["mag"] = 10
    document["timesnr"]["DET2.WIN1.UIT1"] = 300

    def take(name, *options):
        done = run(*options, "-o", str(folder / name), stdin=json.dumps(document))
        assert done.code == 0, done.err
        return name

    def recipe(name, frames):
        masters = [("masterbias", "MASTER_BIAS"), ("ordertable", "ORDER_TABLE"), ("linetable", "LINE_TABLE"),
                   ("lineguesstable", "LINE_GUESS_TAB"), ("masterflat", "MASTER_FLAT")]  # fmt: skip
        there = [
            (file, f"{tag}_{chip}")
            for prefix, tag in masters
            for chip in CHIPS
            if (folder / (file := f"{prefix}_{chip.lower()}.fits")).exists()
        ]
        (folder / "frames.sof").write_text("".join(f"{file} {tag}\n" for file, tag in [*frames, *there]))
        command = [esorex, f"--recipe-dir={PLUGINS}", "--log-dir=.", name, "frames.sof"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=TIME,
                              env=os.environ)  # fmt: skip
        assert done.returncode == 0, done.stdout[-3000:]

    line_table(folder / "lines.fits")
    lines = "lines.fits", "LINE_REFER_TABLE"
    recipe("uves_cal_mbias", [
        (take(f"bias{n}.fits", "--calibration", "bias", "--exposure", str(n)), "BIAS_RED") for n in range(1, 6)
    ])  # fmt: skip
    recipe("uves_cal_predict", [(take("format.fits", "--calibration", "format"), "ARC_LAMP_FORM_RED"), lines])
    recipe("uves_cal_orderpos", [(take("orders.fits", "--calibration", "orders"), "ORDER_FLAT_RED")])
    recipe("uves_cal_mflat", [
        (take(f"flat{n}.fits", "--calibration", "flat", "--exposure", str(n)), "FLAT_RED") for n in range(1, 4)
    ])  # fmt: skip
    recipe("uves_cal_wavecal", [(take("arc.fits", "--calibration", "arc"), "ARC_LAMP_RED"), lines])
    recipe("uves_obs_scired", [(take("science.fits", "--wavemap"), "SCIENCE_RED")])
    return folder


def test_every_recipe_takes_the_frames(reduced):
    for chip in CHIPS:
        spectrum = fits.getdata(reduced / f"red_science_{chip.lower()}.fits")
        assert np.median(spectrum[np.isfinite(spectrum)]) > 0


def test_its_wavelengths_are_those_that_were_put_in(reduced):
    """Compare the solution at the lines that it found with WAVE, in pixels."""
    figures = []
    with fits.open(reduced / "science.fits") as science:
        maps = [hdu.data.astype(float) for hdu in science if hdu.name == "WAVE"]
    for chip, number in CHIPS.items():
        wave = air(maps[number - 1][::-1, ::-1].T)  # as the recipes turn the frames
        lines = fits.getdata(reduced / f"linetable_{chip.lower()}.fits", 4)
        x, y = lines["X"] - 1, np.round(lines["Ynew"] - 1).astype(int)
        left = np.floor(x).astype(int).clip(0, wave.shape[1] - 2)
        y = y.clip(0, wave.shape[0] - 1)
        step = wave[y, left + 1] - wave[y, left]
        used = (lines["NLinSol"] > 0) & np.isfinite(step) & np.isfinite(lines["WaveC"])
        away = ((lines["WaveC"] - wave[y, left]) / step - (x - left))[used]
        figures.append((chip, int(used.sum()), float(away.mean()), float(away.std())))
    table("UVES: wavelength solution minus WAVE", ("chip", "lines", "mean px", "rms px"), figures)
    assert all(abs(mean) < 0.1 and rms < 0.1 for _, _, mean, rms in figures)

"""PyReduce combines CRIRES2's darks and flats, finds the orders where the headers have them, extracts arc and star.

It does the same with HARPS's frames: biases, flats of both fibres, orders of the object's, arc and star.

It runs in an environment of its own: it asks for other versions of packages than ELVIS. Its table of CRIRES+ calls
science STAR, which the observatory's frames of targets have as little as ours: it is told OBJECT.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from elvis_cli.instrument import registry
from tests.clients.programs import TIME, table
from tests.conftest import run

SCRIPT = """
import sys
import numpy as np
from pyreduce.configuration import get_configuration_for_instrument
from pyreduce.instruments.instrument_info import load_instrument
from pyreduce.reduce import main
configuration = get_configuration_for_instrument("CRIRES_PLUS", plot=0)
configuration["science"]["extraction_width"] = 100
instrument = load_instrument("CRIRES_PLUS")
instrument.info["id_spec"] = "OBJECT"
main(instrument=instrument, target=None, night=None, modes="J1228_Open_det2", base_dir=sys.argv[1],
     steps=("bias", "flat", "orders", "norm_flat", "wavecal_master", "science"), input_dir="raw", output_dir="out",
     configuration=configuration, allow_calibration_only=True)
"""
HARPS_SCRIPT = """
import sys
from pyreduce.configuration import get_configuration_for_instrument
from pyreduce.reduce import main
configuration = get_configuration_for_instrument("HARPS", plot=0)
configuration["science"] |= {"swath_width": 1000, "oversampling": 2}  # a tenth of the time
main(instrument="HARPS", target=None, night=None, modes="BLUE", base_dir=sys.argv[1],
     steps=("bias", "flat", "orders", "wavecal_master", "science"), input_dir="raw", output_dir="out",
     configuration=configuration)
"""
CHIP = 2
TRIM = 5
"""Rows and columns that it cuts off at each side."""
DIT = 10.0
"""s."""
HALF = 60
"""Rows about the middle of an order that hold the star."""


def environment(folder: Path) -> Path:
    """Return the Python of a new environment with PyReduce."""
    python = folder / "environment" / "bin" / "python"
    subprocess.run([sys.executable, "-m", "venv", str(folder / "environment")], check=True)
    command = [str(python), "-m", "pip", "install", "--quiet", "pyreduce-astro==0.6.0"]
    if subprocess.run(command, capture_output=True, timeout=TIME, check=False).returncode:
        pytest.skip("pip cannot install pyreduce-astro here")
    return python


def expose(path: Path, number: int, **block: object) -> None:
    """Write a frame of a star, or the calibration that ``block`` says."""
    document = registry.load("crires2").example()
    document["instrument"]["INS.WLEN.CWLEN"] = 1228.488
    document["timesnr"] = {"DET1.DIT": DIT, "DET1.NDIT": 1}
    document["elvis"] = {"seed": number, "date": f"2026-01-01T05:{number:02d}:00", **block}
    made = run("-o", str(path), stdin=json.dumps(document))
    assert made.code == 0, made.err


def star(expected: np.ndarray, order: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Return the star's electrons/s in columns of an order; the ends of each column's strip are the sky."""
    sums = []
    for column in columns:
        middle = round(float(np.polyval(order, column)))
        strip = expected[max(middle - HALF, 0) : middle + HALF, column]
        sums.append(strip.sum() - strip.size * np.median(np.concatenate([strip[:8], strip[-8:]])))
    return np.array(sums)


def test_pyreduce_traces_the_orders_and_extracts_arc_and_star(tmp_path):
    python = environment(tmp_path)
    (tmp_path / "raw").mkdir()
    for n, kind in enumerate(["dark"] * 3 + ["flat"] * 3 + ["arc", None]):
        expose(tmp_path / "raw" / f"{n}.fits", n, calibration=kind)
    expose(tmp_path / "expected.fits", 7, product="expected")
    script = tmp_path / "reduce.py"
    script.write_text(SCRIPT)
    done = subprocess.run([str(python), str(script), str(tmp_path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    header = fits.getheader(tmp_path / "raw" / "3.fits", f"CHIP{CHIP}.INT1")
    told = sorted(value - 1.0 for keyword, value in header.items() if "WLEN CENY" in keyword)
    with np.load(next((tmp_path / "out").glob("*.ord_default.npz")), allow_pickle=True) as file:
        orders = list(file["orders"])
    rows = [float(np.polyval(order, header["NAXIS1"] / 2 - TRIM)) + TRIM for order in orders]
    matched = [(row, min(told, key=lambda place: abs(place - row))) for row in rows]
    assert len(rows) >= len(told)
    assert sum(abs(found - place) < 1.0 for found, place in matched) >= len(told) - 1
    arc = fits.getdata(next((tmp_path / "out").glob("*.thar_master.fits")))
    assert len(arc) == len(rows)
    spectra = fits.getdata(tmp_path / "out" / "7.science.ech", 1)["SPEC"][0]
    expected = fits.getdata(tmp_path / "expected.fits", f"CHIP{CHIP}.INT1")[TRIM:-TRIM, TRIM:-TRIM].astype(float)
    columns = np.arange(300, 1700, 10)
    flux = []
    for spectrum, order in zip(spectra, orders, strict=True):
        light = star(expected, order, columns) * DIT / header["ESO DET CHIP GAIN"]
        bright = light > np.median(light) / 2  # not the bottoms of the air's lines
        flux.append(float(np.median(spectrum[columns][bright] / light[bright])))
    lines = [(*places, ratio) for places, ratio in zip(matched, flux, strict=True)]
    table("PyReduce, CRIRES2 J1228, detector 2", ("order at row", "the header's", "star over put in"), lines)
    assert flux == pytest.approx([1.0] * len(flux), abs=0.03)


def harps(path: Path, number: int, reference: str = "sky", **block: object) -> None:
    """Write a frame of HARPS's blue chip."""
    document = registry.load("harps").example()
    document["instrument"]["INS.HARPS.REF"] = reference
    document["elvis"] = {
        "arm": "harps",
        "chips": [1],
        "seed": number,
        "date": f"2026-01-01T05:{number:02d}:00",
        **block,
    }
    made = run("-o", str(path), stdin=json.dumps(document))
    assert made.code == 0, made.err


def test_pyreduce_reduces_harps(tmp_path):
    """All 46 orders of the blue chip; fibre A alone is traced on the flats that light it alone."""
    python = environment(tmp_path)
    (tmp_path / "raw").mkdir()
    kinds = [("bias", "sky")] * 2 + [("flat", "sky")] * 2 + [("flat", "dark")] * 2 + [("arc", "sky")]
    for n, (kind, reference) in enumerate(kinds):
        harps(tmp_path / "raw" / f"{n}.fits", n, reference, calibration=kind)
    harps(tmp_path / "raw" / "7.fits", 7)
    harps(tmp_path / "expected.fits", 7, product="expected")
    script = tmp_path / "reduce.py"
    script.write_text(HARPS_SCRIPT)
    done = subprocess.run([str(python), str(script), str(tmp_path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    with np.load(next((tmp_path / "out").glob("*.ord_default.npz")), allow_pickle=True) as file:
        orders = list(file["orders"])
    assert len(orders) == 46
    arc = fits.getdata(next((tmp_path / "out").glob("*.thar_master.fits")))
    assert len(arc) == 46
    spectra = np.nan_to_num(fits.getdata(next((tmp_path / "out").glob("7*.ech")), 1)["SPEC"][0])
    expected = fits.getdata(tmp_path / "expected.fits", 1).astype(float)
    middle = slice(1548, 2548)  # rows of the frame, columns of the spectra
    ratio = spectra[:, middle].sum() / (expected[middle].sum() * 60.0 / 1.33)  # s, electrons in an ADU
    lines = [(len(orders), len(arc), float(ratio))]
    table("PyReduce, HARPS, blue chip", ("orders traced", "spectra of the arc", "star over put in"), lines)
    assert ratio == pytest.approx(1.0, abs=0.05)

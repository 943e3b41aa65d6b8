"""PyReduce combines CRIRES2's darks and flats, finds the orders where the headers have them, and extracts the arc.

It runs in an environment of its own: it asks for other versions of packages than ELVIS. Science frames are left out:
its table of CRIRES+ knows the type STAR only, which the observatory's frames of targets have as little as ours.
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
from pyreduce.reduce import main
main(instrument="CRIRES_PLUS", target=None, night=None, modes="J1228_Open_det2", base_dir=sys.argv[1],
     steps=("bias", "flat", "orders", "wavecal_master"), input_dir="raw", output_dir="out",
     configuration=get_configuration_for_instrument("CRIRES_PLUS", plot=0), allow_calibration_only=True)
"""
CHIP = 2
TRIM = 5
"""Rows and columns that it cuts off at each side."""


def environment(folder: Path) -> Path:
    """Return the Python of a new environment with PyReduce."""
    python = folder / "environment" / "bin" / "python"
    subprocess.run([sys.executable, "-m", "venv", str(folder / "environment")], check=True)
    command = [str(python), "-m", "pip", "install", "--quiet", "pyreduce-astro==0.6.0"]
    if subprocess.run(command, capture_output=True, timeout=TIME, check=False).returncode:
        pytest.skip("pip cannot install pyreduce-astro here")
    return python


def test_pyreduce_traces_the_orders_and_extracts_the_arc(tmp_path):
    python = environment(tmp_path)
    (tmp_path / "raw").mkdir()
    for n, kind in enumerate(["dark"] * 3 + ["flat"] * 3 + ["arc"]):
        document = registry.load("crires2").example()
        document["instrument"]["INS.WLEN.CWLEN"] = 1228.488
        document["timesnr"] = {"DET1.DIT": 10, "DET1.NDIT": 1}
        document["elvis"] = {"calibration": kind, "seed": n, "date": f"2026-01-01T05:{n:02d}:00"}
        made = run("-o", str(tmp_path / "raw" / f"{n}.fits"), stdin=json.dumps(document))
        assert made.code == 0, made.err
    script = tmp_path / "reduce.py"
    script.write_text(SCRIPT)
    done = subprocess.run([str(python), str(script), str(tmp_path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    header = fits.getheader(tmp_path / "raw" / "3.fits", f"CHIP{CHIP}.INT1")
    told = sorted(value - 1.0 for keyword, value in header.items() if "WLEN CENY" in keyword)
    with np.load(next((tmp_path / "out").glob("*.ord_default.npz")), allow_pickle=True) as file:
        rows = sorted(float(np.polyval(order, header["NAXIS1"] / 2 - TRIM)) + TRIM for order in file["orders"])
    matched = [(row, min(told, key=lambda place: abs(place - row))) for row in rows]
    table("PyReduce, CRIRES2 J1228, detector 2", ("order at row", "the header's"), matched)
    assert len(rows) >= len(told)
    assert sum(abs(found - place) < 1.0 for found, place in matched) >= len(told) - 1
    arc = fits.getdata(next((tmp_path / "out").glob("*.thar_master.fits")))
    assert len(arc) == len(rows)

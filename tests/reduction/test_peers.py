"""Products of spectra and cubes in the programs that astronomers open them with (extra `peers`; Debian's stilts)."""

import io
import json
import shutil
import subprocess

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table

from elvis_cli.instrument import registry
from tests.conftest import closure_only, run


def reduced(instrument, mode, window, **block):
    document = registry.load(instrument).example(mode)
    document["elvis"] = {"window": dict(zip(("x0", "y0", "nx", "ny"), window, strict=True)), **block}
    result = run("--product", "reduced", stdin=json.dumps(document))
    assert result.code == 0, result.err
    return bytes(result.out)


@pytest.fixture(scope="module")
def spectrum():
    """A star in METIS's slit, a part of the chip."""
    return reduced("metis", "lss_l_scao", (924, 900, 200, 200))


@closure_only
@pytest.mark.skipif(shutil.which("stilts") is None, reason="stilts is not installed")
def test_stilts_takes_the_row_for_a_spectrum(spectrum, tmp_path):
    """A point a row, with units."""
    path = tmp_path / "spectrum.fits"
    path.write_bytes(spectrum)
    command = ["stilts", "tpipe", f"in={path}#1", "cmd=explodeall", "omode=out", "ofmt=csv", "out=-"]
    result = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    with fits.open(io.BytesIO(spectrum)) as hdus:
        points = hdus["SPECTRUM"].data["WAVE"][0].size
    header, *rows = result.stdout.splitlines()
    assert header.split(",")[:3] == ["WAVE", "FLUX", "ERR"]
    assert len(rows) == points


def test_a_row_is_a_spectrum_of_specutils(spectrum):
    """specutils has no reader of its own for ESO's rows of arrays; astropy's table has their units."""
    specutils = pytest.importorskip("specutils", reason="extra peers: specutils")
    table = Table.read(io.BytesIO(spectrum), hdu=1)
    row = table[0]
    made = specutils.Spectrum(spectral_axis=row["WAVE"] * table["WAVE"].unit, flux=row["FLUX"] * table["FLUX"].unit)
    assert made.spectral_axis.unit == "nm"
    assert made.flux.unit.is_equivalent("erg / (s cm2 AA)")
    assert np.isfinite(made.flux.value).all()


@pytest.mark.filterwarnings("ignore")  # ESO's spelling of the unit has several slashes, at which astropy warns
def test_spectral_cube_opens_a_cube(tmp_path):
    spectral_cube = pytest.importorskip("spectral_cube", reason="extra peers: spectral-cube")
    path = tmp_path / "cube.fits"
    path.write_bytes(reduced("eris", "ifs_noao", (0, 1100, 2048, 128)))
    made = spectral_cube.SpectralCube.read(path, hdu=1)
    assert made.spectral_axis.unit == "nm"
    assert made.unit.is_equivalent("erg / (s cm2 AA)")
    assert 32 in made.shape[1:]

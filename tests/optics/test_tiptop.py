"""TIPTOP: the real one where it is installed, else one that stands in for it, with its file formats and its manners."""

import ast
import configparser
import importlib.util
import io
import json
import sys
from dataclasses import replace

import numpy as np
import pytest
from astropy.io import fits

from elvis_cli.errors import RequestError, ResourceError
from elvis_cli.instrument import registry
from elvis_cli.optics import tiptop, user_psf
from elvis_cli.request import parse
from tests import setups

INSTALLED = importlib.util.find_spec("tiptop") is not None
STAND_IN = """
import numpy as np
from astropy.io import fits

def overallSimulation(path, name, out, result, **options):
    print("chatter", 1 + 1)
    if {fails}:
        raise ValueError("no such star")
    text = open(path + name + ".ini").read()
    open({copy!r}, "w").write(text)
    y, x = np.indices((64, 64)) - 32
    spot = np.exp(-(x * x + y * y) / 8.0)
    image = fits.ImageHDU(np.array([[spot / spot.sum()]] * 3))
    image.header["PIX_MAS"] = "2.0"
    fits.HDUList([fits.PrimaryHDU(), image]).writeto(out + result + ".fits")
"""


@pytest.fixture
def stand_in(tmp_path, monkeypatch):
    """Install a package called tiptop that draws Gaussians; return where it copies its parameter file to."""

    def install(fails=False):
        package, copy = tmp_path / "path" / "tiptop", tmp_path / "copy.ini"
        package.mkdir(parents=True, exist_ok=True)
        (package / "__init__.py").write_text("")
        (package / "tiptop.py").write_text(STAND_IN.format(copy=str(copy), fails=fails))
        monkeypatch.syspath_prepend(str(package.parent))
        monkeypatch.setenv("PYTHONPATH", str(package.parent))
        return copy

    yield install
    sys.modules.pop("tiptop", None)


def adopt(instrument, mode):
    """Return the Setup of a mode with TIPTOP's PSF at the middle of the field."""
    setup, _ = setup_of(instrument, mode, {})
    return user_psf.adopt(setup, "tiptop", (0.0, 0.0))


def setup_of(instrument, mode, elvis):
    document = registry.load(instrument).example(mode)
    document["elvis"] = {**elvis, "psf": "tiptop"}
    request = parse.read(json.dumps(document))
    return registry.load(instrument).configure(request), request


def read(path):
    parser = configparser.ConfigParser()
    parser.optionxform = str
    parser.read(path)
    return {name: {key: ast.literal_eval(value) for key, value in parser[name].items()} for name in parser.sections()}


def test_the_frame_is_made_with_it(stand_in, elvis, micado, tmp_path):
    copy = stand_in()
    window = {"x0": 2032, "y0": 2032, "nx": 32, "ny": 32}
    result = elvis("--psf", "tiptop", stdin=json.dumps(micado({"elvis": {"window": window}})))
    assert result.code == 0
    assert result.out[:6] == b"SIMPLE"  # the chatter went elsewhere
    assert fits.getheader(io.BytesIO(result.out))["ESO SIM PSF SOURCE"] == "TIPTOP"
    assert "the PSF is the request's own (TIPTOP)" in result.err
    asked = read(copy)
    assert asked["atmosphere"]["Seeing"] == 0.8
    assert sum(asked["atmosphere"]["Cn2Weights"]) == pytest.approx(1.0)
    assert asked["telescope"]["ZenithAngle"] == pytest.approx(33.56, abs=0.01)
    wave = np.array(asked["sources_science"]["Wavelength"]) * 1e6
    assert 1.95 < wave[0] < wave[1] < wave[2] < 2.35
    assert asked["sensor_HO"]["WfsType"] == "Pyramid"
    assert asked["RTC"]["SensorFrameRate_HO"] == 500.0
    assert "sources_LO" not in asked


def test_photons_are_the_guide_stars(stand_in):
    """Deo et al. 2019: 2.6e10 photons/s/m2 at R = 0, of which 28 % arrive on 0.42 m in 2 ms: 257 at R = 10."""
    copy = stand_in()
    setup, request = setup_of("micado", "img_4mas_scao", {"ao": {"guide_star": {"x": 3, "y": 4, "mag": 10}}})
    user_psf.adopt(setup, "tiptop", request.elvis.offset)
    asked = read(copy)
    sensor = setup.optics.telescope.diameter / 92
    assert asked["sensor_HO"]["NumberPhotons"][0] == pytest.approx(257 * (sensor / 0.42) ** 2, rel=0.01)
    assert asked["sources_HO"]["Zenith"] == pytest.approx([5.0])
    assert asked["sources_HO"]["Azimuth"] == pytest.approx([53.13], abs=0.01)


def test_lasers_have_their_asterism_and_natural_stars(stand_in):
    copy = stand_in()
    adopt("micado", "img_4mas_mcao")
    asked = read(copy)
    assert asked["sources_HO"]["Zenith"] == pytest.approx([45.0] * 6)
    assert asked["sources_HO"]["Height"] == 90e3
    assert sorted(asked["sources_LO"]["Zenith"]) == pytest.approx([66.6, 69.0, 79.3], abs=0.1)
    assert asked["DM"]["DmHeights"] == [600.0, 6500.0, 17500.0]
    assert len({len(asked["DM"][f"Optimization{what}"]) for what in ("Zenith", "Azimuth", "Weight")}) == 1


def test_a_failure_is_told(stand_in):
    stand_in(fails=True)
    with pytest.raises(ResourceError, match="TIPTOP failed: ValueError: no such star"):
        adopt("micado", "img_4mas_scao")


@pytest.mark.skipif(INSTALLED, reason="TIPTOP is installed")
def test_without_it_the_extra_is_named(elvis, micado):
    result = elvis(stdin=json.dumps(micado({"elvis": {"psf": "tiptop"}})))
    assert result.code == 69
    assert "elvis-cli[tiptop]" in result.err


def test_it_is_for_adaptive_optics_only(elvis, fors):
    result = elvis("--psf", "tiptop", stdin=json.dumps(fors()))
    assert result.code == 65
    setup, _ = setup_of("micado", "img_4mas_mcao", {})
    with pytest.raises(RequestError, match="scao, ltao, mcao"):
        tiptop.cube(setups.change(setup, system=replace(setup.psf.system, kind="glao")), (0.0, 0.0))


@pytest.mark.skipif(not INSTALLED, reason="needs the extra elvis-cli[tiptop]")
@pytest.mark.parametrize(
    ("instrument", "mode"),
    [("micado", "img_4mas_scao"), ("micado", "img_4mas_mcao"), ("eris", "img_ngs"), ("eris", "img_lgs")],
)
def test_the_built_in_strehl_is_tiptops_within_a_tenth(instrument, mode):
    """Measured: MICADO Ks 0.72 and 0.62 (built-in 0.67 and 0.57), ERIS K 0.89 and 0.62 (0.86 and 0.65)."""
    setup, request = setup_of(instrument, mode, {})
    wave = tiptop.wavelengths(setup)
    places = np.zeros((1, 2))
    own, theirs = (
        setups.psf_at(s, request.sky.airmass, wave, np.array([0.3, 0.4, 0.3]), places)
        for s in (setup, user_psf.adopt(setup, "tiptop", (0.0, 0.0)))
    )
    assert own.strehl == pytest.approx(theirs.strehl, abs=0.1)
    assert own.fwhm == pytest.approx(theirs.fwhm, rel=0.06)

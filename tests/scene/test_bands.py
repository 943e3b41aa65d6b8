import subprocess
import sys

import numpy as np
import pytest

from elvis_cli.errors import RequestError
from elvis_cli.scene import bands
from tests.each import each

FORM = (  # the option list of the ETC's forms, in its order
    "U B V R I Y J H K L M N gaia_GBP gaia_G gaia_GRP sdss_u sdss_g sdss_r sdss_i sdss_z "
    "DECam_g DECam_r DECam_i DECam_z lsst_u lsst_g lsst_r lsst_i lsst_z lsst_y "
    "VISTA_Y VISTA_Z VISTA_J VISTA_H VISTA_Ks 4MOST_Johnson_B 4MOST_Johnson_V 4MOST_Cousins_R 4MOST_Cousins_I"
)

PIVOTS = {  # um, SVO filter profile service
    "gaia_GBP": 0.5110,
    "gaia_G": 0.6218,
    "gaia_GRP": 0.7769,
    "sdss_u": 0.3557,
    "sdss_g": 0.4702,
    "sdss_r": 0.6176,
    "sdss_i": 0.7490,
    "sdss_z": 0.8947,
    "DECam_g": 0.4815,
    "DECam_r": 0.6424,
    "DECam_i": 0.7824,
    "DECam_z": 0.9180,
    "lsst_u": 0.3681,
    "lsst_g": 0.4783,
    "lsst_r": 0.6217,
    "lsst_i": 0.7533,
    "lsst_z": 0.8685,
    "lsst_y": 0.9730,
    "VISTA_Z": 0.8775,
    "VISTA_Y": 1.0208,
    "VISTA_J": 1.2525,
    "VISTA_H": 1.6431,
    "VISTA_Ks": 2.1521,
    "4MOST_Johnson_B": 0.4371,
    "4MOST_Johnson_V": 0.5478,
    "4MOST_Cousins_R": 0.6430,
    "4MOST_Cousins_I": 0.8020,
}
NOMINAL = {"U": 0.36, "V": 0.55, "I": 0.80, "J": 1.25, "H": 1.65, "K": 2.16, "L": 3.78, "M": 4.76, "N": 10.4}


def pivot(band):
    photons = np.trapezoid(band.value * band.wave, band.wave)
    return np.sqrt(photons / np.trapezoid(band.value / band.wave, band.wave))


def vega(band):
    wave, flux = bands.table("Vega")
    return band.integral(wave, flux * bands.PHOTONS * wave)


def test_every_band_of_the_forms_is_there():
    assert set(bands.NAMES) == {*FORM.split(), "Q"}
    assert len(bands.NAMES) == 40


@each("name", bands.NAMES)
def test_curves_are_curves(name):
    band = bands.load(name)
    assert (np.diff(band.wave) > 0).all()
    assert band.value.max() == 1.0
    assert (band.value >= 0).all()
    for system in ("vega", "AB"):
        assert np.isfinite(band.zero_point(system))
        assert band.zero_point(system) > 0


@each(("name", "published"), PIVOTS.items())
def test_pivot_wavelengths(name, published):
    assert pivot(bands.load(name)) == pytest.approx(published, rel=0.01)


@each(("name", "nominal"), NOMINAL.items())
def test_eso_bands_lie_at_their_nominal_wavelengths(name, nominal):
    assert pivot(bands.load(name)) == pytest.approx(nominal, rel=0.01)


@each("name", [n for n in bands.NAMES if n not in bands.ESO_ZERO_POINTS])
def test_vega_has_magnitude_zero(name):
    band = bands.load(name)
    assert -2.5 * np.log10(vega(band) / band.zero_point("vega")) == pytest.approx(0.0, abs=1e-12)


@each(
    ("name", "ratio"),
    {"U": 0.88, "V": 1.0, "R": 0.91, "J": 0.95, "H": 0.98, "K": 1.06, "L": 1.05, "M": 1.02, "N": 0.85}.items(),
)
def test_eso_zero_points_against_vega(name, ratio):
    """How far ESO's own zero points are from Vega's measured spectrum, as found independently."""
    band = bands.load(name)
    assert vega(band) / band.zero_point("vega") == pytest.approx(ratio, abs=0.01)


@each(
    ("name", "published"),
    {  # AB - Vega, mag: Blanton & Roweis 2007 (Bessell, SDSS, Ks), Riello et al. 2021 (Gaia)
        "4MOST_Johnson_B": -0.09,
        "4MOST_Johnson_V": 0.02,
        "4MOST_Cousins_R": 0.21,
        "4MOST_Cousins_I": 0.45,
        "sdss_g": -0.08,
        "sdss_r": 0.16,
        "sdss_i": 0.37,
        "sdss_z": 0.54,
        "VISTA_Ks": 1.85,
        "gaia_G": 0.114,
        "gaia_GBP": 0.035,
        "gaia_GRP": 0.373,
    }.items(),
)
def test_ab_minus_vega(name, published):
    band = bands.load(name)
    difference = 2.5 * np.log10(band.zero_point("AB") / band.zero_point("vega"))
    assert difference == pytest.approx(published, abs=0.035)


def test_ab_zero_is_3631_jansky():
    """A constant 3631 Jy counts as AB 0: 3631e-26 / (h lambda) photon/s/m2/um."""
    band = bands.load("V")
    wave = np.linspace(0.4, 0.8, 4001)
    density = 3631e-26 * 299792458.0 / (wave * 1e-6) ** 2 * 1e-6 * (wave * 1e-6) / (6.62607015e-34 * 299792458.0)
    assert band.integral(wave, density) == pytest.approx(band.zero_point("AB"), rel=1e-4)
    assert density[wave.searchsorted(0.55)] == pytest.approx(996.0e8, rel=0.001)  # 996 photon/s/cm2/Angstrom


def test_a_feature_between_the_bands_samples_counts():
    band = bands.load("4MOST_Johnson_V")  # sampled every 10 nm
    wave = np.array([0.5, 0.5540, 0.5541, 0.5542, 0.6])
    density = np.array([0.0, 0.0, 1.0, 0.0, 0.0])
    assert band.integral(wave, density) == pytest.approx(1e-4 * np.interp(0.5541, band.wave, band.value), rel=1e-3)


def test_unknown_band():
    with pytest.raises(RequestError, match="did you mean 'VISTA_Ks'") as error:
        bands.load("VISTA_K")
    assert error.value.details["pointer"] == "/target/brightness/magband"


def test_stand_ins_are_said():
    assert "VISTA" in bands.load("Y").notes[0]
    assert "Bessell" in bands.load("4MOST_Cousins_R").notes[0]
    assert "box" in bands.load("Q").notes[0]
    assert bands.load("V").notes == ()


def test_names_cost_no_numpy():
    code = "import sys; from elvis_cli.scene import bands, templates; print('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"

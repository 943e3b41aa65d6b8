from dataclasses import replace

import numpy as np
import pytest

from elvis_cli.base import spectral_grid
from elvis_cli.errors import RequestError
from elvis_cli.model.request import Brightness, Morphology, Sed, Target
from elvis_cli.scene import bands
from elvis_cli.scene.spectrum import flux
from tests.each import each

HC = 6.62607015e-34 * 299792458.0
LINE = {"kind": "emissionline", "line_wavelength": 2122.0, "line_fwhm": 0.1}


def target(brightness=None, **sed):
    return Target(Morphology(), Sed(**sed), brightness or Brightness("mag", 20.0, "V", "vega"))


def photons(wave, density):
    return np.sum(density * np.diff(spectral_grid.bin_edges(wave)))


def magnitude(name, wave, density, system="vega"):
    band = bands.load(name)
    return -2.5 * np.log10(band.integral(wave, density) / band.zero_point(system))


def test_flat_f_lambda_of_v20_vega():
    """ESO's zero point of V: 3.61e-9 erg/s/cm2/Angstrom."""
    wave = np.linspace(0.45, 0.75, 301)
    density, notes = flux(target(kind="powerlaw"), wave)
    f_lambda = density * HC / (wave * 1e-6) / 10  # W/m2/um -> erg/s/cm2/Angstrom
    assert f_lambda == pytest.approx(np.full(301, 3.61e-17), rel=1e-3)
    assert notes == ()


@each("system", ["vega", "AB"])
@each("name", ["V", "J", "gaia_G", "sdss_z", "lsst_y", "VISTA_Ks", "4MOST_Cousins_R"])
@each(
    "sed",
    [
        {},
        {"kind": "blackbody", "temperature": 4000.0},
        {"kind": "powerlaw", "exponent": -2.0},
        {"catalog": "SWIRE", "id": "Spiral b", "redshift": 0.3, "extinction_av": 2.0},
    ],
)
def test_the_magnitude_comes_back(sed, name, system):
    """Whatever the shape, redshift and dust, the magnitude is the observed one."""
    wave = np.geomspace(0.3, 2.6, 20000)
    density, _ = flux(target(Brightness("mag", 17.3, name, system), **sed), wave)
    assert magnitude(name, wave, density, system) == pytest.approx(17.3, abs=1e-3)


@each("sed", [{}, {"kind": "blackbody", "temperature": 300.0}, {"catalog": "Various", "id": "orion"}])
@each("bins", [7, 40, 333, 9001])
def test_photons_are_conserved_on_any_grid(sed, bins):
    edges = np.linspace(1.0, 2.4, bins + 1)
    coarse, _ = flux(target(**sed), (edges[1:] + edges[:-1]) / 2)
    fine_edges = np.linspace(1.0, 2.4, 40001)
    fine, _ = flux(target(**sed), (fine_edges[1:] + fine_edges[:-1]) / 2)
    assert np.sum(coarse * np.diff(edges)) == pytest.approx(np.sum(fine * np.diff(fine_edges)), rel=1e-9)


def test_uneven_grid_conserves_photons():
    rng = np.random.default_rng(1)
    wave = np.sort(rng.uniform(0.5, 0.9, 500))
    density, _ = flux(target(), wave)
    edges = spectral_grid.bin_edges(wave)
    fine_edges = np.linspace(edges[0], edges[-1], 100001)
    fine, _ = flux(target(), (fine_edges[1:] + fine_edges[:-1]) / 2)
    assert photons(wave, density) == pytest.approx(np.sum(fine * np.diff(fine_edges)), rel=1e-6)


def test_brightness_scales():
    wave = np.linspace(1.0, 1.3, 50)
    bright, _ = flux(target(Brightness("mag", 15.0, "J", "vega")), wave)
    faint, _ = flux(target(Brightness("mag", 17.5, "J", "vega")), wave)
    assert bright / faint == pytest.approx(np.full(50, 10.0), rel=1e-9)


def test_black_body_colour_is_planck():
    wave = np.array([0.999, 1.0, 1.001, 1.999, 2.0, 2.001])
    density, _ = flux(target(kind="blackbody", temperature=3000.0), wave)
    x = 14387.7688 / 3000.0
    expected = (1 / np.expm1(x)) / (2.0**-4 / np.expm1(x / 2))
    assert density[1] / density[4] == pytest.approx(expected, rel=2e-3)


def test_power_law():
    wave = np.array([0.999, 1.0, 1.001, 1.999, 2.0, 2.001])
    density, _ = flux(target(kind="powerlaw", exponent=3.0), wave)
    assert density[4] / density[1] == pytest.approx(2.0**4, rel=2e-3)  # photons: one power of lambda more


def test_dust_reddens():
    """V fixed, A_V = 1: Ks brightens by A_V - A_Ks."""
    wave = np.geomspace(0.4, 2.6, 20000)
    clear, _ = flux(target(), wave)
    dusty, _ = flux(target(extinction_av=1.0), wave)
    change = magnitude("VISTA_Ks", wave, clear) - magnitude("VISTA_Ks", wave, dusty)
    assert change == pytest.approx(1 - 0.117, abs=0.02)


def test_redshift_moves_features():
    """H alpha of the Orion nebula."""
    sed = {"catalog": "Various", "id": "orion"}
    wave = np.linspace(0.60, 1.5, 9001)
    at_rest, _ = flux(target(**sed), wave)
    moved, _ = flux(target(redshift=0.5, **sed), wave)
    red = wave > 0.8
    assert wave[at_rest.argmax()] == pytest.approx(0.6564, abs=0.001)
    assert wave[red][moved[red].argmax()] == pytest.approx(0.6564 * 1.5, abs=0.0015)


def test_barycentric_velocity_moves_a_line():
    wave = np.linspace(2.11, 2.13, 20001)
    where = [
        np.average(wave, weights=flux(target(Brightness("flux", flux=1e-18), velocity=v, **LINE), wave)[0])
        for v in (0, 30)
    ]
    assert where[1] / where[0] - 1 == pytest.approx(-30 / 299792.458, rel=1e-3)


@each("bins", [3, 10, 101, 20000])
def test_line_flux_is_exact(bins):
    """However narrow the line or wide the bins."""
    edges = np.linspace(2.0, 2.3, bins + 1)
    wave = (edges[1:] + edges[:-1]) / 2
    density, notes = flux(target(Brightness("flux", flux=3e-19), **LINE), wave)
    assert np.sum(density * np.diff(edges)) * HC / 2.122e-6 == pytest.approx(3e-19, rel=1e-9)
    assert notes == ()


def test_line_has_its_width_and_place():
    wave = np.linspace(2.1215, 2.1225, 4001)
    density, _ = flux(target(Brightness("flux", flux=1e-18), **LINE), wave)
    above = wave[density > density.max() / 2]
    assert above[-1] - above[0] == pytest.approx(1e-4, rel=0.01)
    assert np.average(wave, weights=density) == pytest.approx(2.122, abs=1e-7)


def test_line_given_by_a_magnitude():
    wave = np.linspace(1.9, 2.45, 50001)
    brightness = Brightness("mag", 15.0, "K", "vega")
    density, _ = flux(target(brightness, kind="emissionline", line_wavelength=2166.0, line_fwhm=2.0), wave)
    assert magnitude("K", wave, density) == pytest.approx(15.0, abs=1e-3)


def test_line_outside_the_band_of_its_magnitude():
    with pytest.raises(RequestError, match=r"line at 1000 nm lies outside band V") as error:
        flux(target(kind="emissionline"), np.linspace(0.9, 1.1, 50))
    assert error.value.details["pointer"] == "/target/brightness/magband"


def test_line_that_is_not_seen_is_said():
    density, notes = flux(target(Brightness("flux", flux=1e-18), **LINE), np.linspace(1.1, 1.4, 100))
    assert not density.any()
    assert "outside" in notes[0]


def test_extinction_leaves_an_observed_line_flux():
    wave = np.linspace(2.0, 2.3, 100)
    clear, _ = flux(target(Brightness("flux", flux=1e-18), **LINE), wave)
    dusty, notes = flux(target(Brightness("flux", flux=1e-18), extinction_av=5.0, **LINE), wave)
    assert (clear == dusty).all()
    assert "extinction" in notes[0]


def test_upload():
    wave = np.linspace(0.45, 0.75, 100)
    flat, _ = flux(target(kind="powerlaw"), wave)
    for unit in (1e-300, 2.0, 1e300):
        uploaded = (tuple(np.linspace(0.3, 0.8, 501)), (unit,) * 501)
        density, _ = flux(target(kind="upload", uploaded=uploaded), wave)
        assert density == pytest.approx(flat, rel=1e-5)


def test_upload_that_ends_early():
    uploaded = ((0.4, 0.8), (1.0, 1.0))
    density, notes = flux(target(kind="upload", uploaded=uploaded), np.linspace(0.6, 1.0, 401))
    assert density[-1] == 0
    assert "0.4-0.8 um" in notes[0]
    with pytest.raises(RequestError, match="nothing of the"):
        flux(target(kind="upload", uploaded=uploaded), np.linspace(1.0, 1.3, 100))
    with pytest.raises(RequestError, match="band K needs"):
        flux(target(Brightness("mag", 20.0, "K", "vega"), kind="upload", uploaded=uploaded), np.linspace(0.6, 1.0, 401))


@each(
    ("request_target", "pointer"),
    [
        (target(Brightness("flux", flux=1e-18)), "/target/brightness/brightnesstype"),
        (target(kind="upload"), "/target/sed/spectrum/spectrumtype"),
        (target(redshift=-1.0), "/target/sed/redshift/redshift"),
        (target(kind="blackbody", temperature=10.0), "/target/brightness/magband"),
        (target(Brightness("mag", 20.0, "Q", "vega"), catalog="SWIRE", id="Spiral c"), "/target/brightness/magband"),
        (target(Brightness("mag", 20.0, "W", "vega")), "/target/brightness/magband"),
        (target(id="cool"), "/target/sed/spectrum/params/id"),
    ],
)
def test_errors(request_target, pointer):
    with pytest.raises(RequestError) as error:
        flux(request_target, np.linspace(1.0, 1.3, 100))
    assert error.value.details["pointer"] == pointer


def test_notes_say_what_was_replaced():
    star = replace(target(Brightness("mag", 10.0, "L", "vega")), sed=Sed(catalog="MARCS", id="5750:4.5"))
    _, notes = flux(star, np.linspace(3.5, 4.0, 100))
    assert notes[0].startswith("template MARCS 5750:4.5 is not available offline: nearest is Pickles G2V")
    assert "continued by a black body of 5750 K" in notes[1]

"""SkyCalc's answer becomes our sky; without one, the local sky comes with a note. No network: the client is a fake.

The fake has the interface and the behaviour of skycalc_cli 1.5 (handlers that print and exit, an answer in memory) and
the columns, units and comments of SkyCalc 2.0.9's FITS table.
"""

from __future__ import annotations

import io
import json
import sys
import time
import types

import numpy as np
import pytest
from astropy.io import fits

from elvis_cli.base import spectral_grid
from elvis_cli.model.atmosphere import Site
from elvis_cli.model.request import SkyConditions
from elvis_cli.sky import load, skycalc
from elvis_cli.sky import local as sky

PARANAL = Site("Paranal", -24.627, -70.404, 2635.0, 284.0, 743.0, 0.15)
ARMAZONES = Site("Armazones", -24.589, -70.192, 3046.0, 280.0, 712.0, 0.15)
ZENITH = SkyConditions(airmass=1.0, fli=0.0, pwv=2.5)
WAVE = spectral_grid.grid(1.95, 2.4)


def table(asked, conditions=ZENITH, site=PARANAL):
    """Return a SkyCalc file of our own sky, on the wavelengths that were asked for."""
    ratio = (2 * asked["wres"] + 1) / (2 * asked["wres"] - 1)
    count = int(np.log(asked["wmax"] / asked["wmin"]) / np.log(ratio)) + 1
    lam = asked["wmin"] * ratio ** np.arange(count)
    grid = spectral_grid.grid(lam[0] / 1e3, lam[-1] / 1e3)
    ours = load.load(conditions, site, grid)
    values = {
        "lam": lam,
        "flux": np.interp(lam / 1e3, grid, ours.emission),
        "trans": np.interp(lam / 1e3, grid, ours.transmission),
    }
    rest = ("dflux1", "dflux2", "dtrans1", "dtrans2", "flux_sml", "flux_ssl", "trans_ma", "trans_o3")
    columns = [fits.Column(name, "1D", array=a) for name, a in values.items()]
    columns += [fits.Column(name, "1D", array=np.zeros(count)) for name in rest]
    top = fits.PrimaryHDU()
    for line in ("", "SkyCalc version: 2.0.9", "", "column lam:     Vacuum wavelength in nm"):
        top.header["COMMENT"] = line
    out = io.BytesIO()
    fits.HDUList([top, fits.BinTableHDU.from_columns(columns)]).writeto(out)
    return out.getvalue()


class Service:
    """What the fake client meets, and what it was asked."""

    def __init__(self, answer=table):
        self.answer = answer
        self.asked = None


@pytest.fixture
def service(monkeypatch):
    """Install a fake skycalc_cli whose service gives ``answer(asked)``: bytes, or an exception."""

    def install(answer=table):
        met = Service(answer)

        class SkyModel:
            def __init__(self, base_url=None):
                self.data = None
                self.params = {"airmass": 1.0, "pwv": 3.5, "vacair": "vac"}

            def handle_exception(self, e, msg):
                print(msg, e)
                sys.exit()

            def handle_error(self, msg, stop=True):
                print(msg)
                sys.exit()

            def callwith(self, newparams):
                self.params |= newparams
                met.asked = dict(self.params)
                found = met.answer(met.asked)
                if isinstance(found, str):
                    self.handle_error("parameter validation error: " + found)
                elif isinstance(found, Exception):
                    self.handle_exception(found, "Exception raised trying to POST request")
                else:
                    self.data = found
                    self.handle_error("Could not delete server tmpdir")

            def getdata(self):
                return self.data

        package, module = types.ModuleType("skycalc_cli"), types.ModuleType("skycalc_cli.skycalc")
        module.SkyModel = SkyModel
        monkeypatch.setitem(sys.modules, "skycalc_cli", package)
        monkeypatch.setitem(sys.modules, "skycalc_cli.skycalc", module)
        return met

    return install


@pytest.mark.parametrize("site", [PARANAL, ARMAZONES])
@pytest.mark.parametrize("band", [(0.32, 0.6), (1.1, 1.4), (1.95, 2.4), (8.0, 13.0)])
def test_our_own_sky_comes_back_through_it(band, site, service):
    service(lambda asked: table(asked, site=site))
    wave = spectral_grid.grid(*band)
    asked, ours = load.load(ZENITH, site, wave, "skycalc"), sky.load(ZENITH, site, wave)
    assert asked.model == "skycalc"
    width = np.diff(spectral_grid.bin_edges(wave))
    assert np.sum(asked.emission * width) == pytest.approx(np.sum(ours.emission * width), rel=2e-3)
    assert np.sum(asked.transmission * width) == pytest.approx(np.sum(ours.transmission * width), rel=1e-3)
    # line by line: interpolated there and averaged here, each bin has three quarters of itself
    assert np.corrcoef(asked.emission, ours.emission)[0, 1] > 0.95
    assert np.corrcoef(asked.transmission, ours.transmission)[0, 1] > 0.97


def test_a_constant_sky_stays_what_it_is(service):
    """In photon/s/m2/um/arcsec2 and nm, on whatever wavelengths SkyCalc chose."""

    def flat(asked):
        lam = np.linspace(asked["wmin"] - 1, asked["wmax"] + 1, 777)
        columns = [fits.Column(n, "1D", array=a) for n, a in (("lam", lam), ("trans", lam * 0 + 0.8), ("flux", lam))]
        out = io.BytesIO()
        top = fits.PrimaryHDU()
        top.header["COMMENT"] = "x"
        fits.HDUList([top, fits.BinTableHDU.from_columns(columns)]).writeto(out)
        return out.getvalue()

    service(flat)
    found = load.load(ZENITH, PARANAL, WAVE, "skycalc")
    np.testing.assert_allclose(found.transmission, 0.8, rtol=1e-12)
    np.testing.assert_allclose(found.emission, WAVE * 1e3, rtol=1e-6)
    assert any("version unknown" in note for note in found.notes)


def test_what_is_asked(service):
    met = service()
    night = SkyConditions(airmass=1.2, fli=0.25, pwv=3.3, moon_distance=60.0, moon_altitude=50.0, airglow=False)
    found = load.load(night, ARMAZONES, WAVE, "skycalc")
    asked = met.asked
    assert (asked["airmass"], asked["pwv"], asked["pwv_mode"], asked["vacair"]) == (1.2, 3.5, "pwv", "vac")
    assert asked["moon_sun_sep"] == pytest.approx(60.0)
    assert (asked["moon_target_sep"], asked["moon_alt"], asked["incl_moon"]) == (60.0, 50.0, "Y")
    assert (asked["incl_airglow"], asked["observatory"]) == ("N", "3060")
    assert 300.0 <= asked["wmin"] < WAVE[0] * 1e3 < WAVE[-1] * 1e3 < asked["wmax"]
    assert json.loads(json.dumps(asked)) == asked  # the client sends JSON
    assert any("3.3 mm" in note and "3.5 mm" in note for note in found.notes)
    assert any("airglow" in note for note in found.notes)


@pytest.mark.parametrize(("distance", "allowed"), [(180.0, 33.56 + 45.0), (2.0, 45.0 - 33.56), (30.0, 30.0)])
def test_the_moon_is_put_where_it_can_be(distance, allowed, service):
    """|z - z_moon| <= distance <= z + z_moon, or SkyCalc refuses."""
    met = service()
    found = load.load(SkyConditions(airmass=1.2, fli=1.0, moon_distance=distance), PARANAL, WAVE, "skycalc")
    assert met.asked["moon_target_sep"] == pytest.approx(allowed, abs=0.01)
    assert any("Moon" in note for note in found.notes) == (distance != 30.0)


def test_no_moon_is_no_moon(service):
    met = service()
    load.load(SkyConditions(fli=0.0, moon_distance=180.0), PARANAL, WAVE, "skycalc")
    assert met.asked["incl_moon"] == "N"
    assert "moon_target_sep" not in met.asked
    load.load(SkyConditions(fli=1.0, moon_altitude=-10.0), PARANAL, WAVE, "skycalc")
    assert met.asked["incl_moon"] == "N"


def test_another_site_is_said(service):
    service()
    hawaii = Site("Mauna Kea", 19.8, -155.5, 4200.0, 273.0, 615.0, 0.2)
    assert any("4200 m" in note for note in load.load(ZENITH, hawaii, WAVE, "skycalc").notes)


FAILURES = {
    "unreachable": (lambda _: ConnectionError("<object at 0x7f00> host"), "ConnectionError"),
    "refused": (lambda _: "airmass 3.4 is not in 1..3", "airmass 3.4"),
    "no FITS": (lambda _: b"<html>404</html>", "not a SkyCalc table"),
    "empty": (lambda _: b"", "not a SkyCalc table"),
    "elsewhere": (lambda asked: table(asked | {"wmin": 1000.0, "wmax": 1100.0}), "1-1.1 um"),
    "a fault of the client": (lambda _: 1 / 0, "ZeroDivisionError"),
    "the client exits": (lambda _: sys.exit(0), "SystemExit"),
}


@pytest.mark.parametrize("failure", FAILURES)
def test_without_an_answer_the_local_sky_and_a_loud_note(failure, service, capsys):
    answer, reason = FAILURES[failure]
    service(answer)
    found, ours = load.load(ZENITH, PARANAL, WAVE, "skycalc"), sky.load(ZENITH, PARANAL, WAVE)
    np.testing.assert_array_equal(found.emission, ours.emission)
    np.testing.assert_array_equal(found.transmission, ours.transmission)
    assert found.model == ours.model == "local tables (SkyCalc 2.0.9)"
    assert found.notes[0].startswith("WARNING: SkyCalc was asked for and not used")
    assert reason in found.notes[0]
    assert "0x7f" not in found.notes[0]  # the same bytes another time
    assert capsys.readouterr().out == ""  # stdout is for the FITS


def test_a_service_that_hangs_is_left(service, monkeypatch):
    monkeypatch.setattr(skycalc, "PATIENCE", 0.05)
    service(lambda _: time.sleep(0.5))
    begin = time.perf_counter()
    found = load.load(ZENITH, PARANAL, WAVE, "skycalc")
    assert time.perf_counter() - begin < 0.4
    assert "no answer in 0.05 s" in found.notes[0]


def test_without_the_client_a_warning_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "skycalc_cli", None)
    found = load.load(ZENITH, PARANAL, WAVE, "skycalc")
    assert found.model != "skycalc"
    assert found.notes[0].startswith("WARNING: ")
    assert "elvis-cli[skycalc]" in found.notes[0]
    np.testing.assert_array_equal(found.emission, load.load(ZENITH, PARANAL, WAVE).emission)


def test_the_header_always_says_which(service, elvis, micado):
    document = json.dumps(micado({"elvis": {"window": {"x0": 2000, "y0": 2000, "nx": 16, "ny": 16}, "chips": [5]}}))

    def rendered(*options):
        result = elvis(*options, stdin=document)
        assert result.code == 0
        return fits.getheader(io.BytesIO(result.out)), result

    local, _ = rendered()
    assert local["ESO SIM SKY MODEL"] == "local tables (SkyCalc 2.0.9)"
    service(lambda asked: table(asked, SkyConditions(airmass=1.2, fli=0.5, moon_distance=45.0), ARMAZONES))
    asked, result = rendered("--sky", "skycalc")
    assert asked["ESO SIM SKY MODEL"] == "skycalc"
    assert "SkyCalc 2.0.9" in result.err
    assert "SkyCalc 2.0.9" in str(asked["COMMENT"])
    for key in ("ESO SIM SKY RATE", "ESO SIM TARG RATE"):
        assert asked[key] == pytest.approx(local[key], rel=0.01)
    assert json.loads(fits.getdata(io.BytesIO(result.out), "ELVIS_REQUEST")["REQUEST"][0])["elvis"]["sky"] == "skycalc"
    service(lambda _: ConnectionError())
    failed, result = rendered("--sky", "skycalc")
    assert failed["ESO SIM SKY MODEL"] == "local tables (SkyCalc 2.0.9)"
    assert "WARNING: SkyCalc" in result.err
    assert "WARNING: SkyCalc" in str(failed["COMMENT"])
    assert failed["ESO SIM SKY RATE"] == local["ESO SIM SKY RATE"]

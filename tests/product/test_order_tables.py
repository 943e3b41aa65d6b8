"""The tables of a spectrograph's orders tell what the prediction knows, and a file holds those that were asked for."""

from __future__ import annotations

import io
import json

import numpy as np
import pytest
from astropy.io import fits

from elvis_cli import pipeline
from elvis_cli.instrument import registry
from elvis_cli.prediction import series
from elvis_cli.product import order_tables
from elvis_cli.product.fits import Table
from elvis_cli.request import parse

FLAGS = {
    "throughput": ("atmosphere", "telescope", "instrument", "blaze", "enslittedenergy", "encircledenergy", "detector"),
    "snr": ("snr", "noise_components"),
    "sed": ("target", "sky"),
    "signals": ("obstarget", "obssky", "obstotal"),
    "maxsignals": ("maxpixeltarget", "maxpixelsky", "maxpixeltotal"),
    "dispersion": ("dispersion",),
    "psf": ("psf",),
}
ALL = {group: dict.fromkeys((*flags, "totalinclsky"), True) for group, flags in FLAGS.items()}
NAMES = ["THROUGHPUT", "SED", "SIGNALS", "MAXSIGNALS", "DISPERSION", "NOISE_COMPONENTS", "PSF", "SNR"]


@pytest.fixture(scope="module")
def document():
    """Return a request of a cross-dispersed spectrograph for all tables, and a small window."""
    request = registry.load("crires2").example()
    request["instrument"]["orders_list"] = [25, 27]
    request["output"] = ALL
    request["elvis"] = {"window": {"x0": 100, "y0": 900, "nx": 64, "ny": 64}, "chips": [2]}
    return request


@pytest.fixture(scope="module")
def ready(document):
    return pipeline.prepare(parse.read(json.dumps(document)))


@pytest.fixture(scope="module")
def tables(ready):
    found = list(order_tables.tables(ready.series, ready.renderer.light, ready.prediction))
    return {(each.name, {key: value for key, value, _ in each.cards}["EXTVER"]): each for each in found}


def test_a_table_for_each_group_and_order(tables, ready):
    listed = [spectrum.order for spectrum in ready.prediction.listed]
    assert listed
    assert list(tables) == [(name, order) for name in NAMES for order in listed]
    for (name, _), each in tables.items():
        assert isinstance(each, Table)
        assert set(each.columns["CHIP"]) == {1, 2, 3}
        if name != "PSF":
            assert np.all(np.diff(each.columns["WAVELENGTH"]) > 0)
            assert each.units["WAVELENGTH"] == "um"


def test_signals_and_noise_are_those_of_the_prediction(tables, ready):
    for spectrum in ready.prediction.listed:
        signals, noise, ratio, best = (
            tables[name, spectrum.order].columns for name in ("SIGNALS", "NOISE_COMPONENTS", "SNR", "MAXSIGNALS")
        )
        np.testing.assert_allclose(
            noise["TARGET"] ** 2 + noise["SKY"] ** 2 + noise["DARK"] ** 2, signals["OBSTOTAL"], rtol=1e-6
        )
        np.testing.assert_allclose(signals["OBSTARGET"] / noise["TOTAL"], ratio["SNR_SINGLE"], rtol=1e-9)
        np.testing.assert_allclose(ratio["SNR"], ratio["SNR_SINGLE"] * ready.prediction.count**0.5)
        assert np.all(ratio["SNR_OPT"] >= ratio["SNR"] * (1 - 1e-6))
        assert np.all(best["MAXPIXELTARGET"] <= signals["OBSTARGET"] + 1e-9)
        assert np.all(best["MAXPIXELTOTAL"] <= best["MAXPIXELTARGET"] + best["MAXPIXELSKY"] + 10.0)


def test_the_spectrum_through_the_optics_is_the_signal(tables, ready):
    """sed x throughput x enslitted and encircled x area x pixel = electrons, where the spectrum is smooth."""
    order = ready.prediction.listed[0].order
    part, sed, signals, scale = (tables[name, order].columns for name in ("THROUGHPUT", "SED", "SIGNALS", "DISPERSION"))
    metres = sed["WAVELENGTH"] * 1e-6
    photons = sed["TARGET"] * metres / (6.62607015e-34 * 299792458.0)
    step = scale["DISPERSION"] * 1e-9
    rate = photons * part["TOTALINCLSKY"] * part["ENCIRCLEDENERGY"] * step * ready.setup.optics.telescope.area
    measured = np.median(signals["OBSTARGET"] / (rate * ready.setup.exposure.dit))
    assert measured == pytest.approx(1.0, abs=0.02)
    together = part["ATMOSPHERE"] * part["TELESCOPE"] * part["INSTRUMENT"] * part["DETECTOR"] * part["BLAZE"]
    assert np.median(part["TOTALINCLSKY"] / together) == pytest.approx(1.0, abs=0.01)
    assert np.all(part["ENCIRCLEDENERGY"] <= part["ENSLITTEDENERGY"])


def test_a_file_holds_them(document, ready, render):
    data = render(document)
    with fits.open(io.BytesIO(data), checksum=True) as hdus:
        header = hdus[0].header
        assert {hdu.name for hdu in hdus[2:]} == {*NAMES, "ELVIS_VALUES", "ELVIS_REQUEST"}
        for order in (25, 27):
            told = hdus["SNR", order].data
            assert np.median(told["SNR"]) > 0
            assert hdus["SED", order].columns["SKY"].unit == "J s-1 m-2 m-1 arcsec-2"
            assert hdus["DISPERSION", order].columns["DISPERSION"].unit == "nm pixel-1"
        assert header["ESO SIM SNR"] == pytest.approx(ready.prediction.snr, abs=1e-4)


def test_what_a_slit_has_not_and_orders_that_are_not_there(document):
    asked = document | {"output": {"throughput": {"fibinj": True, "blaze": True}}}
    asked["instrument"] = document["instrument"] | {"orders_list": [25, 99]}
    made = pipeline.prepare(parse.read(json.dumps(asked)))
    assert made.series == {"throughput/blaze"}
    assert any("fibinj" in note for note in made.notes)
    assert any("orders 99" in note for note in made.notes)
    assert [spectrum.order for spectrum in made.prediction.listed] == [25]
    first = parse.read(json.dumps(asked | {"output": {"blip": {"blip": True}}}))
    assert series.requested(first.output, made.setup) == ({"snr/noise_components"}, ())

"""HARPS and NIRPS: measured lines, published signal-to-noise ratios, a peer's answers, both arms of one request."""

import json
from pathlib import Path

import numpy as np
import pytest

from elvis_cli import pipeline
from elvis_cli.base.spectral_grid import bin_edges
from elvis_cli.errors import RequestError
from elvis_cli.focalplane.trace import to_pixels
from elvis_cli.instrument import registry
from elvis_cli.light import cells
from elvis_cli.model.elvis_block import Window
from elvis_cli.model.spectrograph import Spectrograph
from elvis_cli.product import header
from elvis_cli.request import parse
from elvis_cli.sky import pointing
from tests.conftest import changed, closure_only
from tests.frames import StandIn

CORPUS = Path(__file__).parents[1] / "data" / "etc" / "harps_nirps_P112_bb5620_ha.json"
LINES = [
    (1, 116, 530.34834, 4023.79), (1, 126, 483.11213, 130.67), (1, 137, 447.90259, 2943.19),
    (1, 148, 414.81816, 3135.86), (1, 160, 384.54055, 4044.02), (2, 89, 691.12264, 3989.02),
    (2, 97, 627.99776, 388.97), (2, 107, 573.60298, 3051.4), (2, 114, 539.47608, 3884.93),
]  # fmt: skip
"""Chip, order, wavelength (nm, air) and column (from 0) of lines of thorium and argon: ivh/PyReduce 07dcb47."""
STARS = [
    ("M2V", "ha", 1.0, 1.0, 9.0, 900, 10.6, 92.4), ("G0V", "ha", 1.0, 1.0, 9.0, 1200, 9.5, 116.2),
    ("B3V", "ha", 1.2, 1.2, 5.0, 300, 9.0, 362.9), ("B3V", "he", 1.2, 1.2, 5.0, 300, 9.0, 373.0),
]  # fmt: skip
"""Type, fibre, seeing, airmass, H, s, I of the star, and the S/N in order 90: ngrieves/NIRPS-ETC 5d1de32."""
ORDERS = [(145, 130.1), (136, 159.6), (124, 188.1), (116, 208.7), (111, 219.1), (93, 228.8), (87, 245.5), (83, 230.9)]
"""S/N of an M4V star of H 6, HA, seeing 1 arcsec, airmass 1.2, 300 s, in the middle of each order: the same."""


def vacuum(air):
    """Return the wavelength (um) in vacuum, Ciddor's formula by N. Piskunov as VALD has it."""
    s2 = 1 / air**2
    return air * (1 + 8.34254e-5 + 2.406147e-2 / (130 - s2) + 1.5998e-4 / (38.9 - s2))


def prepared(changes, arm):
    document = changed(registry.load("harps").example(), {"elvis": {}, "output": {}, **changes})
    document["elvis"]["arm"] = arm
    return pipeline.prepare(parse.read(json.dumps(document)))


def star(sed, band, mag, time, **more):
    return {
        "target/sed/spectrum/params": {"catalog": "Pickles", "id": sed},
        "target/brightness": {"magband": band, "mag": mag, "magsys": "vega"},
        "timesnr/DET1.WIN1.UIT1": time,
        **more,
    }


def middle(spectrum):
    """Return the S/N in the middle 5 % of an order."""
    n = spectrum.wave.size
    return float(np.median(spectrum.single[int(0.475 * n) : int(0.525 * n)]))


@pytest.fixture(scope="module")
def harps():
    return prepared(star("G2V", "V", 6.0, 60, **{"elvis": {"atmosphere": {"seeing": 1.0}}}), "harps")


def test_lines_of_thorium_are_where_they_were_measured(harps):
    setup = harps.setup
    for chip, order, air, column in LINES:
        trace = next(t for t in setup.spectrograph.traces if (t.order, t.aperture) == (order, 0))
        _, y = to_pixels(
            *trace.place(np.array([vacuum(air / 1000)]), np.zeros(1)), setup.detector.chip(chip), setup.detector
        )
        assert 4095 - y[0] == pytest.approx(column, abs=0.1)  # PyReduce turns the frame


def test_seventy_two_orders_of_two_fibres(harps):
    graph = harps.setup.spectrograph
    assert {t.order for t in graph.traces} == set(range(89, 162)) - {115}
    assert len(graph.traces) == 144
    assert (graph.apertures[1].x, graph.apertures[1].offset) == (114.0, pytest.approx(17.3 * 0.25))


def test_the_published_signal_to_noise_ratio(harps):
    order = next(one for one in harps.prediction.orders if one.order == 111)
    at = abs(order.wave - 0.55) < 1e-3
    assert np.median(order.single[at]) == pytest.approx(110, rel=0.15)


@pytest.mark.parametrize(
    ("arm", "key", "mode", "power"),
    [("harps", "HARPS", "ham", 115e3), ("harps", "HARPS", "eggs", 80e3), ("nirps", "NIRPS", "ha", 80e3),
     ("nirps", "NIRPS", "he", 70e3)],
)  # fmt: skip
def test_resolving_powers(arm, key, mode, power):
    document = changed(registry.load("harps").example(), {f"instrument/INS.{key}.MODE": mode})
    document["elvis"] = {"arm": arm}
    setup = pipeline.configure(parse.read(json.dumps(document)))
    assert setup.spectrograph.resolving_power(setup.optics.band, 0.015) == pytest.approx(power, rel=0.05)


@pytest.fixture
def only(monkeypatch):
    """Return a function after which some orders alone are predicted: all of NIRPS's take seconds."""
    near = Spectrograph.near

    def choose(*orders):
        def chosen(graph, *place):
            return [number for number in near(graph, *place) if graph.traces[number].order in orders]

        monkeypatch.setattr(Spectrograph, "near", chosen)

    return choose


@pytest.mark.parametrize(("sed", "mode", "seeing", "airmass", "mag", "time", "i_mag", "snr"), STARS)
def test_nirps_agrees_with_its_own_calculator(only, sed, mode, seeing, airmass, mag, time, i_mag, snr):
    only(90)
    more = {"instrument/INS.NIRPS.MODE": mode, "sky/airmass": airmass, "seeing/SEQ.NGS.MAG": i_mag}
    more["elvis"] = {"atmosphere": {"seeing": seeing}, "window": {"x0": 0, "y0": 0, "nx": 64, "ny": 64}}
    orders = prepared(star(sed, "H", mag, time, **more), "nirps").prediction.orders
    assert middle(next(one for one in orders if one.order == 90)) == pytest.approx(snr, rel=0.15)


def test_nirps_agrees_order_by_order(only):
    """At 1.465 and 1.48 um by the mean of the light: half of it is lost in lines, which the peer does not resolve.

    In orders 101 and 102, 1.42-1.44 um, where it lets through 2 % of its light, no column of water meets both.
    """
    only(98, 99, *(number for number, _ in ORDERS))
    more = {"instrument/INS.NIRPS.MODE": "ha", "seeing/SEQ.NGS.MAG": 8.0, "elvis": {"atmosphere": {"seeing": 1.0}}}
    orders = {one.order: one for one in prepared(star("M4V", "H", 6.0, 300, **more), "nirps").prediction.orders}
    for number, snr in ORDERS:
        assert middle(orders[number]) == pytest.approx(snr, rel=0.15)
    for number, snr in ((99, 189.3), (98, 174.2)):
        light = orders[number].target[int(0.475 * 3636) : int(0.525 * 3636)]
        assert middle(orders[number]) * np.sqrt(light.mean() / np.median(light)) == pytest.approx(snr, rel=0.155)


COUPLING = {"ha": (0.674, 0.618, 0.481, 0.298), "he": (0.775, 0.770, 0.701, 0.655)}
"""Fraction of a star's light in the fibre at 1.25 um, seeing 0.9 arcsec, for I = 9, 10, 11, 12: ngrieves/NIRPS-ETC."""


@pytest.mark.parametrize("mode", COUPLING)
def test_coupling_falls_with_seeing_and_with_a_fainter_guide_star(mode):
    def coupling(seeing, mag):
        changes = {"instrument/INS.NIRPS.MODE": mode, "seeing/SEQ.NGS.MAG": mag}
        document = changed(registry.load("harps").example(), changes)
        document["elvis"] = {"arm": "nirps", "atmosphere": {"seeing": seeing}}
        return float(pipeline.configure(parse.read(json.dumps(document))).spectrograph.coupling.at(np.array([1.25]))[0])

    assert [coupling(0.9, mag) for mag in (9, 10, 11, 12)] == pytest.approx(COUPLING[mode], abs=0.002)
    assert coupling(0.7, 9.0) > coupling(1.2, 9.0) > coupling(1.2, 12.0)


class TestArms:
    def test_the_driver_s_file_is_written_and_both_are_named(self):
        request = parse.read(CORPUS.read_bytes())
        plugin = registry.load(request.instrument)
        assert plugin.arms(request) == ("nirps", "harps")
        setup = plugin.configure(request)
        assert (setup.arm, setup.header["INSTRUME"]) == ("nirps", "NIRPS")
        assert setup.spectrograph.apertures[0].diameter == 0.4  # of its own section, mode ha
        assert setup.goal.orders == ("142", "119", "89")
        other = plugin.configure(request.of_arm("harps"))
        assert (other.arm, other.goal.orders) == ("harps", ("111",))
        assert other.exposure.dit == setup.exposure.dit == 1440

    def test_an_arm_that_is_not_active_has_no_file(self):
        document = json.loads(CORPUS.read_text())
        document["instrument"]["nirps"]["isActive"] = False
        request = parse.read(json.dumps(document))
        plugin = registry.load("harps")
        assert plugin.arms(request) == ("harps",)
        assert plugin.configure(request).arm == "harps"
        with pytest.raises(RequestError):
            plugin.configure(request.of_arm("nirps"))

    def test_a_wrong_mode_of_a_section_is_an_error(self):
        document = json.loads(CORPUS.read_text())
        document["instrument"]["harps"]["mode"] = "hamm"
        with pytest.raises(RequestError) as error:
            registry.load("harps").configure(parse.read(json.dumps(document)))
        assert error.value.details["nearest"] == "ham"


@pytest.mark.parametrize(
    ("reference", "calibration", "harps", "nirps"),
    [
        ("sky", "", "STAR,SKY,G2V", "OBJECT,SKY"),
        ("dark", "", "STAR,DARK,G2V", "OBJECT,DARK"),
        ("fp", "", "STAR,WAVE,G2V", "OBJECT,FP"),
        ("sky", "flat", "LAMP,LAMP,TUN", "FLAT,LAMP,LAMP"),
        ("dark", "flat", "LAMP,DARK,TUN", "FLAT,LAMP,DARK"),
        ("sky", "arc", "WAVE,WAVE,THAR2", "WAVE,UN1,UN1"),
    ],
)
def test_the_type_of_a_frame_is_that_of_the_archive(reference, calibration, harps, nirps):
    """By ivh/PyReduce and rabrahm/ceres, which reduce HARPS's frames, and njcuk9999/apero-drs, which does NIRPS's."""
    keys = {"instrument/INS.HARPS.REF": reference, "instrument/INS.NIRPS.REF": reference}
    for arm, expected in (("harps", harps), ("nirps", nirps)):
        document = changed(registry.load("harps").example(), keys)
        document["elvis"] = {"arm": arm} | ({"calibration": calibration} if calibration else {})
        asked = parse.read(json.dumps(document))
        setup = pipeline.configure(asked)
        exposure = pointing.observe(asked.elvis, setup)
        cards = {keyword: value for keyword, value, _ in header.primary(asked, setup, StandIn(), exposure)}
        assert cards["ESO DPR TYPE"] == expected


def test_a_flat_of_one_fibre_lights_that_one_alone():
    document = changed(registry.load("harps").example(), {"instrument/INS.HARPS.REF": "dark"})
    document["elvis"] = {"arm": "harps", "calibration": "flat"}
    ready = pipeline.prepare(parse.read(json.dumps(document)))
    chip, window = ready.setup.detector.chip(1), Window(800, 2000, 200, 8)
    row = ready.renderer.illuminate(chip, window).astype(float).sum(axis=0)
    seen = ready.renderer.wavelengths(chip, window).aperture
    lit = [row[(seen == fibre).any(axis=0)].sum() for fibre in (0, 1)]
    assert lit[1] < 0.02 * lit[0]


@closure_only
def test_a_star_behind_the_iodine_cell_has_the_lines_of_the_gas():
    """In order 109, 0.56 um: the losses of the windows, and the gas's lines at rest whatever the star's velocity."""
    document = registry.load("harps").example()
    document["target"]["sed"]["redshift"] = {"redshift": 3e-4}
    spectra = []
    for cell in ("none", "iodine"):
        document["instrument"]["INS.HARPS.CELL"] = cell
        ready = pipeline.prepare(parse.read(json.dumps(document)))
        assert any("real iodine" in note for note in ready.notes) == (cell == "iodine")
        spectra.append(next(order for order in ready.prediction.orders if order.order == 109))
    star, behind = (one.target[500:-500] for one in spectra)
    wave = spectra[0].wave[500:-500]
    passed = cells.transmission("iodine", bin_edges(wave))
    sigma = 3.4 / 2.3548  # pixels: R = 113 000
    kernel = np.exp(-0.5 * (np.arange(-9, 10) / sigma) ** 2)
    expected = np.convolve(passed, kernel / kernel.sum(), "same")
    assert np.sum(behind) / np.sum(star) == pytest.approx(0.86 * passed.mean(), rel=0.02)
    assert np.corrcoef(behind / star, expected)[0, 1] > 0.98
    assert np.std(behind / star) == pytest.approx(0.86 * np.std(expected), rel=0.1)

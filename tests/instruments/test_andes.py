"""ANDES: the consortium's order positions, resolving power, fibres of both modes, bands of one exposure."""

import json
from dataclasses import replace

import numpy as np
import pytest

from elvis_cli import pipeline
from elvis_cli.detector import steps
from elvis_cli.errors import RequestError
from elvis_cli.focalplane.trace import to_pixels
from elvis_cli.instrument import registry
from elvis_cli.light import calibration
from elvis_cli.model.elvis_block import Window
from elvis_cli.request import parse
from tests.conftest import changed

R1 = [
    (81, 757.8762, 3203.97), (82, 749.6141, 3907.9), (83, 742.2609, 5241.76), (85, 720.0972, 1520.64),
    (88, 696.4375, 2084.47), (89, 693.9344, 6707.69), (92, 664.8472, 967.47), (95, 644.6544, 1515.22),
    (96, 642.804, 5949.39), (98, 629.0524, 5231.88),
]  # fmt: skip
"""Order, wavelength (nm) and column of the middle fibre: the consortium's optical model R1, ivh/ANDES_simulator."""
ROWS = {
    "u": (115, 8590.2), "b": (94, 8688.8), "v": (74, 8713.3), "r": (81, 8664.2), "iz": (65, 8422.5),
    "y": (109, 3847.6), "j": (90, 3778.0), "h": (68, 3789.0),
}  # fmt: skip
"""Reddest order of each band, and the row of its middle fibre at the middle column: the consortium's models."""
RINGS = (1, 6, 12, 18, 24)
STARS = frozenset({"stars"})


def request(mode="seeing", changes=None, **elvis):
    document = changed(registry.load("andes").example(mode), {"output": {}, **(changes or {})})
    return parse.read(json.dumps({**document, "elvis": elvis}))


def configured(mode="seeing", changes=None, **elvis):
    return pipeline.configure(request(mode, changes, **elvis))


def place(setup, order, wave):
    trace = next(t for t in setup.spectrograph.traces if t.order == order)
    detector = setup.detector
    return to_pixels(*trace.place(np.asarray(wave), np.zeros(len(wave))), detector.chip(1), detector)


def test_wavelengths_in_r_are_those_of_the_model():
    setup = configured(arm="r")
    columns = [float(place(setup, order, [nm / 1000])[0][0]) for order, nm, _ in R1]
    assert columns == pytest.approx([column for *_, column in R1], abs=4.0)


@pytest.mark.parametrize("arm", ROWS)
def test_orders_lie_on_their_rows_with_a_resolving_power_of_100_000(arm):
    setup = configured(arm=arm)
    order, row = ROWS[arm]
    trace = next(t for t in setup.spectrograph.traces if t.order == order)
    x, y = place(setup, order, np.linspace(*trace.wave, 400))
    assert np.interp((setup.detector.nx - 1) / 2, x, y) == pytest.approx(row, abs=1.0)
    assert setup.spectrograph.resolving_power(setup.optics.band, 0.015) == pytest.approx(1e5, rel=0.05)


def test_the_slits_hold_the_fibres_of_the_tables():
    for arm, fibres, pitch in (("v", 66, 4.2), ("h", 75, 2.25)):
        setup = configured(arm=arm)
        target, sky, lamp = setup.spectrograph.apertures
        places = np.array([*target.images, *sky.images, *lamp.images]) / (pitch * setup.optics.pixel_scale)
        assert (len(target.images), len(sky.images)) == (31, 31)
        assert np.ptp(places) <= fibres - 1 + 1e-9
        assert np.unique(np.rint(places)).size == places.size == pytest.approx(np.rint(places).size)
        assert max(target.images) < min(sky.images)


def test_the_spaxels_are_rings_of_a_hexagon():
    for mas in (5, 10, 30, 100):
        apertures = configured("ifu", {"instrument/INS.SCALE.NAME": str(mas)}).spectrograph.apertures
        spaxels = apertures[:61]
        x, y = (np.array([getattr(one, axis) for one in spaxels]) / (mas / 1000) for axis in "xy")
        distance = np.hypot(x, y)
        ends = np.cumsum(RINGS)
        for ring, (end, count) in enumerate(zip(ends, RINGS, strict=True)):
            inner, outer = ring * np.sqrt(0.75), ring
            assert np.all((distance[end - count : end] > inner - 1e-6) & (distance[end - count : end] < outer + 1e-6))
        gaps = np.hypot(x[:, None] - x, y[:, None] - y)
        assert np.sort(gaps, axis=1)[:, 1] == pytest.approx(1.0)
        assert [one.feed for one in apertures[61:]] == ["dark"]


def drawn(order, changes=None, parts=steps.PARTS, **elvis):
    """Return the light of one order of Y in a few columns, electrons/s/pixel."""
    wanted = request(changes=changes, arm="y", **elvis)
    setup = pipeline.configure(wanted)
    traces = tuple(one for one in setup.spectrograph.traces if one.order == order)
    setup = replace(setup, spectrograph=replace(setup.spectrograph, traces=traces))
    wanted, setup = calibration.arrange(wanted, setup)
    lit, light = calibration.illuminate(wanted, setup)
    spectrometer = pipeline._spectrometer(lit, light, setup.spectrograph)
    return spectrometer.illuminate(setup.detector.chip(1), Window(2000, 1400, 64, 600), parts).astype(float)


def test_the_31_fibres_have_as_much_of_the_star_wherever_it_is_in_the_aperture():
    frames = [drawn(118, parts=STARS, offset=place) for place in ([0.0, 0.0], [0.15, -0.1])]
    ratio = frames[1].sum() / frames[0].sum()
    assert 0.5 < ratio < 0.99
    assert frames[1] / ratio == pytest.approx(frames[0], abs=1e-3 * frames[0].max())
    lit = np.flatnonzero(frames[0][:, 32] > 0.5 * frames[0][:, 32].max())
    assert lit.size == np.ptp(lit) + 1 == pytest.approx(31 * 2.25, abs=1.5)


def test_a_lamp_shines_into_the_calibration_fibres_alone():
    lamp, dark = (drawn(118, {"instrument/INS.CAL.NAME": name}).sum(axis=1) for name in ("fp", "dark"))
    more = lamp - dark
    lit = np.flatnonzero(more > 0.1 * more.max())
    groups = np.split(lit, np.flatnonzero(np.diff(lit) > 1) + 1)
    assert [group.size for group in groups] == pytest.approx([6, 10, 6], abs=3)  # 1, 37 to 39, 75 of 75 fibres
    assert groups[2].mean() - groups[0].mean() == pytest.approx(74 * 2.25, abs=0.5)


def test_a_flat_is_as_bright_in_calibration_fibres_as_in_those_that_share_the_object():
    lit = drawn(118, {"instrument/INS.CAL.NAME": "fp"}, calibration="flat")[:, 32]
    rows = np.flatnonzero(lit > 0.4 * lit.max())
    groups = [lit[group] for group in np.split(rows, np.flatnonzero(np.diff(rows) > 1) + 1)]
    assert len(groups) == 5  # 1; 4 to 34; 37 to 39; 42 to 72; 75 of 75 fibres
    assert [group.max() / lit.max() for group in groups] == pytest.approx([0.85, 1.0, 0.95, 1.0, 0.85], abs=0.15)


def test_a_request_is_an_exposure_of_all_bands():
    plugin = registry.load("andes")
    assert sorted(plugin.arms(request())) == sorted(ROWS)
    assert plugin.arms(request("ifu")) == ("j", "y", "h")
    with pytest.raises(RequestError) as error:
        plugin.configure(request(arm="k"))  # no model of it is public
    assert "h" in error.value.details["allowed"]


def test_a_comb_has_no_lines_in_u():
    with pytest.raises(RequestError):
        configured(arm="u", calibration="comb")
    assert configured(arm="u", calibration="fabry-perot").header["ESO DPR TYPE"] == "WAVE,FP"
    assert configured("ifu", calibration="arc").header["ESO DPR TECH"] == "ECHELLE,IFU"

"""4MOST: the bins of its documentation, its documented S/N, fibres on the sources of a catalogue."""

import json

import numpy as np
import pytest

from elvis_cli import pipeline
from elvis_cli.focalplane.trace import to_pixels
from elvis_cli.instrument import registry
from elvis_cli.model.elvis_block import Window
from elvis_cli.request import parse
from tests.conftest import changed

BINS = {
    ("lrs", "blue"): (370.81, 462.61), ("lrs", "green"): (524.86, 623.36), ("lrs", "red"): (692.15, 821.58),
    ("hrs", "blue"): (392.80, 414.96), ("hrs", "green"): (516.27, 545.69), ("hrs", "red"): (610.32, 645.32),
}  # fmt: skip
"""Wavelengths (nm) of the bins 25 and 2950, from 0: 4MOST ETC documentation, escience.aip.de."""
RESOLUTIONS = {
    ("lrs", "blue"): ((370, 554), (4000, 6000)), ("lrs", "green"): ((524, 721), (4300, 6200)),
    ("lrs", "red"): ((691, 950), (5000, 7800)), ("hrs", "blue"): ((392.6, 435.5), (18500, 21000)),
    ("hrs", "green"): ((516, 573), (18500, 21000)), ("hrs", "red"): ((610, 679), (18500, 21000)),
}  # fmt: skip
"""Wavelengths (nm) and R at the ends of the arms: eso.org, and SPIE 10.1117/12.2561487."""
A0V = {
    "target/sed/spectrum/params": {"catalog": "Pickles", "id": "A0V"},
    "target/brightness": {"magband": "V", "mag": 16, "magsys": "AB"},
    "instrument/RESOLUTION": "lrs",
    "sky": {"airmass": 1.05, "fli": 0.5, "waterVapour": 2.5, "moonDistance": 60},
    "timesnr": {"DET1.UIT1": 1200, "SEQ.NEXPO": 1},
}
STARS = frozenset({"stars"})


def request(changes, **elvis):
    document = changed(registry.load("fourmost").example(), {"output": {}, **changes})
    return parse.read(json.dumps({**document, "elvis": elvis}))


@pytest.mark.parametrize(("resolution", "arm"), BINS)
def test_bins_have_the_documented_wavelengths(resolution, arm):
    setup = pipeline.configure(request({"instrument/RESOLUTION": resolution}, arm=arm))
    trace, detector = setup.spectrograph.traces[0], setup.detector
    wave = np.array(BINS[resolution, arm]) / 1000
    x, _ = to_pixels(*trace.place(wave, np.zeros(2)), detector.chip(1), detector)
    assert x == pytest.approx([25, 2950], abs=0.65)  # to 0.01 nm


@pytest.mark.parametrize(("resolution", "arm"), BINS)
def test_resolving_powers_are_those_of_the_tables(resolution, arm):
    """To 5 % at the beginning, the middle and the end of each arm: R rises evenly between the published ends."""
    setup = pipeline.configure(request({"instrument/RESOLUTION": resolution}, arm=arm))
    graph = setup.spectrograph
    wave, power = (np.linspace(*each, 3) for each in RESOLUTIONS[resolution, arm])
    width = graph.line_widths(graph.apertures[0], wave / 1000)
    here = wave / 1000 / (graph.traces[0].dispersion(wave / 1000, 0.0, 0.015) * width)
    assert here == pytest.approx(power, rel=0.05)


def test_the_documented_signal_to_noise_ratio():
    """The documentation: S/N 11.39 at 952.39 nm, 238.9 electrons of star and sky in all."""
    order = pipeline.prepare(request(A0V, arm="red")).prediction.orders[0]
    near = abs(order.wave - 0.95239) < 3e-4
    assert np.median(order.single[near]) == pytest.approx(11.39, rel=0.1)
    assert np.median((order.target + order.sky)[near]) == pytest.approx(238.9, rel=0.1)


def test_each_source_of_a_catalogue_has_a_fibre_and_the_rest_see_the_sky():
    x, y = [0.0, 1200.0, -3000.0, 3010.0, 6000.0, 1205.0], [0.0, 300.0, 100.0, -2000.0, 0.0, 300.0]
    catalogue = {"x": x, "y": y, "mag": [15.0] * 6}
    ready = pipeline.prepare(request(A0V, arm="green", catalogue=catalogue))
    notes = " ".join(ready.notes)
    assert "1 targets without a fibre: outside of the field" in notes
    assert "1 targets without a fibre: 17 arcsec or less" in notes
    apertures = ready.setup.spectrograph.apertures
    assert [one.feed for one in apertures] == ["sky"] * 812 + ["dark"]
    on_target = {(a.x, a.y): n for n, a in enumerate(apertures)}
    numbers = [on_target[place] for place in zip(x[:4], y[:4], strict=True)]
    assert max(abs(n - 405.5) for n in numbers) < 3
    window = Window(3000, 3072 - 100, 40, 200)
    image = ready.renderer.illuminate(ready.setup.detector.chip(1), window, STARS).astype(float).sum(axis=1)
    lit = [image[abs(np.arange(200) - 99.5 - 7.4 * (n - 405.5)) < 3.7].sum() for n in numbers]
    expected = [apertures[n].transmission for n in numbers]
    assert np.array(lit) / lit[0] == pytest.approx(np.array(expected) / expected[0], rel=0.02)
    assert sum(lit) > 0.99 * image.sum()


def test_ten_calibration_fibres_at_the_ends_of_the_slit_see_their_lamp_alone():
    light = {}
    for name in ("dark", "fp"):
        ready = pipeline.prepare(request({"instrument/INS.CAL.NAME": name}, arm="green"))
        for row in (10, 3000):
            window = Window(3000, row, 200, 100)
            light[name, row] = ready.renderer.illuminate(ready.setup.detector.chip(1), window).astype(float)
    assert light["fp", 3000] == pytest.approx(light["dark", 3000], rel=1e-5)
    assert 0.02 * 65535 < light["fp", 10].max() * 1800 < 0.11 * 65535  # filled by a tenth, less what blurs the maxima
    lit = np.flatnonzero(light["fp", 10].sum(axis=1) > 0.3 * light["fp", 10].sum(axis=1).max())
    middles = [group.mean() for group in np.split(lit, np.flatnonzero(np.diff(lit) > 1) + 1)]
    assert np.diff(middles) == pytest.approx([7.4] * 4, abs=1.1)
    assert ready.setup.spectrograph.apertures[-1].images[0] == pytest.approx(
        -ready.setup.spectrograph.apertures[-1].images[-1]
    )


def test_all_arms_take_the_same_exposure():
    one = request(A0V)
    plugin = registry.load("fourmost")
    assert plugin.arms(one) == ("blue", "green", "red")
    setups = [plugin.configure(one.of_arm(arm)) for arm in plugin.arms(one)]
    assert {s.exposure.dit for s in setups} == {1200}
    assert [s.header["ESO INS PATH"] for s in setups] == ["BLUE", "GREEN", "RED"]

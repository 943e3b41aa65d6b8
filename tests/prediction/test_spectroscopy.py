"""The prediction for a spectrograph: median S/N in the window, NDIT for a ratio, the cards; with made-up light."""

from __future__ import annotations

import json
import math
import tracemalloc
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from elvis_cli import pipeline
from elvis_cli.base.curve import Curve
from elvis_cli.errors import RequestError
from elvis_cli.instrument import configure, registry
from elvis_cli.instrument.sourced_table import SourcedTable
from elvis_cli.model.spectrograph import Aperture, Spectrograph, Trace
from elvis_cli.prediction import extraction, noise, spectroscopy
from elvis_cli.request import parse
from tests import setups
from tests.prediction.test_extraction import PIXEL, samples

SLIT = (Aperture(0.0, 0.0, 2.1, 0.4),)
ONES = Curve(np.array([0.0, 9.0]), np.ones(2))


def trace(order, aperture=0):
    flat = np.zeros((1, 1))
    return Trace(order, aperture, (1.0, 3.0), 2.0, 1.0, 0.0, 1.0, flat, flat, ONES)


@pytest.fixture
def ready(micado):
    """Return (spectrometer, target, line) of a made-up spectrograph: ``ready(light by trace, apertures)``."""

    def run(light, apertures=SLIT, kind="slit", orders=None, changes=None, keys=None):
        request = parse.read(json.dumps(micado({"timesnr/DET.NDIT": 4} | (changes or {}))))
        setup = pipeline.configure(replace(request, keys={**request.keys, **(keys or {})}))
        orders = orders or [(3 + n, 0) for n in range(len(light))]
        spectrograph = Spectrograph(tuple(apertures), tuple(trace(*o) for o in orders), dispersion_scale=0.1, kind=kind)
        setup = setups.change(setup, spectrograph=spectrograph, pixel_scale=PIXEL)
        budget = SimpleNamespace(sky_model="none", resolved=None, wave=[1.0, 3.0], groups={"optics": [0.5, 0.5]})
        psf = SimpleNamespace(fwhm=0.2)
        lit = SimpleNamespace(setup=setup, budget=budget, target=SimpleNamespace(density=[1e4, 1e4]))
        made = SimpleNamespace(light=lit, psf=psf, spectrograph=spectrograph)
        made.scene = SimpleNamespace(centre=request.elvis.offset)
        made.samples = lambda number, reach: light[number]
        made.beyond = lambda near: ([1.0, 3.0], [0.1 * (len(apertures) - len(near)), 0.0])
        sed = request.target.sed
        return made, request.target, sed if sed.kind == "emissionline" else None

    return run


def test_it_is_the_median_of_all_pixels(ready):
    p = spectroscopy.predict(*ready([samples(), samples(begin=2.2, rate=20.0)]))
    ratios = np.concatenate([order.single for order in p.orders])
    assert p.snr == pytest.approx(2 * np.median(ratios))
    assert p.snr_single == pytest.approx(np.median(ratios))
    assert p.aperture_pix == 5  # 2 FWHM = 4 pixels, made odd
    assert [order.order for order in p.orders] == [3, 4]
    assert p.best()[0] == 4
    assert p.best()[1] == pytest.approx(2 * np.median(p.orders[1].single))
    assert p.target_rate == pytest.approx(40 * 1.5 * 22.0, rel=1e-3)


def test_the_window_chooses_and_the_count_is_the_least_that_reaches_it(ready):
    light = [samples(), samples(begin=2.2, rate=20.0)]
    for window, order in (((2190, 2300), 1), ((1990, 2100), 0)):
        wish = {"snr": {"snr": 100, "wavelengthmin": window[0], "wavelengthmax": window[1]}}
        p = spectroscopy.predict(*ready(light, changes={"timesnr": {"DET.DIT": 60, **wish}}))
        assert p.solved
        ratio = np.median(p.orders[order].single)
        assert ratio * math.sqrt(p.count) >= 100 > ratio * math.sqrt(p.count - 1)
        assert p.snr == pytest.approx(ratio * math.sqrt(p.count))
    part = {"snr": 100, "wavelengthmin": 2010.5, "wavelengthmax": 2020.5}
    p = spectroscopy.predict(*ready(light, changes={"timesnr": {"DET.DIT": 60, **part}}))
    assert p.inside.wave.size == 10


def test_all_orders_in_the_window_count(ready):
    light = [samples(), samples(begin=2.02, rate=20.0)]
    p = spectroscopy.predict(*ready(light, changes={"timesnr": {"DET.DIT": 60, "snr": 9, "wavelengthmin": 2030}}))
    assert p.inside.wave.size == 10 + 30


@pytest.mark.parametrize("asked", [{"snr": 9}, {"DET.NDIT": 1}])
def test_a_window_that_no_order_sees_is_told_of(ready, asked):
    window = {"wavelengthmin": 2500, "wavelengthmax": 2600}
    p = spectroscopy.predict(*ready([samples()], changes={"timesnr": {"DET.DIT": 60, **asked, **window}}))
    assert any("no order sees 2500 to 2600 nm, what is seen lies within 2000 to 2039 nm" in note for note in p.notes)
    assert p.inside.wave.size == 40


def test_a_window_within_a_pixel_is_that_pixel_s(ready):
    window = {"wavelengthmin": 2010.2, "wavelengthmax": 2010.3}
    p = spectroscopy.predict(*ready([samples()], changes={"timesnr": {"DET.DIT": 60, "DET.NDIT": 1, **window}}))
    np.testing.assert_allclose(p.inside.wave, 2.01)
    assert p.notes == ()


def test_of_a_line_the_ratio_is_meant_where_it_shines(ready):
    """Within the width on the detector: its own 3 nm, and 4 pixels of 1 nm of the slit, in quadrature."""
    line = {"sedtype": "emissionline", "emissionline": {"params": {"lambda": 1010.05, "fwhm": 1.5}}}
    line |= {"redshift": {"redshift": 1.0}}
    flux = {"target/sed": line, "target/brightness": {"brightnesstype": "flux", "flux": 1e-18}}
    p = spectroscopy.predict(*ready([samples()], changes=flux))
    assert p.inside.wave.min() == pytest.approx(2.018)
    assert p.inside.wave.max() == pytest.approx(2.022)
    asked = flux | {"timesnr": {"DET.DIT": 60, "DET.NDIT": 1, "wavelengthmin": 2000, "wavelengthmax": 2005.5}}
    assert spectroscopy.predict(*ready([samples()], changes=asked)).inside.wave.max() == pytest.approx(2.005)
    beyond = flux | {"target/sed": line | {"redshift": {"redshift": 3.0}}}
    assert spectroscopy.predict(*ready([samples()], changes=beyond)).inside.wave.size == 40


def test_light_beside_the_aperture_is_told_of(ready):
    lost = samples(rate=1e-9)
    lost.enslitted[:] = 2e-7
    (note,) = spectroscopy.predict(*ready([lost])).notes
    assert "2e-07 of the target's light falls into the aperture" in note
    endless = {"target/morphology": {"morphologytype": "extended", "extendedtype": "infinite"}}
    p = spectroscopy.predict(*ready([lost], changes=endless))
    assert p.notes == ()
    assert [text for key, _, text in p.cards() if key == "ESO SIM APER ENSLIT"] == ["[arcsec2] of the sky in the slit"]


@pytest.mark.parametrize("given", [["3"], [3, None], {"0": "3"}, [3.0]])
def test_orders_may_be_named_in_any_way(ready, given):
    p = spectroscopy.predict(*ready([samples(), samples(begin=2.2)], keys={"orders_list": given}))
    assert ([order.order for order in p.listed], p.notes) == ([3], ())


def test_what_is_no_order_is_told_of(ready):
    p = spectroscopy.predict(*ready([samples()], keys={"orders_list": [3, {"a": 1}, True, "1" * 5000]}))
    assert [order.order for order in p.listed] == [3]
    (note,) = p.notes
    assert note.startswith("orders {'a': 1}, True, 111111")
    assert len(note) < 140


def test_nothing_is_never_less_than_nothing(ready):
    """Where there is no light a transform leaves a little of either sign."""
    p = spectroscopy.predict(*ready([samples(rate=-1e-7)]))
    assert str(p.snr) == "0.0"


def test_what_nothing_reaches(ready):
    p = spectroscopy.predict(*ready([samples(rate=1e-9)], changes={"timesnr": {"DET.DIT": 60, "snr": 1e5}}))
    assert p.count == 0
    off = samples()
    off.chip[:] = 0
    with pytest.raises(RequestError, match="no order falls on a chip"):
        spectroscopy.predict(*ready([off]))


def test_the_first_generation_asks_of_the_central_pixel(ready, micado):
    request, facts = parse.read(json.dumps(micado())), SourcedTable({}, "t", root={})
    for aperture, diameter in ((None, 1), (7, 7)):
        quality = replace(request.image_quality, aperture_pix=aperture)
        first = replace(request, generation=1, image_quality=quality)
        spectrometer, *rest = ready([samples()])
        goal = configure.make_goal(facts, first, spectral=True)
        spectrometer.light.setup = replace(spectrometer.light.setup, goal=goal)
        p = spectroscopy.predict(spectrometer, *rest)
        assert (p.aperture_pix, p.orders[0].npix[0]) == (diameter, pytest.approx(diameter))


def test_a_circle_on_the_slices(ready):
    """Slices of 0.2 arcsec on pixels of 0.1: half as many pixels as in the circle, wherever the target is."""
    apertures = [Aperture((k - 4) * 0.2, 0.0, 2.1, 0.2) for k in range(9)]
    light = [samples(rate=math.exp(-((k - 4) ** 2))) for k in range(9)]
    made = ready(light, apertures, "ifu", [(1, k) for k in range(9)], {"seeing/aperturepix": 13})
    p = spectroscopy.predict(*made)
    assert len(p.orders) == 1
    assert p.orders[0].npix[0] == pytest.approx(math.pi * 13**2 / 4 / 2, rel=0.01)
    wide = sum(float(part.target.sum()) for part in light)
    assert p.target_rate == pytest.approx(wide, rel=1e-6)
    made[0].scene.centre = (0.2, 0.0)
    assert spectroscopy.predict(*made).orders[0].npix[0] == pytest.approx(p.orders[0].npix[0], rel=0.05)


def test_of_several_slits_that_with_the_target_counts_of_fibres_all_near(ready):
    three = [Aperture(x, 0.0, 2.1, 0.3) for x in (-0.3, 0.0, 3.0)]
    light = [samples(rate=0.0), samples(), samples(rate=0.0)]
    orders = [(1, n) for n in range(3)]
    assert spectroscopy.predict(*ready(light, three, "mos", orders)).orders[0].npix[0] == pytest.approx(5.0)
    bundle = [replace(aperture, length=0.3, fibre=True) for aperture in three]
    p = spectroscopy.predict(*ready(light, bundle, "mos", orders, {"seeing/aperturepix": 7}))
    assert p.orders[0].npix[0] == 2 * 21


def test_no_spectra_are_kept_of_orders_that_are_summed(ready):
    """An integral field of 61 fibres in 18 orders took 1.4 GB, more than twice all of its spectra."""
    fibres = [Aperture(0.3 * n, 0.0, 0.3, 0.3, fibre=True) for n in range(12)]
    orders = [(m, n) for m in range(24) for n in range(12)]
    made = ready([samples()] * len(orders), fibres, "ifu", orders)
    single = spectroscopy.predict(*made).orders[0]
    spectra = len(orders) * sum(getattr(single, name).nbytes for name in extraction._ARRAYS)
    tracemalloc.start()
    try:
        spectroscopy.predict(*made)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < spectra / 2


def test_apertures_far_from_the_target_are_left_alone(ready):
    """A slice with 32 pixels between it and the target is the last; of none so near, the nearest is taken."""
    apertures = [Aperture(0.2 * k, 0.0, 2.0, 0.2) for k in range(40)]
    spectrograph = ready([samples()] * 40, apertures, "ifu", [(1, k) for k in range(40)])[0].spectrograph
    assert spectrograph.near((0.0, 0.0), 3.2) == list(range(17))
    assert spectrograph.near((0.0, 4.21), 3.2) == list(range(17))
    assert spectrograph.near((-50.0, 0.0), 3.2) == [0]


def test_the_limit_has_the_ratio_five(ready):
    p = spectroscopy.predict(*ready([samples(), samples(begin=2.2, rate=0.5)]))
    factor = 10 ** (-0.4 * (p.limit - 20.0))
    assert np.median(p.inside.scaled(factor)) * math.sqrt(p.count) == pytest.approx(noise.DETECTION_SNR, rel=1e-6)
    bright, faint = (spectroscopy.predict(*ready([samples(rate=rate)])).limit for rate in (1.0, 1e-22))
    assert bright - faint == pytest.approx(55.0, abs=1e-3)


@pytest.mark.parametrize("few", [1, 2, 5, 8])
def test_the_limit_holds_for_few_pixels_of_unlike_ratios_some_dark(ready, few):
    order = spectroscopy.predict(*ready([samples()])).orders[0]
    some = order.where(np.linspace(0, order.wave.size - 1, few).astype(int))
    unlike = replace(some, target=some.target * 10.0 ** -np.arange(few) * (np.arange(few) <= few // 2))
    factor = spectroscopy.limiting_factor(unlike, 9)
    assert 3 * np.median(unlike.scaled(factor)) == pytest.approx(noise.DETECTION_SNR, rel=1e-8)


def test_cards_are_those_of_images_and_more(ready, predict, micado):
    p, image = spectroscopy.predict(*ready([samples()])), predict(micado())
    spectral = {key: value for key, value, _ in p.cards()}
    assert {key for key, *_ in image.cards()} - {"ESO SIM IQ STREHL"} <= set(spectral)
    assert spectral["ESO SIM SNR"] == round(p.snr, 4)
    assert spectral["ESO SIM SNR OPT"] == round(p.optimal, 4)
    assert spectral["ESO SIM SNR OPT"] > spectral["ESO SIM SNR"]
    assert spectral["ESO SIM SNR WMIN"] == 2000.0
    assert spectral["ESO SIM BEST ORDER"] == 3
    assert spectral["ESO SIM SKY RATE"] == pytest.approx(0.3)
    assert spectral["ESO SIM SPEC DISP"] == pytest.approx(1.0)
    assert spectral["ESO SIM SPEC R"] == pytest.approx(2.0195 / 1e-3 / 4, abs=0.1)  # a slit of 4 pixels


def test_saturation_is_told(ready):
    p = spectroscopy.predict(*ready([samples(rate=1e6)]))
    assert p.saturated
    assert any("saturates" in note and "100.00% of the spectral pixels" in note for note in p.notes)
    assert spectroscopy.predict(*ready([samples()])).notes == ()


@pytest.mark.parametrize(
    ("name", "mode", "area"),
    [("eris", "ifs_ngs", math.pi * 0.225**2), ("metis", "lss_l_scao", 89 * 0.00544 * 0.0381)],
)
def test_of_a_target_without_end_the_aperture_has_its_own_area(name, mode, area):
    """A circle of 9 pixels of 0.05 arcsec on slices; 89 pixels of a slit."""
    document = registry.load(name).example(mode)
    document["target"]["morphology"] = {"morphologytype": "extended", "extendedtype": "infinite"}
    if name == "eris":
        document["instrument"]["INS.SPXW.NAME"] = "100mas"
    document["seeing"]["aperturepix"] = 9 if name == "eris" else 89
    p = pipeline.predict(parse.read(json.dumps(document)))
    assert np.median(p.inside.encircled) == pytest.approx(area, rel=0.01)


def test_a_line_is_where_it_is_and_has_its_light():
    """2.2 um, 1e-18 W/m2: photons by its energy, through all throughputs; nothing elsewhere."""
    document = registry.load("eris").example("ifs_ngs")
    document["instrument"]["INS.SPXW.NAME"] = "100mas"
    line = {"lambda": 2200.0, "fwhm": 0.5}
    document["target"]["sed"] = {"sedtype": "emissionline", "emissionline": {"params": line}}
    document["target"]["brightness"] = {"brightnesstype": "flux", "flux": 1e-18}
    ready = pipeline.prepare(parse.read(json.dumps(document)))
    (order,) = ready.prediction.orders
    assert order.wave[order.target.argmax()] == pytest.approx(2.2, abs=2 * order.dispersion[0])
    near = abs(order.wave - 2.2) < 10 * order.dispersion
    assert order.target[near].sum() == pytest.approx(order.target.sum(), rel=1e-3)
    photons = (
        1e-18 * 2.2e-6 / (6.62607015e-34 * 299792458.0) * ready.setup.optics.telescope.area * ready.setup.exposure.dit
    )
    at = order.target.argmax()
    expected = photons * order.total[at] * order.encircled[at]
    assert order.target.sum() == pytest.approx(expected, rel=0.05)
    assert 0.7 < order.encircled[at] < order.enslitted[at] < 1.0

"""METIS's spectroscopic modes against the published figures: traces, slits, slices, the turned echelle, electrons."""

import itertools
import json
from functools import cache

import numpy as np
import pytest

from elvis_cli import pipeline
from elvis_cli.errors import RequestError
from elvis_cli.instrument import registry
from elvis_cli.model.elvis_block import Window
from elvis_cli.request import parse
from elvis_cli.scene import bands
from tests.conftest import closure_only

LMS = ("lms_scao", "lms_extended_scao")


def read(mode, mag=12, **keys):
    document = registry.load("metis").example(mode)
    document["instrument"].update(keys)
    document["target"]["sed"]["spectrum"] = {"spectrumtype": "blackbody", "params": {"temperature": 9600}}
    document["target"]["brightness"]["mag"] = mag
    return parse.read(json.dumps(document), strict=True)


def configure(mode, **keys):
    return registry.load("metis").configure(read(mode, **keys))


@cache
def observe(mode):
    """Return the setup, light and spectrometer of a star of 12 mag."""
    ready = pipeline.prepare(read(mode))
    return ready.setup, ready.renderer.light, ready.renderer


def vega(setup, light):
    """Return how many times the target Vega's own spectrum of 12 mag is."""
    wave, flux = bands.table("Vega")
    budget = light.budget
    photons = np.interp(budget.wave, wave, flux * bands.PHOTONS * wave) * 10 ** (-0.4 * 12)
    return float(np.sum(photons * budget.total * budget.width)) * setup.optics.telescope.area / light.target.rate


def dispersion(setup, trace, axis):
    """Return wavelengths and nm/pixel along a trace."""
    wave = np.linspace(*trace.wave, 2001)
    place = trace.place(wave, np.zeros_like(wave))[axis]
    return wave, np.abs(np.gradient(wave, place)) * setup.detector.pixel_mm * 1e3


@pytest.mark.parametrize(
    ("mode", "wave", "figures", "resolution", "by_slit", "length"),
    [
        ("lss_l_scao", (2.9, 4.2), (0.72466, 0.73872, 0.74931), 2400, (1382, 918, 689, 460, 230), 1760),
        ("lss_m_scao", (4.5, 5.2), (0.41285, 0.41668, 0.42018), 5819, (3350, 2226, 1671, 1115, 557), 1680),
        ("lss_n_scao", (7.6, 13.4), (3.09824, 3.11495, 3.12485), 1685, (1204, 800, 600, 401, 200), 1862),
    ],
)
def test_long_slits_have_their_dispersion_and_resolution(mode, wave, figures, resolution, by_slit, length):
    setup = configure(mode)
    (trace,), (slit,) = setup.spectrograph.traces, setup.spectrograph.apertures
    assert (setup.kind, setup.optics.band, slit.length) == ("slit", wave, 8.0)
    at, nm = dispersion(setup, trace, 1)
    assert (nm.min(), nm.mean(), nm.max()) == pytest.approx(figures, rel=4e-3)
    power = np.mean(at / nm) * 1e3
    assert power / 2 == pytest.approx(resolution, rel=5e-3)
    names = registry.load("metis").keys(mode)["INS.SLIT.NAME"]["options"]
    for name, expected in zip(names, by_slit, strict=True):
        graph = configure(mode, **{"INS.SLIT.NAME": name}).spectrograph
        assert graph.apertures[0].width * 1e3 == pytest.approx(float(name[2:].replace("_", ".")))
        assert power * graph.dispersion_scale / graph.apertures[0].width == pytest.approx(expected, rel=5e-3)
    y = [trace.place(np.array([w]), np.zeros(1))[1][0] for w in wave]
    assert abs(y[1] - y[0]) / setup.detector.pixel_mm == pytest.approx(length, rel=2e-3)


def test_each_arm_starts_with_its_slit_filter_and_read_out():
    for mode, slit, name, ron in (
        ("lss_l_scao", "C-38_1", "L_spec", 15.0),
        ("lss_m_scao", "C-38_1", "M_spec", 15.0),
        ("lss_n_scao", "D-57_1", "N_spec", 35.0),
    ):
        setup = configure(mode)
        assert (setup.optics.filter_name, setup.detector.chips[0].ron) == (name, ron)
        assert (setup.header["ESO DRS SLIT"], setup.header["ESO DRS FILTER"]) == (slit, name)
        assert any(surface.name == "METIS ADC" for surface in setup.optics.surfaces) == (mode != "lss_n_scao")
        assert setup.spectrograph.adc == (mode != "lss_n_scao")


@pytest.mark.parametrize(
    ("centre", "order", "nm", "power"),
    [(3.0, 37, 0.01092, 108837), (3.8, 29, 0.01396, 107868), (4.2, 26, 0.01547, 107526), (4.7, 23, 0.01737, 107183)],
)
def test_the_echelle_has_its_dispersion_and_resolution(centre, order, nm, power):
    """The published figures are a line through the orders' own, which are up to 2 % off it."""
    setup = configure("lms_scao", **{"INS.WLEN.CEN": centre})
    assert setup.header["ESO INS WLEN CEN"] == centre
    graph = setup.spectrograph
    assert {trace.order for trace in graph.traces} == {order}
    found = np.mean([dispersion(setup, trace, 0)[1].mean() for trace in graph.traces])
    assert found == pytest.approx(nm, rel=0.025)
    assert centre / (found * 1e-3 * graph.apertures[0].width / graph.dispersion_scale) == pytest.approx(
        power, rel=0.025
    )
    middle = [trace.place(np.array([centre]), np.zeros(1))[0][0] for trace in graph.traces]
    assert np.abs(middle).max() < 0.04 * setup.detector.nx * setup.detector.pixel_mm
    peak = max(trace.efficiency.value.max() for trace in graph.traces)
    assert 0.5 * 0.75 < peak <= 0.75


def test_slices_stand_one_over_the_other_on_four_chips():
    setup = configure("lms_scao", **{"INS.WLEN.CEN": 4.2})
    graph = setup.spectrograph
    assert [chip.id for chip in setup.detector.chips] == [1, 2, 3, 4] == list(setup.frame.chips)
    assert {(chip.gain, chip.ron, chip.dark) for chip in setup.detector.chips} == {(2.0, 70.0, 0.1)}
    x = np.array([aperture.x for aperture in graph.apertures])
    np.testing.assert_allclose(x, (np.arange(1, 29) - 14.5) * 0.0207, atol=1e-9)
    assert [trace.aperture for trace in graph.traces] == list(range(28))
    edge = np.array([-0.4485, 0.4485])
    low, high = np.sort([t.place(np.full(2, 4.2), edge)[1] for t in graph.traces]).T
    assert np.all(low[1:] > high[:-1])
    half = setup.detector.ny / 2 * setup.detector.pixel_mm
    for chip, members in ((3, slice(14)), (1, slice(14, 28))):
        y = setup.detector.chip(chip).y_mm
        assert low[members].min() > y - half
        assert high[members].max() < y + half


def test_the_extended_mode_sees_six_pieces_of_three_orders():
    setup = configure("lms_extended_scao", **{"INS.WLEN.CEN": 3.8})
    graph = setup.spectrograph
    assert (len(graph.apertures), len(graph.traces)) == (3, 18)
    assert [trace.order for trace in graph.traces[::3]] == [28, 29, 30] * 2
    nominal = configure("lms_scao", **{"INS.WLEN.CEN": 3.8}).spectrograph.traces
    pieces = sorted(trace.wave for trace in graph.traces if trace.aperture == 1)
    assert all(b[0] > a[1] - 2e-4 for a, b in itertools.pairwise(pieces))
    one = nominal[14].wave[1] - nominal[14].wave[0]
    assert sum(b - a for a, b in pieces) == pytest.approx(6 * one, rel=0.02)
    assert 0.25 < 6 * one < 0.4  # "about 300 nm"


@pytest.mark.parametrize("mode", LMS)
@pytest.mark.parametrize("wrong", [2.8, 5.4, "3.8 um", True, [3.8]])
def test_central_wavelengths_that_there_are_not(mode, wrong):
    with pytest.raises(RequestError, match=r"allowed: 2\.9 to 5\.3 um") as caught:
        configure(mode, **{"INS.WLEN.CEN": wrong})
    assert caught.value.details["pointer"] == "/instrument/INS.WLEN.CEN"


def test_long_slit_electrons_are_the_reference_s():
    """ScopeSim's beam has no grating: its background is ours over the grating's efficiency."""
    setup, light, spectra = observe("lss_l_scao")
    (chip,) = setup.detector.chips
    window = Window(900, 0, 249, 2048)
    wave = spectra.wavelengths(chip, window).wave
    background = spectra.illuminate(chip, window, frozenset({"background", "thermal"}))
    efficiency = setup.spectrograph.traces[0].efficiency
    for at, expected in ((3.6, 1039), (3.8, 1673)):
        found = float(background[np.abs(wave - at) < 0.01].mean())
        assert found == pytest.approx(expected, rel=0.4)
        assert found / efficiency.at(np.array([at]))[0] == pytest.approx(expected, rel=0.1)
    star = float(spectra.illuminate(chip, window, frozenset({"stars"})).sum(dtype=float))
    assert star * vega(setup, light) == pytest.approx(5.65e6, rel=0.4)


def test_integral_field_electrons_are_the_reference_s():
    setup, light, spectra = observe("lms_scao")
    lit, star = [], 0.0
    for chip in setup.detector.chips:
        seen = np.isfinite(spectra.wavelengths(chip, setup.frame.window).wave)
        background = spectra.illuminate(chip, setup.frame.window, frozenset({"background", "thermal"}))
        assert background[seen].sum() == pytest.approx(background.sum(), rel=0.03)
        lit.append(background[seen])
        star += float(spectra.illuminate(chip, setup.frame.window, frozenset({"stars"})).sum(dtype=float))
    assert float(np.median(np.concatenate(lit))) == pytest.approx(12.2, rel=0.4)
    assert star * vega(setup, light) == pytest.approx(1.71e5, rel=0.1)


def test_integral_field_background_is_what_the_coatings_emit():
    """By hand at 3.8 um: Planck's law, emissivities, area, pixel, dispersion, throughputs; 6 % are the air's.

    ScopeSim's 12.2 is 0.74 of it, though its coatings are these (README of the instrument).
    """
    wave, order = 3.8, 29
    planck = 2 * 2.998e8 / (wave * 1e-6) ** 4 / np.expm1(14387.77 / (wave * 280.15)) * 1e-6 * 2.3504e-11
    beam = 975.2 * 0.0207 * 0.0082 * 1.396e-5  # m2 arcsec2 um
    optics = 0.8925 * 0.9898**31 * 0.9284 * 0.867 * 0.75 * np.sinc(109.536 / wave - order) ** 2 * 0.862
    warm = planck * beam * optics * (0.1611 * 0.9913 + 0.0595 + 0.021 / 0.8925)
    setup, _, spectra = observe("lms_scao")
    chip = setup.detector.chip(3)
    seen = spectra.wavelengths(chip, setup.frame.window).wave
    background = spectra.illuminate(chip, setup.frame.window, frozenset({"background", "thermal"}))
    near = np.abs(seen - wave) < 0.003
    assert float(np.median(background[near])) == pytest.approx(warm / 0.94, rel=0.05)


@closure_only
def test_many_stars_in_a_slit_have_the_psfs_of_their_places_as_few_have():
    """One more, faint one makes nine of them: each keeps the image that its distance from the guide star gives it."""
    drawn = []
    for faint in (7, 8):
        made = registry.load("metis").example("lss_l_scao")
        stars = {"x": [0.0] * (faint + 1), "y": [3.5] + [-3.0] * faint, "mag": [10.0] + [30.0] * faint}
        made["elvis"] = {"catalogue": stars, "window": {"x0": 0, "y0": 1000, "nx": 2048, "ny": 4}}
        ready = pipeline.prepare(parse.read(json.dumps(made)))
        (chip,), window = ready.setup.detector.chips, ready.setup.frame.window
        drawn.append(ready.renderer.illuminate(chip, window, frozenset({"stars"})).sum(axis=0))
    few, many = drawn
    assert many.max() == pytest.approx(few.max(), rel=0.01)
    assert many.sum() == pytest.approx(few.sum(), rel=0.01)

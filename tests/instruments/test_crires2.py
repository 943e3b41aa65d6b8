"""CRIRES2: the manual's wavelengths on every detector, the keys of three generations, the ETC's answers."""

import csv
import io
import json
from pathlib import Path

import elvis_instruments
import numpy as np
import pytest
from astropy.io import fits

from elvis_cli import pipeline
from elvis_cli.errors import RequestError
from elvis_cli.instrument import registry
from elvis_cli.prediction import spectroscopy
from elvis_cli.request import parse
from tests import setups
from tests.conftest import run

CORPUS = Path(__file__).parents[1] / "data" / "etc"
TABLE = Path(elvis_instruments.__path__[0]) / "_build" / "crires2_settings.csv"
DAMAGED = {("M4504", 14, 3), ("M4416", 13, 1), ("M4187", 13, 1)}
"""Entries of the manual's table whose dispersion is not that of an echelle's order."""


def table():
    """Return setting -> (order, detector) -> first and last wavelength, um."""
    with TABLE.open() as file:
        rows = list(csv.DictReader(line for line in file if not line.startswith("#")))
    found = {}
    for row in rows:
        limits = float(row["first"]) / 1000, float(row["last"]) / 1000
        found.setdefault(row["setting"], {})[int(row["order"]), int(row["detector"])] = limits
    return found


SETTINGS = table()


@pytest.fixture(scope="module")
def plugin():
    return registry.load("crires2")


@pytest.fixture(scope="module")
def setup_of(plugin):
    def make(setting, **instrument):
        document = plugin.example("spec_ngs")
        del document["instrument"]["INS.WLEN.CWLEN"]
        document["instrument"].update({"settingkey": setting, **instrument})
        return plugin.configure(parse.read(json.dumps(document)))

    return make


def corpus(name, **changes):
    document = json.loads((CORPUS / f"{name}.json").read_text())
    for pointer, value in changes.items():
        place = document
        *path, last = pointer.split("__")
        for step in path:
            place = place[step]
        place[last] = value
    return parse.read(json.dumps(document))


def detector_of(trace, setup):
    """Return the number of the detector on which the middle of a trace falls."""
    x, _ = trace.place(np.array([np.mean(trace.wave)]), np.zeros(1))
    return min(setup.detector.chips, key=lambda chip: abs(chip.x_mm - x[0])).id


def test_the_settings_are_those_of_the_form(plugin):
    options = json.loads(json.dumps(plugin.keys("spec_noao")["INS.WLEN.CWLEN"]["options"]))
    assert len(options) == len(SETTINGS) == 29
    assert {table["header"]["ESO INS WLEN ID"] for table in options.values()} == set(SETTINGS)


@pytest.mark.parametrize("setting", SETTINGS)
def test_traces_meet_the_manual_s_wavelengths_at_the_detectors_edges(setup_of, setting):
    setup = setup_of(setting)
    limits, seen, rows = SETTINGS[setting], set(), []
    half = (setup.detector.nx - 1) / 2
    for trace in setup.spectrograph.traces:
        chip = setup.detector.chip(detector_of(trace, setup))
        seen.add((trace.order, chip.id))
        if (trace.order, chip.id) in limits and (setting, trace.order, chip.id) not in DAMAGED:
            x, _ = trace.place(np.array(limits[trace.order, chip.id]), np.zeros(2))
            column = (x - chip.x_mm) / setup.detector.pixel_mm + half
            assert column == pytest.approx([0, 2047], abs=0.02)
        ends = np.array(trace.wave)
        for s in (-5.0, 5.0):
            _, y = trace.place(ends, np.full(2, s))
            rows.append((chip.id, s, trace.order, *(y / setup.detector.pixel_mm + half)))
    added = {(16, chip) for chip in (1, 2, 3)} if setting == "M4187" else set()  # of the ETC alone
    assert seen == set(limits) | added
    for number in (1, 2, 3):  # orders lie on the detector, the longer wavelengths above, and do not touch
        edges = [row[3:] for row in sorted((r for r in rows if r[0] == number), key=lambda r: (-r[2], r[1]))]
        assert np.all(np.diff(edges, axis=0) > 15)
        assert 0 < np.min(edges) < np.max(edges) < 2047


@pytest.mark.parametrize(("setting", "order", "detector"), sorted(DAMAGED))
def test_damaged_entries_take_the_wavelengths_of_the_other_orders(setup_of, setting, order, detector):
    setup = setup_of(setting)
    phases = {}
    for trace in setup.spectrograph.traces:
        if detector_of(trace, setup) == detector:
            phases[trace.order] = trace.order * np.array(trace.wave)
    others = [phase for number, phase in phases.items() if number != order]
    assert phases[order] == pytest.approx(np.mean(others, axis=0), rel=3e-4)
    first, last = SETTINGS[setting][order, detector]
    assert abs((last - first) * order / np.diff(phases[order])[0] - 1) > 0.1


def test_dispersion_and_resolving_power_are_the_etc_s(setup_of):
    """K2217, ETC of 2020: two pixels are 166 600, 176 900, 188 500; the slit of 0.2 arcsec is 3.39 pixels."""
    setup = setup_of("K2217")
    graph = setup.spectrograph
    assert graph.apertures[0].width / graph.dispersion_scale == pytest.approx(3.39, abs=0.01)
    assert setup_of("K2217", **{"INS.SLIT1.NAME": "w_0.4"}).spectrograph.apertures[0].width == 0.4
    for trace in graph.traces:
        wave = np.mean(trace.wave) + np.array([-1e-6, 1e-6])
        x, _ = trace.place(wave, np.zeros(2))
        per_pixel = np.diff(wave)[0] / np.diff(x)[0] * setup.detector.pixel_mm
        expected = {1: 166.6e3, 2: 176.9e3, 3: 188.5e3}[detector_of(trace, setup)]
        assert wave.mean() / per_pixel / 2 == pytest.approx(expected, rel=0.005)


@pytest.mark.parametrize(
    ("setting", "tilt", "tolerance"),
    [
        ("L3244", lambda nm: 0.203 - 6.97e-5 * nm, 1e-4),  # Marquart 2026, arXiv 2604.24466, equation 1
        ("L3426", lambda nm: 0.203 - 6.97e-5 * nm, 1e-4),
        ("M4519", lambda nm: 0.169 - 4.68e-5 * nm, 1e-4),  # equation 2
        ("J1228", lambda nm: -0.053, 0.0055),  # U-Ne lamp at 1254.7 nm, ESO's pipeline: its order 4 is 45
    ],
)
def test_the_slit_is_tilted_as_measured(setup_of, setting, tilt, tolerance):
    setup = setup_of(setting)
    for trace in setup.spectrograph.traces:
        wave = 1.2547 if setting == "J1228" else np.mean(trace.wave)
        if trace.wave[0] < wave < trace.wave[1]:
            x, y = trace.place(np.full(2, wave), np.array([-5.0, 5.0]))
            assert np.diff(x)[0] / np.diff(y)[0] == pytest.approx(tilt(1000 * wave), abs=tolerance)


def test_lines_of_the_lamp_and_the_map_of_wavelengths_are_tilted(plugin):
    """Pixels along x for each along y, of uranium's line at 1255.455 nm, as the slit's: about -0.048."""
    document = plugin.example("spec_noao")
    document["instrument"]["INS.WLEN.CWLEN"] = 1228.488
    window = {"x0": 915, "y0": 1225, "nx": 88, "ny": 160}
    document["elvis"] = {"calibration": "arc", "chips": [2], "window": window, "wavemap": True, "product": "expected"}
    made = run(stdin=json.dumps(document))
    assert made.code == 0, made.err
    with fits.open(io.BytesIO(made.out)) as hdus:
        light, wave = hdus[1].data.astype(float), hdus["WAVE"].data
    rows, columns = np.arange(0, 160, 4), np.arange(88)
    places = [np.interp(1.255455, wave[row], columns) for row in rows]
    slope = np.polyfit(rows, places, 1)[0]
    assert slope == pytest.approx(-0.048, abs=0.002)
    near = np.clip(light[rows] - np.median(light[rows], axis=1)[:, None], 0, None)
    near *= np.abs(columns - np.array(places)[:, None]) < 5
    centroids = (near * columns).sum(axis=1) / near.sum(axis=1)
    assert np.polyfit(rows, centroids, 1)[0] == pytest.approx(slope, abs=0.003)


def test_the_blaze_is_the_echelle_s(setup_of):
    """31.6 lines/mm at 63.5 deg: m lambda = 56.64 um; in Y, J and K it is where the ETC's answers have it."""
    for setting, centre in (("Y1029", 56.50), ("K2217", 56.87), ("K2148", 56.87), ("M4187", 56.641)):
        for trace in setup_of(setting).spectrograph.traces:
            wave = np.linspace(*trace.wave, 50)
            expected = np.sinc((centre / wave - trace.order) / 0.914) ** 2
            assert trace.efficiency.at(wave) == pytest.approx(expected, abs=3e-3)


class TestKeys:
    V1 = "crires_old_K2217_blackbody_snr_echo_8"

    def test_generations_mean_the_same(self, plugin):
        old = plugin.configure(corpus(self.V1))
        document = plugin.example("spec_ngs")
        document["instrument"]["INS.WLEN.CWLEN"] = 2216.704
        new = plugin.configure(parse.read(json.dumps(document)))
        assert old.mode == new.mode == "spec_ngs"
        for setup in (old, new):
            assert setup.header["ESO INS WLEN ID"] == "K2217"
            assert setup.header["ESO INS WLEN CWLEN"] == 2216.704
            assert setup.header["ESO INS SLIT1 NAME"] == "w_0.2"
            assert {t.order for t in setup.spectrograph.traces} == {24, 25, 26, 27, 28, 29}
        assert (old.goal.aperture_pix, new.goal.aperture_pix) == (1, 0)

    @pytest.mark.parametrize(
        ("name", "setting", "mode", "aperture"),
        [
            ("crires2_v117_form_default", "Y1029", "spec_noao", 0),
            ("crires2_v118_Mband_michelangelo", "M4187", "spec_ngs", 15),
            ("crires2_v115_michelangelo_nominal", "L3426", "spec_ngs", 15),
            ("schema_crires2_old_H1559_linear", "H1559", "spec_noao", 21),
            ("crires_P108b_upload_petitradtrans", "Y1029", "spec_noao", 17),
            ("crires_old_Y12_powerlaw_ndit_echo", "Y1029", "spec_noao", 1),
        ],
    )
    def test_real_requests(self, plugin, name, setting, mode, aperture):
        request = corpus(name)
        setup = plugin.configure(request)
        assert (setup.header["ESO INS WLEN ID"], setup.mode, setup.goal.aperture_pix) == (setting, mode, aperture)
        assert plugin.unknown_keys(request) == ()

    def test_the_etc_s_word_for_the_polarimeter(self, plugin):
        linear = plugin.configure(corpus("schema_crires2_old_H1559_linear"))
        assert linear.header["ESO INS POL TYPE"] == linear.spectrograph.polarimeter.stokes == "Q"
        assert plugin.configure(corpus("schema_crires2_old_Y1028_free")).spectrograph.polarimeter is None

    @pytest.mark.parametrize(
        ("changes", "where"),
        [
            ({"instrument__settingkey": "K2218"}, "/instrument/settingkey"),
            ({"instrument__slit": 0.3}, "/instrument/slit"),
            ({"instrument__polarimetry": "elliptic"}, "/instrument/polarimetry"),
            ({"seeingiqao__mode": "aolgs"}, "/seeingiqao/mode"),
            ({"timesnr__dit": 1.0}, "/timesnr/DET1.DIT"),
        ],
    )
    def test_what_does_not_exist_is_refused(self, plugin, changes, where):
        with pytest.raises(RequestError) as caught:
            plugin.configure(corpus(self.V1, **changes))
        assert caught.value.details["pointer"] == where
        assert "" not in list(caught.value.details["allowed"])  # which is taken, but is no advice


@pytest.mark.parametrize(("dit", "ron"), [(1.43, 12), (10, 9.907203907), (26, 6), (47.9, 6), (900, 6)])
def test_the_read_noise_is_the_etc_s(plugin, dit, ron):
    chips = plugin.configure(corpus(TestKeys.V1, timesnr__dit=dit)).detector.chips
    assert [chip.ron for chip in chips] == pytest.approx([ron] * 3, rel=1e-9)


def strehl(plugin, seeing, mag, separation):
    document = plugin.example("spec_ngs")
    document["seeing"] = {"SEQ.NGS.MAG": mag, "separation": separation}
    document["elvis"] = {"atmosphere": {"seeing": seeing}}
    setup = plugin.configure(parse.read(json.dumps(document)))
    one = np.ones(1)
    setup = setups.change(setup, guide=(0.0, separation))
    return setups.psf_at(setup, 1.2, 2.2 * one, one, np.zeros((1, 2))).strehl


def test_macao_reaches_half_the_diffraction_limit_with_a_bright_star_and_less_with_all_others(plugin):
    assert strehl(plugin, 0.6, 6, 0) == pytest.approx(0.5, abs=0.05)
    best = strehl(plugin, 0.8, 6, 0)
    assert strehl(plugin, 0.8, 11, 0) > 0.8 * best  # "excellent performance" for stars brighter than R = 11
    assert strehl(plugin, 1.1, 6, 0) < 0.9 * best
    assert strehl(plugin, 0.8, 16, 0) < 0.7 * best
    assert strehl(plugin, 0.8, 6, 10) < 0.8 * best


CENTRAL = {  # median throughput (%) in the central pixel of the three detectors, ETC of 2020-05-16
    28: (4.66, 2.54, 1.27), 27: (5.05, 3.36, 1.76), 26: (5.04, 3.51, 1.97), 25: (5.16, 3.54, 1.99),
    24: (5.12, 3.76, 2.17),
}  # fmt: skip


def test_the_central_pixel_of_k2217_gets_what_the_etc_of_2020_gave_it():
    request = corpus(TestKeys.V1)
    ready = pipeline.prepare(request)
    light, setup = ready.renderer.light, ready.setup
    for number, trace in enumerate(setup.spectrograph.traces):
        if trace.order not in CENTRAL:
            continue
        found = ready.renderer.samples(number, 32)
        lit = found.chip > 0
        row = int(np.argmin(np.abs(found.s - found.centre)))
        photons = np.interp(found.wave, light.budget.wave, light.target.flux) * light.budget.area * found.dispersion
        share = 100 * np.median((found.target[:, row] / photons)[lit])
        assert share == pytest.approx(CENTRAL[trace.order][detector_of(trace, setup) - 1], rel=0.12)


@pytest.mark.parametrize(
    ("setting", "temperature", "mag", "airmass", "count"),
    [("K2217", 9360, 10, 1.2, 107), ("K2217", 3458, 8.697, 1.178, 16)],
)
def test_the_etc_s_numbers_of_integrations(setting, temperature, mag, airmass, count):
    request = corpus(
        TestKeys.V1,
        instrument__settingkey=setting,
        target__sed__spectrum__params={"temperature": temperature},
        target__brightness__params={"mag": mag, "magband": "J", "magsys": "AB"},
        sky__airmass=airmass,
    )
    prediction = pipeline.predict(request)
    assert isinstance(prediction, spectroscopy.SpectroscopyPrediction)
    assert count / 1.3 < prediction.count < count * 1.3


def test_the_j_band_s_answer_needs_no_more_light():
    """With read noise in each integration J1228's S/N would need 2.0 (red) to 2.7 times (blue) our light.

    That much it was said to lack; its ETC counted the read noise once (README.md).
    """
    prediction = pipeline.predict(corpus("crires_old_J1228_powerlaw_snr"))
    electrons = {order.order: float(np.median(order.target)) for order in prediction.orders}
    ratio = {order: (1 + np.sqrt(1 + 4 * 11.5**2 / light)) / 2 for order, light in electrons.items()}
    assert ratio[43] == pytest.approx(2.0, rel=0.1)
    assert ratio[49] == pytest.approx(2.7, rel=0.1)


def central_pixel(name, **changes):
    """Return the median electrons in the central pixel of the order at 2.3 um."""
    ready = pipeline.prepare(corpus(name, **changes))
    number = next(n for n, t in enumerate(ready.setup.spectrograph.traces) if t.wave[0] < 2.305 < t.wave[1])
    found = ready.renderer.samples(number, 8)
    return float(np.median(found.target[:, int(np.argmin(np.abs(found.s - found.centre)))])), ready.notes


def test_the_image_of_the_first_generation_is_that_of_its_etc_and_of_later_ones_the_turbulence_s(plugin):
    """10 arcsec and airmass 1.5 cost the first ETC's image less than the site's turbulence."""
    first = {"seeingiqao__params__separation": 0}
    near, notes = central_pixel(TestKeys.V1, **first)
    far, _ = central_pixel(TestKeys.V1)
    assert far / near == pytest.approx(0.83, abs=0.04)  # turbulence alone: 0.67
    assert any("as that of the first ETC" in note for note in notes)
    document = plugin.example("spec_ngs")
    document["instrument"]["INS.WLEN.CWLEN"] = 2216.704
    for generation, power in ((corpus(TestKeys.V1, sky__airmass=1.44), 0.5), (parse.read(json.dumps(document)), 1.0)):
        assert plugin.configure(generation).psf.airmass_power == power


def test_y_without_ao_has_the_etc_s_flux():
    """ETC 1.0.6, Y1029: from its S/N 3.0, 2.0, 1.6 times the guess of before, 0.19, 0.35, 0.25 % in order 55."""
    ready = pipeline.prepare(corpus("crires_old_Y12_powerlaw_ndit_echo"))
    light, shares = ready.renderer.light, {}
    for number, trace in enumerate(ready.setup.spectrograph.traces):
        if trace.order != 55:
            continue
        found = ready.renderer.samples(number, 8)
        row = int(np.argmin(np.abs(found.s - found.centre)))
        photons = np.interp(found.wave, light.budget.wave, light.target.flux) * light.budget.area * found.dispersion
        shares[detector_of(trace, ready.setup)] = 100 * np.median((found.target[:, row] / photons)[found.chip > 0])
    assert shares == pytest.approx({1: 0.57, 2: 0.69, 3: 0.40}, rel=0.3)
    assert np.mean(list(shares.values())) == pytest.approx(0.553, rel=0.1)


def test_m4187_is_the_etc_s(setup_of):
    """v118: orders 11 to 16, and 4999.66 nm on the last pixel of detector 3."""
    setup = setup_of("M4187")
    assert {trace.order for trace in setup.spectrograph.traces} == set(range(11, 17))
    last = max(setup.spectrograph.traces, key=lambda trace: trace.wave[1])
    x, _ = last.place(np.array([4.99966]), np.zeros(1))
    chip = setup.detector.chip(3)
    assert (x - chip.x_mm) / setup.detector.pixel_mm + 1023.5 == pytest.approx(2047, abs=0.02)


def test_the_total_throughput_of_m_is_the_etc_s():
    """v118, M4187: 0.0793 at 4999.66 nm, the part of the light in the slit included."""
    ready = pipeline.prepare(corpus("crires2_v118_Mband_michelangelo"))
    number = next(n for n, t in enumerate(ready.setup.spectrograph.traces) if t.wave[0] < 4.99966 < t.wave[1])
    found = ready.renderer.samples(number, 32)
    total = np.interp(4.99966, found.wave, found.total * found.enslitted)
    assert total == pytest.approx(0.0793, rel=0.05)


def polarimetric(**instrument):
    """Return a request of K2148 with the polarimeter, a star at A of a nod whose light is polarised."""
    document = registry.load("crires2").example("spec_ngs")
    document["instrument"] |= {"INS.POL.TYPE": "V", "INS.OPTI8.ID": "Decker2", **instrument}
    document["elvis"] = {"offset": [0.0, -1.25], "chips": [2], "window": {"x0": 980, "y0": 680, "nx": 32, "ny": 190}}
    return document


def polarised(document, polarisation, angle=0.0):
    """Return the polarimeter of a request for a source at a position angle of the slit."""
    document["elvis"] |= {"polarisation": polarisation, "pointing": {"ra": 1, "dec": -20, "position_angle": angle}}
    return registry.load("crires2").configure(parse.read(json.dumps(document))).spectrograph.polarimeter


class TestPolarimeter:
    def test_each_beam_has_its_part_of_the_star_at_its_place(self):
        """(1 + s p) / 2 of the light above; the beams as far apart as ESO's pipeline looks for them."""
        document = polarimetric(polarimeter_exposure=2)
        document["elvis"] |= {"product": "expected", "polarisation": {"v": 0.5}}
        with fits.open(io.BytesIO(run(stdin=json.dumps(document)).out)) as hdus:
            image, aperture, place = hdus[1].data.astype(float), hdus["APERTURE"].data, hdus["POSITION"].data
            header, nanometres = hdus[0].header, 1e3 * float(np.nanmedian(hdus["WAVE"].data))
        assert header["ESO INS OPTI8 NO"] == 2
        assert header["ESO DPR TECH"] == "SPECTRUM,NODDING,OTHER,POLARIMETRY"
        light, centre = [], []
        for beam in (1, 2):
            star = np.where(aperture == beam, image - np.median(image[aperture == beam]), 0.0)
            light.append(star.sum())
            centre.append((np.nan_to_num(place) * star).sum() / star.sum())
        assert (light[0] - light[1]) / sum(light) == pytest.approx(-0.5, abs=0.01)
        pixels = (
            (2.24337404e-2 + 2.667301e-2) * nanometres - 23.0870052 + 13.5539222
        )  # cr2res_pol.c: K, A, up less down
        assert centre[0] - centre[1] == pytest.approx(0.059 * pixels, abs=0.1)

    @pytest.mark.parametrize(
        ("stokes", "polarisation", "angle", "expected"),
        [
            ("V", {"v": 0.01}, 30.0, 0.01),
            ("Q", {"q": 0.02, "u": 0.01}, 0.0, 0.02),
            ("U", {"degree": 0.02, "angle": 45.0}, 0.0, 0.02),
            ("Q", {"degree": 0.02, "angle": 45.0}, 45.0, 0.02),
            ("U", {"degree": 0.02, "angle": 0.0}, 45.0, -0.02),
        ],
    )
    def test_axes_turn_with_the_slit(self, stokes, polarisation, angle, expected):
        one = polarised(polarimetric(**{"INS.POL.TYPE": stokes}), polarisation, angle)
        assert one.polarisation == pytest.approx(expected)

    def test_signs_are_those_of_eso_s_pipeline(self):
        """Files 1 to 4 of circular polarisation; of linear one it takes them as 1, 4, 3, 2 of + - - +."""
        signs = [polarised(polarimetric(polarimeter_exposure=n), {"v": 0.1}).sign for n in (1, 2, 3, 4)]
        assert signs == [1, -1, -1, 1]
        linear = [
            polarised(polarimetric(**{"INS.POL.TYPE": "Q"}, polarimeter_exposure=n), {}).sign for n in (1, 4, 3, 2)
        ]
        assert linear == [1, -1, -1, 1]

    @pytest.mark.parametrize(
        ("instrument", "polarisation", "where"),
        [
            ({"INS.POL.TYPE": "free"}, {"v": 0.1}, "/elvis/polarisation"),
            ({}, {"q": 0.8, "v": 0.8}, "/elvis/polarisation"),
            ({}, {"degree": 0.1, "q": 0.1}, "/elvis/polarisation"),
            ({"INS.WLEN.CWLEN": 3340.492}, None, "/instrument"),
            ({"polarimeter_exposure": 5}, None, "/instrument/polarimeter_exposure"),
        ],
    )
    def test_what_cannot_be_is_refused(self, instrument, polarisation, where):
        with pytest.raises(RequestError) as caught:
            polarised(polarimetric(**instrument), polarisation)
        assert caught.value.details["pointer"] == where

    def test_a_block_nods_with_its_deckers(self):
        """Four sub-exposures at A below the slit's middle, four at B above; lamps for either decker."""
        block = {
            "obId": 1, "itemType": "OB", "name": "field", "runId": "118.C-0001(A)",
            "target": {"name": "star", "ra": "05:26:00.000", "dec": "-25:00:00.00", "equinox": "J2000"},
            "templates": [
                {"templateName": "CRIRES_spec_acq", "type": "acquisition", "parameters": {}},
                {"templateName": "CRIRES_spec_obs_SpectroPolarimetry", "parameters": {"INS.WLEN.CWLEN": 2147.646}},
            ],
        }  # fmt: skip
        made = run("ob", "--calibrations", "1", stdin=json.dumps(block))
        assert made.code == 0, made.err
        requests = [json.loads(line) for line in made.out.decode().splitlines()]
        science = [one for one in requests if "calibration" not in one["elvis"]]
        keys = ("INS.POL.TYPE", "INS.OPTI8.ID", "polarimeter_exposure")
        states = [tuple(one["instrument"][key] for key in keys) for one in science]
        assert states == [("V", decker, n) for decker in ("Decker2", "Decker1") for n in (1, 2, 3, 4)]
        assert [round(setups.target_in_field(one)[1], 3) for one in science[::4]] == [-1.25, 1.25]
        flats = [one["instrument"]["INS.OPTI8.ID"] for one in requests if one["elvis"].get("calibration") == "flat"]
        assert sorted(flats) == ["Decker1", "Decker2"]
        block["templates"][1]["parameters"]["SEQ.POL.DECKERS"] = ["Decker1"]  # one is that of both ends
        made = run("ob", stdin=json.dumps(block))
        assert made.code == 0, made.err
        requests = [json.loads(line) for line in made.out.decode().splitlines()]
        assert {one["instrument"]["INS.OPTI8.ID"] for one in requests} == {"Decker1"}

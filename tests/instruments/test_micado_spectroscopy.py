"""MICADO's long slits against the published traces, gratings, masks and star counts."""

import json

import numpy as np
import pytest

from elvis_cli import pipeline
from elvis_cli.errors import RequestError
from elvis_cli.focalplane import trace as course
from elvis_cli.instrument import registry
from elvis_cli.request import parse

# 10 m + n: wavelengths (um), dispersion (nm/pixel) smallest, mean, largest; IRDB MICADO/TRACE_MICADO.fits, 15 um pixels
TRACES = {
    31: (1.870, 2.490, 0.04200, 0.04273, 0.04302),
    41: (1.410, 1.870, 0.03181, 0.03231, 0.03250),
    51: (1.130, 1.500, 0.02547, 0.02586, 0.02601),
    61: (0.940, 1.250, 0.02119, 0.02152, 0.02164),
    71: (0.810, 1.060, 0.01817, 0.01842, 0.01851),
    62: (0.940, 1.240, 0.02103, 0.02137, 0.02151),
    72: (0.810, 1.070, 0.01813, 0.01841, 0.01853),
    82: (0.710, 0.930, 0.01594, 0.01616, 0.01625),
}
# peak, its wavelength (um), and where half of it is reached: IRDB MICADO/TER_grating.fits
BLAZE = {
    31: (0.593, 2.040, 1.800, 2.390),
    41: (0.678, 1.570, 1.420, 1.780),
    51: (0.546, 1.290, 1.180, 1.410),
    61: (0.317, 1.080, 1.010, 1.170),
    71: (0.130, 0.940, 0.880, 1.000),
    62: (0.351, 1.040, 0.970, 1.120),
    72: (0.510, 0.910, 0.850, 0.970),
    82: (0.527, 0.800, 0.760, 0.850),
}
R_16MAS = {31: 12762, 41: 12697, 51: 12720, 61: 12729, 71: 12698, 62: 12759, 72: 12769, 82: 12693}
SETTINGS = {"Spec_HK": {31, 41}, "Spec_IJ": {41, 51, 61, 71, 62, 72, 82}}
PIXEL = 0.015


def document(setting="Spec_HK", slit="3000x48", mode="lss_4mas_scao", mag=12.0, **block):
    made = registry.load("micado").example(mode)
    made["instrument"].update({"INS.FILT1.NAME": setting, "INS.SLIT.NAME": slit})
    made["target"]["sed"]["spectrum"] = {"spectrumtype": "template", "params": {"catalog": "Pickles", "id": "A0V"}}
    made["target"]["brightness"] = {"brightnesstype": "mag", "magband": "K", "mag": mag, "magsys": "vega"}
    made["elvis"] = block
    made["output"] = {}
    return made


def configure(*args, **keys):
    return registry.load("micado").configure(parse.read(json.dumps(document(*args, **keys))))


def ready(*args, **keys):
    return pipeline.prepare(parse.read(json.dumps(document(*args, **keys))))


@pytest.fixture(scope="module")
def traces():
    return {trace.order: trace for setting in SETTINGS for trace in configure(setting).spectrograph.traces}


@pytest.mark.parametrize("mode", ["lss_4mas_scao", "lss_4mas_mcao"])
@pytest.mark.parametrize("setting", SETTINGS)
def test_a_setting_has_the_orders_that_its_filter_passes(setting, mode):
    setup = configure(setting, mode=mode)
    assert {trace.order for trace in setup.spectrograph.traces} == SETTINGS[setting]
    assert setup.kind == "slit"
    (filtered,) = (s.throughput for s in setup.optics.surfaces if s.name == setting)
    for order, (low, high, *_) in TRACES.items():
        passed = np.mean(filtered.at(np.linspace(low, high, 200)) > 0.5)
        assert passed > 0.3 or order not in SETTINGS[setting]
        assert passed < 0.01 or order in SETTINGS[setting]


@pytest.mark.parametrize(
    ("slit", "length", "width", "ends"),
    [("3000x16", 3.0, 0.016, (-1.5, 1.5)), ("3000x48", 3.0, 0.048, (-1.5, 1.5)), ("15000x20", 15.0, 0.02, (-5, 10))],
)
def test_slits(slit, length, width, ends):
    (aperture,) = configure(slit=slit).spectrograph.apertures
    assert (aperture.length, aperture.width) == (length, width)
    assert (aperture.offset - length / 2, aperture.offset + length / 2) == ends
    assert aperture.y == aperture.offset  # s is the field's y


def test_what_is_not_a_slit_is_refused():
    with pytest.raises(RequestError) as error:
        configure(slit="3000x20")
    assert error.value.details["pointer"] == "/instrument/INS.SLIT.NAME"


def dispersion(trace):
    """Return wavelengths (um) and nm per pixel along the middle of the published slit."""
    wave = np.linspace(*trace.wave, 400)
    x, y = trace.place(wave, np.full(wave.size, 2.5))
    return wave, np.gradient(wave * 1e3, np.concatenate([[0.0], np.cumsum(np.hypot(np.diff(x), np.diff(y)))]) / PIXEL)


@pytest.mark.parametrize("order", TRACES)
def test_order_has_its_published_range_and_dispersion(order, traces):
    """Order 71, which is derived from the others, included."""
    low, high, least, mean, most = TRACES[order]
    wave, found = dispersion(traces[order])
    assert traces[order].wave == (low, high)
    assert (found.min(), found.mean(), found.max()) == pytest.approx((least, mean, most), rel=3e-3)
    middle = np.interp((low + high) / 2, wave, found)
    assert (low + high) / 2 * 1e3 / (4 * middle) == pytest.approx(R_16MAS[order], rel=0.015)  # 16 mas: 4 pixels


@pytest.mark.parametrize("order", BLAZE)
def test_blaze_has_its_published_peak_and_half_width(order, traces):
    peak, centre, left, right = BLAZE[order]
    curve = traces[order].efficiency
    assert curve.at(np.array([centre]))[0] == pytest.approx(peak, rel=0.01)
    low, high = traces[order].wave
    for half in (left, right):
        if low <= half <= high:
            assert curve.at(np.array([half]))[0] == pytest.approx(peak / 2, rel=0.02)


@pytest.mark.parametrize(("first", "second"), [(31, 62), (41, 82)])
def test_orders_of_both_settings_fall_on_the_same_place(first, second, traces):
    """Twice the main order in twice the cross-disperser's: half the wavelength goes the same way."""
    wave, s = np.linspace(1.9, 2.2, 9) if first == 31 else np.linspace(1.5, 1.8, 9), np.linspace(-5, 10, 9)
    one, two = traces[first].place(wave, s), traces[second].place(wave / 2, s)
    assert np.abs(np.subtract(one, two)).max() < 0.005


def test_order_71_stands_in_line_with_the_other_orders(traces):
    """At one m l the cross-disperser sends l to x; 71 continues what 41, 51 and 61 do."""
    phase = 6.55
    x = {order: float(traces[order].place(np.array([phase / (order // 10)]), np.zeros(1))[0][0]) for order in TRACES}
    wave = np.array([phase / m for m in (4, 5, 6)])
    line = np.polyfit(wave, [x[41], x[51], x[61]], 2)
    assert x[71] == pytest.approx(np.polyval(line, phase / 7), abs=0.3)
    assert x[31] < x[41] < x[51] < x[61] < x[71]


def test_star_electrons_agree_with_the_published_simulator():
    """4.72e6 e/s of a 12 mag star over all orders of HK (ScopeSim, coarse spectral bins); here 4.5e6."""
    assert ready().prediction.target_rate == pytest.approx(4.72e6, rel=0.15)


def test_the_ratio_is_that_of_the_wavelengths_that_arrive():
    """SCAO's dichroic keeps what is below 0.93 um: order 82 is dark, and does not count."""
    prediction = ready("Spec_IJ").prediction
    assert {spectrum.order for spectrum in prediction.orders} == SETTINGS["Spec_IJ"] - {82}
    assert (prediction.inside.wave.min(), prediction.inside.wave.max()) == pytest.approx((0.92, 1.6), abs=0.02)
    assert prediction.snr_single == pytest.approx(np.median([np.median(s.single) for s in prediction.orders]), rel=0.5)


@pytest.fixture(scope="module")
def spectra():
    return ready().renderer


def middle(spectra, order):
    """Return the trace and its chip 5 pixels (x, y) at s = 0 for its wavelengths."""
    (trace,) = (t for t in spectra.spectrograph.traces if t.order == order)
    wave = np.linspace(*trace.wave, 4001)
    x, y = course.to_pixels(
        *trace.place(wave, np.zeros(wave.size)), spectra.setup.detector.chip(5), spectra.setup.detector
    )
    return trace, wave, np.asarray(x), np.asarray(y)


def test_the_star_stands_on_the_trace(spectra):
    _, _, x, y = middle(spectra, 41)
    at = np.flatnonzero((y > 1000) & (y < 1040))
    window = type(spectra.setup.frame.window)(int(x[at].mean()) - 40, 1000, 81, 40)
    image = spectra.illuminate(spectra.setup.detector.chip(5), window, frozenset({"stars"}))
    columns = np.arange(81) + window.x0
    core = np.abs(columns - x[at].mean()) < 8
    centre = (image[:, core] @ columns[core]) / image[:, core].sum(axis=1)
    assert np.abs(centre - np.interp(np.arange(1000, 1040), y, x)).max() < 0.1


def test_a_pixel_knows_its_wavelength_and_its_place_in_the_slit(spectra):
    trace, wave, x, y = middle(spectra, 41)
    row = 2048
    window = type(spectra.setup.frame.window)(0, row, 4096, 1)
    found = spectra.wavelengths(spectra.setup.detector.chip(5), window)
    lit = found.order[0] == 41
    assert lit.sum() == pytest.approx(3.0 / 0.00402, rel=0.01)  # 3 arcsec at 3.73 mm per arcsec
    column = round(float(np.interp(row, y, x)))
    assert found.wave[0, column] == pytest.approx(np.interp(row, y, wave), abs=2e-6)
    assert found.s[0, column] == pytest.approx(0.0, abs=0.004)
    assert (found.s[0, lit].min(), found.s[0, lit].max()) == pytest.approx((-1.5, 1.5), abs=0.01)
    assert trace.wave[0] < found.wave[0, lit].min()

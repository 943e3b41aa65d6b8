"""HARMONI against the figures of the consortium's simulator and the layout of its slices."""

import json
from dataclasses import replace

import numpy as np
import pytest

from elvis_cli.errors import RequestError
from elvis_cli.instrument import registry
from elvis_cli.prediction import extraction, spectroscopy
from elvis_cli.request import parse
from tests.conftest import renderer

# HSIM 60c354a: range (um), R, collecting area (m2), means over it: grating, optics (LTAO, SCAO, NOAO), telescope, QE,
# and the total with LTAO but without the atmosphere
GRATINGS = {
    "V+R": (0.458, 0.82, 3100, 996.3, 0.8083, (0.1584, None, 0.4107), 0.5696, 0.9353, 0.0922),
    "Iz+J": (0.811, 1.369, 3355, 996.3, 0.7962, (0.3491, 0.3525, 0.3772), 0.6986, 0.875, 0.2163),
    "H+K": (1.45, 2.45, 3355, 896.3, 0.7483, (0.4376, 0.4468, 0.4721), 0.7611, 0.9111, 0.3042),
    "Iz": (0.83, 1.05, 7104, 996.3, 0.8931, (0.3435, 0.341, 0.3714), 0.6728, 0.874, 0.2033),
    "J": (1.046, 1.324, 7104, 896.3, 0.9269, (0.3895, 0.3989, 0.4244), 0.7181, 0.8784, 0.2459),
    "H": (1.435, 1.815, 7104, 896.3, 0.9147, (0.5334, 0.545, 0.5797), 0.7553, 0.9022, 0.3638),
    "K": (1.951, 2.469, 7104, 896.3, 0.8953, (0.5531, 0.5651, 0.5937), 0.7651, 0.9114, 0.3863),
    "z-high": (0.828, 0.902, 17385, 996.3, 0.7952, (0.2934, 0.2775, 0.3182), 0.6395, 0.859, 0.1612),
    "J-short": (1.012, 1.102, 17385, 896.3, 0.7878, (0.2768, 0.2831, 0.3016), 0.7039, 0.883, 0.172),
    "J-long": (1.098, 1.189, 17385, 896.3, 0.7866, (0.3024, 0.3097, 0.3295), 0.7135, 0.878, 0.1894),
    "H-high": (1.538, 1.678, 17385, 896.3, 0.7868, (0.4389, 0.4492, 0.4778), 0.7554, 0.9008, 0.2987),
    "K-short": (2.017, 2.201, 17385, 896.3, 0.7823, (0.4937, 0.5057, 0.5313), 0.7646, 0.9226, 0.3483),
    "K-long": (2.199, 2.4, 17385, 896.3, 0.7498, (0.4399, 0.449, 0.4716), 0.7656, 0.9099, 0.307),
}
MODES = ("ifs_ltao", "ifs_scao", "ifs_noao")
CASES = [(mode, name) for mode in MODES for name in GRATINGS if (mode, name) != ("ifs_scao", "V+R")]
FIELDS = {"4x4": (0.61, 0.86), "10x10": (1.52, 2.14), "20x20": (3.04, 4.28), "60x30": (9.12, 6.42)}


def document(mode="ifs_ltao", grating="K", scale="10x10", **block):
    made = registry.load("harmoni").example(mode)
    made["instrument"].update({"INS.GRAT.NAME": grating, "INS.SCALE.NAME": scale})
    made["elvis"] = block
    made["output"] = {}
    return made


def configure(*args, **keys):
    return registry.load("harmoni").configure(parse.read(json.dumps(document(*args, **keys))))


@pytest.mark.parametrize(("mode", "name"), CASES)
def test_throughput_is_that_of_the_simulator(mode, name):
    low, high, _, area, grating, optics, telescope, qe, total = GRATINGS[name]
    setup = configure(mode, name)
    wave = np.linspace(low, high, 2001)[1:-1]
    stop = next(s for s in setup.optics.surfaces if s.name == "HARMONI cold stop").throughput.value[0]

    def mean(*groups, then=1.0):
        return np.mean(
            np.prod([s.throughput.at(wave) for s in setup.optics.surfaces if s.group in groups], axis=0) * then
        )

    assert setup.optics.telescope.area * stop == pytest.approx(area, rel=1e-3)
    assert mean("filter") == pytest.approx(grating, rel=5e-3)
    assert mean("telescope") == pytest.approx(telescope, rel=5e-3)
    assert setup.detector.qe.at(wave).mean() == pytest.approx(qe, rel=5e-3)
    within = 0.05 if name == "V+R" else 0.017  # on the slope of LTAO's dichroic
    assert mean("relay", "instrument", "filter") / stop == pytest.approx(optics[MODES.index(mode)], rel=within)
    if mode == "ifs_ltao":
        every = mean("telescope", "relay", "instrument", "filter", then=setup.detector.qe.at(wave)) / stop
        assert every == pytest.approx(total, rel=within)


def test_the_visible_is_refused_behind_the_dichroic_of_scao():
    with pytest.raises(RequestError) as error:
        configure("ifs_scao", "V+R")
    assert error.value.details["pointer"] == "/instrument/INS.GRAT.NAME"
    assert "dichroic" in str(error.value)


@pytest.mark.parametrize("name", GRATINGS)
def test_the_grating_fills_the_chip_at_its_resolving_power(name):
    """R at 2.2 pixels; the range of a grating is on the chip for every slice, but for the last pixels of V+R's."""
    low, high, power, *_ = GRATINGS[name]
    setup = configure("ifs_noao", name)
    for trace in setup.spectrograph.traces:
        ends = trace.place(np.array([low, high]), np.zeros(2))[1]
        per_pixel = (high - low) / (np.diff(ends)[0] / setup.detector.pixel_mm)
        assert (low + high) / 2 / (2.2 * per_pixel) == pytest.approx(power, rel=1e-3)
        chip = min(setup.detector.chips, key=lambda c: abs(c.y_mm - ends.mean()))
        beyond = np.abs((ends - chip.y_mm) / setup.detector.pixel_mm).max() - setup.detector.ny / 2
        assert beyond < (20 if name == "V+R" else 0)


@pytest.mark.parametrize("scale", FIELDS)
def test_the_slices_tile_the_field(scale):
    setup = configure(scale=scale)
    apertures = setup.spectrograph.apertures
    assert len(apertures) == 304
    x, y = (np.array([getattr(a, axis) for a in apertures]) for axis in "xy")
    width, length = apertures[0].width, apertures[0].length
    assert (x.max() - x.min() + width, y.max() - y.min() + length) == pytest.approx(FIELDS[scale], abs=0.005)
    assert len(apertures) * width * length == pytest.approx(np.prod(FIELDS[scale]), rel=0.02)
    np.testing.assert_allclose(np.diff(np.unique(x.round(6))), width)
    assert set(y.round(6)) == {round(-length / 2, 6), round(length / 2, 6)}
    assert [a.offset for a in apertures] == pytest.approx(y)  # s is the field's y
    assert setup.spectrograph.dispersion_scale * 2 == pytest.approx(width)
    assert length / setup.optics.pixel_scale == pytest.approx(107)


def test_each_chip_has_the_halves_of_38_slices_side_by_side():
    setup = configure()
    pixel, half = setup.detector.pixel_mm, setup.detector.nx / 2
    seen = {chip.id: {} for chip in setup.detector.chips}
    for trace in setup.spectrograph.traces:
        aperture = setup.spectrograph.apertures[trace.aperture]
        s = aperture.offset + np.array([-0.5, 0.5]) * aperture.length
        x, y = trace.place(np.full(2, 2.2), s)
        (chip,) = (c for c in setup.detector.chips if np.hypot(c.x_mm - x.mean(), c.y_mm - y[0]) < 40)
        seen[chip.id][trace.aperture % 152] = ((x - chip.x_mm) / pixel + half, (y[0] - chip.y_mm) / pixel)
        assert (chip.id % 2 == 1) == (aperture.y < 0)
    for number, slices in seen.items():
        first = (number - 1) // 2 * 38
        assert sorted(slices) == list(range(first, first + 38))
        ends = np.array([slices[k][0] for k in sorted(slices)])
        np.testing.assert_allclose(ends[:, 1] - ends[:, 0], 107)
        np.testing.assert_allclose(ends, np.rint(ends), atol=1e-3)  # whole pixels
        assert np.all(ends[1:, 0] - ends[:-1, 1] > -1e-3)
        assert ends[0, 0] >= 4  # reference pixels
        assert ends[-1, 1] <= 4092
        rows = np.array([slices[k][1] for k in sorted(slices)])
        np.testing.assert_allclose(rows[1::2] - rows[::2], 134 + (2 if number % 2 else -2))


@pytest.fixture(scope="module")
def spectra():
    return renderer(document())


def windowed(spectra, *window):
    return type(spectra.setup.frame.window)(*window)


def test_a_line_is_as_wide_as_the_resolving_power_says(spectra):
    line = 2.21

    def density(edges):
        inside = np.clip(line + 5e-7 - edges[:-1], 0, None) - np.clip(line - 5e-7 - edges[:-1], 0, None)
        beyond = np.clip(line + 5e-7 - edges[1:], 0, None) - np.clip(line - 5e-7 - edges[1:], 0, None)
        return (inside - beyond) / np.diff(edges) * 1e9

    line_only = replace(spectra.light.uniform[0], density=density)
    lamp = replace(spectra, apertures=replace(spectra.apertures, light=replace(spectra.light, uniform=(line_only,))))
    chip = spectra.setup.detector.chip(3)
    image = lamp.illuminate(chip, windowed(spectra, 4 + 20, 1800, 60, 400), frozenset({line_only.part}))
    profile = image.sum(axis=1)
    peak = int(profile.argmax())
    fine = np.linspace(peak - 4, peak + 4, 8001)
    from scipy.interpolate import CubicSpline

    above = fine[CubicSpline(np.arange(profile.size), profile)(fine) > profile.max() / 2]
    dispersion = np.diff(GRATINGS["K"][:2])[0] / 3663
    assert line / ((above[-1] - above[0]) * dispersion) == pytest.approx(7104, rel=0.05)


def test_the_star_is_on_the_four_chips_in_the_middle(spectra):
    """Its light on the slices around it; what a chip sees of it is a quarter."""
    sums = {}
    for number, x0 in ((3, 3600), (4, 3600), (5, 0), (6, 0), (1, 3600), (8, 0)):
        image = spectra.illuminate(
            spectra.setup.detector.chip(number), windowed(spectra, x0, 2000, 496, 200), frozenset({"stars"})
        )
        sums[number] = float(image.sum())
    near = [sums[n] for n in (3, 4, 5, 6)]
    assert max(near) < 1.2 * min(near)
    assert max(sums[1], sums[8]) < 0.03 * min(near)  # its halo, 0.4 arcsec away


def test_the_prediction_is_what_the_slices_hold(spectra):
    """The target is where four half slices meet: no pixel counts twice, and none lies half beside a slice."""
    prediction = spectroscopy.predict(spectra, parse.read(json.dumps(document())).target)
    pixel, low, high = spectra.setup.optics.pixel_scale, 2.2, 2.203
    held = pixels = 0.0
    for number, x0 in ((3, 3600), (4, 3600), (5, 0), (6, 0)):
        window, chip = windowed(spectra, x0, 1300, 496, 1100), spectra.setup.detector.chip(number)
        seen = spectra.wavelengths(chip, window)
        light = spectra.illuminate(chip, window, frozenset({"stars"}))
        for a in np.unique(seen.aperture[seen.aperture >= 0]):
            slit, own = spectra.spectrograph.apertures[a], (seen.aperture == a) & (seen.wave > low) & (seen.wave < high)
            across, along = slit.within(*spectra.scene.centre)
            s = seen.s[own].astype(float) - slit.offset - along
            weight = extraction.disc(s, pixel, -across, slit.width, prediction.aperture_pix * pixel / 2)
            held += float((light[own] * weight).sum()) * prediction.dit
            pixels += float(weight.sum())
    spectrum = prediction.inside
    part = spectrum.where((spectrum.wave > low) & (spectrum.wave < high))
    assert part.npix.sum() == pytest.approx(pixels, rel=0.02)
    assert part.target.sum() == pytest.approx(held, rel=0.05)


def test_short_integrations_have_the_greater_read_noise():
    made = document()
    noise = []
    for dit in (60, 120, 121, 600):
        made["timesnr"]["DET.DIT"] = dit
        setup = registry.load("harmoni").configure(parse.read(json.dumps(made)))
        noise.append(setup.detector.chips[0].ron)
    assert noise == [15, 15, 6, 6]


def test_the_visible_has_its_own_detector():
    setup = configure("ifs_noao", "V+R")
    assert (setup.detector.kind, len(setup.detector.chips)) == ("ccd", 4)
    assert {trace.aperture % 152 for trace in setup.spectrograph.traces} == set(range(38, 114))
    assert (setup.detector.chips[0].ron, setup.detector.full_well) == (2.0, 72000.0)

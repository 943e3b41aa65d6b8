"""Calibration frames: the light that they should have, where it should be, and what the data flow calls them."""

from __future__ import annotations

import json
from io import BytesIO
from pathlib import Path

import elvis_instruments
import elvis_schemas
import numpy as np
import pytest
from astropy.io import fits

from elvis_cli import pipeline
from elvis_cli.commands import options
from elvis_cli.errors import RequestError, ResourceError
from elvis_cli.focalplane.trace import to_pixels
from elvis_cli.instrument import registry
from elvis_cli.instrument.sourced_table import SourcedTable, read
from elvis_cli.light import cells, etalon
from elvis_cli.model import calibration
from elvis_cli.model.elvis_block import Window
from elvis_cli.request import parse
from elvis_cli.scene import spectrum
from tests.conftest import MICADO, changed

SLIT = {"kind": "slit", "width": (1.0, "arcsec"), "length": (40.0, "arcsec")}
SHORT = {"spectrograph": {"aperture": {"length": {"value": 1.0, "unit": "arcsec", "source": "x"}}}}
LAMPS = {
    "lamps": {
        "comb": {
            "name": "comb",
            "lines": {"wave": [0.605, 0.62, 0.63003, 0.655], "value": [1.0, 0.2, 0.5, 0.8], "unit": "1", "source": "x"},
        },
        "modes": {
            "name": "modes",
            "offset": {"value": 10.0, "unit": "GHz", "source": "x"},
            "spacing": {"value": 10000.0, "unit": "GHz", "source": "x"},
            "blue_end": {"value": 0.5, "unit": "um", "source": "x"},
            "red_end": {"value": 0.7, "unit": "um", "source": "x"},
        },
        "etalon": {
            "name": "etalon",
            "temperature": {"value": 3000.0, "unit": "K", "source": "x"},
            "gap": {"value": 0.03, "unit": "mm", "source": "x"},
            "finesse": {"value": 4.0, "unit": "1", "source": "x"},
        },
        "iodine": {
            "name": "iodine",
            "temperature": {"value": 3000.0, "unit": "K", "source": "x"},
            "cell": "iodine",
        },
        "blue": {"name": "blue", "lines": {"wave": [0.4], "value": [1.0], "unit": "1", "source": "x"}},
    },
    "calibration": {
        "arc": {"lamps": ["comb"], "type": "WAVE"},
        "comb": {"lamps": ["modes"]},
        "fabry-perot": {"lamps": ["etalon"]},
        "cell": {"lamps": ["iodine"]},
        "orders": {"lamps": ["etalon"], "patch": SHORT},
        "format": {"lamps": ["comb"], "patch": SHORT},
        "pinhole": {
            "x": {"value": [0.0, 0.0], "unit": "arcsec", "source": "x"},
            "y": {"value": [-5.0, 6.0], "unit": "arcsec", "source": "x"},
        },
        "pupil": {
            "diameter": {"value": 40.0, "unit": "pixel", "source": "x"},
            "fill": {"value": 0.5, "unit": "1", "source": "x"},
        },
    },
    "standard": {"mag": {"value": 11.0, "unit": "mag", "source": "x"}, "band": "R", "sed": "Pickles:A0V"},
}
QUIET = {"elvis/only": ["stars", "galaxies", "thermal", "background"]}


def light(made):
    """Return the noiseless electrons/s of the bench's chip."""
    detector = made.setup.detector
    return made.renderer.illuminate(detector.chip(1), Window(0, 0, detector.nx, detector.ny)).astype(float)


def taken(bench, ready, name, spectrum=False, tables=LAMPS, **changes):
    kind = {"kind": "slit", "aperture": SLIT} if spectrum else {}
    return ready(bench({"elvis/calibration": name, **changes}, tables=tables, **kind))


def test_the_short_slit_of_an_order_definition_is_that_of_its_patch(bench, ready):
    long, short = taken(bench, ready, "arc", True), taken(bench, ready, "format", True)
    lit = [np.count_nonzero(light(made).max(axis=1) > 0.01 * light(made).max()) for made in (long, short)]
    assert short.setup.spectrograph.apertures[0].length == 1.0
    assert lit[1] < 0.5 * lit[0]


def test_schema_and_command_line_know_the_kinds():
    block = elvis_schemas.load()["properties"]["elvis"]["properties"]
    assert set(block["calibration"]["enum"]) - {None} == set(calibration.KINDS)
    assert {each.value for each in options.Calibration} == set(calibration.KINDS)


@pytest.mark.parametrize("name", sorted(calibration.KINDS))
@pytest.mark.parametrize("spectrum", [False, True])
def test_every_kind_can_be_taken(bench, elvis, name, spectrum):
    kind = {"kind": "slit", "aperture": SLIT} if spectrum else {}
    result = elvis(f"--calibration={name}", stdin=json.dumps(bench(tables=LAMPS, **kind)))
    if name in calibration.WAVELENGTH_KINDS and not spectrum:
        assert result.code == 65
        assert result.lines[0].startswith(f"elvis: /elvis/calibration: no {name!r} here: an image has no wavelengths")
        return
    assert result.code == 0
    with fits.open(BytesIO(result.out)) as hdus:
        top = hdus[0].header
        kind = calibration.KINDS[name]
        assert top["ESO DPR CATG"] == kind.category
        assert top["ESO DPR TYPE"] == ("WAVE" if name == "arc" else kind.type)
        assert top["ESO DPR TECH"] == ("SPECTRUM" if spectrum else "IMAGE")
        if name != "std":
            assert top["OBJECT"] == top["ESO DPR TYPE"]
            assert top["ESO SIM CALIB"] == name
            assert "ESO SIM SNR" not in top
        hdus.verify("exception")


def test_an_image_of_the_pupil_is_as_large_and_bright_as_the_data_say(bench, ready):
    """Its open parts fill half of the well; its area is that of the telescope's annulus, 40 pixels across."""
    made = taken(bench, ready, "pupil", **QUIET)
    image = light(made) - np.median(light(made))
    level = 0.5 * 1e5 / made.setup.exposure.dit
    assert image.max() == pytest.approx(level, rel=0.1)
    telescope = made.setup.optics.telescope
    annulus = np.pi / 4 * 40.0**2 * (1.0 - (telescope.inner / telescope.diameter) ** 2)
    assert image.sum() / level == pytest.approx(annulus, rel=0.1)


@pytest.mark.parametrize("spectrum", [False, True])
@pytest.mark.parametrize("lamp", [None, 0.1])
@pytest.mark.parametrize("name", ["flat", "twilight"])
def test_a_flat_fills_its_part_of_the_well(bench, ready, name, lamp, spectrum):
    made = taken(bench, ready, name, spectrum, **{"elvis/lamp": lamp})
    brightest = light(made).max() * made.setup.exposure.dit
    assert brightest == pytest.approx((lamp or 0.5) * 1e5, rel=0.03)


def test_an_image_of_the_lamp_is_even(bench, ready):
    image = light(taken(bench, ready, "flat"))
    assert np.ptp(image) <= 1e-6 * image.max()


def test_a_flat_is_as_bright_in_any_time_and_one_for_the_linearity_is_not(bench, ready):
    levels = {
        name: [light(taken(bench, ready, name, **{"timesnr/DET.WIN1.UIT1": t})).max() * t for t in (10.0, 1.0)]
        for name in ("flat", "detlin")
    }
    assert levels["flat"] == pytest.approx([5e4, 5e4], rel=1e-4)
    assert levels["detlin"] == pytest.approx([5e4, 5e3], rel=1e-4)


def test_the_spectrum_of_a_flat_is_that_of_the_lamp(bench, ready):
    made = taken(bench, ready, "flat", spectrum=True)
    line = light(made)[128, 60:452]
    found = made.renderer.wavelengths(made.setup.detector.chip(1), Window(0, 0, 512, 256)).wave[128, 60:452]
    planck = 1 / found**4 / np.expm1(14387.77 / found / 3000.0)
    assert line / line[200] == pytest.approx(planck / planck[200], rel=2e-3)


@pytest.mark.parametrize("blur", [0.0, 2.5])
def test_lines_of_an_arc_lie_where_their_wavelengths_do(bench, ready, blur):
    document = bench({"elvis/calibration": "arc"}, tables=LAMPS, kind="slit", aperture=SLIT, blur=(blur, "pixel"))
    made = ready(document)
    image, detector = light(made), made.setup.detector
    (trace,) = made.setup.spectrograph.traces
    wave = np.array(LAMPS["lamps"]["comb"]["lines"]["wave"])
    x, _ = to_pixels(*trace.place(wave, np.zeros(4)), detector.chip(1), detector)
    row, column, sums = image[128], np.arange(512), []
    for place in x:
        near = abs(column - place) < 12
        assert np.average(column[near], weights=row[near]) == pytest.approx(place, abs=0.02)
        sums.append(row[near].sum())
    assert np.array(sums) / sums[0] == pytest.approx([1.0, 0.2, 0.5, 0.8], rel=0.01)
    assert row.max() * made.setup.exposure.dit == pytest.approx(5e4, rel=0.1)
    assert row.sum() == pytest.approx(sum(sums), rel=1e-3)


def test_modes_of_a_comb_are_equal_and_evenly_spaced_in_frequency(bench, ready):
    made = taken(bench, ready, "comb", spectrum=True)
    image, detector = light(made), made.setup.detector
    (trace,) = made.setup.spectrograph.traces
    wave = 299792.458 / (10.0 + 10000.0 * np.arange(46, 50))  # um, of GHz
    x, _ = to_pixels(*trace.place(wave, np.zeros(wave.size)), detector.chip(1), detector)
    row, column, sums = image[128], np.arange(512), []
    inside = (x > 20) & (x < 490)
    assert inside.sum() > 2
    for place in x[inside]:
        near = abs(column - place) < 12
        assert np.average(column[near], weights=row[near]) == pytest.approx(place, abs=0.02)
        sums.append(row[near].sum())
    assert sums == pytest.approx([np.mean(sums)] * len(sums), rel=0.01)


def test_a_fabry_perot_has_maxima_at_twice_its_gap(bench, ready):
    made = taken(bench, ready, "fabry-perot", spectrum=True)
    image, detector = light(made), made.setup.detector
    wave = made.renderer.wavelengths(detector.chip(1), Window(0, 0, 512, 256)).wave[128]
    row = np.where((wave > 0.603) & (wave < 0.657), image[128], 0.0)
    peaks = 1 + np.flatnonzero((row[1:-1] > row[:-2]) & (row[1:-1] >= row[2:]) & (row[1:-1] > row.max() / 2))
    assert peaks.size > 5
    order = 2 * 30.0 / wave[peaks]
    assert order == pytest.approx(np.rint(order), abs=0.05)
    assert np.all(np.diff(np.rint(order)) == -1)
    assert row.max() * made.setup.exposure.dit == pytest.approx(5e4, rel=0.15)


def test_a_cell_takes_its_part_of_a_flat(bench, ready):
    cell, flat = (taken(bench, ready, name, spectrum=True) for name in ("cell", "flat"))
    wave = flat.renderer.wavelengths(flat.setup.detector.chip(1), Window(0, 0, 512, 256)).wave[128, 60:452]
    ratio = (light(cell) / np.maximum(light(flat), 1e-9))[128, 60:452]
    assert ratio.max() < 1.0 + 1e-6
    low, high = wave[[50, 300]]
    expected = cells.transmission("iodine", np.array([low, high]))[0]
    assert ratio[50:300].mean() == pytest.approx(expected, rel=0.01)
    assert expected < 0.97


def test_a_cell_that_absorbs_nothing_here_is_refused(bench, ready):
    tables = {**LAMPS, "lamps": {**LAMPS["lamps"], "iodine": {**LAMPS["lamps"]["iodine"], "cell": "carbon_monoxide"}}}
    with pytest.raises(RequestError, match=r"iodine: the cell absorbs nothing between 0\.6 and 0\.66 um"):
        taken(bench, ready, "cell", spectrum=True, tables=tables)


def test_an_unknown_cell_is_refused(bench, ready):
    tables = {**LAMPS, "lamps": {**LAMPS["lamps"], "iodine": {**LAMPS["lamps"]["iodine"], "cell": "idoine"}}}
    with pytest.raises(ResourceError, match="no cell 'idoine'"):
        taken(bench, ready, "cell", spectrum=True, tables=tables)


def test_an_arc_without_lines_in_the_band_is_refused(bench, ready):
    tables = {**LAMPS, "calibration": {"arc": {"lamps": ["blue"]}}}
    with pytest.raises(RequestError, match=r"blue: no line between 0\.6 and 0\.66 um, the nearest is at") as refused:
        taken(bench, ready, "arc", spectrum=True, tables=tables)
    assert "flat" in refused.value.details["allowed"]
    assert not {"arc", "pinhole"} & set(refused.value.details["allowed"])  # of which this bench has no mask


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("arc", "no lamp of lines"),
        ("pinhole", "no mask of pinholes"),
        ("comb", "no laser frequency comb"),
        ("fabry-perot", "no Fabry-Perot"),
        ("cell", "no absorption cell"),
    ],
)
def test_what_an_instrument_does_not_have_is_refused(bench, ready, name, reason):
    with pytest.raises(RequestError, match=reason) as refused:
        taken(bench, ready, name, spectrum=True, tables={})
    assert "flat" in refused.value.details["allowed"]
    assert name not in refused.value.details["allowed"]


def test_an_infrared_array_has_no_bias():
    document = registry.load("micado").example()
    document["elvis"] = {"calibration": "bias"}
    with pytest.raises(RequestError, match="an infrared array has no bias"):
        pipeline.prepare(parse.read(json.dumps(document)))


@pytest.mark.parametrize("spectrum", [False, True])
@pytest.mark.parametrize("name", ["dark", "bias", "off"])
def test_nothing_shines_in_the_dark(bench, ready, name, spectrum):
    """The bench is cold behind the telescope."""
    assert not light(taken(bench, ready, name, spectrum)).any()


def test_a_bias_takes_no_time(bench, elvis):
    result = elvis("--calibration=bias", stdin=json.dumps(bench()))
    with fits.open(BytesIO(result.out)) as hdus:
        assert hdus[0].header["EXPTIME"] == hdus[0].header["ESO DET DIT"] == 0.0
        values = hdus["CHIP1"].data.astype(float)
    assert values.mean() == pytest.approx(100.0, abs=0.05)
    assert values.std() == pytest.approx(np.hypot(3.0 / 2.0, 12**-0.5), rel=0.02)


@pytest.mark.parametrize("spectrum", [False, True])
def test_the_sky_is_the_frame_without_the_target(bench, ready, spectrum):
    kind = {"kind": "slit", "aperture": SLIT} if spectrum else {}
    sky, science = light(taken(bench, ready, "sky", spectrum)), ready(bench(**kind))
    window = Window(0, 0, 512, 256)
    chip = science.setup.detector.chip(1)
    expected = science.renderer.illuminate(chip, window, frozenset({"background", "thermal"}))
    np.testing.assert_allclose(sky, expected, rtol=1e-6)
    assert sky.max() > 0


def test_the_warm_instrument_glows_when_the_lamp_is_off(bench, ready):
    warm = {
        "surfaces": {
            "oven": {
                "name": "oven",
                "group": "instrument",
                "throughput": {"value": 0.5, "unit": "1", "source": "x"},
                "temperature": {"value": 1000.0, "unit": "K", "source": "x"},
            }
        },
        "optics": ["oven", "filters"],
    }
    off = light(taken(bench, ready, "off", tables=warm))
    science = ready(bench(tables=warm))
    np.testing.assert_allclose(off, science.renderer.light.budget.background["oven"], rtol=1e-5)
    assert off.max() > 0
    flat = light(taken(bench, ready, "flat", tables=warm))
    assert (flat - off).max() * 10 == pytest.approx(5e4, rel=1e-4)
    assert not light(taken(bench, ready, "dark", tables=warm)).any()


def test_the_lamp_does_not_pass_the_telescope(bench, ready):
    """Its light is as the instrument alone passes it; so a telescope that passes nothing does not matter."""
    made = taken(bench, ready, "flat")
    assert made.renderer.light.budget.groups.keys() == {"detector"}
    assert np.all(made.renderer.light.budget.atmosphere == 1.0)


def test_a_standard_star_stands_in_the_targets_place(bench, ready):
    tables = LAMPS
    faint = {"target/brightness/mag": 25, "elvis/scene": {"name": "star-grid"}}
    usual = taken(bench, ready, "std", tables=tables, **faint)
    own = ready(bench({"target/brightness": {"magband": "R", "mag": 11.0, "magsys": "vega"}, "target/sed": {
        "sedtype": "spectrum", "spectrum": {"spectrumtype": "template", "params": {"catalog": "Pickles", "id": "A0V"}},
    }}))  # fmt: skip
    np.testing.assert_allclose(light(usual), light(own), rtol=1e-5)
    assert usual.prediction.snr == pytest.approx(own.prediction.snr)
    brighter = taken(bench, ready, "std", tables=tables, **{"elvis/standard": {"mag": 10.0}})
    stars = frozenset({"stars"})
    window, chip = Window(0, 0, 512, 256), own.setup.detector.chip(1)
    ratio = brighter.renderer.illuminate(chip, window, stars).sum() / own.renderer.illuminate(chip, window, stars).sum()
    assert ratio == pytest.approx(10**0.4, rel=1e-4)


def test_a_wrong_standard_is_told_where_it_stands(bench, ready):
    with pytest.raises(RequestError) as refused:
        taken(bench, ready, "std", **{"elvis/standard": {"sed": "Pickles:nonsense"}})
    assert refused.value.details["pointer"] == "/elvis/standard/sed"


def test_without_a_standard_the_target_is_one(bench, ready):
    made = taken(
        bench,
        ready,
        "std",
        tables={},
        **{"target/morphology": {"morphologytype": "extended", "extendedtype": "infinite"}},
    )
    assert made.renderer.scene.rate.size == 1
    assert made.request.target.brightness.mag == 12


@pytest.mark.parametrize("spectrum", [False, True])
def test_pinholes_are_where_the_mask_has_them(bench, ready, spectrum):
    made = taken(bench, ready, "pinhole", spectrum)
    image = light(made)
    column = image[:, 256 if spectrum else slice(250, 262)].reshape(256, -1).sum(axis=1)
    for y in (-5.0, 6.0):
        place = 127.5 + y / 0.25
        near = abs(np.arange(256) - place) < 8
        assert np.average(np.arange(256)[near], weights=column[near]) == pytest.approx(place, abs=0.05)
    assert 0.2 < image.max() * made.setup.exposure.dit / 5e4 < 1.5


def test_pinholes_are_in_the_table_of_what_was_put_in(bench, ready):
    made = taken(bench, ready, "pinhole", **{"elvis/truth": True})
    assert made.renderer.scene.sources.y.tolist() == [-5.0, 6.0]
    assert made.request.elvis.truth
    assert not taken(bench, ready, "flat", **{"elvis/truth": True}).request.elvis.truth


def test_what_is_not_used_is_told(bench, ready):
    notes = taken(bench, ready, "dark", **{"elvis/lamp": 0.5, "timesnr": {"DET.WIN1.UIT1": 5, "snr": 10}}).notes
    assert any(note.startswith("/elvis/lamp: not used") for note in notes)
    assert any(note.startswith("/timesnr/snr: not used") for note in notes)


def test_a_ratio_of_a_flat_is_refused(bench):
    document = bench({"elvis/calibration": "flat"})
    with pytest.raises(RequestError, match="there is no target"):
        pipeline.predict(parse.read(json.dumps(document)))


def test_a_calibration_is_replayed(bench, elvis, tmp_path):
    first = elvis("--calibration=arc", stdin=json.dumps(bench(tables=LAMPS, kind="slit", aperture=SLIT)))
    (tmp_path / "arc.fits").write_bytes(first.out)
    assert elvis("replay", f"{tmp_path}/arc.fits").out == first.out


def test_lines_keep_their_places_between_the_bins():
    edges = np.linspace(1.0, 2.0, 101)
    middle, width = (edges[1:] + edges[:-1]) / 2, np.diff(edges)
    wave, strength = np.array([1.2034, 1.5, 1.7777]), np.array([1.0, 2.0, 3.0])
    density = spectrum.in_bins(wave, strength, edges)
    assert np.sum(density * width) == pytest.approx(6.0)
    assert np.sum(density * width * middle) == pytest.approx(np.sum(wave * strength))
    assert not spectrum.in_bins(np.array([0.5, 2.5]), np.ones(2), edges).any()


def test_a_fabry_perot_passes_one_over_its_contrast_on_average():
    """Airy's function averages to 1 / sqrt(1 + F), is 1 at the maxima and 1 / (1 + F) between them."""
    one = calibration.Etalon(7300.0, 4.3)
    order = np.arange(27000.0, 27011.0, 0.001)
    passed = etalon.transmission(one, 2 * 7300.0 / order[::-1])[::-1]
    contrast = (2 * 4.3 / np.pi) ** 2
    assert passed.max() == pytest.approx(1.0, abs=1e-4)
    assert passed.min() == pytest.approx(1 / (1 + contrast), rel=1e-3)
    assert passed[:10000].mean() == pytest.approx((1 + contrast) ** -0.5, rel=1e-3)
    wide = etalon.transmission(one, 2 * 7300.0 / order[[10000, 0]])
    assert wide[0] == pytest.approx((1 + contrast) ** -0.5, rel=1e-3)


def test_carbon_monoxide_has_its_lines_where_the_laboratory_has_them():
    """R(5) of the bands 1-0 and 2-0: 2165.601 and 4281.657 cm-1 (HITRAN)."""
    for wavenumber in (2165.601, 4281.657):
        edges = 1e4 / (wavenumber + np.arange(0.5, -0.51, -0.004))
        passed = cells.transmission("carbon_monoxide", edges)
        middle = 1e4 / ((edges[1:] + edges[:-1]) / 2)
        assert np.average(middle, weights=1 - passed) == pytest.approx(wavenumber, abs=0.03)


@pytest.mark.parametrize("name", ["neon", "argon", "krypton", "xenon", "mercury", "uranium", "thorium"])
def test_shipped_lines_ascend_and_have_a_strongest(name):
    path = Path(elvis_instruments.__path__[0]) / "_lamps" / f"{name}.toml"
    tree = read(path)
    lines = SourcedTable(tree, path.name, root=tree).curve("lines")
    assert lines.value.max() == 1.0
    assert lines.value.min() > 0.0


@pytest.mark.parametrize(
    ("name", "wave"),  # vacuum, NIST ASD
    [("neon", 0.6404018), ("argon", 0.8117542), ("krypton", 0.7603638), ("xenon", 0.8233896), ("neon", 2.3642934)],
)
def test_well_known_lines_are_there(name, wave):
    lines = read(Path(elvis_instruments.__path__[0]) / "_lamps" / f"{name}.toml")["lines"]
    assert np.abs(np.array(lines["wave"]) - wave).min() < 2e-5


@pytest.mark.parametrize("name", ["dark", "flat", "detlin"])
def test_light_without_shape_needs_no_psf(name, monkeypatch):
    def refuse(*_):
        raise AssertionError("a PSF was made")

    monkeypatch.setattr("elvis_cli.optics.make_psf.build", refuse)
    document = changed(MICADO, {"elvis": {"calibration": name, "window": {"x0": 0, "y0": 0, "nx": 32, "ny": 32}}})
    pipeline.render(parse.read(json.dumps(document)), BytesIO())

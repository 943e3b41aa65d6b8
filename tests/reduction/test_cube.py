"""Cubes reduced from raw slices: against the prediction, the sky's coordinates, and each other."""

import io
import json
import os
from dataclasses import replace

import numpy as np
import pytest
from astropy import units
from astropy.io import fits
from astropy.wcs import WCS

from elvis_cli import pipeline
from elvis_cli.errors import ResourceError
from elvis_cli.focalplane import slit_plane
from elvis_cli.instrument import registry
from elvis_cli.reduction import (
    associate,
    barycentre,
    chip_calibration,
    cube,
    cube_file,
    cube_spectrum,
    layout,
    raw,
    requests,
    sdp,
)
from elvis_cli.reduction.frame import Frame
from elvis_cli.reduction.master import Masters, Readout
from elvis_cli.reduction.spectrum_options import SpectrumOptions
from elvis_cli.reduction.strip_pixels import Pixels
from elvis_cli.request import parse
from tests.conftest import closure_only, run

GAIN, NOISE = 2.0, 10.0
"""electron/ADU, and electron of a pixel in 60 s."""
BORDER = 4
"""Columns of reference pixels on either side."""
WINDOW = {"x0": 0, "y0": 1100, "nx": 2048, "ny": 128}


def document(mag=12, **block):
    """A star of SPIFFIER in K, on some rows of its chip."""
    made = registry.load("eris").example("ifs_noao")
    made["target"]["brightness"]["mag"] = mag
    made["output"] = {"snr": {"snr": True, "noise_components": True}}
    made["timesnr"] = {"DET.DIT": 60, "DET.NDIT": 3}
    made["elvis"] = {"window": WINDOW, **block}
    return made


def rendered(request):
    out = io.BytesIO()
    pipeline.render(parse.read(json.dumps(request)), out)
    return out.getvalue()


@pytest.fixture(scope="module")
def night():
    """The raw files behind the product, the three of the target first."""
    if not os.environ.get("ELVIS_CLOSURE"):
        pytest.skip("make closure: ten seconds of rendering")
    return list(requests.render(requests.documents(parse.read(json.dumps(document())))))


def reduce(files):
    (own,) = associate.associate(raw.open_all(files))
    return cube.reduce(own, layout.configure(own.science[0], "arc"))


@pytest.fixture(scope="module")
def product(night):
    return reduce(night)


@pytest.fixture(scope="module")
def predicted():
    """The tables of the prediction and the map of wavelengths."""
    return rendered(document(wavemap=True))


def in_circle(made, x=0.0, y=0.0, spaxels=31.82):
    grid = made.cube.grid
    weights = cube_spectrum.circle(made.cube, x, y, np.sqrt(spaxels * grid.step[1] * grid.step[2] / np.pi))
    return cube_spectrum.spectrum(made.cube, weights), weights


def over_prediction(made, one, weights, rows):
    """Flux and S/N of a spectrum of a cube over those of the table NOISE_COMPONENTS.

    The prediction counts parts of spaxels at the circle's edge as whole noise; the sum has the squares of the parts.
    """
    order = np.argsort(rows["WAVELENGTH"])
    target, *others = (
        np.square(np.interp(one.wave, rows["WAVELENGTH"][order], rows[name][order]))
        for name in ("TARGET", "SKY", "DARK", "RON")
    )
    inside = np.flatnonzero(~one.bad)[3:-3]
    light = np.median(made.cube.sci, axis=0) * weights
    parts = (light * weights).sum() / light.sum(), np.square(weights).sum() / weights.sum()
    noise = np.sqrt(parts[0] * target + parts[1] * np.sum(others, axis=0))
    first, count = made.files.science[0], sum(file.ndit for file in made.files.science)
    flux = (one.flux * first.dit)[inside].sum() / target[inside].sum()
    error = np.median((one.err * first.dit * np.sqrt(count) / noise)[inside])
    return flux, flux / error


def test_signal_and_noise_are_the_predicted_ones(product, predicted):
    """The prediction has no noise of the darks, 1 %; the sky's leaves the light of 120 planes uncertain by another."""
    with fits.open(io.BytesIO(predicted)) as hdus:
        _, snr = over_prediction(product, *in_circle(product), hdus["NOISE_COMPONENTS"].data)
    assert snr == pytest.approx(1.0, abs=0.03)


@closure_only
def test_harmoni_is_as_predicted():
    """A star of K = 17 in the middle of a half slice, in 15 pixels, with the five flats of the plan."""
    made = registry.load("harmoni").example("ifs_ltao")
    made["timesnr"] = {"DET.DIT": 600, "DET.NDIT": 3}
    made["seeing"]["aperturepix"] = 15
    graph = pipeline.configure(parse.read(json.dumps(made))).spectrograph
    place = graph.apertures[5].x, graph.apertures[5].y + 0.1
    window = {"x0": 0, "y0": 2000, "nx": 1304, "ny": 512}
    made["elvis"] = {"chips": [1], "window": window, "offset": list(place)}
    wanted = [
        one for one in requests.documents(parse.read(json.dumps(made))) if one["elvis"].get("calibration") != "detlin"
    ]
    assert sum(one["elvis"].get("calibration") == "flat" for one in wanted) == 5
    reduced = reduce(list(requests.render(wanted)))
    weights = cube_spectrum.circle(reduced.cube, *place, 7.5 * reduced.cube.grid.step[1])
    with fits.open(io.BytesIO(rendered(made))) as hdus:
        one = cube_spectrum.spectrum(reduced.cube, weights)
        flux, snr = over_prediction(reduced, one, weights, hdus["NOISE_COMPONENTS"].data)
    print(f"HARMONI: flux {flux:.4f}, S/N {snr:.4f} of the prediction")
    assert flux == pytest.approx(1.0, abs=0.01)
    assert snr == pytest.approx(1.0, abs=0.03)


def test_flux_is_the_predicted_one(night):
    """A star of K = 10, whose light is known to 0.3 %; that of K = 12 is to one."""
    star = requests.documents(parse.read(json.dumps(document(10))))[:3]
    one, _ = in_circle(made := reduce([*map(rendered, star), *night[3:]]))
    with fits.open(io.BytesIO(rendered(document(10, wavemap=True)))) as hdus:
        rows = hdus["NOISE_COMPONENTS"].data
        order = np.argsort(rows["WAVELENGTH"])
        target = np.square(np.interp(one.wave, rows["WAVELENGTH"][order], rows["TARGET"][order]))
    inside = slice(3, -3)
    flux = (one.flux * made.files.science[0].dit)[inside].sum()
    assert flux / target[inside].sum() == pytest.approx(1.0, abs=0.01)


def test_wavelengths_of_the_barycentre(night, product):
    """The file's, to a part in 1e12; flux and response stay with the observed ones."""
    (own,) = associate.associate(raw.open_all(night))
    velocity = barycentre.velocity_of(own.science)
    assert abs(velocity) > 0.1
    waves, fluxes = [], []
    for made in (product, replace(product, velocity=velocity)):
        out = io.BytesIO()
        cube_file.write_cube(made, out)
        with fits.open(io.BytesIO(out.getvalue())) as hdus:
            assert [fault for fault in sdp.validate(hdus) if not fault.startswith("ABMAGLIM")] == []
            assert hdus[0].header["SPECSYS"] == ("TOPOCENT" if made.velocity is None else "BARYCENT")
            planes = np.arange(hdus["SCI"].shape[0])
            wcs = WCS(hdus["SCI"].header)
            waves.append(wcs.spectral.pixel_to_world_values(planes))
            fluxes.append(hdus["SCI"].data)
            ends = [hdus[0].header[key] for key in ("WAVELMIN", "WAVELMAX")]
            assert waves[-1][[0, -1]] * 1e9 == pytest.approx(ends, rel=1e-9)
    assert waves[1] / waves[0] == pytest.approx(1 + velocity / 299792.458, rel=1e-12)
    np.testing.assert_array_equal(*fluxes)
    moved = cube.reduce(own, layout.configure(own.science[0], "arc"), SpectrumOptions(barycentric=True))
    assert moved.velocity == velocity


def test_electrons_are_kept(night, product, predicted):
    """The sum over the cube is that of the raw pixels in the slices, without sky, to the noise of the sky's model."""
    files = raw.open_all(night)
    light, sky = (
        np.median([one.read("SPIFFIER")[0] for one in files if one.type == kind], axis=0) for kind in ("OBJECT", "SKY")
    )
    with fits.open(io.BytesIO(predicted)) as hdus:
        slices = hdus["APERTURE"].data > 0
    expected = (light - sky)[slices].sum(dtype=float) * GAIN / files[0].dit
    noise = np.sqrt(2.0 * slices.sum() / 3) * NOISE / files[0].dit
    assert product.cube.sci.sum(dtype=float) == pytest.approx(expected, abs=4 * noise + 0.005 * expected)


@pytest.mark.parametrize("what", ["star", "constant"])
def test_electrons_without_noise_are_kept_to_a_thousandth(night, what):
    """The sum over the voxels is that of the pixels in the slices, where refraction, arc and flat place them."""
    (own,) = associate.associate(raw.open_all(night))
    setup = layout.configure(own.science[0], "arc")
    chip = cube.chip_calibration.cached(own, "SPIFFIER", setup, [], {})
    strips, (group,) = chip.layout.strips, cube.by_pointing(own.science, setup)
    if what == "star":
        with_star, without = document(product="expected"), document(product="expected")
        without["target"]["brightness"]["mag"] = 60
        images = [fits.getdata(io.BytesIO(rendered(one)), "SPIFFIER").astype(float) for one in (with_star, without)]
        light = chip.layout.turn(images[0] - images[1])
    else:
        light = chip.layout.turn(np.ones((WINDOW["ny"], WINDOW["nx"])))
    light[:, :BORDER] = light[:, -BORDER:] = 0.0
    frame = Frame(light, np.ones_like(light), np.zeros(light.shape, np.uint32), {})
    grid = cube.cube_grid.make(setup.spectrograph.apertures, strips, [(group.x, group.y)])
    placed, electrons = [], 0.0
    for strip in strips:
        pixels = Pixels(np.array(strip.cut(light)), np.ones(strip.wave.shape), strip.inside, 1.0)
        placed.append(cube._boxes(strip, pixels, np.zeros_like(pixels.sci), frame, group, grid))
        electrons += pixels.sci[strip.inside].sum()
    assert electrons == pytest.approx(light.sum(), rel=1e-4)
    assert cube.Voxels(grid).add(placed).cube(grid).sci.sum(dtype=float) == pytest.approx(electrons, rel=1e-3)


FIELDS = {
    "SPIFFIER": ("eris", "ifs_noao", (0, 1100, 2048, 128)),
    "METIS LMS": ("metis", "lms_scao", (800, 500, 400, 700)),
    "HARMONI": ("harmoni", "default", (1000, 1000, 800, 300)),
}
"""Instrument, mode and a window of its first chip with six slices or more."""


@pytest.mark.parametrize("field", FIELDS)
def test_voxels_keep_the_electrons_of_pixels(field):
    """An emission line of a star that ends within the window, where refraction and the layout place it: to 0.1 %."""
    name, mode, (x0, y0, nx, ny) = FIELDS[field]
    plugin = registry.load(name)
    made = plugin.example() if mode == "default" else plugin.example(mode)
    made["elvis"] = {"chips": [1], "window": {"x0": x0, "y0": y0, "nx": nx, "ny": ny}}
    setup = pipeline.configure(parse.read(json.dumps(made)))
    slices = layout.of_chip(setup, setup.detector.chip(1).extname, (nx, ny, x0 + 1, y0 + 1))
    grid = cube.cube_grid.make(setup.spectrograph.apertures, slices.strips, [(0.0, 0.0)])
    group = cube.Group([], 0.0, 0.0, slit_plane.refraction_drift(setup.spectrograph, setup, 30.0, 0.0))
    shape = (nx, ny) if slices.transposed else (ny, nx)
    frame = Frame(np.zeros(shape, np.float32), np.zeros(shape, np.float32), np.zeros(shape, np.uint32), {})
    low, high = (
        end([getattr(one.wave, name)() for one in slices.strips]) for end, name in ((max, "min"), (min, "max"))
    )
    middle, width = (grid.shape[1] / 2, grid.shape[2] / 2), (grid.shape[1] / 12, grid.shape[2] / 12)
    placed, electrons = [], 0.0
    for strip in slices.strips:
        dark = Pixels(np.zeros(strip.wave.shape), np.ones(strip.wave.shape), strip.inside, 1.0)
        boxes, *_ = cube._boxes(strip, dark, dark.sci, frame, group, grid)
        place = [(boxes[:, n + 1] - middle[n]) / width[n] for n in (0, 1)]
        place.append((strip.wave[strip.inside] - (low + high) / 2) / ((high - low) / 12))
        dark.sci[strip.inside] = np.exp(-0.5 * np.sum(np.square(place), axis=0))
        placed.append(cube._boxes(strip, dark, np.zeros(strip.wave.shape), frame, group, grid))
        electrons += dark.sci.sum()
    kept = cube.Voxels(grid).add(placed).cube(grid).sci.sum(dtype=float) / electrons - 1
    print(f"{field}: {kept:+.1e}")
    assert abs(kept) < 1e-3


def blocks(values, *shape):
    """Return the sums of blocks of a cube."""
    nz, ny, nx = (size // block for size, block in zip(values.shape, shape, strict=True))
    cut = values[: nz * shape[0], : ny * shape[1], : nx * shape[2]]
    return cut.reshape(nz, shape[0], ny, shape[1], nx, shape[2]).sum(axis=(1, 3, 5))


@closure_only
@pytest.mark.parametrize("mag", [12, 5])
def test_scatter_is_the_error(night, mag):
    """Two nights of a star, calibrations and all, differ by their errors: voxels, and sums of 8 planes of 4 x 4.

    Photons of the brighter one are 90 times the read noise; 5 flats tell the response of a pixel to 0.2 %.
    """
    requested = requests.documents(parse.read(json.dumps(document(mag))))
    cubes = []
    for seed in (None, 5):
        files = list(night)
        for n, each in enumerate(requested):
            if n < 3 or (seed and each["elvis"].get("calibration") in ("sky", "dark", "flat", "arc")):
                files[n] = rendered({**each, "elvis": {**each["elvis"], **({"seed": seed + n} if seed else {})}})
        cubes.append(reduce(files).cube)
    one, two = cubes
    assert one.grid == two.grid
    good = (one.dq == 0) & (two.dq == 0)
    pull = (one.sci - two.sci)[good] / np.hypot(one.err, two.err)[good]
    assert 1.4826 * np.median(np.abs(pull)) == pytest.approx(1.0, abs=0.1)
    both = good[None] * np.stack([one.sci - two.sci, np.square(one.sum_err) + np.square(two.sum_err)])
    difference, variance = (blocks(each.astype(float), 8, 4, 4) for each in both)
    whole = blocks(good.astype(float), 8, 4, 4) == 128
    pull = difference[whole] / np.sqrt(variance[whole])
    assert 1.4826 * np.median(np.abs(pull)) == pytest.approx(1.0, abs=0.1)


def strips():
    """The setting and the slices of a part of SPIFFIER's chip, as the instrument has them."""
    setup = pipeline.configure(parse.read(json.dumps(document())))
    return setup, layout.of_chip(setup, "SPIFFIER", (2048, 64, 1, 1101)).strips


def test_planes_are_those_of_the_setting():
    """Arcs of two nights differ by their noise and by a shift; wavelengths of the planes do not."""
    setup, slices = strips()
    grids = []
    for shift in (0.0, 0.03, 2.04):
        moved = [replace(one, wave=one.wave + shift * np.gradient(one.wave, axis=0)) for one in slices]
        grids.append(cube.cube_grid.make(setup.spectrograph.apertures, moved, [(0.0, 0.0)]))
    still, noisy, far = grids
    assert noisy == still
    assert abs(far.first[0] - still.first[0]) / still.step[0] == pytest.approx(2.0, abs=1e-6)
    assert (far.step, far.shape) == (still.step, still.shape)


def test_reference_pixels_see_no_slice():
    """SPIFFIER has four: taken for light, rows beside them were dead pixels, and slices at the chip's side moved."""
    setup = pipeline.configure(parse.read(json.dumps(document())))
    for first, rows in ((1, (4, 63)), (1985, (0, 59))):
        slices = layout.of_chip(setup, "SPIFFIER", (2048, 64, 1, first)).strips
        assert {(one.row[0], one.row[-1]) for one in slices} == {rows}
        columns = np.concatenate([one.column[one.inside] for one in slices])
        assert (columns.min(), columns.max()) == (4, 2043)
    inner = layout.of_chip(setup, "SPIFFIER", (1000, 64, 501, 1101)).strips
    assert {(one.row[0], one.row[-1]) for one in inner} == {(0, 63)}


@pytest.mark.filterwarnings("error")
def test_a_field_without_light_has_no_source():
    """No place, and a spectrum whose planes are all flagged; no division by its light."""
    grid = cube.cube_grid.CubeGrid((20, 6, 8), (2.0, -0.3, -0.4), (0.001, 0.1, 0.1), 0.0, True)
    dark, noise = np.zeros(grid.shape, np.float32), np.ones(grid.shape, np.float32)
    empty = cube.Cube(grid, dark, noise, np.zeros(grid.shape, np.uint8), noise)
    (x, y), (width, _) = cube_spectrum.brightest_source(empty)
    assert np.isnan([x, y]).all()
    one = cube_spectrum.spectrum(empty, cube_spectrum.circle(empty, x, y, width))
    assert one.bad.all()


def test_pixels_without_light_are_dead():
    """Relative to the light of the lamp: over that of a pixel that has none, noise is infinite."""
    masters, response = Masters(Readout(1.0, 1.0, 0.0)), np.array([[0.05, 1.0], [0.7, 0.7]], np.float32)
    noise = np.array([[0.01, 0.01], [0.01, 0.1]], np.float32)
    chip_calibration.flag_dead(masters, layout.ChipLayout([], transposed=False), response, noise)
    np.testing.assert_array_equal(masters.dq, [[1, 0], [1, 0]])


def test_the_error_has_that_of_the_flat():
    """100 electron/s in 100 s, a response known to 2 %: a variance of 4 beside that of 0.5 in the dark."""
    _, (strip, *_) = strips()
    shape = (64, 2048)
    values = [np.full(shape, value, np.float32) for value in (100.0, 1.5, 0.02)]
    frame = Frame(values[0], values[1], np.zeros(shape, np.uint32), {})
    pixels = cube._pixels(strip, frame, values[2], 100.0, 1.0)
    assert pixels.var == pytest.approx(np.full(strip.wave.shape, 4.5), rel=1e-5)


def test_slices_are_compared_at_the_same_wavelengths():
    """HARMONI's neighbours see wavelengths 134 pixels apart, where a lamp differs by 2 %: slices do not."""
    setup = pipeline.configure(parse.read(json.dumps(registry.load("harmoni").example("ifs_ltao"))))
    slices = layout.of_chip(setup, setup.detector.chip(1).extname, (800, 256, 1, 2001))
    true = np.linspace(0.9, 1.1, len(slices.strips))
    lamps = [
        part * np.median(cube.cube_sky.size(one), axis=1) * one.middle(one.slit.offset) ** 3
        for part, one in zip(true, slices.strips, strict=True)
    ]
    empty = np.ones((1, 1), np.float32)
    chip = chip_calibration.ChipCalibration("", slices, Masters(Readout(1.0, 1.0, 0.0)), empty, empty, lamps, None)
    assert cube._throughputs(chip) == pytest.approx(true / np.median(true), rel=3e-3)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("light", [0.0, -1e-3, 1e-5])
def test_slices_without_light_are_left_out(light):
    """A window may cut slices where they are dark: they have no throughput, and the others keep theirs."""
    setup = pipeline.configure(parse.read(json.dumps(registry.load("harmoni").example("ifs_ltao"))))
    slices = layout.of_chip(setup, setup.detector.chip(1).extname, (800, 64, 1, 2001))
    lamps = [np.median(cube.cube_sky.size(one), axis=1) for one in slices.strips]
    empty = np.ones((1, 1), np.float32)
    known = Masters(Readout(1.0, 1.0, 0.0))
    lamps[2] = lamps[2] * light
    found = cube._throughputs(chip_calibration.ChipCalibration("", slices, known, empty, empty, lamps, None))
    assert found[2] == 0.0
    assert [part for n, part in enumerate(found) if n != 2] == pytest.approx([1.0] * (len(lamps) - 1))
    dark = chip_calibration.ChipCalibration("", slices, known, empty, empty, [0.0 * lamp for lamp in lamps], None)
    assert not any(cube._throughputs(dark))
    assert list(cube._slices(None, dark, setup, {})) == []


def test_a_window_without_slices_is_told():
    """SPIFFIER's first rows are a border of reference pixels."""
    document = registry.load("eris").example("ifs_ngs")
    document["elvis"] = {"window": {"x0": 0, "y0": 0, "nx": 2048, "ny": 8}}
    done = run("--product", "reduced", stdin=json.dumps(document))
    assert (done.code, done.out) == (ResourceError.exit_code, b"")
    assert "no slice of the field falls into the window" in done.err


@pytest.mark.filterwarnings("error")
def test_a_field_of_one_column_has_a_source():
    grid = cube.cube_grid.CubeGrid((20, 9, 1), (2.0, -0.4, 0.0), (0.001, 0.1, 0.1), 0.0, True)
    light, noise = np.zeros(grid.shape, np.float32), np.ones(grid.shape, np.float32)
    light[:, 3] = 5.0
    (x, y), _ = cube_spectrum.brightest_source(cube.Cube(grid, light, noise, np.zeros(grid.shape, np.uint8), noise))
    assert (x, y) == pytest.approx((0.0, -0.1), abs=1e-6)


def test_wavelengths_are_those_of_the_pixels(night, predicted):
    """The lines of a window are few, and its ends outside them."""
    (own,) = associate.associate(raw.open_all(night))
    setup = layout.configure(own.science[0], "arc")
    chip = cube.chip_calibration.cached(own, "SPIFFIER", setup, [], {})
    with fits.open(io.BytesIO(predicted)) as hdus:
        wave = chip.layout.turn(hdus["WAVE"].data)
    away = []
    for strip in chip.layout.strips:
        true = strip.cut(wave)
        seen = strip.inside & (true > 0)
        away.append(((strip.wave - true) / np.abs(np.gradient(strip.wave, axis=0)))[seen])
    assert np.sqrt(np.mean(np.square(np.concatenate(away)))) < 0.12


@closure_only
def test_a_star_keeps_its_place_when_the_telescope_moves(night, product):
    """A fourth exposure two slices away: one star in the cube, at its place on the sky, with all of its light."""
    first = requests.documents(parse.read(json.dumps(document())))[0]
    second = json.loads(json.dumps(first))
    step = 2 * product.cube.grid.step[1]
    second["elvis"]["pointing"]["dec"] += step / 3600.0
    second["elvis"]["offset"] = [0.0, -step]
    second["elvis"]["date"] = "2026-01-01T05:30:00"
    both = reduce([*night, rendered(second)])
    assert both.cube.grid.shape[1] == product.cube.grid.shape[1] + 2
    here, there = cube_spectrum.brightest(product.cube), cube_spectrum.brightest(both.cube)
    assert there == pytest.approx(here, abs=product.cube.grid.step[1])
    alone, together = in_circle(product)[0], in_circle(both)[0]
    assert together.flux.sum() == pytest.approx(alone.flux.sum(), rel=0.03)
    assert np.median(together.err) == pytest.approx(np.median(alone.err) * np.sqrt(3 / 4), rel=0.05)


def test_refraction_moves_pixels_back(product):
    """Pixels stand where their light would without refraction."""
    own = product.files
    setup = layout.configure(own.science[0], "arc")
    (group,) = cube.by_pointing(own.science, setup)
    high = replace(group.drift, airmass=1.0)
    blue, red = 1.2, 2.4
    low = np.subtract(group.drift.at(blue), group.drift.at(red))
    assert np.hypot(*low) > 0.01
    assert np.allclose(np.subtract(high.at(blue), high.at(red)), 0.0)


def test_the_file_is_a_product_of_the_archive(product):
    out = io.BytesIO()
    cube_file.write_cube(product, out)
    with fits.open(io.BytesIO(out.getvalue())) as hdus:
        assert sdp.validate(hdus) == []
        assert [hdu.name for hdu in hdus[1:]] == ["SCI", "ERR", "DQ"]
        empty = hdus["DQ"].data != 0
        for name in ("SCI", "ERR"):
            np.testing.assert_array_equal(np.isnan(hdus[name].data), empty)
        wcs = WCS(hdus["SCI"].header)
        x, y = product.cube.grid.x, product.cube.grid.y
        place = (-x[0] / product.cube.grid.step[2], -y[0] / product.cube.grid.step[1], 0)
        ra, dec, wave = wcs.wcs_pix2world(*place, 0)
        assert (ra, dec) == pytest.approx(product.pointing[:2], abs=1e-9)
        assert wave * 1e6 == pytest.approx(product.cube.grid.wave[0], rel=1e-9)
        assert hdus["SCI"].header["BUNIT"] == cube_file.FLUX_UNIT
        spaxels = np.abs(np.linalg.det(wcs.celestial.pixel_scale_matrix)) * 3600.0**2
        assert spaxels == pytest.approx(product.cube.grid.step[1] * product.cube.grid.step[2], rel=1e-6)
    bare = io.BytesIO()
    cube_file.write_cube(replace(product, response=None), bare)
    with fits.open(io.BytesIO(bare.getvalue())) as hdus:
        assert sdp.validate(hdus) == ["ABMAGLIM is missing (primary): [mag]"]  # no magnitudes without a standard
        assert units.Unit(hdus["SCI"].header["BUNIT"], format="fits") == units.count / units.s
    white = io.BytesIO()
    cube_file.write_white(product, white)
    with fits.open(io.BytesIO(white.getvalue())) as hdus:
        assert sdp.validate(hdus) == []
        rows, header = hdus["SPECTRUM"].data, hdus["SPECTRUM"].header
        place = (header[f"ESO QC SPEC {name}"] for name in ("X", "Y", "RADIUS"))
        one = cube_spectrum.spectrum(product.cube, cube_spectrum.circle(product.cube, *place))
        seen = np.isfinite(rows["FLUX"])  # the star's response ends where its light is too faint
        assert seen.mean() > 0.7
        assert (rows["FLUX"] / rows["ERR"])[seen] == pytest.approx((one.flux / one.err)[seen], rel=1e-4)
        density = 10 ** (-0.4 * 12) * 4.14e-10 * 1e-1  # K = 12 (Vega), erg/s/cm2/A: Cohen et al. 2003, K
        assert 0.1 * density < np.nanmedian(rows["FLUX"]) * 1e-20 < 1.3 * density


@pytest.mark.parametrize(("mode", "words"), [("lms_scao", "RSRF"), ("lss_l_scao", "FLAT,LAMP")])
def test_a_continuum_lamp_is_a_flat_by_any_name(mode, words):
    made = registry.load("metis").example(mode)
    made["elvis"] = {"calibration": "flat", "chips": [1], "window": {"x0": 0, "y0": 0, "nx": 64, "ny": 64}}
    (file,) = raw.open_all([rendered(made)])
    assert (file.type, associate.kind(file)) == (words, "flat")

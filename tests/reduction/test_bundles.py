"""Bundles of fibres, divided apertures and fields of fibres: flux and signal-to-noise ratio of the prediction."""

import io
import json
import math
import os
from types import SimpleNamespace

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS

from elvis_cli import pipeline
from elvis_cli.instrument import registry
from elvis_cli.model.spectrograph import disc_profile
from elvis_cli.optics import make_psf
from elvis_cli.reduction import associate, cube_spectrum, fibre_cube, layout, raw, sdp, spectra
from elvis_cli.request import parse
from tests.conftest import changed, run

IR = ["dark", "dark", "dark", "flat", "flat", "flat", "arc"]
CCD = ["bias", "bias", "flat", "flat", "flat", "arc"]
HRS, LRS = (
    {"instrument/RESOLUTION": name, "timesnr/DET1.UIT1": 600, "timesnr/SEQ.NEXPO": 1} for name in ("hrs", "lrs")
)
MODES = {
    "andes": ("andes", "seeing", {"arm": "j"}, 12, (2000, 1600, 300, 400), IR),
    "andes ifu": ("andes", "ifu", {"arm": "j"}, 10, (2000, 1600, 300, 400), [*IR, "sky"]),
    "mosaic near-infrared": ("mosaic", "mos_nir", {}, 16, (1500, 1960, 160, 120), IR),
    "mosaic visible": ("mosaic", "mos_vis", {}, 17, (3000, 5780, 160, 364), CCD),
    "mosaic units": ("mosaic", "mifu", {}, 14, (1500, 1120, 160, 1000), IR),
    "andes V": ("andes", "seeing", {"arm": "v"}, 11, (3780, 3470, 200, 330), CCD),
    "mosaic visible, high resolution": ("mosaic", "mos_vis_hr", {}, 17, (4000, 5780, 160, 364), CCD),
    "4most HRS": ("fourmost", "unique", {"arm": "green"}, 14, (2800, 3000, 160, 140), CCD, HRS),
    "4most LRS": ("fourmost", "unique", {"arm": "green"}, 14, (2900, 3000, 160, 140), CCD, LRS),
    "4most HRS blue": ("fourmost", "unique", {"arm": "blue"}, 14, (2800, 3000, 160, 140), CCD, HRS),
    "4most HRS red": ("fourmost", "unique", {"arm": "red"}, 14, (2800, 3000, 160, 140), CCD, HRS),
    "4most LRS blue": ("fourmost", "unique", {"arm": "blue"}, 14, (2900, 3000, 160, 140), CCD, LRS),
    "4most LRS red": ("fourmost", "unique", {"arm": "red"}, 14, (2900, 3000, 160, 140), CCD, LRS),
    "nirps": ("harps", "unique", {"arm": "nirps"}, 7, (1720, 1850, 240, 185), IR),
    "andes IZ": ("andes", "seeing", {"arm": "iz"}, 11, (3780, 3315, 200, 310), CCD),
    "andes U": ("andes", "seeing", {"arm": "u"}, 11, (3780, 3750, 200, 310), CCD),
    "andes B": ("andes", "seeing", {"arm": "b"}, 11, (3780, 3665, 200, 310), CCD),
    "andes R": ("andes", "seeing", {"arm": "r"}, 11, (3780, 3530, 200, 310), CCD),
}

CIRCLES = {"andes ifu": 0.03, "mosaic units": 0.7}
"""arcsec, where the PSF falls slowly from fibre to fibre: radius on the cubes of fields."""


def documents(name, mode, block, mag, window, kinds, changes=None):
    """Yield a star and its calibrations on a part of the first chip."""
    document = changed(registry.load(name).example(mode), {"target/brightness/mag": mag, **(changes or {})})
    places = dict(zip(("x0", "y0", "nx", "ny"), window, strict=True))
    for number, kind in enumerate([None, *kinds]):
        own = {"chips": [1], "window": places, "date": f"2026-01-01T04:{number:02d}:00", "exposure": number + 1}
        yield document | {"output": {}, "elvis": block | own | ({"calibration": kind} if kind else {})}


@pytest.mark.parametrize("spectrograph", ["hrs", "lrs"])
def test_the_layout_is_that_of_the_spectrograph_in_the_header(spectrograph):
    """4MOST's request names it by a key of the ETC, the header by a card of another name."""
    header = {"ESO SIM INSTR": "fourmost", "ESO SIM MODE": "unique", "ESO SIM ARM": "green"}
    header["ESO INS SPEC NAME"] = spectrograph
    graph = layout.configure(SimpleNamespace(name="raw", header=header, get=header.get)).spectrograph
    low, high = {"hrs": (0.516, 0.575), "lrs": (0.522, 0.722)}[spectrograph]  # um: the README of the instrument
    assert low - 0.005 < min(trace.wave[0] for trace in graph.traces) < low + 0.005
    assert high - 0.005 < max(trace.wave[1] for trace in graph.traces) < high + 0.005


def electrons(ready, own):
    """Return the electrons of one order that all fibres of the target hold.

    The prediction has those of round(image / 2 + blur / 2) pixels and a half to either side of a fibre's middle, in
    MOSAIC's near infrared 98.4 %; of a field those of fibres in a circle.
    """
    graph = ready.setup.spectrograph
    apertures = [one for one in graph.apertures if one.feed == "sky" and np.hypot(one.x, one.y) < 2.0]
    if len(apertures) > 19:
        return own.target / own.encircled * own.enslitted * np.mean([one.transmission for one in apertures])
    height = apertures[0].length / ready.setup.optics.pixel_scale
    x, light = disc_profile(height, graph.blur)
    rows = math.inf if apertures[0].places else round(height / 2 + graph.blur / 2) + 0.5  # many fibres side by side
    return own.target / (light[np.abs(x) <= rows].sum() * (x[1] - x[0]))


def check_cube(case, field, ready):
    """The light in a circle is that of the PSF, and of all fibres as the spectrum has it; the files are products."""
    (aperture, made), *_ = field.cubes.items()
    assert aperture == max(field.spectrum.targets, key=lambda n: field.spectrum.targets[n].snr.sum())
    one = cube_spectrum.spectrum(made.cube, cube_spectrum.circle(made.cube, 0.0, 0.0, CIRCLES[case]))
    setup, merged, light = ready.setup, field.spectrum.merged, one.wave[~one.bad].mean(keepdims=True)
    own = min(ready.prediction.orders, key=lambda order: abs(np.median(order.wave) - light))
    psf = make_psf.build(setup.psf, setup.optics, setup.atmosphere, 512, light, np.ones(1), np.zeros((1, 2)))
    part = psf.encircled(2 * CIRCLES[case] / setup.optics.pixel_scale) / np.median(own.enslitted)
    seen = ~one.bad & (np.interp(one.wave, merged.wave, merged.quality) == 0)
    expected = np.interp(one.wave, merged.wave, merged.flux) * made.cube.grid.step[0] * part
    ratio = one.flux[seen].sum() / expected[seen].sum()
    print(f"{case} circle of the cube: flux {ratio:.4f}")
    assert ratio == pytest.approx(1.0, abs=0.01)
    assert made.place == pytest.approx((0.0, 0.0), abs=0.1 * made.cube.grid.step[1])
    files = fibre_cube.writers(field)
    assert list(files)[:2] == ["cube", "white"]
    assert {"spectrum", "orders"} < set(files)
    for kind in ("cube", "white", "spectrum", "orders"):
        out = io.BytesIO()
        files[kind](field, out)
        with fits.open(io.BytesIO(out.getvalue())) as hdus:
            faults = [fault for fault in sdp.validate(hdus) if not fault.startswith("ABMAGLIM")]  # there is no standard
            assert faults == []
            if kind == "cube":
                ra, dec = WCS(hdus["SCI"].header).celestial.wcs_pix2world(*(n / 2 - 0.5 for n in one_shape(made)), 0)
                assert (ra, dec) == pytest.approx((hdus[0].header["RA"], hdus[0].header["DEC"]), abs=1e-9)


def one_shape(made):
    """Columns and rows of a cube."""
    return made.cube.grid.shape[:0:-1]


@pytest.mark.parametrize("case", MODES)
def test_bundles_have_the_predicted_light_and_noise(case):
    if not os.environ.get("ELVIS_CLOSURE"):
        pytest.skip("make closure: ten seconds of rendering each")
    made = list(documents(*MODES[case]))
    frames = [run("--seed", str(n), stdin=json.dumps(one)) for n, one in enumerate(made)]
    assert all(one.code == 0 for one in frames), [one.err for one in frames]
    (files,) = [each for each in associate.associate(raw.open_all([one.out for one in frames])) if each.science]
    ready = pipeline.prepare(parse.read(json.dumps(made[0])))
    if case in CIRCLES:
        field = fibre_cube.reduce(files, layout.configure(files.science[0], "arc"), spectra.SpectrumOptions())
        product = field.spectrum
        check_cube(case, field, ready)
    else:
        product = spectra.reduce(files, spectra.SpectrumOptions())
    predicted = {one.order: one for one in ready.prediction.orders}
    dit, target = product.files.science[0].dit, max(product.spectra, key=lambda one: one.signal).aperture
    seen = [one for one in product.spectra if one.aperture == target]
    assert seen
    first = product.files.science[0]
    laid = [
        one for one in layout.of_chip(ready.setup, first.chips[0], first.windows[0]).strips if one.slit.feed != "dark"
    ]
    laid.sort(key=lambda strip: float(strip.centre[strip.centre.size // 2]))
    for one in seen:
        own, good = predicted[one.order], ~one.bad
        expected = np.interp(one.wave, own.wave, electrons(ready, own))
        ideal = np.interp(one.wave, own.wave, np.sqrt(own.ideal * ready.prediction.count))
        noise = np.sqrt(np.square(one.err) - np.square(one.sky_err))  # the prediction has none of the sky's
        flux = np.median((one.flux * dit / expected)[good])
        ratio = np.median((one.flux / noise / ideal)[good])
        plain = np.interp(one.wave, own.wave, own.scaled(1.0) * np.sqrt(ready.prediction.count))
        box_noise = np.sqrt(np.square(one.box_err) - np.square(one.box_sky_err))
        box = np.median((one.box / box_noise / plain)[good])
        away = (one.wave - laid[one.trace].wave[:, 0]) / one.width
        rms, lines = np.sqrt(np.mean(np.square(away))), sum(each.lines for each in product.solutions)
        light = f"flux {flux:.4f} S/N {ratio:.4f} box {box:.4f}"
        print(f"{case} order {one.order}: {light} wave {rms:.4f} of {lines} {product.sky_way}")
        assert rms < 0.05
        assert flux == pytest.approx(1.0, abs=0.01)
        assert ratio == pytest.approx(1.0, abs=0.03)
        assert 0.97 < box < 1.1  # the sum of fibres that are extracted optimally; the prediction's box sums their rows

"""The point-spread function: published Strehl ratios, conservation, and no trace of the grids."""

import math
import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import map_coordinates

from elvis_cli.base import parallel
from elvis_cli.optics import make_psf
from elvis_cli.optics.gaussian_psf import image_quality
from tests import setups

J, K = (1.15, 1.25, 1.35), (2.05, 2.15, 2.25)


def on_pixels(spread, half: int, phase=(0.0, 0.0), index: int = 0) -> np.ndarray:
    """The star on (2 half + 1)^2 detector pixels, ``phase`` pixels off the centre of the middle one."""

    def at(image, pitch, order, half):
        y, x = np.mgrid[-half : half + 1, -half : half + 1].astype(float)
        y, x, middle = y - phase[1], x - phase[0], image.shape[0] // 2
        light = map_coordinates(image.astype(float), [y / pitch + middle, x / pitch + middle], order=order)
        return light, np.hypot(x, y) < spread.fine_radius

    star, _ = at(spread.coarse[index], spread.step, 1, half)
    few = min(math.ceil(spread.fine_radius) + 1, half)
    near, inside = at(spread.fine[index], 1 / spread.oversample, 3, few)
    star[half - few : half + few + 1, half - few : half + few + 1][inside] = near[inside]
    return star


def quiet(make, **changes):
    """AO without turbulence to speak of: the telescope alone."""
    setup = make(seeing=0.01, guide_star_mag=-5.0, **changes)
    return setups.change(setup, system=replace(setup.psf.system, residual=0.0, jitter=0.0))


@pytest.mark.parametrize(("wave", "strehl"), [(1.2, 0.31), (1.6, 0.54), (2.15, 0.73)])
def test_scao_has_the_published_strehl_five_arcsec_off_axis(make, build, wave, strehl) -> None:
    assert build(make(), wave, at=[(5.0, 0.0)]).strehl == pytest.approx(strehl, abs=0.08)


def test_scao_on_axis(make, build) -> None:
    assert 0.6 < build(make(), 2.2).strehl < 0.85


@pytest.mark.parametrize(("radius", "strehl"), [(0, 0.60), (10, 0.605), (20, 0.55), (30, 0.45), (45, 0.33)])
def test_mcao_runs_as_the_published_curve_of_its_module(make, build, radius, strehl) -> None:
    """TIPTOP's MORFEO: without the instrument's own errors (its file's 93 nm and map of 66), zenith distance 30 deg."""
    setup = make("mcao", seeing=0.641)
    setup = setups.change(setup, system=replace(setup.psf.system, residual=114.0))
    assert build(setup, 2.2, at=[(0.0, radius)]).strehl == pytest.approx(strehl, abs=0.045)


@pytest.mark.parametrize(("wave", "low", "high"), [(1.2, 0.05, 0.3), (1.6, 0.19, 0.45), (2.15, 0.41, 0.62)])
def test_mcao_with_the_instrument_lies_between_the_published_budgets(make, build, wave, low, high) -> None:
    assert low < build(make("mcao"), wave).strehl < high


@pytest.mark.parametrize("kind", ["scao", "mcao"])
def test_strehl_falls_with_everything_that_makes_it_worse(make, build, kind) -> None:
    setup = make(kind)

    def falls(values) -> bool:
        return bool(np.all(np.diff([v.strehl for v in values]) < 0))

    inner = 0.0 if kind == "scao" else 10.0  # where MORFEO's mirrors are told to be best
    assert falls(build(setup, 2.15, at=[(inner + t, 0.0)]) for t in (0.0, 2.0, 6.0, 15.0, 25.0))
    assert falls(build(setups.change(setup, seeing=s), 2.15, at=[(3.0, 0.0)]) for s in (0.4, 0.7, 1.0, 1.5))
    assert falls(build(setup, w, at=[(3.0, 0.0)]) for w in (2.2, 1.6, 1.2, 0.9))
    assert falls(build(setup, 2.15, at=[(3.0, 0.0)], airmass=x) for x in (1.0, 1.2, 1.6, 2.0))
    assert falls(build(setups.change(setup, guide_star_mag=m), 2.15, at=[(3.0, 0.0)]) for m in (8.0, 13.0, 16.0, 19.0))


def test_a_small_error_costs_what_marechal_says(make, build) -> None:
    setup = quiet(make)
    bare = build(setup, 2.2)
    worse = build(setups.change(setup, system=replace(setup.psf.system, residual=60.0)), 2.2)
    assert worse.strehl / bare.strehl == pytest.approx(math.exp(-((2 * math.pi * 60 / 2200) ** 2)), rel=5e-3)
    shaken = build(setups.change(setup, system=replace(setup.psf.system, jitter=1.0)), 2.2)
    assert 0.9 < shaken.strehl / bare.strehl < 0.99


@pytest.mark.parametrize(
    ("telescope", "pixel", "wave"), [("ELT", 0.004, 2.2), ("ELT", 0.0015, 1.2), ("VLT", 0.013, 2.2)]
)
def test_diffraction_limit(make, build, telescope, pixel, wave) -> None:
    setup = quiet(make, telescope=telescope, pixel_scale=pixel)
    found = build(setup, wave)
    assert found.strehl > 0.99
    expected = 1.03 * wave * 1e-6 / setup.optics.telescope.diameter * 206265
    assert found.fwhm == pytest.approx(expected, rel=0.05)


@pytest.mark.parametrize(("telescope", "wave"), [("VLT", 0.55), ("VLT", 2.15), ("ELT", 1.65)])
def test_seeing_limited_width_is_von_karmans(make, build, telescope, wave) -> None:
    """Tokovinin 2002 (PASP 114, 1156), eq. 19: good to 1 per cent for L0/r0 > 20."""
    setup = make("seeing", telescope, pixel_scale=0.02, seeing=0.8)
    r0 = 0.976 * wave * 1e-6 / (0.8 * (wave / 0.5) ** -0.2 / 206265)
    atmosphere = (
        0.976
        * wave
        * 1e-6
        / r0
        * 206265
        * math.sqrt(1 - 2.183 * (r0 / setup.atmosphere.turbulence.outer_scale) ** 0.356)
    )
    expected = math.hypot(atmosphere, 0.9 * wave * 1e-6 / setup.optics.telescope.diameter * 206265)
    assert build(setup, wave, airmass=1.0).fwhm == pytest.approx(expected, rel=0.05)


CASES = [
    ("scao", "ELT", {}, K),
    ("scao", "ELT", {"pixel_scale": 0.0015}, J),
    ("scao", "ELT", {}, (0.8, 0.82)),
    ("mcao", "ELT", {}, J),
    ("seeing", "VLT", {}, (0.55,)),
    ("gaussian", "VLT", {}, (0.55,)),
]


@pytest.mark.parametrize(("kind", "telescope", "changes", "wave"), CASES)
def test_light_is_conserved_and_the_grids_join(make, build, kind, telescope, changes, wave) -> None:
    found = build(make(kind, telescope, **changes), *wave, at=[(5.0, 2.0)])
    half = 900
    outside = 1.0 - found.encircled(2 * half * math.sqrt(4 / math.pi))  # of a square of the same area
    for phase in ((0.5, 0.5), (0.3, -0.1)):
        assert on_pixels(found, half, phase).sum() == pytest.approx(1.0 - outside, abs=1e-3)
    if kind == "gaussian":
        return
    image = on_pixels(found, int(found.fine_radius * 1.3))
    middle = image.shape[0] // 2
    r = np.hypot(*(np.indices(image.shape) - middle))
    edge = found.fine_radius
    ring = [image[np.abs(r - q) < 0.01 * edge] for q in (0.98 * edge, 1.02 * edge)]
    slope = (0.98 / 1.02) ** (-11 / 3)
    assert ring[0].mean() / ring[1].mean() == pytest.approx(slope, rel=0.04)
    for part in ring:  # neither arms nor anything else that starts or ends here
        assert part.std() / part.mean() < 0.15


@pytest.mark.parametrize(
    "changes", [{"guide_star_mag": 1e6}, {"guide_star_mag": -1e2}, {"seeing": 50.0}, {"seeing": 0.01}]
)
@pytest.mark.parametrize("kind", ["scao", "mcao"])
def test_absurd_conditions_give_a_psf(make, build, kind, changes) -> None:
    found = build(make(kind, **changes), 1.2, at=[(500.0, 0.0)])
    assert np.isfinite(found.fine).all()
    assert 0.0 <= found.strehl <= 1.0
    assert 0.0 < found.encircled(100.0) <= 1.0


@pytest.mark.parametrize("kind", ["scao", "mcao", "seeing"])
def test_far_wings_follow_kolmogorovs_law_to_the_end(make, build, kind) -> None:
    found = build(make(kind), 2.15)
    coarse = found.coarse[0]
    middle = coarse.shape[0] // 2
    assert (coarse > 0).mean() > 0.95
    cut = coarse[middle, middle:]
    far = np.array([middle // 4, middle // 2, int(0.9 * middle)])
    slopes = np.diff(np.log(cut[far])) / np.diff(np.log(far))
    assert np.all((slopes > -4.2) & (slopes < -3.0))
    assert 2 * middle * found.step >= 8192  # a star on a corner shines over the whole chip


def test_the_core_has_six_arms_and_a_control_radius(make, build) -> None:
    found = build(make(), 2.15)
    image = found.fine[0]
    middle = image.shape[0] // 2
    y, x = np.indices(image.shape) - middle
    r, angle = np.hypot(x, y) / found.oversample * 0.004, np.degrees(np.arctan2(y, x)) % 360
    ring = (r > 0.45) & (r < 0.58)
    degree = np.rint(angle[ring]).astype(int) % 360
    profile = np.bincount(degree, image[ring], 360) / np.bincount(degree, minlength=360)
    brightest = [a for a in range(360) if profile[a] == max(profile[(a + np.arange(-20, 21)) % 360])]
    strong = [a for a in brightest if profile[a] > 2.0 * np.median(profile)]
    assert strong == [30, 90, 150, 210, 270, 330]  # across the arms of the spider
    cutoff = 2.15e-6 / (math.sqrt(math.pi) * 0.5) * 206265
    below = image[np.abs(r - 0.9 * cutoff) < 0.01].mean()
    above = image[np.abs(r - 1.03 * cutoff) < 0.01].mean()
    assert above > 0.95 * below  # elsewhere the wing falls by a third over this step


@pytest.mark.parametrize(("kind", "telescope", "changes", "wave"), CASES)
def test_encircled_energy_rises_to_one(make, build, kind, telescope, changes, wave) -> None:
    found = build(make(kind, telescope, **changes), *wave)
    curve = [found.encircled(d) for d in np.geomspace(0.5, 1e5, 60)]
    assert np.all(np.diff(curve) >= 0)
    assert 0 < curve[0] < 0.2
    assert curve[-1] == pytest.approx(1.0, abs=3e-3)
    if kind != "gaussian":
        image = on_pixels(found, 40)
        r = np.hypot(*(np.indices(image.shape) - 40))
        assert found.encircled(61.0) == pytest.approx(image[r < 30.5].sum(), abs=0.01)


@pytest.mark.parametrize(("centre", "pixels", "npix", "encircled"), [(0.557, 11, 95, 0.9471), (0.475, 13, 133, 0.9768)])
def test_gaussian_is_the_etcs(make, build, centre, pixels, npix, encircled) -> None:
    found = build(make("gaussian", "VLT", filter_centre=centre), centre, airmass=1.0)
    smallest = math.ceil(2 * found.fwhm / 0.125)
    diameter = smallest + 1 - smallest % 2
    assert diameter == pixels
    assert round(math.pi * diameter**2 / 4) == npix
    assert found.encircled(diameter) == pytest.approx(encircled, abs=5e-4)


def test_gaussian_has_its_width_on_pixels(make, build) -> None:
    found = build(make("gaussian", "VLT"), 0.557, at=[(0.0, 0.0), (3.0, 0.0)])
    image = found.fine[1].astype(float)
    x = (np.arange(len(image)) - len(image) // 2) / found.oversample
    variance = (image.sum(axis=0) @ x**2) / image.sum()
    assert variance == pytest.approx((found.fwhm / 0.125 / 2.35482) ** 2 + 1 / 12, rel=1e-3)


def test_image_quality_worsens_with_airmass_and_seeing(make) -> None:
    vlt, elt = make("seeing", "VLT").optics.telescope, make().optics.telescope
    at = image_quality(0.8, 1.0, 0.55, vlt)
    assert at < image_quality(0.8, 1.5, 0.55, vlt) < image_quality(1.2, 1.5, 0.55, vlt)
    assert image_quality(0.8, 1.0, 2.2, vlt) < at
    assert image_quality(0.8, 1.0, 0.55, elt) < at


def test_every_position_has_its_own_psf(make, build) -> None:
    places = [(0.0, 0.0), (10.0, 0.0), (0.0, 10.0), (7.0, 7.0), (-7.0, -7.0), (20.0, 0.0)]
    found = build(make(), *K, at=places)
    assert found.fine.shape[0] == found.coarse.shape[0] == 6
    peak = found.fine.max(axis=(1, 2))
    assert peak[0] > peak[1] > peak[5]
    np.testing.assert_allclose(found.fine[2], found.fine[1].T, rtol=0.2, atol=1e-4)  # turned with the direction
    np.testing.assert_array_equal(found.fine[3], found.fine[4])  # symmetric about the guide star
    alone = build(make(), *K, at=places[1:2])
    assert peak[1] == pytest.approx(float(alone.fine.max()), rel=2e-3)


def test_wavelengths_are_averaged_by_weight(make) -> None:
    setup, wave, place = make(), np.array([1.2, 2.2]), np.zeros((1, 2))
    whole = setups.psf_at(setup, 1.0, wave, np.array([0.25, 0.75]), place)
    blue, red = (setups.psf_at(setup, 1.0, wave, np.array(w), place) for w in ([1.0, 0.0], [0.0, 1.0]))
    np.testing.assert_allclose(whole.fine, 0.25 * blue.fine + 0.75 * red.fine, rtol=0.02, atol=2e-6)
    assert blue.strehl < whole.strehl < red.strehl


def test_the_same_bits_with_one_thread_and_two(make, build) -> None:
    code = (
        "import sys, hashlib, numpy as np; from elvis_cli.optics.ao.wavefront import product;"
        "r = np.random.default_rng(1); a = r.normal(size=(512, 90)).astype('f4'); "
        "b = r.normal(size=(90, 400)).astype('f4');"
        "print(hashlib.sha256(product(a, b).tobytes()).hexdigest())"
    )
    found = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "OPENBLAS_NUM_THREADS": n, "PYTHONPATH": os.pathsep.join(sys.path)},
            capture_output=True, check=True,
        ).stdout
        for n in ("1", "2")
    }  # fmt: skip
    assert len(found) == 1
    first = build(make(), *K, at=[(4.0, 1.0)])
    make_psf.RECENT.clear()
    second = build(make(), *K, at=[(4.0, 1.0)])
    np.testing.assert_array_equal(first.fine, second.fine)
    np.testing.assert_array_equal(first.coarse, second.coarse)


def test_the_same_bits_on_any_number_of_threads(make, build) -> None:
    places = [(float(x), float(y)) for x in (-9, 0, 9) for y in (-9, 0, 9)]
    found = []
    for count in (1, 3):
        parallel.set_threads(count)
        make_psf.RECENT.clear()
        try:
            found.append(build(make(), *K, at=places))
        finally:
            parallel.set_threads(0)
    np.testing.assert_array_equal(found[0].fine, found[1].fine)
    np.testing.assert_array_equal(found[0].coarse, found[1].coarse)


def test_a_process_keeps_its_last_psfs(make, build, monkeypatch) -> None:
    make_psf.RECENT.clear()
    first = build(make(), *K)
    assert build(make(seeing=0.9), *K).strehl < first.strehl
    assert build(make(), 2.1).fine is not first.fine
    assert build(make(), *K) is first
    with pytest.raises(ValueError, match="read-only"):
        first.fine += 1
    monkeypatch.setattr(make_psf.RECENT, "_most", first.fine.nbytes + first.coarse.nbytes)
    build(make(seeing=0.5), *K)
    again = build(make(), *K)
    assert again is not first
    np.testing.assert_array_equal(again.fine, first.fine)


@pytest.mark.parametrize(
    ("kind", "wave", "pitch", "error"),
    [("mcao", 2.15, 6.6, 0.015), ("mcao", 1.25, 6.6, 0.025), ("scao", 2.15, 3.3, 0.03)],
)
def test_psfs_may_be_interpolated_over_the_field(make, build, kind, wave, pitch, error) -> None:
    """Between zones of an eighth of MICADO's array for MCAO, of a sixteenth for SCAO, the Strehl keeps."""
    for corner in ((6.6, 0.0), (13.2, 13.2), (19.8, 6.6)):
        places = np.array([(0, 0), (1, 0), (0, 1), (1, 1), (0.5, 0.5), (0.5, 0.0), (0.0, 0.5)]) * pitch + corner
        peak = build(make(kind), wave, at=places).fine.max(axis=(1, 2))
        mixed = np.array([peak[:4].mean(), peak[:2].mean(), peak[[0, 2]].mean()])
        np.testing.assert_allclose(mixed, peak[4:], rtol=error)

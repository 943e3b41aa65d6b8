"""Spectra of fibres: all of a row at once, the sky by those that see nothing else, HARPS's from raw frames."""

import json
import os
from types import SimpleNamespace

import numpy as np
import pytest
from astropy.io import fits

from elvis_cli.instrument import registry
from elvis_cli.kernels import fibre_extraction as kernel
from elvis_cli.reduction import associate, bundle, fibre_sky, fibres, raw, sdp, spectra, spectrum_file
from elvis_cli.reduction.bundle import FibreSpectrum
from elvis_cli.reduction.frame import DEAD, HOT, NO_DATA, SATURATED
from tests.conftest import run

STEP, HALF, BLOCK = 0.25, 6, 256


def crowded(seconds=1.0):
    """Twelve fibres 5.4 pixels apart whose images are 3.3 pixels wide, and their light."""
    ny, nx, count = 200, 80, 12
    centre = (8 + 5.4 * np.arange(count)[:, None] + 0.004 * np.arange(ny)).astype(np.float32)
    x = STEP * np.arange(-28, 29)
    profile = np.exp(-0.5 * (x / 1.4) ** 2)[None, None].repeat(count, 0).astype(np.float32)
    flux = np.random.default_rng(1).uniform(50, 500, (count, ny)) / seconds
    image = np.zeros((ny, nx), np.float32)
    kernel.render(image, centre, profile, BLOCK, STEP, HALF, flux)
    return image, centre, profile, flux


def extracted(image, var, centre, profile):
    flux, err = np.zeros((2, *centre.shape))
    lost, good = np.zeros(centre.shape, np.float32), np.ones(image.shape, bool)
    rejected = kernel.extract(
        image.astype(np.float32), np.full(image.shape, var, np.float32), good, centre, profile, BLOCK, STEP, HALF, 1.0,
        flux, err, lost, np.zeros((*centre.shape, kernel.BAND + 1)),
    )  # fmt: skip
    return flux, err, lost, rejected


def test_cross_talk_is_solved():
    image, centre, profile, true = crowded()
    flux, *_ = extracted(image, 9.0, centre, profile)
    assert flux == pytest.approx(true, rel=1e-4)


def test_errors_of_crowded_fibres_are_right():
    image, centre, profile, true = crowded()
    rng, pulls = np.random.default_rng(2), []
    for _ in range(10):
        noisy = rng.poisson(image) + rng.normal(0, 3, image.shape)
        flux, err, *_ = extracted(noisy, 9.0, centre, profile)
        pulls.append((flux - true) / err)
    assert np.std(pulls) == pytest.approx(1.0, abs=0.03)
    assert abs(np.mean(pulls)) < 0.1


def test_errors_of_a_bundle_whose_fibres_overlap_are_right():
    """Eight fibres 2.2 pixels apart, as ANDES's: what one loses of the light its neighbour has."""
    ny, count = 400, 8
    centre = (8 + 2.2 * np.arange(count)[:, None] + 0.004 * np.arange(ny)).astype(np.float32)
    profile = np.exp(-0.5 * (STEP * np.arange(-28, 29)) ** 2)[None, None].repeat(count, 0).astype(np.float32)
    share = np.array([1, 2, 5, 9, 8, 4, 2, 1]) / 32
    true = share[:, None] * np.linspace(3e4, 5e4, ny)
    image = np.zeros((ny, 40), np.float32)
    kernel.render(image, centre, profile, BLOCK, STEP, HALF, true)
    rng, pulls = np.random.default_rng(5), []
    for _ in range(5):
        flux, err = np.zeros((2, count, ny))
        information, lost = np.zeros((count, ny, kernel.BAND + 1)), np.zeros((count, ny), np.float32)
        noisy = (rng.poisson(image) + rng.normal(0, 3, image.shape)).astype(np.float32)
        var, good = np.full(image.shape, 9.0, np.float32), np.ones(image.shape, bool)
        places = centre, profile, BLOCK, STEP, HALF, 1.0
        kernel.extract(noisy, var, good, *places, flux, err, lost, information)
        wave, nought = 1.0 + 1e-4 * np.arange(ny), np.zeros(ny)
        fibres = [
            FibreSpectrum(1, t + 1, wave, np.full(ny, 1e-4), flux[t], err[t], flux[t], err[t], nought, nought > 0, 0,
                          None, nought, nought, t, information[t])
            for t in range(count)
        ]  # fmt: skip
        one = bundle.together(fibres)
        pulls.append([(one.flux - true.sum(0)) / one.err, (one.box - true.sum(0)) / one.box_err])
        assert np.median(one.err) <= np.median(one.box_err) < 0.9 * np.median(np.sqrt(np.square(err).sum(0)))
    assert np.std(pulls, axis=(0, 2)) == pytest.approx([1.0, 1.0], abs=0.05)
    assert np.abs(np.mean(pulls, axis=(0, 2))).max() < 0.1


def test_the_noise_of_the_sky_is_common_to_a_bundle():
    """Four fibres less one sky: its error counts four times, not twice."""
    ny = 300
    wave, flux, nought = 1.0 + 1e-4 * np.arange(ny), np.full(ny, 100.0), np.zeros(ny)
    information = np.stack([np.full(ny, 0.01), nought, nought], axis=1)
    own = (np.full(ny, 1e-4), flux, np.full(ny, 11.0), flux, np.full(ny, 11.0), nought, nought > 0, 0, None)
    made = [FibreSpectrum(1, t + 1, wave, *own, np.full(ny, 4.0), nought, t, information) for t in range(4)]
    one = bundle.together(made)
    for values, expected in ((one.flux, 400.0), (one.err, np.hypot(20, 16)), (one.box_err, np.hypot(20, 16))):
        assert values == pytest.approx(np.full(ny, expected))


def test_cosmic_rays_are_rejected():
    image, centre, profile, true = crowded()
    image[50, 30] += 5000.0
    flux, _, lost, rejected = extracted(image, 9.0, centre, profile)
    assert rejected >= 1
    assert lost[:, 50].max() > 0.05
    assert flux == pytest.approx(true, rel=0.02)


def test_a_fibre_is_bad_for_the_reasons_of_its_pixels():
    """Those of its own image, where it is bad; beyond the chip there is no pixel."""
    dq = np.zeros((5, 30), np.uint32)
    dq[1, 10], dq[2, 12], dq[3, 20] = HOT, DEAD, SATURATED
    strip = SimpleNamespace(row=np.arange(5), centre=np.array([10.2, 10.2, 10.2, 10.2, -9.0]))
    flags = fibres._reasons(dq, strip, 2, np.array([False, True, True, True, True]))
    assert list(flags) == [0, HOT, DEAD, NO_DATA, NO_DATA]


def test_the_sky_is_that_of_the_faintest_fibres():
    """A hundred fibres, a tenth with stars; one is half as transparent: the lamp says so."""
    rng = np.random.default_rng(3)
    n, level = 300, 40.0
    made = []
    for number in range(100):
        lamp = np.full(n, 500.0 if number == 50 else 1000.0)
        star = 200.0 if number % 10 == 0 else 0.0
        err = np.full(n, 3.0)
        wave = 1.0 + 1e-4 * (np.arange(n) + 0.01 * number)
        flux = (level + star) * lamp / 1000.0 + rng.normal(0, err)
        made.append(
            FibreSpectrum(1, number + 1, wave, np.full(n, 1e-4), flux, err, flux, err, 0 * err, err < 0, 0, lamp)
        )  # fmt: skip
    assert fibre_sky.subtract(made, ["either"] * 100, 3.2) == "90 fibres"
    assert np.mean(made[50].flux) == pytest.approx(100.0, abs=0.7)  # a star behind the half of the light
    assert np.mean(made[1].flux) == pytest.approx(0.0, abs=0.7)


@pytest.fixture(scope="module")
def night():
    """A part of a chip of HARPS: a star in fibre A, the sky in B."""
    if not os.environ.get("ELVIS_CLOSURE"):
        pytest.skip("make closure: ten seconds of rendering")
    document = registry.load("harps").example("unique")
    kinds = [None, *["bias"] * 3, *["flat"] * 2, "arc"]
    made = []
    for number, kind in enumerate(kinds):
        block = {
            "arm": "harps", "chips": [1], "window": {"x0": 900, "y0": 1850, "nx": 220, "ny": 320},
            "date": f"2026-01-01T04:{number:02d}:00", "exposure": number + 1,
        }  # fmt: skip
        if kind:
            block["calibration"] = kind
        made.append(run("--seed", str(number), stdin=json.dumps({**document, "elvis": block})))
    assert all(one.code == 0 for one in made), [one.err for one in made]
    return [one.out for one in made]


@pytest.fixture(scope="module")
def product(night):
    (files,) = associate.associate(raw.open_all(night))
    assert [len(each) for each in (files.bias, files.flat, files.arc)] == [3, 2, 1]
    return spectra.reduce(files, spectra.SpectrumOptions())


def predicted(night, table, column):
    import io

    found = {}
    with fits.open(io.BytesIO(night[0])) as hdus:
        for hdu in hdus:
            if hdu.name == table:
                order = np.argsort(hdu.data["WAVELENGTH"])
                found[hdu.header["EXTVER"]] = [np.array(hdu.data[name])[order] for name in ("WAVELENGTH", column)]
    return found


def test_harps_has_the_predicted_signal_to_noise_ratio(night, product):
    """The sky of fibre B adds its own noise: a percent."""
    ratios, fluxes = predicted(night, "SNR", "SNR_OPT"), predicted(night, "NOISE_COMPONENTS", "TARGET")
    boxes = predicted(night, "SNR", "SNR")
    dit = product.files.science[0].dit
    assert len(product.spectra) > 3
    assert product.sky_way == "1 fibres"
    light = []
    for one in product.spectra[1:-1]:  # the window may cut the first and the last
        good = ~one.bad
        expected = np.interp(one.wave, *ratios[one.order])
        ratio = np.median((one.flux / one.err / expected)[good])
        box = np.median((one.box / one.box_err / np.interp(one.wave, *boxes[one.order]))[good])
        print(f"HARPS order {one.order}: S/N {ratio:.4f} box {box:.4f}")
        assert ratio == pytest.approx(1.0, abs=0.03)
        assert box == pytest.approx(1.0, abs=0.03)
        electrons = np.interp(one.wave, *fluxes[one.order]) ** 2
        light.append(np.median((one.flux * dit / electrons)[good]))
    print("HARPS flux", light)
    assert np.median(light) == pytest.approx(1.0, abs=0.01)


def test_products_of_fibres_are_written(product):
    import io

    writers = spectrum_file.writers(product)
    assert set(writers) == {"spectrum", "orders"}
    out = io.BytesIO()
    writers["orders"](product, out)
    with fits.open(io.BytesIO(out.getvalue())) as hdus:
        assert sdp.validate(hdus) == []
        assert set(hdus["ORDERS"].data["APERTURE"]) == {1}


def test_the_noise_of_one_sky_fibre_is_not_added_between_its_lines():
    rng = np.random.default_rng(4)
    var = np.full(2000, 4.0)
    value = 10.0 + rng.normal(0.0, 2.0, var.size)
    value[999:1004] += [10.0, 40.0, 60.0, 40.0, 10.0]
    level, noise = fibre_sky._calm(value, var, 3.2)
    assert level[999:1004] == pytest.approx(value[999:1004])
    assert noise[1001] == 4.0
    calm = np.r_[0:900, 1100:2000]
    assert np.std(level[calm]) < 0.4
    assert level[calm] == pytest.approx(10.0, abs=1.5)
    assert np.median(noise) < 0.1


@pytest.mark.parametrize("ray", [[500.0], [300.0, 500.0], [500.0, 300.0]])
def test_a_cosmic_ray_in_a_lone_sky_fibre_is_no_line(ray):
    """Lines of 3.2 pixels anywhere on the pixels, bright and faint, stay; a ray is sharper than any of them."""
    rng = np.random.default_rng(5)
    x, var = np.arange(4000), np.full(4000, 4.0)
    places = 150.0 + 100.13 * np.arange(36)
    lines = sum(
        height * np.exp(-4 * np.log(2) * np.square((x - place) / 3.2))
        for place, height in zip(places, np.geomspace(20.0, 1e4, 36), strict=True)
    )
    value = 10.0 + lines + rng.normal(0.0, np.sqrt(var + lines / 10))
    hit = np.round(places[::4] + 40).astype(int)
    for first in hit:
        value[first : first + len(ray)] += ray
    level, _ = fibre_sky._calm(value, var + lines / 10, 3.2)
    at = np.round(places).astype(int)
    assert level[at] == pytest.approx(value[at])
    assert level[hit] == pytest.approx(10.0, abs=1.5)

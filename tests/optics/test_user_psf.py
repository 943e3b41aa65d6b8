"""A user's own point-spread function: read, embedded, resampled without loss of light, and told about."""

import io
import json
from dataclasses import replace

import numpy as np
import pytest
from astropy.io import fits

from elvis_cli.errors import RequestError, UsageError
from elvis_cli.instrument import registry
from elvis_cli.model.elvis_block import PsfCube
from elvis_cli.model.psf_model import CubePsf
from elvis_cli.optics import user_psf
from elvis_cli.request import parse, payload
from elvis_cli.request.files.psf import read_psf
from tests import setups


def gaussian(fwhm, size=65, at=(0.0, 0.0), total=1.0):
    y, x = np.indices((size, size)) - size // 2
    image = np.exp(-4 * np.log(2) * ((x - at[0]) ** 2 + (y - at[1]) ** 2) / fwhm**2)
    return (total * image / image.sum()).astype("f4")


def cube(images, scale=0.002, wavelength=()):
    data = np.array(images, "<f4")
    data = data[None] if data.ndim == 2 else data
    return PsfCube(data.tobytes(), data.shape, scale, tuple(wavelength))


@pytest.fixture
def setup(micado):
    def make(images=None, **changes):
        found = registry.load("micado").configure(parse.read(json.dumps(micado())))
        return setups.change(found, **({"psf": CubePsf(images)} if images else {}), **changes)

    return make


def made(setup, wave=(2.15,), weight=(1.0,)):
    return setups.psf_at(setup, 1.2, np.array(wave), np.array(weight), np.zeros((1, 2)))


@pytest.mark.parametrize("scale", [0.001, 0.002, 0.0031, 0.004, 0.007])
def test_light_and_place_survive_resampling(setup, scale):
    found = made(setup(cube(gaussian(8.0, 101, (0.4, -0.3)), scale)))
    step = found.oversample
    for phase in (0, 1, step // 2):
        pixels = found.fine[0][phase::step, phase::step]
        assert pixels.sum() == pytest.approx(1.0, abs=2e-3)
    place = (np.arange(len(found.fine[0])) - len(found.fine[0]) // 2) / step
    light = found.fine[0].sum(axis=0)
    assert light @ place / light.sum() == pytest.approx(0.0, abs=0.03)
    variance = light @ place**2 / light.sum()
    expected = (8.0 * scale / 0.004 / 2.35482) ** 2 + 1 / 12 + (scale / 0.004) ** 2 / 12
    assert variance == pytest.approx(expected, rel=0.02)
    assert found.fwhm == pytest.approx(8.0 * scale, rel=0.03)
    assert found.encircled(2000.0) == pytest.approx(1.0, abs=1e-3)


def test_light_beyond_the_border_is_continued(setup):
    found = made(setup(cube(gaussian(6.0, total=0.8))))
    assert found.encircled(30.0) == pytest.approx(0.8, abs=0.01)
    far = [found.encircled(d) for d in (40.0, 60.0, 200.0, 2000.0, 8000.0)]
    assert all(np.diff(far) > 0)
    assert far[0] < 0.9
    assert far[-1] == pytest.approx(1.0, abs=5e-3)
    line = found.coarse[0][len(found.coarse[0]) // 2]
    edge = len(line) // 2 + np.array([100, 200])
    assert line[edge[0]] / line[edge[1]] == pytest.approx(2 ** (11 / 3), rel=0.02)


def test_noise_about_zero_takes_no_light_from_the_star(setup):
    clean = gaussian(8.0, 129)
    noise = np.random.default_rng(4).normal(0.0, 0.01 * clean.max(), clean.shape)
    noisy = (clean + noise - noise.mean()).astype("f4")
    one, other = (made(setup(cube(image))) for image in (clean, noisy))
    for diameter in (8.0, 16.0, 40.0):
        assert other.encircled(diameter) == pytest.approx(one.encircled(diameter), rel=0.02)


def test_any_unit_is_scaled_to_all_light(setup):
    one, other = (made(setup(cube(gaussian(6.0, total=total)))) for total in (1.0, 1234.0))
    np.testing.assert_allclose(one.fine, other.fine, rtol=1e-5, atol=1e-12)


def test_planes_are_mixed_by_the_passband(setup):
    narrow, wide = gaussian(4.0), gaussian(10.0)
    own = setup(cube([narrow, wide], wavelength=(1.0, 2.0)))
    ends = [made(own, (w,)) for w in (1.0, 2.0)]
    np.testing.assert_allclose(made(own, (1.5,)).fine, 0.5 * (ends[0].fine + ends[1].fine), atol=1e-6)
    mixed = made(own, (1.0, 1.5, 2.0), (0.5, 0.25, 0.25))
    np.testing.assert_allclose(mixed.fine, 0.625 * ends[0].fine + 0.375 * ends[1].fine, atol=1e-6)
    np.testing.assert_array_equal(made(own, (3.0,)).fine, ends[1].fine)


def test_strehl_of_a_perfect_telescope_is_one(setup):
    base = setup(pixel_scale=0.0005)
    system = replace(base.psf.system, residual=0.0, jitter=0.0)
    perfect = setups.change(base, seeing=0.01, system=system, guide_star_mag=-5.0)
    image = made(perfect).fine[0]
    step = made(perfect).oversample
    middle = len(image) // 2
    own = image[middle % step :: step, middle % step :: step]
    assert made(replace(base, psf=CubePsf(cube(own, 0.0005)))).strehl == pytest.approx(1.0, abs=0.02)


def test_our_own_psf_as_a_cube_gives_the_same_frame(tmp_path, micado, elvis):
    """Written on elements of a quarter pixel at five wavelengths, read back: the same frame within 1 %."""
    document = micado({"elvis": {"window": {"x0": 1984, "y0": 1984, "nx": 128, "ny": 128}, "product": "expected"}})
    setup = registry.load("micado").configure(parse.read(json.dumps(document)))
    fine = setups.change(setup, pixel_scale=0.001)
    waves = np.linspace(1.95, 2.35, 5)
    hdus = fits.HDUList([fits.PrimaryHDU()])
    for wave in waves:
        found = setups.psf_at(fine, 1.2, np.array([wave]), np.ones(1), np.zeros((1, 2)))
        step, middle = found.oversample, found.fine.shape[1] // 2
        hdus.append(fits.ImageHDU(found.fine[0][middle % step :: step, middle % step :: step]))
        hdus[-1].header["WAVELENG"] = (wave, "[um]")
    hdus[1].header["PIXSCALE"] = (0.001, "[arcsec]")
    path = tmp_path / "own.fits"
    hdus.writeto(path)
    frames, headers = [], []
    for options in ((), ("--psf", str(path))):
        result = elvis(*options, stdin=json.dumps(document))
        assert result.code == 0
        with fits.open(io.BytesIO(result.out)) as opened:
            frames.append(opened[1].data - np.median(opened[1].data))
            headers.append(opened[0].header)
    usual, header = headers
    assert header["ESO SIM PSF SOURCE"] == "file"
    assert header["ESO SIM IQ STREHL"] == pytest.approx(usual["ESO SIM IQ STREHL"], rel=0.03)
    star = frames[0] > 0.01 * frames[0].max()
    np.testing.assert_allclose(frames[1][star], frames[0][star], rtol=0.03, atol=0.01 * frames[0].max())
    assert frames[1].max() == pytest.approx(frames[0].max(), rel=0.01)
    assert abs(frames[1] - frames[0])[star].sum() < 0.01 * frames[0][star].sum()


def write(path, data, table=None, **cards):
    image = fits.PrimaryHDU(data)
    image.header.update(cards)
    more = [fits.BinTableHDU.from_columns([fits.Column("WAVELENGTH", "D", unit="nm", array=table)])] if table else []
    fits.HDUList([image, *more]).writeto(path, overwrite=True)
    return path


@pytest.mark.parametrize(
    ("cards", "table", "wave", "scale"),
    [
        ({"CRVAL3": 1.2e-6, "CDELT3": 5e-7, "PIXSCALE": 0.01}, None, [1.2, 1.7], 0.01),
        ({"CRVAL3": 1200.0, "CDELT3": 500.0, "CUNIT3": "nm", "PIX_MAS": "3"}, None, [1.2, 1.7], 0.003),
        ({"CDELT1": -4.0, "CUNIT1": "mas", "CRPIX3": 2.0, "CRVAL3": 1.7, "CD3_3": 0.5}, None, [1.2, 1.7], 0.004),
        ({"CD1_1": 0.0, "CD2_1": 0.01 / 3600}, [1200.0, 1700.0], [1.2, 1.7], 0.01),
        ({"PIXELSCL": 0.02, "WAVELENG": "[1.2, 1.7]"}, None, [1.2, 1.7], 0.02),
    ],
)
def test_headers_of_many_kinds(tmp_path, cards, table, wave, scale):
    cards = {"CDELT1": 1.0, **cards} if "CD1_1" not in cards else {**cards, "CD1_1": 1e-30}
    block, _ = read_psf(write(tmp_path / "p.fits", np.stack([gaussian(3.0), gaussian(4.0)]), table, **cards))
    read = payload.psf(json.loads(json.dumps(block)))
    assert read.wavelength == pytest.approx(wave)
    assert read.scale == pytest.approx(scale)
    np.testing.assert_array_equal(user_psf.planes(read)[1], gaussian(4.0))


def test_one_image_holds_for_all_wavelengths(tmp_path):
    block, _ = read_psf(write(tmp_path / "p.fits", gaussian(3.0), PIXSCALE=0.01))
    assert payload.psf(block).wavelength == ()


def test_a_file_of_tiptops(tmp_path):
    """Its images without a wavelength are the PSF of open loop and of the telescope alone."""
    made, other = (fits.ImageHDU(gaussian(fwhm)[None]) for fwhm in (3.0, 9.0))
    made.header.update({"WL_NM": "2200", "PIX_MAS": "4"})
    fits.HDUList([fits.PrimaryHDU(), made, other]).writeto(tmp_path / "t.fits")
    read = payload.psf(read_psf(tmp_path / "t.fits")[0])
    assert (read.shape, read.scale, read.wavelength) == ((1, 65, 65), 0.004, (2.2,))
    np.testing.assert_array_equal(user_psf.planes(read)[0], gaussian(3.0))


@pytest.mark.parametrize(
    ("data", "cards", "pointer"),
    [
        (None, {}, "/elvis/psf"),
        (gaussian(3.0), {}, "/elvis/psf/scale"),
        (np.stack([gaussian(3.0)] * 3), {"PIXSCALE": 1.0}, "/elvis/psf/wavelength_um"),
    ],
)
def test_files_that_do_not_say_enough(tmp_path, data, cards, pointer):
    with pytest.raises(RequestError) as caught:
        read_psf(write(tmp_path / "p.fits", data, **cards))
    assert caught.value.details["pointer"] == pointer


def test_no_file(tmp_path):
    with pytest.raises(UsageError, match="--psf"):
        read_psf(tmp_path / "none.fits")


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"shape": [1, 65, 64]}, "/elvis/psf/data"),
        ({"shape": [1, 65, 66]}, "/elvis/psf/data"),
        ({"shape": [4096, 4096, 4096]}, "/elvis/psf/shape"),
        ({"wavelength_um": [1.0, 2.0]}, "/elvis/psf/wavelength_um"),
        ({"data": "?"}, "/elvis/psf/data"),
    ],
)
def test_a_damaged_block_is_refused(changes, pointer):
    block = {"data": payload.pack(gaussian(3.0).tobytes()), "shape": [1, 65, 65], "scale": 0.01, **changes}
    with pytest.raises(RequestError) as caught:
        parse.read('{"instrumentName": "micado"}', {"psf": block})
    assert caught.value.details["pointer"] == pointer


def test_it_says_what_it_did_and_a_dark_one_is_refused(elvis, micado):
    def ask(image, **more):
        block = {"data": payload.pack(image.tobytes()), "shape": [1, 65, 65], "scale": 0.002, **more}
        return elvis("validate", stdin=json.dumps(micado({"elvis": {"psf": block}})))

    assert "falls as r^-11/3" in ask(gaussian(3.0, total=0.9)).err
    assert "arbitrary unit" in ask(gaussian(3.0, total=50.0)).err
    assert "known at 1.2 um: the nearest" in ask(gaussian(3.0), wavelength_um=[1.2]).err
    dark = ask(gaussian(3.0) * 0)
    assert dark.code == 65
    assert "holds no light" in dark.err


def test_many_stars_and_a_replay(tmp_path, elvis, micado):
    path = write(tmp_path / "p.fits", gaussian(5.0, total=0.9), PIXSCALE=0.002)
    rng = np.random.default_rng(1)
    stars = {"x": rng.uniform(-0.2, 0.2, 30).tolist(), "y": rng.uniform(-0.2, 0.2, 30).tolist(), "mag": [20.0] * 30}
    document = micado({"elvis": {"catalogue": stars, "window": {"x0": 1984, "y0": 1984, "nx": 128, "ny": 128}}})
    first = elvis("--psf", str(path), stdin=json.dumps(document))
    assert first.code == 0
    file = tmp_path / "first.fits"
    file.write_bytes(first.out)
    path.unlink()
    again = elvis("replay", str(file))
    with fits.open(io.BytesIO(again.out)) as a, fits.open(file) as b:
        np.testing.assert_array_equal(a[1].data, b[1].data)

"""An image keeps its scale and its orientation."""

import io
import json
import math
import subprocess
import sys

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS

from elvis_cli.errors import RequestError, UsageError
from elvis_cli.request import parse, payload
from elvis_cli.request.files.image import read_image
from elvis_cli.request.payload import pack


def request(**block):
    return parse.read('{"instrumentName": "x"}', block)


def picture(tmp_path, shape=(40, 60), angle=0.0, mirrored=False, scale=0.02, pixels=None, square=True):
    """Return a FITS image whose +y has position angle ``angle`` (deg)."""
    wcs = WCS(naxis=2)
    wcs.wcs.ctype, wcs.wcs.crval, wcs.wcs.crpix = ["RA---TAN", "DEC--TAN"], [150.0, 2.0], [1.0, 1.0]
    c, s = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    matrix = np.array([[-c, s], [s, c]]) * scale / 3600
    if mirrored:
        matrix[:, 0] *= -1
    if not square:
        matrix[:, 1] *= 1.1
    wcs.wcs.cd = matrix
    data = np.arange(float(np.prod(shape))).reshape(shape) if pixels is None else pixels
    path = tmp_path / "image.fits"
    fits.writeto(path, data.astype("f4"), wcs.to_header(), overwrite=True)
    return path, data


@pytest.mark.parametrize("angle", [0.0, 30.0, -120.0, 180.0])
@pytest.mark.parametrize("mirrored", [False, True])
def test_scale_and_orientation(tmp_path, angle, mirrored):
    path, data = picture(tmp_path, angle=angle, mirrored=mirrored)
    block, _ = read_image(path)
    read = request(image=block).elvis.image
    assert read.scale == pytest.approx(0.02, rel=1e-6)
    assert (read.position_angle - angle + 180) % 360 == pytest.approx(180, abs=1e-6)
    pixels = np.frombuffer(read.data, "<f4").reshape(read.shape)
    assert np.array_equal(pixels, data[:, ::-1] if mirrored else data)


def test_a_cube_of_one_plane_will_do(tmp_path):
    path, data = picture(tmp_path)
    with fits.open(path) as hdus:
        header = hdus[0].header
    fits.writeto(path, data[None].astype("f4"), header, overwrite=True)
    assert read_image(path)[0]["shape"] == [40, 60]


def test_the_image_may_be_in_an_extension(tmp_path):
    path, data = picture(tmp_path)
    with fits.open(path) as hdus:
        header = hdus[0].header
    fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(data, header)]).writeto(path, overwrite=True)
    assert read_image(path)[0]["shape"] == [40, 60]


def plain(path, cards, pixels=None):
    """Write an image with these cards alone."""
    data = np.arange(2400.0).reshape(40, 60) if pixels is None else pixels
    header = fits.Header()
    header.update(cards)
    fits.writeto(path, data.astype("f4"), header, overwrite=True)
    return path


def turned(angle, scale=0.012):
    c, s = scale * math.cos(math.radians(angle)), scale * math.sin(math.radians(angle))
    return {"CD1_1": c, "CD1_2": -s, "CD2_1": s, "CD2_2": c}


@pytest.mark.parametrize(
    ("cards", "angle"),
    [
        ({"CDELT1": 0.012, "CDELT2": 0.012, "CUNIT1": "arcsec", "CUNIT2": "arcsec"}, 0.0),
        ({"CDELT1": -12.0, "CDELT2": 12.0, "CUNIT1": "mas", "CUNIT2": "mas"}, 0.0),
        ({"CDELT1": 0.012 / 3600, "CDELT2": 0.012 / 3600}, 0.0),
        ({"CDELT1": 0.012, "CDELT2": 0.012, "CTYPE1": "LINEAR", "CTYPE2": "LINEAR"}, 0.0),
        ({"PIXSCALE": 0.012}, 0.0),
        ({"PIXELSCL": 0.012, "ORIENTAT": 35.0}, 35.0),
        ({"GS_SCALE": 0.012, "GS_WCS": "PixelScale"}, 0.0),
        ({"PIXSCALE": (12.0, "[mas] of a pixel")}, 0.0),
        ({"SCALE": 0.012}, 0.0),
        ({**turned(20.0), "CUNIT1": "arcsec", "CUNIT2": "arcsec"}, 20.0),
        ({**turned(-70.0), "CTYPE1": "LINEAR", "CTYPE2": "LINEAR"}, -70.0),
        ({"CDELT1": 0.012, "CDELT2": 0.012, "CUNIT1": "arcsec", "CUNIT2": "arcsec", "CROTA2": 15.0}, 15.0),
    ],
)
def test_headers_without_a_celestial_wcs(tmp_path, cards, angle):
    block, notes = read_image(plain(tmp_path / "image.fits", cards))
    assert block["scale"] == pytest.approx(0.012, rel=1e-6)
    assert block["position_angle"] == pytest.approx(angle, abs=1e-6)
    assert any("East is taken to the left" in note for note in notes)
    assert np.array_equal(
        np.frombuffer(request(image=block).elvis.image.data, "<f4").reshape(40, 60), np.arange(2400.0).reshape(40, 60)
    )


def several(path, *names):
    header = {"PIXSCALE": 0.012}
    images = [fits.ImageHDU(np.full((4, 5 + n), 1.0), fits.Header(header), name=name) for n, name in enumerate(names)]
    fits.HDUList([fits.PrimaryHDU(), *images]).writeto(path, overwrite=True)
    return path


def test_one_extension_is_chosen(tmp_path):
    path = several(tmp_path / "many.fits", "SCI", "MODEL", "ERR")
    block, notes = read_image(path)
    assert block["shape"] == [4, 5]
    assert any("several images ([1] SCI, [2] MODEL)" in note for note in notes)
    for choice in ("[2]", "[MODEL]", "[model,1]"):
        assert read_image(tmp_path / f"many.fits{choice}")[0]["shape"] == [4, 6]
    assert not any("several" in note for note in read_image(several(path, "SCI", "WHT", "CTX"))[1])
    assert read_image(several(path, "IVAR", "RESULT"))[0]["shape"] == [4, 6]
    with pytest.raises(RequestError, match="which one"):
        read_image(several(path, "OBSERVED", "MODEL"))
    with pytest.raises(UsageError, match=r"no extension \[NONE\]; it has .*\[2\] MODEL"):
        read_image(tmp_path / "many.fits[NONE]")


def test_units_are_told(tmp_path):
    _, notes = read_image(plain(tmp_path / "image.fits", {"PIXSCALE": 0.012, "BUNIT": "MJy/sr"}))
    assert any("BUNIT MJy/sr is not used" in note for note in notes)
    _, notes = read_image(plain(tmp_path / "image.fits", {"PIXSCALE": 0.012}))
    assert any("no BUNIT" in note for note in notes)
    with pytest.raises(RequestError, match="magnitudes"):
        read_image(plain(tmp_path / "image.fits", {"PIXSCALE": 0.012, "BUNIT": "mag/arcsec2"}))


def test_noise_belongs_to_the_sum(tmp_path, elvis, micado):
    """A galaxy in noise of 2 % of its peak, with a border without data, gives the light of the galaxy."""
    y, x = np.indices((101, 101)) - 50.0
    clean = np.exp(-np.hypot(x, y) / 8)
    noisy = clean + np.random.default_rng(3).normal(0.0, 0.02, clean.shape)
    noisy[:4] = np.nan
    window = ("--window", "1898,1898,300,300", "--product", "expected")
    sums = []
    for pixels in (clean, noisy):
        path = plain(tmp_path / "image.fits", {"PIXSCALE": 0.008, "ORIENTAT": 30.0}, pixels)
        result = elvis(*window, "--image", str(path), stdin=json.dumps(micado()))
        assert result.code == 0, result.err
        with fits.open(io.BytesIO(result.out)) as hdus:
            light = hdus[1].data - hdus[0].header["ESO SIM SKY RATE"]
            rows, columns = np.indices(light.shape)
            x0, y0 = (hdus["TRUTH"].data[name][0] - 1 for name in "XY")
            sums.append(float(light[np.hypot(columns - x0, rows - y0) < 60].sum()))
    assert sums[1] == pytest.approx(sums[0] * clean.sum() / np.nansum(noisy), rel=0.03)
    with pytest.raises(RequestError, match="is not positive"):
        request(image={**read_image(path)[0], "data": pack((clean - 1).astype("<f4").tobytes())})


def test_what_is_wrong(tmp_path):
    path, _ = picture(tmp_path, square=False)
    with pytest.raises(RequestError, match="not square"):
        read_image(path)
    fits.writeto(path, np.ones((4, 4)), overwrite=True)
    with pytest.raises(RequestError, match="how large is an element"):
        read_image(path)
    fits.writeto(path, np.ones(4), overwrite=True)
    with pytest.raises(RequestError, match="no image of two dimensions"):
        read_image(path)
    path, _ = picture(tmp_path, shape=(2, 4097))
    with pytest.raises(RequestError, match="4096"):
        read_image(path)


@pytest.mark.parametrize(
    "cards",
    [
        {"SECPIX1": 0.012, "SECPIX2": 0.012},
        {"HIERARCH ESO INS PIXSCALE": 0.012},
        {"HIERARCH PIXELSCALE": 0.012},
        {"PIXSCALE": (12.0, "mas per pixel")},
        {"PIXSCALE": ("0.012", "arcsec")},
    ],
)
@pytest.mark.parametrize("extension", [False, True])
def test_the_scale_in_cards_of_many_names(tmp_path, cards, extension):
    first = fits.PrimaryHDU(None if extension else np.ones((4, 4), "f4"))
    first.header.update(cards)
    hdus = [first, fits.ImageHDU(np.ones((4, 4), "f4"), name="SCI")] if extension else [first]
    fits.HDUList(hdus).writeto(tmp_path / "a.fits")
    assert read_image(tmp_path / "a.fits")[0]["scale"] == pytest.approx(0.012)


def test_scales_that_differ(tmp_path):
    fits.writeto(tmp_path / "a.fits", np.ones((4, 4)), fits.Header({"SECPIX1": 0.012, "SECPIX2": 0.024}))
    with pytest.raises(RequestError, match="SECPIX2"):
        read_image(tmp_path / "a.fits")


@pytest.mark.parametrize("factor", [1e200, 1e-60])
def test_an_image_beyond_32_bits(tmp_path, factor):
    pixels = np.arange(1.0, 17.0).reshape(4, 4)
    fits.writeto(tmp_path / "a.fits", pixels * factor, fits.Header({"PIXSCALE": 0.012}))
    block, _ = read_image(tmp_path / "a.fits")
    found = np.frombuffer(payload.unpack(block["data"], "/", 64), "<f4").reshape(4, 4)
    np.testing.assert_allclose(found / found.max(), pixels / 16, rtol=1e-6)


def test_an_image_of_logarithms(tmp_path):
    fits.writeto(tmp_path / "a.fits", np.ones((4, 4)), fits.Header({"PIXSCALE": 0.012, "BUNIT": "log(Jy)"}))
    with pytest.raises(RequestError, match="logarithms"):
        read_image(tmp_path / "a.fits")


def test_hundreds_of_wrong_coordinates_do_no_harm(fors, tmp_path):
    """In a process of its own, which wcslib ended."""
    hdu = fits.ImageHDU(np.eye(8, dtype="f4"))
    hdu.header.update({"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CD1_1": -2e-6, "CD2_2": 2e-6})
    fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(tmp_path / "plain.fits")
    data = (tmp_path / "plain.fits").read_bytes()
    end = data.index(b"END".ljust(80), 2880)
    for number, card in enumerate(("CRVAL3  = '(((((('", "CRVAL1  = 'word'", "CNAME1  = 7", "PC1_1   = 'one'")):
        header = data[2880:end] + (card.ljust(80).encode() + b"CRPIX3  = 'x'".ljust(80)) * 300 + b"END".ljust(80)
        path = tmp_path / f"{number}.fits"
        path.write_bytes(data[:2880] + header + b" " * (-len(header) % 2880) + data[end - end % 2880 + 2880 :])
    (tmp_path / "etc.json").write_text(json.dumps(fors()))
    script = """
import sys
from elvis_cli import cli
for number in range(4):
    with open("etc.json") as sys.stdin:
        print(cli.run(["validate", f"--image={number}.fits"]))
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, check=False)
    assert done.stdout.split() == [b"0"] * 4, done.stderr


@pytest.mark.parametrize("number", ["2D-06", "2.0D-6", "0.2D-05", "2.000000E-06"])
def test_exponents_of_fortran(tmp_path, number):
    hdu = fits.PrimaryHDU(np.eye(8, dtype="f4"))
    hdu.header.update({"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CD1_1": -1.5, "CD2_2": 1.5})
    hdu.writeto(tmp_path / "plain.fits")
    data = (tmp_path / "plain.fits").read_bytes()
    for sign in ("-", " "):
        data = data.replace(f"{sign + '1.5':>20}".encode(), f"{sign + number:>20}".encode())
    (tmp_path / "fortran.fits").write_bytes(data)
    assert read_image(tmp_path / "fortran.fits")[0]["scale"] == pytest.approx(0.0072)

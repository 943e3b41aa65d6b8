"""An image keeps its scale and its orientation."""

import math

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS

from elvis_cli.errors import RequestError
from elvis_cli.request import parse
from elvis_cli.request.files.image import read_image


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
    block = read_image(path)
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
    assert read_image(path)["shape"] == [40, 60]


def test_the_image_may_be_in_an_extension(tmp_path):
    path, data = picture(tmp_path)
    with fits.open(path) as hdus:
        header = hdus[0].header
    fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(data, header)]).writeto(path, overwrite=True)
    assert read_image(path)["shape"] == [40, 60]


def test_what_is_wrong(tmp_path):
    path, _ = picture(tmp_path, square=False)
    with pytest.raises(RequestError, match="not square"):
        read_image(path)
    fits.writeto(path, np.ones((4, 4)), overwrite=True)
    with pytest.raises(RequestError, match="no celestial WCS"):
        read_image(path)
    fits.writeto(path, np.ones(4), overwrite=True)
    with pytest.raises(RequestError, match="no image of two dimensions"):
        read_image(path)
    path, _ = picture(tmp_path, shape=(2, 4097))
    with pytest.raises(RequestError, match="4096"):
        read_image(path)

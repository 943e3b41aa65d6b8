"""The picture shows the sky the right way round."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from elvis_cli.errors import RequestError, ResourceError, UsageError
from elvis_cli.focalplane.geometry import field_to_pixel, sky_to_field
from elvis_cli.product import fits, preview
from elvis_cli.request import Pointing, Window

FULL = Window(0, 0, 512, 512)


def picture(data, **options):
    out = io.BytesIO()
    preview.png(data, out, **options)
    image = Image.open(io.BytesIO(out.getvalue()))
    image.load()
    return image


@pytest.fixture
def sky(setup, request_for, prediction):
    """Return the FITS of noise with one bright square star at (east, north), arcsec."""

    def make(east, north, angle=0.0, numbers=(5,), window=FULL):
        base = setup()
        chips = tuple(replace(chip, x_mm=chip.x_mm / 8, y_mm=chip.y_mm / 8) for chip in base.detector.chips)
        detector = replace(base.detector, nx=512, ny=512, chips=chips)
        made = replace(base, detector=detector, window=window, chips=numbers)

        def frames():
            fx, fy = sky_to_field(east, north, angle)
            for number in numbers:
                chip = detector.chip(number)
                pixels = np.random.default_rng(number).normal(100.0, 5.0, (window.ny, window.nx)).astype(np.float32)
                x, y = (round(v) for v in field_to_pixel(made, chip, fx, fy))
                x, y = x - window.x0, y - window.y0
                if 8 <= x < window.nx - 8 and 8 <= y < window.ny - 8:
                    pixels[y - 8 : y + 9, x - 8 : x + 9] += 10000.0
                yield chip, pixels

        out = io.BytesIO()
        fits.write(request_for(pointing=Pointing(10.0, -30.0, angle)), made, prediction, frames(), (), out)
        return out.getvalue()

    return make


def brightest(image):
    """Return the centroid (x, y) of the brightest pixels of the picture above its label."""
    grey = np.asarray(image.convert("L"), dtype=float)[: image.height - 28]
    y, x = np.nonzero(grey > 230)
    return x.mean(), y.mean()


@pytest.mark.parametrize("angle", [0.0, 90.0, 180.0])
@pytest.mark.parametrize(("east", "north"), [(0.6, 0.3), (-0.5, -0.7)])
def test_east_is_left_and_north_up_at_any_position_angle(sky, east, north, angle):
    image = picture(sky(east, north, angle))
    assert image.size == (512, 512 + 28)
    x, y = brightest(image)
    assert x == pytest.approx(255.5 - east / 0.004, abs=2)
    assert y == pytest.approx(255.5 - north / 0.004, abs=2)


def test_chips_stand_at_their_places_with_gaps_between(sky):
    image = picture(sky(-3.0, 2.2, numbers=tuple(range(1, 10))), max_size=400)
    assert max(image.width, image.height - 28) == 400
    x, _ = brightest(image)
    arcsec = 0.004 / 0.015 * (67.94 + 63.94) / 8 + 512 * 0.004  # from the outer edge of chip 6 to that of chip 4
    scale = arcsec / 400
    assert x == pytest.approx((63.94 / 8 * 0.004 / 0.015 + 256 * 0.004 + 3.0) / scale, abs=2)
    gap = (np.asarray(image)[: image.height - 28] == (44, 47, 54)).all(axis=-1)
    chips = 9 * (512 * 0.004 / scale) ** 2
    assert 1 - gap.mean() == pytest.approx(chips / gap.size, abs=0.01)


def test_small_window_is_enlarged_and_noise_is_visible(sky):
    image = picture(sky(9.0, 9.0, window=Window(200, 200, 64, 32)))
    assert image.size == (320, 160 + 28)
    grey = np.asarray(image.convert("L"), dtype=float)[:160]
    assert 5 < grey.mean() < 120
    assert grey.std() > 3


def test_label_is_drawn(sky):
    strip = np.asarray(picture(sky(0.0, 0.0)).convert("L"))[-28:]
    assert (strip > 180).sum() > 100


def test_flat_image_is_a_picture_too(setup, request_for, prediction):
    made = setup()
    for value in (0.0, 7.0, np.nan):
        out = io.BytesIO()
        pixels = np.full((48, 64), value, dtype=np.float32)
        fits.write(request_for(), made, prediction, [(made.detector.chip(5), pixels)], (), out)
        assert picture(out.getvalue()).width == 320


def test_stretch_is_monotonic_and_bounded():
    image = np.random.default_rng(0).normal(1000.0, 10.0, (100, 100)).astype(np.float32)
    image[:1] = np.linspace(1000, 60000, 100)
    level = preview.stretch(image)
    assert level.min() >= 0.0
    assert level.max() <= 1.0
    order = np.argsort(image, axis=None)
    assert (np.diff(level.ravel()[order]) >= 0).all()


def test_from_a_path(sky, tmp_path):
    path = tmp_path / "frame.fits"
    path.write_bytes(sky(0.0, 0.0))
    assert picture(path).size == picture(path.read_bytes()).size


def test_refusals(sky, setup, request_for, written):
    with pytest.raises(ResourceError):
        picture("/nowhere.fits")
    with pytest.raises(RequestError, match="not a FITS file"):
        picture(b"no fits")
    with pytest.raises(RequestError, match="no image"):
        picture(written(request_for(), setup(chips=())))
    with pytest.raises(UsageError, match="too small"):
        picture(sky(0.0, 0.0), max_size=10)


@pytest.mark.parametrize(
    ("longest", "text"),
    [(0.07, "50 mas"), (0.3, "0.2 arcsec"), (9.99, "5 arcsec"), (70.0, "50 arcsec"), (130.0, "100 arcsec")],
)
def test_scale_bar(longest, text):
    length, name = preview._scale_bar(longest)
    assert length <= longest
    assert name == text or (length >= 60 and name.endswith("arcmin"))

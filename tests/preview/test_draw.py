"""The picture shows the sky the right way round."""

from __future__ import annotations

import io
import math
from dataclasses import replace

import numpy as np
import pytest
from astropy.io import fits as astropy_fits
from astropy.wcs import WCS
from PIL import Image

from elvis_cli.base.geometry import sky_to_field
from elvis_cli.errors import RequestError, ResourceError, UsageError
from elvis_cli.focalplane.geometry import field_to_pixel
from elvis_cli.model.elvis_block import Pointing, Window
from elvis_cli.preview import draw
from elvis_cli.preview.sheet import COLOURS, GAP
from elvis_cli.preview.stretch_kind import StretchKind
from elvis_cli.product import fits

FULL = Window(0, 0, 512, 512)
SCALE = 0.004
COMPASS = (48, 30)
"""Where the arrows start, from the lower right corner."""


class Picture:
    """A decoded PNG: its area is where the text chunk says."""

    def __init__(self, data, **options):
        out = io.BytesIO()
        self.notes = draw.png(data, out, **options)
        self.bytes = out.getvalue()
        self.image = Image.open(io.BytesIO(self.bytes))
        self.image.load()
        self.rgb = np.asarray(self.image.convert("RGB"))
        self.left, self.top, self.width, self.height = map(int, self.image.text["Area"].split(","))
        self.area = self.rgb[self.top : self.top + self.height, self.left : self.left + self.width]

    def limits(self):
        return tuple(float(text) for text in self.image.text["Limits"].split(","))

    def brightest(self):
        """Return the centroid (x, y) of the brightest pixels of the area."""
        level = self.area.astype(float).sum(axis=-1)
        y, x = np.nonzero(level > 0.97 * COLOURS[-1].sum())
        return x.mean(), y.mean()

    def north(self):
        """Return where North points, from up to the right, deg, if East is a quarter to its left."""
        ink = self.rgb.mean(axis=-1)
        degrees = np.arange(-180, 180, 2)
        angle, reach = np.radians(degrees)[:, None], np.linspace(4, 20, 33)
        y = np.rint(self.rgb.shape[0] - COMPASS[1] - reach * np.cos(angle)).astype(int)
        x = np.rint(self.rgb.shape[1] - COMPASS[0] + reach * np.sin(angle)).astype(int)
        found = ink[y, x].mean(axis=1)
        both = found + np.roll(found, 45)  # East is a quarter to the left of North
        return float(degrees[both > 0.97 * both.max()].mean())


@pytest.fixture
def sky(setup, request_for, prediction):
    """Return the FITS of noise with one bright square star at (east, north), arcsec."""

    def make(east, north, angle=0.0, numbers=(5,), window=FULL):
        base = setup()
        chips = tuple(replace(chip, x_mm=chip.x_mm / 8, y_mm=chip.y_mm / 8) for chip in base.detector.chips)
        detector = replace(base.detector, nx=512, ny=512, chips=chips)
        made = setup(detector=detector, window=window, chips=numbers)

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


@pytest.mark.parametrize("angle", [0.0, 90.0, 180.0])
@pytest.mark.parametrize(("east", "north"), [(0.6, 0.3), (-0.5, -0.7)])
def test_east_is_left_and_north_up_at_any_position_angle(sky, east, north, angle):
    picture = Picture(sky(east, north, angle))
    assert (picture.width, picture.height) == (512, 512)
    x, y = picture.brightest()
    assert x == pytest.approx(255.5 - east / SCALE, abs=2)
    assert y == pytest.approx(255.5 - north / SCALE, abs=2)
    assert picture.north() == pytest.approx(0.0, abs=2)


@pytest.mark.parametrize(("angle", "tilt"), [(0, 0), (30, 30), (-20, -20), (90, 0), (130, 40), (250, -20)])
def test_the_arrow_points_where_a_northern_star_is(sky, angle, tilt):
    picture = Picture(sky(0.0, 0.8, float(angle)))
    x, y = picture.brightest()
    assert math.hypot(x - 255.5, y - 255.5) == pytest.approx(0.8 / SCALE, abs=2)
    assert math.degrees(math.atan2(x - 255.5, 255.5 - y)) == pytest.approx(tilt, abs=1)
    assert picture.north() == pytest.approx(tilt, abs=4)
    # and East is a quarter to the left: a star there
    x, y = Picture(sky(0.8, 0.0, float(angle))).brightest()
    assert math.degrees(math.atan2(x - 255.5, 255.5 - y)) == pytest.approx(tilt - 90, abs=1)


@pytest.mark.parametrize("axis", ["x", "y", "both"])
def test_a_mirrored_detector_gives_the_same_picture(sky, axis):
    data = sky(0.5, -0.2, 30.0)
    with astropy_fits.open(io.BytesIO(data)) as hdus:
        hdu = hdus[1]
        if axis != "y":
            hdu.data = hdu.data[:, ::-1].copy()
            hdu.header["CD1_1"] *= -1
            hdu.header["CD2_1"] *= -1
            hdu.header["CRPIX1"] = 513 - hdu.header["CRPIX1"]
        if axis != "x":
            hdu.data = hdu.data[::-1].copy()
            hdu.header["CD1_2"] *= -1
            hdu.header["CD2_2"] *= -1
            hdu.header["CRPIX2"] = 513 - hdu.header["CRPIX2"]
        out = io.BytesIO()
        hdus.writeto(out)
    assert (Picture(out.getvalue()).area == Picture(data).area).all()


def test_chips_stand_at_their_places_with_gaps_between(sky):
    picture = Picture(sky(-3.0, 2.2, numbers=tuple(range(1, 10))), max_size=400)
    assert max(picture.width, picture.height) == 400
    x, _ = picture.brightest()
    arcsec = 0.004 / 0.015 * (67.94 + 63.94) / 8 + 512 * 0.004  # from the outer edge of chip 6 to that of chip 4
    scale = arcsec / 400
    assert x == pytest.approx((63.94 / 8 * 0.004 / 0.015 + 256 * 0.004 + 3.0) / scale, abs=2)
    gap = (picture.area == GAP).all(axis=-1)
    chips = 9 * (512 * 0.004 / scale) ** 2
    assert 1 - gap.mean() == pytest.approx(chips / gap.size, abs=0.01)


def test_the_star_is_where_the_wcs_says_in_a_mosaic_made_smaller(sky):
    data = sky(1.1, -0.9, 30.0, numbers=tuple(range(1, 10)))
    picture = Picture(data, max_size=300)
    with astropy_fits.open(io.BytesIO(data)) as hdus:
        number = max(range(1, 10), key=lambda n: hdus[n].data.max())
        y, x = np.argwhere(hdus[number].data > 5000).mean(axis=0)
        world = WCS(hdus[number].header).pixel_to_world_values(x, y)
    east = (world[0] - 10.0) * math.cos(math.radians(30.0)) * 3600
    north = (world[1] + 30.0) * 3600
    tilt = math.radians(30.0)
    right, up = -east * math.cos(tilt) + north * math.sin(tilt), east * math.sin(tilt) + north * math.cos(tilt)
    scale = float(picture.image.text["Scale"].split()[0])
    left = -(63.94 / 8 * 0.004 / 0.015 + 256 * 0.004)  # of chip 4
    x, y = picture.brightest()
    assert x == pytest.approx((right - left) / scale - 0.5, abs=1.5)
    assert y == pytest.approx((-left - up) / scale - 0.5, abs=1.5)


def test_small_window_is_enlarged_and_noise_is_visible(sky):
    picture = Picture(sky(9.0, 9.0, window=Window(200, 200, 64, 32)))
    assert (picture.width, picture.height) == (512, 256)
    # every pixel is a square of eight
    assert (picture.area.reshape(32, 8, 64, 8, 3) == picture.area[::8, ::8].reshape(32, 1, 64, 1, 3)).all()
    grey = picture.area.mean(axis=-1)
    assert 5 < grey.mean() < 120
    assert grey.std() > 3


def test_words_are_drawn_and_told(sky):
    picture = Picture(sky(0.0, 0.0))
    below = picture.rgb[picture.top + picture.height + 10 :]
    assert (below.min(axis=-1) > 180).sum() > 300
    assert picture.image.text["Title"].startswith("MICADO | img_4mas_scao | Ks | ")
    assert "simulated" in picture.image.text["Title"]


def test_the_colour_bar_ends_at_the_limits(sky):
    picture = Picture(sky(0.5, 0.5), limits=(90.0, 200.0), kind=StretchKind.LINEAR)
    assert picture.limits() == (90.0, 200.0)
    bar = picture.rgb[picture.top : picture.top + picture.height, picture.left + picture.width + 14 + 9]
    assert tuple(bar[0]) == tuple(COLOURS[-1])
    assert tuple(bar[-1]) == tuple(COLOURS[0])
    # a pixel of known value has the colour of its place on the bar
    with astropy_fits.open(io.BytesIO(sky(0.5, 0.5))) as hdus:
        pixels = hdus[1].data[::-1]
    level = np.clip((pixels[100] - 90.0) / 110.0, 0.0, 1.0)
    expected = bar[::-1][np.rint(level * (len(bar) - 1)).astype(int)]
    assert np.abs(expected.astype(int) - picture.area[100]).max() <= 8


def test_flat_image_is_a_picture_too(setup, request_for, prediction):
    made = setup()
    for value in (0.0, 7.0, np.nan):
        out = io.BytesIO()
        pixels = np.full((48, 64), value, dtype=np.float32)
        fits.write(request_for(), made, prediction, [(made.detector.chip(5), pixels)], (), out)
        for kind in StretchKind:
            assert Picture(out.getvalue(), kind=kind).width == 512
        Picture(out.getvalue(), limits="zscale")


def test_from_a_path_and_a_file(sky, tmp_path):
    path = tmp_path / "frame.fits"
    path.write_bytes(sky(0.0, 0.0))
    made = Picture(path).bytes
    assert made == Picture(path.read_bytes()).bytes
    with path.open("rb") as file:
        assert made == Picture(file).bytes


def test_refusals(sky, setup, request_for, written):
    data = sky(0.0, 0.0)
    with pytest.raises(ResourceError):
        Picture("/nowhere.fits")
    with pytest.raises(RequestError, match="not a FITS file"):
        Picture(b"no fits")
    with pytest.raises(RequestError, match="no image"):
        Picture(written(request_for(), setup(chips=())))
    with pytest.raises(UsageError, match="too small"):
        Picture(data, max_size=10)
    with pytest.raises(UsageError, match=r"it has .*DET5.IMG.*did you mean 'DET5.IMG'"):
        Picture(data, extension="DET5")
    with pytest.raises(RequestError, match="neither"):
        Picture(data, extension="PRIMARY")
    with pytest.raises(UsageError, match="not below"):
        Picture(data, limits=(5.0, 5.0))
    with pytest.raises(UsageError, match="above 0"):
        Picture(data, limits=(-5.0, 5.0), kind=StretchKind.LOG)


def test_text_fits_the_terminal(sky):
    for columns, rows in ((200, 23), (40, 60)):
        out = io.BytesIO()
        draw.text(sky(0.5, 0.5), out, columns, rows)
        lines = out.getvalue().decode("ascii").split("\n")
        assert lines.pop() == ""
        assert max(map(len, lines)) <= columns
        assert len(lines) == (rows if columns == 200 else 22)  # a square of 40 x 20 characters, and the words
        picture = lines[:-2]
        y, x = np.argwhere(np.array([list(line) for line in picture]) == "@").mean(axis=0)
        side = len(picture)
        assert (x + 0.5) / (2 * side) == pytest.approx(0.5 - 0.5 / 2.048, abs=0.06)
        assert (y + 0.5) / side == pytest.approx(0.5 - 0.5 / 2.048, abs=0.06)


def test_the_command_line(elvis, sky, tmp_path):
    frame = tmp_path / "frame.fits"
    frame.write_bytes(sky(0.4, 0.2))
    made = elvis(
        "preview", str(frame), "--stretch", "sqrt", "--limits", "50,5000", "--ext", "det5.img", "--size", "256"
    )
    assert made.code == 0
    image = Image.open(io.BytesIO(made.out))
    assert image.text["Limits"] == "50,5000"
    assert image.text["Stretch"] == "sqrt"
    assert image.text["Area"].endswith(",256,256")
    assert elvis("preview", stdin=frame.read_bytes()).out == elvis("preview", str(frame)).out  # and the same bytes
    zscale = Image.open(io.BytesIO(elvis("preview", str(frame), "--limits", "zscale").out)).text["Limits"]
    assert float(zscale.split(",")[1]) < 200.0
    for wrong in (["--limits", "5"], ["--limits", "a,b"], ["--limits", "nan,1"], ["--limits", "9,1"], ["--ext", "X"]):
        refused = elvis("preview", str(frame), *wrong)
        assert refused.code == 2
        assert refused.out == b""
        assert len(refused.lines) == 1


def test_characters_take_the_size_of_the_terminal(elvis, sky, monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setenv("LINES", "31")
    shown = elvis("preview", "--terminal", stdin=sky(0.4, 0.2))
    assert shown.code == 0
    assert len(shown.out.splitlines()) == 30  # and one for the prompt
    assert b"\033" not in shown.out
    wide = elvis("preview", "--terminal", "--size", "60", stdin=sky(0.4, 0.2)).out.decode().splitlines()
    assert max(map(len, wide)) <= 60
    assert len(wide) == 30


def test_sources_get_rings(tmp_path):
    from astropy.table import Table

    from elvis_cli.preview import sheet
    from tests.conftest import run

    data = np.random.default_rng(1).normal(0, 1, (200, 200)).astype(np.float32)
    astropy_fits.HDUList([astropy_fits.PrimaryHDU(), astropy_fits.ImageHDU(data, name="SCI")]).writeto(
        tmp_path / "image.fits"
    )
    Table({"X": [51.0], "Y": [151.0]}).write(tmp_path / "sources.ecsv")
    argv = ("preview", str(tmp_path / "image.fits"), "--sources", str(tmp_path / "sources.ecsv"))
    assert run(*argv, "-o", str(tmp_path / "out.png")).code == 0
    with Image.open(tmp_path / "out.png") as picture:
        left, top, width, height = map(int, picture.info["Area"].split(","))
        ys, xs = np.nonzero(np.all(np.asarray(picture.convert("RGB")) == sheet.RING, axis=2))
    assert np.mean(xs) - left == pytest.approx(50.5 / 200 * width, abs=1.5)
    assert np.mean(ys) - top == pytest.approx((1 - 150.5 / 200) * height, abs=1.5)
    assert run(*argv, "--terminal").code == 2
    assert run("preview", str(tmp_path / "image.fits"), "--sources", str(tmp_path / "none.ecsv")).code != 0

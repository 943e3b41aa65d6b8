"""What is found in files, ours and others', whole and damaged."""

from __future__ import annotations

import contextlib
import gzip
import io
import math
import warnings

import numpy as np
import pytest
from astropy.io import fits
from PIL import Image

from elvis_cli.errors import RequestError, UsageError
from elvis_cli.preview import draw as preview
from elvis_cli.preview import source
from elvis_cli.preview.mosaic import compose
from elvis_cli.preview.plot import Curves

WCS = {"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRVAL1": 10.0, "CRVAL2": -30.0, "CRPIX1": 10.0, "CRPIX2": 5.0}


def written(*hdus):
    if not isinstance(hdus[0], fits.PrimaryHDU):
        hdus = (fits.PrimaryHDU(), *hdus)
    out = io.BytesIO()
    fits.HDUList(list(hdus)).writeto(out)
    return out.getvalue()


def image(cards=None, data=None, kind=fits.PrimaryHDU, **options):
    data = np.arange(200, dtype=np.float32).reshape(10, 20) if data is None else data
    return kind(data, fits.Header(list((cards or {}).items())), **options)


def found(data, extension=None):
    with source.open_source(io.BytesIO(data), extension) as what:
        if isinstance(what, Curves):
            return what
        return what, compose(what.planes, 512, 512, 16)


def table(name="THROUGHPUT", **columns):
    units = {"WAVELENGTH": "um"}
    made = [
        fits.Column(key, fits.column._convert_record2fits(np.asarray(v).dtype), units.get(key), array=np.asarray(v))
        for key, v in columns.items()
    ]
    return fits.BinTableHDU.from_columns(made, name=name)


ANGLE = math.radians(25.0)
LINEAR = [
    {"CD1_1": -math.cos(ANGLE) / 3600, "CD1_2": math.sin(ANGLE) / 3600}
    | {"CD2_1": math.sin(ANGLE) / 3600, "CD2_2": math.cos(ANGLE) / 3600},
    {"CDELT1": -1 / 3600, "CDELT2": 1 / 3600, "CROTA2": 25.0},
    {"CDELT1": -1 / 3600, "CDELT2": 1 / 3600, "PC1_1": math.cos(ANGLE), "PC1_2": -math.sin(ANGLE)}
    | {"PC2_1": math.sin(ANGLE), "PC2_2": math.cos(ANGLE)},
    {"CDELT1": -1.0, "CDELT2": 1.0, "CUNIT1": "arcsec", "CUNIT2": "arcsec", "PC1_1": math.cos(ANGLE)}
    | {
        "CRVAL1": 36000.0,
        "CRVAL2": -108000.0,
        "PC1_2": -math.sin(ANGLE),
        "PC2_1": math.sin(ANGLE),
        "PC2_2": math.cos(ANGLE),
    },
]


@pytest.mark.parametrize("linear", LINEAR)
def test_every_way_to_write_the_wcs_is_that_of_astropy(linear):
    from astropy.wcs import WCS as Full

    what, made = found(written(image(WCS | linear)))
    assert what.caption.celestial
    assert made.scale == pytest.approx(1.0)
    assert abs(math.degrees(made.tilt)) == pytest.approx(25.0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        full = Full(fits.Header(list((WCS | linear).items())))
    east, north = what.planes[0].matrix @ np.array([3.0, -2.0])
    ra, dec = full.pixel_to_world_values(9.0 + 3.0, 4.0 - 2.0)
    assert east == pytest.approx((ra - 10.0) * math.cos(math.radians(30.0)) * 3600, rel=1e-3)
    assert north == pytest.approx((dec + 30.0) * 3600, rel=1e-3)


def test_latitude_may_come_first_and_be_galactic():
    cards = WCS | {"CTYPE1": "GLAT-CAR", "CTYPE2": "GLON-CAR"}
    what, made = found(written(image(cards | {"CDELT1": 0.001, "CDELT2": -0.001})))
    assert what.caption.celestial
    assert made.tilt == pytest.approx(0.0)
    assert made.canvas.shape == (20, 10)  # x runs North, so it is up


def test_without_coordinates_pixels_are_pixels():
    what, made = found(written(image()))
    assert not what.caption.celestial
    assert not what.caption.angular
    assert (made.canvas[::-1] == np.arange(200).reshape(10, 20)).all()
    assert preview.png(written(image()), io.BytesIO()) == ()


def test_a_psf_has_a_scale_but_no_north():
    axes = {"CTYPE": "OFFSET", "CUNIT": "mas", "CDELT": 2.0}
    cards = {f"{key}{axis}": value for axis in "12" for key, value in axes.items()}
    what, made = found(written(image(cards)))
    assert what.caption.angular
    assert not what.caption.celestial
    assert made.scale == pytest.approx(0.002)
    assert (made.canvas[::-1] == np.arange(200).reshape(10, 20)).all()


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint16, np.int32, np.int64, np.float32, np.float64])
@pytest.mark.parametrize("kind", ["plain", "compressed", "gzip"])
def test_every_kind_of_pixel(tmp_path, dtype, kind):
    pixels = np.arange(200).reshape(10, 20).astype(dtype)
    if kind == "compressed":
        if dtype == np.int64:
            pytest.skip("not in the standard")
        options = {"quantize_level": 0.0} if pixels.dtype.kind == "f" else {}
        data = written(fits.CompImageHDU(pixels, compression_type="GZIP_1", **options))
    else:
        data = written(image(data=pixels))
    path = tmp_path / "image.fits.gz"
    path.write_bytes(gzip.compress(data) if kind == "gzip" else data)
    with source.open_source(path, None) as what:
        made = compose(what.planes, 512, 512, 16)
    assert (made.canvas[::-1] == pixels).all()


def test_blank_pixels_stay_blank():
    hdu = image({"BLANK": -99}, np.array([[1, 2], [-99, 4]], dtype=np.int16))
    _, made = found(written(hdu))
    assert np.isnan(made.canvas).sum() == made.canvas.size / 4


def test_a_cube_shows_its_middle_and_says_so():
    cube = np.arange(5)[:, None, None] * np.ones((5, 8, 9), dtype=np.float32)
    what, made = found(written(image(data=cube)))
    assert (made.canvas == 2.0).all()
    assert "plane 3 of 5" in what.notes[0]
    what, made = found(written(image(data=cube[:1, None])))
    assert what.notes == ()


def test_chips_make_the_mosaic_and_what_is_computed_from_them_does_not():
    linear = {"CDELT1": -1 / 3600, "CDELT2": 1 / 3600}
    hdus = [
        image(WCS | linear | {"EXTNAME": "A", "HIERARCH ESO DET CHIP NO": 1}, kind=fits.ImageHDU),
        image(WCS | linear | {"EXTNAME": "B", "CRPIX1": -15.0, "HIERARCH ESO DET CHIP NO": 2}, kind=fits.ImageHDU),
        image(WCS | linear | {"EXTNAME": "SNR_MAP", "EXTVER": 1}, kind=fits.ImageHDU),
        image(WCS | linear | {"EXTNAME": "SNR_MAP", "EXTVER": 2, "CRPIX1": -15.0}, kind=fits.ImageHDU),
        image({"EXTNAME": "PSF"}, kind=fits.ImageHDU),
    ]
    steps = [image({"EXTNAME": "dark", "EXTVER": n, "HIERARCH ESO DET CHIP NO": n}, kind=fits.ImageHDU) for n in (1, 2)]
    data = written(*steps, *hdus)
    what, made = found(data, "DARK")
    assert made.canvas.shape == (10, 41)  # nothing tells where they are
    assert "side by side" in what.notes[0]
    assert found(data, "dark,2")[0].notes == ()
    assert found(data)[0].notes == ()
    assert found(data)[1].canvas.shape == (10, 45)
    assert np.isnan(found(data)[1].canvas).sum() == 50
    assert found(data, "B")[1].canvas.shape == (10, 20)
    assert found(data, "snr_map")[1].canvas.shape == (10, 45)
    assert found(data, "SNR_MAP,2")[1].canvas.shape == (10, 20)
    assert found(data, "PSF")[0].caption.title.endswith("PSF")
    for wrong in ("SNR_MAP,3", "PFS", ""):
        with pytest.raises(UsageError, match="it has PRIMARY, dark, A, B, SNR_MAP, PSF"):
            found(data, wrong)


def focal(number, x, y, rotation=0.0, data=None, **cards):
    """Return a chip of 10 x 20 pixels of 0.02 mm, its centre at (x, y) mm."""
    cos, sin = math.cos(math.radians(rotation)), math.sin(math.radians(rotation))
    axes = {f"{key}{axis}": value for axis in "12" for key, value in {"CTYPE": "FOCAL", "CUNIT": "mm"}.items()}
    linear = {"CD1_1": cos, "CD1_2": -sin, "CD2_1": sin, "CD2_2": cos}
    u, v = -x / 0.02, -y / 0.02
    middle = {"CRPIX1": 10.5 + cos * u + sin * v, "CRPIX2": 5.5 - sin * u + cos * v}
    names = {"EXTNAME": f"CHIP{number}", "HIERARCH ESO DET CHIP NO": number, "BUNIT": "adu"}
    return image(axes | {k: 0.02 * v for k, v in linear.items()} | middle | names | cards, data, fits.ImageHDU)


def test_chips_of_a_spectrograph_stand_where_they_are_in_the_focal_plane():
    where = {1: (-0.25, 0.0, 0.0), 2: (0.25, 0.3, 0.0), 3: (0.25, -0.3, 180.0), 4: (-0.35, -0.3, 90.0)}
    data = written(*(focal(n, *at) for n, at in where.items()))
    what, made = found(data)
    assert what.spectra
    assert what.notes == ()
    ruler = preview.mosaic.ruler(made, what.planes, what.pixel)
    assert ruler.unit == "mm"
    assert ruler.x == pytest.approx((-0.45, 0.45))
    assert ruler.y == pytest.approx((-0.5, 0.4))
    height, width = made.canvas.shape
    pixels = np.arange(200).reshape(10, 20)
    for number, (x, y, rotation) in where.items():
        column = round((x - ruler.x[0]) / 0.9 * width - 0.5)
        row = round((ruler.y[1] - y) / 0.9 * height - 0.5)
        turned = np.rot90(pixels, rotation // 90)[::-1] if number == 3 else pixels
        assert made.canvas[row, column] in (turned if number != 4 else pixels)[3:7, 8:12]
    # the corner pixel of the chip that is turned by a quarter: (0, 0) is right below
    assert made.canvas[-1, round(0.2 / 0.02) - 1 - 0] == pytest.approx(0.0)


def test_one_chip_of_a_spectrograph_counts_its_pixels():
    for rotation, x, y in ((0.0, (0.5, 20.5), (0.5, 10.5)), (180.0, (20.5, 0.5), (10.5, 0.5))):
        what, made = found(written(focal(1, 5.0, -3.0, rotation)))
        ruler = preview.mosaic.ruler(made, what.planes, what.pixel)
        assert ruler.unit == "pixel"
        assert ruler.x == pytest.approx(x)
        assert ruler.y == pytest.approx(y)


def test_a_map_of_wavelengths_is_no_light():
    wave = np.linspace(1.0, 2.0, 200, dtype=np.float32).reshape(10, 20)
    wave[0] = np.nan
    light = focal(1, 0.0, 0.0)
    data = written(light, focal(1, 0.0, 0.0, data=wave, BUNIT="um", EXTNAME="WAVE"))
    what, _ = found(data, "WAVE")
    assert not what.spectra
    out = io.BytesIO()
    preview.png(data, out, extension="WAVE")
    out.seek(0)
    words = Image.open(out).text
    assert words["Stretch"] == "linear"
    assert [float(limit) for limit in words["Limits"].split(",")] == pytest.approx([wave[1, 0], 2.0])


def test_chips_of_others_without_coordinates_stand_side_by_side():
    pixels = np.full((8, 10), 1.0, dtype=np.float32)
    data = written(*(image(data=n * pixels, kind=fits.ImageHDU, name=f"CHIP{n}.INT1") for n in (1, 2, 3)))
    what, made = found(data)
    assert "side by side" in what.notes[0]
    assert made.canvas.shape == (8, 32)
    assert made.canvas[4, [5, 16, 27]].tolist() == [1.0, 2.0, 3.0]
    many = [image(data=n * pixels, kind=fits.ImageHDU, name=f"CCD{n}") for n in range(9)]
    assert found(written(*many))[1].canvas[[4, 4, 13, 22], [5, 16, 5, 27]].tolist() == [0.0, 1.0, 3.0, 8.0]


def test_chips_of_different_gains_are_shown_in_electrons():
    def chip(number, gain, unit="adu"):
        cards = {"CDELT1": -1 / 3600, "CDELT2": 1 / 3600, "CRPIX1": -20.0 * number, "BUNIT": unit}
        more = {"HIERARCH ESO DET CHIP NO": number, "HIERARCH ESO DET OUT1 CONAD": gain}
        return image(WCS | cards | more, np.full((10, 20), 100.0 / gain, dtype=np.float32), fits.ImageHDU)

    what, made = found(written(chip(1, 2.0), chip(2, 2.5)))
    assert made.canvas == pytest.approx(100.0)
    assert what.caption.unit == "electron"
    assert "electrons" in what.notes[0]
    for same in ((chip(1, 2.0), chip(2, 2.0)), (chip(1, 2.0, "electron/s"), chip(2, 2.5, "electron/s"))):
        what, made = found(written(*same))
        assert set(made.canvas[0].tolist()) >= {50.0}
        assert what.notes == ()


def test_the_curves_of_a_table():
    wave = np.linspace(1.0, 2.0, 30)
    names = np.array(["x"] * 30)
    data = written(image(), table(WAVELENGTH=wave, NAME=names, TOTAL=wave**2, Count=np.arange(30, dtype=np.int32)))
    curves = found(data, "throughput")
    assert curves.x.label == "wavelength (um)"
    assert [column.name for column in curves.columns] == ["total", "Count"]
    assert curves.columns[0].values == pytest.approx(wave**2)
    assert isinstance(found(written(table(WAVELENGTH=wave, TOTAL=wave))), Curves)  # nothing else to draw


def test_orders_are_drawn_one_behind_the_other_with_the_gaps_between_chips():
    hdus = []
    for order, low in ((24, 2.0), (23, 2.1)):
        wave = np.linspace(low, low + 0.1, 8)
        chip = np.array([1, 1, 1, 0, 0, 2, 2, 2], dtype=np.int32)
        hdu = table("SNR", WAVELENGTH=wave, CHIP=chip, SNR=wave * order)
        hdu.header["EXTVER"] = order
        hdus.append(hdu)
    data = written(image(), *hdus)
    curves = found(data, "SNR")
    assert [column.name for column in curves.columns] == ["snr"]
    values, wave = curves.columns[0].values, curves.x.values
    assert np.flatnonzero(np.isnan(values)).tolist() == [3, 7, 11]
    assert (np.isnan(values) == np.isnan(wave)).all()
    assert np.nanmax(wave) == pytest.approx(2.2)
    assert values[:3] == pytest.approx(wave[:3] * 24)
    assert values[-3:] == pytest.approx(wave[-3:] * 23)
    assert found(data, "SNR,23").x.values[0] == pytest.approx(2.1)
    for draw in (preview.png, lambda *a, **k: preview.text(*a, 80, 24, **k)):
        draw(data, io.BytesIO(), extension="SNR")


def test_profiles_on_several_chips_share_their_places():
    angle = np.tile(np.linspace(-1.0, 1.0, 5), 2)
    curves = found(written(image(), table("PSF", ANGLE=angle, CHIP=np.repeat([1, 2], 5), PSF=np.arange(10.0))), "PSF")
    assert curves.x.values[[0, 4, 6, 10]].tolist() == [-1.0, 1.0, -1.0, 1.0]
    assert np.isnan(curves.x.values[5])


def test_a_spectrum_in_one_row_is_a_curve_too():
    wave = np.linspace(1.0, 2.0, 30)
    columns = [fits.Column("WAVE", "30D", "nm", array=wave[None]), fits.Column("FLUX", "30E", array=wave[None] * 2)]
    curves = found(written(fits.BinTableHDU.from_columns(columns)))
    assert curves.columns[0].values == pytest.approx(2 * wave)


def test_an_encircled_energy_is_drawn_against_the_sky():
    columns = [
        fits.Column("DIAMETER", "D", "pixel", array=np.arange(1.0, 9.0)),
        fits.Column("RADIUS", "D", "arcsec", array=0.002 * np.arange(1.0, 9.0)),
        fits.Column("ENCIRCLED", "D", array=np.arange(8.0) / 8),
    ]
    curves = found(written(fits.BinTableHDU.from_columns(columns)))
    assert curves.x.label == "radius (arcsec)"
    assert [column.name for column in curves.columns] == ["encircled"]


def test_values_that_cannot_be_drawn_are_gaps():
    values = np.array([1.0, np.nan, np.inf, 1e300, 1e-300])
    curves = found(written(table(WAVELENGTH=np.arange(5.0), F=values)))
    assert np.isnan(curves.columns[0].values).tolist() == [False, True, True, True, False]
    assert curves.columns[0].values[4] == 0.0


@pytest.mark.parametrize(
    ("columns", "reason"),
    [
        ({"NAME": ["a", "b"], "VALUE": ["c", "d"]}, "two columns"),
        ({"X": [1.0, 2.0], "NAME": ["c", "d"]}, "two columns"),
        ({"X": [1.0, 3.0, 2.0], "Y": [1.0, 3.0, 2.0]}, "back and forth"),
        ({"X": np.zeros(0), "Y": np.zeros(0)}, "two columns"),
    ],
)
def test_tables_that_are_no_curves(columns, reason):
    data = written(image(), table("T", **columns))
    with pytest.raises(RequestError, match=reason):
        found(data, "T")


def test_strange_words_in_a_header_do_no_harm():
    hdu = image({"OBJECT": "a" * 60, "INSTRUME": "x", "EXPTIME": "long", "FILTER": 7, "BUNIT": 3.5})
    hdu.header["HIERARCH ESO DET NDIT"] = "many"
    data = written(hdu)
    out = io.BytesIO()
    preview.text(data, out, 80, 24)
    preview.png(data, io.BytesIO())
    with pytest.raises(RequestError, match="damaged") as caught:
        preview.text(data.replace(b"aaaa", b"\x1b[3m", 1), out, 80, 24)
    assert caught.value.message.isprintable()
    assert b"\x1b" not in out.getvalue()


def _sample():
    linear = {"CDELT1": -1 / 3600, "CDELT2": 1 / 3600}
    pixels = np.random.default_rng(0).integers(0, 60000, (30, 40)).astype(np.uint16)
    wave = np.linspace(1.0, 2.0, 50)
    return written(
        image(WCS | linear | {"HIERARCH ESO DET CHIP NO": 1, "EXTNAME": "A"}, pixels, fits.ImageHDU),
        image(WCS | linear | {"HIERARCH ESO DET CHIP NO": 2, "CRPIX1": 60.0}, pixels.astype(np.float32), fits.ImageHDU),
        table(WAVELENGTH=wave, A=wave, B=wave**2),
    )


def _try(data):
    """Draw all there may be; only errors of the request or the command line may come out."""
    for extension in (None, "THROUGHPUT", "A"):
        with contextlib.suppress(RequestError, UsageError):
            preview.png(data, io.BytesIO(), 64, extension=extension)


def test_truncated_files_are_refused_in_one_line():
    data = _sample()
    for length in [*range(0, len(data), 1171), len(data) - 2880, len(data) - 1]:
        with pytest.raises(RequestError) as caught:
            preview.png(data[:length], io.BytesIO(), 64)
        assert "\n" not in caught.value.message
        _try(data[:length])


def test_a_false_size_does_not_lead_round_for_ever():
    with pytest.raises(RequestError, match=r"negative|begins before"):
        preview.png(
            _sample().replace(b"PCOUNT  =                    0", b"PCOUNT  =                -5000"), io.BytesIO()
        )


def test_a_chip_at_the_end_of_the_world_costs_no_memory():
    out = io.BytesIO()
    preview.png(_sample().replace(b"CRPIX1  =                 60.0", b"CRPIX1  =                 6E15"), out, 64)
    assert out.getvalue()


@pytest.mark.parametrize("seed", range(6))
def test_damaged_files_never_show_a_fault_of_ours(seed):
    rng = np.random.default_rng(seed)
    good = np.frombuffer(_sample(), dtype=np.uint8)
    for _ in range(25):
        data = good.copy()
        for place in rng.integers(0, data.size, rng.integers(1, 30)):
            data[place] ^= 1 << rng.integers(0, 8)
        _try(data.tobytes())


@pytest.mark.parametrize("seed", range(6))
def test_damaged_headers_never_show_a_fault_of_ours(seed):
    rng = np.random.default_rng(100 + seed)
    good = bytearray(_sample())
    values = [i for i in range(0, len(good) - 80, 80) if good[i + 8 : i + 10] == b"= "]
    for _ in range(25):
        data = good.copy()
        for place in rng.choice(values, 3):
            junk = [b"-1", b"0", b"1E300", b"T", b"'x'", b"99999999", b"NaN", b"", b"-1E-300", b"12.5"]
            value = junk[rng.integers(len(junk))]
            data[place + 10 : place + 30] = value.rjust(20)
        _try(bytes(data))


def test_rows_of_orders_are_curves():
    """A row for each order: its number and arrays, the shorter filled by NaN."""
    wave = np.array([[3.0, 2.0, 1.0, 0.5], [6.0, 5.0, 4.0, np.nan]])
    columns = [
        fits.Column("ORDER", "J", array=np.array([2, 1])),
        fits.Column("WAVE", "4D", "nm", array=wave),
        fits.Column("FLUX", "4D", "electron/s", array=10 * wave),
    ]
    curves = found(written(fits.BinTableHDU.from_columns(columns, name="ORDERS")))
    assert curves.x.label == "wave (nm)"
    np.testing.assert_array_equal(curves.x.values, [0.5, 1, 2, 3, np.nan, 4, 5, 6])
    np.testing.assert_array_equal(curves.columns[0].values, [5, 10, 20, 30, np.nan, 40, 50, 60])

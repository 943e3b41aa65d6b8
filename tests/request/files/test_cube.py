"""Data cubes of the user's: every spectral axis, every order of axes, light in images and in spectra, errors."""

import io
import json
import math

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS

from elvis_cli.base.constants import LIGHT, PLANCK
from elvis_cli.errors import RequestError, UsageError
from elvis_cli.instrument import registry
from elvis_cli.light import illumination
from elvis_cli.request import parse
from elvis_cli.request.files import flux_units
from elvis_cli.request.files.cube import read_cube
from elvis_cli.request.payload import pack
from elvis_cli.scene import library

SCALE = 0.004
C = LIGHT / 1e3


def write(path, axis, shape=(6, 4, 5), data=None, order=(1, 2, 3), mirrored=False, **more):
    """Write a cube with a spectral axis (CTYPE, CUNIT, CRVAL, step) and return its pixels (wave, y, x)."""
    values = np.arange(1.0, 1.0 + np.prod(shape)).reshape(shape) if data is None else data
    header = fits.Header()
    sky = (("RA---TAN", "deg", 10.0, SCALE / 3600 * (1 if mirrored else -1)), ("DEC--TAN", "deg", -20.0, SCALE / 3600))
    for n, (kind, unit, start, step) in zip(order, (*sky, axis), strict=True):
        header[f"CTYPE{n}"], header[f"CRVAL{n}"], header[f"CDELT{n}"] = kind, start, step
        header[f"CRPIX{n}"] = 1.0 if kind == axis[0] else 2.0
        if unit:
            header[f"CUNIT{n}"] = unit
    header.update(more)
    places = [3 - n for n in order]  # numpy's axis of x, y, wavelength
    stored = np.moveaxis(values, (2, 1, 0), places)
    fits.writeto(path, stored.astype("f8"), header, overwrite=True)
    return values


def request(mag=15.0, band="K", elvis=None, **target):
    brightness = {"brightnesstype": "mag", "mag": mag, "magband": band, "magsys": "vega"}
    document = registry.load("micado").example()
    document["target"] = {"brightness": brightness, **target}
    return parse.read(json.dumps(document), elvis or {})


def seen(**more):
    made = request(**more)
    setup = registry.load("micado").configure(made)
    return made, setup, illumination.of_target(made, setup)


REST = 2.16612
AXES = [
    (("WAVE", "um", 2.0, 0.001), {}, lambda v: v),
    (("WAVE", "Angstrom", 20000.0, 10.0), {}, lambda v: v * 1e-4),
    (("WAVE", "", 2e-6, 1e-9), {}, lambda v: v * 1e6),
    (("FREQ", "GHz", 140000.0, 10.0), {}, lambda v: C / v),
    (("VRAD", "km/s", -30.0, 10.0), {"RESTFRQ": C * 1e9 / REST}, lambda v: REST / (1 - v / C)),
    (("VRAD", "m/s", 3e4, -1e4), {"RESTWAV": REST * 1e-6}, lambda v: REST / (1 - v / 1e3 / C)),
    (("VOPT", "km/s", -3000.0, 1000.0), {"RESTWAV": REST * 1e-6}, lambda v: REST * (1 + v / C)),
    (("VELO", "km/s", -3000.0, 1000.0), {"RESTFRQ": C * 1e9 / REST}, lambda v: REST * np.sqrt((C + v) / (C - v))),
    (("ENER", "J", 9.6e-20, 1e-22), {}, lambda v: PLANCK * LIGHT / v * 1e6),
]


@pytest.mark.parametrize(
    ("axis", "more", "wavelength"), AXES, ids=[f"{axis[0]} {axis[1]} {axis[3]:g}" for axis, _, _ in AXES]
)
def test_every_spectral_axis(tmp_path, axis, more, wavelength):
    values = write(tmp_path / "cube.fits", axis, **more)
    read = request(elvis={"cube": read_cube(tmp_path / "cube.fits")[0]}).elvis.cube
    wave = np.sort(wavelength(axis[2] + axis[3] * np.arange(6)))
    assert read.wavelength == pytest.approx(wave, rel=2e-8)
    back = np.diff(wavelength(axis[2] + axis[3] * np.arange(2)))[0] < 0
    pixels = np.frombuffer(read.data, "<f4").reshape(read.shape)
    assert pixels / pixels.max() == pytest.approx(values[:: -1 if back else 1] / values.max(), rel=1e-6)
    assert (read.scale, read.absolute) == (pytest.approx(SCALE), False)


def test_wavelengths_in_air(tmp_path):
    """Against wcslib, and H alpha: 6562.80 in air is 6564.61 in vacuum."""
    write(tmp_path / "cube.fits", ("AWAV", "Angstrom", 6562.80, 4000.0))
    found = read_cube(tmp_path / "cube.fits")[0]["wavelength_um"]
    for n, wave in enumerate(found):
        wcs = WCS(naxis=1)
        wcs.wcs.ctype, wcs.wcs.cunit, wcs.wcs.crval = ["AWAV"], ["Angstrom"], [6562.80 + 4000.0 * n]
        wcs.wcs.sptr("WAVE-A2W")
        assert wave == pytest.approx(wcs.wcs.crval[0] * 1e6, rel=2e-6 if n else 2e-7)
    assert found[0] == pytest.approx(0.656461, abs=1e-6)


def test_steps_by_matrix_and_by_logarithm(tmp_path):
    write(tmp_path / "cube.fits", ("WAVE-LOG", "um", 2.0, 0.001))
    assert read_cube(tmp_path / "cube.fits")[0]["wavelength_um"] == pytest.approx(
        2.0 * np.exp(np.arange(6) * 0.001 / 2.0)
    )
    write(tmp_path / "cube.fits", ("WAVE", "nm", 2000.0, 1.0))
    with fits.open(tmp_path / "cube.fits", mode="update") as hdus:
        header = hdus[0].header
        for n in (1, 2, 3):
            header[f"CD{n}_{n}"] = header.pop(f"CDELT{n}")
    assert read_cube(tmp_path / "cube.fits")[0]["wavelength_um"] == pytest.approx(2.0 + np.arange(6) / 1e3)


@pytest.mark.parametrize("order", [(1, 2, 3), (2, 3, 1), (3, 2, 1)])
@pytest.mark.parametrize("mirrored", [False, True])
def test_axes_in_any_order(tmp_path, order, mirrored):
    values = write(tmp_path / "cube.fits", ("WAVE", "um", 2.0, 0.001), order=order, mirrored=mirrored)
    read = request(elvis={"cube": read_cube(tmp_path / "cube.fits")[0]}).elvis.cube
    pixels = np.frombuffer(read.data, "<f4").reshape(read.shape)
    assert pixels / pixels.max() == pytest.approx(values[:, :, :: -1 if mirrored else 1] / values.max(), rel=1e-6)
    assert read.position_angle == pytest.approx(0.0, abs=1e-6)


def test_a_degenerate_axis_and_an_extension(tmp_path):
    values = write(tmp_path / "cube.fits", ("FREQ", "Hz", 1.4e14, 1e10))
    header = fits.getheader(tmp_path / "cube.fits")
    header.update({"CTYPE4": "STOKES", "CRVAL4": 1.0, "CDELT4": 1.0, "CRPIX4": 1.0})
    extension = fits.ImageHDU(values[None], header)
    fits.HDUList([fits.PrimaryHDU(), extension]).writeto(tmp_path / "cube.fits", overwrite=True)
    assert read_cube(tmp_path / "cube.fits")[0]["shape"] == [6, 4, 5]


UNITS = [
    ("10**(-20)*erg/s/cm**2/Angstrom", 1e-19),
    ("W/m2/um", 1.0),
    ("erg/s/cm2/A/arcsec2", 10.0 * SCALE**2),
    ("W m-2 um-1 sr-1", SCALE**2 / 206264.806**2),
    ("Jy/pixel", 1e-26 * LIGHT / 2e-6**2 * 1e-6),
    ("MJy/sr", 1e-20 * LIGHT / 2e-6**2 * 1e-6 * SCALE**2 / 206264.806**2),
    ("mJy/beam", 1e-29 * LIGHT / 2e-6**2 * 1e-6 * SCALE**2 / (math.pi / (4 * math.log(2)) * 0.02 * 0.03)),
    ("ergs/s/cm^2/A", 10.0),
    ("1E-17 erg/s/cm^2/Ang/spaxel", 1e-16),
    ("10^(-16)erg/s/cm^2/Angstroms", 1e-15),
    ("10**(-16) erg /s /cm**2 /angstrom /pixel", 1e-15),
    ("(10^-20 erg/s/cm2/A)", 1e-19),
    ("1.0E-20 ERG/S/CM2/ANGSTROM", 1e-19),
    ("erg.s**(-1).cm**(-2).angstrom**(-1)", 10.0),
    ("erg s^{-1} cm^{-2} A^{-1}", 10.0),
    ("ERGS/CM**2/S/ANGSTROM", 10.0),
    ('erg/(s cm2 A "^2)', 10.0 * SCALE**2),
    ("W/M2/UM", 1.0),
    ("W m^-2 micron^-1", 1.0),
    ("FLAM", 10.0),
    ("FLAM16", 1e-15),
    ("flam17/arcsec^2", 1e-16 * SCALE**2),
    ("PHOTLAM", 1e4 * PLANCK * LIGHT / 2e-6 * 1e4),
    ("photons/s/m2/um", PLANCK * LIGHT / 2e-6),
    ("FNU", 1e-3 * LIGHT / 2e-6**2 * 1e-6),
    ("MJY/SR", 1e-20 * LIGHT / 2e-6**2 * 1e-6 * SCALE**2 / 206264.806**2),
    ("nanomaggies", 3.631e-6 * 1e-26 * LIGHT / 2e-6**2 * 1e-6),
    ("JY/BEAM", 1e-26 * LIGHT / 2e-6**2 * 1e-6 * SCALE**2 / (math.pi / (4 * math.log(2)) * 0.02 * 0.03)),
]


@pytest.mark.parametrize(("unit", "value"), UNITS)
def test_units_of_light_are_absolute(tmp_path, unit, value):
    beam = {"BMAJ": 0.03 / 3600, "BMIN": 0.02 / 3600}
    write(tmp_path / "cube.fits", ("WAVE", "um", 2.0, 1e-9), data=np.ones((2, 3, 3)), BUNIT=unit, **beam)
    block = read_cube(tmp_path / "cube.fits")[0]
    made = request(elvis={"cube": block})
    assert block["absolute"]
    assert np.frombuffer(made.elvis.cube.data, "<f4") == pytest.approx(value, rel=1e-6)
    assert made.target.brightness.flux == pytest.approx(2 * 9 * value * 1e-9, rel=1e-5)
    assert any("as bright as its unit says" in line for line in made.warnings)


def test_a_table_of_beams(tmp_path):
    """CASA's: a beam for each channel, in arcsec."""
    path = tmp_path / "cube.fits"
    write(path, ("WAVE", "um", 2.0, 1e-9), data=np.ones((2, 3, 3)), BUNIT="Jy/beam", CASAMBM=True)
    columns = [
        fits.Column(name, "D", unit=unit, array=values)
        for name, unit, values in (
            ("BMAJ", "arcsec", [0.03, 0.06]),
            ("BMIN", "arcsec", [0.02, 0.02]),
            ("CHAN", None, [0, 1]),
        )
    ]
    with fits.open(path, mode="append") as hdus:
        hdus.append(fits.BinTableHDU.from_columns(columns, name="BEAMS"))
    block, _ = read_cube(path)
    first, second = np.frombuffer(request(elvis={"cube": block}).elvis.cube.data, "<f4").reshape(2, 9)
    area = math.pi / (4 * math.log(2)) * 0.02 * 0.03
    assert first == pytest.approx(1e-26 * LIGHT / 2e-6**2 * 1e-6 * SCALE**2 / area, rel=1e-6)
    assert second == pytest.approx(first / 2, rel=1e-5)


@pytest.mark.parametrize("unit", ["counts", "", "adu/pixel", "ELECTRONS/S", "DN/s", "arbitrary"])
def test_counts_and_no_unit_are_relative_and_it_says_so(tmp_path, unit):
    values = write(tmp_path / "cube.fits", ("WAVE", "um", 2.0, 0.001), BUNIT=unit) * 1e-60
    write(tmp_path / "cube.fits", ("WAVE", "um", 2.0, 0.001), data=values, BUNIT=unit)
    block, notes = read_cube(tmp_path / "cube.fits")
    assert not block["absolute"]
    assert any("is relative" in note and (unit or "no BUNIT") in note for note in notes)
    assert sum(request(elvis={"cube": block}).elvis.cube.total) > 0


@pytest.mark.parametrize(
    "unit",
    ["K", "Jy/beam", "nonsense!", "erg/s/cm2", "mag/arcsec2", "MJY", "erg/s/cm2/A/parsnip", "STMAG", "Lsun", "A"],
)
def test_other_units_are_refused(tmp_path, unit):
    write(tmp_path / "cube.fits", ("WAVE", "um", 2.0, 0.001), BUNIT=unit)
    with pytest.raises(RequestError, match=r"BUNIT|BMAJ") as raised:
        read_cube(tmp_path / "cube.fits")
    assert raised.value.details["found"] == unit


def test_the_unit_may_stand_in_the_first_header(tmp_path):
    write(tmp_path / "cube.fits", ("WAVE", "um", 2.0, 0.001))
    with fits.open(tmp_path / "cube.fits") as hdus:
        header, data = hdus[0].header, hdus[0].data
        primary = fits.PrimaryHDU()
        primary.header["BUNIT"] = "FLAM16"
        fits.HDUList([primary, fits.ImageHDU(data, header, name="FLUX")]).writeto(tmp_path / "two.fits")
    assert read_cube(tmp_path / "two.fits")[0]["absolute"]


def plain(path, cards, shape=(6, 4, 5)):
    """Write a cube with these cards alone."""
    fits.writeto(path, np.arange(1.0, 1.0 + np.prod(shape)).reshape(shape), fits.Header(cards), overwrite=True)
    return path


HSIM = {
    **{"CTYPE1": "RA", "CTYPE2": "DEC", "CUNIT1": "mas", "CUNIT2": "mas", "CDELT1": 4.0, "CDELT2": 4.0},
    **{"CTYPE3": "WAVELENGTH", "CUNIT3": "microns", "CRVAL3": 2.0, "CDELT3": 0.01, "CRPIX3": 1.0},
}
PLAIN = {"PIXSCALE": 0.004, "CUNIT3": "Angstrom", "CRVAL3": 20000.0, "CDELT3": 100.0, "CRPIX3": 1.0}
DEGREES = {**HSIM, "CUNIT1": "degree", "CUNIT2": "deg", "CDELT1": -SCALE / 3600, "CDELT2": SCALE / 3600}
LAMBDA = {**HSIM, "CTYPE3": "lambda", "CUNIT3": "nanometers", "CRVAL3": 2000.0, "CDELT3": 10.0}
ARCSEC = {
    **HSIM,
    "CTYPE1": "LINEAR",
    "CTYPE2": "LINEAR",
    "CUNIT1": "arcsec",
    "CUNIT2": "arcsec",
    "CDELT1": 0.004,
    "CDELT2": 0.004,
}
GUESSED = {**DEGREES, "CTYPE3": "WAVE", "CRVAL3": 20000.0, "CDELT3": 100.0, "CUNIT3": ""}


@pytest.mark.parametrize("cards", [HSIM, PLAIN, DEGREES, LAMBDA, ARCSEC, GUESSED])
def test_headers_without_the_standards_words(tmp_path, cards):
    block, _ = read_cube(plain(tmp_path / "cube.fits", cards))
    assert block["wavelength_um"] == pytest.approx(2.0 + 0.01 * np.arange(6))
    assert block["scale"] == pytest.approx(0.004)
    assert block["position_angle"] == pytest.approx(0.0, abs=1e-9)


def test_an_extension_by_name(tmp_path):
    write(tmp_path / "cube.fits", ("WAVE", "um", 2.0, 0.001))
    with fits.open(tmp_path / "cube.fits") as hdus:
        header, data = hdus[0].header, hdus[0].data
        parts = [fits.ImageHDU(data * k, header, name=name) for k, name in ((1, "FLUX"), (2, "IVAR"), (3, "MODEL"))]
        fits.HDUList([fits.PrimaryHDU(), *parts]).writeto(tmp_path / "many.fits")
    block, notes = read_cube(tmp_path / "many.fits")
    assert any("several images" in note and "MODEL" in note for note in notes)
    model, _ = read_cube(tmp_path / "many.fits[MODEL]")
    assert model["shape"] == block["shape"]
    with pytest.raises(UsageError, match="no extension"):
        read_cube(tmp_path / "many.fits[7]")


def galaxy(lines=((2.10, 0.3, 100.0), (2.25, 0.7, -50.0))):
    """Return wavelengths and a cube over K: blobs at different places with lines on a continuum."""
    wave = np.linspace(1.9, 2.5, 301)
    y, x = np.indices((24, 30)).astype(float)
    cube = np.zeros((301, 24, 30))
    for centre, weight, x0 in lines:
        blob = np.exp(-((x - 15 - x0 / 20) ** 2 + (y - 12) ** 2) / 18)
        cube += blob * (weight + 5 * np.exp(-0.5 * ((wave - centre) / 0.004) ** 2))[:, None, None]
    return wave, cube


def block(wave, cube, **more):
    data = cube.astype("<f4")
    shape = {"data": pack(data.tobytes()), "shape": list(data.shape), "scale": SCALE, "wavelength_um": wave.tolist()}
    return {**shape, **more}


class TestWrong:
    def test_files(self, tmp_path):
        path = tmp_path / "cube.fits"
        cases = [
            (("WAVE", "", 100.0, 0.001), {}, "see its CUNIT"),
            (("VRAD", "km/s", 0.0, 1.0), {}, "RESTFRQ"),
            (("LINEAR", "", 2.1, 0.001), {}, "no spectral axis"),
            (("WAVE", "um", 2.1, 0.001), {"shape": (1, 4, 4)}, "one channel"),
        ]
        for axis, more, said in cases:
            write(path, axis, **more)
            with pytest.raises(RequestError, match=said) as raised:
                read_cube(path)
            assert raised.value.details["pointer"].startswith("/elvis/cube")

    def test_no_place_no_cube_no_file(self, tmp_path):
        path = tmp_path / "cube.fits"
        header = fits.Header({"CTYPE3": "WAVE", "CUNIT3": "um", "CRVAL3": 2.1, "CDELT3": 0.1})
        fits.writeto(path, np.ones((3, 4, 4)), header)
        with pytest.raises(RequestError, match="how large is an element"):
            read_cube(path)
        fits.writeto(path, np.ones((4, 4)), overwrite=True)
        with pytest.raises(RequestError, match="three dimensions"):
            read_cube(path)
        path.write_text("no FITS")
        with pytest.raises(UsageError, match="--cube: cannot read"):
            read_cube(path)
        with pytest.raises(UsageError, match="No such file"):
            read_cube(tmp_path / "none.fits")

    def test_too_large(self, tmp_path, monkeypatch):
        write(tmp_path / "cube.fits", ("WAVE", "um", 2.1, 0.001))
        monkeypatch.setattr("elvis_cli.request.files.cube.MAX_CUBE_ELEMENTS", 100)
        with pytest.raises(RequestError, match="120 elements: cut out or bin"):
            read_cube(tmp_path / "cube.fits")

    @pytest.mark.parametrize(
        ("change", "pointer"),
        [
            ({"wavelength_um": [2.0, 2.1]}, "/elvis/cube/wavelength_um"),
            ({"wavelength_um": [2.0, 2.2, 2.1]}, "/elvis/cube/wavelength_um"),
            ({"shape": [3, 4, 5]}, "/elvis/cube/data"),
            ({"shape": [3, 100000, 100000]}, "/elvis/cube/shape"),
            ({"data": pack(np.full((3, 4, 4), np.nan, "<f4").tobytes())}, "/elvis/cube/data"),
            ({"data": pack(np.zeros((3, 4, 4), "<f4").tobytes())}, "/elvis/cube/data"),
            ({"wavelength_um": None}, "/elvis/cube/wavelength_um"),
        ],
    )
    def test_blocks(self, change, pointer):
        good = block(np.array([2.0, 2.1, 2.2]), np.ones((3, 4, 4)))
        with pytest.raises(RequestError) as raised:
            request(elvis={"cube": {**good, **change}})
        assert raised.value.details["pointer"] == pointer

    def test_gaps_hold_no_light_and_noise_belongs_to_the_sum(self):
        wave, cube = galaxy()
        total = cube[6].sum() - cube[6, 0, :3].sum() - 3.0
        cube[5, 0, :7] = np.nan
        cube[6, 0, :3] = -1.0
        made = request(elvis={"cube": block(wave, cube)})
        assert "/elvis/cube/data: 7 elements that are not finite hold no data: no light" in made.warnings
        assert any("3 negative elements belong to the sum" in note for note in made.warnings)
        assert made.elvis.cube.total[6] == pytest.approx(total, rel=1e-5)

    def test_more_below_zero_than_above(self):
        wave, cube = galaxy()
        with pytest.raises(RequestError, match="is not positive"):
            request(elvis={"cube": block(wave, cube - cube.max())})

    def test_a_band_that_it_does_not_cover(self):
        wave, cube = galaxy()
        with pytest.raises(RequestError, match="band J needs"):
            seen(band="J", elvis={"cube": block(wave, cube)})

    def test_beside_another_scene(self):
        wave, cube = galaxy()
        made = request(elvis={"cube": block(wave, cube), "scene": {"name": "star-grid"}})
        with pytest.raises(RequestError, match="cannot be combined with /elvis/scene"):
            library.components(made)


def test_it_travels_in_the_file(tmp_path, elvis, micado):
    wave, cube = galaxy()
    step = float(wave[1] - wave[0])
    write(tmp_path / "cube.fits", ("WAVE", "um", float(wave[0]), step), data=cube)
    window = ("--window", "2008,2008,80,80", "--product", "expected")
    first = elvis(*window, "--cube", str(tmp_path / "cube.fits"), stdin=json.dumps(micado()))
    assert first.code == 0, first.err
    (tmp_path / "cube.fits").unlink()
    assert elvis("replay", stdin=first.out).out == first.out
    with fits.open(io.BytesIO(first.out)) as hdus:
        assert hdus[0].header["OBJECT"] == "cube"
        sky = hdus[0].header["ESO SIM SKY RATE"]
        assert hdus["TRUTH"].data["NAME"].tolist() == ["cube"]
        target = hdus["TRUTH"].data["ELECTRONS"][0] / hdus[0].header["ESO DET DIT"]
        # most of the light of the sources is within 0.16 arcsec
        assert 0.6 < float(np.sum(hdus[1].data - sky)) / target < 1.0


def test_units_of_flux_in_any_spelling():
    wave = np.array([2.2])
    jansky = 1e-26 * 299792458.0 / 2.2e-6**2 * 1e-6  # W/m2/um
    for text, value in {
        "E-17 erg/s/cm2/A": 1e-16,
        "1E-17 erg/s/cm^2/Ang/fiber": 1e-16,
        "erg s⁻¹ cm⁻² Å⁻¹": 10.0,
        "$erg s^{-1} cm^{-2} \\AA^{-1}$": 10.0,
        "µJy": 1e-6 * jansky,
        "microJansky": 1e-6 * jansky,
        "milliJy": 1e-3 * jansky,
        "janskys": jansky,
        "MJy/str": 1e6 * jansky * (0.012 / 206264.80625) ** 2,
    }.items():
        factor = flux_units.element_factor(text, wave, 0.012, None, "cube.fits", "/elvis/cube/bunit")
        assert factor is not None
        np.testing.assert_allclose(factor, value, rtol=1e-6, err_msg=text)
    for text in ("cps", "Relative flux", "normalized flux", "arbitrary units"):
        assert flux_units.element_factor(text, wave, 0.012, None, "cube.fits", "/elvis/cube/bunit") is None
    for text in ("log erg/s/cm2/A", "TJy", "Flux", "MJY"):
        with pytest.raises(RequestError, match="BUNIT"):
            flux_units.element_factor(text, wave, 0.012, None, "cube.fits", "/elvis/cube/bunit")

"""What a frame of spectra tells: slit, wavelengths, the focal plane, and a map of them."""

from __future__ import annotations

import json
import shutil
import subprocess
from io import BytesIO

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS

from elvis_cli import pipeline
from elvis_cli.instrument import registry
from elvis_cli.product.spectrograph_cards import TECHNIQUES, cards
from elvis_cli.request import parse

SLIT = {"kind": "slit", "width": (1.0, "arcsec"), "length": (40.0, "arcsec")}


@pytest.fixture
def written(bench, elvis):
    """Return the HDUs of a spectrum of the bench."""

    def make(*argv, kind="slit", aperture=SLIT, **more):
        result = elvis(*argv, stdin=json.dumps(bench(kind=kind, aperture=aperture, **more)))
        assert result.code == 0, result.err
        return fits.open(BytesIO(result.out))

    return make


def test_the_header_tells_slit_and_wavelengths(written):
    top = written()[0].header
    assert (top["WAVELMIN"], top["WAVELMAX"], top["SPECSYS"]) == (600.0, 660.0, "TOPOCENT")
    assert (top["ESO INS SLIT1 WID"], top["ESO INS SLIT1 LEN"]) == (1.0, 40.0)
    assert top["ESO TPL ID"] == "BENCH_spec_obs"
    # 4 pixels of 0.15 nm
    assert top["SPEC_RES"] == pytest.approx(630.0 / (4 * 0.15), rel=1e-3)


def test_the_resolving_power_is_that_of_the_slits_image(written):
    wide = written(aperture={**SLIT, "width": (2.0, "arcsec")})[0].header["SPEC_RES"]
    blurred = written(aperture={**SLIT, "width": (0.01, "arcsec")}, blur=(8.0, "pixel"))[0].header["SPEC_RES"]
    assert wide == pytest.approx(630.0 / (8 * 0.15), rel=1e-3)
    assert blurred == pytest.approx(wide, rel=1e-3)


@pytest.mark.parametrize("kind", ["slit", "ifu", "echelle", "mos"])
def test_the_technique_follows_from_the_kind(written, kind):
    top = written(kind=kind)[0].header
    assert top["ESO DPR TECH"] == TECHNIQUES[kind]
    assert ("ESO INS SLIT1 WID" in top) == (kind in ("slit", "echelle"))


def test_an_image_tells_nothing_of_spectra(bench, elvis):
    result = elvis("--wavemap", stdin=json.dumps(bench()))
    assert "/elvis/wavemap: not used" in result.err
    with fits.open(BytesIO(result.out)) as hdus:
        assert not {"WAVELMIN", "SPEC_RES", "SPECSYS"} & set(hdus[0].header)
        assert hdus["CHIP1"].header["CTYPE1"] == "RA---TAN"
        assert "WAVE" not in [hdu.name for hdu in hdus]


def test_the_wcs_is_that_of_the_focal_plane(written):
    header = written("--window=100,40,64,48")["CHIP1"].header
    assert (header["CTYPE1"], header["CUNIT1"]) == ("FOCALX", "mm")
    x, y = WCS(header).pixel_to_world_values(3.0, 5.0)
    assert x == pytest.approx((103 - 255.5) * 0.015)
    assert y == pytest.approx((45 - 127.5) * 0.015)


@pytest.mark.parametrize(("argv", "there"), [([], False), (["--wavemap"], True), (["--product=expected"], True),
                                             (["--product=expected", "--no-wavemap"], False)])  # fmt: skip
def test_the_map_is_there_when_it_is_wanted(written, argv, there):
    assert ("WAVE" in [hdu.name for hdu in written(*argv)]) == there


def test_the_map_tells_the_wavelength_of_every_pixel(written):
    hdus = written("--wavemap", "--window=100,40,64,48")
    wave, order, aperture = (hdus[name] for name in ("WAVE", "ORDER", "APERTURE"))
    assert wave.header["BUNIT"] == "um"
    assert wave.header["EXTVER"] == 1
    assert wave.header["CRPIX1"] == hdus["CHIP1"].header["CRPIX1"]
    expected = 0.63 + 0.03 * (np.arange(100, 164) - 255.5) * 0.015 / 3.0
    lit = order.data == 1
    assert wave.data[lit] == pytest.approx(np.broadcast_to(expected, lit.shape)[lit], abs=0.05 * 1.5e-4)
    assert np.array_equal(aperture.data == 1, lit)
    assert lit[:, 0].sum() == 40  # the slit begins 80 pixels below the middle


def test_position_and_slices_give_back_the_place_of_a_star(bench, elvis):
    """Each lit pixel has a place on the sky: the light's centre is the star, seen by slices across the field."""
    count, angle = 6, 90.0
    traces = [
        bench.trace((0.60, 0.66), [[0.05 * n], [3.0]], [[-1.2 + 0.42 * n, 0.03]], aperture=n) for n in range(count)
    ]
    aperture = {"kind": "slices", "width": (0.5, "arcsec"), "length": (10.0, "arcsec"), "count": (count, "1"),
                "angle": (angle, "deg")}  # fmt: skip
    block = {"elvis/offset": [0.4, -0.7], "elvis/pointing": {"ra": 80.0, "dec": -30.0, "position_angle": 40.0}}
    document = bench(block, kind="ifu", aperture=aperture, traces=traces)
    result = elvis("--wavemap", "--product=expected", "--only=stars", stdin=json.dumps(document))
    assert result.code == 0, result.err
    with fits.open(BytesIO(result.out)) as hdus:
        light, number, position = (hdus[name].data for name in ("CHIP1", "APERTURE", "POSITION"))
        table, header = hdus["SLICES"].data, hdus["POSITION"].header
    assert (header["BUNIT"], header["EXTVER"]) == ("arcsec", 1)
    assert table["APERTURE"].tolist() == list(range(1, count + 1))
    assert table["WIDTH"] == pytest.approx(0.5)
    assert table["POSANG"] == pytest.approx(40.0 - angle)
    lit = number > 0
    assert np.array_equal(np.isfinite(position), lit)
    row, across = table[number[lit] - 1], light[lit] / light[lit].sum()
    sin, cos = np.sin(np.radians(row["ANGLE"])), np.cos(np.radians(row["ANGLE"]))
    along = position[lit] - row["OFFSET"]
    x, y = (row["X"] + along * sin) @ across, (row["Y"] + along * cos) @ across
    # a slice does not say where across it the light was
    assert np.hypot(x - 0.4, y + 0.7) < 0.03


def test_fitsverify_finds_nothing_to_complain_about(bench, elvis, tmp_path):
    if shutil.which("fitsverify") is None:
        pytest.skip("fitsverify is missing")
    path = tmp_path / "frame.fits"
    document = bench(kind="echelle", aperture=SLIT)
    for argv in (["--wavemap"], ["--calibration=flat"], ["--product=expected"]):
        path.write_bytes(elvis(*argv, stdin=json.dumps(document)).out)
        run = subprocess.run(["fitsverify", path], capture_output=True, text=True, check=False)
        assert "0 warning(s) and 0 error(s)" in run.stdout


def test_no_note_warns_of_the_sky_s_resolution_where_it_has_its_lines():
    document = registry.load("eris").example("ifs_ngs")
    document["instrument"]["INS.BAND.NAME"] = "J_short"
    ready = pipeline.prepare(parse.read(json.dumps(document)))
    assert {key: value for key, value, _ in cards(ready.setup)}["SPEC_RES"] > 6000
    assert not any("R = 6000" in note for note in ready.notes)

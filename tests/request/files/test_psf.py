"""Files of point-spread functions as other programs write them: fields, wavelengths, scales, and other pictures."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits
from numpy.typing import NDArray

from elvis_cli.errors import RequestError, UsageError
from elvis_cli.model.elvis_block import PsfCube
from elvis_cli.optics import user_psf
from elvis_cli.request import payload
from elvis_cli.request.files.psf import read_psf


def gaussian(fwhm: float, size: int = 65) -> NDArray[np.float32]:
    y, x = np.indices((size, size)) - size // 2
    image = np.exp(-4 * np.log(2) * (x**2 + y**2) / fwhm**2)
    return np.asarray(image / image.sum(), np.float32)


def hdu(data: Any, name: str = "", primary: bool = False, **cards: Any) -> Any:
    image = fits.PrimaryHDU(data) if primary else fits.ImageHDU(data, name=name or None)
    image.header.update(cards)
    return image


def read(path: Path, *hdus: Any) -> tuple[PsfCube, list[str]]:
    fits.HDUList(list(hdus)).writeto(path, overwrite=True)
    block, notes = read_psf(path)
    return payload.psf(json.loads(json.dumps(block))), notes


CUBE = np.stack([gaussian(3.0), gaussian(4.0), gaussian(5.0)])


@pytest.mark.parametrize(
    "cards",
    [
        {"WAVELN00": 1.9e-6, "WAVELN01": 2.15e-6, "WAVELN02": 2.4e-6},
        {"WVLN0000": 1.9, "WVLN0001": 2.15, "WVLN0002": 2.4},
        {"WAVE1": 1900.0, "WAVE2": 2150.0, "WAVE3": 2400.0},
        {"WAVE0": 19000.0, "WAVE1": 21500.0, "WAVE2": 24000.0, "WAVEUNIT": "Angstrom"},
        {"WAVELEN": "1.9, 2.15, 2.4"},
        {"CTYPE3": "WAVE", "CRVAL3": 1.9, "CDELT3": 0.25, "CUNIT3": "micron"},
    ],
)
def test_wavelengths_of_a_cube(tmp_path: Path, cards: dict[str, Any]) -> None:
    psf, _ = read(tmp_path / "p.fits", hdu(CUBE, primary=True, PIXELSCL=0.004, **cards))
    assert psf.wavelength == pytest.approx([1.9, 2.15, 2.4])
    assert (psf.scale, psf.name) == (0.004, "p.fits")
    np.testing.assert_array_equal(user_psf.planes(psf)[2], CUBE[2])


@pytest.mark.parametrize(
    ("cards", "wave"),
    [
        ({"WAVELEN": 2.12e-6}, 2.12),
        ({"WAVELEN": 2.12e-6, "WAVE0": 2.0e-6, "WAVE1": 2.2e-6, "NWAVES": 2}, 2.12),
        ({"WAVE0": 2.2, "WAVEUNIT": "um"}, 2.2),
        ({"CWAVE": (2200.0, "[nm] centre")}, 2.2),
        ({"WAVELENG": "2200"}, 2.2),
    ],
)
def test_the_wavelength_of_one_image(tmp_path: Path, cards: dict[str, Any], wave: float) -> None:
    psf, _ = read(tmp_path / "p.fits", hdu(gaussian(4.0), primary=True, PIXELSCL=0.004, **cards))
    assert psf.wavelength == pytest.approx([wave])


@pytest.mark.parametrize(
    ("cards", "noted"),
    [
        ({"CDELT1": 0.004, "CDELT2": 0.004}, True),
        ({"CDELT1": 0.004 / 3600, "CDELT2": 0.004 / 3600}, True),
        ({"CDELT1": 0.004, "CUNIT1": "arcsec"}, False),
        ({"CDELT1": 4.0, "CUNIT1": "mas"}, False),
        ({"PIXSCALE": (4.0, "[mas] per pixel")}, False),
        ({"CD1_1": -0.004 / 3600, "CD2_2": 0.004 / 3600, "CUNIT1": "deg"}, False),
    ],
)
def test_the_scale(tmp_path: Path, cards: dict[str, Any], noted: bool) -> None:
    psf, notes = read(tmp_path / "p.fits", hdu(gaussian(4.0), primary=True, **cards))
    assert psf.scale == pytest.approx(0.004)
    assert any("no CUNIT1" in note for note in notes) == noted


def test_extensions_of_stpsf(tmp_path: Path) -> None:
    """The oversampled image with distortion is taken, not a stack of four versions of one PSF."""
    kinds = {"OVERSAMP": (gaussian(12.0), 0.001), "DET_SAMP": (gaussian(3.0, 17), 0.004)}
    kinds |= {"OVERDIST": (gaussian(13.0), 0.001), "DET_DIST": (gaussian(3.2, 17), 0.004)}
    hdus = [hdu(data, name, PIXELSCL=scale, WAVELEN=2.0e-6) for name, (data, scale) in kinds.items()]
    psf, notes = read(tmp_path / "p.fits", fits.PrimaryHDU(), *hdus)
    np.testing.assert_array_equal(user_psf.planes(psf)[0], gaussian(13.0))
    assert psf.scale == 0.001
    assert psf.wavelength == pytest.approx((2.0,))
    assert any("OVERDIST is taken" in note for note in notes)
    block, _ = read_psf(tmp_path / "p.fits[DET_SAMP]")
    assert block["shape"] == [1, 17, 17]
    with pytest.raises(UsageError, match="no extension"):
        read_psf(tmp_path / "p.fits[9]")


NARROW, WIDE = gaussian(3.0), gaussian(9.0)


def catalogue(kind: str) -> Any:
    """Return a map or a table: the second PSF holds at the right, x > 0.25 arcsec."""
    if kind == "map":
        data = np.tile((np.arange(33) - 16 > 0).astype("f4"), (33, 1))
        return hdu(
            data, CATTYPE="image", CDELT1=0.5, CDELT2=0.5, CUNIT1="arcsec", CUNIT2="arcsec", CRPIX1=17, CRPIX2=17
        )
    x, unit = np.array([-0.25, 0.75]), None
    if kind == "deg":
        x, unit = x / 3600, "deg"
    columns = [("x", "D", x, unit), ("y", "D", np.zeros(2), unit), ("layer", "J", np.arange(2), None)]
    return fits.BinTableHDU.from_columns([fits.Column(name, form, unit=u, array=v) for name, form, v, u in columns])


@pytest.mark.parametrize("kind", ["map", "table", "deg"])
@pytest.mark.parametrize("layout", ["wavelengths", "places"])
@pytest.mark.parametrize("cards", [{"ECAT": 1, "EDATA": 2}, {}])
def test_psfs_over_the_field(tmp_path: Path, kind: str, layout: str, cards: dict[str, int]) -> None:
    """ScopeSim's and AnisoCADO's: an extension a wavelength with a plane a place, or the other way round."""
    images = np.array([[NARROW, gaussian(4.0)], [WIDE, gaussian(12.0)]])  # place, wavelength
    common = {"PIXELSCL": 0.004, "WAVEUNIT": "um"}
    if layout == "wavelengths":
        data = [hdu(images[:, n], WAVE0=wave, **common) for n, wave in enumerate((1.65, 2.15))]
    else:
        data = [hdu(plane, WAVELN00=1.65, WAVELN01=2.15, **common) for plane in images]
    psf, notes = read(tmp_path / "p.fits", hdu(None, primary=True, **cards), catalogue(kind), *data)
    assert psf.wavelength == (1.65, 2.15)
    np.testing.assert_array_equal(user_psf.planes(psf).reshape(images.shape), images)
    at = np.array([[0.0, 0.0], [0.6, 0.1], [-5.0, 2.0], [7.0, -7.0]])
    assert user_psf.nearest(psf, at).tolist() == [0, 1, 0, 1]
    assert any("2 PSFs over the field" in note for note in notes)


def test_places_of_tiptop(tmp_path: Path) -> None:
    cards = {"CCX0000": 0.0, "CCY0000": 0.0, "CCX0001": 10.0, "CCY0001": 5.0}
    image = hdu(np.array([[NARROW, WIDE]]), WL_NM="2200", PIX_MAS="4", **cards)
    psf, _ = read(tmp_path / "p.fits", fits.PrimaryHDU(), image)
    assert user_psf.nearest(psf, np.array([[1.0, 1.0], [9.0, 4.0]])).tolist() == [0, 1]


@pytest.mark.parametrize(
    ("hdus", "said"),
    [
        ([catalogue("map"), hdu(NARROW, PIXELSCL=0.004, WAVE0=2.0)], "names 2 PSFs"),
        ([hdu(NARROW, PIXELSCL=0.004), hdu(WIDE, PIXELSCL=0.004)], "which one"),
        ([hdu(NARROW, PIXELSCL=0.004, WAVE0=2.0), hdu(WIDE, PIXELSCL=0.004, WAVE0=2.0)], "one wavelength"),
        ([hdu(NARROW, PIXELSCL=0.004, WAVE0=2.0), hdu(WIDE, PIXELSCL=0.002, WAVE0=2.2)], "differ"),
        ([hdu(NARROW, PIXELSCL=0.004, WAVE0=2.0), hdu(gaussian(3.0, 33), PIXELSCL=0.004, WAVE0=2.2)], "differ in size"),
        ([hdu(NARROW, PIXELSCL=0.004, WAVELEN="K")], "not a number"),
        ([hdu(NARROW, PIXELSCL=0.004, WAVELEN=21500.0)], "nm or Angstrom"),
    ],
)
def test_files_that_contradict_themselves(tmp_path: Path, hdus: list[Any], said: str) -> None:
    fits.HDUList([fits.PrimaryHDU(), *hdus]).writeto(tmp_path / "p.fits")
    with pytest.raises(RequestError, match=said):
        read_psf(tmp_path / "p.fits")


WINDOW = ("--window", "1984,1984,128,128", "--product", "expected")
STEP = np.tile((np.arange(65) > 32).astype("f4"), (65, 1))


@pytest.mark.parametrize(
    ("image", "scale"),
    [
        (STEP, 0.004),  # a map
        (np.ones((65, 65), "f4"), 0.004),
        (gaussian(5.0) + np.float32(0.01), 0.004),  # a star on a bright sky
        (gaussian(5.0), 0.5),  # elements of another instrument
        (gaussian(5.0), 0.004 / 3600),  # deg
        (np.random.default_rng(1).random((65, 65)).astype("f4"), 0.004),
    ],
)
def test_a_picture_of_something_else_is_refused(
    tmp_path: Path, elvis: Any, micado: Any, image: Any, scale: float
) -> None:
    hdu(image, primary=True, PIXSCALE=scale).writeto(tmp_path / "p.fits")
    result = elvis(*WINDOW, "--psf", str(tmp_path / "p.fits"), stdin=json.dumps(micado()))
    assert result.code == 65, result.err
    assert "/elvis/psf" in result.err


def test_a_star_that_is_not_on_the_frame_is_refused(tmp_path: Path, elvis: Any, micado: Any) -> None:
    hdu(gaussian(60.0, 257), primary=True, PIXSCALE=0.04).writeto(tmp_path / "p.fits")
    result = elvis(*WINDOW, "--psf", str(tmp_path / "p.fits"), stdin=json.dumps(micado()))
    assert result.code == 65, result.err
    assert "of the light of a star is within 128 pixels" in result.err


def test_stars_have_the_psf_of_their_place(tmp_path: Path, elvis: Any, micado: Any) -> None:
    """Few and many stars; the name of the file is in the header, and a replay needs no file."""
    path = tmp_path / "field.fits"
    data = hdu(np.array([NARROW, WIDE]), WAVE0=2.15, PIXELSCL=0.004)
    fits.HDUList([hdu(None, primary=True, ECAT=1, EDATA=2), catalogue("map"), data]).writeto(path)
    for more in (0, 12):
        stars = {"x": [-0.1, 0.9] + [-0.3] * more, "y": [0.0] * (2 + more), "mag": [20.0] * 2 + [28.0] * more}
        window = {"x0": 1928, "y0": 2016, "nx": 448, "ny": 64}
        document = micado({"elvis": {"catalogue": stars, "product": "expected", "truth": True, "window": window}})
        result = elvis("--psf", str(path), stdin=json.dumps(document))
        assert result.code == 0, result.err
        with fits.open(io.BytesIO(result.out)) as hdus:
            assert hdus[0].header["ESO SIM PSF FILE"] == "field.fits"
            light = hdus[1].data - np.median(hdus[1].data)
            x, y = (np.rint(hdus["TRUTH"].data[name][:2] - 1).astype(int) for name in "XY")
            boxes = [light[b - 12 : b + 13, a - 12 : a + 13] for a, b in zip(x, y, strict=True)]
        assert boxes[0].sum() == pytest.approx(boxes[1].sum(), rel=0.03)
        assert float(boxes[0].max() / boxes[1].max()) > 4.0
    assert elvis("replay", stdin=result.out).out == result.out

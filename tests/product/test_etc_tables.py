"""The series that the ETC's output section asks for are in the file, valid, with units, and nothing else is."""

from __future__ import annotations

import io
import json
import shutil
import subprocess

import numpy as np
import pytest
from astropy.io import fits

WINDOW = {"x0": 1998, "y0": 2000, "nx": 90, "ny": 100}
FLAGS = {
    "throughput": (
        *("atmosphere", "telescope", "instrument", "blaze", "enslittedenergy", "encircledenergy", "fibinj"),
        *("detector", "totalinclsky"),
    ),
    "snr": ("snr", "noise_components"),
    "sed": ("target", "sky"),
    "signals": ("obstarget", "obssky", "obstotal"),
    "maxsignals": ("maxpixeltarget", "maxpixelsky", "maxpixeltotal"),
    "dispersion": ("dispersion",),
    "psf": ("psf",),
}
"""As the forms for ETC versions 115 to 118 send them."""
ALL = {group: dict.fromkeys(flags, True) for group, flags in FLAGS.items()}
NAMES = ["THROUGHPUT", "SED", "SIGNALS", "MAXSIGNALS", "NOISE_COMPONENTS", "PSF", "PSF_ENCIRCLED", "SNR", "SNR_MAP"]


def extensions(data: bytes) -> dict[str, fits.hdu.base.ExtensionHDU]:
    with fits.open(io.BytesIO(data), checksum=True) as hdus:
        return {hdu.name: hdu.copy() for hdu in hdus[1:]}


def test_all_of_them(micado, render, tmp_path):
    path = tmp_path / "all.fits"
    path.write_bytes(render(micado({"output": ALL, "elvis": {"window": WINDOW, "chips": [5]}})))
    found = extensions(path.read_bytes())
    assert list(found) == ["DET5.IMG", *NAMES, "ELVIS_VALUES", "ELVIS_REQUEST"]
    assert found["SED"].columns["SKY"].unit == "J s-1 m-2 m-1 arcsec-2"
    assert {column.unit for column in found["SIGNALS"].columns} == {"count"}
    assert found["THROUGHPUT"].columns["WAVELENGTH"].unit == "um"
    if shutil.which("fitsverify") is None:
        pytest.skip("fitsverify is missing: install the Debian package fitsverify")
    run = subprocess.run(["fitsverify", path], capture_output=True, text=True, check=False)
    assert "0 warning(s) and 0 error(s)" in run.stdout


@pytest.mark.parametrize(("group", "flag"), [(group, flag) for group, flags in FLAGS.items() for flag in flags])
def test_one_alone(group, flag, micado, render):
    found = extensions(render(micado({"output": {group: {flag: True}}, "elvis": {"window": WINDOW, "chips": [5]}})))
    own = [name for name in found if name in NAMES]
    if flag in ("blaze", "enslittedenergy", "fibinj", "dispersion"):
        assert own == []
    elif group == "snr":
        assert own == (["SNR", "SNR_MAP"] if flag == "snr" else ["NOISE_COMPONENTS"])
    elif group == "psf":
        assert own == ["PSF", "PSF_ENCIRCLED"]
    else:
        assert own == [group.upper()]
        names = set(found[group.upper()].columns.names) - {"WAVELENGTH"}
        assert names == {flag.upper()}


def test_the_header_says_the_same(micado, render):
    data = render(micado({"output": ALL, "timesnr/DET.NDIT": 3, "elvis": {"window": WINDOW, "chips": [5]}}))
    told, header = extensions(data), fits.getheader(io.BytesIO(data))
    signals, best, snr = (told[name].data[0] for name in ("SIGNALS", "MAXSIGNALS", "SNR"))
    assert signals["OBSTARGET"] == pytest.approx(header["ESO SIM TARG ELEC"])
    assert signals["OBSSKY"] == pytest.approx(header["ESO SIM SKY ELEC"] * header["ESO SIM APER NPIX"])
    assert best["MAXPIXELTOTAL"] == pytest.approx(header["ESO SIM PEAK ELEC"])
    assert best["MAXPIXELSKY"] == pytest.approx(header["ESO SIM SKY ELEC"])
    assert snr["SNR"] == pytest.approx(header["ESO SIM SNR"], abs=1e-4)
    assert (snr["COUNT"], snr["NPIX"]) == (3, header["ESO SIM APER NPIX"])
    for name in ("PSF", "PSF_ENCIRCLED"):
        assert told[name].header["ESO SIM IQ STREHL"] == header["ESO SIM IQ STREHL"]
        assert told[name].header["ESO SIM IQ FWHM"] == header["ESO SIM IQ FWHM"]
    curve = told["PSF_ENCIRCLED"].data
    at = np.interp(header["ESO SIM APER DIAM"], curve["DIAMETER"], curve["ENCIRCLED"])
    assert at == pytest.approx(header["ESO SIM APER ENCIRC"], abs=0.03)


def test_the_psf_is_where_and_as_wide_as_it_says(micado, render):
    found = extensions(render(micado({"output": {"psf": {"psf": True}}, "elvis": {"window": WINDOW, "chips": [5]}})))
    image, header = found["PSF"].data.astype(float), found["PSF"].header
    y, x = np.unravel_index(image.argmax(), image.shape)
    assert (x + 1, y + 1) == (header["CRPIX1"], header["CRPIX2"])
    assert image.sum() / header["ESO SIM PSF OVERSAMP"] ** 2 == pytest.approx(1.0, abs=0.1)
    wide = (image[y] > image.max() / 2).sum() * header["CDELT1"]
    assert wide == pytest.approx(header["ESO SIM IQ FWHM"], rel=0.2)  # the pixel widens it


def test_the_map_has_the_frame_s_coordinates(micado, render):
    found = extensions(render(micado({"output": ALL, "elvis": {"window": WINDOW, "chips": [5]}})))
    frame, image = found["DET5.IMG"], found["SNR_MAP"]
    assert image.data.shape == frame.data.shape
    for key in ("CRPIX1", "CRPIX2", "CRVAL1", "CD1_1", "CD2_2", "CTYPE1"):
        assert image.header[key] == frame.header[key]
    assert image.header["EXTVER"] == 5
    peaks = [np.unravel_index(each.argmax(), each.shape) for each in (image.data, frame.data[30:70, 30:70])]
    np.testing.assert_allclose(peaks[0], np.add(peaks[1], 30), atol=1.5)


def test_nothing_asked_nothing_told(micado, render):
    found = extensions(render(micado({"elvis": {"window": WINDOW, "chips": [5]}})))
    assert list(found) == ["DET5.IMG", "ELVIS_VALUES", "ELVIS_REQUEST"]


def test_the_picture_is_that_of_the_frame(micado, elvis):
    """The S/N map lies on the frame and must not be drawn over it."""
    block = {"window": WINDOW, "chips": [5]}
    plain, told = (
        elvis("preview", stdin=elvis(stdin=json.dumps(micado({"output": output, "elvis": block}))).out).out
        for output in ({}, {"snr": {"snr": True}})
    )
    assert plain[:8] == b"\x89PNG\r\n\x1a\n"
    assert told == plain

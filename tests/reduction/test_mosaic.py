"""Two chips and the gap between them in one image, and unmerged."""

import json

import numpy as np
import pytest
from astropy.io import fits
from scipy import ndimage

from elvis_cli.detection import apertures, sources
from elvis_cli.reduction import sdp
from elvis_cli.reduction.grid import wcs_of
from tests.conftest import closure_only, run

RA, DEC, PIXEL = 150.0, -30.0, 0.106 / 3600
DITHERS = ((0, 0), (110, 9), (-105, -7), (60, -4), (-55, 5))
ROWS = {"x0": 0, "y0": 900, "nx": 2048, "ny": 128}


def document(number, offset=(0, 0), calibration=None):
    """A request of two of HAWK-I's chips, which lie side by side: 30 stars of one magnitude in a band across both."""
    request = json.loads(run("example", "hawki").out)
    time, count = (key for key in request["timesnr"] if "DIT" in key)
    request["timesnr"] = {time: 10, count: 6}
    pointing = {"ra": RA + offset[0] * PIXEL / np.cos(np.radians(DEC)), "dec": DEC + offset[1] * PIXEL}
    block = {"window": ROWS, "chips": [1, 2], "date": f"2026-01-01T04:{number:02d}:00", "exposure": number}
    block |= {"pointing": pointing}
    if calibration:
        block["calibration"] = calibration
    else:
        x, y = np.linspace(-2050, 2050, 30) * PIXEL, -839 * PIXEL + np.tile((-20, 20), 15) * PIXEL
        ra, dec = RA + x / np.cos(np.radians(DEC)), DEC + y
        block["catalogue"] = {"ra": ra.tolist(), "dec": dec.tolist(), "mag": [15.0] * 30}
    request["sky"]["almanac"] = {"targetName": "band"}
    return request | {"elvis": block}


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mosaic")
    requests = [document(n, offset) for n, offset in enumerate(DITHERS, 1)]
    requests += [document(n, calibration="dark") for n in (11, 12, 13)]
    requests += [document(n, calibration="flat") for n in (21, 22, 23)]
    for number, request in enumerate(requests):
        (folder / f"{number:02d}.fits").write_bytes(run(stdin=json.dumps(request)).out)
    return [str(path) for path in sorted(folder.glob("*.fits"))]


def reduced(raw, folder, *options):
    result = run("reduce", *raw, "-o", str(folder), *options)
    assert result.code == 0, result.err
    return json.loads(result.out.splitlines()[0])["file"]


@closure_only
def test_chips_make_one_image_without_seams(raw, tmp_path):
    path = reduced(raw, tmp_path, "--mosaic")
    with fits.open(path) as hdus:
        assert sdp.validate(hdus) == []
        assert hdus[0].header["PRODCATG"] == "SCIENCE.IMAGE"
        sci, err, dq = (hdus[name].data.copy() for name in ("SCI", "ERR", "DQ"))
        wcs = wcs_of(hdus["SCI"].header)
    block = document(1)["elvis"]["catalogue"]
    x, y = wcs.all_world2pix(block["ra"], block["dec"], 0)
    sci = np.ascontiguousarray(sci, dtype=np.float32)
    seen = (dq & 32) == 0
    on = (x > 25) & (x < sci.shape[1] - 25)
    whole = ndimage.minimum_filter(seen, size=17)
    on[on] = whole[np.rint(y[on]).astype(int), np.rint(x[on]).astype(int)]
    assert on.sum() >= 26  # those in the gap too: dithers fill it
    away = sources.centre(sci, x[on], y[on], 6.0) - np.stack([x, y], axis=1)[on]
    assert np.abs(away.mean(axis=0)).max() < 0.02
    flux = apertures.measure(sci, err.astype(np.float32), seen, x[on], y[on], 12.0, (18.0, 26.0))
    assert np.std(flux.flux) / np.mean(flux.flux) < 0.01
    rows = slice(sci.shape[0] // 2 - 40, sci.shape[0] // 2 + 40)
    far = np.min(np.abs(np.arange(sci.shape[1])[:, None] - x), axis=1) > 30
    columns = np.arange(sci.shape[1])
    left = np.flatnonzero(columns < 1700)
    gap = np.flatnonzero((columns > sci.shape[1] // 2 - 70) & (columns < sci.shape[1] // 2 + 70))
    right = np.flatnonzero(columns > sci.shape[1] - 1700)
    sky = []
    for all_columns in (left, gap, right):
        part = all_columns[far[all_columns]]
        values = sci[rows][:, part][seen[rows][:, part]]
        sky.append(np.median(values))
    sigma = np.median(err[rows][:, left][seen[rows][:, left]])
    assert np.ptp(sky) < 0.1 * sigma, (sky, sigma)


@closure_only
def test_unmerged_chips_are_extensions(raw, tmp_path):
    path = reduced(raw, tmp_path)
    with fits.open(path) as hdus:
        assert sdp.validate(hdus) == []
        assert hdus[0].header["PRODCATG"] == "SCIENCE.MEFIMAGE"
        assert sum(hdu.header.get("HDUCLAS2") == "DATA" for hdu in hdus) == 2

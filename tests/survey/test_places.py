"""Targets and scenes keep their place on the sky: dithers move them on the detector as they move RA and Dec."""

import base64
import io
import json
import zlib

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS

from elvis_cli.detection import sources
from elvis_cli.errors import RequestError
from elvis_cli.instrument import registry
from elvis_cli.request import parse
from elvis_cli.survey.plan import plan
from tests.conftest import run

POINTING = {"ra": 150.0, "dec": -60.0, "position_angle": 30.0}
DITHERS = [[0.0, 0.0], [0.12, -0.08]]
WINDOW = {"x0": 1968, "y0": 1968, "nx": 160, "ny": 160}
CATALOGUE = {"x": [0.0, 0.1, -0.12], "y": [0.0, 0.08, 0.05], "mag": [15.0, 16.0, 16.0]}
BLOB = np.outer(*2 * (np.exp(-0.5 * ((np.arange(21) - 10) / 1.5) ** 2),)).astype(np.float32)


def planned(block, dithers=DITHERS, pointing=POINTING):
    document = registry.load("micado").example("img_4mas_scao")
    document["target"]["brightness"]["mag"] = 15
    document["elvis"] = {"window": WINDOW, "chips": [5], "product": "expected", "truth": True, **block}
    survey = {"pointings": [pointing], "dithers": dithers}
    return list(plan(json.dumps({"request": document, "survey": survey})))


def brightest(document):
    """Return RA and Dec (deg) of the centroid of the brightest pixel of a frame, and the table TRUTH."""
    result = run(stdin=json.dumps(document))
    assert result.code == 0, result.err
    with fits.open(io.BytesIO(result.out)) as hdus:
        image, wcs, truth = hdus[1].data.astype(float), WCS(hdus[1].header), hdus["TRUTH"].data.copy()
    y, x = np.unravel_index(image.argmax(), image.shape)
    x, y = sources.centre(image - np.median(image), np.array([float(x)]), np.array([float(y)]), 3.0)[0]
    return wcs.all_pix2world(x, y, 0), truth


def image():
    return {"data": base64.b64encode(zlib.compress(BLOB.tobytes())).decode(), "shape": list(BLOB.shape), "scale": 0.002}


def cube():
    data = base64.b64encode(zlib.compress(np.stack([BLOB, BLOB]).tobytes())).decode()
    return {"data": data, "shape": [2, *BLOB.shape], "scale": 0.002, "wavelength_um": [1.9, 2.5]}


@pytest.mark.parametrize(
    "block",
    [
        {},
        {"catalogue": CATALOGUE},
        {"image": image()},
        {"cube": cube()},
        {"scene": {"name": "star-grid", "n": 1, "spacing": 0.1}},
        {"offset": [0.05, 0.03]},
    ],
    ids=lambda block: next(iter(block), "target"),
)
def test_dithers_move_what_is_in_the_sky(block):
    frames = [brightest(document) for document in planned(block)]
    (place, truth), (moved, other) = frames
    pixel = 0.004 / 3600
    assert np.hypot((place[0] - moved[0]) * np.cos(np.radians(60)), place[1] - moved[1]) < 0.1 * pixel
    assert np.hypot(truth["X"] - other["X"], truth["Y"] - other["Y"]) == pytest.approx(0.1442 / 0.004, rel=0.01)
    assert np.allclose(truth["RA"], other["RA"], rtol=0, atol=1e-9)
    assert np.allclose(truth["DEC"], other["DEC"], rtol=0, atol=1e-9)


def test_a_wide_scene_keeps_its_coordinates_exactly():
    """5 arcmin from the pointing a dither at declination -60 turns the field by 0.06 arcsec."""
    document = registry.load("hawki").example("img_noao")
    document["elvis"] = {"chips": [1], "product": "expected", "window": {"x0": 10, "y0": 10, "nx": 64, "ny": 64}}
    document["elvis"]["catalogue"] = {"x": [-200.0], "y": [-210.0], "mag": [15.0]}
    survey = {"pointings": [POINTING], "dithers": [[0, 0], [30, 0]]}
    truths = [
        fits.getdata(io.BytesIO(run(stdin=json.dumps(each)).out), "TRUTH")
        for each in plan(json.dumps({"request": document, "survey": survey}))
    ]
    assert truths[0]["RA"] == pytest.approx(truths[1]["RA"], abs=1e-8)
    assert truths[0]["DEC"] == pytest.approx(truths[1]["DEC"], abs=1e-8)


def test_without_dithers_the_lines_are_as_the_request_says():
    line = planned({"offset": [0.05, 0.03]}, [[0, 0]])[0]
    assert line["elvis"]["offset"] == [0.05, 0.03]
    assert "place" not in line["elvis"]


def test_two_pointings_see_one_place():
    document = registry.load("micado").example("img_4mas_scao")
    document["elvis"] = {"place": {"ra": 150.0, "dec": -60.0}}
    survey = {"pointings": [POINTING, {**POINTING, "dec": -60.001}]}
    requests = [parse.read(json.dumps(each)) for each in plan(json.dumps({"request": document, "survey": survey}))]
    assert requests[0].elvis.offset == pytest.approx((0.0, 0.0), abs=1e-9)
    assert np.hypot(*requests[1].elvis.offset) == pytest.approx(3.6, rel=1e-6)
    assert requests[1].elvis.offset == pytest.approx((3.6 * np.sin(np.pi / 6), 3.6 * np.cos(np.pi / 6)), rel=1e-5)


@pytest.mark.parametrize(
    ("block", "words"),
    [
        ({"place": {"ra": 150.0, "dec": -60.0}}, "needs /elvis/pointing"),
        ({"place": {"ra": 1.0, "dec": 1.0}, "offset": [0, 1], "pointing": POINTING}, "cannot be combined"),
        ({"place": {"ra": 150.0, "dec": 60.0}, "pointing": POINTING}, "more than 10 deg"),
        ({"place": {"ra": 330.0, "dec": 60.0}, "pointing": POINTING}, "more than 10 deg"),
    ],
)
def test_wrong_places_are_refused(block, words):
    document = {**registry.load("micado").example(), "elvis": block}
    with pytest.raises(RequestError, match=words):
        parse.read(json.dumps(document))

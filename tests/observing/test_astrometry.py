"""Where the star is on the detector: as commanded, and as the frame's own WCS says."""

import io
import json
import math

import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.wcs import WCS

from elvis_cli import pipeline
from elvis_cli.request import parse
from tests.setups import target_in_field

SCALE = 0.25  # arcsec, FORS2 binned
WINDOW = {"x0": 903, "y0": 3, "nx": 241, "ny": 241}
PATCH = {
    "target": {"brightness": {"magband": "V", "mag": 12}},
    "elvis": {"window": WINDOW, "chips": [1], "product": "expected"},
}
MOVES = [(0.0, 0.0), (10.0, 0.0), (4.0, -12.0)]


def render(exposure):
    out = io.BytesIO()
    pipeline.render(parse.read(json.dumps(exposure.document)), out)
    out.seek(0)
    with fits.open(out) as hdus:
        return hdus[0].header.copy(), hdus[1].header.copy(), hdus[1].data.copy()


def centroid(image):
    """Return the 0-based centroid of the brightest star, by iterated moments in a circle."""
    y, x = np.mgrid[: image.shape[0], : image.shape[1]]
    light = image - np.median(image)
    cy, cx = np.unravel_index(np.argmax(light), light.shape)
    for _ in range(20):
        inside = np.hypot(x - cx, y - cy) < 12
        weight = light * inside
        cx, cy = (weight * x).sum() / weight.sum(), (weight * y).sum() / weight.sum()
    return np.array([cx, cy])


def field(east, north, angle):
    """Return the motion on the detector (x, y), pixels, of a motion on the sky: +x is West at position angle 0."""
    a = math.radians(angle)
    return np.array([-east * math.cos(a) + north * math.sin(a), east * math.sin(a) + north * math.cos(a)]) / SCALE


def odl(angle, frame, relative, moves=MOVES, turns=(0.0, 0.0, 0.0), **target):
    offsets = [
        {"dx": dx, "dy": dy, "dr": dr, "frame": frame, "relative": relative}
        for (dx, dy), dr in zip(moves, turns, strict=True)
    ]
    return {
        "ObservingBlocks": [
            {
                "type": "Science",
                "target": {"name": "T", "RA": 75.0, "Dec": -30.0, "PA": angle, "rotmode": "pa", **target},
                "pattern": {"name": "test", "offsets": offsets},
                "instconfig": {"instrument": "fors"},
                "detconfig": [{"exptime": 10}],
                "request": PATCH,
            }
        ]
    }


@pytest.mark.parametrize("angle", [0, 37, 90, 200])
@pytest.mark.parametrize("relative", [False, True], ids=["absolute", "relative"])
@pytest.mark.parametrize("frame", ["SkyFrame", "InstrumentFrame"])
def test_a_star_is_where_the_offsets_put_it(plan, angle, relative, frame):
    exposures = plan(odl(angle, frame, relative))
    places = np.cumsum(MOVES, axis=0) if relative else np.array(MOVES)
    sky = SkyCoord(75.0, -30.0, unit="deg")
    first = None
    for exposure, (dx, dy) in zip(exposures, places, strict=True):
        top, header, image = render(exposure)
        measured = centroid(image)
        assert measured == pytest.approx(np.array(WCS(header).world_to_pixel(sky)), abs=0.02)
        first = measured if first is None else first
        # The telescope moves, so the star moves the other way.
        expected = -field(dx, dy, angle) if frame == "SkyFrame" else -np.array([dx, dy]) / SCALE
        assert measured - first == pytest.approx(expected, abs=0.02)
        keys = ("RAOFF", "DECOFF") if frame == "SkyFrame" else ("INSTXOFF", "INSTYOFF")
        assert [top[key] for key in keys] == pytest.approx([dx, dy], abs=1e-5)
        assert top["ESO ADA POSANG"] == pytest.approx((angle + 180) % 360 - 180)
        # the target's, not the pointing's
        assert exposure.document["elvis"]["place"] == {"ra": 75.0, "dec": -30.0}
        assert (top["ESO TEL TARG ALPHA"], top["ESO TEL TARG DELTA"]) == (50000.0, -300000.0)


def test_commanded_and_cumulative_offsets_are_in_the_header(plan):
    exposures = plan(odl(90, "SkyFrame", True))
    cards = [exposure.document["elvis"]["keywords"] for exposure in exposures]
    assert [c["ESO SEQ RELOFFSETA"][0] for c in cards] == [0, 10, 4]
    assert [c["ESO SEQ CUMOFFSETA"][0] for c in cards] == [0, 10, 14]
    assert [c["ESO SEQ CUMOFFSETD"][0] for c in cards] == [0, 0, -12]
    # At position angle 90 the field's +y is East and its +x North.
    assert [c["ESO SEQ CUMOFFSETY"][0] for c in cards] == pytest.approx([0, 10, 14])
    assert [c["ESO SEQ CUMOFFSETX"][0] for c in cards] == pytest.approx([0, 0, -12])


@pytest.mark.parametrize("relative", [False, True])
def test_a_rotation_turns_the_field_about_the_star(plan, relative):
    exposures = plan(odl(10, "SkyFrame", relative, [(0, 0)] * 3, (0, 20, 20)))
    angles = [exposure.document["elvis"]["pointing"]["position_angle"] for exposure in exposures]
    assert angles == pytest.approx([10, 30, 50 if relative else 30])
    assert centroid(render(exposures[0])[2]) == pytest.approx(centroid(render(exposures[2])[2]), abs=0.02)


def test_pixels_of_an_instrument_frame(plan):
    document = odl(37, {"class": "InstrumentFrame", "name": "FORS pixels", "scale": SCALE}, False)
    for offset in document["ObservingBlocks"][0]["pattern"]["offsets"]:
        offset["unit"] = "pixel"
    a, b, _ = (centroid(render(exposure)[2]) for exposure in plan(document))
    assert b - a == pytest.approx([-10, 0], abs=0.02)


def test_offsets_of_the_coordinates_keep_the_star_off_the_centre(plan):
    exposure = plan(odl(0, "SkyFrame", False, RAOffset=5.0, DecOffset=-3.0))[0]
    _, header, image = render(exposure)
    assert centroid(image) == pytest.approx(
        np.array(WCS(header).world_to_pixel(SkyCoord(75, -30, unit="deg"))), abs=0.02
    )
    assert target_in_field(exposure.document) == pytest.approx([5.0, 3.0], abs=1e-4)


def test_near_the_pole_too(plan):
    exposures = plan(odl(37, "SkyFrame", True, RA=10.0, Dec=-89.999))
    sky = SkyCoord(10.0, -89.999, unit="deg")
    for exposure in exposures:
        _, header, image = render(exposure)
        assert centroid(image) == pytest.approx(np.array(WCS(header).world_to_pixel(sky)), abs=0.02)


def test_a_moving_target_moves_between_exposures(plan):
    exposures = plan(odl(0, "SkyFrame", False, [(0, 0)] * 3, dra=10.0, ddec=720.0))
    hours = [(e.start - exposures[0].start).total_seconds() / 3600 for e in exposures]
    assert hours[2] > 0.01
    pointings = [e.document["elvis"]["pointing"] for e in exposures]
    for passed, pointing in zip(hours, pointings, strict=True):
        assert pointing["dec"] - pointings[0]["dec"] == pytest.approx(0.2 * passed, abs=1e-7)
        assert pointing["ra"] - pointings[0]["ra"] == pytest.approx(10 * 15 / 3600 * passed, rel=1e-3, abs=1e-7)
    # The telescope follows it: it stays where it is, and a star of a catalogue moves.
    assert target_in_field(exposures[0].document) == pytest.approx([0, 0], abs=1e-4)


def test_proper_motion_is_made(plan):
    year = 2026.0
    still, moved = (
        plan(odl(0, "SkyFrame", False, PMRA=pm, PMDec=0.0, epoch=year - 20))[0].document["elvis"]["pointing"]
        for pm in (0.0, 0.1)
    )
    east = (moved["ra"] - still["ra"]) * math.cos(math.radians(30)) * 3600
    assert east == pytest.approx(2.0, abs=0.005)
    assert moved["dec"] == pytest.approx(still["dec"], abs=1e-6)


@pytest.mark.parametrize("mode", ["vertical", "stationary"])
def test_the_field_turns_if_the_rotator_asks_for_it(plan, mode):
    document = odl(30, "SkyFrame", False, [(0, 0)] * 3, rotmode=mode)
    document["ObservingBlocks"][0]["detconfig"][0]["exptime"] = 1200
    exposures = plan(document)
    angles = [e.document["elvis"]["pointing"]["position_angle"] for e in exposures]
    assert len(set(angles)) == 3
    if mode == "vertical":
        from datetime import timedelta

        from elvis_cli.observing import ephemeris

        site = pipeline.configure(parse.read(json.dumps(exposures[0].document))).atmosphere.site
        for exposure, angle in zip(exposures, angles, strict=True):
            middle = exposure.start + timedelta(seconds=600)
            parallactic = ephemeris.local_position(75.0, -30.0, middle, site).parallactic
            assert (angle - parallactic) % 360 == pytest.approx(30, abs=0.01)
    else:
        assert abs(angles[0] - 30) < abs(angles[2] - angles[0])

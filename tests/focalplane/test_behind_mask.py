"""Frames behind METIS's vortex: what is left of the star, the sky and companions; the turn of the field; speckles."""

from __future__ import annotations

import io
import json
import math
from typing import Any

import numpy as np
import pytest
from astropy.io import fits

from elvis_cli import pipeline
from elvis_cli.base.arrays import Floats
from elvis_cli.errors import RequestError
from elvis_cli.focalplane.behind_mask import arc_steps
from elvis_cli.request import parse, payload
from elvis_cli.sky.pointing import observe, parallactic_angle

MIDDLE = 1023.5
SIZE = 96
COMPANION = (0.12, 0.16)
"""arcsec, 9.4 lambda / D from the star."""


Stars = tuple[tuple[float, float, float], ...]
"""x, y (arcsec) and magnitude of each."""


def frame(mode: str = "img_lm_ravc", stars: Stars = ((0, 0, 5),), **block: Any) -> Floats:
    """Return a window about the axis, electrons/s unless the product is raw."""
    x, y, mag = zip(*stars, strict=True)
    corner = int(MIDDLE - SIZE / 2 + 0.5)
    document = {
        "instrument": {"name": "metis", "ins_configuration": mode, "INS.FILT1.NAME": "HCI_L_long"},
        "target": {"brightness": {"magband": "L", "mag": 5}},
        "timesnr": {"DET.DIT": 0.2, "DET.NDIT": block.pop("ndit", 150)},
        "elvis": {"product": "expected", "catalogue": {"x": x, "y": y, "mag": mag},
                  "window": {"x0": corner, "y0": corner, "nx": SIZE, "ny": SIZE}, **block},
    }  # fmt: skip
    out = io.BytesIO()
    pipeline.render(parse.read(json.dumps(document)), out)
    out.seek(0)
    with fits.open(out) as file:
        data = next(hdu.data for hdu in file if hdu.data is not None and hdu.data.ndim == 2)
        return np.asarray(data, float)


EMPTY = ((20.0, 0.0, 30.0),)
"""Nothing in the field."""


@pytest.fixture(scope="module")
def sky() -> Floats:
    return frame(stars=EMPTY)


def test_sky_and_star_fall_to_what_stop_and_mask_pass(sky: Floats) -> None:
    """Sky: 0.387 of stop and ring times 0.853 of the vortex, and its glow; star: its leak and its halo."""
    plain = frame("img_lm_scao", stars=EMPTY)
    y, x = np.indices(sky.shape) - (SIZE / 2 - 0.5)
    r = np.hypot(x, y) * 0.00547 / 0.0211  # lambda / D
    far = (r > 14) & (r < 16)  # 0.975 of all light passes (facts of the vortex: 0.964 at 10), 1.232 / r glows
    assert (sky / plain)[far].mean() == pytest.approx(0.387 * 0.853 * (0.975 + 1.232 / 15), rel=0.01)
    near = (r > 4.63) & (r < 5.63)  # 0.917 at 5
    assert (sky / plain)[near].mean() == pytest.approx(0.387 * 0.853 * (0.917 + 0.24), rel=0.02)
    assert (sky / plain)[r < 0.5].mean() < 0.387 * 0.853 * 0.8
    left = (frame() - sky).sum() / (frame("img_lm_scao") - plain).sum()
    assert 0.004 < left < 0.03


def test_companions_are_dimmed_by_the_mask(sky: Floats) -> None:
    """At 9.4 lambda / D 0.95 of the peak passes, at 1 (21 mas) 0.27."""
    far, near = (frame(stars=((0.0, at, 8.0),)).max() - sky.mean() for at in (0.2, 0.0211))
    assert near / far == pytest.approx(0.274 / 0.946, abs=0.04)


def test_the_field_turns_within_an_exposure(sky: Floats) -> None:
    """At the meridian the field turns by 15 deg/h cos(lat) / sin(lat - dec); the middle of the arc is at half of it."""
    pointing = {"ra": 81.5, "dec": -15.0, "position_angle": 0.0}
    long = frame(stars=((*COMPANION, 8.0),), pointing=pointing, date="2026-01-01T04:20:00", ndit=6000) - sky
    y, x = np.indices(long.shape) - (SIZE / 2 - 0.5)
    bright = np.where(long > 0.2 * long.max(), long, 0.0)
    angle = math.degrees(math.atan2(-(bright * x).sum(), (bright * y).sum()))
    start = math.degrees(math.atan2(-COMPANION[0], COMPANION[1]))
    request = parse.read(json.dumps({
        "instrument": {"name": "metis", "ins_configuration": "img_lm_ravc"},
        "timesnr": {"DET.DIT": 0.2, "DET.NDIT": 6000},
        "elvis": {"pointing": pointing, "date": "2026-01-01T04:20:00"}}))  # fmt: skip
    seen = observe(request.elvis, pipeline.configure(request))
    turn = seen.parallactic_end - seen.parallactic
    assert abs(turn) > 5.0
    assert angle == pytest.approx(start - turn / 2, abs=0.5)
    assert long.max() < 0.8 * (frame(stars=((*COMPANION, 8.0),)) - sky).max()


def test_parallactic_angles_of_a_sequence() -> None:
    """HEEPS: 22.87 deg in an hour about the meridian at declination -61, 38.91 at -5 (latitude -24.59)."""
    for dec, hours, expected in ((-61.0, 1.0, 22.870920714712355), (-61.0, 5.0, 104.421408), (-5.0, 1.0, 38.914)):
        turn = parallactic_angle(7.5 * hours, dec, -24.59) - parallactic_angle(-7.5 * hours, dec, -24.59)
        assert abs((turn + 180.0) % 360.0 - 180.0) == pytest.approx(expected, abs=5e-4)


def test_arcs_are_drawn_in_quarter_pixels() -> None:
    """0.5 arcsec and 0.34 deg (30 s at 40.79 deg/h): 2.96 mas."""
    assert math.radians(40.79 / 120) * 0.5 == pytest.approx(2.96e-3, rel=0.01)
    assert arc_steps(0.5, 40.79 / 120, 0.00547) == 3
    assert arc_steps(0.5, 0.0, 0.00547) == 1


def test_speckles_are_those_of_seed_and_exposure() -> None:
    """The same seed gives the same bytes; exposures differ in their speckles alone."""
    raw = {"product": "raw", "only": ["stars"]}
    first, again = frame(seed=1, **raw), frame(seed=1, **raw)
    assert np.array_equal(first, again)
    assert not np.array_equal(first, frame(seed=2, **raw))


def test_a_psf_of_the_user_is_refused() -> None:
    with pytest.raises(RequestError, match="cannot be combined with a coronagraph"):
        frame(psf={"shape": [1, 8, 8], "scale": 0.00547, "data": payload.pack(np.ones(64, "<f4").tobytes())})

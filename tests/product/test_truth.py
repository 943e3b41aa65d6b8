"""The table TRUTH agrees with the header's WCS, with the electrons of the frame, and can be left out."""

import io
import json

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS

from elvis_cli import pipeline
from elvis_cli.instrument import registry
from elvis_cli.product import truth
from elvis_cli.request import parse


def opened(render, micado, elvis, **more):
    return fits.open(io.BytesIO(render(micado({"elvis": elvis, **more}))))


WINDOW = {"x0": 1500, "y0": 1700, "nx": 300, "ny": 260}
POINTING = {"ra": 200.0, "dec": -40.0, "position_angle": 20.0}


@pytest.fixture
def crowd():
    """Return stars in and around the window."""
    x, y = np.random.default_rng(4).uniform(-3, 3, (2, 400))
    return {"x": x.tolist(), "y": y.tolist(), "mag": np.linspace(18, 24, 400).tolist()}


def test_places_agree_with_the_header(render, micado, crowd):
    with opened(render, micado, {"window": WINDOW, "pointing": POINTING, "catalogue": crowd}) as hdus:
        rows, image = hdus[truth.EXTENSION].data, hdus[1]
        wcs = WCS(image.header)
        x, y = wcs.wcs_world2pix(rows["RA"], rows["DEC"], 1)
        assert np.allclose(x, rows["X"], atol=1e-4)
        assert np.allclose(y, rows["Y"], atol=1e-4)
        assert 5 < len(rows) < 400
        assert np.all((rows["X"] >= 0.5) & (rows["X"] < 300.5) & (rows["Y"] >= 0.5) & (rows["Y"] < 260.5))
        assert set(rows["CHIP"]) == {image.header["ESO DET CHIP NO"]}
        assert rows.columns["RA"].unit == "deg"


def test_electrons_are_those_of_one_integration(render, micado):
    """A star in the middle of a window that holds nearly all of its light, without noise."""
    alone = {"window": {"x0": 1536, "y0": 1536, "nx": 1024, "ny": 1024}, "product": "expected"}
    star = {"x": [0.0], "y": [0.0], "mag": [15.0]}
    with (
        opened(render, micado, {**alone, "catalogue": star}) as bright,
        opened(render, micado, {**alone, "catalogue": {**star, "mag": [45.0]}}) as dark,
    ):
        rate = float((bright[1].data.astype(float) - dark[1].data).sum())
        row = bright["TRUTH"].data[0]
        dit = bright[0].header["ESO DET DIT"]
        assert bright["TRUTH"].header["ESO SIM TRUTH TIME"] == dit
        assert 0.8 < rate * dit / row["ELECTRONS"] < 1.0
        assert row["MAG"] == 15.0


@pytest.mark.parametrize(
    ("elvis", "present"),
    [
        ({}, False),
        ({"truth": True}, True),
        ({"scene": {"name": "companions"}}, True),
        ({"scene": {"name": "companions"}, "truth": False}, False),
        ({"motion": {"rate": 1, "angle": 0}}, True),
    ],
)
def test_it_is_there_if_there_is_something_to_tell(render, micado, elvis, present):
    with opened(render, micado, {"window": {"x0": 2000, "y0": 2000, "nx": 96, "ny": 96}, **elvis}) as hdus:
        assert (truth.EXTENSION in hdus) == present


def test_nothing_on_the_chip_is_an_empty_table(render, micado):
    off = {"window": WINDOW, "catalogue": {"x": [900.0], "y": [0.0], "mag": [10.0]}}
    with opened(render, micado, off) as hdus:
        assert len(hdus["TRUTH"].data) == 0


def test_a_flux_is_no_magnitude(render, micado):
    line = {
        "morphology": {"morphologytype": "point"},
        "sed": {"sedtype": "emissionline", "emissionline": {"params": {"lambda": 2150, "fwhm": 1}}},
        "brightness": {"brightnesstype": "flux", "flux": 1e-18},
    }
    small = {"window": {"x0": 2000, "y0": 2000, "nx": 96, "ny": 96}, "truth": True}
    with opened(render, micado, small, target=line) as hdus:
        (row,) = hdus["TRUTH"].data
        assert np.isnan(row["MAG"])
        assert row["ELECTRONS"] > 0


def test_options_switch_it(elvis, micado):
    request = json.dumps(micado({"elvis": {"window": {"x0": 2000, "y0": 2000, "nx": 64, "ny": 64}}}))
    assert b"TRUTH" in elvis("--truth", stdin=request).out
    assert b"'TRUTH" not in elvis("--no-truth", stdin=request).out


def test_in_a_spectrograph_places_are_in_its_apertures():
    """METIS's integral field: 28 slices of 20.7 mas, +x across, +y along."""
    document = registry.load("metis").example("lms_scao")
    x, y = [0.01, -0.2, 0.01, 1.0], [0.1, -0.3, 0.6, 0.0]  # the last two are outside
    small = {"x0": 1000, "y0": 1000, "nx": 64, "ny": 64}
    document["elvis"] = {"catalogue": {"x": x, "y": y, "mag": [10.0] * 4}, "truth": True, "window": small, "chips": [1]}
    out = io.BytesIO()
    pipeline.render(parse.read(json.dumps(document)), out)
    with fits.open(io.BytesIO(out.getvalue())) as hdus:
        rows = hdus[truth.EXTENSION].data
        found = {int(row["APERTURE"]): (row["S"], row["T"]) for row in rows}
    assert len(rows) == 2
    for aperture, (s, t) in found.items():
        place = (aperture - 14.5) * 0.0207 + t
        assert (place, s) == pytest.approx((0.01, 0.1) if s > 0 else (-0.2, -0.3), abs=1e-6)
        assert abs(t) <= 0.01035

"""What a detector remembers of the exposure before."""

import io
import json

import numpy as np
import pytest
from astropy.io import fits

from elvis_cli import pipeline
from elvis_cli.base.merge import merge
from elvis_cli.errors import RequestError
from elvis_cli.observing import persistence
from elvis_cli.request import parse
from tests.setups import target_in_field

PATCH = {
    "target": {"brightness": {"magband": "K", "mag": 7}},
    "elvis": {
        "window": {"x0": 960, "y0": 960, "nx": 128, "ny": 128},
        "skip": ["shot_noise", "read_noise", "cosmic_rays"],
    },
}


def render(document):
    out = io.BytesIO()
    pipeline.render(parse.read(json.dumps(document)), out)
    out.seek(0)
    with fits.open(out) as hdus:
        return hdus[1].data.astype(float)


@pytest.fixture
def pair(make, plan):
    parameters = {"SEQ.OFFSET1.LIST": "0 0.5", "DET.DIT": 30, "INS.NXFW.NAME": "Br-g"}
    return plan(make("ERIS_nix_img_obs_GenericOffset", parameters, elvis=PATCH))


def test_a_ghost_stays_where_the_star_was(pair):
    first, second = persistence.add_persistence(pair)
    assert "previous" not in first.document["elvis"]
    assert second.document["elvis"]["previous"]["gap"] == pytest.approx(
        (pair[1].start - pair[0].start).total_seconds() - pair[0].shutter, abs=1e-3
    )
    ghost = render(second.document) - render(pair[1].document)
    y, x = np.mgrid[: ghost.shape[0], : ghost.shape[1]]
    bright = ghost * (ghost > ghost.max() / 2)
    place = (bright * x).sum() / bright.sum(), (bright * y).sum() / bright.sum()
    star = 1023.5 - 960  # the field's centre, where the first exposure has it
    assert place == pytest.approx((star, star), abs=1.5)
    assert ghost.min() == 0
    assert ghost.max() >= 1
    assert np.hypot(*target_in_field(second.document)) == pytest.approx(0.5, abs=1e-4)


def test_it_is_complete_without_the_exposure_before(pair):
    *_, second = persistence.add_persistence(pair)
    again = merge(second.document, {})
    assert np.array_equal(render(again), render(second.document))


def test_another_detector_remembers_nothing(make, plan, pair):
    other = plan([make("METIS_img_lm_obs_GenericOffset"), make("ERIS_nix_img_obs_GenericOffset")])
    assert all("previous" not in one.document["elvis"] for one in persistence.add_persistence(other))


def test_a_ccd_has_no_memory(make, plan):
    exposures = plan(make("FORS2_img_obs_crsplit", {"SEQ.NEXPO": 2}))
    with pytest.raises(RequestError, match=r"/elvis/previous: .*is a CCD"):
        next(persistence.add_persistence(exposures))

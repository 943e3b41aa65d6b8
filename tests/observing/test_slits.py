"""Where the light of a nodded star falls in a spectrograph: along the slit by the throw, or in other slices."""

from functools import partial

import numpy as np
import pytest

from elvis_cli.model.setup import Window
from tests.conftest import renderer


def seen(exposure, chip, window):
    """Return the star's electrons/s in a window, and the mean of s (arcsec) and of the slice, weighted with them."""
    made = renderer(exposure.document)
    chip = next(one for one in made.setup.detector.chips if one.id == chip)
    light = np.asarray(made.illuminate(chip, window, frozenset({"stars"})), float)
    at = made.wavelengths(chip, window)
    inside = at.aperture >= 0
    light, total = light[inside], light[inside].sum()
    return total, (light * at.s[inside]).sum() / total, (light * at.aperture[inside]).sum() / total


@pytest.mark.parametrize(
    ("template", "chip", "window"),
    [
        ("METIS_spec_lm_obs_AutoNodOnSlit", 1, Window(0, 900, 2048, 8)),
        ("CRIRES_spec_obs_AutoNodOnSlit", 2, Window(900, 0, 300, 2048)),  # its tilted slit moves A by 2.5 pixels to B
        ("ERIS_nix_lss_obs_AutoNodOnSlit", 1, Window(0, 0, 2048, 2048)),
    ],
)
def test_a_nod_moves_the_trace_along_the_slit(make, plan, template, chip, window):
    exposures = plan(make(template, {"SEQ.NOD.THROW": 3.0, "SEQ.NEXPO": 1}, {"TEL.ROT.OFFANGLE": 37.0}))
    (light, a, _), (same, b, _) = map(partial(seen, chip=chip, window=window), exposures)
    assert light > 0
    assert same == pytest.approx(light, rel=0.02)  # none is lost: it does not leave the slit
    assert (a, b) == pytest.approx((-1.5, 1.5), abs=0.01)  # A: the telescope goes up the slit, the star down


def test_chop_and_nod_put_two_of_four_on_the_same_place_of_the_slit(make, plan):
    exposures = plan(make("METIS_spec_n_obs_AutoChopNodOnSlit", {"SEQ.CHOP.THROW": 2.0}, {}))
    window = Window(0, 900, 2048, 8)
    assert [seen(one, 1, window)[1] for one in exposures] == pytest.approx([0.0, -2.0, 2.0, 0.0], abs=0.01)


def test_an_offset_moves_the_star_among_the_slices_and_along_them(make, plan):
    lists = {"SEQ.OFFSET.COORDS": "DETECTOR", "SEQ.OFFSET1.LIST": "0 0.1", "SEQ.OFFSET2.LIST": "0 0.1"}
    exposures = plan(make("ERIS_ifs_obs_GenericOffset", lists, {"TEL.ROT.OFFANGLE": 20.0}))
    window = Window(0, 1000, 2048, 8)  # the 32 slitlets side by side, 25 mas each, numbered from the top; +s is +x
    (_, s0, slice0), (_, s1, slice1) = [seen(one, 1, window) for one in exposures]
    assert (s0, slice0) == pytest.approx((0.0, 15.5), abs=0.05)
    assert s1 - s0 == pytest.approx(-0.1, abs=0.01)
    assert slice1 - slice0 == pytest.approx(0.1 / 0.025, abs=0.3)  # less what falls beyond the last

"""The whole way, from request to FITS: what must not matter does not, what must matter does."""

import io
import json
import weakref

import numpy as np
import pytest
from astropy.io import fits

from elvis_cli import pipeline
from elvis_cli.base import parallel
from elvis_cli.errors import RequestError
from elvis_cli.focalplane import many_stars
from elvis_cli.instrument import registry
from elvis_cli.optics import make_psf
from elvis_cli.request import parse

WINDOW = {"x0": 1948, "y0": 1948, "nx": 150, "ny": 140}
CROWD = {
    "x": np.linspace(-0.25, 0.25, 40).round(4).tolist(),
    "y": (0.2 * np.sin(np.arange(40))).round(4).tolist(),
    "mag": np.linspace(18, 24, 40).tolist(),
}


def images(data: bytes) -> list[np.ndarray]:
    with fits.open(io.BytesIO(data)) as hdus:
        return [hdu.data.copy() for hdu in hdus if hdu.is_image and hdu.data is not None]


@pytest.fixture
def expected(render):
    """Return the noiseless image of the first chip."""

    def run(document):
        document.setdefault("elvis", {})["product"] = "expected"
        return images(render(document))[0].astype(float)

    return run


@pytest.mark.parametrize("elvis_block", [{}, {"catalogue": CROWD}])
@pytest.mark.parametrize("threads", [2, 5])
def test_threads_do_not_change_a_byte(threads, elvis_block, micado, render):
    document = micado({"elvis": {"window": WINDOW, "chips": [5], "seed": 3, **elvis_block}})
    try:
        parallel.set_threads(1)
        one = render(document)
        parallel.set_threads(threads)
        make_psf.RECENT.clear()
        many_stars.RECENT.clear()
        assert render(document) == one
    finally:
        parallel.set_threads(0)


def test_a_crowd_seen_again_needs_the_psf_of_the_target_only(micado, render, monkeypatch):
    document = micado({"elvis": {"window": WINDOW, "chips": [5], "catalogue": CROWD}})
    one = render(document)
    make = make_psf._from_otf
    made = []
    monkeypatch.setattr(make_psf, "_from_otf", lambda *parts: made.append(1) or make(*parts))
    make_psf.RECENT.clear()
    assert render(document) == one
    assert len(made) == 1
    render(
        micado({"seeing": {"turbulence_category": 70}, "elvis": {"window": WINDOW, "chips": [5], "catalogue": CROWD}})
    )
    assert len(made) >= 3  # another turbulence: the target's and those of the zones


@pytest.mark.parametrize("elvis_block", [{}, {"catalogue": CROWD}])
def test_a_chip_alone_is_the_chip_among_others(elvis_block, micado, render):
    window = {"x0": 3900, "y0": 1900, "nx": 100, "ny": 90}
    among = images(render(micado({"elvis": {"window": window, "chips": [4, 5, 6], **elvis_block}})))
    alone = images(render(micado({"elvis": {"window": window, "chips": [5], **elvis_block}})))
    np.testing.assert_array_equal(among[1], alone[0])
    assert not np.array_equal(among[0], among[1])


def test_light_does_not_take_memory_beside_the_frame(micado, monkeypatch):
    drawn, illuminate = [], pipeline.PreparedExposure.illuminate

    def watch(*arguments):
        light = illuminate(*arguments)
        drawn.append(weakref.ref(light))
        return light

    monkeypatch.setattr(pipeline.PreparedExposure, "illuminate", watch)
    frames = pipeline.frames(pipeline.prepare(parse.read(json.dumps(micado({"elvis/window": WINDOW})))))
    next(frames)
    assert [light() for light in drawn] == [None]


def test_seeds_and_exposures_differ(micado, render):
    fixed = ["flat_field", "hot_pixels", "dead_pixels"]
    first, seed, exposure = (
        images(render(micado({"elvis": {"window": WINDOW, "chips": [5], "skip": fixed, **elvis_block}})))[0]
        for elvis_block in ({}, {"seed": 1}, {"exposure": 2})
    )
    for other in (seed, exposure):
        assert abs(np.corrcoef(first[:, :50].ravel(), other[:, :50].ravel())[0, 1]) < 0.1


def test_a_window_is_a_cut_of_the_noiseless_frame(micado, expected):
    part = {"x0": 1990, "y0": 2000, "nx": 60, "ny": 50}
    whole = expected(micado({"elvis": {"window": WINDOW, "chips": [5]}}))
    cut = expected(micado({"elvis": {"window": part, "chips": [5]}}))
    np.testing.assert_allclose(cut, whole[52:102, 42:102], rtol=2e-5)


@pytest.mark.parametrize("instrument", ["micado", "fors"])
def test_light_adds_up(instrument, request, expected, predict):
    """The star's light in a wide window and the background are those of the prediction."""
    place = {"micado": (1048, 1048, 2000, 2000, 5), "fors": (1900, 100, 300, 300, 1)}[instrument]
    window = dict(zip(("x0", "y0", "nx", "ny"), place[:4], strict=True))
    document = request.getfixturevalue(instrument)({"elvis": {"window": window, "chips": [place[4]]}})
    image, answer = expected(document), predict(document)
    assert np.median(image[0]) == pytest.approx(answer.sky_rate, rel=0.02)
    star = (image - answer.sky_rate).sum()
    assert star == pytest.approx(answer.target_rate, rel=0.03)


def test_a_galaxy_has_the_light_of_a_star(fors, expected, predict):
    window = {"x0": 1800, "y0": 0, "nx": 500, "ny": 500}
    galaxy = {"morphologytype": "extended", "extendedtype": "sersic", "index": 1, "radius": 2.0}
    document = fors({"target/morphology": galaxy, "elvis": {"window": window, "chips": [1]}})
    image, answer = expected(document), predict(document)
    assert (image - answer.sky_rate).sum() == pytest.approx(answer.target_rate, rel=0.02)
    assert answer.encircled < 0.2


def test_an_infinite_target_is_as_bright_everywhere(fors, expected, predict):
    shape = {"morphologytype": "extended", "extendedtype": "infinite"}
    document = fors({"target/morphology": shape, "elvis": {"window": {"x0": 0, "y0": 0, "nx": 20, "ny": 20}}})
    answer = predict(document)
    np.testing.assert_allclose(expected(document), answer.sky_rate + answer.target_rate * 0.125**2, rtol=1e-5)


def test_binning_collects_the_same_light(fors, expected, predict):
    one = predict(fors())
    two = predict(fors({"instrument/DET.READ.CLKIND": "200kHz,2x2,low"}))
    assert two.sky_rate == pytest.approx(4 * one.sky_rate, rel=1e-6)
    assert two.target_rate == pytest.approx(one.target_rate, rel=1e-6)


def test_ndit_is_averaged(micado, render):
    """The mean of NDIT integrations has the level of one and a tenth of its noise."""
    shape = {"target/brightness/mag": 40, "elvis": {"window": WINDOW, "chips": [5], "skip": ["flat_field"]}}
    one, hundred = (images(render(micado({**shape, "timesnr/DET.NDIT": n})))[0] for n in (1, 100))
    assert np.median(hundred) == pytest.approx(np.median(one), rel=0.01)
    width = [np.diff(np.percentile(image, [16, 84]))[0] for image in (one, hundred)]
    assert width[0] / width[1] == pytest.approx(10, rel=0.05)


def test_replay_gives_the_same_bytes(elvis, micado):
    document = micado({"elvis": {"window": WINDOW, "chips": [5], "seed": 11}})
    first = elvis("--skip", "cosmic_rays", stdin=json.dumps(document))
    again = elvis("replay", "-", stdin=first.out)
    assert (first.code, again.code) == (0, 0)
    assert again.out == first.out


def test_a_star_far_away_still_sends_its_halo(micado, expected, predict):
    """Four arcsec off the frame's edge a bright star's wings fall off away from it."""
    document = micado({"target/brightness/mag": 8, "elvis": {"window": WINDOW, "chips": [5], "offset": [4.0, 0.0]}})
    profile = expected(document).mean(axis=0) - predict(document).sky_rate
    assert profile.min() > 0
    assert profile[-10:].mean() > profile[:10].mean()


def test_a_closed_beam_is_dark(micado, expected, predict):
    document = micado({"instrument/INS.FILT2.NAME": "block", "elvis": {"window": WINDOW, "chips": [5]}})
    assert predict(document).target_rate == 0.0
    assert expected(document).max() == 0.0


def test_an_unreachable_goal_is_refused(micado):
    document = micado({"instrument/INS.FILT2.NAME": "block", "timesnr": {"DET.DIT": 60, "snr": 10}})
    with pytest.raises(Exception, match="cannot be reached"):
        pipeline.predict(parse.read(json.dumps(document)))


def test_a_goal_is_refused_with_the_reason():
    document = registry.load("eris").example("lss_noao")
    document |= {"timesnr": {"DET.DIT": 2, "snr": 10}, "elvis": {"offset": [20, 0]}}
    with pytest.raises(RequestError, match=r"cannot be reached: .* gives 0; at most 0 of the target's light"):
        pipeline.predict(parse.read(json.dumps(document)))


def test_explain_tells_units_and_sources(micado):
    values = pipeline.explain(parse.read(json.dumps(micado())))
    assert {"detectors", "telescope", "ao", "site"} <= {value.name.split(".")[0].split("[")[0] for value in values}
    assert all(value.source for value in values)


def test_the_prediction_is_of_the_target_whatever_is_rendered(fors, predict):
    one, two = (predict(fors({"elvis": {"chips": chips, "offset": [0.0, -60.0]}})) for chips in ([1], [2]))
    assert one == two


def test_a_trail_lasts_for_the_integrations_that_a_ratio_needs(micado):
    """Solved for or given: the same NDIT draws the same trail."""
    elvis = {"window": WINDOW, "chips": [5], "motion": {"rate": 2.0, "angle": 30.0}}
    document = micado({"target/brightness/mag": 25, "elvis": elvis})
    document["timesnr"] = {"DET.DIT": 60, "snr": 30}
    solved = pipeline.prepare(parse.read(json.dumps(document)))
    document["timesnr"] = {"DET.DIT": 60, "DET.NDIT": solved.prediction.count}
    given = pipeline.prepare(parse.read(json.dumps(document)))
    assert solved.prediction.count > 1
    for axis in ("x", "y", "rate"):
        np.testing.assert_array_equal(getattr(solved.renderer.scene, axis), getattr(given.renderer.scene, axis))
    assert solved.renderer.scene.x.size > 1


def test_an_image_has_one_ratio(micado):
    asked = {"timesnr": {"DET.DIT": 60, "snr": 50, "wavelengthmin": 2100, "wavelengthmax": 2200}}
    told = pipeline.prepare(parse.read(json.dumps(micado(asked))))
    plain = pipeline.prepare(parse.read(json.dumps(micado({"timesnr": {"DET.DIT": 60, "snr": 50}}))))
    assert told.prediction.count == plain.prediction.count
    assert [note for note in told.notes if note not in plain.notes] == [
        "/timesnr: the ratio of an image is that of its whole band, not between wavelengths"
    ]

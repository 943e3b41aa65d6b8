"""The parts of a Setup: surfaces in a row, seeing, and which pixels are asked for."""

import dataclasses

import numpy as np
import pytest

from elvis_cli.errors import RequestError, ResourceError
from elvis_cli.instrument import configure, registry
from elvis_cli.instrument.sourced_table import SourcedTable
from elvis_cli.model.elvis_block import ElvisBlock, Window
from elvis_cli.model.request import ImageQuality, Request, SkyConditions, Target, Timing


def node(value, unit="1"):
    return {"value": value, "unit": unit, "source": "s"}


@pytest.fixture
def asked():
    """A request to MICADO with parts replaced."""

    def make(**parts):
        base = Request("micado", 3, Target(), SkyConditions(), ImageQuality(), {}, Timing(), {}, ElvisBlock())
        return dataclasses.replace(base, **parts)

    return make


@pytest.fixture
def micado():
    return registry.load("micado")


def surface(**changes):
    tree = {"name": "m", "group": "relay", "temperature": node(280.0, "K"), "throughput": node(0.9), **changes}
    return configure.make_surface(SourcedTable(tree, "t", root=tree))


def test_what_a_mirror_does_not_reflect_it_emits():
    one = surface()
    assert one.emissivity.at(np.array([1.0])) == pytest.approx(0.1)


@pytest.mark.parametrize("emissivity", [0.1, 0.04])
def test_a_row_of_mirrors_equals_them_one_by_one(emissivity):
    row = surface(count=node(4), emissivity=node(emissivity))
    light, emission = 1.0, 0.0
    for _ in range(4):
        light, emission = light * 0.9, emission * 0.9 + emissivity
    at = np.array([2.0])
    assert row.throughput.at(at) == pytest.approx(light)
    assert row.emissivity.at(at) == pytest.approx(emission)


def test_perfect_mirrors_in_a_row_add_their_emission():
    row = surface(count=node(3), throughput=node(1.0), emissivity=node(0.01))
    assert row.emissivity.at(np.array([2.0])) == pytest.approx(0.03)


def test_ao_system_needs_every_field_without_default():
    tree = {"kind": "scao", "wfs": "sh"}
    with pytest.raises(ResourceError, match="subapertures is missing"):
        configure.make_ao(SourcedTable(tree, "ao.toml", "scao", tree))


def test_default_frame_is_the_middle_of_the_middle_chip(micado, asked):
    setup = micado.configure(asked())
    assert (setup.frame.window, setup.frame.chips) == (Window(1536, 1536, 1024, 1024), (5,))


def test_full_frame_is_all_chips_unless_chosen(micado, asked):
    setup = micado.configure(asked(elvis=ElvisBlock(window="full")))
    assert (setup.frame.window, setup.frame.chips) == (Window(0, 0, 4096, 4096), tuple(range(1, 10)))
    setup = micado.configure(asked(elvis=ElvisBlock(window="full", chips=(3, 7))))
    assert setup.frame.chips == (3, 7)


@pytest.mark.parametrize(
    ("window", "good"),
    [
        (Window(0, 0, 4096, 4096), True),
        (Window(4095, 4095, 1, 1), True),
        (Window(1, 0, 4096, 10), False),
        (Window(0, -1, 10, 10), False),
        (Window(0, 4000, 10, 97), False),
        (Window(0, 0, 0, 10), False),
    ],
)
def test_a_window_must_fit_in_the_chip(micado, asked, window, good):
    request = asked(elvis=ElvisBlock(window=window))
    if good:
        assert micado.configure(request).frame.window == window
    else:
        with pytest.raises(RequestError, match="not within the chip") as caught:
            micado.configure(request)
        assert caught.value.details["pointer"] == "/elvis/window"
        assert "4096" in caught.value.details["allowed"]


def test_a_chip_that_does_not_exist(micado, asked):
    with pytest.raises(RequestError) as caught:
        micado.configure(asked(elvis=ElvisBlock(chips=(5, 10))))
    assert caught.value.details["pointer"] == "/elvis/chips"


def test_seeing_from_category_value_or_image_quality(micado, asked):
    def seeing(**section):
        return micado.configure(asked(image_quality=ImageQuality(**section))).atmosphere.seeing

    assert seeing() == 0.8
    assert seeing(turbulence_category=10.0) == 0.5
    assert seeing(turbulence_category=10.0, seeing=0.65) == 0.65
    # Kolmogorov: seeing falls as wavelength^-0.2 and grows as airmass^0.6 (1.2 here)
    assert seeing(iq=0.5, iq_wavelength=2.2) == pytest.approx(0.5 * 4.4**0.2 * 1.2**-0.6)
    with pytest.raises(RequestError, match="/seeing/turbulence_category"):
        seeing(turbulence_category=42.0)


def test_exposure_defaults_and_the_solved_count(micado, asked):
    usual = micado.configure(asked()).exposure
    assert (usual.dit, usual.count, usual.count_key) == (60.0, 1, "DET.NDIT")
    solved = micado.configure(asked(timing=Timing(dit=2.0, snr=10.0)))
    assert (solved.exposure.dit, solved.exposure.count, solved.goal.snr) == (2.0, None, 10.0)


def test_a_detector_cannot_be_read_out_before_its_shortest_integration(asked):
    tree = {"dit_key": "DET.DIT", "dit": node(0.5, "s"), "name": "H2RG", "min_dit": node(0.04, "s")}
    facts = SourcedTable(tree, "t", root=tree)

    def used(**timing):
        return configure.integration_time(facts, facts, asked(timing=Timing(**timing)))

    assert (used(), used(dit=0.04)) == (0.5, 0.04)
    with pytest.raises(RequestError, match=r"/timesnr/DET\.DIT: H2RG .* 0\.01 s; allowed: >= 0\.04 s") as caught:
        used(dit=0.01)
    assert caught.value.details["found"] == 0.01
    del tree["min_dit"]
    assert used(dit=1e-6) == 1e-6


def test_guide_star_magnitude_is_the_request_s_or_the_system_s(micado, asked):
    assert micado.configure(asked()).psf.guide_star_mag == 10.0
    assert micado.configure(asked(image_quality=ImageQuality(guide_star_mag=0.0))).psf.guide_star_mag == 0.0

"""Which pixels are rendered, and for how long they integrate."""

import pytest

from elvis_cli.errors import RequestError
from elvis_cli.instrument import detectors
from elvis_cli.instrument.sourced_table import SourcedTable
from elvis_cli.model.elvis_block import ElvisBlock, Window
from elvis_cli.model.request import Timing
from tests.conftest import fact


def test_default_frame_is_the_middle_of_the_middle_chip(camera, asked):
    setup = camera.configure(asked())
    assert (setup.frame.window, setup.frame.chips) == (Window(1536, 1536, 1024, 1024), (5,))


def test_full_frame_is_all_chips_unless_chosen(camera, asked):
    setup = camera.configure(asked(elvis=ElvisBlock(window="full")))
    assert (setup.frame.window, setup.frame.chips) == (Window(0, 0, 4096, 4096), tuple(range(1, 10)))
    setup = camera.configure(asked(elvis=ElvisBlock(window="full", chips=(3, 7))))
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
def test_a_window_must_fit_in_the_chip(camera, asked, window, good):
    request = asked(elvis=ElvisBlock(window=window))
    if good:
        assert camera.configure(request).frame.window == window
    else:
        with pytest.raises(RequestError, match="not within the chip") as caught:
            camera.configure(request)
        assert caught.value.details["pointer"] == "/elvis/window"
        assert "4096" in caught.value.details["allowed"]


def test_a_chip_that_does_not_exist(camera, asked):
    with pytest.raises(RequestError) as caught:
        camera.configure(asked(elvis=ElvisBlock(chips=(5, 10))))
    assert caught.value.details["pointer"] == "/elvis/chips"


def test_a_detector_cannot_be_read_out_before_its_shortest_integration(asked):
    tree = {"dit_key": "DET.DIT", "dit": fact(0.5, "s"), "name": "H2RG", "min_dit": fact(0.04, "s")}
    facts = SourcedTable(tree, "t", root=tree)

    def used(**timing):
        return detectors.integration_time(facts, facts, asked(timing=Timing(**timing)))

    assert (used(), used(dit=0.04)) == (0.5, 0.04)
    with pytest.raises(RequestError, match=r"/timesnr/DET\.DIT: H2RG .* 0\.01 s; allowed: >= 0\.04 s") as caught:
        used(dit=0.01)
    assert caught.value.details["found"] == 0.01
    del tree["min_dit"]
    assert used(dit=1e-6) == 1e-6

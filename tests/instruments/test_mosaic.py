"""MOSAIC's near-infrared MOS: wavelengths, resolving powers, bundles on the sources of a catalogue."""

import json

import numpy as np
import pytest

from elvis_cli import pipeline
from elvis_cli.instrument import registry
from elvis_cli.request import parse
from tests.conftest import changed


def configured(changes, **elvis):
    document = changed(registry.load("mosaic").example(), changes)
    return pipeline.configure(parse.read(json.dumps({**document, "elvis": elvis})))


@pytest.mark.parametrize(("grating", "power"), [("LR-J", 4378), ("LR-H", 6520), ("HR-H", 23818)])
def test_resolving_powers_are_those_of_the_reference_database(grating, power):
    setup = configured({"instrument/INS.GRAT.NAME": grating})
    assert setup.spectrograph.resolving_power(setup.optics.band, 0.015) == pytest.approx(power, rel=0.05)
    assert len(setup.spectrograph.traces) == 630


def test_bundles_lie_a_period_apart_in_the_slit():
    apertures = configured({}).spectrograph.apertures
    places = np.array([one.offset for one in apertures]).reshape(90, 7) / 0.035
    assert np.diff(places, axis=1) == pytest.approx(5.327, rel=1e-9)
    assert np.diff(places[:, 0]) == pytest.approx(42.6145, rel=1e-9)
    assert np.ptp(places) == pytest.approx(3991 - 78, rel=0.03)


def test_a_source_gets_a_bundle_of_seven():
    x, y = [10.0, -40.0], [5.0, 60.0]
    apertures = configured({}, catalogue={"x": x, "y": y, "mag": [20.0, 20.0]}).spectrograph.apertures
    for place in zip(x, y, strict=True):
        distance = np.sort([np.hypot(one.x - place[0], one.y - place[1]) for one in apertures])
        assert distance[:7] == pytest.approx([0.0] + [0.187] * 6)
        assert distance[7] > 3.0

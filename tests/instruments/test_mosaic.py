"""MOSAIC: wavelengths, resolving powers, slits of all modes, bundles on the sources of a catalogue."""

import json

import numpy as np
import pytest

from elvis_cli import pipeline
from elvis_cli.instrument import registry
from elvis_cli.request import parse
from tests.conftest import changed

GRATINGS = [
    ("mos_nir", "LR-J", 4378, 630), ("mos_nir", "LR-H", 6520, 630), ("mos_nir", "HR-H", 23818, 630),
    ("mos_vis", "LR-B", 5926, 980), ("mos_vis", "LR-R", 5796, 980),
    ("mos_vis_hr", "HR-B1", 17892, 1140), ("mos_vis_hr", "HR-B2", 17561, 1140), ("mos_vis_hr", "HR-R1", 18124, 1140),
    ("mos_vis_hr", "HR-R2", 18388, 1140),
    ("mifu", "LR-J", 4378, 676), ("mifu", "LR-H", 6520, 676), ("mifu", "HR-H", 23818, 676),
]  # fmt: skip
"""Mode, grating, R in its middle (AstarVienna/irdb f0a5f30), fibres."""
BUNDLES = {"mos_nir": (90, 7), "mos_vis": (140, 7), "mos_vis_hr": (60, 19), "mifu": (4, 169)}
ACROSS = {"mos_nir": 0.5568, "mos_vis": 0.6858, "mos_vis_hr": 0.8875, "mifu": 1.9}
"""arcsec: the same, and mosaic-elt.eu."""


def configured(changes, mode="mos_nir", **elvis):
    document = changed(registry.load("mosaic").example(mode), changes)
    return pipeline.configure(parse.read(json.dumps({**document, "elvis": elvis})))


@pytest.mark.parametrize(("mode", "grating", "power", "fibres"), GRATINGS)
def test_resolving_powers_are_those_of_the_reference_database(mode, grating, power, fibres):
    setup = configured({"instrument/INS.GRAT.NAME": grating}, mode)
    trace = setup.spectrograph.traces[0]
    middle = np.array([sum(trace.wave) / 2])
    width = setup.spectrograph.line_width(setup.spectrograph.apertures[0])
    assert middle / trace.dispersion(middle, 0.0, 0.015) / width == pytest.approx(power, rel=0.05)
    assert len(setup.spectrograph.traces) == fibres


@pytest.mark.parametrize("mode", BUNDLES)
def test_bundles_are_hexagons_of_the_known_size_side_by_side_in_the_slit(mode):
    setup = configured({}, mode)
    count, fibres = BUNDLES[mode]
    places = np.array([one.offset for one in setup.spectrograph.apertures]).reshape(count, fibres)
    assert np.all(np.diff(places.ravel()) > 0)
    assert np.all(places[1:, 0] - places[:-1, -1] > 1.5 * np.diff(places, axis=1).max())  # an empty place
    one = [a for a in setup.spectrograph.apertures if np.hypot(a.x, a.y) < 1.2]
    assert len(one) == fibres
    assert np.ptp([a.x for a in one]) + one[0].diameter == pytest.approx(ACROSS[mode], rel=0.12)


def test_the_visible_slit_leaves_the_rows_between_the_chips_dark():
    setup = configured({}, "mos_vis")
    rows = np.array([one.offset for one in setup.spectrograph.apertures]) / setup.optics.pixel_scale + 12788 / 2
    assert np.sum(rows < 6000 + 8) == np.sum(rows > 6775 - 8) == 490  # PyReduce: light ends and begins there
    assert (rows[0], rows[-1]) == pytest.approx((1780, 10990), abs=50)


def test_bundles_lie_a_period_apart_in_the_slit():
    apertures = configured({}).spectrograph.apertures
    places = np.array([one.offset for one in apertures]).reshape(90, 7) / 0.035
    assert np.diff(places, axis=1) == pytest.approx(5.327, rel=1e-9)
    assert np.diff(places[:, 0]) == pytest.approx(42.6145, rel=1e-9)
    assert np.ptp(places) == pytest.approx(3991 - 78, rel=0.03)


@pytest.mark.parametrize("mode", BUNDLES)
def test_each_source_gets_a_bundle(mode):
    x, y = [10.0, -40.0], [5.0, 60.0]
    apertures = configured({}, mode, catalogue={"x": x, "y": y, "mag": [20.0, 20.0]}).spectrograph.apertures
    fibres = BUNDLES[mode][1]
    for place in zip(x, y, strict=True):
        distance = np.sort([np.hypot(one.x - place[0], one.y - place[1]) for one in apertures])
        assert distance[0] == pytest.approx(0.0, abs=1e-9)
        assert distance[fibres - 1] < ACROSS[mode] / 1.8
        assert distance[fibres] > 2.0
    if mode == "mos_nir":
        assert distance[1:7] == pytest.approx([0.187] * 6)


def test_the_second_spectrograph_has_the_targets_that_the_first_has_not():
    x, y = ([10.0 * place(n) - 45 for n in range(95)] for place in (lambda n: n % 10, lambda n: n // 10))
    catalogue = {"x": x, "y": y, "mag": [20.0] * 95}
    served = []
    for number in ("1", "2"):
        setup = configured({"instrument/INS.SPEC.NUMBER": number}, catalogue=catalogue)
        middles = {(round(a.x, 6), round(a.y, 6)) for a in setup.spectrograph.apertures}
        served.append([place in middles for place in zip(x, y, strict=True)])
        assert setup.header["ESO INS SPEC NUMBER"] == number
    assert served == [[True] * 90 + [False] * 5, [False] * 90 + [True] * 5]
    assert any("the other spectrograph has them" in note for note in setup.notes)

"""Filters: trapezoids keep their published moments; piles of filters multiply."""

import numpy as np
import pytest

from elvis_cli.base.curve import Curve
from elvis_cli.errors import ResourceError
from elvis_cli.instrument import filters
from elvis_cli.instrument.sourced_table import SourcedTable


@pytest.mark.parametrize(
    ("cut_on", "cut_off", "peak", "mean"),
    [(1.9721, 2.3328, 0.9871, 0.9712), (2.1868, 2.216, 0.853, 0.6794), (0.5, 0.51, 0.8, 0.6)],
)
def test_trapezoid_reproduces_cuts_mean_and_equivalent_width(cut_on, cut_off, peak, mean):
    curve = filters.trapezoid(cut_on, cut_off, peak, mean)
    wave = np.linspace(cut_on - 0.5, cut_off + 0.5, 2_000_001)
    step = wave[1] - wave[0]
    value = curve.at(wave)
    assert filters.half_power(curve) == pytest.approx((cut_on, cut_off), abs=1e-9)
    assert value[(wave >= cut_on) & (wave <= cut_off)].mean() == pytest.approx(mean, rel=1e-3)
    assert value.sum() * step == pytest.approx(peak * (cut_off - cut_on), rel=1e-3)


@pytest.mark.parametrize("mean", [0.74, 1.0, 1.1])
def test_impossible_trapezoids_are_refused(mean):
    with pytest.raises(ValueError, match="no trapezoid"):
        filters.trapezoid(1.0, 1.1, 1.0, mean)


def test_half_power_of_an_edge_filter_ends_with_its_table():
    curve = Curve(np.array([0.4, 0.5, 1.0]), np.array([0.0, 1.0, 1.0]))
    assert filters.half_power(curve) == pytest.approx((0.45, 1.0))


@pytest.fixture
def facts():
    def table(when, row):
        return {
            "shape": "trapezoid",
            "columns": ["centre", "peak", "fwhm"],
            "units": ["um", "1", "um"],
            "source": "s",
            "when": when,
            "rows": {"line": row},
        }

    grey = {"shape": "grey", "columns": ["transmission"], "units": ["1"], "source": "s", "rows": {"nd": [0.1]}}
    odd = {"shape": "round", "columns": ["peak"], "units": ["1"], "source": "s", "rows": {"odd": [0.1]}}
    node = {"wave": [0.5, 0.6, 0.7, 0.8], "value": [0.0, 1.0, 1.0, 0.0], "unit": "1", "source": "s", "outside": 0.0}
    tree = {
        "filter_tables": [
            table({"COLL": "A"}, [0.500, 0.8, 0.01]),
            table({"COLL": "B"}, [0.501, 0.9, 0.01]),
            grey,
            odd,
        ],
        "filters": {"broad": {"transmission": node}},
    }
    return SourcedTable(tree, "test.toml", root=tree)


def test_a_table_applies_when_its_option_is_chosen(facts):
    assert filters.load(facts, "line", {"COLL": "A"}).centre == pytest.approx(0.500)
    assert filters.load(facts, "line", {"COLL": "B"}).centre == pytest.approx(0.501)
    with pytest.raises(ResourceError, match="no filter 'line'"):
        filters.load(facts, "line", {"COLL": "C"})
    with pytest.raises(ResourceError, match="no shape 'round'"):
        filters.load(facts, "odd", {})


def test_passband_of_a_pile(facts):
    pile = [filters.load(facts, name, {"COLL": "A"}) for name in ("broad", "nd")]
    (low, high), peak = filters.passband(f.transmission for f in pile)
    assert (low, high) == pytest.approx((0.5, 0.8))
    assert peak == pytest.approx(0.1)
    assert filters.centre(pile, (low, high)) == pytest.approx(0.65)
    assert filters.centre(pile[1:], (1.0, 2.0)) == pytest.approx(1.5)


def test_filters_that_do_not_overlap_pass_nothing(facts):
    qe = Curve(np.array([0.4, 1.0]), np.array([0.5, 0.5]))
    pile = [filters.load(facts, name, {"COLL": "A"}) for name in ("broad", "line")]
    disjoint = filters.trapezoid(0.9, 0.95, 0.9, 0.8)
    band, peak = filters.passband([pile[0].transmission, disjoint, qe])
    assert peak == 0.0
    assert band == (0.4, 1.0)

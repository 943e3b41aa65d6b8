"""Curves go through the right pixels."""

from __future__ import annotations

import math

import numpy as np
import pytest

from elvis_cli.preview import plot
from elvis_cli.preview.sheet import CURVES
from elvis_cli.preview.stretch_kind import StretchKind
from elvis_cli.preview.table_curves import with_errors

X = np.linspace(1.0, 2.5, 400)


def column(values, name="curve", unit=""):
    return plot.Column(name, unit, np.asarray(values, dtype=float))


def curves(*columns, x=X):
    return plot.Curves("title", plot.Column("wavelength", "um", x), columns)


def areas(picture):
    for text in picture.meaning["Area"].split(";"):
        box, limits = text.split(":")
        yield tuple(map(int, box.split(","))), tuple(map(float, limits.split(",")))


def closeness(picture, colour):
    return np.abs(np.asarray(picture.image).astype(float) - colour).sum(axis=-1)


@pytest.mark.parametrize("kind", [None, StretchKind.LINEAR, StretchKind.LOG])
def test_a_curve_passes_through_its_pixels(kind):
    values = 0.3 + 0.2 * np.sin(2 * X)
    picture = plot.draw(curves(column(values)), 900, kind)
    ((left, top, width, height), (x0, x1, y0, y1)) = next(areas(picture))
    far = closeness(picture, CURVES[0])
    for x, y in zip(X[5:-5:20], values[5:-5:20], strict=True):
        up = math.log(y / y0) / math.log(y1 / y0) if kind is StretchKind.LOG else (y - y0) / (y1 - y0)
        column_, row = round(left + (x - x0) / (x1 - x0) * width), round(top + (1 - up) * height)
        assert far[row - 2 : row + 3, column_ - 1 : column_ + 2].min() < 90
        assert far[row - 25 : row - 10, column_].min() > 150  # and nowhere else
    assert picture.image.width == 900


def test_every_curve_has_its_colour_and_its_name():
    picture = plot.draw(curves(*(column(np.full_like(X, 0.1 * (i + 1)), f"c{i}") for i in range(5))), 800)
    ((left, top, width, height), (_, _, y0, y1)) = next(areas(picture))
    for i in range(5):
        far = closeness(picture, CURVES[i])
        row = round(top + (1 - (0.1 * (i + 1) - y0) / (y1 - y0)) * height)
        assert (far[row - 1 : row + 2, left + 5 : left + width - 5].min(axis=0) < 90).all()
        assert (far[:top] < 30).any()  # in the legend


def test_units_have_panels_of_their_own():
    picture = plot.draw(curves(column(X, "a", "m"), column(X * 1e6, "b", "s"), column(X + 1, "c", "m")), 800)
    (first, (_, _, low, high)), (second, (_, _, low2, high2)) = areas(picture)
    assert first[1] + first[3] < second[1]
    assert 0.0 <= low < 1.0 < 3.5 < high < 4.0
    assert high2 > 2.5e6
    assert low2 < 1e6


def test_axes_are_logarithmic_when_peaks_dwarf_the_rest():
    lines = np.ones(1000)
    lines[::50] = 1e4
    assert plot.axis([lines], None, None).log
    assert not plot.axis([lines], StretchKind.LINEAR, None).log
    assert not plot.axis([lines - 2.0], None, None).log
    assert not plot.axis([np.linspace(0.0, 1.0, 1000)], None, None).log
    assert plot.axis([lines], None, (0.5, 3.0)) == plot.Axis(0.5, 3.0, False)
    assert plot.axis([lines], StretchKind.LOG, (0.5, 3.0)) == plot.Axis(0.5, 3.0, True)


def test_a_throughput_starts_at_zero_and_its_ticks_are_round():
    axis = plot.axis([np.linspace(0.2, 0.9, 50)], None, None)
    assert axis.low == 0.0
    assert [text for _, text in axis.ticks(5)] == ["0", "0.2", "0.4", "0.6", "0.8"]


def test_narrow_lines_of_long_tables_are_not_lost():
    values = np.full(500_000, 0.1)
    values[123_456] = 0.9
    picture = plot.draw(curves(column(values), x=np.linspace(1.0, 2.0, values.size)), 800, StretchKind.LINEAR)
    ((left, top, width, height), (_, _, y0, y1)) = next(areas(picture))
    at = left + round(123_456 / values.size * width)
    row = round(top + (1 - (0.85 - y0) / (y1 - y0)) * height)
    assert closeness(picture, CURVES[0])[row, at - 2 : at + 3].min() < 250


@pytest.mark.parametrize(
    "values",
    [np.full(400, np.nan), np.zeros(400), np.full(400, 1e99), np.where(X < 1.5, np.nan, X), -X, X * 1e-90, X**200],
)
@pytest.mark.parametrize("kind", [None, StretchKind.LOG, StretchKind.ASINH])
def test_odd_values_are_drawn_too(values, kind):
    assert plot.draw(curves(column(values)), 480, kind).image.width == 480


def test_gaps_are_gaps():
    values = np.where((X > 1.5) & (X < 2.0), np.nan, 0.5)
    picture = plot.draw(curves(column(values)), 800)
    ((left, top, width, height), (x0, x1, _, _)) = next(areas(picture))
    far = closeness(picture, CURVES[0])[top : top + height]
    drawn = (far < 90).any(axis=0)
    for x, seen in ((1.2, True), (1.75, False), (2.2, True)):
        assert drawn[left + round((x - x0) / (x1 - x0) * width)] == seen


@pytest.mark.parametrize("count", [50, 40_000])
def test_orders_are_not_joined(count):
    orders = [np.linspace(low, low + 0.1, count) for low in (1.0, 1.5)]
    x = np.concatenate([orders[0], [np.nan], orders[1]])
    values = np.where(x < 1.3, 1.0, 5.0)
    values[count] = np.nan
    picture = plot.draw(curves(column(values), x=x), 900, StretchKind.LINEAR)
    ((left, top, width, height), (x0, x1, *_)) = next(areas(picture))
    near = closeness(picture, CURVES[0])[top : top + height, left : left + width] < 60
    drawn = x0 + np.flatnonzero(near.any(axis=0)) / width * (x1 - x0)
    assert not ((drawn > 1.11) & (drawn < 1.49)).any()
    assert (drawn < 1.1).sum() > 0.15 * width
    assert (drawn > 1.5).sum() > 0.15 * width


def test_one_row_is_bars():
    table = plot.Curves("t", column([30.0], "a", "electron"), (column([60.0], "b", "electron"), column([7.0], "n")))
    picture = plot.draw(table, 800)
    lengths = [(closeness(picture, CURVES[0])[y] == 0).sum() for y in (74, 108, 142)]
    assert lengths[1] == pytest.approx(2 * lengths[0], abs=3)
    assert lengths[1] > 300
    assert lengths[2] == 0


def test_an_error_is_a_band_about_its_curve():
    """Dimmer than the curve, as high and as low as the error, and nowhere beyond it."""
    flat = plot.Column("flux", "", np.full_like(X, 1.0), error=np.full_like(X, 0.3))
    picture = plot.draw(curves(flat, column(2.0 * X, "sky")), 800)
    ((left, top, width, height), (_, _, y0, y1)) = next(areas(picture))
    rows = [round(top + (1 - (y - y0) / (y1 - y0)) * height) for y in (1.0, 1.2, 0.8, 1.5, 0.5)]
    curve, *inside, above, below = np.asarray(picture.image)[rows, left + width // 2 + 7].astype(int).sum(axis=-1)
    assert curve > max(inside)
    assert min(inside) > max(above, below) + 60


def test_limits_are_not_those_of_noisy_ends():
    """Where a response falls to nothing, noise is divided by it; a line that is brighter than its noise stays."""
    rng = np.random.default_rng(1)
    error = np.where(np.arange(X.size) < 30, 100.0, 0.1)
    flux = 1.0 + error * rng.normal(size=X.size)
    flux[200], error[200] = 20.0, 0.5
    axis = plot.axis([plot.Column("flux", "", flux, error=error).significant], None, None)
    assert axis.low > -1.0
    assert 20.0 < axis.high < 25.0
    ((_, (*_, y0, y1)),) = areas(plot.draw(curves(plot.Column("flux", "", flux, error=error)), 800))
    assert (y0, y1) == (pytest.approx(axis.low), pytest.approx(axis.high))
    lone = plot.Column("flux", "", flux, error=np.zeros(X.size)).significant
    assert lone is flux


def test_flux_and_err_of_a_table_are_one_curve():
    columns = [column(X, name, unit) for name, unit in (("flux", "a"), ("err", "a"), ("sky", "a"), ("err_box", "a"))]
    made = with_errors(columns)
    assert [one.name for one in made] == ["flux", "sky", "err_box"]
    assert made[0].error is columns[1].values
    assert made[1].error is None


def test_where_errors_are_zero_there_is_a_gap():
    """Products have flux 0 and error 0 between orders; a table whose errors are all 0 has no noise."""
    flux, sky = plot.Column("flux", "a", np.array([1.0, 0.0, 2.0])), plot.Column("sky", "b", np.array([3.0, 0.0, 4.0]))
    error = plot.Column("err", "a", np.array([0.1, 0.0, 0.2]))
    for column in with_errors([flux, error, sky]):
        assert np.isnan(column.values).tolist() == [False, True, False]
    still = plot.Column("err", "a", np.zeros(3))
    assert np.isfinite(with_errors([flux, still, sky])[0].values).all()

"""Histograms that add (scenario 7, check B)."""

import functools
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from elvis_cli.errors import ElvisError, ResourceError
from elvis_cli.observatory import histogram
from elvis_cli.observatory.histogram import Histogram


def epochs(size=100, seed=1, **changes):
    random = np.random.default_rng(seed)
    made = {"snr": random.normal(0, 3, size), "dmag": random.normal(0, 0.3, size), "offset": random.normal(0, 1, size)}
    return {**made, "mag": 18.0, "exptime": 30.0, "filter": "R", **changes}


def test_sizes_follow_from_the_axes():
    axes = Histogram().axes
    assert [axes[key].size for key in ("snr", "dmag", "offset", "mag")] == [401, 61, 101, 13]


def test_every_epoch_is_counted_once_on_each_axis():
    one = Histogram()
    assert one.add("A", epochs(snr=np.r_[np.zeros(98), 100.0, -100.0], dmag=np.r_[np.zeros(90), np.full(10, 100.0)]))
    for axis in one.axes:
        assert sum(one.along(axis).values()) == 100
    snr = one.along("snr")
    assert (snr[401], snr[-1], snr[200]) == (1, 1, 98)
    assert one.along("dmag")[61] == 10
    assert not one.add("A", epochs())
    assert one.names == ["A"]


def test_what_is_not_a_number_is_not_counted():
    one = Histogram()
    one.add("A", epochs(snr=np.r_[np.nan, np.zeros(99)]))
    assert sum(one.along("snr").values()) == 99
    assert sum(one.along("dmag").values()) == 100


def test_data_without_an_axis_name_it():
    data = epochs()
    del data["mag"]
    with pytest.raises(ResourceError, match="the axis mag of the histogram"):
        Histogram().add("A", data)


def test_growing_axes_and_overflow():
    one = Histogram()
    one.add("A", epochs(exptime=np.r_[np.full(50, 20.3), np.full(50, 39.8)]), epochs(filter="V"), epochs(filter="I"))
    times = {round(float(one.axes["exptime"].centre(n)), 3): count for n, count in one.along("exptime").items()}
    assert times == {20.4: 50, 39.9: 50, 30.0: 200}
    assert one.along("filter") == {"R": 100, "V": 100, "I": 100}
    faint = Histogram()
    faint.add("B", epochs(mag=25.3))
    assert faint.along("mag") == {13: 100}
    both = one + faint
    assert both.along("mag") == {6: 300, 13: 100}


def test_tables_have_the_axes():
    one = Histogram()
    one.add("A", epochs(snr=np.full(100, 50.0)))
    table = histogram.tables("scores", one.scores, one.others, one.axes, one.counts())[0]
    assert table.name == "SCORES_SNR"
    assert np.isinf(table.columns["snr"]).all()
    assert table.columns["count"].sum() == 100
    assert any("snr fixed -20 20 0.1" in str(card[1]) for card in table.cards)


sizes = st.lists(st.integers(0, 30), min_size=1, max_size=6)


def made(names, seed):
    one = Histogram()
    for name in names:
        one.add(name, epochs(20, sum(map(ord, name)), filter="RVI"[ord(name) % 3], exptime=float(20 + ord(name) % 9)))
    return one


@settings(max_examples=25, deadline=None)
@given(st.lists(st.sets(st.sampled_from("ABCDEFGH"), max_size=6), min_size=1, max_size=8), st.randoms())
def test_sums_do_not_depend_on_order_and_count_a_source_once(groups, random):
    parts = [made(sorted(group), 0) for group in groups]
    whole = made(sorted(set().union(*groups)), 0)
    shuffled = list(parts)
    random.shuffle(shuffled)
    left = functools.reduce(lambda a, b: a + b, parts, Histogram())
    right = functools.reduce(lambda a, b: b + a, shuffled)
    assert left.counts() == right.counts() == whole.counts()
    assert left.names == right.names == whole.names
    assert (whole + Histogram()).counts() == whole.counts()


def test_sums_of_what_does_not_fit_are_refused():
    one, other = Histogram(), Histogram()
    one.add("A", epochs(seed=1))
    other.add("A", epochs(seed=2))
    with pytest.raises(ElvisError, match="A has different epochs"):
        one + other
    with pytest.raises(ElvisError, match="different axes"):
        one + Histogram(scores=("snr",))


def test_parts_are_the_same_bytes_for_the_same_counts():
    rows = {(1, 2, "R"): 3, (0, 2, "V"): 1}
    first = histogram.pack({"snr": Counter(rows), "dmag": Counter()})
    assert first == histogram.pack({"dmag": Counter(), "snr": Counter(dict(reversed(list(rows.items()))))})
    assert dict(histogram.unpack(first))["snr"] == rows

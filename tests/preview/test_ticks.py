"""Round numbers for axes."""

from __future__ import annotations

import numpy as np
import pytest

from elvis_cli.preview import ticks


@pytest.mark.parametrize(
    ("low", "high", "count", "texts"),
    [
        (0.0, 1.0, 5, ["0", "0.2", "0.4", "0.6", "0.8", "1.0"]),
        (1.96, 2.34, 4, ["2.0", "2.1", "2.2", "2.3"]),
        (-3.0, 7.0, 5, ["-2", "0", "2", "4", "6"]),
        (0.0, 3e7, 3, ["0", "1e7", "2e7", "3e7"]),
        (3e-12, 6e-12, 3, ["3e-12", "4e-12", "5e-12", "6e-12"]),
    ],
)
def test_linear(low, high, count, texts):
    assert [text for _, text in ticks.linear(low, high, count)] == texts


def test_a_text_is_its_number():
    rng = np.random.default_rng(1)
    for _ in range(300):
        middle, span = rng.normal() * 10 ** rng.uniform(-8, 8), 10 ** rng.uniform(-6, 6)
        if span < 1e-9 * abs(middle):
            continue
        marks = ticks.linear(middle, middle + span, 5)
        assert 2 <= len(marks) <= 6
        assert len({text for _, text in marks}) == len(marks)
        for value, text in marks:
            assert middle - 1e-6 * span <= value <= middle + span * (1 + 1e-6)
            assert float(text) == pytest.approx(value, rel=1e-9, abs=1e-6 * span)


def test_logarithmic():
    assert [text for _, text in ticks.logarithmic(0.5, 2e3, 6)] == ["1", "10", "100", "1000"]
    assert [value for value, _ in ticks.logarithmic(1e-9, 1.0, 5)] == pytest.approx([1e-9, 1e-7, 1e-5, 1e-3, 0.1])
    assert len(ticks.logarithmic(20.0, 70.0, 4)) >= 2


@pytest.mark.parametrize(
    ("low", "high", "text"),
    [(800, 2200, "2000"), (930, 1070, "1000"), (-5, 3, "0"), (0.0312, 0.0388, "0.035"), (-73, -61, "-70")],
)
def test_roundest(low, high, text):
    value, written = ticks.roundest(low, high)
    assert low <= value <= high
    assert written == text

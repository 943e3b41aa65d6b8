"""SourcedTable: units and sources are enforced, and everything read is remembered."""

import numpy as np
import pytest

from elvis_cli.errors import ResourceError
from elvis_cli.instrument.sourced_table import SourcedTable, overlay, read
from tests.each import each


@pytest.fixture
def facts():
    tree = {
        "sources": {"book": "The Handbook"},
        "waves": {"bands": {"value": [1.0, 2.0], "unit": "um", "source": "x"}},
        "part": {
            "size": {"value": 3, "unit": "mm", "source": "book: p. 7"},
            "guess": {"value": 0.5, "unit": "1", "source": "nobody", "assumed": True},
            "bare": {"value": 1.0, "unit": "s"},
            "unitless": {"value": 1.0, "source": "book"},
            "word": {"value": "x", "unit": "1", "source": "book"},
            "named": {"wave": "bands", "value": [0.2, 0.4], "unit": "1", "source": "book"},
            "nano": {"wave": [500, 600], "wave_unit": "nm", "value": [0, 1], "unit": "1", "outside": 0, "source": "b"},
            "flat": {"value": 0.9, "unit": "1", "source": "book"},
            "short": {"wave": [1.0], "value": [0.2, 0.4], "unit": "1", "source": "book"},
            "back": {"wave": [2.0, 1.0], "value": [0.2, 0.4], "unit": "1", "source": "book"},
        },
    }
    return SourcedTable(tree, "test.toml", root=tree)


def test_what_is_read_is_remembered_with_unit_and_source(facts):
    part = facts.part("part")
    assert part.number("size", "mm") == 3.0
    part.number("guess", "1")
    size, guess = facts.ledger
    assert (size.name, size.value, size.unit, size.source, size.assumed) == (
        "part.size",
        3,
        "mm",
        "The Handbook: p. 7",
        False,
    )
    assert guess.assumed


@each(
    ("name", "unit", "reason"),
    [
        ("bare", "s", "source is missing"),
        ("unitless", "1", "unit or source"),
        ("size", "um", "'mm', needed is 'um'"),
        ("word", "1", "a number is needed"),
        ("absent", "1", "is needed"),
    ],
)
def test_incomplete_numbers_are_refused(facts, name, unit, reason):
    with pytest.raises(ResourceError, match=reason) as caught:
        facts.part("part").number(name, unit)
    assert f"test.toml: part.{name}" in caught.value.message


def test_a_file_may_state_one_source_for_all():
    tree = {"source": "The Table", "bare": {"value": 2.0, "unit": "s"}, "list": [1, 2]}
    facts = SourcedTable(tree, "t", root=tree)
    assert facts.number("bare", "s") == 2.0
    assert facts.value("list", "m") == [1, 2]
    assert [(v.unit, v.source) for v in facts.ledger] == [("s", "The Table"), ("m", "The Table")]


def test_curves(facts):
    part = facts.part("part")
    np.testing.assert_allclose(part.curve("named").at(np.array([0.5, 1.5, 3.0])), [0.2, 0.3, 0.4])
    np.testing.assert_allclose(part.curve("nano").at(np.array([0.4, 0.55, 0.7])), [0.0, 0.5, 0.0])
    np.testing.assert_allclose(part.curve("flat").at(np.array([0.3, 30.0])), 0.9)
    for broken in ("short", "back"):
        with pytest.raises(ResourceError, match="wave must ascend"):
            part.curve(broken)


def test_overlay_merges_tables_and_replaces_numbers():
    base = {"a": {"x": {"value": 1, "unit": "s", "source": "p", "assumed": True}, "y": 2}, "list": [1, 2]}
    patch = {"a": {"x": {"value": 3, "unit": "s", "source": "q"}}, "list": [3]}
    assert overlay(base, patch) == {"a": {"x": patch["a"]["x"], "y": 2}, "list": [3]}
    assert base["list"] == [1, 2]


def test_read_names_the_file_that_is_not_toml(tmp_path):
    bad = tmp_path / "bad.toml"
    bad.write_text("a = = 1")
    for path in (bad, tmp_path / "none.toml"):
        with pytest.raises(ResourceError, match=path.name):
            read(path)

"""The cases that once failed, and a seeded share of new ones: all end as promised."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.fuzz import readers
from tests.fuzz.case import load
from tests.fuzz.judge import judge, watch

KEPT = sorted((Path(__file__).parent / "cases").glob("*.json"))
EACH = 6
"""New cases of each reader."""
SEED = 20301101


@pytest.fixture(scope="module", autouse=True)
def _watched() -> None:
    watch()


@pytest.mark.parametrize("path", KEPT, ids=lambda path: path.stem)
def test_what_once_failed(path: Path) -> None:
    assert judge(load(path.read_text())).fault == ""


def test_files_before_the_damage_are_read() -> None:
    wrong = [(case.argv, verdict) for case in readers.whole() if (verdict := judge(case)).code or verdict.fault]
    assert wrong == []


@pytest.mark.parametrize("reader", readers.READERS)
def test_damaged_input(reader: str) -> None:
    faults = {number: judge(readers.case(SEED, reader, number)).fault for number in range(EACH)}
    assert {number: fault for number, fault in faults.items() if fault} == {}


def test_a_case_is_the_same_each_time() -> None:
    for reader in random.Random(1).sample(list(readers.READERS), 5):
        assert readers.case(7, reader, 3).dump() == readers.case(7, reader, 3).dump()
        assert load(readers.case(7, reader, 3).dump()) == readers.case(7, reader, 3)

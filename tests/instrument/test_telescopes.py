"""Surfaces in a row, and adaptive optics."""

import numpy as np
import pytest

from elvis_cli.errors import ResourceError
from elvis_cli.instrument import telescopes
from elvis_cli.instrument.sourced_table import SourcedTable
from tests.conftest import fact


def surface(**changes):
    tree = {"name": "m", "group": "relay", "temperature": fact(280.0, "K"), "throughput": fact(0.9), **changes}
    return telescopes.make_surface(SourcedTable(tree, "t", root=tree))


def test_what_a_mirror_does_not_reflect_it_emits():
    one = surface()
    assert one.emissivity.at(np.array([1.0])) == pytest.approx(0.1)


@pytest.mark.parametrize("emissivity", [0.1, 0.04])
def test_a_row_of_mirrors_equals_them_one_by_one(emissivity):
    row = surface(count=fact(4), emissivity=fact(emissivity))
    light, emission = 1.0, 0.0
    for _ in range(4):
        light, emission = light * 0.9, emission * 0.9 + emissivity
    at = np.array([2.0])
    assert row.throughput.at(at) == pytest.approx(light)
    assert row.emissivity.at(at) == pytest.approx(emission)


def test_perfect_mirrors_in_a_row_add_their_emission():
    row = surface(count=fact(3), throughput=fact(1.0), emissivity=fact(0.01))
    assert row.emissivity.at(np.array([2.0])) == pytest.approx(0.03)


def test_ao_system_needs_every_field_without_default():
    tree = {"kind": "scao", "wfs": "sh"}
    with pytest.raises(ResourceError, match="subapertures is missing"):
        telescopes.make_ao(SourcedTable(tree, "ao.toml", "scao", tree))

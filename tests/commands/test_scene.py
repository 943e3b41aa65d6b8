"""`elvis scene`: what there is, and requests that every instrument takes."""

import itertools
import json

import pytest

from elvis_cli.errors import RequestError, UsageError
from elvis_cli.instrument import registry, scene_request
from elvis_cli.request import parse
from elvis_cli.scene import library
from tests.each import each


def test_all_parameters_are_listed(elvis):
    shown = elvis("scene")
    assert shown.code == 0
    rows = [line.split("\t") for line in shown.out.decode().splitlines()]
    assert rows[0] == ["scene", "parameter", "default", "description"]
    assert {(row[0], row[1]) for row in rows[1:]} == {(n, p) for n in library.scenes() for p in library.parameters(n)}
    assert json.loads(elvis("scene", "--json").out) == scene_request.listing()


FEW = {"globular-cluster": "stars=5", "star-grid": "n=2", "moving-target": "stars=3"}
"""For many stars PSFs are made all over the field, which is not what is tested here."""


@each(("name", "instrument"), itertools.product(library.scenes(), registry.names()))
def test_every_instrument_has_a_request_for_every_scene(name, instrument):
    document = scene_request.document(name, instrument, None, ())
    assert parse.read(json.dumps(document), strict=True).elvis.scene.name == name


CHEAP = "hawki"
"""The instrument for which every scene is laid out; one or two scenes for each of the others."""
DEAR = ("harmoni", "harps", "andes")
"""Instruments whose predictions take seconds; their requests are made (above) and not predicted."""
TAKEN = [
    *((scene, CHEAP) for scene in library.scenes()),
    *(("companions", name) for name in registry.names() if name not in (CHEAP, *DEAR)),
    *(("star-grid", name) for name in ("crires2", "euclid-vis", "fourmost", "uves")),
]


@pytest.mark.parametrize(("name", "instrument"), TAKEN)
def test_a_scene_is_printed_and_valid(elvis, name, instrument):
    few = ("--set", FEW[name]) if name in FEW else ()
    printed = elvis("scene", name, "--instrument", instrument, *few)
    assert printed.code == 0, printed.err
    assert json.loads(printed.out)["elvis"]["scene"]["name"] == name
    checked = elvis("validate", "--strict", stdin=printed.out)
    assert checked.code == 0, checked.err


def test_modes_and_settings(elvis):
    mode = registry.load("micado").modes()[1].mode
    printed = elvis(
        "scene", "star-grid", "--instrument=micado", f"--mode={mode}", "--set", "n=3", "--set", "/elvis/seed=9"
    )
    document = json.loads(printed.out)
    assert document["instrument"]["ins_configuration"] == mode
    assert (document["elvis"]["scene"]["n"], document["elvis"]["seed"]) == (3, 9)
    assert parse.read(printed.out).elvis.scene.parameters["n"] == 3


def test_lengths_go_with_the_field():
    small, large = (
        scene_request.document("star-grid", name, None, ())["elvis"]["scene"]["spacing"] for name in ("micado", "fors")
    )
    assert large > 20 * small


def test_settings_reach_into_lists_of_objects():
    ring = '[{"radius": 0.4, "width": 0.1, "depth": 0.5}]'
    made = scene_request.document("protoplanetary-disc", "micado", None, [f"rings={ring}"])
    assert made["elvis"]["scene"]["rings"] == json.loads(ring)


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("star-gird", "--instrument", "micado"), 2, "did you mean 'star-grid'"),
        (("star-grid",), 2, "--instrument: which one?"),
        (("star-grid", "--instrument", "nothing"), 69, "no instrument"),
        (("star-grid", "--instrument", "micado", "--mode", "none"), 65, "ins_configuration"),
        (("star-grid", "--instrument", "micado", "--set", "n"), 2, "KEY=VALUE"),
        (("star-grid", "--instrument", "micado", "--set", "n=-1"), 65, "/elvis/scene/n"),
        (("star-grid", "--instrument", "micado", "--set", "spcing=1"), 65, "did you mean 'spacing'"),
        (("star-grid", "--instrument", "micado", "--set", "/instrumentName/x=1"), 2, "no object"),
    ],
)
def test_what_is_wrong_is_said(elvis, arguments, code, said):
    result = elvis("scene", *arguments)
    assert (result.code, result.out) == (code, b"")
    assert said in result.err
    assert len(result.lines) == 1


def test_the_library_raises_the_same():
    with pytest.raises(UsageError):
        scene_request.document("nothing", "micado", None, ())
    with pytest.raises(RequestError):
        scene_request.document("star-grid", "micado", None, ["magnitudes=[1]"])

"""The schema is valid, says everything the reader knows, and accepts what people really send."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import elvis_schemas
import jsonschema
import pytest

from elvis_cli.errors import RequestError
from elvis_cli.instrument import registry
from elvis_cli.model.elvis_block import ElvisBlock
from elvis_cli.model.request import Morphology, Request, Sed, SkyConditions
from elvis_cli.request import normalise, schema_check
from elvis_cli.request.parse import read
from elvis_cli.scene import bands

CORPUS = sorted((Path(__file__).parents[1] / "data" / "etc").glob("*.json"))
SCHEMA = elvis_schemas.load()
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)
"""Checks documents alone: ``jsonschema.validate`` checks the schema again at every call."""


def leaves(schema: dict[str, Any], pointer: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    for name, member in schema.get("properties", {}).items():
        where = f"{pointer}/{name}"
        yield where, member
        yield from leaves(member, where)


LEAVES = dict(leaves(SCHEMA))


def test_it_is_a_valid_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    assert SCHEMA["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert json.loads(elvis_schemas.text()) == SCHEMA


def test_the_corpus_is_here() -> None:
    assert len(CORPUS) == 74


@pytest.mark.parametrize("path", CORPUS, ids=lambda p: p.stem)
def test_it_accepts_the_corpus(path: Path) -> None:
    VALIDATOR.validate(json.loads(path.read_text()))


def examples() -> list[tuple[str, str]]:
    return [(mode.instrument, mode.mode) for name in registry.names() for mode in registry.load(name).modes()]


@pytest.mark.parametrize(("name", "mode"), examples())
def test_it_accepts_the_examples(name: str, mode: str) -> None:
    document = registry.load(name).example(mode)
    VALIDATOR.validate(document)
    request = read(json.dumps(document), strict=True)
    assert request.instrument == name
    assert request.warnings == ()


def test_everything_is_described() -> None:
    assert [pointer for pointer, leaf in LEAVES.items() if not leaf.get("description")] == []


def test_every_number_has_limits() -> None:
    def numbers(leaf: dict[str, Any]) -> Iterator[dict[str, Any]]:
        for part in (leaf, leaf.get("items", {})):
            kinds = part.get("type", [])
            if {"number", "integer"} & set([kinds] if isinstance(kinds, str) else kinds):
                yield part

    unlimited = [
        pointer
        for pointer, leaf in LEAVES.items()
        for part in numbers(leaf)
        if "maximum" not in part or not ("minimum" in part or "exclusiveMinimum" in part)
    ]
    assert unlimited == []


def test_every_text_has_a_limit() -> None:
    texts = [
        (pointer, part)
        for pointer, leaf in LEAVES.items()
        for part in (leaf, leaf.get("items", {}))
        if "string" in part.get("type", ())
    ]
    assert len(texts) > 10
    assert [pointer for pointer, part in texts if not {"maxLength", "pattern"} & set(part)] == []


def test_null_means_not_given() -> None:
    needed = (
        *("/elvis/window/", "/elvis/pointing/ra", "/elvis/pointing/dec", "/elvis/place/", "/elvis/catalogue/"),
        *("/elvis/sed/wavelength_um", "/elvis/sed/flux"),
        *("/elvis/scene/", "/elvis/motion/", "/elvis/image/data", "/elvis/image/shape", "/elvis/image/scale"),
        *("/elvis/ao/guide_star/x", "/elvis/ao/guide_star/y"),
        *("/elvis/cube/data", "/elvis/cube/shape", "/elvis/cube/scale", "/elvis/cube/wavelength_um"),
        *("/elvis/psf/data", "/elvis/psf/shape", "/elvis/psf/scale", "/elvis/psf/field/"),
        *("/elvis/previous/dit", "/elvis/previous/chips"),
        *(f"/elvis/obs/{key}" for key in ("id", "name", "programme", "target", "start", "template")),
        *(f"/elvis/template/{key}" for key in ("id", "name", "start", "nexp", "expno")),
    )
    for pointer, leaf in LEAVES.items():
        jsonschema_accepts = jsonschema.Draft202012Validator(leaf).is_valid(None)
        assert jsonschema_accepts != pointer.startswith(needed), pointer


def test_bands_are_those_of_the_photometry() -> None:
    named = LEAVES["/target/brightness/magband"]["enum"]
    assert set(named) - {None} == set(bands.NAMES)
    assert named == LEAVES["/target/brightness/params/magband"]["enum"]


def test_defaults_are_those_of_the_request() -> None:
    request = read('{"instrumentName": "x"}')
    flat = {
        "/target/morphology/index": Morphology().index,
        "/target/morphology/radius": Morphology().radius,
        "/target/morphology/ellipticity": Morphology().ellipticity,
        "/target/morphology/angle": Morphology().angle,
        "/target/morphology/morphologytype": request.target.morphology.kind,
        "/target/sed/sedtype": "spectrum",
        "/target/sed/spectrum/spectrumtype": request.target.sed.kind,
        "/target/sed/spectrum/params/catalog": request.target.sed.catalog,
        "/target/sed/spectrum/params/id": request.target.sed.id,
        "/target/sed/spectrum/params/temperature": Sed().temperature,
        "/target/sed/spectrum/params/exponent": Sed().exponent,
        "/target/sed/emissionline/params/lambda": Sed().line_wavelength,
        "/target/sed/emissionline/params/fwhm": Sed().line_fwhm,
        "/target/sed/extinctionav": Sed().extinction_av,
        "/target/sed/redshift/redshift": Sed().redshift,
        "/target/sed/redshift/baryvelcor": Sed().velocity,
        "/target/brightness/brightnesstype": request.target.brightness.kind,
        "/target/brightness/magband": request.target.brightness.band,
        "/target/brightness/mag": request.target.brightness.mag,
        "/target/brightness/magsys": request.target.brightness.system,
        "/sky/airmass": request.sky.airmass,
        "/sky/fli": request.sky.fli,
        "/sky/waterVapour": request.sky.pwv,
        "/sky/moonDistance": request.sky.moon_distance,
        "/sky/moon_alt": request.sky.moon_altitude,
        "/sky/airglowEnabled": request.sky.airglow,
        "/seeing/separation": request.image_quality.separation,
        "/elvis/seed": request.elvis.seed,
        "/elvis/sky": request.elvis.sky,
        "/elvis/product": request.elvis.product,
        "/elvis/exposure": request.elvis.exposure,
        "/elvis/offset": list(request.elvis.offset),
        "/elvis/skip": list(request.elvis.skip),
        "/elvis/also": list(request.elvis.also),
        "/elvis/keep": list(request.elvis.keep),
        "/elvis/reads": request.elvis.reads,
        "/elvis/barycentric": request.elvis.barycentric,
        "/elvis/airglow": request.sky.airglow_scale,
        "/elvis/previous/count": 1,
        "/elvis/previous/gap": 0,
        "/elvis/pointing/position_angle": 0,
        "/elvis/image/position_angle": 0,
        "/elvis/cube/position_angle": 0,
        "/elvis/cube/absolute": False,
        "/elvis/sed/absolute": False,
    }
    assert {pointer: leaf["default"] for pointer, leaf in LEAVES.items() if "default" in leaf} == flat
    # ... and the reader leaves nothing else than what the dataclasses say themselves.
    assert (request.sky, request.elvis, request.target) == (SkyConditions(), ElvisBlock(), type(request.target)())
    assert isinstance(request, Request)


@pytest.mark.parametrize("key", [*normalise.DIT_KEYS, *normalise.COUNT_KEYS, *normalise.SNR_KEYS])
def test_every_name_the_reader_looks_up_is_described(key: str) -> None:
    assert f"/timesnr/{key}" in LEAVES


def test_members_are_the_keys_of_the_elvis_block() -> None:
    block = set(SCHEMA["properties"]["elvis"]["properties"])
    assert block - {"sed", "airglow", "vsini", "macroturbulence"} == set(ElvisBlock.__dataclass_fields__)


def test_a_right_request_loads_no_slow_validator() -> None:
    document = json.dumps(registry.load("micado").example())
    code = "import sys; from elvis_cli.request import parse; parse.read(sys.stdin.read()); print(*sys.modules)"
    seen = subprocess.run([sys.executable, "-c", code], input=document, capture_output=True, text=True, check=True)
    assert "jsonschema_rs" in seen.stdout.split()
    assert "jsonschema" not in seen.stdout.split()


@pytest.mark.parametrize("block", [{"seed": -1}, {"scene": {"name": "nope"}}, {"motion": {"rate": "fast"}}])
def test_what_the_quick_validator_refuses_is_explained(block: dict[str, Any]) -> None:
    document = {**registry.load("micado").example(), "elvis": block}
    with pytest.raises(RequestError) as refused:
        schema_check.check(document)
    assert refused.value.details["pointer"].startswith("/elvis/" + next(iter(block)))


def test_what_is_not_of_json_is_left_to_the_other_validator() -> None:
    """An option's value may be a tuple, which the quick one does not know."""
    with pytest.raises(RequestError, match="/elvis/seed"):
        schema_check.check({"instrumentName": "micado", "elvis": {"seed": (1, 2)}})

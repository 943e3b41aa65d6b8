"""The README tells all that the command line can do, and what it tells is true."""

import json
import re
from pathlib import Path

import pytest
import typer

from elvis_cli import cli, errors
from elvis_cli.instrument import registry
from elvis_cli.model.elvis_block import ElvisBlock
from elvis_cli.scene import library

README = (Path(__file__).parents[1] / "README.md").read_text()
COMMANDS = typer.main.get_command(cli.app)


def option_names():
    for command in (COMMANDS, *COMMANDS.commands.values()):
        if command.hidden:
            continue
        for parameter in command.params:
            yield from (name for name in (*parameter.opts, *parameter.secondary_opts) if name.startswith("--"))


@pytest.mark.parametrize("name", sorted(name for name, command in COMMANDS.commands.items() if not command.hidden))
def test_every_command_is_described(name):
    assert f"elvis {name}" in README


@pytest.mark.parametrize("name", sorted(set(option_names()) - {"--help"}))
def test_every_option_is_described(name):
    assert name in README


OTHERS = {"--filter", "--pipe"}
"""Options of other programs in a pipe: split, GNU parallel."""


@pytest.mark.parametrize("name", sorted(set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", README)) - OTHERS))
def test_every_described_option_exists(name):
    assert name in option_names()


@pytest.mark.parametrize("name", sorted(ElvisBlock.__dataclass_fields__))
def test_every_key_of_the_block_is_described(name):
    assert f'"{name}"' in README


@pytest.mark.parametrize("name", registry.names())
def test_every_instrument_is_described(name):
    assert f"`{name}`" in README


def test_every_exit_code_is_described():
    codes = {
        error.exit_code
        for error in vars(errors).values()
        if isinstance(error, type) and issubclass(error, errors.ElvisError)
    }
    for code in codes | {0}:
        assert f"| {code} |" in README


def test_the_documented_block_is_valid(elvis, micado):
    rows = re.findall(r'\| `("\w+": [^`]*)`', README)
    block = {}
    for row in rows:
        block.update(json.loads("{" + row.replace("[...]", "[]") + "}"))
    of_files = ("sed", "catalogue", "image", "cube", "psf", "previous")
    for key in ("stages", "skip", "only", "also", "order", "keep", "date", *of_files):
        block.pop(key, None)
    block["window"], block["chips"] = {"x0": 0, "y0": 0, "nx": 16, "ny": 16}, [1]
    assert elvis(stdin=json.dumps(micado({"elvis": block}))).code == 0


@pytest.mark.parametrize("name", library.scenes())
def test_every_scene_is_described(name):
    assert f"`{name}`" in README or f"elvis scene {name}" in README

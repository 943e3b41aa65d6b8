"""README.md and the pages of `elvis help` describe all of the command line, and their commands run.

``python -m tests.test_docs`` renders their generated parts anew: the table of options, the files of the tutorial.
"""

from __future__ import annotations

import enum
import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any, NamedTuple, get_args

import numpy as np
import pytest
import typer
from astropy.io import fits
from PIL import Image

from elvis_cli import errors
from elvis_cli.commands import help as guide
from elvis_cli.commands import help_format, options
from elvis_cli.commands.command_line import app
from elvis_cli.instrument import registry
from elvis_cli.model.elvis_block import ElvisBlock
from elvis_cli.scene import library
from tests import forked_elvis

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "elvis_cli" / "help"
PLUGIN = ROOT / "tests" / "plugin_package"
PAGES = {"README": (ROOT / "README.md").read_text(), **{path.stem: path.read_text() for path in FOLDER.glob("*.md")}}
TEXT = "\n".join(PAGES.values())
COMMANDS = typer.main.get_command(app)
SHOWN = {name: command for name, command in COMMANDS.commands.items() if not command.hidden}


def word(text: str) -> re.Pattern[str]:
    """Return the pattern of a command or option that is not part of a longer one."""
    return re.compile(rf"(?<![\w-]){re.escape(text)}(?![\w-])")


def nested(commands: dict[str, Any]) -> list[Any]:
    """Return the commands and those inside them."""
    inside = [each for command in commands.values() for each in nested(getattr(command, "commands", {}))]
    return [*commands.values(), *inside]


def option_names() -> set[str]:
    parameters = [parameter for command in (COMMANDS, *nested(SHOWN)) for parameter in command.params]
    return {name for p in parameters for name in (*p.opts, *p.secondary_opts) if name.startswith("--")} - {"--help"}


# Completeness


def test_every_page_is_a_topic():
    assert sorted(guide.TOPICS) == sorted(set(PAGES) - {"README"})


@pytest.mark.parametrize("name", sorted(SHOWN))
def test_every_command_is_described(name):
    assert word(f"elvis {name}").search(TEXT)


@pytest.mark.parametrize("name", sorted(option_names()))
def test_every_option_is_described(name):
    assert word(name).search(TEXT)


OTHERS = {"--data-binary", "--help", "--filter", "--pipe", "--editable"}
"""Options of other programs in a pipe (curl, split, GNU parallel, pip), and the parser's own."""


def test_every_described_option_exists():
    assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", TEXT)) <= option_names() | OTHERS


def test_options_are_words():
    assert not word("--mode").search("elvis --model psf=x.fits")
    assert not word("elvis ob").search("elvis ob-server")


@pytest.mark.parametrize("name", sorted(ElvisBlock.__dataclass_fields__))
def test_every_key_of_the_block_is_described(name):
    assert f'| `"{name}": ' in PAGES["request"] or f'"{name}"' in PAGES["request"]


@pytest.mark.parametrize("name", registry.names())
def test_every_instrument_is_described(name):
    assert f"`{name}`" in PAGES["README"]


@pytest.mark.parametrize("name", library.scenes())
def test_every_scene_is_described(name):
    assert f"| `{name}` |" in PAGES["scenes"]


def test_every_exit_code_is_described():
    codes = {
        error.exit_code
        for error in vars(errors).values()
        if isinstance(error, type) and issubclass(error, errors.ElvisError)
    }
    for code in codes | {0}:
        assert f"| {code} |" in PAGES["exit-codes"]


def test_the_documented_block_is_valid(elvis, micado):
    rows = re.findall(r'\| `("\w+": [^`]*)`', PAGES["request"])
    block = {}
    for row in rows:
        block.update(json.loads("{" + row.replace("[...]", "[]") + "}"))
    of_files = ("sed", "catalogue", "image", "cube", "psf", "previous")
    for key in ("arm", "mask", "polarisation", "stages", "skip", "only", "also", "order", "keep", "date", *of_files):
        block.pop(key, None)
    block.pop("offset")  # place stands for it
    block["window"], block["chips"] = {"x0": 0, "y0": 0, "nx": 16, "ny": 16}, [1]
    result = elvis(stdin=json.dumps(micado({"elvis": block})))
    assert result.code == 0, result.err


def test_the_readme_is_one_page_with_a_small_picture():
    assert len(PAGES["README"].splitlines()) <= 150
    (picture,) = re.findall(r"!\[.*\]\((.*)\)", PAGES["README"])
    assert (ROOT / picture).stat().st_size <= 60_000
    for link in re.findall(r"\]\(([^)]*)\)", PAGES["README"]):
        assert (ROOT / link).is_file(), link


# `elvis help`


def test_help_lists_the_topics_and_prints_their_pages(elvis):
    listed = dict(line.split("\t") for line in elvis("help").out.decode().splitlines()[1:])
    assert list(listed) == list(guide.TOPICS)
    assert listed["sky"] == "The sky: transmission and emission"
    for topic in guide.TOPICS:
        page = elvis("help", topic)
        assert page.code == 0
        assert page.out.decode().startswith(f"# {listed[topic]}\n")
        assert b"<!--" not in page.out


def test_an_unknown_topic_names_the_nearest(elvis):
    result = elvis("help", "observin")
    assert (result.code, result.out) == (2, b"")
    assert "did you mean 'observing'?" in result.err


def test_help_has_commands_first_and_options_in_groups(elvis):
    shown = elvis("--help").out.decode()
    headings = re.findall(r"^(\w[\w ]*):$", shown, flags=re.MULTILINE)
    assert headings[0] == "Commands"
    assert [name for name in help_format.GROUPS if name in headings] == headings[1:]
    assert len(headings) > 8
    assert "..." not in shown.partition("Options:")[0].replace("[ARGS]...", "")


# Generated parts


def render_options() -> str:
    """Return the table of the options that change a request, as on the page `request`."""
    groups: dict[str, list[str]] = {}
    for name, parameter in options._collected().items():
        kind, option = get_args(parameter.annotation)
        flags = " ".join(option.param_decls or ["--" + name.replace("_", "-")]).replace("/", " ")
        value = option.metavar or "|".join(choices(kind))
        if not value and bool not in (kind, *get_args(kind)):
            value = "FILE" if Path in get_args(kind) else "N"
        shown = f"{flags} {value}".strip().replace("|", "\\|")
        groups.setdefault(option.rich_help_panel, []).append(f"`{shown}` | {option.help} |")
    rows = [f"| {name} | {row}" for name in help_format.GROUPS for row in groups.get(name, ())]
    return "\n".join(["| group | option | meaning |", "|---|---|---|", *rows])


def choices(kind: Any) -> list[str]:
    """Return the values of an enumeration, or of the one in a union."""
    return [str(m) for k in (kind, *get_args(kind)) if isinstance(k, type) and issubclass(k, enum.Enum) for m in k]


def generated(page: str) -> str:
    """Return a page with its table of options and its files of the tutorial rendered anew."""
    page = re.sub(
        r"(<!-- options -->\n).*?(<!-- end of options -->)",
        lambda found: f"{found[1]}{render_options()}\n{found[2]}",
        page,
        flags=re.DOTALL,
    )
    return re.sub(
        r"(<!-- file: (\S+) -->\n```\w+\n).*?(^```$)",
        lambda found: found[1] + (PLUGIN / found[2]).read_text() + found[3],
        page,
        flags=re.DOTALL | re.MULTILINE,
    )


@pytest.mark.parametrize("name", ["request", "plugins"])
def test_generated_parts_are_up_to_date(name):
    assert generated(PAGES[name]) == PAGES[name], "python -m tests.test_docs renders them"


# Examples


class Block(NamedTuple):
    """A code block of commands, the reason why it does not run, and lines of its output that the page shows."""

    commands: str
    reason: str
    output: list[str]


def blocks(page: str) -> list[Block]:
    found = re.findall(
        r"(?:<!-- not run: ([^\n]*) -->\n)?^```sh\n(.*?)^```$(?:\n+```text\n(.*?)^```$)?",
        page,
        re.DOTALL | re.MULTILINE,
    )
    return [Block(commands, reason, output.splitlines()) for reason, commands, output in found]


@pytest.fixture(scope="module")
def shell(tmp_path_factory):
    """Return a function that runs a script in a folder, with a warm `elvis` and the tutorial's plugin."""
    folder = tmp_path_factory.mktemp("docs")
    shutil.copytree(PLUGIN / "src", folder / "site")
    metadata = folder / "site" / "elvis_pinhole-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: elvis-pinhole\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text("[elvis.instruments]\npinhole = elvis_pinhole:PLUGIN\n")
    with forked_elvis.install(folder, folder / "site") as bin_folder:

        def run(script: str, work: Path) -> subprocess.CompletedProcess[str]:
            environment = {**os.environ, "PATH": f"{bin_folder}{os.pathsep}{os.environ['PATH']}"}
            return subprocess.run(
                ["bash", "-e", "-o", "pipefail", "-c", script],
                cwd=work,
                env=environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                check=False,
                timeout=120,
            )

        yield run


def write_inputs(folder: Path) -> None:
    """Write the FITS files that the pages read: galaxy.fits, cube.fits, psf.fits."""
    y, x = np.indices((16, 16)) - 7.5
    blob = np.exp(-(x**2 + y**2) / 8).astype(np.float32)
    axes = {"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRPIX1": 8.5, "CRPIX2": 8.5, "CRVAL1": 0, "CRVAL2": 0}
    axes |= {"CDELT1": -3e-5, "CDELT2": 3e-5, "CUNIT1": "deg", "CUNIT2": "deg"}
    spectral = {"CTYPE3": "WAVE", "CRPIX3": 1, "CRVAL3": 0.3e-6, "CDELT3": 0.2e-6, "CUNIT3": "m"}
    for name, data, cards in (
        ("galaxy", blob, axes),
        ("cube", np.stack([blob] * 5), axes | spectral),
        ("psf", blob, {"PIXSCALE": 0.004}),
    ):
        fits.PrimaryHDU(data, fits.Header(cards)).writeto(folder / f"{name}.fits")


@pytest.mark.parametrize("name", ["README", *guide.TOPICS])
def test_examples_run(name, shell, tmp_path):
    write_inputs(tmp_path)
    for block in blocks(PAGES[name]):
        if block.reason:
            continue
        done = shell(block.commands, tmp_path)
        assert done.returncode == 0, f"{block.commands}\n{done.stderr}"
        printed = done.stdout + done.stderr
        for line in block.output:
            assert line == "..." or line in printed, f"{block.commands}\n{printed[:4000]}"


def test_every_command_of_a_page_is_in_a_block_that_is_run_or_marked():
    for name, page in PAGES.items():
        assert len(re.findall(r"^```sh$", page, re.MULTILINE)) == len(blocks(page)), name
        outside = re.sub(r"^```.*?^```$", "", page, flags=re.DOTALL | re.MULTILINE)
        assert not re.search(r"^(?: {4}|\t)", outside, re.MULTILINE), f"{name}: an indented code block"


def test_the_picture_of_the_readme_has_the_size_of_its_command():
    with Image.open(FOLDER / "disc.png") as picture:
        assert "208" in re.search(r"preview disc.fits --size (\d+)", PAGES["README"])[0]
        assert picture.text["Area"]


if __name__ == "__main__":
    for path in FOLDER.glob("*.md"):
        path.write_text(generated(path.read_text()))

"""`elvis help`: the guide, a page of Markdown for each topic."""

from __future__ import annotations

from importlib.resources import files
from typing import Annotated

import typer

from elvis_cli.commands.console import table, write
from elvis_cli.errors import UsageError, choice_error

TOPICS = (
    "request",
    "scenes",
    "spectra",
    "files",
    "calibrations",
    "detector",
    "ao",
    "coronagraphs",
    "sky",
    "observing",
    "batch",
    "observatory",
    "service",
    "archive",
    "output",
    "exit-codes",
    "reduction",
    "plugins",
    "changes",
    "contributing",
)
"""Topics in reading order; each is a file of ``elvis_cli/help``."""


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command(name="help")(print_topic)


def print_topic(
    topic: Annotated[str | None, typer.Argument(help="Topic; without it, all topics are listed.")] = None,
) -> None:
    """Print a topic of the guide, or list the topics."""
    if topic is None:
        table(("topic", "about"), [(name, title(name)) for name in TOPICS])
    elif topic not in TOPICS:
        error = choice_error("", topic, TOPICS)
        raise UsageError(f"topic {error.message.removeprefix('/: ')}", **error.details)
    else:
        # Comments are for the test that runs the examples.
        write("\n".join(line for line in page(topic).rstrip().splitlines() if not line.startswith("<!--")))


def page(topic: str) -> str:
    """Return the Markdown text of a topic."""
    return files("elvis_cli").joinpath("help", f"{topic}.md").read_text(encoding="utf-8")


def title(topic: str) -> str:
    """Return the heading of a topic's page, without its mark."""
    return page(topic).partition("\n")[0].removeprefix("# ")

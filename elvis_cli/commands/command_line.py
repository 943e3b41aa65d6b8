"""The command line: all commands and options, and what its parser's errors mean."""

from __future__ import annotations

import typer

from elvis_cli.commands import (
    archive,
    batch,
    detection,
    explain,
    help,
    instruments,
    ob,
    obscore,
    observatory,
    preview,
    reduce,
    render,
    scene,
    schema,
    serve,
    stages,
    survey,
    validate,
    warm,
)
from elvis_cli.errors import UsageError

app = typer.Typer(
    name="elvis",
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for module in (
    render,
    preview,
    validate,
    explain,
    instruments,
    scene,
    schema,
    stages,
    survey,
    ob,
    batch,
    observatory,
    serve,
    archive,
    obscore,
    detection,
    reduce,
    help,
    warm,
):
    module.register(app)

_USAGE = typer.BadParameter.__mro__[2]
"""The base of the command line parser's own errors (typer brings its parser along under several names)."""


def run_command(argv: list[str]) -> int | None:
    """Run a command line and return its exit code if it has one of its own.

    Raises
    ------
    ElvisError
        The command line, or what it names, is wrong.
    KeyboardInterrupt
        The user stopped it.
    """
    try:
        code: int | None = app(args=argv, prog_name="elvis", standalone_mode=False)
        return code
    except typer.Abort as stop:  # the parser makes it of an interrupt, and of any EOFError
        raise stop.__cause__ if isinstance(stop.__cause__, EOFError) else KeyboardInterrupt from None
    except _USAGE as error:  # type: ignore[misc]
        raise UsageError(error.format_message()) from None

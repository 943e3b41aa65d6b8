"""Standard input and output of the commands: binary, all or nothing, never a terminal."""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager
from pathlib import Path
from typing import BinaryIO

from elvis_cli.commands.console import say
from elvis_cli.errors import OutputError, UsageError
from elvis_cli.model.limits import read_all

HELP = """elvis renders the detector frames of an ETC request: ETC JSON on stdin, FITS on stdout.

  elvis example micado | elvis > micado.fits
  elvis < etc.json > out.fits
  elvis instruments
  elvis help
  elvis --help"""


class HelpShownError(Exception):
    """The short help was printed instead of anything else."""

    exit_code = UsageError.exit_code


def sink(output: Path | None) -> AbstractContextManager[BinaryIO]:
    """Return the stream for a file, or for stdout; it is written whole or not at all."""
    from elvis_cli.product.sinks import file_sink, stdout_sink

    return file_sink(output) if output else stdout_sink()


def stdin(help_too: bool = False) -> bytes:
    """Return all of stdin. If it is a terminal, print the short help (HelpShownError) or refuse it."""
    if help_too and sys.stdin is not None and sys.stdin.isatty():
        for line in HELP.splitlines():
            say(line)
        raise HelpShownError
    return read_all(binary_stdin())


def binary_stdin() -> BinaryIO:
    """Return stdin, which must not be a terminal."""
    if sys.stdin is None:
        raise UsageError("stdin is closed")
    if sys.stdin.isatty():
        raise UsageError("stdin is a terminal: redirect a file with < or use a pipe")
    return sys.stdin.buffer


def check_stdout(output: Path | None) -> None:
    """Refuse to write binary to a terminal."""
    if output is None:
        if sys.stdout is None:
            raise OutputError("stdout is closed")
        if sys.stdout.isatty():
            raise UsageError("stdout is a terminal and the output is binary: redirect it, or use -o FILE")

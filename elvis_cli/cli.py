"""The process: argv, signals and exit codes. The only file that exits; the commands are in `elvis_cli.commands`."""

from __future__ import annotations

import os
import signal
import sys
import warnings
from itertools import pairwise
from typing import NoReturn

import typer

from elvis_cli.commands import (
    batch,
    explain,
    help,
    instruments,
    ob,
    preview,
    render,
    scene,
    schema,
    stages,
    survey,
    validate,
    warm,
)
from elvis_cli.commands.console import begin
from elvis_cli.errors import ElvisError, UsageError, expected

app = typer.Typer(
    name="elvis",
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for module in (render, preview, validate, explain, instruments, scene, schema, stages, survey, ob, batch, help, warm):
    module.register(app)


class _Terminated(BaseException):
    """SIGTERM or SIGHUP: unwinds the stack, so that temporary files go."""

    def __init__(self, number: int) -> None:
        self.exit_code = 128 + number


def main() -> NoReturn:
    """Run the command line of this process and exit."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # else nohup would be in vain
            signal.signal(number, _terminate)
    if not os.environ.get("ELVIS_DEBUG"):
        warnings.simplefilter("ignore")
    code = run(sys.argv[1:])
    # All is flushed and cleaned up: unloading half a hundred modules would only cost time, and the interpreter
    # would try again, loudly, to write what a broken pipe did not take.
    os._exit(code)


def _terminate(number: int, _frame: object) -> NoReturn:
    raise _Terminated(number)


def run(argv: list[str]) -> int:
    """Run one command line on this process's standard streams and return its exit code."""
    console = begin(_wants_json(argv))
    try:
        return app(args=argv, prog_name="elvis", standalone_mode=False) or console.done()
    except (KeyboardInterrupt, typer.Abort):
        return 128 + signal.SIGINT
    except _Terminated as stop:
        return stop.exit_code
    except (BrokenPipeError, SystemExit):  # the reader has what it wanted; typer makes a SystemExit of it
        return 128 + signal.SIGPIPE
    except ElvisError as error:
        failure = error
    except Exception as error:
        failure = _translate(error)
    return console.fail(failure)


def _translate(error: Exception) -> ElvisError:
    """Return an unexpected exception as an error of ours."""
    if isinstance(error, _USAGE):
        return UsageError(error.format_message())  # type: ignore[attr-defined]
    if os.environ.get("ELVIS_DEBUG"):
        raise error
    return expected(error)


_USAGE = typer.BadParameter.__mro__[2]
"""The base of the command line parser's own errors (typer brings its parser along under several names)."""


def _wants_json(argv: list[str]) -> bool:
    # Looked for by hand, because a wrong command line must be reported in JSON too.
    return "--errors=json" in argv or ("--errors", "json") in pairwise(argv)


if __name__ == "__main__":
    main()

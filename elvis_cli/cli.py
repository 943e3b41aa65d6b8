"""The process: argv, signals and exit codes. The only file that exits; commands: `elvis_cli.commands.command_line`."""

from __future__ import annotations

import signal

# While modules are loaded an interrupt ends the process quietly: there is nothing to clean up yet.
_INTERRUPTIBLE = signal.getsignal(signal.SIGINT) is signal.default_int_handler
if _INTERRUPTIBLE:
    try:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    except ValueError:  # this is not the main thread
        _INTERRUPTIBLE = False

import gc  # noqa: E402
import os  # noqa: E402
import resource  # noqa: E402
import sys  # noqa: E402
import warnings  # noqa: E402
from itertools import pairwise  # noqa: E402
from typing import NoReturn  # noqa: E402

from elvis_cli.commands import filter  # noqa: E402
from elvis_cli.commands.console import begin  # noqa: E402
from elvis_cli.commands.standard_streams import HelpShownError  # noqa: E402
from elvis_cli.errors import ElvisError, NotEnoughMemoryError, UsageError, expected  # noqa: E402

GC_THRESHOLD = 500_000
"""Objects between searches for cycles: more than a start has, which are all kept; a search takes 2 % of a frame."""

MIN_ADDRESS_SPACE = 800 * 2**20
"""Bytes of address space that the libraries need; with less they end the process without a word."""

if _INTERRUPTIBLE:
    signal.signal(signal.SIGINT, signal.default_int_handler)


_received: list[int] = []
"""Exit codes of the signals that have come; what fails while the stack unwinds is no fault."""


class _Terminated(BaseException):
    """SIGTERM or SIGHUP: unwinds the stack, so that temporary files go."""

    def __init__(self, number: int) -> None:
        self.exit_code = 128 + number


def main() -> NoReturn:
    """Run the command line of this process and exit."""
    gc.set_threshold(GC_THRESHOLD)
    try:
        for number in (signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) is not signal.SIG_IGN:  # else nohup would be in vain
                signal.signal(number, _terminate)
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            signal.signal(signal.SIGINT, _terminate)
        if not os.environ.get("ELVIS_DEBUG"):
            warnings.simplefilter("ignore")
            sys.unraisablehook = _unraisable
        code = run(sys.argv[1:])
    except KeyboardInterrupt:
        code = 128 + signal.SIGINT
    except _Terminated as stop:
        code = stop.exit_code
    # All is flushed and cleaned up: unloading half a hundred modules would only cost time, and the interpreter
    # would try again, loudly, to write what a broken pipe did not take.
    os._exit(code)


def _terminate(number: int, _frame: object) -> NoReturn:
    """Unwind the stack; objects that are half made may complain, unheard."""
    sys.unraisablehook = lambda _: None
    _received.append(128 + number)
    raise KeyboardInterrupt if number == signal.SIGINT else _Terminated(number)


def _unraisable(unraisable: sys.UnraisableHookArgs) -> None:
    """Report an exception that nothing can catch, unless a signal raised it."""
    if not isinstance(unraisable.exc_value, (KeyboardInterrupt, _Terminated)):
        sys.__unraisablehook__(unraisable)


def run(argv: list[str]) -> int:
    """Run one command line on this process's standard streams and return its exit code."""
    console = begin(_wants_json(argv))
    try:
        _check_address_space()
        if wrong := next((word for word in argv if "\0" in word), None):
            raise UsageError(f"an argument holds a NUL character: {wrong[:60]!r}")
        if filter.is_bare(argv):
            filter.bare()
            return console.done()
        from elvis_cli.commands.command_line import run_command

        return run_command(argv) or console.done()
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    except (_Terminated, HelpShownError) as stop:
        return stop.exit_code
    except (BrokenPipeError, SystemExit):  # the reader has what it wanted; typer makes a SystemExit of it
        return 128 + signal.SIGPIPE
    except ElvisError as error:
        failure = error
    except Exception as error:
        if os.environ.get("ELVIS_DEBUG"):
            raise
        failure = expected(error)
    return _received[0] if _received else console.fail(failure)


def _check_address_space() -> None:
    """Refuse to start in less memory than the libraries need."""
    most = resource.getrlimit(resource.RLIMIT_AS)[0]
    if most != resource.RLIM_INFINITY and most < MIN_ADDRESS_SPACE:
        least = f"elvis needs {MIN_ADDRESS_SPACE >> 20} (ulimit -v {MIN_ADDRESS_SPACE >> 10})"
        raise NotEnoughMemoryError(f"not enough memory: this process may have {most >> 20} MiB, {least}")


def _wants_json(argv: list[str]) -> bool:
    # Looked for by hand, because a wrong command line must be reported in JSON too.
    return "--errors=json" in argv or ("--errors", "json") in pairwise(argv)


if __name__ == "__main__":
    main()

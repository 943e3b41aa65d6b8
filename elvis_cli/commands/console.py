"""Lines on stderr, tables and text on stdout. The only file that prints."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any

from elvis_cli.errors import ElvisError, OutputError

LONGEST_LINE = 2000
"""Characters of a message or note."""


class Console:
    """Messages on stderr: lines, or with ``--errors json`` one object at the end."""

    def __init__(self, as_json: bool) -> None:
        self.as_json = as_json
        self.notes: list[str] = []

    def note(self, lines: Iterable[str]) -> None:
        """Print each line once."""
        for line in map(shortened, lines):
            if line not in self.notes:
                self.notes.append(line)
                if not self.as_json:
                    say(f"elvis: note: {line}")

    def fail(self, error: ElvisError) -> int:
        """Print the error and return its exit code."""
        members = {**error.as_dict(), "notes": self.notes}
        say(json.dumps(members, default=str) if self.as_json else f"elvis: {shortened(error.message)}")
        return error.exit_code

    def done(self) -> int:
        """Finish without an error."""
        if self.as_json and self.notes:
            say(json.dumps({"exit_code": 0, "notes": self.notes}))
        return 0


def shortened(line: str) -> str:
    """Return a line without its middle if it is longer than a person reads: names in a file may be of any length."""
    return line if len(line) <= LONGEST_LINE else f"{line[: LONGEST_LINE - 210]} ... {line[-200:]}"


_console = Console(as_json=False)


def begin(as_json: bool) -> Console:
    """Return a new Console, which `note` uses from now on."""
    global _console  # noqa: PLW0603
    _console = Console(as_json)
    return _console


def note(lines: Iterable[str]) -> None:
    """Print notes for the user on stderr."""
    _console.note(lines)


def say(line: str) -> None:
    """Write one printable line to stderr; control characters are escaped."""
    if sys.stderr is not None:  # else print would choose stdout
        with suppress(OSError):
            print("".join(c if c.isprintable() else repr(c)[1:-1] for c in line), file=sys.stderr, flush=True)


def write(text: str) -> None:
    """Write text to stdout, now, so that a full disk or a closed pipe is noticed; no part of it stays in a file."""
    from elvis_cli.product.sinks import cut_back

    if sys.stdout is None:
        raise OutputError("stdout is closed")
    try:
        with cut_back(sys.stdout):
            print(text, flush=True)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OutputError(f"cannot write standard output: {error.strerror}") from error


def print_json(value: object) -> None:
    """Write a value as indented JSON."""
    write(json.dumps(value, indent=2))


def cell(value: Any) -> str:
    """Return the text of a value in a table."""
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> None:
    """Print a table: aligned on a terminal, tab-separated in a pipe."""
    if sys.stdout is None or not sys.stdout.isatty():
        write("\n".join("\t".join(row) for row in (head, *rows)))
        return
    import rich
    from rich.table import Table
    from rich.text import Text

    shown = Table(*head, box=None, pad_edge=False)
    for row in rows:
        shown.add_row(*map(Text, row))
    rich.print(shown)

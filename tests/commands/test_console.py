"""What a person at a terminal gets; a pseudo-terminal plays it."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

from tests.test_cli import COMMAND, ENVIRONMENT, SMALL, example


def on_terminal(*argv: str, ends: tuple[str, ...], **options: Any) -> tuple[int, str, bytes]:
    """Return exit code, what the terminal showed, and stderr if that is a pipe."""
    ours, theirs = pty.openpty()

    def watch() -> bytes:
        shown = b""
        with suppress(OSError):  # how Linux says that the other end is closed
            while chunk := os.read(ours, 65536):
                shown += chunk
        return shown

    with ThreadPoolExecutor(1) as pool:  # a terminal takes a few kB, then waits for its reader
        shown = pool.submit(watch)
        given = {**dict.fromkeys(ends, theirs), **options}
        try:
            done = subprocess.run([*COMMAND, *argv], env=ENVIRONMENT, check=False, timeout=60, **given)
        finally:
            os.close(theirs)
    os.close(ours)
    return done.returncode, shown.result().decode(), done.stderr or b""


def test_nothing_on_stdin_gets_the_short_help() -> None:
    code, shown, _ = on_terminal(ends=("stdin", "stdout", "stderr"))
    assert code == 2
    assert "elvis example micado | elvis > micado.fits" in shown
    assert "SIMPLE" not in shown


def test_fits_is_not_for_terminals() -> None:
    code, shown, complaint = on_terminal(SMALL, ends=("stdout",), input=example().encode(), stderr=subprocess.PIPE)
    assert (code, shown) == (2, "")
    assert b"stdout is a terminal" in complaint
    assert complaint.count(b"\n") == 1


def test_tables_are() -> None:
    code, shown, _ = on_terminal("stages", ends=("stdout",), stderr=subprocess.PIPE)
    assert code == 0
    assert "read_noise" in shown
    assert "\t" not in shown


def test_progress_only_for_several_chips() -> None:
    def shown(chips: str) -> str:
        options = {"input": example().encode(), "stdout": subprocess.DEVNULL}
        return on_terminal(SMALL, f"--chips={chips}", ends=("stderr",), **options)[1]

    assert "chips" in shown("all")
    assert "chips" not in shown("1")


def test_no_part_of_a_line_stays_behind_a_full_disk(tmp_path):
    out = tmp_path / "lines"
    out.write_bytes(b"before\n")
    elvis = Path(sys.executable).with_name("elvis")
    command = ["bash", "-c", 'ulimit -f 1; exec "$0" instruments >> "$1"', str(elvis), str(out)]
    done = subprocess.run(command, capture_output=True, check=False)
    assert (done.returncode, out.read_bytes()) == (74, b"before\n")

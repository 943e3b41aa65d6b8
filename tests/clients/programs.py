"""Programs and packages of others: found, else installed by apt or pip, else the test that wants them is skipped."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from functools import cache

import pytest

TIME = 900
"""s that an installation may take."""


@cache
def program(name: str, *packages: str) -> str:
    """Return the path of a program, of these Debian packages (that of its own name if none is given)."""
    path = shutil.which(name)
    if path is None and shutil.which("apt-get") and os.geteuid() == 0:
        for command in (["apt-get", "update"], ["apt-get", "install", "--yes", *(packages or (name,))]):
            subprocess.run(command, capture_output=True, timeout=TIME, check=False)
        path = shutil.which(name)
    if path is None:
        pytest.skip(f"{name} is missing, and apt cannot install {' '.join(packages or (name,))} here")
    return path


@cache
def package(name: str, distribution: str = "") -> None:
    """Make sure that a Python package can be imported."""
    if importlib.util.find_spec(name) is None:
        command = [sys.executable, "-m", "pip", "install", "--quiet", distribution or name]
        subprocess.run(command, capture_output=True, timeout=TIME, check=False)
        importlib.invalidate_caches()
    if importlib.util.find_spec(name) is None:
        pytest.skip(f"{name} is missing, and pip cannot install {distribution or name} here")


def table(title: str, head: tuple[str, ...], rows: list[tuple[object, ...]]) -> None:
    """Print a table of texts and numbers."""
    texts = [head, *(tuple(f"{cell:.4g}" if isinstance(cell, float) else str(cell) for cell in row) for row in rows)]
    widths = [max(len(row[n]) for row in texts) for n in range(len(head))]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in texts)
    print(f"\n{title}", *lines, sep="\n")

"""Errors of the libraries that read files, on one short line."""

from __future__ import annotations


def one_line(error: Exception) -> str:
    """Return what an error of another library says, on one short line."""
    return " ".join(str(getattr(error, "strerror", None) or error).split())[:200] or type(error).__name__

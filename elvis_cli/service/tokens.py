"""Tokens: 32 random bytes, shown once; the file has only their SHA-256, a name and scopes."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from elvis_cli.errors import ResourceError, UsageError, nearest_name

ARCHIVING = "archive:write"
"""Scope for what puts files into an archive."""
SCOPES = ("render", "jobs", "ob", ARCHIVING)


@dataclass(frozen=True, slots=True)
class Token:
    """A token that the file knows."""

    name: str
    digest: str
    """SHA-256 of the token, hexadecimal."""
    scopes: tuple[str, ...]


class Tokens:
    """The tokens of a file; it is read anew when it has changed."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._stamp: tuple[int, int] | None = None
        self._tokens: tuple[Token, ...] = ()
        self._refresh()

    def find(self, text: str) -> Token | None:
        """Return the token whose text this is; the time that it takes does not depend on which it is."""
        self._refresh()
        digest = _digest(text)
        matches = [token for token in self._tokens if hmac.compare_digest(token.digest, digest)]
        return matches[0] if matches else None

    def _refresh(self) -> None:
        try:
            stat = self.path.stat()
        except OSError as error:
            raise ResourceError(f"the file of tokens cannot be read: {error.strerror}") from None
        stamp = (stat.st_mtime_ns, stat.st_size)
        if stamp != self._stamp:
            self._tokens, self._stamp = read(self.path), stamp


def read(path: Path) -> tuple[Token, ...]:
    """Return the tokens of a file; none if there is no file.

    Raises
    ------
    ResourceError
        It is not a file of tokens.
    """
    if not path.exists():
        return ()
    try:
        rows: list[dict[str, Any]] = json.loads(path.read_text())["tokens"]
        return tuple(Token(row["name"], row["sha256"], tuple(row["scopes"])) for row in rows)
    except (OSError, ValueError, KeyError, TypeError):
        raise ResourceError(f"{path} is not a file of tokens") from None


def add(path: Path, name: str, scopes: Sequence[str]) -> str:
    """Add a token to a file and return its text, which is nowhere else.

    Raises
    ------
    UsageError
        There is a token of this name, or a scope is unknown.
    """
    for scope in scopes:
        if scope not in SCOPES:
            near = nearest_name(scope, SCOPES)
            hint = f"; did you mean {near!r}?" if near else ""
            raise UsageError(f"--scope: {scope!r} is not one of {', '.join(SCOPES)}{hint}")
    tokens = read(path)
    if name in [token.name for token in tokens]:
        raise UsageError(f"there is a token {name!r} already")
    text = secrets.token_urlsafe(32)
    _write(path, (*tokens, Token(name, _digest(text), tuple(scopes))))
    return text


def remove(path: Path, name: str) -> None:
    """Take a token out of a file.

    Raises
    ------
    UsageError
        There is no token of this name.
    """
    tokens = read(path)
    if name not in [token.name for token in tokens]:
        raise UsageError(f"there is no token {name!r}")
    _write(path, tuple(token for token in tokens if token.name != name))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _write(path: Path, tokens: Sequence[Token]) -> None:
    """Replace the file at once; only its owner may read it."""
    rows = [{"name": token.name, "sha256": token.digest, "scopes": list(token.scopes)} for token in tokens]
    part = path.with_name(f".{path.name}.part")
    with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump({"tokens": rows}, file, indent=2)
    part.replace(path)

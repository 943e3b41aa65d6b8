"""The errors that ELVIS raises; each knows its exit code (sysexits.h)."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable
from errno import ENOMEM
from typing import Any


class ElvisError(Exception):
    """Base of all expected errors: one line for a person, one JSON object for a program."""

    exit_code = 70

    def __init__(self, message: str, **details: Any) -> None:
        super().__init__(message)
        self.message = message
        self.details = details

    def as_dict(self) -> dict[str, Any]:
        """Return the error as a JSON-serialisable object."""
        return {"error": type(self).__name__, "exit_code": self.exit_code, "message": self.message, **self.details}


class UsageError(ElvisError):
    """The command line is wrong."""

    exit_code = 2


class RequestError(ElvisError):
    """The request is wrong: where (JSON pointer), what was found, what is allowed, the nearest valid name."""

    exit_code = 65

    def __init__(
        self,
        pointer: str,
        reason: str,
        *,
        found: Any = None,
        allowed: Any = None,
        nearest: str | None = None,
    ) -> None:
        parts = [f"{pointer or '/'}: {reason}"]
        if allowed is not None:
            parts.append(f"allowed: {_brief(allowed)}")
        if nearest is not None:
            parts.append(f"did you mean {nearest!r}?")
        super().__init__(
            "; ".join(parts), pointer=pointer, reason=reason, found=found, allowed=allowed, nearest=nearest
        )


class ResourceError(ElvisError):
    """No such instrument, or a needed resource is missing."""

    exit_code = 69


class NotEnoughMemoryError(ResourceError):
    """The process may not have as much memory as the request takes."""


class OutputError(ElvisError):
    """The output could not be written."""

    exit_code = 74


class IncompleteError(ElvisError):
    """Of many requests some have failed."""

    exit_code = 1


def expected(error: Exception) -> ElvisError:
    """Return any exception as an error of ours."""
    if isinstance(error, ElvisError):
        return error
    if _is_of_memory(error):
        return NotEnoughMemoryError("not enough memory: render fewer chips or a smaller window")
    return ElvisError(f"a fault of elvis: {type(error).__name__}: {error} (ELVIS_DEBUG=1 shows where)")


def _is_of_memory(error: BaseException | None) -> bool:
    """Return whether an exception, or one that led to it, says that memory is short, as loaders of libraries do."""
    while error is not None:
        text = str(error).casefold()
        short = any(sign in text for sign in ("cannot allocate memory", "failed to map segment", "libllvmlite.so"))
        if isinstance(error, MemoryError) or getattr(error, "errno", None) == ENOMEM or short:
            return True
        error = error.__cause__ or error.__context__
    return False


_LONGEST = 60
"""Characters of a wrong value that are shown."""


def json_pointer(*steps: object) -> str:
    """Return the JSON pointer (RFC 6901) of a path of names and numbers, printable, no step longer than 80."""
    texts = (json.dumps(str(step))[1:-1].replace("~", "~0").replace("/", "~1") for step in steps)
    return "".join(f"/{text if len(text) <= 80 else text[:77] + '...'}" for text in texts)


def nearest_name(name: object, names: Iterable[object]) -> str | None:
    """Return the valid name that looks most like ``name``, or None when none is close."""
    candidates = {str(n).casefold(): str(n) for n in names}
    close = difflib.get_close_matches(str(name)[:_LONGEST].casefold(), candidates, n=1, cutoff=0.5)
    return candidates[close[0]] if close else None


def choice_error(pointer: str, found: object, allowed: Iterable[object]) -> RequestError:
    """Return the RequestError for a value that is not one of ``allowed``."""
    options, shown = list(allowed), repr(found)
    if len(shown) > _LONGEST:  # of a megabyte of nonsense its beginning will do
        found = shown = shown[:_LONGEST] + "..."
    return RequestError(
        pointer,
        f"{shown} is not a valid choice",
        found=found,
        allowed=options,
        nearest=nearest_name(found, options),
    )


def _brief(allowed: Any) -> str:
    if isinstance(allowed, (list, tuple, set, frozenset)):
        return ", ".join(str(a) for a in allowed)
    return str(allowed)

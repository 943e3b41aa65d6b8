"""The thin client: a request goes to a warm server as it came, and the frame comes back; standard library only."""

from __future__ import annotations

import http.client
import json
import os
import time
from collections.abc import Mapping
from contextlib import closing
from typing import Any, BinaryIO
from urllib.parse import urlencode, urlsplit

from elvis_cli.errors import ElvisError, OutputError, ResourceError, UsageError
from elvis_cli.instrument.request_options import RequestOptions
from elvis_cli.model.limits import DEFAULT

TOKEN_VARIABLE = "ELVIS_TOKEN"
CHUNK = 1 << 20
TIMEOUT = 3600.0
"""Seconds without a byte; the server has a deadline of its own."""
PATIENCE = 120.0
"""Seconds for which a server that is too busy is asked again."""
FROM_FILES = ("sed", "catalogue", "image", "cube", "models", "previous", "psf")
"""Keys of the block that come from files of this machine; of ``psf`` the name "tiptop" does not."""


class UnreachableError(ResourceError):
    """There is no server at the address."""


class RemoteError(ElvisError):
    """The error of the server, with the exit code that `elvis` alone would have ended with."""

    def __init__(self, message: str, exit_code: int, **details: Any) -> None:
        super().__init__(message, **details)
        self.exit_code = exit_code


def render(server: str, text: bytes | str, options: RequestOptions, out: BinaryIO) -> tuple[str, ...]:
    """Write the frame that a server renders to ``out``; return the notes on it.

    Raises
    ------
    UnreachableError
        There is no server.
    RemoteError
        The server refuses the request.
    OutputError
        The answer ended before its end.
    UsageError
        The address or an option is not for a server.
    """
    if options.limits != DEFAULT and not options.limits.offline:
        raise UsageError("--limit cannot be combined with --server: the limits are the server's")
    notes = options.file_notes()
    has_files = any(not isinstance(options.overrides.get(key), str | None) for key in FROM_FILES)
    if has_files or options.ephemeris is not None:
        text, notes, options = _read_here(text, options)
    body = text.encode() if isinstance(text, str) else text
    answer = _post(server, f"/etc?{urlencode(query(options))}", body)
    with closing(answer):
        return (*notes, *_save(answer, out))


def query(options: RequestOptions) -> dict[str, str]:
    """Return the parameters of a query for options that are in no file."""
    found: dict[str, str] = {"strict": "true"} if options.strict else {}
    for key, value in options.overrides.items():
        if key == "window" and isinstance(value, Mapping):
            found[key] = ",".join(str(value[name]) for name in ("x0", "y0", "nx", "ny"))
        elif key == "pointing":
            found |= {"pa" if name == "position_angle" else name: repr(number) for name, number in value.items()}
        elif isinstance(value, bool):
            found[key] = str(value).lower()
        elif isinstance(value, list):
            found[key] = ",".join(map(str, value))
        else:
            found[key] = str(value)
    return found


def _read_here(text: bytes | str, options: RequestOptions) -> tuple[str, tuple[str, ...], RequestOptions]:
    """Return the request with what is in files of this machine, its notes, and the options that are left."""
    from dataclasses import replace

    from elvis_cli.product.fits import request_json

    product = options.overrides.get("product")
    here = {key: value for key, value in options.overrides.items() if not (key == "product" and value == "reduced")}
    request = replace(options, overrides=here).read(text)
    left = {"product": product} if product == "reduced" else {}
    return request_json(request), (*options.file_notes(), *request.warnings), RequestOptions(left)


def _post(server: str, path: str, body: bytes) -> http.client.HTTPResponse:
    """Return the answer; a server that is busy is asked again for some time."""
    parts = urlsplit(server)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise UsageError(f"--server: {server!r} is not an address such as http://127.0.0.1:8642")
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    headers = {"content-type": "application/json", "connection": "close"}
    if token := os.environ.get(TOKEN_VARIABLE):
        headers["authorization"] = f"Bearer {token}"
    end = time.monotonic() + PATIENCE
    while True:
        try:
            connection = kind(parts.hostname, parts.port, timeout=TIMEOUT)
            connection.request("POST", parts.path.rstrip("/") + path, body, headers)
            answer = connection.getresponse()
        except (OSError, http.client.HTTPException) as error:
            raise UnreachableError(f"no answer from {server}: {error}") from None
        pause = answer.headers.get("retry-after", "")
        if answer.status != http.client.SERVICE_UNAVAILABLE or not pause.isdigit() or time.monotonic() > end:
            return answer
        answer.close()
        time.sleep(min(int(pause), 5))


def _save(answer: http.client.HTTPResponse, out: BinaryIO) -> tuple[str, ...]:
    if answer.status != http.client.OK:
        raise _error(answer)
    left = int(answer.headers["content-length"])
    try:
        while chunk := answer.read(CHUNK):
            out.write(chunk)
            left -= len(chunk)
    except (ConnectionError, TimeoutError, http.client.HTTPException) as error:
        raise OutputError(f"the answer of the server broke off: {error}") from None
    if left:
        raise OutputError(f"the answer of the server ended {left} bytes before its end")
    return tuple(json.loads(answer.headers.get("elvis-notes", "[]")))


def _error(answer: http.client.HTTPResponse) -> ElvisError:
    """Return the error in an answer."""
    try:
        problem = json.loads(answer.read())
        details = {key: problem[key] for key in ("pointer", "reason", "found", "allowed", "nearest") if key in problem}
        return RemoteError(problem["detail"], int(problem["exit_code"]), **details)
    except (ValueError, KeyError, TypeError, OSError, http.client.HTTPException):
        return ResourceError(f"the server answered {answer.status} {answer.reason}, and not as elvis serve does")

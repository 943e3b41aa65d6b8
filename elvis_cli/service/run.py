"""The server process: one event loop, ended in order by SIGTERM or an interrupt."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
import sys
from collections.abc import Callable
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import uvicorn

from elvis_cli.errors import ResourceError
from elvis_cli.service import app as application
from elvis_cli.service.http import Connection

if TYPE_CHECKING:
    from starlette.applications import Starlette

    from elvis_cli.service.app import ServiceOptions
    from elvis_cli.service.archive_app import ArchiveOptions

MAX_CONNECTIONS = 900
"""Connections at one time; below the usual limit of 1024 open files."""


def serve(host: str, port: int, options: ServiceOptions, say: Callable[[str], None]) -> None:
    """Serve until SIGTERM or an interrupt; requests that are being answered are finished first.

    Raises
    ------
    ResourceError
        The address is taken, or not of this machine.
    """
    _log_to_stderr()
    listener, address = listen(host, port)
    say(f"elvis: serving at {address}{options.root_path}")
    serve_app(application.build(options), listener, options.root_path, int(options.limits.deadline) + 5)


def serve_app(app: Starlette, listener: socket.socket, root_path: str, patience: int) -> None:
    """Serve an application; at the end, wait ``patience`` seconds for requests that are being answered."""
    config = uvicorn.Config(
        app,
        http=Connection,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=True,
        root_path=root_path,
        limit_concurrency=MAX_CONNECTIONS,
        timeout_keep_alive=15,
        timeout_graceful_shutdown=patience,
    )
    server = uvicorn.Server(config)
    quiet: Any = nullcontext
    server.capture_signals = quiet  # type: ignore[method-assign]  # it would raise them again at the end
    asyncio.run(_run(server, listener, app.state.service))


def serve_archive(host: str, port: int, make: Callable[[str], ArchiveOptions], say: Callable[[str], None]) -> None:
    """Serve an archive, whose options are known when its address is, until SIGTERM or an interrupt.

    Raises
    ------
    ResourceError
        The address is taken, or not of this machine; the store cannot be opened.
    """
    from elvis_cli.service import archive_app

    _log_to_stderr()
    listener, address = listen(host, port)
    options = make(address)
    app = archive_app.build(options)
    say(f"elvis: archive at {options.base}")
    serve_app(app, listener, options.root_path, 10)


async def _run(server: uvicorn.Server, listener: socket.socket, service: Any) -> None:
    def stop() -> None:
        server.force_exit = server.should_exit
        server.should_exit = True
        service.is_stopping = True

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    await server.serve([listener])


def listen(host: str, port: int) -> tuple[socket.socket, str]:
    """Return a socket at an address, and that address with its port as a URL.

    Raises
    ------
    ResourceError
        The address is taken, or not of this machine.
    """
    listener = _listen(host, port)
    shown = f"[{host}]" if ":" in host else host
    return listener, f"http://{shown}:{listener.getsockname()[1]}"


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)  # asyncio: no delay only then
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise ResourceError(f"cannot listen at {host} port {port}: {error.strerror}") from None
    listener.listen(1024)
    listener.setblocking(False)
    return listener


def _log_to_stderr() -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(application.JsonLines())
    for name, level in (("elvis.service", logging.INFO), ("uvicorn.error", logging.WARNING)):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [handler], False
        logger.setLevel(level)

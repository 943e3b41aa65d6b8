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
    from elvis_cli.service.app import ServiceOptions

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
    listener = _listen(host, port)
    address = f"[{host}]" if ":" in host else host
    say(f"elvis: serving at http://{address}:{listener.getsockname()[1]}{options.root_path}")
    app = application.build(options)
    config = uvicorn.Config(
        app,
        http=Connection,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=True,
        root_path=options.root_path,
        limit_concurrency=MAX_CONNECTIONS,
        timeout_keep_alive=15,
        timeout_graceful_shutdown=int(options.limits.deadline) + 5,
    )
    server = uvicorn.Server(config)
    quiet: Any = nullcontext
    server.capture_signals = quiet  # type: ignore[method-assign]  # it would raise them again at the end
    asyncio.run(_run(server, listener, app.state.service))


async def _run(server: uvicorn.Server, listener: socket.socket, service: application.Service) -> None:
    def stop() -> None:
        server.force_exit = server.should_exit
        server.should_exit = True
        service.is_stopping = True

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    await server.serve([listener])


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

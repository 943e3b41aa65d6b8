"""A server for all tests: `elvis serve` with one process at a free port."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.service.audit import Audit

pytest.importorskip("starlette", reason="needs the extra service")
pytest.importorskip("uvicorn", reason="needs the extra service")

SMALL = {"x0": 0, "y0": 0, "nx": 16, "ny": 16}


class Answer(NamedTuple):
    """What a server answered."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


class Server:
    """A running `elvis serve`."""

    def __init__(self, folder: Path, *argv: str) -> None:
        self.errors = folder / "stderr"
        self.argv = argv
        self.audit = Audit(folder)
        self.start()

    def start(self) -> None:
        command = [sys.executable, "-m", "elvis_cli.cli", "serve", "-j", "1", "--port", "0", *self.argv]
        environment = {**os.environ, "ELVIS_THREADS": "1", **self.audit.environment}
        with open(self.errors, "wb") as errors:
            self.process = subprocess.Popen(command, stderr=errors, env=environment)
        while not (line := self.errors.read_text().partition("\n")[0]):
            assert self.process.poll() is None, "it ended"
            signal.sigtimedwait((), 0.05)
        self.url = line.split(" at ")[1].strip()
        self.port = int(self.url.rpartition(":")[2])

    def ask(self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> Answer:
        """Send a request; ``body`` is bytes, or becomes JSON."""
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        try:
            connection.request(method, path, data, headers or {})
            answer = connection.getresponse()
            return Answer(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
        finally:
            connection.close()

    def get(self, path: str, **headers: str) -> Answer:
        return self.ask("GET", path, headers={k.replace("_", "-"): v for k, v in headers.items()})

    def post(self, path: str, body: Any = None, **headers: str) -> Answer:
        return self.ask("POST", path, body, {k.replace("_", "-"): v for k, v in headers.items()})

    def workers(self) -> list[int]:
        """Return the numbers of its processes."""
        threads = Path(f"/proc/{self.process.pid}/task").glob("*/children")
        return [int(child) for thread in threads for child in thread.read_text().split()]

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(60)


@pytest.fixture(scope="session")
def start(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Server]]:
    """Start a server with options; it is stopped at the end."""
    running: list[Server] = []

    def run(*argv: str) -> Server:
        running.append(Server(tmp_path_factory.mktemp("server"), *argv))
        return running[-1]

    yield run
    for server in running:
        if server.process.poll() is None:
            server.stop(signal.SIGKILL)


@pytest.fixture(scope="session")
def server(start: Callable[..., Server], tmp_path_factory: pytest.TempPathFactory) -> Server:
    """The server of most tests."""
    folder = tmp_path_factory.mktemp("state")
    return start("--warm", "none", "--max-body", "2", "--max-pixels", "1", "--deadline", "300", "--folder", str(folder))


@pytest.fixture
def small(micado: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
    """Return a request of 16 x 16 pixels; ``changes`` by path."""
    return lambda changes=None: micado({"elvis/window": SMALL, "elvis/chips": [5], **(changes or {})})

"""A server with several processes, as ``make service`` starts it."""

from __future__ import annotations

import http.client
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple, Self


class Answer(NamedTuple):
    """What a server answered."""

    status: int
    body: bytes

    def json(self) -> Any:
        """Return the value of the body."""
        return json.loads(self.body)


class Server:
    """`elvis serve`, or another command that serves, at a free port, as a context manager."""

    def __init__(self, *argv: str, command: tuple[str, ...] = ("serve",)) -> None:
        self.argv, self.command = argv, command
        self.errors = Path(tempfile.mkdtemp(prefix="elvis-load-")) / "stderr"

    def __enter__(self) -> Self:
        """Start it."""
        command = [sys.executable, "-m", "elvis_cli.cli", *self.command, "--port", "0", *self.argv]
        with open(self.errors, "wb") as errors:
            self.process = subprocess.Popen(command, stderr=errors)
        while not (line := self.errors.read_text().partition("\n")[0]):
            assert self.process.poll() is None, "the server has ended"
            time.sleep(0.05)
        self.url = line.split(" at ")[1].strip()
        self.port = int(self.url.rpartition(":")[2])
        return self

    def __exit__(self, *_: object) -> None:
        """End it."""
        self.process.terminate()
        self.process.wait(90)

    def ask(self, method: str, path: str, body: bytes | None = None) -> Answer:
        """Send a request."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=900)
        try:
            connection.request(method, path, body)
            answer = connection.getresponse()
            return Answer(answer.status, answer.read())
        finally:
            connection.close()

    def post(self, path: str, body: bytes) -> Answer:
        """Send a request with a body."""
        return self.ask("POST", path, body)

    def wait_until_ready(self) -> None:
        """Wait until all processes are warm."""
        while self.ask("GET", "/health/ready").status != 200:
            time.sleep(0.2)

    def metric(self, name: str) -> float:
        """Return a number of /metrics."""
        match = re.search(rf"^{name} (\S+)$", self.ask("GET", "/metrics").body.decode(), re.MULTILINE)
        assert match
        return float(match[1])

    def resident(self) -> int:
        """Return the resident bytes of its largest process."""
        return int(self.metric("elvis_worker_resident_bytes_max"))

    def workers(self) -> list[int]:
        """Return the numbers of its processes."""
        threads = Path(f"/proc/{self.process.pid}/task").glob("*/children")
        return [int(child) for thread in threads for child in thread.read_text().split()]

    def cpu_seconds(self) -> float:
        """Return the processor seconds that the server and its processes have taken."""
        total = 0
        for pid in (self.process.pid, *self.workers()):
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            total += int(fields[11]) + int(fields[12])
        return total / os.sysconf("SC_CLK_TCK")

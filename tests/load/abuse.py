"""Abuse of the service: no answer is a 500, no process is lost for good, and a good request is answered meanwhile.

``python -m tests.load.abuse`` prints a line for each kind; its exit code is 1 if one went wrong.
"""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

from tests.load.measure import micado
from tests.load.server import Server

KILLS = 3
"""Of processes, each at most one request's."""
GOOD = micado(window={"x0": 0, "y0": 0, "nx": 64, "ny": 64})
HEAD = b"POST /etc HTTP/1.1\r\nHost: x\r\n"


def main() -> int:
    """Run all kinds of abuse."""
    kinds: tuple[Callable[[Server], Counter[int]], ...] = (
        many_clients, malformed, damaged, slow_bodies, slow_heads, huge_bodies, huge_chunked, half_closed, gone, killed,
    )  # fmt: skip
    wrong = 0
    with Server("-j", "2", "--warm", "micado", "--deadline", "60") as server:
        server.wait_until_ready()
        for kind in kinds:
            good: list[int] = []
            stop = threading.Event()
            watch = threading.Thread(target=_good_requests, args=(server, good, stop))
            watch.start()
            begin = time.monotonic()
            counts = kind(server)
            stop.set()
            watch.join()
            seconds = time.monotonic() - begin
            lost = good.count(507) + counts[507]  # a process that is killed fails the one request it is at
            is_fine = not counts[500] and 200 in good and not set(good) - {200, 503, 507} and _all_answer(server)
            is_fine &= lost <= (KILLS if kind is killed else 0)
            wrong += not is_fine
            told = ", ".join(f"{count} x {status or 'closed'}" for status, count in sorted(counts.items()))
            verdict = f"{'ok' if is_fine else 'WRONG':<6}{kind.__name__:<14}"
            print(f"{verdict}{told}; meanwhile {dict(Counter(good))}; {seconds:.0f} s", flush=True)
        print(f"processes started: {server.metric('elvis_worker_starts'):.0f}; resident {server.resident() >> 20} MiB")
        faults = server.errors.read_text().count('"status": 500')
        print(f"500 in the log: {faults}")
    return int(wrong > 0)


def _good_requests(server: Server, statuses: list[int], stop: threading.Event) -> None:
    while not stop.is_set():
        with suppress(OSError):
            statuses.append(server.post("/etc", GOOD).status)
        stop.wait(0.2)


def _all_answer(server: Server) -> bool:
    """Return whether two requests at once are answered, by both processes."""
    with ThreadPoolExecutor(2) as pool:
        return all(a.status == 200 for a in pool.map(lambda _: server.post("/etc", GOOD), range(4)))


def _status(server: Server, *parts: bytes, pause: float = 0, wait: float = 60) -> int:
    """Return the status of the answer to bytes that are sent in parts; 0 if there is none."""
    with suppress(OSError), socket.create_connection(("127.0.0.1", server.port), timeout=wait) as connection:
        with suppress(OSError):
            for part in parts:
                connection.sendall(part)
                time.sleep(pause)
        answer = connection.recv(64)
        return int(answer.split()[1]) if answer.startswith(b"HTTP/") else 0
    return 0


def _at_once(count: int, call: Callable[[int], int]) -> Counter[int]:
    with ThreadPoolExecutor(count) as pool:
        return Counter(pool.map(call, range(count)))


def many_clients(server: Server) -> Counter[int]:
    """Send 200 requests at once."""
    small = {"x0": 0, "y0": 0, "nx": 64, "ny": 64}
    return _at_once(200, lambda n: server.post("/etc", micado(seed=n, window=small)).status)


def malformed(server: Server) -> Counter[int]:
    """Send 1000 bodies that are no JSON, or not of a request."""
    rng = random.Random(2)
    bodies = []
    for _ in range(1000):
        cut = bytearray(GOOD[: rng.randrange(1, len(GOOD))])
        for _ in range(rng.randrange(4)):
            cut[rng.randrange(len(cut))] = rng.randrange(256)
        bodies.append(bytes(cut))
    with ThreadPoolExecutor(8) as pool:
        return Counter(pool.map(lambda body: server.post("/etc", body).status, bodies))


def damaged(server: Server) -> Counter[int]:
    """Send 300 requests with values of wrong types and sizes."""
    rng = random.Random(3)
    values: list[Any] = [
        None,
        -1,
        1e300,
        "",
        "x" * 10000,
        [],
        {},
        [[[]]],
        True,
        "../../etc/passwd",
        2**70,
        {"a": {"b": None}},
    ]
    bodies = []
    for _ in range(300):
        document = json.loads(GOOD)
        section = rng.choice([s for s in document.values() if isinstance(s, dict) and s])
        section[rng.choice(list(section))] = rng.choice(values)
        bodies.append(json.dumps(document).encode())
    with ThreadPoolExecutor(8) as pool:
        return Counter(pool.map(lambda body: server.post("/etc", body).status, bodies))


def slow_bodies(server: Server) -> Counter[int]:
    """Begin 50 bodies that do not go on."""
    return _at_once(50, lambda _: _status(server, HEAD + b"Content-Length: 100\r\n\r\n", b"{"))


def slow_heads(server: Server) -> Counter[int]:
    """Begin 50 heads that do not go on."""
    return _at_once(50, lambda _: _status(server, HEAD + b"X: "))


def huge_bodies(server: Server) -> Counter[int]:
    """Announce 20 bodies of 1 GB."""
    return _at_once(20, lambda _: _status(server, HEAD + b"Content-Length: 1000000000\r\n\r\n", b" " * 65536))


def huge_chunked(server: Server) -> Counter[int]:
    """Send 4 bodies of 1 GB that announce no length."""
    chunk = b"100000\r\n" + b" " * 0x100000 + b"\r\n"
    head = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
    return _at_once(4, lambda _: _status(server, head, *[chunk] * 1000))


def half_closed(server: Server) -> Counter[int]:
    """Send 50 requests and close one direction."""

    def one(_: int) -> int:
        with suppress(OSError), socket.create_connection(("127.0.0.1", server.port), timeout=60) as connection:
            connection.sendall(HEAD + f"Content-Length: {len(GOOD)}\r\n\r\n".encode() + GOOD)
            connection.shutdown(socket.SHUT_WR)
            answer = connection.recv(64)
            return int(answer.split()[1]) if answer.startswith(b"HTTP/") else 0
        return 0

    return _at_once(50, one)


def gone(server: Server) -> Counter[int]:
    """Send 50 requests for large frames and go away."""
    body = micado(window="full")

    def one(_: int) -> int:
        with suppress(OSError), socket.create_connection(("127.0.0.1", server.port), timeout=60) as connection:
            connection.sendall(HEAD + f"Content-Length: {len(body)}\r\n\r\n".encode() + body)
            time.sleep(0.2)
        return 0

    return _at_once(50, one)


def killed(server: Server) -> Counter[int]:
    """Kill processes while requests are answered."""
    counts: Counter[int] = Counter()
    with ThreadPoolExecutor(4) as pool:
        answers = [pool.submit(server.post, "/etc", micado(seed=n)) for n in range(12)]
        for _ in range(KILLS):
            time.sleep(1)
            for pid in server.workers()[:1]:
                with suppress(OSError):
                    os.kill(pid, signal.SIGKILL)
        counts.update(answer.result().status for answer in answers)
    return counts


if __name__ == "__main__":
    sys.exit(main())

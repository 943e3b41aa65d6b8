"""Numbers for Prometheus."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

if TYPE_CHECKING:
    from elvis_cli.service.workers import Workers

BUCKETS = (0.1, 0.2, 0.4, 0.8, 1.5, 3.0, 6.0, 15.0, 30.0, 60.0)
MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Metrics:
    """Counters of the requests, and gauges of processes, queue, memory and limits."""

    def __init__(self, workers: Workers) -> None:
        self.registry = CollectorRegistry()
        labels = ("route", "status", "instrument")
        self.requests = Counter("elvis_requests", "Requests.", labels, registry=self.registry)
        self.seconds = Histogram(
            "elvis_request_seconds", "Time of a request.", ("route",), buckets=BUCKETS, registry=self.registry
        )
        self.bytes = Counter("elvis_answer_bytes", "Bytes of frames and pictures.", ("route",), registry=self.registry)
        self._gauge("elvis_queue_length", "Requests that wait for a process.").set_function(lambda: workers.waiting)
        self._gauge("elvis_busy_workers", "Processes at work.").set_function(
            lambda: min(workers.in_hand, workers.pool.processes)
        )
        self._gauge("elvis_workers", "Processes that run.").set_function(lambda: len(workers.pool.alive()))
        self._gauge("elvis_worker_starts", "Processes started so far.").set_function(lambda: workers.pool.started)
        self._gauge("elvis_worker_resident_bytes_max", "Resident bytes of the largest process.").set_function(
            lambda: max(workers.memory(), default=0)
        )
        limits = self._gauge("elvis_limit", "Limits of the service.", ("name",))
        for name in workers.limits.__dataclass_fields__:
            limits.labels(name).set(getattr(workers.limits, name))

    def count(self, route: str, status: int, instrument: str, seconds: float) -> None:
        """Count a request that has ended."""
        self.requests.labels(route, str(status), instrument).inc()
        self.seconds.labels(route).observe(seconds)

    def text(self) -> bytes:
        """Return all numbers as Prometheus reads them."""
        return generate_latest(self.registry)

    def _gauge(self, name: str, about: str, labels: tuple[str, ...] = ()) -> Gauge:
        return Gauge(name, about, labels, registry=self.registry)

"""Metrics, as Prometheus reads them. Labels are what the gateway says itself, never what a client sent.

Several processes of one gateway count in files of a folder that they share (`PROMETHEUS_MULTIPROC_DIR`, read by the
library when it is imported), and each of them tells the sum.
"""

import os

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

FOLDER = "PROMETHEUS_MULTIPROC_DIR"
CONTENT_TYPE = CONTENT_TYPE_LATEST
BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
"""Upper bounds, in seconds."""


class Metrics:
    """Counts answers and connections."""

    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry()
        call = ["dialect", "method", "route"]
        self._requests = Counter("gateway_requests", "Answers.", [*call, "status", "fault"], registry=registry)
        self._seconds = Histogram(
            "gateway_request_seconds", "Time from headers to answer.", call, registry=registry, buckets=BUCKETS
        )
        self._connections = Gauge(
            "gateway_connections", "Open connections.", registry=registry, multiprocess_mode="livesum"
        )
        self._refused = Counter(
            "gateway_refused", "Clients refused before a request of theirs was read.", ["status"], registry=registry
        )
        self._bound: dict[tuple[str, str, str, int, str], tuple[Counter, Histogram]] = {}

    def answered(self, dialect: str, method: str, route: str, status: int, fault: str, seconds: float) -> None:
        """Counts an answer. `route` is a template, "" for a path without a call; `fault` is "" where all went well."""
        key = (dialect, method, route, status, fault)
        counter, histogram = self._bound.get(key) or self._bind(key)
        counter.inc()
        histogram.observe(seconds)

    def opened(self) -> None:
        """A connection was accepted."""
        self._connections.inc()

    def closed(self) -> None:
        """It is gone."""
        self._connections.dec()

    def refused(self, status: int) -> None:
        """A client was refused on the wire: too slow, too much, or no HTTP."""
        self._refused.labels(status).inc()

    def exposition(self) -> bytes:
        """Everything counted so far, of all processes, in the text format."""
        if FOLDER not in os.environ:
            return generate_latest(self._registry)
        registry = CollectorRegistry()
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        return generate_latest(registry)

    def close(self) -> None:
        """Takes the connections of this process out of the sum."""
        if FOLDER in os.environ:
            mark_process_dead(os.getpid())  # type: ignore[no-untyped-call]

    def _bind(self, key: tuple[str, str, str, int, str]) -> tuple[Counter, Histogram]:
        self._bound[key] = self._requests.labels(*key), self._seconds.labels(*key[:3])
        return self._bound[key]

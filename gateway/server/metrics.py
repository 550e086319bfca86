"""Metrics in the Prometheus text format. Labels are values that the gateway defines, never a client's.

Several processes count in files of a common folder (`PROMETHEUS_MULTIPROC_DIR`, which the library reads when it is
imported), and each of them exposes the sum.
"""

import os
from collections.abc import Awaitable, Callable
from hmac import compare_digest

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from gateway.core.subscribers import Subscriber
from gateway.feed.observer import DeliveryObserver
from gateway.server.connection_metrics import ConnectionMetrics
from gateway.server.stages import STAGES, intervals
from gateway.service.http_messages import Message, Response
from gateway.stores.observer import StoreObserver

MULTIPROCESS_FOLDER = "PROMETHEUS_MULTIPROC_DIR"
BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
"""Upper bounds, in seconds."""

GROUP_BUCKETS = tuple(1 << power for power in range(10))
"""Upper bounds, in changes of a group."""


class Metrics(ConnectionMetrics, StoreObserver, DeliveryObserver):
    """Counts responses, connections, groups of changes and deliveries."""

    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry()
        call = ["dialect", "method", "route"]
        self._requests = Counter("gateway_requests", "Responses.", [*call, "status", "fault"], registry=registry)
        self._seconds = Histogram(
            "gateway_request_seconds", "Time from headers to response.", call, registry=registry, buckets=BUCKETS
        )
        self._connections = Gauge(
            "gateway_connections", "Open connections.", registry=registry, multiprocess_mode="livesum"
        )
        self._rejected = Counter(
            "gateway_refused", "Clients refused before a request of theirs was read.", ["status"], registry=registry
        )
        stages = Histogram(
            "gateway_stage_seconds", "Time of a stage of a request.", ["stage"], registry=registry, buckets=BUCKETS
        )
        self._stages = {stage: stages.labels(stage) for stage in STAGES}
        self._groups = Histogram(
            "gateway_group_steps", "Changes and other steps stored together.", registry=registry, buckets=GROUP_BUCKETS
        )
        self._commits = Histogram(
            "gateway_commit_seconds", "Time of a commit, with the sync.", registry=registry, buckets=BUCKETS
        )
        self._waiting = Gauge(
            "gateway_waiting_calls", "Calls whose changes wait.", registry=registry, multiprocess_mode="livesum"
        )
        self._deliveries = Counter(
            "gateway_deliveries", "Deliveries to subscribers.", ["kind", "outcome"], registry=registry
        )
        self._lag = Gauge(
            "gateway_subscriber_lag_seconds",
            "Age of the oldest change that a subscriber did not have.",
            ["database", "subscriber"],
            registry=registry,
            multiprocess_mode="livemax",
        )
        self._bound: dict[tuple[str, str, str, int, str], tuple[Counter, Histogram]] = {}

    def responded(
        self, dialect: str, route: str, message: Message, response: Response, started: float, ended: float
    ) -> None:
        """Count a response and the stages of its request. `route` is a template, "" for an unknown path.

        The times are of `perf_counter`.
        """
        key = (dialect, message.method, route, response.status, response.fault)
        counter, histogram = self._bound.get(key) or self._bind(key)
        counter.inc()
        histogram.observe(ended - started)
        for stage, start, end in intervals(started, response.stage_ends, ended):
            self._stages[stage].observe(end - start)

    def group_stored(self, steps: int, waiting: int) -> None:
        """Count a group of changes."""
        self._groups.observe(steps)
        self._waiting.set(waiting)

    def committed(self, seconds: float) -> None:
        """Count a commit."""
        self._commits.observe(seconds)

    def sent(self, kind: str, outcome: str, count: int) -> None:
        """Count deliveries."""
        if count:
            self._deliveries.labels(kind, outcome).inc(count)

    def lagged(self, subscriber: Subscriber, seconds: float) -> None:
        """Set the lag of a subscriber."""
        self._lag.labels(subscriber.database, subscriber.id).set(seconds)

    def opened(self) -> None:
        """Count an accepted connection."""
        self._connections.inc()

    def closed(self) -> None:
        """Count a closed connection."""
        self._connections.dec()

    def rejected(self, status: int) -> None:
        """Count a request that was rejected before it reached the application."""
        self._rejected.labels(status).inc()

    def exposition(self) -> bytes:
        """Return everything counted so far, in all processes, in the text format."""
        if MULTIPROCESS_FOLDER not in os.environ:
            return generate_latest(self._registry)
        registry = CollectorRegistry()
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        return generate_latest(registry)

    def route(self, token: str) -> Route:
        """Return the route of /metrics, which requires the token as a Bearer."""
        return Route("/metrics", _endpoint(self, f"Bearer {token}".encode()))

    def close(self) -> None:
        """Remove the connections of this process from the sum."""
        if MULTIPROCESS_FOLDER in os.environ:
            mark_process_dead(os.getpid())  # type: ignore[no-untyped-call]

    def _bind(self, key: tuple[str, str, str, int, str]) -> tuple[Counter, Histogram]:
        self._bound[key] = self._requests.labels(*key), self._seconds.labels(*key[:3])
        return self._bound[key]


def _endpoint(metrics: Metrics, authorization: bytes) -> Callable[[Request], Awaitable[PlainTextResponse]]:
    async def endpoint(request: Request) -> PlainTextResponse:
        if not compare_digest(request.headers.get("authorization", "").encode("latin-1"), authorization):
            return PlainTextResponse("a token is needed\n", 401, {"www-authenticate": "Bearer"})
        return PlainTextResponse(metrics.exposition(), media_type=CONTENT_TYPE_LATEST)

    return endpoint

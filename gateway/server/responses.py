"""Responses: as ASGI events, and their record in the access log and the metrics."""

import time
from time import perf_counter
from typing import TYPE_CHECKING

from starlette.types import Message as Event

from gateway.console.recorder import NAME as CONSOLE
from gateway.console.recorder import RecordedResponse, TrafficRecorder
from gateway.server.access_log import AccessLog
from gateway.service.http_messages import Message, Response

if TYPE_CHECKING:
    from gateway.server.metrics import Metrics
    from gateway.server.tracing import Tracing

RawHeaders = list[tuple[bytes, bytes]]


class ResponseLog:
    """Records each response, where a log, metrics, traces or the console are configured."""

    def __init__(
        self,
        access_log: AccessLog | None,
        metrics: "Metrics | None",
        recorder: TrafficRecorder | None = None,
        tracing: "Tracing | None" = None,
    ) -> None:
        self._tracing = tracing
        self._recorder = recorder
        self._access_log = access_log
        self._metrics = metrics

    def add(
        self, dialect: str, route: str, message: Message, response: Response, started: float, sent: int | None = None
    ) -> None:
        """Record the response to a request that started at `started` (`perf_counter`).

        `sent` are the bytes of a body that was streamed.
        """
        ended = perf_counter()
        if self._metrics:
            self._metrics.responded(dialect, route, message, response, started, ended)
        if self._tracing:
            self._tracing.responded(dialect, route, message, response, started, ended)
        if self._access_log or self._recorder:
            size = len(response.body) if sent is None else sent
            media_type = response.headers.get("content-type", "")
            row = RecordedResponse(
                time.time(), message.id, dialect, message.method, route, media_type, response.status,
                ended - started, response.fault, response.pointer, response.token, response.database,
                len(message.body), size,
            )  # fmt: skip
            if self._access_log:
                self._access_log.add(row)
            if self._recorder and dialect != CONSOLE:
                self._recorder.append(row)

    def close(self) -> None:
        """Write what is left of the access log, and remove this process from the metrics."""
        if self._access_log:
            self._access_log.close()
        if self._metrics:
            self._metrics.close()
        if self._tracing:
            self._tracing.close()


def response_events(response: Response, message: Message) -> tuple[Event, Event]:
    """Return the ASGI events of a response: its start, and its body. The response to HEAD has none."""
    headers: RawHeaders = []
    for name, value in response.headers.items():
        headers.append((name.encode("latin-1"), value.encode("latin-1")))
    headers.append((b"content-length", b"%d" % len(response.body)))
    headers.append((b"x-request-id", message.id.encode()))
    body = b"" if message.method == "HEAD" else response.body
    start = {"type": "http.response.start", "status": response.status, "headers": headers}
    return start, {"type": "http.response.body", "body": body}


def stream_start(response: Response, message: Message) -> Event:
    """Return the ASGI event that starts a response whose body follows in parts, and has no length yet."""
    start, _ = response_events(response, message)
    return {**start, "headers": [each for each in start["headers"] if each[0] != b"content-length"]}

"""Responses: sent to the client, and recorded in the access log and the metrics."""

from time import perf_counter
from typing import TYPE_CHECKING

from starlette.types import Send

from gateway.server.access_log import AccessLog
from gateway.service.http_messages import Message, Response

if TYPE_CHECKING:
    from gateway.server.metrics import Metrics


class Responder:
    """Sends responses and records each one, where a log or metrics are configured."""

    def __init__(self, access_log: AccessLog | None, metrics: "Metrics | None") -> None:
        self._access_log = access_log
        self._metrics = metrics

    async def respond(
        self, send: Send, dialect: str, route: str, message: Message, response: Response, started: float
    ) -> None:
        """Send the response to a request that started at `started` (`perf_counter`), and record it."""
        await _send(send, response, message)
        self._record(dialect, route, message, response, perf_counter() - started)

    def close(self) -> None:
        """Write what is left of the access log, and remove this process from the metrics."""
        if self._access_log:
            self._access_log.close()
        if self._metrics:
            self._metrics.close()

    def _record(self, dialect: str, route: str, message: Message, response: Response, seconds: float) -> None:
        status, fault = response.status, response.fault
        if self._access_log:
            self._access_log.add(
                id=message.id,
                dialect=dialect,
                method=message.method,
                route=route,
                token=response.token,
                database=response.database,
                status=status,
                fault=fault,
                pointer=response.pointer,
                ms=round(seconds * 1000, 2),
                received=len(message.body),
                sent=len(response.body),
            )
        if self._metrics:
            self._metrics.responded(dialect, message.method, route, status, fault, seconds)


async def _send(send: Send, response: Response, message: Message) -> None:
    headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in response.headers.items()]
    headers.append((b"content-length", str(len(response.body)).encode()))
    headers.append((b"x-request-id", message.id.encode()))
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if message.method == "HEAD" else response.body})

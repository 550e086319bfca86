"""The last responses of this process, for the page of the traffic. They contain nothing that a client chose."""

import time
from collections import deque

from msgspec import Struct

from gateway.service.http_messages import Message, Response

KEPT_RESPONSES = 10_000

NAME = "console"
"""The name of the console beside those of the dialects. Its own responses are not recorded."""


class RecordedResponse(Struct, frozen=True):
    """What is kept of a response. `time` is in seconds since 1970; `pointer` has `*` for names that a client chose."""

    time: float
    request: str
    dialect: str
    method: str
    route: str
    media_type: str
    status: int
    seconds: float
    fault: str
    pointer: str
    token: str
    database: int | None


class TrafficRecorder:
    """Keeps the last responses in memory."""

    def __init__(self) -> None:
        self._responses: deque[RecordedResponse] = deque(maxlen=KEPT_RESPONSES)

    def add(self, dialect: str, route: str, message: Message, response: Response, seconds: float) -> None:
        """Keep a response, and forget the oldest one if there are too many."""
        if dialect == NAME:
            return
        self._responses.append(
            RecordedResponse(
                time.time(),
                message.id,
                dialect,
                message.method,
                route,
                response.headers.get("content-type", "").partition(";")[0],
                response.status,
                seconds,
                response.fault,
                response.pointer,
                response.token,
                response.database,
            )
        )

    def responses(self, database: int) -> list[RecordedResponse]:
        """Return the responses to requests of a database, and to those whose credential was not verified."""
        return [each for each in self._responses if each.database in (database, None)]

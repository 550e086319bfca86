"""Responses as they are recorded, and the last ones of this process. They contain nothing that a client chose."""

from collections import deque

from msgspec import Struct

KEPT_RESPONSES = 10_000

NAME = "console"
"""The name of the console beside those of the dialects. Its own responses are not recorded."""


class RecordedResponse(Struct, frozen=True, gc=False):
    """What the access log and the page of the traffic have of a response.

    `time` is in seconds since 1970. `media_type` may have parameters; `pointer` has `*` for names that a client chose.
    `received` and `sent` are the bytes of the bodies.
    """

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
    received: int
    sent: int


class TrafficRecorder:
    """Keeps the last responses in memory. `append` keeps one; it is the deque's own, which costs no call of ours."""

    def __init__(self) -> None:
        self._responses: deque[RecordedResponse] = deque(maxlen=KEPT_RESPONSES)
        self.append = self._responses.append

    def responses(self, database: int) -> list[RecordedResponse]:
        """Return the responses to requests of a database, and to those whose credential was not verified."""
        return [each for each in self._responses if each.database in (database, None)]

    def last_times(self, database: int) -> dict[str, float]:
        """Return, by id of a token of a database, the time of its last response (s since 1970)."""
        return {each.token: each.time for each in self._responses if each.database == database}

"""The limit of requests that a process works on at the same time."""

from gateway.server.errors import RequestRefusal


class ConcurrencyLimit:
    """A context manager that counts requests. It raises `RequestRefusal` (overloaded) above the limit."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._running = 0

    def __enter__(self) -> None:
        if self._running >= self._limit:
            raise RequestRefusal("overloaded", f"{self._limit} requests are being worked on", {"retry-after": "1"})
        self._running += 1

    def __exit__(self, *_: object) -> None:
        self._running -= 1

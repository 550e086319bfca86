"""What ends a request before the service runs it."""

from collections.abc import Mapping

from gateway.core.faults import Fault, Refusal


class RequestRefusal(Refusal):
    """The refusal of a request by the server, with the headers of its response."""

    def __init__(self, code: str, detail: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__([Fault(code, detail)])
        self.headers = headers or {}


class ClientDisconnected(Exception):
    """The client disconnected before its body was complete."""


def overloaded(detail: str) -> RequestRefusal:
    """The refusal of a request while there is too much to do."""
    return RequestRefusal("overloaded", detail, {"retry-after": "1"})

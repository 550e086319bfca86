"""What one client may use of a process: connections, seconds, bytes and rates. Pure values."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """The limits of the HTTP/1.1 connections of one process."""

    connections: int = 10_000
    """Open connections of the process."""
    head_seconds: float = 10
    """Time for the request line and headers of a request."""
    head_bytes: int = 32_768
    """Size of the request line and headers; also of chunk extensions and trailers."""
    headers: int = 100
    """Headers of a request."""
    body_seconds: float = 30
    """Time without progress on a body or a response."""
    body_rate: int = 500
    """Minimum average rate of a body after `body_seconds`, in bytes per second."""
    pipelined: int = 32
    """Requests that may wait on a connection behind the current one."""

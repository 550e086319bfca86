"""The access log: one JSON line for each response, on standard output.

A line contains what the gateway defines (route templates, fault codes, numbers) and the request id. It never contains a
body, query, path, token or address. A thread encodes and writes the lines in batches, so that a slow reader blocks no
request. If the reader stays behind, lines are dropped, and a line with their number follows.
"""

import asyncio
import os
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import lru_cache
from operator import attrgetter
from queue import SimpleQueue
from threading import Thread
from typing import Any

import orjson

from gateway.console.recorder import RecordedResponse

BATCH_SECONDS = 0.05
"""Time in which lines are collected before they are written together."""

MAX_QUEUED_BATCHES = 100
"""Batches that may wait for a slow reader."""

CLOSE_SECONDS = 2
"""Time for the last batches when the gateway stops."""

MEMBERS = {
    "time": "time", "id": "request", "dialect": "dialect", "method": "method", "route": "route", "token": "token",
    "database": "database", "status": "status", "fault": "fault", "pointer": "pointer", "ms": "seconds",
    "received": "received", "sent": "sent",
}  # fmt: skip
"""The members of a line, and the attributes of a response that have their values."""

_values = attrgetter(*MEMBERS.values())


def write_stdout(lines: bytes) -> None:
    """Write all bytes to standard output, or discard them if that fails: the log must not stop the gateway."""
    with suppress(OSError):
        while lines:
            lines = lines[os.write(1, lines) :]


class AccessLog:
    """Collects responses on the event loop. `write` runs in a thread and may block."""

    def __init__(self, write: Callable[[bytes], object]) -> None:
        self._write = write
        self._rows: list[RecordedResponse] = []
        self._lost = 0
        self._queue: SimpleQueue[tuple[int, Sequence[RecordedResponse]] | None] = SimpleQueue()
        self._thread: Thread | None = None

    def add(self, row: RecordedResponse) -> None:
        """Log a response."""
        if not self._rows:
            asyncio.get_running_loop().call_later(BATCH_SECONDS, self._enqueue)
        self._rows.append(row)

    def close(self) -> None:
        """Write the remaining lines; wait at most `CLOSE_SECONDS` for a slow reader."""
        self._enqueue()
        self._queue.put(None)
        if self._thread:
            self._thread.join(CLOSE_SECONDS)

    def _enqueue(self) -> None:
        if not self._rows:
            return
        if self._queue.qsize() >= MAX_QUEUED_BATCHES:
            self._lost += len(self._rows)
        else:
            self._queue.put((self._lost, self._rows))
            self._lost = 0
        self._rows = []
        if self._thread is None:
            self._thread = Thread(target=self._run, name="access-log", daemon=True)
            self._thread.start()

    def _run(self) -> None:
        while batch := self._queue.get():
            lost, rows = batch
            lines = [_line(row) for row in rows]
            if lost:
                lines.append(_encode({"time": _utc(time.time()), "lost": lost}))
            self._write(b"".join(lines))


def _line(row: RecordedResponse) -> bytes:
    members: dict[str, Any] = dict(zip(MEMBERS, _values(row), strict=True))
    members["time"], members["ms"] = _utc(row.time), round(row.seconds * 1000, 2)
    return _encode(members)


def _encode(line: dict[str, Any]) -> bytes:
    return orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE)


def _utc(seconds: float) -> str:
    """Return a time in UTC (RFC 3339), to the millisecond."""
    return f"{_second_text(int(seconds))}.{int(seconds % 1 * 1000):03d}Z"


@lru_cache(2)
def _second_text(second: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))

"""The access log: one JSON line for each response, on standard output.

A line contains what the gateway defines (route templates, fault codes, numbers) and the request id. It never contains a
body, query, path, token or address. A thread writes the lines in batches, so that a slow reader blocks no request. If
the reader stays behind, lines are dropped, and a line with their number follows.
"""

import asyncio
import os
import time
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue
from threading import Thread
from typing import Any

import orjson

BATCH_SECONDS = 0.05
"""Time in which lines are collected before they are written together."""

MAX_QUEUED_BATCHES = 100
"""Batches that may wait for a slow reader."""

CLOSE_SECONDS = 2
"""Time for the last batches when the gateway stops."""


def write_stdout(lines: bytes) -> None:
    """Write all bytes to standard output, or discard them if that fails: the log must not stop the gateway."""
    with suppress(OSError):
        while lines:
            lines = lines[os.write(1, lines) :]


class AccessLog:
    """Collects lines on the event loop. `write` runs in a thread and may block."""

    def __init__(self, write: Callable[[bytes], object]) -> None:
        self._write = write
        self._lines: list[bytes] = []
        self._lost = 0
        self._queue: SimpleQueue[bytes | None] = SimpleQueue()
        self._thread: Thread | None = None
        self._second, self._second_text = 0, ""

    def add(self, **row: Any) -> None:
        """Log a row of JSON values, preceded by the time."""
        if not self._lines:
            asyncio.get_running_loop().call_later(BATCH_SECONDS, self._enqueue)
        self._lines.append(orjson.dumps({"time": self._time(), **row}, option=orjson.OPT_APPEND_NEWLINE))

    def close(self) -> None:
        """Write the remaining lines; wait at most `CLOSE_SECONDS` for a slow reader."""
        self._enqueue()
        self._queue.put(None)
        if self._thread:
            self._thread.join(CLOSE_SECONDS)

    def _enqueue(self) -> None:
        if not self._lines:
            return
        if self._queue.qsize() >= MAX_QUEUED_BATCHES:
            self._lost += len(self._lines)
            self._lines.clear()
            return
        if self._lost:
            lost, self._lost = self._lost, 0
            self.add(lost=lost)
        self._queue.put(b"".join(self._lines))
        self._lines.clear()
        if self._thread is None:
            self._thread = Thread(target=self._run, name="access-log", daemon=True)
            self._thread.start()

    def _run(self) -> None:
        while lines := self._queue.get():
            self._write(lines)

    def _time(self) -> str:
        """Return the current time in UTC (RFC 3339), to the millisecond."""
        now = time.time()
        second = int(now)
        if second != self._second:
            self._second, self._second_text = second, time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
        return f"{self._second_text}.{int((now - second) * 1000):03d}Z"

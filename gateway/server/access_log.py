"""The access log: one JSON line for each answer, on standard output.

A line holds what the gateway says itself (route templates, fault names, numbers) and the request's id: never a body, a
query, a path as it came, a token or an address. Lines are gathered and written by a thread, so that a reader who is
slow holds up nobody; where he stays behind, lines are dropped, and their number is logged.
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

PAUSE = 0.05
"""Seconds that lines are gathered before they are written together."""

MOST_WAITING = 100
"""As many such gatherings may wait for a slow reader."""


def to_stdout(lines: bytes) -> None:
    """Writes all of it, or gives up where nobody can read it: a log is no reason to stop."""
    with suppress(OSError):
        while lines:
            lines = lines[os.write(1, lines) :]


class AccessLog:
    """Gathers lines on the event loop that it is used on; `write` is called in a thread, and may take its time."""

    def __init__(self, write: Callable[[bytes], object]) -> None:
        self._write = write
        self._lines: list[bytes] = []
        self._lost = 0
        self._queue: SimpleQueue[bytes | None] = SimpleQueue()
        self._thread: Thread | None = None
        self._second, self._shown = 0, ""

    def add(self, **row: Any) -> None:
        """Logs one row of JSON values, with the time before it."""
        if not self._lines:
            asyncio.get_running_loop().call_later(PAUSE, self._hand_over)
        self._lines.append(orjson.dumps({"time": self._time(), **row}, option=orjson.OPT_APPEND_NEWLINE))

    def close(self) -> None:
        """Writes what is left; waits a moment for a slow reader, not for ever."""
        self._hand_over()
        self._queue.put(None)
        if self._thread:
            self._thread.join(2)

    def _hand_over(self) -> None:
        if not self._lines:
            return
        if self._queue.qsize() >= MOST_WAITING:
            self._lost += len(self._lines)
            self._lines.clear()
            return
        if self._lost:
            lost, self._lost = self._lost, 0
            self.add(lost=lost)
        self._queue.put(b"".join(self._lines))
        self._lines.clear()
        if self._thread is None:
            self._thread = Thread(target=self._serve, name="access-log", daemon=True)
            self._thread.start()

    def _serve(self) -> None:
        while lines := self._queue.get():
            self._write(lines)

    def _time(self) -> str:
        """Now, as RFC 3339 has it, in UTC."""
        now = time.time()
        second = int(now)
        if second != self._second:
            self._second, self._shown = second, time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
        return f"{self._shown}.{int((now - second) * 1000):03d}Z"

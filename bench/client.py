"""A load generator for machines without wrk: some connections, each with one request at a time.

`python -m bench.client PORT FILE CONNECTIONS SECONDS PAUSE`, in its own process, prints the results as JSON. Its
requests are rendered beforehand, and of a response it reads only the status and the length, so that it does less for a
request than any server can. With 0 seconds each request is sent once.
"""

import asyncio
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path

import uvloop

END = b"\r\n\r\n"
LENGTH = b"content-length:"


@dataclass
class Run:
    """The state that all connections share: the requests left, the end, and the times of those that were sent."""

    requests: Iterator[bytes]
    until: float
    pause: float
    times: list[float] = field(default_factory=list)
    failures: int = 0


class Connection(asyncio.Protocol):
    """One request at a time until the time is over or no request is left."""

    def __init__(self, run: Run, over: "asyncio.Future[None]") -> None:
        self._run = run
        self._over = over
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: asyncio.WriteTransport = transport  # type: ignore[assignment]  # uvloop's own kind
        self._send()

    def data_received(self, data: bytes) -> None:
        self._received += data
        if not is_whole(self._received):
            return
        self._run.times.append(time.perf_counter() - self._sent)
        if not self._received.startswith(b"HTTP/1.1 2"):
            self._run.failures += 1
            print(self._received.decode(errors="replace"), file=sys.stderr)
        self._received = b""
        if self._run.pause:
            asyncio.get_running_loop().call_later(self._run.pause, self._send)
        else:
            self._send()

    def connection_lost(self, _: Exception | None) -> None:
        if not self._over.done():
            self._run.failures += 1
            self._over.set_result(None)

    def _send(self) -> None:
        request = next(self._run.requests, None)
        self._sent = time.perf_counter()
        if request is None or self._sent > self._run.until:
            self._over.set_result(None)
            self._transport.close()
        else:
            self._transport.write(request)


def is_whole(received: bytes) -> bool:
    """Whether a response is complete."""
    head, end, body = received.partition(END)
    if not end:
        return False
    length = head.lower().partition(LENGTH)[2].partition(b"\r\n")[0]
    return len(body) >= int(length)


async def run(port: int, requests: list[bytes], connections: int, seconds: float, pause: float) -> dict[str, float]:
    """Send requests; return how many there were and how many failed, and their times in milliseconds."""
    loop = asyncio.get_running_loop()
    began = time.perf_counter()
    shared = Run(cycle(requests), began + seconds, pause) if seconds else Run(iter(requests), float("inf"), pause)
    ends = [loop.create_future() for _ in range(connections)]
    for over in ends:
        await loop.create_connection(lambda over=over: Connection(shared, over), "127.0.0.1", port)  # type: ignore[misc]
    await asyncio.gather(*ends)
    took, times = time.perf_counter() - began, sorted(shared.times) or [0.0]
    return {
        "requests": len(shared.times),
        "failures": shared.failures,
        "seconds": took,
        "median": times[len(times) // 2] * 1000,
        "p99": times[len(times) * 99 // 100] * 1000,
        "mean": sum(times) / len(times) * 1000,
    }


def read(file: Path) -> Iterator[bytes]:
    """The requests of a file: for each a line with its length, then its bytes."""
    with file.open("rb") as lines:
        while length := lines.readline():
            yield lines.read(int(length))


if __name__ == "__main__":
    port, file, connections, seconds, pause = sys.argv[1:]
    sent = run(int(port), list(read(Path(file))), int(connections), float(seconds), float(pause) / 1000)
    print(json.dumps(uvloop.run(sent)))

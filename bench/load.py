"""Sends load and measures it: by wrk where it is installed, else by `bench.client`. Starts no server.

Either is one process with one thread. A request that is refused ends the run.
"""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import NamedTemporaryFile

from bench.environment import ROOT
from bench.servers import Server

CONNECTIONS = 32
LONGEST = 900
"""Seconds after which a load generator is stopped."""


@dataclass(frozen=True)
class Measured:
    """Requests that were sent and answered in some seconds, and their times in milliseconds."""

    requests: int
    seconds: float
    median: float
    p99: float
    mean: float
    cpu: float | None
    """Processor time of the server, in microseconds a request, where it is known."""

    @property
    def rate(self) -> float:
        """Requests a second."""
        return self.requests / self.seconds

    @property
    def spread(self) -> float:
        """The p99, divided by the mean."""
        return self.p99 / self.mean


@dataclass(frozen=True)
class Run:
    """One server's turn in one round."""

    server: str
    round: int
    measured: Measured


def rounds(
    servers: Mapping[str, Server], requests: Callable[[], Iterable[bytes]], seconds: float, count: int
) -> Iterator[Run]:
    """The servers in turn, round after round, with the same requests in one round; each other round in reverse."""
    for number in range(1, count + 1):
        same = list(requests())
        for name in list(servers)[:: 1 if number % 2 else -1]:
            yield Run(name, number, measure(servers[name], same, seconds))


def measure(
    server: Server, requests: Iterable[bytes], seconds: float, connections: int = CONNECTIONS, pause: float = 0
) -> Measured:
    """Sends requests over and over for some seconds, each connection with a pause (ms) after each reply."""
    with _written(requests) as file:
        return _measured(server, _command(server, file, seconds, connections, pause))


def measure_to_the_end(server: Server, requests: Iterable[bytes], seconds: float, connections: int) -> Measured:
    """The same for requests that take long: waits for the last answers too, and counts them."""
    with _written(requests) as file:
        return _measured(server, _client(server, file, connections, seconds, 0))


def send(server: Server, requests: Iterable[bytes], connections: int = CONNECTIONS) -> Measured:
    """Sends each request once."""
    with _written(requests) as file:
        return _measured(server, _client(server, file, connections, 0, 0))


def generator(seconds: float) -> str:
    """The name of the load generator: wrk counts in whole seconds."""
    return "wrk" if seconds == int(seconds) and shutil.which("wrk") else "client"


def _command(server: Server, file: Path, seconds: float, connections: int, pause: float) -> list[Path | str]:
    if generator(seconds) == "client":
        return _client(server, file, connections, seconds, pause)
    numbers = ["--threads", "1", "--connections", str(connections), "--duration", f"{seconds:.0f}s"]
    script: list[Path | str] = ["--timeout", "60s", "--script", ROOT / "bench" / "wrk.lua"]
    return ["wrk", *numbers, *script, f"http://127.0.0.1:{server.port}", "--", file, str(pause)]


def _client(server: Server, file: Path, connections: int, seconds: float, pause: float) -> list[Path | str]:
    numbers = [str(connections), str(seconds), str(pause)]
    return [sys.executable, "-m", "bench.client", str(server.port), file, *numbers]


def _measured(server: Server, command: list[Path | str]) -> Measured:
    before = server.cpu()
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=LONGEST)
    if done.returncode:
        raise SystemExit(done.stderr or done.stdout)
    found = json.loads(done.stdout.splitlines()[-1])
    if (failures := found.pop("failures")) or not found["requests"]:
        raise SystemExit(f"{failures} of {found['requests']} requests failed\n{done.stderr}")
    return Measured(**found, cpu=(server.cpu() - before) / found["requests"] * 1e6)


@contextmanager
def _written(requests: Iterable[bytes]) -> Iterator[Path]:
    """A file of requests as both generators read it."""
    with NamedTemporaryFile(suffix=".requests") as file:
        for request in requests:
            file.write(b"%d\n%b" % (len(request), request))
        file.flush()
        yield Path(file.name)

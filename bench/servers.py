"""Starts what is measured, each in one process of its own: the floor, the gateway, the peer.

All listen on free ports of 127.0.0.1 and keep their files in a new folder under `.bench/`, on the disk of the checkout.
"""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path

import psutil  # type: ignore[import-untyped]

from bench.bodies import TOKEN
from bench.environment import HOME, ROOT, programs
from tests.stores import postgresql as embedded

BIN = Path(sys.executable).parent
GATEWAY = (BIN / "profile-gateway", "serve")
UNGROUPED = (sys.executable, "-m", "bench.ungrouped", "serve")

LOG = HOME / "server.log"
"""What the server that was started last has said."""


@dataclass(frozen=True)
class Server:
    """A server that is ready."""

    port: int
    pid: int
    seconds_to_ready: float

    def cpu(self) -> float:
        """Processor time that it has used so far, its own and its children's, in seconds."""
        return float(sum(sum(each.cpu_times()[:2]) for each in self._processes()))

    def memory(self) -> float:
        """What it and its children hold in memory (resident set size), in MiB."""
        return float(sum(each.memory_info().rss for each in self._processes())) / 2**20

    def _processes(self) -> list[psutil.Process]:
        first = psutil.Process(self.pid)
        return [first, *first.children(recursive=True)]


@contextmanager
def floor(media: str) -> Iterator[Server]:
    """The floor, which answers in a media type."""
    with uvicorn(BIN, f"bench.floor:{media}", "/api/v1.1/profiles/update/") as server:
        yield server


@contextmanager
def peer() -> Iterator[Server]:
    """The peer, on an empty store."""
    with folder() as made:
        environment = {"PEER_STORE": f"sqlite:///{made}/peer.db"}
        with uvicorn(programs(), "bench.peer:app", "/api/v1.1/profiles/update/", environment) as server:
            yield server


@contextmanager
def gateway_on_sqlite() -> Iterator[Server]:
    """The gateway on an empty store of its own."""
    with sqlite() as store, gateway(store) as server:
        yield server


@contextmanager
def gateway(store: str, command: Sequence[Path | str] = GATEWAY, **settings: str) -> Iterator[Server]:
    """The gateway as an operator starts it: the defaults, but for where it listens and stores, and its first token."""
    port = free_port()
    mine = {"STORE": store, "PORT": str(port), "BOOTSTRAP_TOKEN": TOKEN, "LOG_LEVEL": "warning", **settings}
    environment = {f"GATEWAY_{name}": value for name, value in mine.items()}
    with serving(command, port, "/readyz", environment) as server:
        yield server


@contextmanager
def uvicorn(bin: Path, application: str, path: str, environment: Mapping[str, str] | None = None) -> Iterator[Server]:
    """An application on uvicorn, as fast as that goes; ready when it answers for the path, whatever it says."""
    port = free_port()
    fast = ["--loop", "uvloop", "--http", "httptools", "--no-access-log", "--no-server-header"]
    command: list[Path | str] = [bin / "uvicorn", application, "--port", str(port), "--log-level", "warning", *fast]
    with serving(command, port, path, environment or {}) as server:
        yield server


@contextmanager
def serving(command: Sequence[Path | str], port: int, path: str, environment: Mapping[str, str]) -> Iterator[Server]:
    """A command that serves until the end of the block; entered once it answers."""
    HOME.mkdir(exist_ok=True)
    began = time.perf_counter()
    with LOG.open("w") as log:
        process = subprocess.Popen(command, env={**_inherited(), **environment}, cwd=ROOT, stdout=log, stderr=log)
    try:
        _await(process, port, path)
        yield Server(port, process.pid, time.perf_counter() - began)
    finally:
        process.terminate()
        process.wait(60)


def _inherited() -> dict[str, str]:
    """This environment without settings of a gateway: what is measured are the defaults."""
    return {name: value for name, value in os.environ.items() if not name.startswith("GATEWAY_")}


def _await(process: "subprocess.Popen[bytes]", port: int, path: str) -> None:
    for _ in range(10_000):
        try:
            asked(port, path)
        except ConnectionError:
            if process.poll() is not None:
                break
            time.sleep(0.003)
        else:
            return
    raise SystemExit(f"{process.args!r} does not answer: {LOG.read_text()}")


def asked(port: int, path: str) -> int:
    """The status of a GET."""
    connection = HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    finally:
        connection.close()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def folder() -> Iterator[Path]:
    """A new folder on the disk of the checkout, removed at the end: in memory nothing would be durable."""
    HOME.mkdir(exist_ok=True)
    made = Path(tempfile.mkdtemp(prefix="data-", dir=HOME))
    try:
        yield made
    finally:
        shutil.rmtree(made)


@contextmanager
def sqlite() -> Iterator[str]:
    """The URL of an empty store."""
    with folder() as made:
        yield f"sqlite:///{made}/gateway.db"


@contextmanager
def postgresql() -> Iterator[Callable[[], str]]:
    """A PostgreSQL server that syncs, with its own settings else; gives the URL of an empty store at each call."""
    server = embedded.Server(syncs=True)
    try:
        yield lambda: embedded.fresh(server.url)
    finally:
        server.remove()

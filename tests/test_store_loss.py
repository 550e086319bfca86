"""A running server whose store goes away or cannot be written: what it answers, and what it logs."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.server import housekeeping
from gateway.stores.errors import Unusable
from gateway.stores.sqlite import layout
from tests.test_command import Server, databases

TOKEN = "0123456789abcdef"
pytestmark = pytest.mark.usefixtures("no_settings")
SETTINGS = {"GATEWAY_BOOTSTRAP_TOKEN": TOKEN, "GATEWAY_ACCESS_LOG": "false", "GATEWAY_RATE_LIMITS": "0"}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "gateway.db"


@pytest.fixture(params=["1", "2"], ids=["1 worker", "2 workers"])
def server(request: pytest.FixtureRequest, file: Path) -> Iterator[Server]:
    server = Server(f"sqlite:///{file}", "--workers", request.param, **SETTINGS)
    yield server
    server.stop()


def update(server: Server, name: str) -> httpx.Response:
    """Update a profile on a connection of its own: each may be another worker's."""
    email = f"{name}@example.com"
    body: dict[str, Any] = {"token": TOKEN, "db_id": 1, "email": email, "data": {"email": email}}
    with httpx.Client(transport=httpx.HTTPTransport(retries=5)) as client:
        return client.post(f"{server.address}/api/v1.1/profiles/import", json=body)


def test_every_worker_stops_answering_when_the_file_is_removed(server: Server, file: Path) -> None:
    assert [update(server, f"before{n}").status_code for n in range(6)] == [200] * 6
    file.rename(file.with_name("moved.db"))
    size = file.with_name("moved.db").stat().st_size
    responses = [update(server, f"after{n}") for n in range(12)]
    assert {response.status_code for response in responses} == {503}
    assert {response.headers.get("retry-after") for response in responses} != {None}
    for _ in range(6):
        ready = httpx.get(f"{server.address}/readyz")
        assert (ready.status_code, ready.json()) == (
            503,
            {"status": "the file of the store was moved, removed or replaced"},
        )
    assert httpx.get(f"{server.address}/healthz").status_code == 200
    server.stop()
    lines = [line for line in server.log.splitlines() if "the store is unavailable" in line]
    assert 1 <= len(lines) <= 2
    assert all("the file of the store was moved, removed or replaced" in line for line in lines)
    assert str(file) not in "".join(lines)
    assert file.with_name("moved.db").stat().st_size == size
    assert not file.exists()


def test_is_not_ready_with_the_reason_when_a_newer_version_migrates(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = Server(f"sqlite:///{file}", **SETTINGS)
    try:
        monkeypatch.setattr(layout, "MIGRATIONS", (*layout.MIGRATIONS, "CREATE TABLE more (x INT) STRICT"))
        databases(f"sqlite:///{file}")
        for _ in range(3):
            ready = httpx.get(f"{server.address}/readyz")
            assert ready.status_code == 503
            assert ready.json()["status"].startswith("a newer version wrote layout")
        assert update(server, "still").status_code == 200
    finally:
        server.stop()
    assert server.log.count("not ready: a newer version wrote layout") == 1


def test_few_file_descriptors_are_logged_at_the_start(file: Path) -> None:
    serve = f"ulimit -n 1000; exec {sys.executable} -m gateway serve --port 0 --store sqlite:///{file}"
    with subprocess.Popen(["bash", "-c", serve], stderr=subprocess.PIPE, env=os.environ | SETTINGS) as process:
        assert process.stderr
        lines = iter(process.stderr.readline, b"")
        assert any(b"the system permits 1000 open files: at most 872 connections, not 10000" in line for line in lines)
        process.terminate()


class LostStore:
    """A store whose file is gone."""

    calls = 0

    async def subscribers(self) -> list[Any]:
        self.calls += 1
        raise Unusable("the file is gone")


@pytest.mark.anyio
async def test_pruning_ends_when_the_file_is_removed(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(housekeeping, "PRUNE_INTERVAL_SECONDS", 0.001)
    store: Any = LostStore()
    async with housekeeping.housekeeping(store, 1, 1, 1, lambda: 0):
        await asyncio.sleep(0.05)
    assert store.calls == 1
    assert "old changes are no longer pruned: the file is gone" in caplog.text

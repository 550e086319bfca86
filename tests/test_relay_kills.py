"""A relay between two processes, each of which is killed under load: nothing is lost, nothing is out of order.

`RELAY_KILLS` is how often each side is killed.
"""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.core.model import JournalEntry
from gateway.feed.relay.sender import SCHEDULE
from gateway.stores import open_store
from tests.test_docs_examples import free_port

KILLS = int(os.environ.get("RELAY_KILLS", "1"))
COMMAND = str(Path(sys.executable).parent / "profile-gateway")
PROFILES, UPDATES = 4, 12
SECRET = "secret"
START_SECONDS = 60
CATCH_UP_SECONDS = 60 + 2 * SCHEDULE.max_pause / 1000
"""Longer than the longest pause with its jitter: each attempt may have met a killed side."""


class Server:
    """A gateway as a process, on one store and port."""

    def __init__(self, folder: Path, name: str) -> None:
        self.store, self.port = f"sqlite:///{folder / name}.db", free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._environment = {
            **os.environ,
            "GATEWAY_STORE": self.store,
            "GATEWAY_BOOTSTRAP_TOKEN": SECRET,
            "GATEWAY_ACCESS_LOG": "false",
        }
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._process = subprocess.Popen(
            [COMMAND, "serve", "--port", str(self.port)],
            env=self._environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        until = time.monotonic() + START_SECONDS
        while time.monotonic() < until:
            try:
                if httpx.get(f"{self.url}/readyz").status_code == 200:
                    return
            except httpx.HTTPError:
                time.sleep(0.1)
        raise TimeoutError(self.url)

    def kill(self) -> None:
        if self._process:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()

    def run(self, *arguments: str) -> None:
        subprocess.run([COMMAND, *arguments], env=self._environment, check=True, capture_output=True)

    def journal(self) -> list[JournalEntry]:
        async def read() -> list[JournalEntry]:
            store = await open_store(self.store, create=False)
            try:
                return await store.journal(1, 0, 100_000)
            finally:
                await store.close()

        return asyncio.run(read())


@contextmanager
def servers(folder: Path) -> Iterator[tuple[Server, Server]]:
    near, far = Server(folder, "near"), Server(folder, "far")
    try:
        far.start()
        near.start()
        yield near, far
    finally:
        near.kill()
        far.kill()


def update(near: Server, number: int) -> bool:
    """Send one update. Return whether it was acknowledged."""
    body = {"profile": {"email": f"p{number % PROFILES}@example.com", "custom": {"count": number}}}
    headers = {"authorization": f"Bearer {SECRET}"}
    try:
        url = f"{near.url}/profiles/customer-{number % PROFILES}"
        return httpx.post(url, json=body, headers=headers).status_code == 200
    except httpx.HTTPError:
        return False


def counts(journal: list[JournalEntry]) -> dict[str, list[int]]:
    """Return by e-mail address the values of `count`, in order."""
    emails: dict[str, str] = {}
    found: dict[str, list[int]] = defaultdict(list)
    for entry in journal:
        for each in entry.members:
            after: Any = each.after
            if not each.pointer:
                emails[entry.profile] = after["email"]
                after = after["custom"]["count"]
            if each.pointer in ("", "/custom/count"):
                found[emails[entry.profile]].append(after)
    return found


@pytest.mark.parametrize("killed", ["near", "far"])
def test_nothing_is_lost_or_out_of_order_when_a_side_is_killed(tmp_path: Path, killed: str) -> None:
    credential = tmp_path / "credential"
    credential.write_text(SECRET)
    with servers(tmp_path) as (near, far):
        near.run(
            *("relay", "create", "--database", "1", "--to", "courier"),
            *("--url", far.url, "--credential-file", str(credential)),
        )
        number, victim, last = 0, near if killed == "near" else far, dict[str, int]()
        for _ in range(KILLS):
            for step in range(UPDATES):
                number += 1
                if update(near, number):
                    last[f"p{number % PROFILES}@example.com"] = number
                if step == UPDATES // 2:
                    victim.kill()
                if step == UPDATES - 3:
                    victim.start()
        until = time.monotonic() + CATCH_UP_SECONDS
        while time.monotonic() < until:
            sent = counts(far.journal())
            if all(sent.get(email, [0])[-1] >= count for email, count in last.items()):
                break
            time.sleep(0.5)
        written = counts(near.journal())
        assert {email: each[-1] for email, each in sent.items()} == {email: each[-1] for email, each in written.items()}
        assert all(each == sorted(each) for each in sent.values())

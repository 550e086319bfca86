"""Concurrent `add` and `incr` at several processes are linearizable: each is stored once, and no read is stale."""

import asyncio
import itertools
import random
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.gateways import PROCESSES, TOKEN, gateways, url_of
from tests.history import Append, Read, violations

pytestmark = pytest.mark.xdist_group("gateways")

NAMES = {"matching": "email", "email": "ann@example.com"}, {"matching": "phone", "phone": "+79510000000"}
"""The one profile, by each of its identities."""


class Client:
    """Appends to the list of the profile, or reads it, at any of the processes, and records the history."""

    def __init__(self, addresses: Sequence[str], http: httpx.AsyncClient) -> None:
        self.history: list[Append | Read] = []
        self._addresses = addresses
        self._http = http
        self._numbers = itertools.count()
        self._random = random.Random(1)

    async def make(self) -> None:
        data = {"email": "ann@example.com", "phones": ["+79510000000"]}
        await self._call("import", {**NAMES[0], "data": data})

    async def steps(self, count: int) -> None:
        """Run `count` steps, one after the other."""
        for _ in range(count):
            await (self.append() if self._random.random() < 0.7 else self.read())

    async def append(self) -> None:
        element, began = f"e{next(self._numbers)}", time.monotonic()
        data = {"seen": {"action": "add", "value": [element]}, "count": {"action": "incr", "value": 1}}
        await self._call("update", {**self._random.choice(NAMES), "data": data})
        self.history.append(Append(element, began, time.monotonic()))

    async def read(self) -> Read:
        began = time.monotonic()
        found = await self._call("get", self._random.choice(NAMES))
        read = Read(tuple(found.get("seen", ())), found.get("count", 0), began, time.monotonic())
        self.history.append(read)
        return read

    async def _call(self, name: str, members: dict[str, Any]) -> dict[str, Any]:
        address = self._random.choice(self._addresses)
        body = {"token": TOKEN, "db_id": 1, **members}
        answer = await self._http.post(f"{address}/api/v1.1/profiles/{name}", json=body)
        assert answer.status_code == 200, answer.text
        tree: dict[str, Any] = answer.json()
        return tree.get("data", tree)


async def record_history(
    addresses: Sequence[str], clients: int = 12, steps: int = 10
) -> tuple[list[Append | Read], Read]:
    """Return the history of concurrent clients, and a read at the end."""
    async with httpx.AsyncClient(timeout=60, verify=False) as http:
        client = Client(addresses, http)
        await client.make()
        await asyncio.gather(*(client.steps(steps) for _ in range(clients)))
        return list(client.history), await client.read()


def violations_of(engine: str, folder: Path, *faults: str) -> list[str]:
    """Return the violations of a history on an engine."""
    with gateways(url_of(engine, folder), PROCESSES[engine], *faults) as addresses:
        return list(violations(*asyncio.run(record_history(addresses))))


@pytest.mark.parametrize("engine", PROCESSES)
def test_appends_and_reads_are_linearizable(engine: str, tmp_path: Path) -> None:
    assert violations_of(engine, tmp_path) == []


@pytest.mark.parametrize(
    ("engine", "fault", "words"),
    [("sqlite", "no-lock", "is lost"), ("postgresql", "stale-reads", "comes before")],
)
def test_an_injected_fault_is_found(engine: str, fault: str, words: str, tmp_path: Path) -> None:
    assert any(words in violation for violation in violations_of(engine, tmp_path, fault))


# --- the checker ---

A, B = Append("a", 0, 1), Append("b", 2, 3)


def read_of(seen: str, began: float, ended: float) -> Read:
    return Read(tuple(seen), len(seen), began, ended)


END = read_of("ab", 9, 9)


@pytest.mark.parametrize(
    "history",
    [
        [A, B],
        [A, B, read_of("a", 1.5, 1.8), read_of("ab", 3.5, 4)],
        [
            A,
            B,
            read_of("", 0.5, 5),
            read_of("ab", 2.5, 5),
        ],  # concurrent with appends
        [A, Append("b", 0)],  # never acknowledged, and stored
        [A, B, Append("c", 4)],  # never acknowledged, and not stored
    ],
)
def test_a_linearizable_history_has_no_violation(history: list[Append | Read]) -> None:
    assert list(violations(history, END)) == []


@pytest.mark.parametrize(
    ("history", "final", "words"),
    [
        ([A, B, Append("c", 4, 5)], END, "c was acknowledged and is lost"),
        ([A, B], read_of("aba", 9, 9), "a was kept 2 times"),
        ([A, B, read_of("b", 4, 5)], END, "no beginning"),
        ([A, B, Read(("a",), 2, 1.5, 1.8)], END, "counted 2"),
        ([A, B, read_of("a", 4, 5)], END, "comes before"),  # a stale read
        (
            [A, B, read_of("ab", 0, 1.5), read_of("a", 1.7, 1.8)],
            END,
            "comes before",
        ),  # reads go back
        ([A, B, read_of("ab", 1.2, 1.5)], END, "comes before"),  # a read of an append that has not begun
        ([A, B], read_of("ba", 9, 9), "comes before"),  # appends out of their order
    ],
)
def test_a_violation_is_found(history: list[Append | Read], final: Read, words: str) -> None:
    assert any(words in violation for violation in violations(history, final))

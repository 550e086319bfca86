"""Clients that count and append without a pause, log what is acknowledged, and send again what is not.

Each call adds one element to a list and increments a counter, with an Idempotency-Key of its own; a call that is sent
again has the same key. So the store must have every acknowledged element, in order, and each once.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx

from gateway.core.model import Profile
from gateway.stores import open_store
from tests.durability.service import TOKEN

CLIENTS = 16
MAX_LIST_ELEMENTS = 100
"""Elements of one profile; its client then uses a new one."""

PAUSE = 0.02


@dataclass
class ClientLog:
    """The log of one client: the number of acknowledged elements.

    `unanswered` are its calls without a response, `refused` those that were answered with 503 and Retry-After.
    """

    name: str
    acknowledged: int = 0
    unanswered: int = 0
    refused: int = 0

    def email(self, number: int) -> str:
        return f"{self.name}-{number // MAX_LIST_ELEMENTS}@example.com"


@dataclass(frozen=True)
class Comparison:
    """The differences between the logs and the store."""

    acknowledged: int
    lost: int
    doubled: int

    @property
    def is_equal(self) -> bool:
        return self.acknowledged > 0 and self.lost == self.doubled == 0


@asynccontextmanager
async def clients(url: str, name: str = "client", count: int = CLIENTS) -> AsyncIterator[list[ClientLog]]:
    """Run clients without a pause. At the end each has the response to its last call."""
    logs = [ClientLog(f"{name}-{number}") for number in range(count)]
    done = asyncio.Event()
    async with httpx.AsyncClient(base_url=url, timeout=30, verify=False) as http:
        tasks = [asyncio.create_task(_serve(http, log, done)) for log in logs]
        try:
            yield logs
        except BaseException:
            for task in tasks:
                task.cancel()
            raise
        done.set()
        await asyncio.gather(*tasks)


async def _serve(http: httpx.AsyncClient, log: ClientLog, done: asyncio.Event) -> None:
    while not done.is_set():
        while (status := await _append(http, log, log.acknowledged)) != 200:
            if status not in (0, 503):
                raise AssertionError(f"a client got {status}")
            await asyncio.sleep(PAUSE)
        log.acknowledged += 1


async def _append(http: httpx.AsyncClient, log: ClientLog, number: int) -> int:
    """Return the status of one call, 0 where there is no response."""
    try:
        answer = await http.post(
            "/api/v1.1/profiles/import",
            json={"token": TOKEN, "db_id": 1, "email": log.email(number), "data": _update_data(number)},
            headers={"idempotency-key": f"{log.name} {number}"},
        )
    except httpx.TransportError as error:
        log.unanswered += not isinstance(error, httpx.ConnectError)
        return 0
    log.refused += answer.status_code == 503 and "retry-after" in answer.headers
    return answer.status_code


def _update_data(number: int) -> dict[str, object]:
    element = number % MAX_LIST_ELEMENTS
    return {"seen": {"action": "add", "value": [element]}, "count": {"action": "incr", "value": 1}}


async def compare(url: str, logs: Sequence[ClientLog]) -> Comparison:
    """Compare the store with the logs. Every client must have its last response."""
    lost = doubled = 0
    store = await open_store(url, create=True)
    for log in logs:
        for first in range(0, log.acknowledged + 1, MAX_LIST_ELEMENTS):
            expected = min(log.acknowledged - first, MAX_LIST_ELEMENTS)
            found = await store.find(1, [("email", log.email(first))])
            seen, counter = elements_of(found)
            lost += len(set(range(expected)) - set(seen))
            doubled += abs(counter - len(set(seen))) + len(seen) - len(set(seen)) + max(len(found) - 1, 0)
    await store.close()
    return Comparison(sum(log.acknowledged for log in logs), lost, doubled)


def elements_of(found: Sequence[Profile]) -> tuple[list[int], int]:
    """Return the list and the counter of the profile, if there is one."""
    custom = found[0].document.get("custom", {}) if found else {}
    return custom.get("seen", []), custom.get("count", 0)

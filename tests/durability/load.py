"""Clients that count and append without a pause, keep book of what was acknowledged, and send again what was not.

Each call adds one element to a list and moves a counter by one, under an Idempotency-Key of its own, which a call that
has to be sent again repeats. So what is kept must be every acknowledged element, in order, and each once.
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
LONGEST_LIST = 100
"""Elements of one profile; then its client goes on with a new one."""

PAUSE = 0.02


@dataclass
class Book:
    """What one client was promised: so many elements, one after the other.

    `unanswered` are its calls that were sent and got no answer, `refused` those that were told to try again later.
    """

    name: str
    acknowledged: int = 0
    unanswered: int = 0
    refused: int = 0

    def email(self, number: int) -> str:
        return f"{self.name}-{number // LONGEST_LIST}@example.com"


@dataclass(frozen=True)
class Balance:
    """What books and store come to when they are compared."""

    acknowledged: int
    lost: int
    doubled: int

    @property
    def is_even(self) -> bool:
        return self.acknowledged > 0 and self.lost == self.doubled == 0


@asynccontextmanager
async def clients(url: str, name: str = "client", count: int = CLIENTS) -> AsyncIterator[list[Book]]:
    """So many clients that do not rest; at the end each has the answer to its last call."""
    books = [Book(f"{name}-{number}") for number in range(count)]
    done = asyncio.Event()
    async with httpx.AsyncClient(base_url=url, timeout=30, verify=False) as http:
        tasks = [asyncio.create_task(_serve(http, book, done)) for book in books]
        try:
            yield books
        except BaseException:
            for task in tasks:
                task.cancel()
            raise
        done.set()
        await asyncio.gather(*tasks)


async def _serve(http: httpx.AsyncClient, book: Book, done: asyncio.Event) -> None:
    while not done.is_set():
        while (status := await _append(http, book, book.acknowledged)) != 200:
            if status not in (0, 503):
                raise AssertionError(f"a client was told {status}")
            await asyncio.sleep(PAUSE)
        book.acknowledged += 1


async def _append(http: httpx.AsyncClient, book: Book, number: int) -> int:
    """The status that one call is answered with, 0 where there is no answer."""
    try:
        answer = await http.post(
            "/api/v1.1/profiles/import",
            json={"token": TOKEN, "db_id": 1, "email": book.email(number), "data": _appending(number)},
            headers={"idempotency-key": f"{book.name} {number}"},
        )
    except httpx.TransportError as error:
        book.unanswered += not isinstance(error, httpx.ConnectError)
        return 0
    book.refused += answer.status_code == 503 and "retry-after" in answer.headers
    return answer.status_code


def _appending(number: int) -> dict[str, object]:
    element = number % LONGEST_LIST
    return {"seen": {"action": "add", "value": [element]}, "count": {"action": "incr", "value": 1}}


async def balance(url: str, books: Sequence[Book]) -> Balance:
    """Opens the store and compares. Every client must have had its last answer."""
    lost = doubled = 0
    store = await open_store(url)
    for book in books:
        for first in range(0, book.acknowledged + 1, LONGEST_LIST):
            expected = min(book.acknowledged - first, LONGEST_LIST)
            found = await store.find(1, [("email", book.email(first))])
            seen, counter = appended(found)
            lost += len(set(range(expected)) - set(seen))
            doubled += abs(counter - len(set(seen))) + len(seen) - len(set(seen)) + max(len(found) - 1, 0)
    await store.close()
    return Balance(sum(book.acknowledged for book in books), lost, doubled)


def appended(found: Sequence[Profile]) -> tuple[list[int], int]:
    """The list and the counter of the one profile that was found, if any."""
    custom = found[0].document.get("custom", {}) if found else {}
    return custom.get("seen", []), custom.get("count", 0)

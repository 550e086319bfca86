"""Bad disks: the calls on the log of a gateway under load fail or dawdle for some seconds, and then they do not.

strace injects that into the running processes. Meanwhile nothing may be acknowledged that is not kept: calls are told
503 with Retry-After; then the same processes must go on. Each kind ends with a kill and a look at what is kept.
"""

import asyncio
import signal
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import httpx

from tests.durability import Outcome
from tests.durability.load import Book, balance, clients
from tests.durability.service import TOKEN, Service

SECONDS = 4.0
DELAY = 0.3
ERRORS = {
    "fdatasync fails (EIO)": "fdatasync:error=EIO",
    "pwrite fails (EIO)": "pwrite64:error=EIO",
    "the disk is full (ENOSPC)": "pwrite64:error=ENOSPC",
}
SLOW = f"fdatasync:delay_enter={int(DELAY * 1_000_000)}"


def run(folder: Path) -> Outcome:
    outcomes = [asyncio.run(_failing(folder / str(n), *each)) for n, each in enumerate(ERRORS.items())]
    outcomes.append(asyncio.run(_dawdling(folder / "slow")))
    figures = {name: value for outcome in outcomes for name, value in outcome.figures.items()}
    return Outcome(figures, all(outcome.holds for outcome in outcomes))


async def _failing(folder: Path, name: str, fault: str) -> Outcome:
    file = folder / "profiles.db"
    async with _loaded(folder, file) as (service, books):
        async with _injected(service, file, fault):
            await _until_refused(books)
            before = _acknowledged(books)
            await asyncio.sleep(SECONDS)
            during, refused = _acknowledged(books) - before, sum(book.refused for book in books)
        pause = await _until_acknowledged(books)
        await asyncio.sleep(1)
    result = await balance(f"sqlite:///{file}", books)
    words = (
        f"acknowledged {result.acknowledged:,}, of those while it failed {during}; told 503 with Retry-After "
        f"{refused:,}; seconds until it went on {pause:.2f}; lost {result.lost}, doubled {result.doubled}"
    )
    return Outcome({name: words}, result.is_even and during == 0 and refused > 0)


async def _dawdling(folder: Path) -> Outcome:
    file = folder / "profiles.db"
    async with _loaded(folder, file) as (service, books), _injected(service, file, SLOW):
        before = _acknowledged(books)
        longest = await _longest_read(service.url, books[0])
        during, refused = _acknowledged(books) - before, sum(book.refused for book in books)
    result = await balance(f"sqlite:///{file}", books)
    words = (
        f"acknowledged {result.acknowledged:,}, of those meanwhile {during:,}; told 503 {refused}; "
        f"seconds of the longest read meanwhile {longest:.3f}; lost {result.lost}, doubled {result.doubled}"
    )
    return Outcome({f"fdatasync takes {DELAY} s": words}, result.is_even and during > 0 and refused == 0)


@asynccontextmanager
async def _loaded(folder: Path, file: Path) -> AsyncIterator[tuple[Service, list[Book]]]:
    """A gateway under load, which is killed at the end."""
    folder.mkdir()
    with Service(f"sqlite:///{file}", folder / "log") as service:
        await asyncio.to_thread(service.start)
        async with clients(service.url) as books:
            await asyncio.sleep(1)
            yield service, books


@asynccontextmanager
async def _injected(service: Service, file: Path, fault: str) -> AsyncIterator[None]:
    """From the first to the last line of this context, what is asked of the log of the file goes wrong."""
    attach = [f"--attach={process}" for process in service.processes()]
    paths = [f"--trace-path={file}{end}" for end in ("", "-wal")]
    options = [*attach, *paths, f"--trace={fault.partition(':')[0]}", f"--inject={fault}", "--output=/dev/null"]
    strace = await asyncio.create_subprocess_exec("strace", "--follow-forks", *options, stderr=asyncio.subprocess.PIPE)
    assert strace.stderr
    for _ in attach:
        await strace.stderr.readline()  # "Process … attached"
    await asyncio.sleep(0.5)
    try:
        yield
    finally:
        strace.send_signal(signal.SIGINT)
        await strace.communicate()


def _acknowledged(books: Sequence[Book]) -> int:
    return sum(book.acknowledged for book in books)


async def _until_refused(books: Sequence[Book]) -> None:
    """Until each client was told that it failed: what it was told before was done before."""
    async with asyncio.timeout(30):
        while not all(book.refused for book in books):
            await asyncio.sleep(0.005)


async def _until_acknowledged(books: Sequence[Book]) -> float:
    began, before = time.monotonic(), _acknowledged(books)
    async with asyncio.timeout(30):
        while _acknowledged(books) == before:
            await asyncio.sleep(0.005)
    return time.monotonic() - began


async def _longest_read(url: str, book: Book) -> float:
    """Reads one profile again and again."""
    longest, until = 0.0, time.monotonic() + SECONDS
    body = {"token": TOKEN, "db_id": 1, "matching": "email", "email": book.email(0)}
    async with httpx.AsyncClient(base_url=url, verify=False) as http:
        while (began := time.monotonic()) < until:
            answer = await http.post("/api/v1.1/profiles/get", json=body)
            assert answer.status_code == 200
            longest = max(longest, time.monotonic() - began)
            await asyncio.sleep(0.01)
    return longest

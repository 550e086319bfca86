"""Bad disks: for some seconds, the system calls on the log of a gateway under load fail or are slow.

strace injects that into the running processes. Meanwhile no change may be acknowledged that is not stored: the response
is 503 with Retry-After. Then the same processes must continue. Each case ends with a kill and a check of the store.
"""

import asyncio
import signal
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import httpx

from tests.durability import Outcome
from tests.durability.load import ClientLog, clients, compare
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
    outcomes = [asyncio.run(_run_failing(folder / str(n), *each)) for n, each in enumerate(ERRORS.items())]
    outcomes.append(asyncio.run(_run_slow(folder / "slow")))
    figures = {name: value for outcome in outcomes for name, value in outcome.figures.items()}
    return Outcome(figures, all(outcome.passes for outcome in outcomes))


async def _run_failing(folder: Path, name: str, fault: str) -> Outcome:
    file = folder / "profiles.db"
    async with _gateway_under_load(folder, file) as (service, logs):
        async with _fault(service, file, fault):
            await _until_refused(logs)
            before = _acknowledged(logs)
            await asyncio.sleep(SECONDS)
            during, refused = _acknowledged(logs) - before, sum(log.refused for log in logs)
        pause = await _until_acknowledged(logs)
        await asyncio.sleep(1)
    result = await compare(f"sqlite:///{file}", logs)
    words = (
        f"acknowledged {result.acknowledged:,}, of those while it failed {during}; answered with 503 "
        f"{refused:,}; seconds until it went on {pause:.2f}; lost {result.lost}, doubled {result.doubled}"
    )
    return Outcome({name: words}, result.is_equal and during == 0 and refused > 0)


async def _run_slow(folder: Path) -> Outcome:
    file = folder / "profiles.db"
    async with _gateway_under_load(folder, file) as (service, logs), _fault(service, file, SLOW):
        before = _acknowledged(logs)
        longest = await _longest_read(service.url, logs[0])
        during, refused = _acknowledged(logs) - before, sum(log.refused for log in logs)
    result = await compare(f"sqlite:///{file}", logs)
    words = (
        f"acknowledged {result.acknowledged:,}, of those meanwhile {during:,}; answered with 503 {refused}; "
        f"seconds of the longest read meanwhile {longest:.3f}; lost {result.lost}, doubled {result.doubled}"
    )
    return Outcome({f"fdatasync takes {DELAY} s": words}, result.is_equal and during > 0 and refused == 0)


@asynccontextmanager
async def _gateway_under_load(folder: Path, file: Path) -> AsyncIterator[tuple[Service, list[ClientLog]]]:
    """Run a gateway under load, and kill it at the end."""
    folder.mkdir()
    with Service(f"sqlite:///{file}", folder / "log") as service:
        await asyncio.to_thread(service.start)
        async with clients(service.url) as logs:
            await asyncio.sleep(1)
            yield service, logs


@asynccontextmanager
async def _fault(service: Service, file: Path, fault: str) -> AsyncIterator[None]:
    """Inject a fault into the calls on the file and its log, until the context ends."""
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


def _acknowledged(logs: Sequence[ClientLog]) -> int:
    return sum(log.acknowledged for log in logs)


async def _until_refused(logs: Sequence[ClientLog]) -> None:
    """Wait until each client has a failure. Earlier acknowledgements are from before the fault."""
    async with asyncio.timeout(30):
        while not all(log.refused for log in logs):
            await asyncio.sleep(0.005)


async def _until_acknowledged(logs: Sequence[ClientLog]) -> float:
    began, before = time.monotonic(), _acknowledged(logs)
    async with asyncio.timeout(30):
        while _acknowledged(logs) == before:
            await asyncio.sleep(0.005)
    return time.monotonic() - began


async def _longest_read(url: str, log: ClientLog) -> float:
    """Read one profile repeatedly. Return the longest time in seconds."""
    longest, until = 0.0, time.monotonic() + SECONDS
    body = {"token": TOKEN, "db_id": 1, "matching": "email", "email": log.email(0)}
    async with httpx.AsyncClient(base_url=url, verify=False) as http:
        while (began := time.monotonic()) < until:
            answer = await http.post("/api/v1.1/profiles/get", json=body)
            assert answer.status_code == 200
            longest = max(longest, time.monotonic() - began)
            await asyncio.sleep(0.01)
    return longest

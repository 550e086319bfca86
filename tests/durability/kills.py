"""kill -9 of every process of the gateway under load, repeatedly, on one SQLite file."""

import asyncio
import random
from pathlib import Path
from statistics import median

import apsw

from tests.durability import Outcome
from tests.durability.load import clients, compare
from tests.durability.service import Service

KILLS = 100
MAX_LIFE_SECONDS = 1.0
"""Time under load before a kill."""


def run(folder: Path) -> Outcome:
    file = folder / "profiles.db"
    with Service(f"sqlite:///{file}", folder / "log") as service:
        return asyncio.run(_run_kills(service, file))


async def _run_kills(service: Service, file: Path) -> Outcome:
    starts = [await asyncio.to_thread(service.start)]
    async with clients(service.url) as logs:
        for _ in range(KILLS):
            await asyncio.sleep(random.uniform(0, MAX_LIFE_SECONDS))
            service.kill()
            starts.append(await asyncio.to_thread(service.start))
    service.kill()
    result = await compare(f"sqlite:///{file}", logs)
    is_whole = apsw.Connection(str(file)).pragma("integrity_check") == "ok"
    figures = {
        "kills": KILLS,
        "acknowledged": result.acknowledged,
        "lost": result.lost,
        "doubled": result.doubled,
        "calls cut off, and sent again": sum(log.unanswered for log in logs),
        "seconds to the first answer after a kill, median and longest": f"{median(starts):.2f}, {max(starts):.2f}",
        "the file is whole": "yes" if is_whole else "no",
    }
    return Outcome(figures, result.is_equal and is_whole)

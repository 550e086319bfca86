"""kill -9 of every process of the gateway under load, again and again, on one SQLite file."""

import asyncio
import random
from pathlib import Path
from statistics import median

import apsw

from tests.durability import Outcome
from tests.durability.load import balance, clients
from tests.durability.service import Service

KILLS = 100
LONGEST_LIFE = 1.0
"""Seconds under load before a kill, at most."""


def run(folder: Path) -> Outcome:
    file = folder / "profiles.db"
    with Service(f"sqlite:///{file}", folder / "log") as service:
        return asyncio.run(_killed(service, file))


async def _killed(service: Service, file: Path) -> Outcome:
    starts = [await asyncio.to_thread(service.start)]
    async with clients(service.url) as books:
        for _ in range(KILLS):
            await asyncio.sleep(random.uniform(0, LONGEST_LIFE))
            service.kill()
            starts.append(await asyncio.to_thread(service.start))
    service.kill()
    result = await balance(f"sqlite:///{file}", books)
    is_whole = apsw.Connection(str(file)).pragma("integrity_check") == "ok"
    figures = {
        "kills": KILLS,
        "acknowledged": result.acknowledged,
        "lost": result.lost,
        "doubled": result.doubled,
        "calls cut off, and sent again": sum(book.unanswered for book in books),
        "seconds to the first answer after a kill, median and longest": f"{median(starts):.2f}, {max(starts):.2f}",
        "the file is whole": "yes" if is_whole else "no",
    }
    return Outcome(figures, result.is_even and is_whole)

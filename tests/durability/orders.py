"""Long histories of appends and reads at several processes. tests/test_linearizable.py has the short ones."""

import asyncio
from pathlib import Path

from tests.durability import Outcome
from tests.gateways import PROCESSES, gateways, url_of
from tests.history import Append, violations
from tests.stores import postgresql
from tests.test_linearizable import record_history

CLIENTS, STEPS = 24, 100


def run(folder: Path) -> Outcome:
    try:
        outcomes = [_check(engine, folder) for engine in PROCESSES]
    finally:
        postgresql.end()
    figures = {name: value for outcome in outcomes for name, value in outcome.figures.items()}
    return Outcome(figures, all(outcome.passes for outcome in outcomes))


def _check(engine: str, folder: Path) -> Outcome:
    with gateways(url_of(engine, folder), PROCESSES[engine]) as addresses:
        history, final = asyncio.run(record_history(addresses, CLIENTS, STEPS))
    appends = sum(isinstance(step, Append) for step in history)
    found = list(violations(history, final))
    words = f"{appends:,} appends, {len(history) - appends:,} reads, {len(found)} violations"
    return Outcome({f"{engine}, {PROCESSES[engine]} processes": words}, not found)

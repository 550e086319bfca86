"""The results as text: the table of goals and figures, every turn behind them, and the machine."""

import os
import platform
import subprocess
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Self

from bench.environment import ROOT
from bench.load import CONNECTIONS, Run, generator
from bench.scale import Scale
from bench.servers import folder

RESULTS = Path(__file__).with_name("results.md")
LIBRARIES = ("uvicorn", "uvloop", "httptools", "starlette", "jiter", "lxml", "jsonschema-rs", "apsw", "psycopg")


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    work: str
    goal: str
    measured: str
    is_reached: bool | None
    """None without a goal."""

    @classmethod
    def at_least(cls, work: str, goal: float | None, figure: float, unit: str, note: str = "") -> Self:
        """A row whose figure should be at least the goal. The unit contains the format: `{:.2f} of the floor`."""
        return cls(work, *_cells("≥", goal, figure, unit, note), None if goal is None else figure >= goal)

    @classmethod
    def at_most(cls, work: str, goal: float | None, figure: float, unit: str, note: str = "") -> Self:
        """The same for a figure that should be at most the goal."""
        return cls(work, *_cells("≤", goal, figure, unit, note), None if goal is None else figure <= goal)


def _cells(sign: str, goal: float | None, figure: float, unit: str, note: str) -> tuple[str, str]:
    """The goal and the figure as text."""
    return "" if goal is None else f"{sign} {unit.format(goal)}", f"{unit.format(figure)} {note}".strip()


@dataclass(frozen=True)
class Finding:
    """The rows of a topic, and the turns that they are computed from."""

    rows: Sequence[Row]
    runs: Sequence[Run] = ()


def ratio(runs: Iterable[Run], of: str, to: str, what: str = "rate") -> float:
    """One server's figure, divided by another's: the median of the rounds."""
    return median(ratios(runs, of, to, what))


def ratios(runs: Iterable[Run], of: str, to: str, what: str) -> list[float]:
    """The same of each round."""
    by_round: dict[int, dict[str, float]] = {}
    for run in runs:
        by_round.setdefault(run.round, {})[run.server] = getattr(run.measured, what)
    return [figures[of] / figures[to] for figures in by_round.values()]


def middle(runs: Iterable[Run], server: str, what: str = "rate") -> float:
    """The median over the rounds of one server's figure."""
    return float(median(getattr(run.measured, what) for run in runs if run.server == server))


def least_cpu(runs: Iterable[Run], server: str) -> float:
    """The least processor time (µs a request) of the rounds: other programs disturb it least."""
    return min(run.measured.cpu or 0 for run in runs if run.server == server)


def goals(rows: Iterable[Row]) -> str:
    """The table of goals and figures."""
    answers = {None: "", True: "yes", False: "no"}
    cells = ((row.work, row.goal, row.measured, answers[row.is_reached]) for row in rows)
    return table(("work", "goal", "measured", "reached"), cells)


def turns(runs: Sequence[Run]) -> str:
    """Every turn: requests a second, their times, and the server's processor time a request; empty without turns."""
    if not runs:
        return ""
    heads = ("round", "server", "requests/s", "median, ms", "p99, ms", "mean, ms", "CPU, µs a request")
    return table(heads, map(_turn, runs))


def _turn(run: Run) -> Sequence[str]:
    found = run.measured
    figures = (
        f"{found.rate:,.0f}",
        f"{found.median:.2f}",
        f"{found.p99:.2f}",
        f"{found.mean:.2f}",
        "" if found.cpu is None else f"{found.cpu:.0f}",
    )
    return (str(run.round), run.server, *figures)


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in Markdown."""
    return "\n".join(line(*cells) for cells in (heads, ["---"] * len(heads), *rows))


def line(*cells: str) -> str:
    """A line of a table in Markdown."""
    return f"| {' | '.join(cells)} |"


def machine(scale: Scale) -> Iterator[str]:
    """What the figures depend on, as lines of a list."""
    yield f"commit: {_commit()}"
    load = ", ".join(f"{part:.2f}" for part in os.getloadavg())
    yield f"date: {datetime.now(UTC):%Y-%m-%d %H:%M} UTC"
    yield f"processor: {_processor()}, {os.cpu_count()} cores; Linux {platform.release()}"
    yield f"load average at the start: {load}"
    yield f"writing 8 KiB to the disk with fdatasync: {_sync():.2f} ms (median of 50)"
    yield f"Python {platform.python_version()}; {', '.join(f'{name} {version(name)}' for name in LIBRARIES)}"
    yield f"load: {generator(scale.seconds)}, {CONNECTIONS} connections, {scale.rounds} rounds of {scale.seconds:g} s"


def _commit() -> str:
    """The commit of the checkout, with a `+` where files differ from it."""
    described = ["git", "-C", str(ROOT), "describe", "--always", "--exclude=*", "--abbrev=8", "--dirty=+"]
    found = subprocess.run(described, capture_output=True, text=True, check=False)
    return found.stdout.strip() or "unknown"


def _processor() -> str:
    named = [line.partition(":")[2] for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line]
    return named[0].strip() if named else platform.machine()


def _sync() -> float:
    """Milliseconds of a small synced write: a durable update alone cannot take less."""
    times = []
    with folder() as made, (made / "synced").open("wb") as file:
        for _ in range(50):
            file.write(b"x" * 8192)
            file.flush()
            began = time.perf_counter()
            os.fdatasync(file.fileno())
            times.append(time.perf_counter() - began)
    return median(times) * 1000


def of(topic: str, finding: Finding) -> str:
    """The results of a topic, with every turn."""
    return "\n\n".join(part for part in (f"## {topic}", turns(finding.runs), goals(finding.rows)) if part)


def written(machine: Iterable[str], found: dict[str, Finding]) -> str:
    """The whole report."""
    rows = [row for finding in found.values() for row in finding.rows]
    parts = ["# Results of the benchmark", "\n".join(f"- {line}" for line in machine), goals(rows)]
    return "\n\n".join([*parts, *(of(topic, finding) for topic, finding in found.items())]) + "\n"

"""The generated parts of docs/, written between their marks: `python -m tests.generate_docs`.

A mark is a pair of comments, `<!-- settings -->` and `<!-- /settings -->`, in any page.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from statistics import median

import click

from gateway.cli.main import main
from gateway.core.faults import CATALOG
from gateway.dialects import load_dialects
from gateway.dialects.protocol import Dialect
from gateway.settings import table

ROOT = Path(__file__).parents[1]
PAGES = sorted((ROOT / "docs").glob("*.md"))
RESULTS = ROOT / "bench" / "results.md"
HELP_WIDTH = 100


def settings() -> str:
    rows = [(f"`{name}`", default and f"`{default}`", text) for name, default, text in table()]
    return _table(("variable", "default", "meaning"), rows)


def fields() -> str:
    """One row for each place of a profile that at least one dialect has a name for."""
    dialects = load_dialects({})
    places = dict.fromkeys(_member(place) for dialect in dialects for place in dialect.fields.values())
    heads = ("canonical", *(dialect.name.capitalize() for dialect in dialects))
    shared = [place for place in sorted(places, key=len) if place[0] not in {dialect.name for dialect in dialects}]
    rows = [(f"`{'.'.join(place)}`", *(_name(dialect, place) for dialect in dialects)) for place in shared]
    return _table(heads, rows)


def faults() -> str:
    rows = [(f"`{name}`", str(row.status), row.text) for name, row in CATALOG.items()]
    return _table(("fault", "status", "text without a detail"), rows)


def commands() -> str:
    """The help text of every command, a section each."""
    return "\n\n".join(f"## {name}\n\n```text\n{text.strip()}\n```" for name, text in _helps(main, "profile-gateway"))


def _helps(command: click.Command, name: str, parent: click.Context | None = None) -> Iterator[tuple[str, str]]:
    # Of a subcommand, click reads the settings of the context from its parent.
    context = click.Context(
        command,
        parent=parent,
        info_name=name.rpartition(" ")[2],
        terminal_width=HELP_WIDTH,
        max_content_width=HELP_WIDTH,
    )
    context.help_option_names = ["-h", "--help"]
    yield name, command.get_help(context)
    if isinstance(command, click.Group):
        for child, each in sorted(command.commands.items()):
            yield from _helps(each, f"{name} {child}", context)


# --- performance ---

MEASURED = {
    "JSON update": ("updates", "JSON update, gateway"),
    "XML update": ("updates", "XML update, gateway"),
    "JSON update that changes the phone": ("phones", "JSON update of the phone, gateway"),
    "XML update that changes the phone": ("phones", "XML update of the phone, gateway"),
    "JSON creation": ("creations", "JSON creation by import, gateway"),
    "XML creation": ("creations", "XML creation by import, gateway"),
    "JSON update by six functions": ("functions", "JSON update by six functions, gateway"),
    "XML update by six functions": ("functions", "XML update by six functions, gateway"),
    "Courier `POST /profiles/{id}`": ("vendors", "Courier POST, gateway"),
    "Klaviyo `POST /api/profile-import`": ("vendors", "Klaviyo profile-import, gateway"),
    "Klaviyo `POST /client/profiles`": ("vendors", "Klaviyo client profile, gateway"),
    "Altcraft `profiles/get`": ("reads", "profiles/get, gateway"),
    "Courier `GET /profiles/{id}`": ("reads", "Courier GET, gateway"),
    "JSON update among 1,000,000 stored profiles": ("volume", "many"),
    "JSON update, two processes": ("workers", "SQLite, 2"),
    "JSON update on PostgreSQL": ("postgresql", "grouped"),
    "JSON update on PostgreSQL, two processes": ("workers", "PostgreSQL, 2"),
}
"""By what a user does, the topic and the server of bench/results.md."""

BATCHES = ("JSON", "XML")
BATCH_SIZE = 10_000


def speed() -> str:
    """The machine, and the median of the rounds of each topic, without the goals."""
    head, topics = _results()
    rows = [
        (work, f"{found[0]:,.0f} requests/s", f"{found[1]:.0f} ms", f"{found[2]:.0f} ms", f"{found[3]:.0f} µs")
        for work, (topic, server) in MEASURED.items()
        if (found := _medians(topics, topic, server))
    ]
    for name in BATCHES:
        if batch := _medians(topics, "batches", f"batches, {name.lower()}"):
            rate = f"{BATCH_SIZE / batch[1] * 1000:,.0f} profiles/s"
            rows.append((f"batch of {BATCH_SIZE:,} profiles, {name}", rate, f"{batch[1]:,.0f} ms", "", ""))
        if others := _medians(topics, "batches", f"others, {name.lower()}"):
            times = (f"{others[1]:.0f} ms", f"{others[2]:.0f} ms")
            rows.append((f"other requests during such batches, {name}", "", *times, ""))
    machine = "\n".join(re.findall(r"^- .*", head, flags=re.MULTILINE))
    return f"{machine}\n\n{_table(('work', 'rate', 'median', 'p99', 'CPU a request'), rows)}"


def memory() -> str:
    """What was measured of memory and start, without the goals."""
    _, topics = _results()
    rows = [row for topic in ("memory", "start") for row in _outcomes(topics, topic)]
    return _table(("what", "measured"), rows)


def _results() -> tuple[str, list[str]]:
    """The head of the report, and its topics; empty where nothing was measured."""
    head, *topics = re.split(r"^## ", RESULTS.read_text() if RESULTS.exists() else "", flags=re.MULTILINE)
    return head, topics


def _outcomes(topics: Sequence[str], topic: str) -> list[tuple[str, str]]:
    text = next((each for each in topics if each.startswith(f"{topic}\n")), "")
    rows = re.findall(r"^\| ([^|]+) \| [^|]* \| ([^|]+) \| (?:yes|no|) \|$", text, flags=re.MULTILINE)
    return [row for row in rows if row[0] not in ("work", "---")]


def _medians(topics: Sequence[str], topic: str, server: str) -> list[float]:
    """Requests a second, median and p99 (ms) and processor time (µs) of one server; empty where it was not measured."""
    text = next((each for each in topics if each.startswith(f"{topic}\n")), "")
    rows = re.findall(rf"^\| \d+ \| {re.escape(server)} \|(.*)\|$", text, flags=re.MULTILINE)
    cells = [[cell.strip().replace(",", "") for cell in row.split("|")] for row in rows]
    figures = [[float(cell) for cell in (*row[:3], row[-1] or "nan")] for row in cells]
    return [median(column) for column in zip(*figures, strict=True)]


# --- Markdown ---


def _member(place: Sequence[str]) -> tuple[str, ...]:
    """A place without the index of a list's first element."""
    return tuple(name for name in place if not name.isdigit())


def _name(dialect: Dialect, place: tuple[str, ...]) -> str:
    return ", ".join(f"`{name}`" for name, each in dialect.fields.items() if _member(each) == place)


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


PARTS = {
    "settings": settings,
    "fields": fields,
    "faults": faults,
    "commands": commands,
    "speed": speed,
    "memory": memory,
}


def generated(text: str) -> str:
    """The text with each generated part as the code defines it now."""
    for mark, part in PARTS.items():
        before, after = f"<!-- {mark} -->\n", f"<!-- /{mark} -->"
        if before in text:
            start, end = text.index(before) + len(before), text.index(after)
            text = f"{text[:start]}\n{part()}\n\n{text[end:]}"
    return text


if __name__ == "__main__":
    for page in PAGES:
        page.write_text(generated(page.read_text()))

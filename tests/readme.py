"""The tables of README.md that the code says, written between their marks: `python -m tests.readme`."""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from gateway.dialects import load_dialects
from gateway.dialects.protocol import Dialect
from gateway.settings import table

README = Path(__file__).parents[1] / "README.md"
RESULTS = README.parent / "bench" / "results.md"


def settings() -> str:
    rows = [(f"`{name}`", default and f"`{default}`", text) for name, default, text in table()]
    return _table(("variable", "default", "what it is"), rows)


def fields() -> str:
    """One row for each place of a profile that at least one dialect has a name for."""
    spoken = load_dialects({})
    places = dict.fromkeys(_member(place) for dialect in spoken for place in dialect.fields.values())
    heads = ("canonical", *(dialect.name.capitalize() for dialect in spoken))
    shared = [place for place in sorted(places, key=len) if place[0] not in {dialect.name for dialect in spoken}]
    rows = [(f"`{'.'.join(place)}`", *(_name(dialect, place) for dialect in spoken)) for place in shared]
    return _table(heads, rows)


def speed() -> str:
    """The machine and the table of the last full `make bench`: what stands between the report's head and its topics."""
    if not RESULTS.exists():
        return "Nothing is measured yet."
    return RESULTS.read_text().partition("\n\n")[2].partition("\n\n## ")[0].strip()


def _member(place: Sequence[str]) -> tuple[str, ...]:
    """A place without the index of a list's first element."""
    return tuple(name for name in place if not name.isdigit())


def _name(dialect: Dialect, place: tuple[str, ...]) -> str:
    return ", ".join(f"`{name}`" for name, known in dialect.fields.items() if _member(known) == place)


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def rendered(text: str) -> str:
    """The text with each table as the code says it now."""
    for mark, said in (("settings", settings()), ("fields", fields()), ("speed", speed())):
        between = re.compile(rf"(<!-- {mark} -->\n).*?(\n<!-- /{mark} -->)", re.DOTALL)
        text = between.sub(lambda found: found[1] + said + found[2], text)  # noqa: B023
    return text


if __name__ == "__main__":
    README.write_text(rendered(README.read_text()))

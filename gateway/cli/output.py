"""Prints rows as a table or as JSON."""

from typing import Any

import click
import orjson

Row = dict[str, Any]


def print_rows(rows: list[Row], as_json: bool = False) -> None:
    """Print rows as a table for people, or as JSON for programs."""
    if as_json:
        print_json(rows)
    elif rows:
        lines = [list(rows[0]), *([format_cell(value) for value in row.values()] for row in rows)]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        for line in lines:
            click.echo("  ".join(map(str.ljust, line, widths)).rstrip())


def print_json(value: Any) -> None:
    """Print a value as indented JSON."""
    click.echo(orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS).decode())


def format_cell(value: Any) -> str:
    """Return a value as the text of a table's cell."""
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "-" if value in (None, "") else str(value)

"""The progress of commands on files: rows, their rate, and the remaining time."""

import itertools
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import click


@contextmanager
def row_progress(label: str, size: int, position: Callable[[], int]) -> Iterator[Callable[[int], None]]:
    """Show a bar on stderr if it is a terminal. Yield a function that is called with the number of further rows.

    `position` returns how much of `size` is done; with a size of 0, which is unknown, the bar shows no share.
    """
    endless = None if size else itertools.repeat(None)
    started, rows, done = time.monotonic(), 0, 0
    hidden = not sys.stderr.isatty()
    bar: Any = click.progressbar(
        endless, length=size or None, label=label, file=sys.stderr, hidden=hidden, item_show_func=str
    )
    with bar:

        def advance(count: int) -> None:
            nonlocal rows, done
            rows += count
            place = position()
            rate = rows / max(time.monotonic() - started, 0.001)
            bar.update(place - done, f"{rows:,} rows, {rate:,.0f} rows/s")
            done = place

        yield advance

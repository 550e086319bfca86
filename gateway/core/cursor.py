"""Cursors: the place after a position in the journal of one store, as text."""

import re

from gateway.core.model import Position

_CURSOR = re.compile(r"([0-9A-Za-z]{1,64})-([0-9]{1,40})", re.ASCII)


def format_cursor(store: str, position: Position) -> str:
    """Return the cursor of a position in the journal of the store with this id."""
    return f"{store}-{position}"


def split_cursor(text: str) -> tuple[str, Position] | None:
    """Return the id of the store and the position of a cursor; None for a text that is none."""
    found = _CURSOR.fullmatch(text)
    return (found[1], int(found[2])) if found else None

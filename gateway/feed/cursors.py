"""Cursors of the feed: which positions of a store's journal it can continue from."""

from gateway.core.cursor import split_cursor
from gateway.core.faults import Fault, Refusal, refuse
from gateway.core.model import JournalRange, Position
from gateway.stores.protocol import Store

MAX_EXACT_INTEGER = 2**53 - 1
"""The largest integer that every JSON parser represents exactly."""


class ExpiredCursor(Refusal):
    """The refusal of a cursor after which entries are missing. `oldest` is the oldest position that is kept."""

    def __init__(self, oldest: Position) -> None:
        super().__init__([Fault("expired_cursor", f"the oldest position that is kept is {oldest}", "/after")])
        self.oldest = oldest


def json_position(position: Position) -> int | str:
    """Return a position as JSON: its digits as a text where not every parser represents the number exactly."""
    return position if position <= MAX_EXACT_INTEGER else str(position)


async def parse_cursor(text: str, store: Store, database: int) -> Position:
    """Return the position of a cursor; "" is the position before the oldest entry that is kept.

    Raises `Refusal`: unknown_cursor; `ExpiredCursor` for one of another store, or after which entries are missing.
    """
    return _parse(text, store, await store.journal_range(database))


async def parse_feed_cursor(text: str, store: Store, database: int) -> Position:
    """Return the position of a cursor, as `parse_cursor`. One that the feed has not reached is unknown too."""
    kept = await store.journal_range(database)
    position = _parse(text, store, kept)
    if position > max(kept.newest, kept.removed):
        raise refuse("unknown_cursor", "the feed has not reached this position", "/after")
    return position


def parse_event_id(text: str, store: str, pointer: str) -> Position:
    """Return the position of an event of the store with this id. Raises `Refusal` (unknown_cursor) with the pointer."""
    found = split_cursor(text)
    if found is None or found[0] != store:
        raise refuse("unknown_cursor", "", pointer)
    return found[1]


def _parse(text: str, store: Store, kept: JournalRange) -> Position:
    if not text:
        return kept.removed
    found = split_cursor(text)
    if found is None:
        raise refuse("unknown_cursor", "", "/after")
    id, position = found
    if id != store.id or position < kept.removed:
        raise ExpiredCursor(kept.oldest)
    return position

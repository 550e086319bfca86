"""Pages of the feed: the events after a position."""

from msgspec import Struct

from gateway.core.model import Position
from gateway.feed.events import Event, Selection, event_renderer
from gateway.stores.protocol import Store

MAX_READ_ENTRIES = 500
"""Entries of one read of the store."""


class Page(Struct, frozen=True):
    """Events, and the position after everything that was read for them."""

    events: list[Event]
    position: Position


async def read_page(store: Store, database: int, after: Position, limit: int, selection: Selection) -> Page:
    """Return the next events after a position, at most `limit` (1 or more). None: there are no more for now.

    Entries without an event are passed over, however many there are.
    """
    render, selects = event_renderer(store.id, database, selection), selection.selects
    events: list[Event] = []
    while True:
        size = min(limit - len(events), MAX_READ_ENTRIES)
        entries = await store.journal(database, after, size)
        events += [render(entry) for entry in entries if selects(entry)]
        after = entries[-1].position if entries else after
        if len(entries) < size or len(events) == limit:
            return Page(events, after)

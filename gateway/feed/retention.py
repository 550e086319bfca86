"""What subscribers still need of the journal: it is kept for them longer than for others, within a limit."""

import logging

from gateway.core.model import Position
from gateway.core.subscribers import ACTIVE, Subscriber
from gateway.stores.protocol import Store

log = logging.getLogger("gateway")

MAX_HOLD_DAYS = 7
"""Days that a subscriber can keep an entry longer than it would be kept otherwise."""


async def needed_positions(store: Store, before: int) -> dict[int, Position]:
    """Return by database the first position that an active subscriber needs.

    Logs a warning about each that needs entries of before a time (ms), which are no longer kept for others.
    """
    needed: dict[int, Position] = {}
    for subscriber in await store.subscribers():
        if subscriber.state == ACTIVE:
            first = await _first_needed(store, subscriber)
            needed[subscriber.database] = min(first, needed.get(subscriber.database, first))
            await _warn(store, subscriber, first, before)
    return needed


async def _first_needed(store: Store, subscriber: Subscriber) -> Position:
    following = subscriber.position + 1
    undelivered = await store.deliveries(subscriber.database, subscriber.id, False, 0, 1)
    return min(following, undelivered[0].position) if undelivered else following


async def _warn(store: Store, subscriber: Subscriber, first: Position, before: int) -> None:
    entries = await store.journal(subscriber.database, first - 1, 1)
    if entries and entries[0].origin.time < before:
        log.warning(
            "%s %s lags behind: entries are kept for it, for %d days more",
            subscriber.kind,
            subscriber.id,
            MAX_HOLD_DAYS,
        )

"""How far a subscriber is in the journal, whatever its kind."""

from typing import Any

from gateway.core.subscribers import Subscriber
from gateway.stores.protocol import Store


async def delivery_status(store: Store, subscriber: Subscriber, limit: int, now: int) -> dict[str, Any]:
    """Return the numbers of entries that wait, and of deliveries that are retried or given up, each `limit` at most.

    `lag` is the age in seconds of the oldest one that waits or is retried. `now` is in milliseconds since 1970.
    """
    key = subscriber.database, subscriber.id
    behind = await store.journal(subscriber.database, subscriber.position, limit)
    retried = await store.deliveries(*key, False, 0, limit)
    dead = await store.deliveries(*key, True, 0, limit)
    oldest = await store.journal(subscriber.database, retried[0].position - 1, 1) if retried else behind[:1]
    return {
        "waiting": len(behind),
        "retried": len(retried),
        "dead": len(dead),
        "lag": max(0, now - oldest[0].origin.time) / 1000 if oldest else 0,
    }

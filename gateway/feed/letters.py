"""The entries of the journal that deliveries are about, and the deliveries that were given up: dead letters."""

from gateway.core.faults import refuse
from gateway.core.model import JournalEntry, Position
from gateway.core.subscribers import Delivery, Subscriber
from gateway.stores.protocol import Store


async def read_entry(store: Store, subscriber: Subscriber, delivery: Delivery) -> JournalEntry | None:
    """Return the entry of a delivery, which holds it if the journal does not; None if it is no longer kept."""
    found = await store.journal(subscriber.database, delivery.position - 1, 1, delivery.profile)
    if found and found[0].position == delivery.position:
        return found[0]
    return await store.entry_of_delivery(subscriber.database, subscriber.id, delivery.position)


async def find_letter(store: Store, subscriber: Subscriber, position: Position) -> Delivery:
    """Return the dead letter at a position. Raises `Refusal`: invalid_parameter."""
    found = await store.deliveries(subscriber.database, subscriber.id, True, position - 1, 1)
    if not found or found[0].position != position:
        raise refuse("invalid_parameter", "there is no such dead letter", "/event")
    return found[0]


async def find_entry(store: Store, subscriber: Subscriber, letter: Delivery) -> JournalEntry:
    """Return the entry of a dead letter. Raises `Refusal` (invalid_parameter) where it is no longer kept."""
    found = await read_entry(store, subscriber, letter)
    if found is None:
        raise refuse("invalid_parameter", "the event is no longer kept", "/event")
    return found

"""Dead letters: the deliveries that were given up, and the entries of the journal that they are about."""

from gateway.core.faults import refuse
from gateway.core.model import JournalEntry, Position
from gateway.core.subscribers import Delivery, Subscriber
from gateway.stores.protocol import Store


async def find_letter(store: Store, subscriber: Subscriber, position: Position) -> Delivery:
    """Return the dead letter at a position. Raises `Refusal`: invalid_parameter."""
    found = await store.deliveries(subscriber.database, subscriber.id, True, position - 1, 1)
    if not found or found[0].position != position:
        raise refuse("invalid_parameter", "there is no such dead letter", "/event")
    return found[0]


async def find_entry(store: Store, subscriber: Subscriber, letter: Delivery) -> JournalEntry:
    """Return the entry of a dead letter. Raises `Refusal` (invalid_parameter) where it is no longer kept."""
    found = await store.journal(subscriber.database, letter.position - 1, 1, letter.profile)
    if not found or found[0].position != letter.position:
        raise refuse("invalid_parameter", "the event is no longer kept", "/event")
    return found[0]

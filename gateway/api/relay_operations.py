"""What each call for relays does. Every function may raise `Refusal` and `Unavailable`."""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from msgspec.structs import replace

from gateway.api.context import CallContext
from gateway.api.operations import DeadPage, read_dead, resume_subscriber, secret_box
from gateway.api.relay_requests import RelayParameters
from gateway.api.requests import LetterParameters, PageParameters
from gateway.core.model import Tree
from gateway.feed.cursors import parse_event_id
from gateway.feed.relay import relays
from gateway.stores.errors import Missing

MAX_COUNT = 10_000
"""Up to which entries and deliveries are counted."""


async def list_relays(context: CallContext, _parameters: None) -> list[Tree]:
    """Return the relays of a database, by creation."""
    found = await relays.relays(context.store, context.database)
    return [relays.render_relay(each, context.store.id) for each in found]


async def find_relay(context: CallContext, id: str) -> Tree:
    """Return a relay. Raises `Refusal`: unknown_relay."""
    return relays.render_relay(await relays.find_relay(context.store, context.database, id), context.store.id)


async def create_relay(context: CallContext, parameters: RelayParameters) -> Tree:
    """Create a relay. Raises `Refusal`: invalid_parameter, relays_unavailable."""
    resources = context.resources
    new = replace(parameters.relay, public=not resources.allow_private)
    await relays.validate(new, resources.dialects)
    box = secret_box(context, "relays_unavailable")
    created = await relays.create_relay(
        context.store, context.database, new, parameters.credential, box, resources.now(), has_backfill=False
    )
    return relays.render_relay(created, context.store.id)


async def remove_relay(context: CallContext, id: str) -> None:
    """Remove a relay. Raises `Refusal`: unknown_relay."""
    await relays.find_relay(context.store, context.database, id)
    with suppress(Missing):  # another request was faster
        await context.store.remove_subscriber(context.database, id)


async def read_status(context: CallContext, id: str) -> Mapping[str, Any]:
    """Return how far a relay is. Raises `Refusal`: unknown_relay."""
    found = await relays.find_relay(context.store, context.database, id)
    return await relays.relay_status(context.store, found, MAX_COUNT, context.resources.now())


async def list_letters(context: CallContext, parameters: PageParameters) -> DeadPage:
    """Return a page of the dead letters of a relay. Raises `Refusal`: unknown_relay, unknown_cursor."""
    await relays.find_relay(context.store, context.database, parameters.id)
    return await read_dead(context, parameters.id, parameters.after, parameters.limit)


async def replay_letters(context: CallContext, parameters: LetterParameters) -> Tree:
    """Make a relay active and its dead letters due, all or those of some events.

    Raises `Refusal`: unknown_relay, unknown_cursor.
    """
    await find_relay(context, parameters.id)
    await resume_subscriber(context, parameters)
    return await find_relay(context, parameters.id)


async def drop_letters(context: CallContext, parameters: LetterParameters) -> None:
    """Drop the dead letters of some events. Raises `Refusal`: unknown_relay, unknown_cursor."""
    store = context.store
    await relays.find_relay(store, context.database, parameters.id)
    positions = [parse_event_id(each, store.id, "/events") for each in parameters.events or ()]
    await store.drop_deliveries(context.database, parameters.id, positions)

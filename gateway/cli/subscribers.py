"""What the commands of webhooks and relays share: both are subscribers to the changes of a database."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeAlias, TypeVar

import click

from gateway.cli.output import print_rows
from gateway.cli.store import InvalidSettings, load_settings, run_on_store
from gateway.core.faults import Refusal
from gateway.core.subscribers import Subscriber
from gateway.feed.cursors import parse_event_id
from gateway.feed.secret_box import SecretBox, UnusableSecret, open_box
from gateway.feed.webhooks.endpoints import render_dead
from gateway.optional_dependencies import MissingExtra
from gateway.service.pseudonyms import open_key
from gateway.settings import Settings
from gateway.stores.errors import Missing
from gateway.stores.protocol import Store

T = TypeVar("T")

DEAD_LETTERS = 1_000
"""Dead letters that are read at once."""

FindSubscriber: TypeAlias = Callable[[Store, int, str], Awaitable[Subscriber]]
"""Returns the subscriber of one kind by its database and id. Raises `Refusal` where there is none."""


def print_dead_letters(url: str | None, kind: str, find: FindSubscriber, database: int, id: str, as_json: bool) -> None:
    """Print the dead letters of a subscriber in the store of a URL, None for that of the settings."""

    async def read(store: Store) -> list[dict[str, Any]]:
        await find(store, database, id)
        return await _dead_letters(store, database, id)

    print_rows(run_on_subscribers(load_settings(store=url), read, kind), as_json)


def replay_dead_letters(
    url: str | None, kind: str, find: FindSubscriber, database: int, id: str, events: Sequence[str]
) -> None:
    """Send dead letters again, all or those of some events, and resume the subscriber. `url` is that of the store."""

    async def replay(store: Store) -> None:
        await find(store, database, id)
        positions = [parse_event_id(each, store.id, "/events") for each in events] if events else None
        await store.resume_subscriber(database, id, positions)

    run_on_subscribers(load_settings(store=url), replay, kind)
    click.echo(f"{kind} {id} is resumed")


def drop_dead_letters(
    url: str | None, kind: str, find: FindSubscriber, database: int, id: str, events: Sequence[str]
) -> None:
    """Remove the dead letters of some events. `url` is that of the store."""

    async def drop(store: Store) -> None:
        await find(store, database, id)
        await store.drop_deliveries(database, id, [parse_event_id(each, store.id, "/events") for each in events])

    run_on_subscribers(load_settings(store=url), drop, kind)
    click.echo(f"{len(events)} dropped")


async def _dead_letters(store: Store, database: int, id: str) -> list[dict[str, Any]]:
    """Return all dead letters of a subscriber, as they are printed."""
    found, after = [], 0
    while page := await store.deliveries(database, id, True, after, DEAD_LETTERS):
        found += [render_dead(each, store.id) for each in page]
        after = page[-1].position
    return found


async def open_secrets(store: Store, settings: Settings, kind: str) -> tuple[SecretBox, bytes]:
    """Return the box of the secrets of subscribers, and its key. Raises `InvalidSettings` where there is none."""
    key = await open_key(store, settings.secret_file)
    if key is None:
        raise InvalidSettings(f"GATEWAY_SECRET_FILE is not set: {kind}s need it")
    try:
        return open_box(key), key
    except MissingExtra as reason:
        raise InvalidSettings(str(reason)) from None


def run_on_subscribers(settings: Settings, work: Callable[[Store], Awaitable[T]], kind: str) -> T:
    """Run work on the store. Raises `ClickException` with the place and the text of a refusal."""
    try:
        return run_on_store(settings, work)
    except Refusal as refusal:
        fault = refusal.faults[0]
        place = fault.pointer.removeprefix("/")
        raise click.ClickException(f"{place}: {fault.text}" if place else fault.text) from None
    except UnusableSecret as reason:
        raise click.ClickException(str(reason)) from None
    except Missing:
        raise click.ClickException(f"there is no such {kind}") from None

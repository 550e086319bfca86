"""The commands of `relay` for dead letters: what the vendor refused."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import click

from gateway.cli.options import DATABASE, JSON, setting
from gateway.cli.store import load_settings, now
from gateway.cli.subscribers import (
    drop_dead_letters,
    open_secrets,
    print_dead_letters,
    replay_dead_letters,
    run_on_subscribers,
)
from gateway.core.subscribers import Subscriber
from gateway.dialects import load_dialects
from gateway.feed.cursors import parse_event_id
from gateway.feed.relay import relays
from gateway.feed.relay.mending import letter_requests, parse_requests, send_mended
from gateway.feed.relay.sender import RelaySender
from gateway.feed.secret_box import secret_name
from gateway.service.pseudonyms import pseudonym_of
from gateway.settings import Settings
from gateway.stores.protocol import Store

T = TypeVar("T")


@click.command("dead")
@setting("store")
@DATABASE
@JSON
@click.argument("id")
def list_dead(store: str | None, database: int, as_json: bool, id: str) -> None:
    """List the dead letters of the relay ID: what the vendor refused, with its words."""
    print_dead_letters(store, "relay", relays.find_relay, database, id, as_json)


@click.command("replay")
@setting("store")
@DATABASE
@click.argument("id")
@click.argument("events", nargs=-1)
def replay_relay(store: str | None, database: int, id: str, events: Sequence[str]) -> None:
    """Send the dead letters of the relay ID again, all or those of EVENTS, and resume it if it is disabled.

    The state of each profile as it is now is sent: to mend a letter, update the profile before.
    """
    replay_dead_letters(store, "relay", relays.find_relay, database, id, events)


@click.command("drop")
@setting("store")
@DATABASE
@click.argument("id")
@click.argument("events", nargs=-1, required=True)
def drop_dead(store: str | None, database: int, id: str, events: Sequence[str]) -> None:
    """Remove the dead letters of EVENTS of the relay ID. They are never sent."""
    drop_dead_letters(store, "relay", relays.find_relay, database, id, events)


@click.command("mend")
@setting("store")
@DATABASE
@click.argument("id")
@click.argument("event")
@click.option("--requests", type=click.File("r"), help="a file with the requests to send; - is standard input")
@click.option("--dry-run", is_flag=True, help="print the requests that would be sent; nothing is sent")
def mend_dead(store: str | None, database: int, id: str, event: str, requests: Any, dry_run: bool) -> None:
    """Send the dead letter EVENT of the relay ID in another form, and drop it.

    The requests for the present state of its profile are opened in an editor, and sent once it is closed.
    """
    settings = load_settings(store=store)
    text = requests.read() if requests else _run(settings, lambda store: _letter(store, database, id, event, settings))
    if dry_run:
        click.echo(text)
        return
    if not requests and not (text := click.edit(text, extension=".json") or ""):
        raise click.ClickException("the requests were not saved: nothing is sent")
    if reason := _run(settings, lambda store: _mend(store, database, id, event, settings, text)):
        raise click.ClickException(reason)
    click.echo(f"{event} sent")


async def _letter(store: Store, database: int, id: str, event: str, settings: Settings) -> str:
    async with _opened(store, database, id, settings) as (found, sender):
        position = parse_event_id(event, store.id, "/event")
        return json.dumps(await letter_requests(store, found, position, sender), indent=2, ensure_ascii=False)


async def _mend(store: Store, database: int, id: str, event: str, settings: Settings, text: str) -> str:
    requests = parse_requests(text)
    async with _opened(store, database, id, settings) as (found, sender):
        position = parse_event_id(event, store.id, "/event")
        await letter_requests(store, found, position, sender)
        return await send_mended(store, found, position, requests, sender.session)


@asynccontextmanager
async def _opened(
    store: Store, database: int, id: str, settings: Settings
) -> AsyncIterator[tuple[Subscriber, RelaySender]]:
    """Open connections to the account of a relay."""
    found = await relays.find_relay(store, database, id)
    box, key = await open_secrets(store, settings, "relay")
    secret, dialects = box.decrypt(found.secret, secret_name(found)), {each.name: each for each in load_dialects({})}
    async with relays.open_account(store, found, secret, dialects, pseudonym_of(key), now) as sender:
        yield found, sender


def _run(settings: Settings, work: Callable[[Store], Awaitable[T]]) -> T:
    return run_on_subscribers(settings, work, "relay")

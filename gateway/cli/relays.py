"""The commands `relay`: accounts of vendors that the changes of a database are sent on to."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

import click

from gateway.cli.options import DATABASE, JSON, POSITIVE, setting
from gateway.cli.output import print_json, print_rows
from gateway.cli.progress import row_progress
from gateway.cli.relay_letters import drop_dead, list_dead, mend_dead, replay_relay
from gateway.cli.store import find_database, load_settings, now
from gateway.cli.subscribers import open_secrets, run_on_subscribers
from gateway.core.subscribers import Subscriber
from gateway.dialects import load_dialects
from gateway.dialects.outgoing import Target
from gateway.feed.relay import relays
from gateway.feed.relay.backfill import backfill, preview
from gateway.feed.relay.relays import NewRelay
from gateway.feed.secret_box import secret_name
from gateway.service.pseudonyms import pseudonym_of
from gateway.settings import Settings
from gateway.stores.errors import Missing
from gateway.stores.protocol import Store

T = TypeVar("T")

MAX_COUNT = 100_000
"""Up to which `status` counts."""

DIALECTS = {each.name: each for each in load_dialects({}) if each.outgoing}


def _pairs(_context: click.Context, _option: click.Parameter, texts: Sequence[str]) -> dict[str, str]:
    """Return pairs of `ours=theirs`. Raises `BadParameter`."""
    pairs = dict(text.partition("=")[::2] for text in texts)
    if not all(name and value for name, value in pairs.items()):
        raise click.BadParameter("it must have the form OURS=THEIRS")
    return pairs


@click.group()
def relay() -> None:
    """Create, list, show and delete relays: accounts of vendors that get the changes of a database."""


@relay.command("create")
@setting("store")
@DATABASE
@click.option("--to", "dialect", required=True, type=click.Choice(list(DIALECTS)), help="the vendor")
@click.option("--url", required=True, help="https:// address of its API; http:// for this machine alone")
@click.option(
    "--credential-file",
    "credential",
    required=True,
    type=click.File("r"),
    help="the file with its token or key; - is standard input",
)
@click.option("--media", type=click.Choice(["json", "xml"]), default="json", help="the media type; xml for Altcraft")
@click.option("--remote-database", type=POSITIVE, help="id of the database there, for Altcraft; the same if omitted")
@click.option("--resource", type=POSITIVE, help="resource there of subscriptions without one, for Altcraft")
@click.option("--id-field", metavar="NAME", help="own field there with the external id or our id, for Altcraft")
@click.option("--segment", "segments", multiple=True, callback=_pairs, metavar="OURS=THEIRS", help="may be repeated")
@click.option(
    "--topic", "topics", multiple=True, callback=_pairs, metavar="RESOURCE=TOPIC", help="for Courier; may be repeated"
)
@click.option(
    "--map", "properties", multiple=True, callback=_pairs, metavar="OURS=THEIRS", help="for Klaviyo; may be repeated"
)
@click.option("--delete", "deletes", is_flag=True, help="a removed profile is erased at Klaviyo, not only unsubscribed")
@click.option("--merge", "merges", is_flag=True, help="profiles with identifiers of one here are merged at Klaviyo")
@click.option("--replace", "replaces", is_flag=True, help="profiles are replaced as a whole at Courier")
@click.option(
    "--share", type=click.FloatRange(0.01, 1), default=relays.SHARE, show_default=True, help="of the vendor's rates"
)
@click.option(
    "--ignore-token",
    "ignored",
    multiple=True,
    metavar="ID",
    help="id of a token that the vendor itself writes with here: its changes are not sent back; may be repeated",
)
@click.option("--backfill", "has_backfill", is_flag=True, help="send the existing profiles first")
@click.option("--dry-run", is_flag=True, help="print the requests for the existing profiles; nothing is sent")
def create_relay(
    store: str | None,
    database: int,
    dialect: str,
    url: str,
    credential: Any,
    media: str,
    remote_database: int | None,
    resource: int | None,
    id_field: str | None,
    segments: dict[str, str],
    topics: dict[str, str],
    properties: dict[str, str],
    deletes: bool,
    merges: bool,
    replaces: bool,
    share: float,
    ignored: Sequence[str],
    has_backfill: bool,
    dry_run: bool,
) -> None:
    """Create a relay that sends the changes of a database from now on."""
    settings = load_settings(store=store)
    remote = remote_database or database
    target = Target(remote, resource, id_field, segments, topics, deletes, replaces, properties, merges)
    new = NewRelay(dialect, url, media, target, share, ignored)
    secret = credential.read().strip()
    if dry_run:
        _run(settings, lambda store: _print_preview(store, database, new))
        return
    created = _run(settings, lambda store: _create(store, database, new, secret, settings, has_backfill))
    if has_backfill:
        _run(settings, lambda store: _backfill(store, created, settings))
    click.echo(f"relay {created.id} sends the changes of database {database} from now on")


@relay.command("backfill")
@setting("store")
@DATABASE
@click.argument("id")
def backfill_relay(store: str | None, database: int, id: str) -> None:
    """Send the existing profiles by the relay ID, whose backfill is not complete, and start it."""
    settings = load_settings(store=store)

    async def work(store: Store) -> None:
        found = await relays.find_relay(store, database, id)
        if found.reason != relays.BACKFILL:
            raise click.ClickException(f"relay {id} has no backfill to complete")
        await _backfill(store, found, settings)

    _run(settings, work)
    click.echo(f"relay {id} sends the changes of database {database} from now on")


@relay.command("list")
@setting("store")
@DATABASE
@JSON
def list_relays(store: str | None, database: int, as_json: bool) -> None:
    """List the relays of a database."""

    async def read(store: Store) -> list[dict[str, Any]]:
        find_database(await store.databases(), database)
        return [relays.render_relay(each, store.id) for each in await relays.relays(store, database)]

    print_rows(_run(load_settings(store=store), read), as_json)


@relay.command("show")
@setting("store")
@DATABASE
@click.argument("id")
def print_relay(store: str | None, database: int, id: str) -> None:
    """Print the relay ID as JSON, with what is configured."""

    async def read(store: Store) -> dict[str, Any]:
        found = await relays.find_relay(store, database, id)
        return {**relays.render_relay(found, store.id), **found.settings}

    print_json(_run(load_settings(store=store), read))


@relay.command("status")
@setting("store")
@DATABASE
@click.argument("id")
def print_status(store: str | None, database: int, id: str) -> None:
    """Print how far the relay ID is as JSON: what waits, what failed, and which values are not sent."""

    async def read(store: Store) -> dict[str, Any]:
        return await relays.relay_status(store, await relays.find_relay(store, database, id), MAX_COUNT, now())

    print_json(_run(load_settings(store=store), read))


@relay.command("delete")
@setting("store")
@DATABASE
@click.argument("id")
def delete_relay(store: str | None, database: int, id: str) -> None:
    """Delete the relay ID, with its dead letters and the vendor's ids of profiles."""

    async def remove(store: Store) -> None:
        await relays.find_relay(store, database, id)
        await store.remove_subscriber(database, id)

    _run(load_settings(store=store), remove)
    click.echo(f"relay {id} deleted")


for each in (list_dead, replay_relay, drop_dead, mend_dead):
    relay.add_command(each)


async def _create(
    store: Store, database: int, new: NewRelay, secret: str, settings: Settings, has_backfill: bool
) -> Subscriber:
    await relays.validate(new, DIALECTS)
    box, _ = await open_secrets(store, settings, "relay")
    try:
        return await relays.create_relay(store, database, new, secret, box, now(), has_backfill=has_backfill)
    except Missing:
        raise click.ClickException(f"there is no database {database}") from None


async def _backfill(store: Store, relay: Subscriber, settings: Settings) -> None:
    box, key = await open_secrets(store, settings, "relay")
    secret = box.decrypt(relay.secret, secret_name(relay))
    done = 0
    async with store.snapshot() as snapshot:
        size = await snapshot.size()
    with row_progress("Backfill", size, lambda: min(done, size)) as advance:

        def count() -> None:
            nonlocal done
            done += 1
            advance(1)

        failed = await backfill(store, relay, secret, DIALECTS, pseudonym_of(key), now, count)
    click.echo(f"{done} profiles, {len(failed)} of them refused", err=True)
    for id, reason in failed[:20]:
        click.echo(f"{id}: {reason}", err=True)


async def _print_preview(store: Store, database: int, new: NewRelay) -> None:
    await relays.validate(new, DIALECTS)
    async for row in preview(store, database, new, DIALECTS):
        print_json(row)


def _run(settings: Settings, work: Callable[[Store], Awaitable[T]]) -> T:
    return run_on_subscribers(settings, work, "relay")

"""The commands `webhook`: endpoints that get the changes of a database."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

import click

from gateway.cli.options import DATABASE, JSON, setting
from gateway.cli.output import print_json, print_rows
from gateway.cli.store import find_database, load_settings, now
from gateway.cli.subscribers import (
    drop_dead_letters,
    open_secrets,
    print_dead_letters,
    replay_dead_letters,
    run_on_subscribers,
)
from gateway.core.subscribers import Subscriber
from gateway.feed.events import EVENT_TYPES
from gateway.feed.webhooks import endpoints
from gateway.feed.webhooks.endpoints import NewWebhook
from gateway.settings import Settings
from gateway.stores.errors import Missing
from gateway.stores.protocol import Store

T = TypeVar("T")


@click.group()
def webhook() -> None:
    """Create, list, show, delete and resume webhooks: endpoints that get the changes of a database."""


@webhook.command("create")
@setting("store")
@DATABASE
@click.option("--url", required=True, help="https:// or http:// address of the endpoint")
@click.option(
    "--type",
    "types",
    multiple=True,
    type=click.Choice(list(EVENT_TYPES.values())),
    help="may be repeated; all if omitted",
)
@click.option(
    "--member",
    "members",
    multiple=True,
    metavar="POINTER",
    help="send changes of this member alone, such as /email; may be repeated",
)
@click.option("--values", is_flag=True, help="send the values before and after")
def create_webhook(
    store: str | None, database: int, url: str, types: Sequence[str], members: Sequence[str], values: bool
) -> None:
    """Create a webhook. The last line printed is its secret, which cannot be printed again."""
    settings = load_settings(store=store)
    new = NewWebhook(url, types, members, values)
    created, secret = _run(settings, lambda store: _create(store, database, new, settings))
    click.echo(f"webhook {created.id} gets the changes of database {database} from now on; its secret is:\n{secret}")


@webhook.command("list")
@setting("store")
@DATABASE
@JSON
def list_webhooks(store: str | None, database: int, as_json: bool) -> None:
    """List the webhooks of a database."""

    async def read(store: Store) -> list[dict[str, Any]]:
        find_database(await store.databases(), database)
        found = await endpoints.webhooks(store, database)
        return [endpoints.render_webhook(each, store.id) for each in found]

    print_rows(_run(load_settings(store=store), read), as_json)


@webhook.command("show")
@setting("store")
@DATABASE
@click.argument("id")
def print_webhook(store: str | None, database: int, id: str) -> None:
    """Print the webhook ID as JSON."""

    async def read(store: Store) -> dict[str, Any]:
        return endpoints.render_webhook(await endpoints.find_webhook(store, database, id), store.id)

    print_json(_run(load_settings(store=store), read))


@webhook.command("delete")
@setting("store")
@DATABASE
@click.argument("id")
def delete_webhook(store: str | None, database: int, id: str) -> None:
    """Delete the webhook ID, with its dead letters."""

    async def remove(store: Store) -> None:
        await endpoints.find_webhook(store, database, id)
        await store.remove_subscriber(database, id)

    _run(load_settings(store=store), remove)
    click.echo(f"webhook {id} deleted")


@webhook.command("dead")
@setting("store")
@DATABASE
@JSON
@click.argument("id")
def list_dead(store: str | None, database: int, as_json: bool, id: str) -> None:
    """List the dead letters of the webhook ID: the events that were given up."""
    print_dead_letters(store, "webhook", endpoints.find_webhook, database, id, as_json)


@webhook.command("replay")
@setting("store")
@DATABASE
@click.argument("id")
@click.argument("events", nargs=-1)
def replay_webhook(store: str | None, database: int, id: str, events: Sequence[str]) -> None:
    """Send the dead letters of the webhook ID again, all or those of EVENTS, and resume it if it is disabled."""
    replay_dead_letters(store, "webhook", endpoints.find_webhook, database, id, events)


@webhook.command("drop")
@setting("store")
@DATABASE
@click.argument("id")
@click.argument("events", nargs=-1, required=True)
def drop_dead(store: str | None, database: int, id: str, events: Sequence[str]) -> None:
    """Remove the dead letters of EVENTS of the webhook ID. They are never sent."""
    drop_dead_letters(store, "webhook", endpoints.find_webhook, database, id, events)


async def _create(store: Store, database: int, new: NewWebhook, settings: Settings) -> tuple[Subscriber, str]:
    endpoints.validate(new)
    box, _ = await open_secrets(store, settings, "webhook")
    try:
        return await endpoints.create_webhook(store, database, new, box, settings.webhook_private, now())
    except Missing:
        raise click.ClickException(f"there is no database {database}") from None


def _run(settings: Settings, work: Callable[[Store], Awaitable[T]]) -> T:
    return run_on_subscribers(settings, work, "webhook")

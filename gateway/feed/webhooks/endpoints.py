"""Webhooks as subscribers: how one is created, and how it is returned without its secret."""

import re
from collections.abc import Mapping, Sequence
from secrets import token_hex
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from gateway.core.cursor import format_cursor
from gateway.core.faults import refuse
from gateway.core.subscribers import Delivery, Subscriber
from gateway.core.times import format_time
from gateway.feed.addresses import UnusableUrl, parse_url, resolve
from gateway.feed.events import EVENT_TYPES, Selection
from gateway.feed.secret_box import SecretBox, secret_name
from gateway.feed.status import delivery_status
from gateway.feed.webhooks.signatures import new_secret, secret_bytes
from gateway.stores.protocol import Store

WEBHOOK = "webhook"
"""The kind of these subscribers."""

MAX_MEMBERS = 100
"""Pointers that select events of one webhook."""

_MEMBER = re.compile(r"(/([^~/]|~[01])*)+")
"""A JSON Pointer (RFC 6901), but for that of the whole document."""


class NewWebhook(Struct, frozen=True):
    """What a client asks for. Without `types` or `members` it gets all events; without a secret, a random one."""

    url: str
    types: Sequence[str] = ()
    members: Sequence[str] = ()
    values: bool = False
    secret: str | None = None


async def create_webhook(
    store: Store, database: int, new: NewWebhook, box: SecretBox, allow_private: bool, now: int
) -> tuple[Subscriber, str]:
    """Store a webhook that gets the events from now on. Return it with its secret, which nobody can read later.

    It was validated. Raises `Refusal` (invalid_parameter), and `Missing` where there is no such database.
    """
    try:
        await resolve(parse_url(new.url), allow_private)
    except UnusableUrl as reason:
        raise refuse("invalid_parameter", str(reason), "/url") from None
    secret = new.secret or new_secret()
    id = f"wh_{token_hex(8)}"
    settings = {"url": new.url, "types": list(new.types), "members": list(new.members), "values": new.values}
    kept = await store.journal_range(database)
    position = max(kept.newest, kept.removed)
    subscriber = Subscriber(database, id, WEBHOOK, now, settings, "", position)
    subscriber = replace(subscriber, secret=box.encrypt(secret, secret_name(subscriber)))
    await store.add_subscriber(subscriber)
    return subscriber, secret


async def webhooks(store: Store, database: int) -> list[Subscriber]:
    """Return the webhooks of a database, by creation."""
    return [each for each in await store.subscribers() if each.database == database and each.kind == WEBHOOK]


async def find_webhook(store: Store, database: int, id: str) -> Subscriber:
    """Return a webhook. Raises `Refusal`: unknown_webhook."""
    for each in await webhooks(store, database):
        if each.id == id:
            return each
    raise refuse("unknown_webhook")


def render_webhook(subscriber: Subscriber, store: str) -> dict[str, Any]:
    """Return a webhook without its secret. `cursor` is that of the last event that was sent or put aside for later."""
    return {
        "id": subscriber.id,
        **subscriber.settings,
        "created": format_time(subscriber.created),
        "state": subscriber.state,
        "reason": subscriber.reason,
        "cursor": format_cursor(store, subscriber.position),
    }


async def webhook_status(store: Store, webhook: Subscriber, limit: int, now: int) -> dict[str, Any]:
    """Return a webhook without its secret, with how far it is, as `delivery_status` does."""
    return {**render_webhook(webhook, store.id), **await delivery_status(store, webhook, limit, now)}


def render_dead(delivery: Delivery, store: str) -> dict[str, Any]:
    """Return a dead letter: an event that was given up."""
    return {
        "event": format_cursor(store, delivery.position),
        "subject": delivery.profile,
        "attempts": delivery.attempts,
        "since": format_time(delivery.since),
        "reason": delivery.reason,
    }


def selection_of(settings: Mapping[str, Any]) -> Selection:
    """Return which events a webhook with these settings gets."""
    return Selection(settings["values"], False, frozenset(settings["types"]), tuple(settings["members"]))


def validate(new: NewWebhook) -> None:
    """Raise `Refusal` (invalid_parameter) with the place of what is wrong, apart from the addresses of the host."""
    unknown = [each for each in new.types if each not in EVENT_TYPES.values()]
    if unknown:
        raise refuse("invalid_parameter", f"each must be one of {', '.join(EVENT_TYPES.values())}", "/types")
    if len(new.members) > MAX_MEMBERS or not all(_MEMBER.fullmatch(each) for each in new.members):
        raise refuse("invalid_parameter", f"at most {MAX_MEMBERS} JSON Pointers, which begin with /", "/members")
    try:
        parse_url(new.url)
    except UnusableUrl as reason:
        raise refuse("invalid_parameter", str(reason), "/url") from None
    try:
        if new.secret is not None:
            secret_bytes(new.secret)
    except ValueError as reason:
        raise refuse("invalid_parameter", str(reason), "/secret") from None

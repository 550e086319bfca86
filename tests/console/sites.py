"""A gateway with a console, its tokens, and people to look at."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from msgspec.structs import replace as replace_struct

from gateway.core.cursor import format_cursor
from gateway.core.model import Position, Resource
from gateway.core.rights import RIGHTS
from gateway.core.segments import Segment
from gateway.core.subscribers import DISABLED, Delivery, DeliveryResult, Subscriber
from gateway.dialects.outgoing import Target
from gateway.feed.relay.relays import RELAY, NewRelay, create_relay
from gateway.feed.secret_box import open_box
from gateway.feed.webhooks.endpoints import WEBHOOK
from gateway.service.bootstrap import token
from gateway.settings import Settings
from gateway.stores.protocol import Store
from tests.test_app import seeded_store

OPERATOR, BLIND, CLIENT, OTHER = "of-the-operator", "of-one-who-cannot-read", "of-a-client", "of-another-database"
"""Secrets of tokens: with all rights; with the right to the console alone; without it; of database 2."""

SCRIPT = "<script>document.title='run'</script>\"'><img src=x onerror=alert(1)>"
"""A name that would run if a page did not escape it."""

FAILED = 1_800_000_000_000
"""When the events of the subscriber were attempted first: so late that no housekeeping removes them."""

REFUSED = f"HTTP 400 {SCRIPT}"
"""Why an account refused a request."""

SUBSCRIBERS = {
    WEBHOOK: {"url": f"https://example.com/{SCRIPT}", "types": [], "members": [], "values": False},
    RELAY: {"url": f"https://example.com/{SCRIPT}", "dialect": "altcraft", "media": "xml"},
}
"""The settings of subscribers, by kind."""


async def seed() -> Store:
    """Return a store with these tokens, a resource and a segment."""
    store = await seeded_store()
    rights = {OPERATOR: RIGHTS, BLIND: ("console",), CLIENT: ("read", "write"), OTHER: RIGHTS}
    for number, (secret, given) in enumerate(rights.items()):
        created = token(secret, 2 if secret == OTHER else 1, given, number)
        await store.add_token(replace(created, id=f"token{number}", name=f"{secret} {SCRIPT}"))
    await store.add_resource(1, Resource(70, f"News {SCRIPT}", (f"weekly {SCRIPT}",)))
    await store.add_segment(1, Segment(71, f"Guests {SCRIPT}"))
    return store


async def add_subscriber(store: Store, kind: str, positions: Sequence[Position]) -> None:
    """Store a disabled subscriber `s1` that retries the event at the first position, and gave up the others."""
    new = Subscriber(1, "s1", kind, 1, SUBSCRIBERS[kind], "", 0)
    await store.add_subscriber(new)
    await store.lease_subscriber(1, new.id, "owner", 1, 2)
    profiles = {each.position: each.profile for each in await store.journal(1, 0, 100)}
    letters = [
        Delivery(
            each,
            profiles.get(each, f"p{each}"),
            3,
            FAILED,
            FAILED,
            f"answered 500 {SCRIPT}",
            is_dead=each != positions[0],
        )
        for each in positions
    ]
    disabled = replace_struct(new, position=positions[-1], state=DISABLED, reason=f"gave up {SCRIPT}")
    await store.settle(DeliveryResult(disabled, (), letters), "owner")


async def add_relay(store: Store, url: str, key: Path, failed: int) -> tuple[str, list[str]]:
    """Store a disabled relay to Altcraft that gave up the first entries. Return its id, and the events of these."""
    new = NewRelay("altcraft", url.rpartition("/")[0], target=Target(1))
    box = open_box(bytes.fromhex(key.read_text()))
    relay = await create_relay(store, 1, new, "the-key", box, 1, has_backfill=False)
    leased = await store.lease_subscriber(1, relay.id, "owner", 1, 2)
    assert leased
    entries = await store.journal(1, 0, failed)
    letters = [Delivery(each.position, each.profile, 3, FAILED, FAILED, REFUSED, is_dead=True) for each in entries]
    await store.settle(DeliveryResult(replace_struct(leased, state=DISABLED), (), letters), "owner")
    return relay.id, [format_cursor(store.id, each.position) for each in entries]


def seeded() -> Store:
    """Return such a store, outside of a loop."""
    return asyncio.run(seed())


def settings(folder: Path) -> Settings:
    """Return settings with the console on."""
    return Settings(console=True, secret_file=str(folder / "key"), access_log=False)


def profile(email: str, name: str) -> dict[str, object]:
    """Return the body of an Altcraft import with a subscription."""
    subscription = {"channel": "email", "email": email, "resource_id": 70, "status": "subscribed"}
    return {
        "token": CLIENT,
        "db_id": 1,
        "email": email,
        "data": {"_fname": name, "custom_note": SCRIPT, "subscriptions": [subscription]},
    }

"""Relays as subscribers: how one is created, and how it is returned without its secrets."""

import re
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from secrets import token_hex
from typing import Any
from urllib.parse import SplitResult

from msgspec import Struct, field
from msgspec.structs import asdict, replace

from gateway.core.cursor import format_cursor
from gateway.core.faults import refuse
from gateway.core.subscribers import ACTIVE, DISABLED, Subscriber
from gateway.core.times import format_time
from gateway.core.tombstones import Pseudonym
from gateway.dialects.outgoing import Target
from gateway.dialects.protocol import Dialect
from gateway.feed.addresses import UnusableUrl, parse_url, resolve
from gateway.feed.connection import HostConnections
from gateway.feed.relay.account import Account, AccountSession
from gateway.feed.relay.client import MAX_RESPONSE_BYTES, AccountClient, Connections
from gateway.feed.relay.counts import COUNTS, parse_counts
from gateway.feed.relay.profiles import ProfileReader
from gateway.feed.relay.sender import RelaySender
from gateway.feed.relay.urls import UnusableAccount, require_safe
from gateway.feed.runner import SenderContext
from gateway.feed.secret_box import SecretBox, secret_name
from gateway.feed.status import delivery_status
from gateway.media import CODECS
from gateway.stores.protocol import Store

MEDIA = ("json", "xml")

RELAY = "relay"
"""The kind of these subscribers."""

SHARE = 0.8
"""The part of a vendor's rates that a relay uses: the account has other users."""

BACKFILL = "its backfill is not complete"
"""The reason for which a new relay with a backfill is disabled."""


_CREDENTIAL = re.compile(r"[!-~]+")
"""What a header can have."""


class NewRelay(Struct, frozen=True):
    """What an operator asks for. `ignored` are ids of tokens that the account itself writes with here.

    `public`: all addresses of the host must be public, because the URL is a client's.
    """

    dialect: str
    url: str
    media: str = "json"
    target: Target = field(default_factory=Target)
    share: float = SHARE
    ignored: Sequence[str] = ()
    public: bool = False


OPTIONS: Mapping[str, Sequence[str]] = {
    "resource": ("altcraft",),
    "id_field": ("altcraft",),
    "topics": ("courier",),
    "replaces": ("courier",),
    "properties": ("klaviyo",),
    "deletes": ("klaviyo",),
    "merges": ("klaviyo",),
}
"""The dialects that have an option of a target."""


async def validate(new: NewRelay, dialects: Mapping[str, Dialect]) -> None:
    """Raise `Refusal` (invalid_parameter) with the place of what is wrong."""
    known = [name for name, each in dialects.items() if each.outgoing]
    if new.dialect not in known:
        raise refuse("invalid_parameter", f"it must be one of {', '.join(known)}", "/to")
    if new.media not in MEDIA or (new.media == "xml" and new.dialect != "altcraft"):
        raise refuse("invalid_parameter", "it must be json, or xml for altcraft", "/media")
    if not 0 < new.share <= 1:
        raise refuse("invalid_parameter", "it must be a number over 0, and 1 at most", "/share")
    for name, owners in OPTIONS.items():
        if getattr(new.target, name) and new.dialect not in owners:
            raise refuse("invalid_parameter", f"it is for {', '.join(owners)} alone", f"/{name}")
    try:
        require_safe(new.url, new.public)
        if new.public:
            await resolve(parse_url(new.url), allow_private=False)
    except (UnusableAccount, UnusableUrl) as reason:
        raise refuse("invalid_parameter", str(reason), "/url") from None


async def create_relay(
    store: Store, database: int, new: NewRelay, credential: str, box: SecretBox, now: int, *, has_backfill: bool
) -> Subscriber:
    """Store a relay that gets the changes from now on; one with a backfill is disabled until that is complete.

    It was validated. Raises `Refusal` (invalid_parameter), and `Missing` where there is no such database.
    """
    if not _CREDENTIAL.fullmatch(credential):
        raise refuse("invalid_parameter", "it must be visible ASCII characters", "/credential")
    kept = await store.journal_range(database)
    state, reason = (DISABLED, BACKFILL) if has_backfill else (ACTIVE, "")
    settings = {**asdict(new), "target": asdict(new.target)}
    relay = Subscriber(
        database, f"rl_{token_hex(8)}", RELAY, now, settings, "", max(kept.newest, kept.removed), state, reason
    )
    relay = replace(relay, secret=box.encrypt(credential, secret_name(relay)))
    await store.add_subscriber(relay)
    return relay


async def relays(store: Store, database: int) -> list[Subscriber]:
    """Return the relays of a database, by creation."""
    return [each for each in await store.subscribers() if each.database == database and each.kind == RELAY]


async def find_relay(store: Store, database: int, id: str) -> Subscriber:
    """Return a relay. Raises `Refusal`: unknown_relay."""
    for each in await relays(store, database):
        if each.id == id:
            return each
    raise refuse("unknown_relay")


def render_relay(relay: Subscriber, store: str) -> dict[str, Any]:
    """Return a relay without its credential. `cursor` is that of the last entry that was sent or put aside."""
    settings = relay.settings
    return {
        "id": relay.id,
        "to": settings["dialect"],
        "url": settings["url"],
        "media": settings["media"],
        "created": format_time(relay.created),
        "state": relay.state,
        "reason": relay.reason,
        "cursor": format_cursor(store, relay.position),
    }


async def relay_status(store: Store, relay: Subscriber, limit: int, now: int) -> dict[str, Any]:
    """Return a relay with how far it is, as `delivery_status` does, and with what it has counted.

    `rate` is the number of requests per second in the last minute.
    """
    counts = parse_counts((await store.notes(relay.database, relay.id, [COUNTS])).get(COUNTS))
    return {
        **render_relay(relay, store.id),
        **await delivery_status(store, relay, limit, now),
        "rate": round(counts.rate(now), 2),
        "failures": counts.failures,
        "skipped": counts.skipped,
    }


@asynccontextmanager
async def open_relay(
    context: SenderContext,
    dialects: Mapping[str, Dialect],
    pseudonym: Pseudonym | None,
    connect: Callable[[SplitResult, bool, int], Connections] = HostConnections,
) -> AsyncIterator[RelaySender]:
    """Open connections to the account of a relay. `connect` replaces the network, in tests."""
    relay = context.subscriber
    settings = relay.settings
    dialect = dialects[settings["dialect"]]
    assert dialect.outgoing
    codec = next(each for each in CODECS if each.name == settings["media"])
    client = AccountClient(
        settings["url"],
        dialect.outgoing.headers(context.secret),
        codec,
        dialect.content_types[codec.name],
        settings["share"],
        context.wait_for_clients,
        context.now,
        connect(parse_url(settings["url"]), not settings.get("public"), MAX_RESPONSE_BYTES),
    )
    account = Account(client, dialect.outgoing, Target(**settings["target"]), frozenset(settings["ignored"]))
    reader = ProfileReader(context.store, relay.database, pseudonym)
    try:
        session = AccountSession(context.store, relay, account, context.now)
        yield RelaySender(relay.id, session, reader)
    finally:
        client.close()


@asynccontextmanager
async def open_account(
    store: Store,
    relay: Subscriber,
    secret: str,
    dialects: Mapping[str, Dialect],
    pseudonym: Pseudonym | None,
    now: Callable[[], int],
) -> AsyncIterator[RelaySender]:
    """Open connections to the account of a relay for an operator, who waits for what is sent."""

    async def wait_for_clients() -> None:
        return None

    async with open_relay(SenderContext(store, relay, secret, wait_for_clients, now), dialects, pseudonym) as sender:
        yield sender

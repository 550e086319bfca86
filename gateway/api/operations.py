"""What each call does. Every function may raise `Refusal` and `Unavailable`."""

from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from time import monotonic

from msgspec import Struct

from gateway.api.context import CHECK_SECONDS, NAME, CallContext
from gateway.api.requests import (
    FeedParameters,
    LetterParameters,
    MergesParameters,
    PageParameters,
    ProfileParameters,
    UndoParameters,
)
from gateway.core.cursor import format_cursor
from gateway.core.faults import refuse
from gateway.core.matching import identities_by_id
from gateway.core.model import Document, JournalEntry, Origin, RecordedMerge, Tree
from gateway.feed import history
from gateway.feed.cursors import parse_cursor, parse_event_id, parse_feed_cursor
from gateway.feed.pages import Page, read_page
from gateway.feed.secret_box import SecretBox, open_box
from gateway.feed.webhooks import endpoints
from gateway.feed.webhooks.endpoints import NewWebhook
from gateway.optional_dependencies import MissingExtra
from gateway.service.erasures import erase_person
from gateway.service.idempotency import KEY_LIFETIME, own_idempotency_key
from gateway.service.pseudonyms import pseudonym_of
from gateway.service.undo import Undo
from gateway.stores.errors import Missing

STREAM_EVENTS = 200
"""Events that a stream reads and sends at once."""


class FoundProfile(Struct, frozen=True):
    """A profile, now or at an earlier time."""

    id: str
    version: int
    document: Document


class HistoryPage(Struct, frozen=True):
    """Entries of a profile, and the cursor of the next page; None: there is none."""

    entries: Sequence[JournalEntry]
    next: str | None


class FeedPage(Struct, frozen=True):
    """Events, and the cursor after them."""

    events: Sequence[dict[str, object]]
    cursor: str


class MergesPage(Struct, frozen=True):
    """Merges, and the cursor of the next page; None: there is none."""

    merges: Sequence[RecordedMerge]
    next: str | None


class CreatedWebhook(Struct, frozen=True):
    """A new webhook, and its secret."""

    webhook: Tree
    secret: str


class DeadPage(Struct, frozen=True):
    """Dead letters of a subscriber, and the cursor of the next page; None: there is none."""

    letters: Sequence[Tree]
    next: str | None


async def find_profile(context: CallContext, parameters: ProfileParameters) -> FoundProfile:
    """Return a profile. Raises `Refusal`: profile_not_found, expired_history."""
    id, time = parameters.profile, parameters.at
    if time is not None:
        return FoundProfile(id, *await history.document_at(context.store, context.database, id, time))
    profile = await history.find_profile(context.store, context.database, id)
    if profile is None:
        raise refuse("profile_not_found")
    return FoundProfile(profile.id, profile.version, profile.document)


async def erase_profile(context: CallContext, profile: str) -> None:
    """Erase the person of a profile. Raises `Refusal`: profile_not_found."""
    resources = context.resources
    [database] = [each for each in await context.store.databases() if each.id == context.database]
    pseudonym = pseudonym_of(resources.key) if resources.key else None
    origin = Origin(context.token, NAME, resources.now())
    await erase_person(context.store, database, identities_by_id(profile), origin, pseudonym)


async def read_history(context: CallContext, parameters: PageParameters) -> HistoryPage:
    """Return a page of a profile's history. Raises `Refusal`: profile_not_found, unknown_cursor, expired_cursor."""
    store, database, limit = context.store, context.database, parameters.limit
    after = await parse_cursor(parameters.after, store, database)
    entries = await history.read_history(store, database, parameters.id, after, limit + 1)
    page = entries[:limit]
    return HistoryPage(page, format_cursor(store.id, page[-1].position) if len(entries) > limit else None)


async def read_feed(context: CallContext, parameters: FeedParameters) -> FeedPage:
    """Return the next events, or wait for the first one. Raises `Refusal`: unknown_cursor, expired_cursor."""
    until = monotonic() + parameters.wait
    position = await parse_feed_cursor(parameters.after, context.store, context.database)
    while True:
        page = await _read_page(context, position, parameters.limit, parameters)
        position, left = page.position, until - monotonic()
        if page.events or left <= 0 or not await context.wait(position, left):
            return FeedPage(page.events, format_cursor(context.store.id, position))


async def stream_feed(context: CallContext, parameters: FeedParameters) -> AsyncIterator[Page]:
    """Return pages of events without end, an empty one wherever there was none for a while.

    It ends when the process stops, and raises `Refusal` as `read_feed` does, before the first page, or once the token
    is revoked.
    """
    position = await parse_feed_cursor(parameters.after, context.store, context.database)
    is_running = True
    while is_running:
        page = await _read_page(context, position, STREAM_EVENTS, parameters)
        position = page.position
        yield page
        is_running = await context.wait(position, 0 if page.events else CHECK_SECONDS)


async def list_merges(context: CallContext, parameters: MergesParameters) -> MergesPage:
    """Return a page of merges, the newest first. Raises `Refusal`: unknown_cursor, expired_cursor."""
    store, database, limit = context.store, context.database, parameters.limit
    before = await parse_cursor(parameters.after, store, database) if parameters.after else None
    merges = await store.merges(database, before, limit + 1, parameters.profile)
    page = merges[:limit]
    return MergesPage(page, format_cursor(store.id, page[-1].entry.position) if len(merges) > limit else None)


async def undo_merge(context: CallContext, parameters: UndoParameters) -> RecordedMerge:
    """Undo a merge. Raises `Refusal`: unknown_merge, merge_undone, undo_conflict, identifier_taken, expired_history."""
    now, once = context.resources.now(), None
    if parameters.key is not None:
        once = own_idempotency_key(parameters.key, ["undo", parameters.merge], now + KEY_LIFETIME)
    undo = Undo(context.store, context.database, context.tables, context.resources.patches)
    return await undo.run(parameters.merge, Origin(context.token, NAME, now, request=context.request), once)


async def list_webhooks(context: CallContext, _parameters: None) -> list[Tree]:
    """Return the webhooks of a database, by creation."""
    found = await endpoints.webhooks(context.store, context.database)
    return [endpoints.render_webhook(each, context.store.id) for each in found]


async def find_webhook(context: CallContext, id: str) -> Tree:
    """Return a webhook. Raises `Refusal`: unknown_webhook."""
    found = await endpoints.find_webhook(context.store, context.database, id)
    return endpoints.render_webhook(found, context.store.id)


async def create_webhook(context: CallContext, new: NewWebhook) -> CreatedWebhook:
    """Create a webhook. Raises `Refusal`: invalid_parameter, webhooks_unavailable."""
    endpoints.validate(new)
    resources, box = context.resources, secret_box(context, "webhooks_unavailable")
    created, secret = await endpoints.create_webhook(
        context.store, context.database, new, box, resources.allow_private, resources.now()
    )
    return CreatedWebhook(endpoints.render_webhook(created, context.store.id), secret)


def secret_box(context: CallContext, code: str) -> SecretBox:
    """Return the box of the secrets of subscribers. Raises `Refusal` with a code where there is none."""
    if context.resources.key is None:
        raise refuse(code, "GATEWAY_SECRET_FILE is not set")
    try:
        return open_box(context.resources.key)
    except MissingExtra as reason:
        raise refuse(code, str(reason)) from None


async def remove_webhook(context: CallContext, id: str) -> None:
    """Remove a webhook. Raises `Refusal`: unknown_webhook."""
    await endpoints.find_webhook(context.store, context.database, id)
    with suppress(Missing):  # another request was faster
        await context.store.remove_subscriber(context.database, id)


async def list_dead(context: CallContext, parameters: PageParameters) -> DeadPage:
    """Return a page of the dead letters of a webhook. Raises `Refusal`: unknown_webhook, unknown_cursor."""
    await endpoints.find_webhook(context.store, context.database, parameters.id)
    return await read_dead(context, parameters.id, parameters.after, parameters.limit)


async def read_dead(context: CallContext, subscriber: str, after: str, limit: int) -> DeadPage:
    """Return a page of the dead letters of a subscriber. Raises `Refusal`: unknown_cursor."""
    store = context.store
    position = parse_event_id(after, store.id, "/after") if after else 0
    found = await store.deliveries(context.database, subscriber, True, position, limit + 1)
    page = found[:limit]
    return DeadPage(
        [endpoints.render_dead(each, store.id) for each in page],
        format_cursor(store.id, page[-1].position) if len(found) > limit else None,
    )


async def replay_webhook(context: CallContext, parameters: LetterParameters) -> Tree:
    """Make a webhook active and its dead letters due, all or those of some events.

    Raises `Refusal`: unknown_webhook, unknown_cursor.
    """
    await find_webhook(context, parameters.id)
    await resume_subscriber(context, parameters)
    return await find_webhook(context, parameters.id)


async def resume_subscriber(context: CallContext, parameters: LetterParameters) -> None:
    """Make a subscriber active and its dead letters due. Raises `Refusal`: unknown_cursor."""
    store, events = context.store, parameters.events
    positions = None if events is None else [parse_event_id(each, store.id, "/events") for each in events]
    with suppress(Missing):  # another request removed it: the caller's next search reports it
        await store.resume_subscriber(context.database, parameters.id, positions)


async def _read_page(context: CallContext, after: int, limit: int, parameters: FeedParameters) -> Page:
    return await read_page(context.store, context.database, after, limit, parameters.selection)

"""What each call does. Every function may raise `Refusal` and `Unavailable`."""

from collections.abc import AsyncIterator, Sequence
from time import monotonic

from msgspec import Struct

from gateway.api.context import CHECK_SECONDS, CallContext
from gateway.api.requests import FeedParameters, PageParameters, ProfileParameters
from gateway.core.faults import refuse
from gateway.core.model import Document, JournalEntry
from gateway.feed import history
from gateway.feed.cursors import format_cursor, parse_cursor, parse_feed_cursor
from gateway.feed.pages import Page, read_page

STREAM_EVENTS = 500
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


async def find_profile(context: CallContext, parameters: ProfileParameters) -> FoundProfile:
    """Return a profile. Raises `Refusal`: profile_not_found, expired_history."""
    id, time = parameters.profile, parameters.at
    if time is not None:
        return FoundProfile(id, *await history.document_at(context.store, context.database, id, time))
    profile = await history.find_profile(context.store, context.database, id)
    if profile is None:
        raise refuse("profile_not_found")
    return FoundProfile(profile.id, profile.version, profile.document)


async def read_history(context: CallContext, parameters: PageParameters) -> HistoryPage:
    """Return a page of a profile's history. Raises `Refusal`: profile_not_found, unknown_cursor, expired_cursor."""
    store, database, limit = context.store, context.database, parameters.limit
    after = await parse_cursor(parameters.after, store, database)
    entries = await history.read_history(store, database, parameters.profile, after, limit + 1)
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


async def _read_page(context: CallContext, after: int, limit: int, parameters: FeedParameters) -> Page:
    return await read_page(context.store, context.database, after, limit, parameters.selection)

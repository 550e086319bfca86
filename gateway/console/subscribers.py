"""The pages of webhooks and relays: how far each is, its dead letters and their replay."""

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

from gateway.console.pages import HtmlPage, PageError, PageResult, Redirection, Visit
from gateway.core.model import Position
from gateway.core.rights import DELIVER, READ
from gateway.core.subscribers import Subscriber
from gateway.feed.cursors import parse_event_id
from gateway.feed.relay.relays import RELAY, relay_status
from gateway.feed.webhooks.endpoints import WEBHOOK, render_dead, webhook_status
from gateway.stores.errors import Missing

RIGHTS = frozenset({READ, DELIVER})

MAX_COUNT = 1_000
"""Up to which entries and deliveries are counted."""

MAX_LETTERS = 50

STATUSES = {WEBHOOK: webhook_status, RELAY: relay_status}
"""By kind: what returns how far a subscriber is."""


async def subscriber_rows(visit: Visit) -> list[dict[str, Any]]:
    """Return how far each webhook and each relay of the database is; none without the rights to see them."""
    if not visit.token.rights >= RIGHTS:
        return []
    return [await _status(visit, each) for each in await _subscribers(visit)]


async def show_subscriber(visit: Visit) -> PageResult:
    """Return one webhook or relay, with what it retries and its first dead letters."""
    found = await find_subscriber(visit)
    store, key = visit.context.store, (found.database, found.id)
    retried = await store.deliveries(*key, False, 0, MAX_LETTERS)
    dead = await store.deliveries(*key, True, 0, MAX_LETTERS)
    values = {
        "subscriber": await _status(visit, found),
        "retried": [render_dead(each, store.id) for each in retried],
        "dead": [render_dead(each, store.id) for each in dead],
        "max_count": MAX_COUNT,
    }
    return HtmlPage("subscriber", values)


async def replay(visit: Visit) -> PageResult:
    """Send dead letters again, the chosen ones or all, and resume the subscriber if it is disabled."""
    found = await find_subscriber(visit)
    positions = None if visit.form.text("all") else chosen_positions(visit)
    try:
        await visit.context.store.resume_subscriber(found.database, found.id, positions)
    except Missing:
        raise _missing() from None
    return subscriber_page(found)


def chosen_positions(visit: Visit) -> Sequence[Position]:
    """Return the positions of the events that the form names. Raises `PageError` and `Refusal`."""
    events, store = visit.form.all("event"), visit.context.store
    if not events:
        raise PageError(400, "No dead letter is chosen.")
    return [parse_event_id(each, store.id, "/event") for each in events]


def subscriber_page(subscriber: Subscriber) -> Redirection:
    """Return the redirection to the page of a webhook or relay."""
    return Redirection(f"subscriber?{urlencode({'id': subscriber.id})}")


async def _status(visit: Visit, subscriber: Subscriber) -> dict[str, Any]:
    context = visit.context
    status = await STATUSES[subscriber.kind](context.store, subscriber, MAX_COUNT, context.now())
    return {"kind": subscriber.kind, "to": "", "media": "", "failures": {}, "skipped": {}, **status}


async def _subscribers(visit: Visit) -> list[Subscriber]:
    found = await visit.context.store.subscribers()
    return [each for each in found if each.database == visit.database.id and each.kind in STATUSES]


async def find_subscriber(visit: Visit) -> Subscriber:
    """Return the webhook or relay that the form names. Raises `PageError`."""
    for right in sorted(RIGHTS):
        visit.require(right)
    found = [each for each in await _subscribers(visit) if each.id == visit.form.text("id")]
    if not found:
        raise _missing()
    return found[0]


def _missing() -> PageError:
    return PageError(404, "There is no such webhook or relay.")

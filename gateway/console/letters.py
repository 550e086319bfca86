"""The page of a dead letter: what would be sent now, and the edited requests of a relay, sent in its place."""

import json
from contextlib import AbstractAsyncContextManager
from typing import Any

from gateway.console.pages import HtmlPage, PageError, PageResult, Visit, explain
from gateway.console.subscribers import chosen_positions, find_subscriber, subscriber_page
from gateway.core.faults import Refusal
from gateway.core.subscribers import Delivery, Subscriber
from gateway.feed.cursors import parse_event_id
from gateway.feed.events import event_renderer
from gateway.feed.letters import find_entry, find_letter
from gateway.feed.relay.mending import letter_requests, parse_requests, send_mended
from gateway.feed.relay.relays import RELAY, open_account
from gateway.feed.relay.sender import RelaySender
from gateway.feed.secret_box import UnusableSecret, secret_of
from gateway.feed.webhooks.endpoints import render_dead, selection_of

UNREADABLE = (Refusal, UnusableSecret)
"""Why a letter cannot be rendered or sent."""


async def show_letter(visit: Visit) -> PageResult:
    """Return a dead letter, with the requests or the event that would be sent now."""
    found, letter = await _find(visit)
    try:
        content = await (_requests if found.kind == RELAY else _event)(visit, found, letter)
    except UNREADABLE as reason:
        return _page(visit, found, letter, unreadable=explain(reason))
    return _page(visit, found, letter, json.dumps(content, indent=2, ensure_ascii=False))


async def mend_letter(visit: Visit) -> PageResult:
    """Send the requests of the form in place of the dead letter of a relay."""
    found, letter = await _find(visit)
    if found.kind != RELAY:
        raise PageError(400, "The event of a webhook cannot be edited.")
    text = visit.form.raw("requests")
    try:
        requests = parse_requests(text)
        async with _account(visit, found) as sender:
            reason = await send_mended(visit.context.store, found, letter.position, requests, sender.session)
    except UNREADABLE as error:
        reason = explain(error)
    return _page(visit, found, letter, text, reason) if reason else subscriber_page(found)


async def drop_letters(visit: Visit) -> PageResult:
    """Remove the chosen dead letters. They are never sent."""
    found, store = await find_subscriber(visit), visit.context.store
    await store.drop_deliveries(found.database, found.id, chosen_positions(visit))
    return subscriber_page(found)


async def _find(visit: Visit) -> tuple[Subscriber, Delivery]:
    found, store = await find_subscriber(visit), visit.context.store
    return found, await find_letter(store, found, parse_event_id(visit.form.text("event"), store.id, "/event"))


async def _requests(visit: Visit, relay: Subscriber, letter: Delivery) -> Any:
    async with _account(visit, relay) as sender:
        return await letter_requests(visit.context.store, relay, letter.position, sender)


async def _event(visit: Visit, webhook: Subscriber, letter: Delivery) -> Any:
    store = visit.context.store
    render = event_renderer(store.id, webhook.database, selection_of(webhook.settings))
    return render(await find_entry(store, webhook, letter))


def _account(visit: Visit, relay: Subscriber) -> AbstractAsyncContextManager[RelaySender]:
    """Open the account of a relay. Raises `UnusableSecret`."""
    context = visit.context
    secret = secret_of(relay, context.key)
    dialects = {each.name: each for each in context.dialects}
    return open_account(context.store, relay, secret, dialects, context.pseudonym, context.now)


def _page(
    visit: Visit, found: Subscriber, letter: Delivery, text: str = "", problem: str = "", unreadable: str = ""
) -> HtmlPage:
    values = {
        "subscriber": found,
        "letter": render_dead(letter, visit.context.store.id),
        "is_editable": found.kind == RELAY,
        "text": text,
        "problem": problem,
        "unreadable": unreadable,
    }
    return HtmlPage("letter", values, 400 if problem else 200)

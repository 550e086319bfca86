"""Sends the events of one webhook, each by itself."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import TypeAlias

from msgspec.structs import replace

from gateway.core.model import JournalEntry
from gateway.core.subscribers import Subscriber
from gateway.feed.answers import Answer
from gateway.feed.delivery import MAX_RUNNING, Sender
from gateway.feed.events import Event, event_renderer
from gateway.feed.retries import Schedule
from gateway.feed.runner import SenderContext
from gateway.feed.webhooks.endpoints import selection_of
from gateway.feed.webhooks.signatures import secret_bytes, signature_headers
from gateway.media import json

GONE = 410

SCHEDULE = Schedule(first_pause=5_000, max_pause=8 * 60 * 60 * 1000, jitter=0.2)

Send: TypeAlias = Callable[[Event], Awaitable[Answer]]
"""Sends an event. Never raises, except when it is cancelled."""


class WebhookSender:
    """The events of a webhook. See `Sender`. `store` is the id of the store."""

    schedule = SCHEDULE
    max_running = MAX_RUNNING

    def __init__(self, store: str, subscriber: Subscriber, send: Send) -> None:
        selection = selection_of(subscriber.settings)
        self.selects = selection.selects
        self._render = event_renderer(store, subscriber.database, selection)
        self._send = send

    def rank(self, _entry: JournalEntry | None) -> int:
        return 0

    def group(self, _entries: Sequence[JournalEntry]) -> int:
        return 1

    async def send(self, entries: Sequence[JournalEntry], _attempt: int) -> Answer:
        """Send the event of the only entry. An endpoint that is gone gets no more."""
        answer = await self._send(self._render(entries[0]))
        return replace(answer, stops=True) if answer.status == GONE else answer

    def pending_notes(self) -> Mapping[str, str | None]:
        return {}


@asynccontextmanager
async def open_webhook(context: SenderContext, allow_private: bool) -> AsyncIterator[Sender]:
    """Open connections to the endpoint of a webhook, which may have a private address if that is allowed."""
    from gateway.feed.webhooks.client import WebhookClient

    subscriber, key = context.subscriber, secret_bytes(context.secret)
    client = WebhookClient(subscriber.settings["url"], allow_private)

    async def send(event: Event) -> Answer:
        await context.wait_for_clients()
        body = json.encode(event)
        return await client.send(body, signature_headers(key, event["id"], context.now() // 1000, body))

    try:
        yield WebhookSender(context.store.id, subscriber, send)
    finally:
        client.close()

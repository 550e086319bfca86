"""The existing profiles of a database, sent by a new relay before it starts, or only rendered.

The relay is disabled meanwhile, so that no process delivers. It has the position of before, so that what changes during
a backfill is sent after it.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

from msgspec.structs import replace

from gateway.core.model import Profile
from gateway.core.subscribers import ACTIVE, DeliveryResult, Subscriber
from gateway.core.tombstones import Pseudonym
from gateway.dialects.protocol import Dialect
from gateway.feed.answers import Answer
from gateway.feed.relay.profiles import ProfileReader
from gateway.feed.relay.relays import NewRelay, open_account
from gateway.feed.relay.sender import RelaySender
from gateway.feed.retries import parse_retry_after
from gateway.stores.protocol import Store

NO_OWNER = ""
"""The owner of a lease that no process has had."""

ATTEMPTS = 8
"""Of one profile. Then it is reported, and sent with its next change."""


class Interrupted(Exception):
    """The account takes nothing more. The message is the reason."""


async def backfill(
    store: Store,
    relay: Subscriber,
    secret: str,
    dialects: Mapping[str, Dialect],
    pseudonym: Pseudonym | None,
    now: Callable[[], int],
    count: Callable[[], None],
) -> list[tuple[str, str]]:
    """Send every profile, and make the relay active. `count` is called after each.

    Return ids and reasons of those that the account refused. Raises `Interrupted`; the relay stays disabled.
    """
    failed: list[tuple[str, str]] = []
    reader = ProfileReader(store, relay.database, pseudonym)
    account = open_account(store, relay, secret, dialects, pseudonym, now)
    async with account as sender, store.snapshot() as snapshot:
        profiles = snapshot.profiles(relay.database)
        while group := [each async for each in _next(profiles, sender.max_running)]:
            answers = await asyncio.gather(*(_send(sender, reader, each, now) for each in group))
            notes: dict[str, str | None] = {}
            for profile, answer in zip(group, answers, strict=True):
                notes.update(answer.notes)
                if not answer.is_success:
                    failed.append((profile.id, answer.reason))
                count()
            await store.settle(DeliveryResult(relay, notes={**notes, **sender.pending_notes()}), NO_OWNER)
            if stopped := next((each for each in answers if each.stops), None):
                raise Interrupted(stopped.reason)
    await store.settle(DeliveryResult(replace(relay, state=ACTIVE, reason="")), NO_OWNER)
    return failed


async def _next(profiles: AsyncIterator[Profile], count: int) -> AsyncIterator[Profile]:
    for _ in range(count):
        try:
            yield await anext(profiles)
        except StopAsyncIteration:
            return


async def _send(sender: RelaySender, reader: ProfileReader, profile: Profile, now: Callable[[], int]) -> Answer:
    """Send one profile, again where that may help."""
    attempt, pause = 1, 1.0
    while True:
        state = await reader.whole_state(profile, None)
        answer = await sender.states.send(replace(state, time=profile.updated), f"{profile.id}-{attempt}", attempt)
        if answer.is_success or answer.is_final or answer.stops or attempt == ATTEMPTS:
            return answer
        attempt += 1
        await asyncio.sleep(max(pause, parse_retry_after(answer.retry_after, now()) / 1000))
        pause = min(pause * 2, 60.0)


async def preview(
    store: Store, database: int, new: NewRelay, dialects: Mapping[str, Dialect]
) -> AsyncIterator[dict[str, Any]]:
    """Yield the requests for each profile that a backfill would send, and the members that it would not."""
    outgoing = dialects[new.dialect].outgoing
    assert outgoing
    reader = ProfileReader(store, database, None)
    async with store.snapshot() as snapshot:
        async for profile in snapshot.profiles(database):
            state = await reader.whole_state(profile, None)
            rendered = outgoing.render_change(replace(state, time=profile.updated), new.target)
            requests = [{"call": f"{each.method} {each.path}", "body": each.tree} for each in rendered.requests]
            yield {"profile": profile.id, "requests": requests, "skipped": rendered.skipped}

"""The account of a vendor: sends requests to it, reads its answers, and keeps what is noted about it."""

import asyncio
from collections.abc import Callable, Mapping, Sequence

from msgspec import Struct

from gateway.core.subscribers import Subscriber
from gateway.dialects.outgoing import Outgoing, OutgoingRequest, Target, VendorAnswer
from gateway.feed.answers import Answer
from gateway.feed.delivery import MAX_RUNNING
from gateway.feed.relay.batching import Batching
from gateway.feed.relay.client import AccountClient
from gateway.feed.relay.counts import COUNTS, Counts, parse_counts
from gateway.feed.relay.masking import mask_values
from gateway.feed.relay.replies import AccountReply
from gateway.stores.protocol import Store

STOPPING = (401, 402, 403)
"""Statuses after which every request would be refused: credential, tariff, right."""

PASSING = (408, 425, 429)
CONFLICT, NOT_FOUND = 409, 404
CONFLICT_ATTEMPTS = 5
"""A conflict may pass, for example when a merge is still to be sent; so often it is tried."""

DONE = Answer(204, "")

PROBE_AFTER = 20
"""Answers without one that counts, after which one request at a time is sent until there is one."""


class Account(Struct, frozen=True):
    """How an account is reached, and what is configured there. `ignored` are tokens that the vendor uses here."""

    client: AccountClient
    outgoing: Outgoing
    target: Target
    ignored: frozenset[str] = frozenset()


class AccountSession:
    """The requests of one relay to its account. `now` returns milliseconds since 1970."""

    def __init__(self, store: Store, subscriber: Subscriber, account: Account, now: Callable[[], int]) -> None:
        self.account = account
        self.now = now
        self._store = store
        self._key = subscriber.database, subscriber.id
        self._counts: Counts | None = None
        self._note = ""
        self._vendor_ids: dict[str, str] = {}
        self._passing = 0
        self._probe = asyncio.Lock()
        self._running = asyncio.Semaphore(MAX_RUNNING)
        batches = account.outgoing.batches
        self._batching = Batching(batches, self._exchange, _concerns_all) if batches else None

    async def exchange(self, request: OutgoingRequest, key: str) -> tuple[AccountReply, VendorAnswer]:
        """Send a request, and count it. Without a reply, the status of the answer is 0."""
        if self._passing < PROBE_AFTER:
            batching = self._batching
            return await (batching.exchange if batching else self._exchange)(request, key)
        async with self._probe:
            return await self._exchange(request, key)

    async def _exchange(self, request: OutgoingRequest, key: str) -> tuple[AccountReply, VendorAnswer]:
        counts = await self._read_counts()
        async with self._running:
            reply = await self.account.client.send(request, key)
        answer = VendorAnswer(0, reply.reason)
        if reply.status is not None:
            answer = self.account.outgoing.parse_answer(reply.status, reply.tree)
        self._passing = self._passing + 1 if may_pass(answer.status) else 0
        counts.add_reply(answer.status or None, is_success(request, answer), self.now())
        return reply, answer

    async def send_all(self, requests: Sequence[OutgoingRequest], key: str, attempt: int) -> Answer | None:
        """Send requests in order. Return the first failure."""
        for number, request in enumerate(requests):
            reply, answer = await self.exchange(request, f"{key}-{number}")
            if not is_success(request, answer):
                return failure(request, reply, answer, attempt)
        return None

    async def notes(self, names: Sequence[str]) -> dict[str, str]:
        """Return the vendor's ids of profiles."""
        found = await self._store.notes(*self._key, names)
        return found | {name: self._vendor_ids[name] for name in names if name in self._vendor_ids}

    async def sharing(self, vendor_id: str) -> list[str]:
        """Return the profiles here that have the same one at the vendor."""
        noted = await self._store.noted(*self._key, vendor_id)
        return [*noted, *(name for name, id in self._vendor_ids.items() if id == vendor_id and name not in noted)]

    def add_vendor_id(self, profile: str, vendor_id: str) -> None:
        """Remember the vendor's id of a profile until it is stored: others are sent at the same time."""
        self._vendor_ids[profile] = vendor_id

    async def skip(self, pointers: Sequence[str]) -> None:
        """Count values that are not sent."""
        (await self._read_counts()).add_skipped(pointers)

    def pending_notes(self) -> Mapping[str, str | None]:
        """Return the note of the counts, if they changed, and forget the ids of `add_vendor_id`.

        The notes of answers are stored with it, and have the ids.
        """
        self._vendor_ids.clear()
        note = self._counts.note() if self._counts else ""
        if note in ("", self._note):
            return {}
        self._note = note
        return {COUNTS: note}

    async def _read_counts(self) -> Counts:
        if self._counts is None:
            self._counts = parse_counts((await self.notes([COUNTS])).get(COUNTS))
        return self._counts


def is_success(request: OutgoingRequest, answer: VendorAnswer) -> bool:
    """Return whether a request did what it was sent for."""
    return 200 <= answer.status < 300 or (request.missing_ok and answer.status == NOT_FOUND)


def may_pass(status: int) -> bool:
    """Return whether the same request may succeed later. 0 is no reply."""
    return not status or status in PASSING or status >= 500


def _concerns_all(status: int) -> bool:
    """Return whether all requests would get the same answer now."""
    return may_pass(status) or status in STOPPING


def failure(request: OutgoingRequest, reply: AccountReply, answer: VendorAnswer, attempt: int) -> Answer:
    """Return what a reply means for the delivery. The vendor's words are kept, without the values that were sent."""
    status = answer.status
    words = mask_values(answer.words, request)
    reason = f"{request.method} {mask_values(request.path, request)}: " + (
        f"HTTP {status} {words}" if status else words
    )
    return Answer(
        status or None,
        reason.strip(),
        reply.retry_after,
        is_final=not (may_pass(status) or status in STOPPING or (status == CONFLICT and attempt < CONFLICT_ATTEMPTS)),
        stops=status in STOPPING,
    )

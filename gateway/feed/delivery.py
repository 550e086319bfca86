"""Delivers the entries of the journal to one subscriber, while this process has its lease.

Its position is stored once every entry up to it was sent, or put aside as a delivery that is not done. So a process
that stops anywhere loses none, and the next one may send some again. Of one profile only the first such delivery is
attempted, and later entries of it wait behind: the order per profile stays.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain, groupby
from typing import Protocol, TypeAlias

from msgspec import Struct, field
from msgspec.structs import replace

from gateway.core.model import JournalEntry, Position
from gateway.core.subscribers import DISABLED, Delivery, DeliveryResult, Subscriber
from gateway.feed.answers import Answer
from gateway.feed.letters import read_entry
from gateway.feed.observer import UNOBSERVED, DeliveryObserver
from gateway.feed.retries import MAX_AGE, Schedule, after_failure, parse_retry_after
from gateway.stores.protocol import Store

READ_ENTRIES = 200
"""Entries of one round."""

MAX_RUNNING = 16
"""Messages on their way to one endpoint at the same time."""

MAX_UNDELIVERED = 1_000
"""Deliveries that are put aside. With so many no further entries are read, and the journal keeps them."""

MAX_PAUSE = 60 * 60 * 1000
"""The longest pause, in milliseconds, in which an endpoint that asks for one gets no message at all."""

MAX_GROUP = 50
"""Entries that are sent together."""

PAUSING = (429, 503)
"""Statuses whose Retry-After concerns the subscriber and not the message alone."""

NO_LONGER_KEPT = "the event is no longer kept"


class Sender(Protocol):
    """What the kinds of subscribers do differently."""

    schedule: Schedule
    max_running: int
    """Profiles whose entries are sent at the same time."""

    def selects(self, entry: JournalEntry) -> bool:
        """Return whether the subscriber gets an entry."""
        ...

    def rank(self, entry: JournalEntry | None) -> int:
        """Return the rank of an entry, None for one that was put aside. A round sends lower ones before others."""
        ...

    def group(self, entries: Sequence[JournalEntry]) -> int:
        """Return how many of the first entries of a profile are sent together, from 1."""
        ...

    async def send(self, entries: Sequence[JournalEntry], attempt: int) -> Answer:
        """Send entries of one profile; `attempt` counts from 1. Never raises, except when it is cancelled."""
        ...

    def pending_notes(self) -> Mapping[str, str | None]:
        """Return the notes to store for the subscriber apart from those of answers, each once."""
        ...


Chain: TypeAlias = "list[tuple[Delivery, JournalEntry | None]]"
"""Deliveries of one profile, in order; None where the entry must be read first."""


class ChainResult(Struct):
    """What came of a chain: the positions that were delivered, the deliveries that were not, and the last failure."""

    delivered: list[Position] = field(default_factory=list)
    undelivered: list[Delivery] = field(default_factory=list)
    failure: Answer | None = None
    notes: dict[str, str | None] = field(default_factory=dict)


class SubscriberDelivery:
    """The deliveries of one subscriber. `now` returns milliseconds since 1970, `random` a number between 0 and 1."""

    def __init__(
        self,
        store: Store,
        subscriber: Subscriber,
        owner: str,
        sender: Sender,
        now: Callable[[], int],
        random: Callable[[], float],
        observer: DeliveryObserver = UNOBSERVED,
    ) -> None:
        self.subscriber = subscriber
        self._observer = observer
        self._store = store
        self._owner = owner
        self._sender = sender
        self._now = now
        self._random = random
        self._running = asyncio.Semaphore(sender.max_running)
        self._undelivered: dict[Position, Delivery] = {}
        self._paused_until = 0
        self._is_loaded = False

    @property
    def is_blocked(self) -> bool:
        """Whether new entries have to wait: for a pause to end, or for so many deliveries that are not done."""
        return self._paused_until > self._now() or len(self._undelivered) >= MAX_UNDELIVERED

    def reload(self, revision: int) -> None:
        """Read the deliveries again before the next round: others altered them, and incremented the revision."""
        self.subscriber, self._is_loaded = replace(self.subscriber, revision=revision), False

    async def _load(self) -> None:
        limit = MAX_UNDELIVERED + READ_ENTRIES
        found = await self._store.deliveries(self.subscriber.database, self.subscriber.id, False, 0, limit)
        self._undelivered = {each.position: each for each in found}
        self._is_loaded = True

    def next_due(self) -> int:
        """Return when the next round has something to do, apart from new entries; in a year if never."""
        dues = [chain[0].due for chain in self._chains_by_profile().values()]
        return max(self._paused_until, min(dues, default=self._now() + 365 * MAX_AGE))

    async def run_round(self) -> bool:
        """Attempt what is due and what is new. Return whether there was anything.

        Raises `Missing` if the lease was lost, and then stores nothing.
        """
        now = self._now()
        if now < self._paused_until:
            return False
        if not self._is_loaded:
            await self._load()
        entries = await self._new_entries()
        old, new, waiting = self._due_chains(now), defaultdict[str, Chain](list), list[Delivery]()
        blocked = {each.profile for each in self._undelivered.values()}
        for entry in filter(self._sender.selects, entries):
            delivery = Delivery(entry.position, entry.profile)
            if entry.profile in blocked:
                waiting.append(delivery)
            else:
                new[entry.profile].append((delivery, entry))
        results = list[ChainResult]()
        for _, chains in groupby(sorted([*old, *new.values()], key=self._rank), key=self._rank):
            results += await asyncio.gather(*map(self._send_chain, chains))
        await self._settle(entries, results, waiting)
        self._report(entries, results, now)
        return bool(entries or old)

    def _report(self, entries: Sequence[JournalEntry], results: Iterable[ChainResult], now: int) -> None:
        kind = self.subscriber.kind
        for result in results:
            dead = sum(each.is_dead for each in result.undelivered)
            self._observer.sent(kind, "delivered", len(result.delivered))
            self._observer.sent(kind, "failed", int(result.failure is not None))
            self._observer.sent(kind, "dead", dead)
        times = [each.since for each in self._undelivered.values() if each.since]
        oldest = min([*times, *(each.origin.time for each in entries[:1])], default=now)
        self._observer.lagged(self.subscriber, max(0, self._now() - oldest if entries or times else 0) / 1000)

    async def _new_entries(self) -> list[JournalEntry]:
        if self.is_blocked:
            return []
        subscriber = self.subscriber
        kept = await self._store.journal_range(subscriber.database)
        after = max(subscriber.position, kept.removed)
        return await self._store.journal(subscriber.database, after, READ_ENTRIES) if kept.newest > after else []

    def _due_chains(self, now: int) -> list[Chain]:
        chains = self._chains_by_profile().values()
        return [[(each, None) for each in chain] for chain in chains if chain[0].due <= now]

    def _chains_by_profile(self) -> dict[str, list[Delivery]]:
        chains: dict[str, list[Delivery]] = defaultdict(list)
        for _, delivery in sorted(self._undelivered.items()):
            chains[delivery.profile].append(delivery)
        return chains

    def _rank(self, chain: Chain) -> int:
        return min(self._sender.rank(entry) for _, entry in chain)

    async def _send_chain(self, chain: Chain) -> ChainResult:
        """Send the entries of a profile, group by group, up to the first failure that may pass."""
        result = ChainResult()
        while chain and result.failure is None:
            deliveries, entries = await self._next_group(chain, result)
            chain = chain[len(deliveries) :]
            if not entries:
                continue
            async with self._running:
                answer = await self._sender.send(entries, deliveries[0].attempts + 1)
            result.notes.update(answer.notes)
            self._add_answer(answer, deliveries, result)
        if result.failure:
            result.undelivered += [each for each, _ in chain]
        return result

    async def _next_group(self, chain: Chain, result: ChainResult) -> tuple[list[Delivery], list[JournalEntry]]:
        """Return the first deliveries of a chain with their entries; none of these if they are no longer kept."""
        deliveries, entries = list[Delivery](), list[JournalEntry]()
        for delivery, known in chain[:MAX_GROUP]:
            entry = known or await read_entry(self._store, self.subscriber, delivery)
            if entry is None:
                break
            deliveries.append(delivery)
            entries.append(entry)
            if self._sender.group(entries) < len(entries):
                break
        if entries:
            size = self._sender.group(entries)
            return deliveries[:size], entries[:size]
        gone = chain[0][0]
        result.undelivered.append(replace(gone, reason=NO_LONGER_KEPT, since=self._now(), is_dead=True))
        return [gone], []

    def _add_answer(self, answer: Answer, deliveries: Sequence[Delivery], result: ChainResult) -> None:
        """Add what came of a group. What may be tried again is a failure, and waits."""
        if answer.is_success:
            result.delivered += [each.position for each in deliveries]
        elif answer.is_final:
            now = self._now()
            result.undelivered += [
                replace(
                    each,
                    attempts=each.attempts + 1,
                    since=each.since or now,
                    due=now,
                    reason=answer.reason,
                    is_dead=True,
                )
                for each in deliveries
            ]
        else:
            result.failure = answer
            result.undelivered += [self._failed(deliveries[0], answer), *deliveries[1:]]

    def _failed(self, delivery: Delivery, answer: Answer) -> Delivery:
        now = self._now()
        retry_after = parse_retry_after(answer.retry_after, now)
        if answer.status in PAUSING and retry_after:
            self._paused_until = max(self._paused_until, now + min(retry_after, MAX_PAUSE))
        failed = after_failure(delivery, self._sender.schedule, now, answer.reason, retry_after, self._random())
        if failed.is_dead and answer.is_kept:
            return replace(failed, due=now + max(self._sender.schedule.max_pause, retry_after), is_dead=False)
        return failed

    async def _settle(
        self, entries: Sequence[JournalEntry], results: Sequence[ChainResult], waiting: Sequence[Delivery]
    ) -> None:
        """Store what came of a round, if anything did."""
        delivered = [position for result in results for position in result.delivered if position in self._undelivered]
        undelivered = [each for result in results for each in result.undelivered] + [*waiting]
        changed = [each for each in undelivered if self._undelivered.get(each.position) != each]
        subscriber = self._subscriber_after(entries, results)
        notes = dict(chain.from_iterable(result.notes.items() for result in results))
        notes |= {**self._sender.pending_notes()}
        if subscriber == self.subscriber and not (delivered or changed or notes):
            return
        await self._store.settle(DeliveryResult(subscriber, delivered, changed, notes), self._owner)
        self.subscriber = subscriber
        for position in delivered:
            del self._undelivered[position]
        for each in changed:
            self._undelivered[each.position] = each
            if each.is_dead:
                del self._undelivered[each.position]

    def _subscriber_after(self, entries: Sequence[JournalEntry], results: Iterable[ChainResult]) -> Subscriber:
        """Return the subscriber after a round, with the last failure's reason; disabled if it takes no more."""
        failures = [result.failure for result in results if result.failure]
        is_sent = any(result.delivered for result in results)
        before = self.subscriber
        reason = failures[-1].reason if failures else "" if is_sent else before.reason
        state = DISABLED if any(each.stops for each in failures) else before.state
        return replace(
            before, position=entries[-1].position if entries else before.position, state=state, reason=reason
        )

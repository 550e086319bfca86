"""Runs the deliveries of all webhooks, each in the process that has its lease."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from random import random
from secrets import token_hex
from typing import TypeAlias

from msgspec import Struct

from gateway.core.subscribers import ACTIVE, Subscriber
from gateway.feed.delivery import Sender, SubscriberDelivery
from gateway.feed.observer import UNOBSERVED, DeliveryObserver
from gateway.feed.secret_box import UnusableSecret, secret_of
from gateway.feed.watch import JournalWatch
from gateway.service.failures import log_unexpected
from gateway.stores.errors import Missing, Unavailable
from gateway.stores.protocol import Store

log = logging.getLogger("gateway")

POLL_SECONDS = 1.0
"""Time between two looks for subscribers that no process delivers to."""

LEASE_SECONDS, RENEW_SECONDS = 10.0, 2.0
"""How long a lease lasts, so that another process continues after a kill, and the time after which it is extended."""

IDLE_SECONDS = 1.0
"""The longest wait for a new entry."""

BUSY_PAUSE_SECONDS = 0.0025
"""The time between two messages of a busy process, so that they use some hundredths of a processor."""

STOP_SECONDS = 5.0
"""Time for the messages on their way when the process stops."""

Key: TypeAlias = tuple[int, str]
"""The database and the id of a subscriber."""


class SenderContext(Struct, frozen=True):
    """What a sender is made from. `wait_for_clients` returns when a message can be sent; `now` is in milliseconds."""

    store: Store
    subscriber: Subscriber
    secret: str
    wait_for_clients: Callable[[], Awaitable[None]]
    now: Callable[[], int]


OpenSender: TypeAlias = "Callable[[SenderContext], AbstractAsyncContextManager[Sender]]"


class SubscriberRunner:
    """Delivers in the context of `running`.

    `key` is that of `GATEWAY_SECRET_FILE`, None without one. `kinds` has the senders by kind of subscriber.
    While `is_busy` returns true, requests of clients come first. `now` returns milliseconds since 1970.
    """

    def __init__(
        self,
        store: Store,
        watch: JournalWatch,
        key: bytes | None,
        kinds: Mapping[str, OpenSender],
        is_busy: Callable[[], bool],
        now: Callable[[], int],
        observer: DeliveryObserver = UNOBSERVED,
    ) -> None:
        self._store = store
        self._observer = observer
        self._watch = watch
        self._key = key
        self._kinds = kinds
        self._is_busy = is_busy
        self._turn = asyncio.Lock()
        self._now = now
        self._owner = token_hex(8)
        self._tasks: dict[Key, asyncio.Task[None]] = {}
        self._unreadable: set[Key] = set()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Deliver in the background. At the end stop the watch, and wait for the messages on their way."""
        task = asyncio.create_task(self._start_regularly())
        yield
        self._watch.stop()
        task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks.values(), timeout=STOP_SECONDS)
        for each in self._tasks.values():
            each.cancel()

    async def _start_regularly(self) -> None:
        while True:
            with suppress(Unavailable):  # the requests of clients report an outage
                for each in await self._store.subscribers():
                    self._start(each)
            await asyncio.sleep(POLL_SECONDS)

    def _start(self, subscriber: Subscriber) -> None:
        key = subscriber.database, subscriber.id
        is_ready = subscriber.kind in self._kinds and subscriber.state == ACTIVE
        if is_ready and key not in self._tasks and key not in self._unreadable:
            self._tasks[key] = task = asyncio.create_task(self._serve(subscriber))
            task.add_done_callback(lambda _: self._tasks.pop(key, None))

    async def _serve(self, subscriber: Subscriber) -> None:
        """Deliver for as long as the lease can be had and extended."""
        try:
            if leased := await self._lease(subscriber, LEASE_SECONDS):
                async with self._delivery(leased) as delivery:
                    await self._deliver(delivery)
        except (Missing, Unavailable):
            log.warning("%s %s is continued later, maybe by another process", subscriber.kind, subscriber.id)
        except UnusableSecret as reason:
            self._unreadable.add((subscriber.database, subscriber.id))
            log.error(
                "%s %s is not delivered until the gateway starts again: %s", subscriber.kind, subscriber.id, reason
            )
        except Exception as error:
            log_unexpected(error, subscriber.id)

    async def _deliver(self, delivery: SubscriberDelivery) -> None:
        rounds = asyncio.create_task(self._run_rounds(delivery))
        renewal = asyncio.create_task(self._renew(delivery))
        try:
            await asyncio.wait((rounds, renewal), return_when=asyncio.FIRST_COMPLETED)
            for task in (rounds, renewal):
                if task.done():
                    task.result()
        finally:
            for task in (rounds, renewal):
                task.cancel()
            await asyncio.gather(rounds, renewal, return_exceptions=True)
        await self._lease(delivery.subscriber, 0)

    async def _run_rounds(self, delivery: SubscriberDelivery) -> None:
        while not self._watch.is_stopping:
            if not await delivery.run_round():
                await self._wait(delivery)
            if delivery.subscriber.state != ACTIVE:
                disabled = delivery.subscriber
                log.warning("%s %s is disabled: %s", disabled.kind, disabled.id, disabled.reason)
                return

    async def _wait(self, delivery: SubscriberDelivery) -> None:
        """Wait until a delivery is due, or for a new entry, where it could be sent."""
        seconds = max(0.0, min(IDLE_SECONDS, (delivery.next_due() - self._now()) / 1000))
        subscriber = delivery.subscriber
        if delivery.is_blocked:
            await asyncio.sleep(seconds)
        else:
            await self._watch.wait(subscriber.database, subscriber.position, seconds)

    async def _renew(self, delivery: SubscriberDelivery) -> None:
        """Extend the lease again and again. Return once it is lost, or the subscriber was removed."""
        while True:
            await asyncio.sleep(RENEW_SECONDS)
            found = await self._lease(delivery.subscriber, LEASE_SECONDS)
            if found is None:
                return
            if found.revision != delivery.subscriber.revision:
                delivery.reload(found.revision)

    async def _lease(self, subscriber: Subscriber, seconds: float) -> Subscriber | None:
        now = self._now()
        until = now + int(seconds * 1000)
        return await self._store.lease_subscriber(subscriber.database, subscriber.id, self._owner, now, until)

    @asynccontextmanager
    async def _delivery(self, subscriber: Subscriber) -> AsyncIterator[SubscriberDelivery]:
        """Open the sender of a subscriber. Raises `UnusableSecret`."""
        context = SenderContext(
            self._store, subscriber, secret_of(subscriber, self._key), self._wait_for_clients, self._now
        )
        async with self._kinds[subscriber.kind](context) as sender:
            yield SubscriberDelivery(self._store, subscriber, self._owner, sender, self._now, random, self._observer)

    async def _wait_for_clients(self) -> None:
        """Wait a little before a message of a busy process: a message costs more than the update that it is about."""
        async with self._turn:
            if self._is_busy():
                await asyncio.sleep(BUSY_PAUSE_SECONDS)

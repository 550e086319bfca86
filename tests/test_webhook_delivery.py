"""What a webhook gets, whatever its endpoint does: with an endpoint of functions, and a clock that tests advance."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.core.journal import creation
from gateway.core.model import Change, EditResult, MemberChange, Origin, Profile, Write
from gateway.core.subscribers import ACTIVE, DISABLED, Delivery, DeliveryResult, Subscriber
from gateway.feed import delivery as deliveries
from gateway.feed.answers import Answer
from gateway.feed.delivery import NO_LONGER_KEPT, SubscriberDelivery
from gateway.feed.events import Event
from gateway.feed.observer import UNOBSERVED, DeliveryObserver
from gateway.feed.retention import needed_positions
from gateway.feed.retries import MAX_AGE, after_failure, parse_retry_after
from gateway.feed.webhooks.sender import SCHEDULE, WebhookSender
from gateway.stores.errors import Missing
from gateway.stores.protocol import Store
from tests.test_app import seeded_store

SECOND, START, YEAR = 1_000, 1_767_225_600_000, 365 * 24 * 3_600_000
SETTINGS = {"url": "http://example.com", "types": [], "members": [], "values": False}


# --- when ---


def test_pauses_double_up_to_a_maximum_for_three_days() -> None:
    delivery, now, pauses = Delivery(1, "p"), START, list[int]()
    while not delivery.is_dead:
        delivery = after_failure(delivery, SCHEDULE, now, "HTTP 500", 0, 0.5)
        pauses.append(delivery.due - now)
        now = max(now, delivery.due)
    assert pauses[:4] == [
        SCHEDULE.first_pause,
        2 * SCHEDULE.first_pause,
        4 * SCHEDULE.first_pause,
        8 * SCHEDULE.first_pause,
    ]
    assert max(pauses) == SCHEDULE.max_pause
    assert now - START == MAX_AGE
    assert delivery.since == START


@given(random=st.floats(0, 1))
def test_the_first_retry_comes_after_about_five_seconds(random: float) -> None:
    assert 4 * SECOND <= after_failure(Delivery(1, "p"), SCHEDULE, START, "", 0, random).due - START <= 6 * SECOND


def test_retry_after_prolongs_a_pause_but_not_beyond_the_last_attempt() -> None:
    assert after_failure(Delivery(1, "p"), SCHEDULE, START, "", 60 * SECOND, 0).due == START + 60 * SECOND
    assert after_failure(Delivery(1, "p"), SCHEDULE, START, "", 1, 0.5).due == START + SCHEDULE.first_pause
    assert after_failure(Delivery(1, "p"), SCHEDULE, START, "", YEAR, 0).due == START + MAX_AGE


@pytest.mark.parametrize(
    ("text", "pause"),
    [
        (None, 0),
        ("0", 0),
        ("120", 120 * SECOND),
        ("999999999999999999999", MAX_AGE),
        ("-1", 0),
        ("1.5", 0),
        ("soon", 0),
        ("٣", 0),
        ("Thu, 01 Jan 2026 00:01:00 GMT", 60 * SECOND),
        ("Thu, 01 Jan 2025 00:01:00 GMT", 0),
        ("Thu, 01 Jan 2099 00:01:00 GMT", MAX_AGE),
        ("Thu, 99 Jan 2026 00:01:00 GMT", 0),
    ],
)
def test_retry_after_is_seconds_or_a_date(text: str | None, pause: int) -> None:
    assert parse_retry_after(text, START) == pause


# --- what ---


class Endpoint:
    """An endpoint of functions. `answers` decides on each event; it accepts where there is none."""

    def __init__(self) -> None:
        self.accepted: list[Event] = []
        self.attempts = 0
        self.answers: Callable[[Event], Answer] = lambda _event: Answer(200, "HTTP 200")

    async def send(self, event: Event) -> Answer:
        self.attempts += 1
        await asyncio.sleep(0)
        answer = self.answers(event)
        if answer.is_success:
            self.accepted.append(event)
        return answer

    def versions(self) -> dict[str, list[int]]:
        """Return the accepted versions by profile, in order."""
        found: dict[str, list[int]] = defaultdict(list)
        for event in self.accepted:
            found[event["subject"]].append(event["data"]["version"])
        return dict(found)


class World:
    """A store with one webhook, its endpoint and a clock."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.endpoint = Endpoint()
        self.observer = UNOBSERVED
        self.now = START
        self.versions: dict[str, int] = defaultdict(int)

    async def add(self, **settings: Any) -> Subscriber:
        position = (await self.store.journal_range(1)).newest
        subscriber = Subscriber(1, "wh", "webhook", START, {**SETTINGS, **settings}, "", position)
        await self.store.add_subscriber(subscriber)
        return subscriber

    async def deliver(self, owner: str = "one") -> SubscriberDelivery:
        """Start to deliver in a process of this name, which gets the lease."""
        leased = await self.store.lease_subscriber(1, "wh", owner, self.now, self.now + 10 * SECOND)
        assert leased
        sender = WebhookSender(self.store.id, leased, self.endpoint.send)
        return SubscriberDelivery(self.store, leased, owner, sender, lambda: self.now, lambda: 0.5, self.observer)

    async def write(self, *profiles: str, time: int | None = None) -> None:
        """Write each of the profiles once more."""
        for id in profiles:
            version = self.versions[id] = self.versions[id] + 1
            before = Profile(id, {"n": version - 1}, version - 1, 0, 0) if version > 1 else None
            after = Profile(id, {"n": version}, version, 0, 0)
            members = (MemberChange("/n", version - 1, version),) if before else creation(after.document)
            write = Write(before, after, members=members, kind="update" if before else "create")
            result = EditResult(after, (write,))
            origin = Origin("t", "d", self.now if time is None else time)
            await self.store.change([Change(1, (), lambda _find, result=result: result, origin)])  # type: ignore[misc]

    async def run(self, delivery: SubscriberDelivery) -> None:
        """Run rounds until there is nothing to do now."""
        while await delivery.run_round():
            pass

    async def subscriber(self) -> Subscriber:
        [found] = await self.store.subscribers()
        return found

    async def dead(self) -> list[Delivery]:
        return await self.store.deliveries(1, "wh", True, 0, 100)


def lived(work: Callable[[World], Coroutine[Any, Any, None]]) -> None:
    async def run() -> None:
        await work(World(await seeded_store()))

    asyncio.run(run())


FAILURE = Answer(500, "HTTP 500")


def test_a_failing_event_is_given_up_after_three_days_and_the_next_one_follows() -> None:
    async def work(world: World) -> None:
        await world.add()
        await world.write("a", "a")
        delivery = await world.deliver()
        first_version_fails = lambda event: FAILURE if event["data"]["version"] == 1 else Answer(200, "")  # noqa: E731
        world.endpoint.answers = first_version_fails
        while not await world.dead():
            await world.run(delivery)
            world.now = max(world.now, delivery.next_due())
        assert world.now - START >= MAX_AGE
        await world.run(delivery)
        assert world.endpoint.versions() == {"a": [2]}
        [dead] = await world.dead()
        assert (dead.profile, dead.reason, dead.attempts) == ("a", "HTTP 500", world.endpoint.attempts - 1)

        world.endpoint.answers = lambda _event: Answer(200, "")
        await world.store.resume_subscriber(1, "wh", [dead.position])
        delivery.reload((await world.subscriber()).revision)
        await world.run(delivery)
        assert world.endpoint.versions() == {"a": [2, 1]}
        assert await world.dead() == []

    lived(work)


def test_what_follows_a_failed_event_of_a_profile_waits_behind_it() -> None:
    async def work(world: World) -> None:
        await world.add()
        await world.write("a")
        delivery = await world.deliver()
        world.endpoint.answers = lambda _event: FAILURE
        await world.run(delivery)
        world.endpoint.answers = lambda _event: Answer(200, "")
        await world.write("a", "b")
        await world.run(delivery)
        assert world.endpoint.versions() == {"b": [1]}
        world.now = delivery.next_due()
        await world.run(delivery)
        assert world.endpoint.versions() == {"b": [1], "a": [1, 2]}

    lived(work)


def test_the_observer_gets_the_outcomes_and_the_lag() -> None:
    observed: list[Any] = []

    class Observer(DeliveryObserver):
        def sent(self, kind: str, outcome: str, count: int) -> None:
            observed.extend([(kind, outcome)] * count)

        def lagged(self, subscriber: Subscriber, seconds: float) -> None:
            observed.append((subscriber.id, seconds))

    async def work(world: World) -> None:
        await world.add()
        await world.write("a", "b", time=world.now)
        world.observer = Observer()
        delivery = await world.deliver()
        world.endpoint.answers = lambda event: FAILURE if event["subject"] == "a" else Answer(200, "")
        world.now += 3 * SECOND
        await world.run(delivery)
        world.endpoint.answers = lambda _event: Answer(200, "")
        world.now = delivery.next_due()
        await world.run(delivery)
        await world.run(delivery)

    lived(work)
    sent = [each for each in observed if each[0] == "webhook"]
    assert sent == [("webhook", "failed"), ("webhook", "delivered"), ("webhook", "delivered")]
    lags = [seconds for name, seconds in observed if name == "wh"]
    assert (lags[0], lags[-1]) == (3.0, 0.0)


def test_an_event_is_sent_again_after_its_entry_was_pruned() -> None:
    async def work(world: World) -> None:
        await world.add()
        await world.write("a", "b", time=1)
        delivery = await world.deliver()
        world.endpoint.answers = lambda _event: FAILURE
        await world.run(delivery)
        world.now += MAX_AGE
        world.endpoint.answers = lambda event: FAILURE if event["subject"] == "a" else Answer(200, "")
        await world.run(delivery)
        [dead] = await world.dead()
        assert await world.store.prune(START, 10) == 2
        world.endpoint.answers = lambda _event: Answer(200, "")
        await world.store.resume_subscriber(1, "wh", [dead.position])
        delivery.reload(1)
        await world.run(delivery)
        assert await world.dead() == []
        assert world.endpoint.versions() == {"a": [1], "b": [1]}

    lived(work)


def test_an_event_that_is_no_longer_kept_is_given_up() -> None:
    async def work(world: World) -> None:
        position = (await world.add()).position + 1
        delivery = await world.deliver()
        await world.store.settle(DeliveryResult(delivery.subscriber, (), [Delivery(position, "a")]), "one")
        await world.run(delivery)
        assert [each.reason for each in await world.dead()] == [NO_LONGER_KEPT]

    lived(work)


def test_a_reader_behind_what_is_kept_continues_with_what_is() -> None:
    async def work(world: World) -> None:
        await world.add()
        await world.write("a", "a", time=1)
        await world.store.prune(2, 10)
        await world.write("a")
        delivery = await world.deliver()
        await world.run(delivery)
        assert world.endpoint.versions() == {"a": [3]}

    lived(work)


def test_so_many_failures_are_put_aside_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deliveries, "MAX_UNDELIVERED", 5)
    monkeypatch.setattr(deliveries, "READ_ENTRIES", 3)

    async def work(world: World) -> None:
        await world.add()
        await world.write(*(f"p{number}" for number in range(20)))
        delivery = await world.deliver()
        world.endpoint.answers = lambda _event: FAILURE
        await world.run(delivery)
        assert delivery.is_blocked
        assert world.endpoint.attempts == 6
        world.endpoint.answers = lambda _event: Answer(200, "")
        world.now = delivery.next_due()
        await world.run(delivery)
        assert len(world.endpoint.versions()) == 20

    lived(work)


@pytest.mark.parametrize("status", [429, 503])
def test_an_endpoint_that_asks_for_a_pause_gets_nothing_meanwhile(status: int) -> None:
    async def work(world: World) -> None:
        await world.add()
        await world.write("a")
        delivery = await world.deliver()
        world.endpoint.answers = lambda _event: Answer(status, "", "60")
        await world.run(delivery)
        world.endpoint.answers = lambda _event: Answer(200, "")
        await world.write("b")
        world.now += 59 * SECOND
        await world.run(delivery)
        assert (world.endpoint.accepted, delivery.is_blocked) == ([], True)
        world.now += SECOND
        await world.run(delivery)
        assert world.endpoint.versions() == {"a": [1], "b": [1]}

    lived(work)


def test_a_process_without_the_lease_stores_nothing() -> None:
    async def work(world: World) -> None:
        await world.add()
        first = await world.deliver("one")
        assert await world.store.lease_subscriber(1, "wh", "two", world.now, world.now + 1) is None
        world.now += 10 * SECOND
        second = await world.deliver("two")
        await world.write("a")
        with pytest.raises(Missing):
            await world.run(first)
        assert (await world.subscriber()).position == first.subscriber.position
        await world.run(second)
        assert (await world.subscriber()).position == second.subscriber.position > first.subscriber.position

    lived(work)


def test_a_removed_webhook_ends() -> None:
    async def work(world: World) -> None:
        await world.add()
        delivery = await world.deliver()
        await world.write("a")
        await world.store.remove_subscriber(1, "wh")
        with pytest.raises(Missing):
            await world.run(delivery)

    lived(work)


def test_status_410_disables_and_nothing_is_lost() -> None:
    async def work(world: World) -> None:
        await world.add()
        await world.write("a", "b", "a")
        delivery = await world.deliver()
        world.endpoint.answers = lambda _event: Answer(410, "HTTP 410")
        await delivery.run_round()
        found = await world.subscriber()
        assert (found.state, found.reason) == (DISABLED, "HTTP 410")
        assert await world.store.lease_subscriber(1, "wh", "one", world.now, world.now + 1) is None
        await world.store.resume_subscriber(1, "wh", None)
        assert (await world.subscriber()).state == ACTIVE
        world.endpoint.answers = lambda _event: Answer(200, "")
        world.now += MAX_AGE
        await world.run(await world.deliver())
        assert world.endpoint.versions() == {"a": [1, 2], "b": [1]}

    lived(work)


# --- what is kept for them ---


def test_entries_are_kept_for_active_webhooks(caplog: pytest.LogCaptureFixture) -> None:
    async def work(world: World) -> None:
        subscriber = await world.add()
        await world.write("a", "b", time=1)
        assert await needed_positions(world.store, 1) == {1: subscriber.position + 1}
        assert caplog.messages == []
        await needed_positions(world.store, 2)
        assert "webhook wh lags behind" in caplog.text
        delivery = await world.deliver()
        world.endpoint.answers = lambda event: FAILURE if event["subject"] == "b" else Answer(200, "")
        await world.run(delivery)
        held = await needed_positions(world.store, 1)
        assert held == {1: delivery.subscriber.position}
        await world.store.prune(START, 10, held)
        assert [each.profile for each in await world.store.journal(1, 0, 10)] == ["b"]
        world.endpoint.answers = lambda _event: Answer(410, "")
        world.now = delivery.next_due()
        await delivery.run_round()
        assert await needed_positions(world.store, 1) == {}

    lived(work)


# --- laws ---


@settings(max_examples=100)
@given(data=st.data())
def test_whatever_fails_each_profile_gets_all_its_events_in_order(data: st.DataObject) -> None:
    """Writes, failures, restarts and the clock in any order: at the end each event was accepted, and none too early.

    An event may be accepted again after a restart, so the order is that of the first acceptances.
    """

    async def work(world: World) -> None:
        await world.add()
        delivery = await world.deliver()

        def answers(_event: Event) -> Answer:
            return data.draw(
                st.sampled_from([Answer(200, ""), Answer(200, ""), FAILURE, Answer(None, "no connection")])
            )

        for step in data.draw(st.lists(st.sampled_from(["write", "round", "restart", "later"]), max_size=12)):
            world.endpoint.answers = answers
            if step == "write":
                await world.write(*data.draw(st.lists(st.sampled_from("abc"), min_size=1, max_size=4)))
            elif step == "round":
                await delivery.run_round()
            elif step == "restart":
                delivery = await world.deliver()
            else:
                world.now += data.draw(st.integers(0, 20)) * SECOND
        world.endpoint.answers = lambda _event: Answer(200, "")
        for _ in range(3):
            world.now += 3_600 * SECOND
            await world.run(delivery)
        expected = {profile: list(range(1, last + 1)) for profile, last in world.versions.items()}
        assert {profile: [*dict.fromkeys(found)] for profile, found in world.endpoint.versions().items()} == expected

    lived(work)

"""The contract of every store, for subscribers and their deliveries. Each test runs on every engine."""

import pytest
from msgspec.structs import replace

from gateway.core.subscribers import ACTIVE, DISABLED, Delivery, DeliveryResult, Subscriber
from gateway.stores.errors import Duplicate, Missing
from gateway.stores.protocol import Store
from tests.stores import change, create, journal_entries
from tests.test_stores import store  # noqa: F401  # a fixture

pytestmark = pytest.mark.anyio

FAR = 2**100
"""A position that has more than 64 bits."""

WEBHOOK = Subscriber(1, "wh_1", "webhook", 5, {"url": "https://example.com", "types": ["a"]}, "secret", 7)


async def lease(store: Store, owner: str, now: int = 0, until: int = 100) -> Subscriber | None:  # noqa: F811
    return await store.lease_subscriber(1, "wh_1", owner, now, until)


async def settle(store: Store, owner: str, *undelivered: Delivery, delivered: tuple[int, ...] = ()) -> None:  # noqa: F811
    await store.settle(DeliveryResult(replace(WEBHOOK, position=FAR), delivered, undelivered), owner)


async def test_subscribers_are_returned_as_they_were_added(store: Store) -> None:  # noqa: F811
    later, far = replace(WEBHOOK, id="wh_0", created=6), replace(WEBHOOK, id="wh_2", created=4, position=FAR)
    for each in (WEBHOOK, later, far):
        await store.add_subscriber(each)
    assert await store.subscribers() == [far, WEBHOOK, later]
    with pytest.raises(Duplicate):
        await store.add_subscriber(WEBHOOK)
    with pytest.raises(Missing):
        await store.add_subscriber(replace(WEBHOOK, database=99))


async def test_a_subscriber_is_removed_with_its_deliveries(store: Store) -> None:  # noqa: F811
    await store.add_subscriber(WEBHOOK)
    assert await lease(store, "one")
    await settle(store, "one", Delivery(3, "p"))
    await store.remove_subscriber(1, "wh_1")
    assert await store.subscribers() == []
    with pytest.raises(Missing):
        await store.remove_subscriber(1, "wh_1")
    await store.add_subscriber(WEBHOOK)
    assert await store.deliveries(1, "wh_1", False, 0, 10) == []


async def test_one_owner_has_the_lease_until_it_ends(store: Store) -> None:  # noqa: F811
    await store.add_subscriber(WEBHOOK)
    assert await lease(store, "one", now=0, until=100) == WEBHOOK
    assert await lease(store, "two", now=99) is None
    assert await lease(store, "one", now=99, until=200) == WEBHOOK
    assert await lease(store, "two", now=199) is None
    assert await lease(store, "two", now=200, until=300) == WEBHOOK
    assert await lease(store, "one", now=250) is None
    assert await lease(store, "two", now=250, until=250) == WEBHOOK  # gives it back
    assert await lease(store, "one", now=250) == WEBHOOK
    assert await store.lease_subscriber(1, "other", "one", 0, 1) is None


async def test_a_delivery_result_needs_the_lease_and_is_whole(store: Store) -> None:  # noqa: F811
    await store.add_subscriber(WEBHOOK)
    with pytest.raises(Missing):
        await settle(store, "one", Delivery(3, "p"))
    assert await store.deliveries(1, "wh_1", False, 0, 10) == []
    assert await lease(store, "one")
    first, second = Delivery(3, "p", 2, 10, 20, "HTTP 500"), Delivery(FAR + 1, "q")
    dead = Delivery(4, "r", 9, 10, 20, "no connection", True)
    await settle(store, "one", second, dead, first)
    assert await store.subscribers() == [replace(WEBHOOK, position=FAR)]
    assert await store.deliveries(1, "wh_1", False, 0, 10) == [first, second]
    assert await store.deliveries(1, "wh_1", False, 3, 10) == [second]
    assert await store.deliveries(1, "wh_1", False, 0, 1) == [first]
    assert await store.deliveries(1, "wh_1", True, 0, 10) == [dead]
    again = replace(first, attempts=3, due=30, reason="")
    await settle(store, "one", again, delivered=(second.position,))
    assert await store.deliveries(1, "wh_1", False, 0, 10) == [again]


async def test_a_disabled_subscriber_has_no_lease_until_it_is_resumed(store: Store) -> None:  # noqa: F811
    await store.add_subscriber(WEBHOOK)
    assert await lease(store, "one")
    disabled = replace(WEBHOOK, state=DISABLED, reason="HTTP 410")
    await store.settle(DeliveryResult(disabled), "one")
    assert await store.subscribers() == [disabled]
    assert await lease(store, "one", now=500) is None
    await store.resume_subscriber(1, "wh_1", None)
    assert await lease(store, "one", now=500) == replace(WEBHOOK, state=ACTIVE, revision=1)
    with pytest.raises(Missing):
        await store.resume_subscriber(1, "other", None)


async def test_dead_deliveries_are_resumed_all_or_some(store: Store) -> None:  # noqa: F811
    await store.add_subscriber(WEBHOOK)
    assert await lease(store, "one")
    dead = [Delivery(number, "p", 9, 10, 20, "HTTP 500", True) for number in range(1, 5)]
    await settle(store, "one", *dead)
    await store.resume_subscriber(1, "wh_1", [2, FAR])
    assert await store.deliveries(1, "wh_1", False, 0, 10) == [Delivery(2, "p", reason="HTTP 500")]
    await store.resume_subscriber(1, "wh_1", [])
    assert len(await store.deliveries(1, "wh_1", True, 0, 10)) == 3
    await store.resume_subscriber(1, "wh_1", None)
    assert len(await store.deliveries(1, "wh_1", False, 0, 10)) == 4
    assert (await store.subscribers())[0].revision == 3


async def test_the_oldest_dead_deliveries_beyond_a_number_are_forgotten(store: Store) -> None:  # noqa: F811
    other = replace(WEBHOOK, id="wh_2")
    dead = [Delivery(number, "p", 1, 20, 30, "", True) for number in (2, 4, FAR)]
    waiting = [Delivery(1, "p", 1, 10, 30), Delivery(3, "p")]
    for each, deliveries in ((WEBHOOK, [*dead, *waiting]), (other, dead[:2])):
        await store.add_subscriber(each)
        assert await store.lease_subscriber(1, each.id, "one", 0, 100)
        await store.settle(DeliveryResult(each, (), deliveries), "one")
    await store.forget_deliveries(2)
    assert await store.deliveries(1, "wh_1", True, 0, 10) == dead[1:]
    assert await store.deliveries(1, "wh_1", False, 0, 10) == waiting
    assert await store.deliveries(1, "wh_2", True, 0, 10) == dead[:2]


async def test_a_delivery_holds_its_entry_beyond_the_journal(store: Store) -> None:  # noqa: F811
    edits = [create(id, name="\x00 é") for id in "abcd"]
    await store.change([change(edit, time=time) for time, edit in enumerate(edits, 1)])
    entries = await journal_entries(store)
    await store.add_subscriber(WEBHOOK)
    assert await lease(store, "one")
    deliveries = [Delivery(each.position, each.profile, 1, 5, 5, "", each.profile == "a") for each in entries]
    await settle(store, "one", *deliveries[:2], deliveries[3])
    assert await store.prune(4, 10) == 3
    assert await journal_entries(store) == entries[3:]
    copied = [await store.entry_of_delivery(1, "wh_1", each.position) for each in entries]
    assert copied == [*entries[:2], None, None]
    await settle(store, "one", replace(deliveries[1], attempts=2, is_dead=True))
    await store.resume_subscriber(1, "wh_1", [entries[0].position])
    assert [await store.entry_of_delivery(1, "wh_1", each.position) for each in entries[:2]] == entries[:2]
    assert await store.entry_of_delivery(2, "wh_1", entries[0].position) is None
    assert await store.entry_of_delivery(1, "other", entries[0].position) is None
    await settle(store, "one", delivered=(entries[0].position,))
    await store.drop_deliveries(1, "wh_1", [entries[1].position])
    assert [await store.entry_of_delivery(1, "wh_1", each.position) for each in entries] == [None] * 4


async def test_dead_deliveries_are_dropped_at_their_positions(store: Store) -> None:  # noqa: F811
    await store.add_subscriber(WEBHOOK)
    assert await lease(store, "one")
    dead = [Delivery(number, "p", 9, 10, 20, "HTTP 500", True) for number in (1, 3, FAR)]
    await settle(store, "one", *dead, Delivery(2, "q"))
    await store.drop_deliveries(2, "wh_1", [1])
    await store.drop_deliveries(1, "other", [1])
    await store.drop_deliveries(1, "wh_1", [])
    assert await store.deliveries(1, "wh_1", True, 0, 10) == dead
    await store.drop_deliveries(1, "wh_1", [FAR, 2, 1, 7])
    assert await store.deliveries(1, "wh_1", True, 0, 10) == [dead[1]]
    assert await store.deliveries(1, "wh_1", False, 0, 10) == [Delivery(2, "q")]


async def test_notes_are_kept_for_a_subscriber_until_it_is_removed(store: Store) -> None:  # noqa: F811
    other = replace(WEBHOOK, id="wh_2")
    for each in (WEBHOOK, other):
        await store.add_subscriber(each)
        assert await store.lease_subscriber(1, each.id, "one", 0, 100)
    names = ["a", "b", "Ä", "absent"]
    await store.settle(DeliveryResult(WEBHOOK, notes={"a": "1", "b": "", "Ä": "ü\n"}), "one")
    await store.settle(DeliveryResult(other, notes={"a": "of another one"}), "one")
    assert await store.notes(1, "wh_1", names) == {"a": "1", "b": "", "Ä": "ü\n"}
    assert await store.notes(1, "wh_1", ["b", "b"]) == {"b": ""}
    await store.settle(DeliveryResult(WEBHOOK, notes={"a": "2", "b": None, "absent": None}), "one")
    assert await store.notes(1, "wh_1", names) == {"a": "2", "Ä": "ü\n"}
    with pytest.raises(Missing):
        await store.settle(DeliveryResult(WEBHOOK, notes={"a": "3"}), "two")
    await store.remove_subscriber(1, "wh_1")
    await store.add_subscriber(WEBHOOK)
    for database, id, found in ((1, "wh_1", {}), (1, "wh_2", {"a": "of another one"}), (2, "wh_2", {}), (1, "x", {})):
        assert await store.notes(database, id, names) == found


async def test_databases_have_subscribers_of_their_own(store: Store) -> None:  # noqa: F811
    await store.add_subscriber(WEBHOOK)
    other = replace(WEBHOOK, database=2)
    await store.add_subscriber(other)
    await store.remove_subscriber(1, "wh_1")
    assert await store.subscribers() == [other]


async def test_notes_are_found_by_name_and_by_value_and_go_with_their_subscriber(store: Store) -> None:  # noqa: F811
    other = replace(WEBHOOK, id="wh_2")
    for each in (WEBHOOK, other):
        await store.add_subscriber(each)
        assert await store.lease_subscriber(1, each.id, "one", 0, 100)
        await store.settle(DeliveryResult(each, notes={"p": "A", "q": "B", "r": "A"}), "one")
    await store.settle(DeliveryResult(WEBHOOK, notes={"q": None, "s": "C"}), "one")
    assert await store.notes(1, "wh_1", ["p", "q", "s", "t"]) == {"p": "A", "s": "C"}
    assert await store.noted(1, "wh_1", "A") == ["p", "r"]
    assert await store.noted(1, "wh_1", "B") == await store.noted(2, "wh_1", "A") == []
    await store.remove_subscriber(1, "wh_1")
    assert await store.noted(1, "wh_1", "A") == []
    assert await store.noted(1, "wh_2", "B") == ["q"]

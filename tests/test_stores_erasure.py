"""The contract of every store, for erasure: what is removed beside the profile. Each test runs on every engine."""

from collections.abc import Iterable
from functools import partial

import pytest
from msgspec.structs import replace

from gateway.core.journal import UNKNOWN_VALUES
from gateway.core.model import (
    Change,
    Document,
    EditResult,
    Erasure,
    Find,
    IdempotencyKey,
    Identity,
    JournalEntry,
    Ledger,
    Write,
)
from gateway.core.subscribers import Delivery, DeliveryResult, Subscriber
from gateway.core.tombstones import tombstone, tombstone_address
from gateway.stores.erasure import ENTRIES_PER_STEP
from gateway.stores.protocol import Store
from tests.stores import ANN, BOB, alter, change, content_of, create, increment, journal_entries, one
from tests.test_stores import store  # noqa: F401  # a fixture

pytestmark = pytest.mark.anyio

TIME = 7_000


def address_of(kind: str, value: str) -> str:
    return tombstone_address(lambda name: f"erased:{name[7:]}", kind, value)


def erasure(*ids: str) -> Erasure:
    return Erasure(frozenset(ids), frozenset({ANN}), address_of, TIME)


def erase(*ids: str) -> Change:
    def edit(find: Find) -> EditResult:
        found = find([("id", id) for id in ids])
        writes = (Write(each, None, lost=frozenset({ANN}), members=(UNKNOWN_VALUES,), kind="erase") for each in found)
        return EditResult(None, tuple(writes), erasure=erasure(*ids))

    return change(edit, *(("id", id) for id in ids))


def requested(request: str, given: Change, once: str | None = None) -> Change:
    """Return a change with a request id, and maybe an Idempotency-Key."""
    key = once and IdempotencyKey(once, "same", 10**9)
    return replace(given, origin=replace(given.origin, request=request), once=key or None)


def has_values(entries: Iterable[JournalEntry]) -> list[bool]:
    return [entry.members != (UNKNOWN_VALUES,) for entry in entries]


def named(number: int, _before: Document) -> Document:
    return {"name": f"n{number}"}


async def found_tombstones(store: Store, *values: Identity) -> list[str]:  # noqa: F811
    names = {address_of(*each): each for each in values}
    ledgers = await store.ledgers(1, list(names))
    assert all(each == tombstone(TIME) for each in ledgers.values())
    return [names[each][1] for each in sorted(ledgers)]


async def test_the_entries_of_the_person_have_no_values(store: Store) -> None:  # noqa: F811
    await store.change([requested("r-1", change(create("a", ANN, name="Ann"))), change(create("b", BOB, name="Bob"))])
    await store.change([requested("r-2", change(alter(ANN, lambda _: {"name": "Anne"})))])
    await store.change([erase("a")])
    own = await store.journal(1, 0, 10, "a")
    assert [entry.kind for entry in own] == ["create", "update", "erase"]
    assert has_values(own) == [False] * 3
    assert [entry.origin.request for entry in own] == [""] * 3
    assert has_values(await store.journal(1, 0, 10, "b")) == [True]
    assert await found_tombstones(store, ("request", "r-1"), ("request", "r-2"), ("request", "")) == ["r-1", "r-2"]


async def test_the_keys_of_the_person_become_tombstones(store: Store) -> None:  # noqa: F811
    await store.change([requested("", change(create("a", ANN)), "k-1"), requested("", change(create("b", BOB)), "k-2")])
    await store.change([erase("a")])
    assert await found_tombstones(store, ("key", "k-1"), ("key", "k-2")) == ["k-1"]
    async with store.snapshot() as snapshot:
        assert [each.once.key async for each in snapshot.answers(1)] == ["k-2"]


async def test_a_delivery_holds_no_entry_of_the_person(store: Store) -> None:  # noqa: F811
    def merge(find: Find) -> EditResult:
        found = find([("id", "a"), ("id", "b")])
        return EditResult(None, tuple(Write(each, replace(each, version=2), kind="merge", merge="m") for each in found))

    identities = {"a": ("email", "a"), "b": BOB, "c": ANN}
    await store.change([change(create(id, each, name="Ann"), time=1) for id, each in identities.items()])
    positions = {each.profile: each.position for each in await journal_entries(store)}
    await store.change([change(merge, ("id", "a"), ("id", "b"), time=9)])
    subscriber = Subscriber(1, "s", "webhook", 1, {}, "", 0)
    await store.add_subscriber(subscriber)
    await store.lease_subscriber(1, "s", "owner", 0, 100)
    deliveries = [Delivery(position, id, 1, 1, 1, "", True) for id, position in positions.items()]
    await store.settle(DeliveryResult(subscriber, (), deliveries), "owner")
    assert await store.prune(5, 10) == 3
    await store.change([erase("b")])
    assert [each.profile for each in await store.deliveries(1, "s", True, 0, 10)] == ["a", "c"]
    copied = [await store.entry_of_delivery(1, "s", position) for position in positions.values()]
    assert [each is not None for each in copied] == [False, False, True]


async def test_what_was_merged_with_the_person_has_no_values_either(store: Store) -> None:  # noqa: F811
    await store.change([change(create("a", ANN, name="Ann")), change(create("b", BOB, name="Bob"))])
    await store.change([change(create("c", ("email", "c"), name="Cy"))])

    def merge(find: Find) -> EditResult:
        source, destination = find([("id", "a")])[0], find([("id", "b")])[0]
        after = replace(destination, version=2)
        return EditResult(
            None, (Write(source, None, kind="merge", merge="m"), Write(destination, after, kind="merge", merge="m"))
        )

    await store.change([change(merge, ("id", "a"), ("id", "b"))])
    await store.change([erase("b")])
    assert has_values(await store.journal(1, 0, 10, "a")) == [False, False]
    assert has_values(await store.journal(1, 0, 10, "c")) == [True]


async def test_deliveries_of_the_person_are_removed(store: Store) -> None:  # noqa: F811
    await store.add_subscriber(Subscriber(1, "s", "webhook", 5, {}, "secret", 0))
    await store.change([change(create("a", ANN)), change(create("b", BOB))])
    found = await store.lease_subscriber(1, "s", "me", 0, 100)
    assert found
    await store.settle(
        DeliveryResult(found, (), (Delivery(1, "a"), Delivery(2, "b"), Delivery(3, "a", is_dead=True))), "me"
    )
    await store.change([erase("a")])
    kept = [each for is_dead in (False, True) for each in await store.deliveries(1, "s", is_dead, 0, 10)]
    assert [each.profile for each in kept] == ["b"]


async def test_a_long_journal_is_erased_in_steps(store: Store) -> None:  # noqa: F811
    count = 2 * ENTRIES_PER_STEP + 5
    await store.change([change(create("a", ANN))])
    await store.change([change(alter(ANN, partial(named, number)), ANN) for number in range(count - 1)])
    steps, place = 0, (0, "")
    while after := await store.erase(1, erasure("a"), place):
        steps, place = steps + 1, after
    assert steps <= 2
    assert has_values(await store.journal(1, 0, 2 * count, "a")) == [False] * count
    assert await store.find(1, [ANN])


async def test_an_edit_finds_whether_there_are_tombstones(store: Store) -> None:  # noqa: F811
    found: list[bool] = []

    def look(find: Find) -> EditResult:
        found.append(find.has_tombstones)
        return EditResult(None)

    await store.change([change(lambda _: EditResult(None, ledgers={"email:x": Ledger(1), "f:x": Ledger(1)}))])
    await store.change([change(look, ANN)])
    await store.change([change(lambda _: EditResult(None, ledgers={address_of(*ANN): tombstone(TIME)}))])
    await store.change([change(look, ANN)])
    assert found == [False, True]


async def test_values_are_found_where_they_are_stored(store: Store) -> None:  # noqa: F811
    await store.change([change(create("a", ANN, name="Anneliese")), change(create("b", BOB, name="Bob"))])
    assert await store.occurrences(["Anneliese"])
    assert await store.occurrences(["Nobody at all", ANN[1]])
    for texts in ([], ["Nobody at all"], ["anneliese"]):
        assert await store.occurrences(texts) == {}


async def test_a_compact_store_has_only_what_it_had(store: Store) -> None:  # noqa: F811
    await store.change([change(create("a", ANN, name="Anneliese")), change(create("b", BOB, name="Bob"))])
    await store.change([erase("a")])
    before = await content_of(store, [ANN, BOB])
    await store.compact()
    assert await content_of(store, [ANN, BOB]) == before
    assert await store.occurrences(["Anneliese"]) == {}
    await store.change([change(increment(BOB), BOB)])
    assert (await one(store, BOB)).document == {"name": "Bob", "n": 1}

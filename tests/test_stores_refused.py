"""The contract of every store, for refused requests. Each test runs on every engine."""

import asyncio
from functools import partial

import pytest
from msgspec.structs import replace

from gateway.core.faults import Fault
from gateway.core.model import Change, EditResult, Erasure, Find, Identity
from gateway.core.refused_requests import (
    RefusedCandidate,
    RefusedFilter,
    RefusedRequest,
    erasure_marks,
    keys_of_texts,
)
from gateway.core.tombstones import tombstone, tombstone_address
from gateway.service.pseudonyms import pseudonym_of
from gateway.stores.protocol import Store
from gateway.stores.refused import row_of_request
from tests.stores import ANN, BOB, change
from tests.test_stores import store  # noqa: F401  # a fixture

pytestmark = pytest.mark.anyio

ALL = RefusedFilter()
MANY = 2**40
pseudonym = pseudonym_of(b"k" * 32)

PUSH: Identity = ("push_sub@5", "4:fcm:the-token")


def request(id: str, *texts: str, time: int = 1_000, database: int = 1) -> RefusedRequest:
    return RefusedRequest(
        database,
        id,
        time,
        f"request-{id}",
        "token",
        "altcraft",
        "POST /api/v1.1/profiles/update",
        "/api/v1.1/profiles/update?a=b",
        {"name": "value"},
        {"content-type": "application/json"},
        f'{{"id": "{id}", "é": "\u2028"}}'.encode(),
        (Fault("invalid_field", "a reason", "/data/email", "profile"), Fault("unknown_field")),
        keys_of_texts(texts, pseudonym),
    )


def candidate(given: RefusedRequest, *texts: str) -> RefusedCandidate:
    return RefusedCandidate(given, erasure_marks(texts, ["custom/card"], pseudonym))


async def keep(store: Store, *requests: RefusedRequest, max_bytes: int = MANY) -> None:  # noqa: F811
    await store.keep_refused(1, [RefusedCandidate(each) for each in requests], max_bytes)


async def ids(store: Store, filter: RefusedFilter = ALL, database: int = 1) -> list[str]:  # noqa: F811
    return [each.id for each in await store.refused(database, filter, None, 1_000)]


def erasure_of(*identities: Identity, time: int = 5_000, has_key: bool = True) -> Change:
    address_of = partial(tombstone_address, pseudonym) if has_key else None

    def edit(_find: Find) -> EditResult:
        marks = {address_of(*each): tombstone(time) for each in identities} if address_of else {}
        erasure = Erasure(frozenset({"gone"}), frozenset(identities), address_of, time)
        return EditResult(None, ledgers=marks, erasure=erasure)

    return change(edit)


async def test_requests_are_returned_as_they_were_kept(store: Store) -> None:  # noqa: F811
    first, second = request("a", "ann@example.com"), replace(request("b"), body=b"\xff\x00<", keys=None, replayed=7)
    await keep(store, first)
    await keep(store, second)
    newest, oldest = await store.refused(1, ALL, None, 10)
    assert replace(oldest, position=0) == replace(first, keys=frozenset())
    assert replace(newest, position=0) == second
    assert newest.position > oldest.position
    assert await store.refused_request(1, "a") == oldest
    assert await store.refused(1, ALL, newest.position, 10) == [oldest]
    assert await store.refused(1, ALL, None, 1) == [newest]


async def test_a_request_is_kept_once_and_in_its_database(store: Store) -> None:  # noqa: F811
    await keep(store, request("a"))
    await keep(store, request("a"), request("b"))
    assert await ids(store) == ["b", "a"]
    assert await ids(store, database=2) == []
    assert await store.refused_request(2, "a") is None
    assert await store.refused_request(1, "c") is None


@pytest.mark.parametrize(
    ("filter", "expected"),
    [
        (RefusedFilter(dialect="courier"), ["c"]),
        (RefusedFilter(fault="too_deep"), ["b"]),
        (RefusedFilter(request="request-a"), ["a"]),
        (RefusedFilter(is_replayed=True), ["b"]),
        (RefusedFilter(is_replayed=False), ["c", "a"]),
        (RefusedFilter("courier", "too_deep"), []),
    ],
)
async def test_requests_are_filtered(store: Store, filter: RefusedFilter, expected: list[str]) -> None:  # noqa: F811
    other = replace(request("b"), faults=(Fault("too_deep"),), replayed=1)
    await keep(store, request("a"), other, replace(request("c"), dialect="courier"))
    assert await ids(store, filter) == expected


async def test_a_replayed_request_has_its_time(store: Store) -> None:  # noqa: F811
    await keep(store, request("a"), request("b"))
    await store.mark_replayed(1, "a", 9)
    await store.mark_replayed(1, "absent", 9)
    assert [(each.id, each.replayed) for each in await store.refused(1, ALL, None, 9)] == [("b", 0), ("a", 9)]


async def test_the_oldest_requests_go_beyond_the_bytes(store: Store) -> None:  # noqa: F811
    requests = [request(f"{number:03}", "a text", time=number) for number in range(60)]
    _, size = row_of_request(requests[0], 1)
    for each in requests:
        await keep(store, each, max_bytes=10 * size + 1)
        assert sum(row_of_request(one, 1)[1] for one in await store.refused(1, ALL, None, 99)) <= 10 * size + 1
    assert await ids(store) == [f"{number:03}" for number in range(59, 49, -1)]
    await keep(store, request("large"), max_bytes=1)
    assert await ids(store) == []


async def test_the_bytes_are_those_of_each_database(store: Store) -> None:  # noqa: F811
    _, size = row_of_request(request("a"), 1)
    await store.keep_refused(2, [RefusedCandidate(request("z", database=2))], size)
    await keep(store, request("a"), request("b"), max_bytes=size)
    assert (await ids(store), await ids(store, database=2)) == (["b"], ["z"])


async def test_old_requests_are_pruned_in_steps(store: Store) -> None:  # noqa: F811
    await keep(store, *(request(str(number), time=number) for number in range(5)))
    assert await store.prune_refused(3, 2) == 2
    assert await ids(store) == ["4", "3", "2"]
    assert await store.prune_refused(3, 2) == 1
    assert await store.prune_refused(3, 2) == 0
    assert await ids(store) == ["4", "3"]


@pytest.mark.parametrize("identity", [ANN, ("email_sub@5", ANN[1]), ("custom/card", ANN[1]), ("id", ANN[1])])
async def test_an_erasure_removes_the_requests_of_the_person(store: Store, identity: Identity) -> None:  # noqa: F811
    await keep(store, request("a", "x", "ann@example.com"), request("b", "bob@example.com"))
    await store.change([erasure_of(identity)])
    assert await ids(store) == ["b"]
    assert await store.occurrences(["ann@example.com"]) == {}


async def test_an_erasure_finds_ids_and_push_subscriptions(store: Store) -> None:  # noqa: F811
    await keep(store, request("a", "gone"), request("b", "the-token"), request("c", "token"))
    await store.change([erasure_of(PUSH)])
    assert await ids(store) == ["c"]


async def test_any_erasure_removes_requests_of_unknown_persons(store: Store) -> None:  # noqa: F811
    await keep(store, replace(request("a"), keys=None), request("b"))
    await store.change([erasure_of(BOB)])
    assert await ids(store) == ["b"]


async def test_an_erasure_without_a_key_removes_all_of_the_database(store: Store) -> None:  # noqa: F811
    await keep(store, request("a", "x"))
    await store.keep_refused(2, [RefusedCandidate(request("z", database=2))], MANY)
    await store.change([erasure_of(BOB, has_key=False)])
    assert (await ids(store), await ids(store, database=2)) == ([], ["z"])


async def test_a_request_that_was_written_after_an_erasure_is_not_kept(store: Store) -> None:  # noqa: F811
    await store.change([erasure_of(ANN, ("custom/card", "7"), time=5_000)])
    candidates = [
        candidate(request("a", "ann@example.com"), "ann@example.com"),
        candidate(request("b", "7"), "7"),
        candidate(request("c", "bob@example.com"), "bob@example.com"),
        candidate(replace(request("d", time=5_000), keys=None)),
        candidate(replace(request("e", time=5_001), keys=None)),
    ]
    await store.keep_refused(1, candidates, MANY)
    assert await ids(store) == ["e", "c"]


async def test_no_erasure_misses_a_request_that_is_written_meanwhile(store: Store) -> None:  # noqa: F811
    for number in range(20):
        own = f"p{number}@example.com"
        calls = (
            store.keep_refused(1, [candidate(request(f"r{number}", own), own)], MANY),
            store.change([erasure_of(("email", own))]),
        )
        await asyncio.gather(*calls)
    assert await ids(store) == []

"""The contract of every store. Each test runs on every engine; no engine skips or overrides one."""

import asyncio
import itertools
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import structs

from gateway.core.edit import EditContext, UpdateEdit
from gateway.core.edit_sequence import DryRunResult, Overlay, atomic_edit, dry_run_edit
from gateway.core.faults import Refusal
from gateway.core.listing import select_page, sort_value
from gateway.core.model import (
    Change,
    Created,
    Database,
    Edit,
    EditResult,
    Erasure,
    Fact,
    Find,
    IdempotencyKey,
    Identity,
    Job,
    JournalEntry,
    JournalRange,
    Ledger,
    MemberChange,
    Origin,
    Profile,
    Query,
    Resource,
    StoredAnswer,
    Token,
    Write,
)
from gateway.core.segments import Segment
from gateway.stores import open_store
from gateway.stores.errors import Duplicate, Missing
from gateway.stores.memory import MemoryStore
from gateway.stores.protocol import Store
from gateway.stores.rows import document_text
from tests.stores import (
    ANN,
    BOB,
    PAUSE,
    PHONE,
    add_databases,
    alter,
    append,
    change,
    content_of,
    create,
    creation,
    fail,
    increment,
    journal_entries,
    one,
    postgresql,
    remove,
    unplaced_entries,
)
from tests.undo.world import SCHEMA, TABLES

MAIL = {"channel": "email", "email": ANN[1]}

ENGINES: dict[str, Callable[[Path], str]] = {
    "memory": lambda _folder: "memory:",
    "sqlite": lambda folder: f"sqlite:///{folder}/profiles.db",
    "postgresql": lambda _folder: postgresql.fresh(),
}
"""The URL of an empty store of each engine."""

pytestmark = pytest.mark.anyio


@pytest.fixture(params=ENGINES)
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    store = await open_store(ENGINES[request.param](tmp_path), create=True)
    yield await add_databases(store)
    await store.close()


async def each_alone(store: Store, *changes: Change) -> list[Any]:
    """Return the results of changes that arrive at the same moment, each in its own call."""
    calls = (store.change([change]) for change in changes)
    answers = await asyncio.gather(*calls, return_exceptions=True)
    return [answer if isinstance(answer, BaseException) else answer[0] for answer in answers]


def test_each_method_of_the_protocol_has_a_test_of_the_contract() -> None:
    tests = "".join(file.read_text() for file in Path(__file__).parent.glob("test_stores*.py"))
    methods = [name for name, each in vars(Store).items() if callable(each) and not name.startswith("_")]
    assert [name for name in methods if f" store.{name}(" not in tests] == []


# Changes


async def test_returns_and_stores_the_result_of_the_edit(store: Store) -> None:
    [edited] = await store.change([change(create("a", ANN, PHONE, name="Ann"), ANN, PHONE)])
    assert edited == creation("a", ANN, PHONE, name="Ann")
    assert await store.find(1, [ANN]) == [Profile("a", {"name": "Ann"}, 1, 1000, 1000)]


async def test_returns_no_documents_to_a_caller_who_needs_none(store: Store) -> None:
    one_change = structs.replace(change(create("a", ANN, name="Ann"), ANN), needs_documents=False)
    assert await store.change([one_change]) == [EditResult(Profile("a", {}, 1, 1000, 1000))]
    assert await store.find(1, [ANN]) == [Profile("a", {"name": "Ann"}, 1, 1000, 1000)]


async def test_an_observer_gets_each_group_and_its_commit(store: Store) -> None:
    class Observer:
        groups: ClassVar[list[tuple[int, int]]] = []
        commits: ClassVar[list[float]] = []

        def group_stored(self, steps: int, waiting: int) -> None:
            self.groups.append((steps, waiting))

        def committed(self, seconds: float) -> None:
            self.commits.append(seconds)

    store.observe(Observer())
    await store.change([change(create("a", ANN, name="Ann")), change(create("b", PHONE, name="Bob"))])
    is_grouped = not isinstance(store, MemoryStore)
    assert Observer.groups == [(2, 0)] * is_grouped
    assert len(Observer.commits) == is_grouped
    assert all(seconds > 0 for seconds in Observer.commits)


async def test_version_and_times_come_from_the_edit(store: Store) -> None:
    profile = Profile("a", {}, 7, 123, 456)
    await store.change([change(lambda _: EditResult(profile, (Write(None, profile, frozenset([ANN])),)))])
    assert await one(store, ANN) == profile
    other = Profile("a", {"name": "Ann"}, 8, 124, 457)
    await store.change([change(lambda _: EditResult(other, (Write(profile, other),)))])
    assert await one(store, ANN) == other


async def test_no_changes_have_no_results(store: Store) -> None:
    assert await store.change([]) == []


async def test_an_edit_that_writes_nothing_leaves_no_trace(store: Store) -> None:
    await store.change([change(create("a", ANN))])
    before = await content_of(store, [ANN])
    [edited] = await store.change([change(create("b", ANN), ANN)])
    assert edited == EditResult(await one(store, ANN))
    assert await content_of(store, [ANN]) == before


async def test_an_edit_may_write_several_profiles(store: Store) -> None:
    writes = creation("b", BOB).writes + creation("a", ANN, PHONE).writes
    await store.change([change(lambda _: EditResult(None, writes))])
    assert [profile.id for profile in await store.find(1, [ANN, BOB])] == ["a", "b"]
    assert {each.profile for each in await journal_entries(store)} == {"a", "b"}


async def test_a_dry_run_sees_earlier_writes_and_leaves_no_trace(store: Store) -> None:
    await store.change([change(create("a", ANN, name="Ann"))])
    before = await content_of(store, [ANN, BOB])
    edits = [create("b", BOB), alter(BOB, lambda document: {**document, "n": 1}), create("c", ANN)]
    [first] = await store.change([change(dry_run_edit(edits, Overlay(), document_text), ANN)])
    assert isinstance(first, DryRunResult)
    found = [outcome.profile.id for outcome in first.outcomes if isinstance(outcome, EditResult) and outcome.profile]
    assert found == ["b", "b", "a"]
    [then] = await store.change([change(dry_run_edit([create("d", BOB)], first.overlay, document_text))])
    assert isinstance(then, DryRunResult)
    assert then.outcomes == [EditResult(Profile("b", {"n": 1}, 2, 1000, 1001))]
    assert await content_of(store, [ANN, BOB]) == before


async def test_edits_that_run_together_are_stored_all_or_none(store: Store) -> None:
    grown = alter(BOB, lambda document: {**document, "n": 1})
    await store.change([change(atomic_edit([create("a", ANN), create("b", BOB), grown]), ANN, BOB)])
    assert await store.find(1, [BOB]) == [Profile("b", {"n": 1}, 2, 1000, 1001)]
    before = await content_of(store, [ANN, BOB, PHONE])
    missing = alter(("email", "missing@example.com"), dict)
    [refusal] = await store.change([change(atomic_edit([create("c", PHONE), missing]), PHONE)])
    assert isinstance(refusal, Refusal)
    assert [fault.pointer for fault in refusal.faults] == ["/updates/1"]
    assert await content_of(store, [ANN, BOB, PHONE]) == before


async def test_keeps_the_order_of_a_call(store: Store) -> None:
    changes = [change(create("a", ANN), ANN), *(change(append(ANN, item), ANN) for item in range(300))]
    answers = await store.change(changes)
    assert [answer.profile.version for answer in answers] == list(range(1, 302))
    assert (await one(store, ANN)).document["items"] == list(range(300))


async def test_keeps_the_order_of_calls(store: Store) -> None:
    changes = [change(create("a", ANN), ANN), *(change(append(ANN, item), ANN) for item in range(300))]
    answers = await each_alone(store, *changes)
    assert [answer.profile.version for answer in answers] == list(range(1, 302))
    assert (await one(store, ANN)).document["items"] == list(range(300))


async def test_an_edit_finds_earlier_writes_by_every_identity(store: Store) -> None:
    seen: list[list[str]] = []

    def looking(find: Find) -> EditResult:
        seen.append([profile.id for key in (ANN, BOB, PHONE, ("id", "a")) for profile in find([key])])
        return EditResult(None)

    changes = [
        change(looking, ANN, BOB, PHONE, ("id", "a")),
        change(create("a", ANN), ANN),
        change(looking, ANN, BOB, PHONE, ("id", "a")),
        change(alter(ANN, lambda document: document, gained=[BOB, PHONE], lost=[ANN]), ANN),
        change(looking, ANN, BOB, PHONE, ("id", "a")),
        change(remove(BOB, BOB, PHONE), BOB),
        change(looking, ANN, BOB, PHONE, ("id", "a")),
    ]
    await each_alone(store, *changes)
    assert seen[-4:] == [[], ["a", "a"], ["a", "a", "a"], []]


async def test_an_edit_may_look_for_identities_that_its_change_does_not_name(store: Store) -> None:
    await store.change([change(create("a", ANN))])
    answers = await each_alone(
        store, change(increment(ANN)), change(increment(ANN), BOB), change(increment(("id", "a")), ANN)
    )
    assert [answer.profile.document["n"] for answer in answers] == [1, 2, 3]


async def test_an_edit_that_looks_for_nothing_writes_in_order_too(store: Store) -> None:
    first, second = Profile("a", {"n": 1}, 1, 1000, 1000), Profile("a", {"n": 2}, 2, 1000, 1000)
    steps = [Write(None, first, frozenset([ANN])), Write(first, None, lost=frozenset([ANN])), Write(None, second)]
    await each_alone(store, *(change(lambda _, step=step: EditResult(None, (step,))) for step in steps))
    assert await store.find(1, [("id", "a"), ANN]) == [second]
    assert await store.find(1, [ANN]) == []


# Refusals and failures


async def test_a_refusal_is_the_result_and_leaves_no_trace(store: Store) -> None:
    await store.change([change(create("a", ANN))])
    before = await content_of(store, [ANN, BOB])
    [refusal] = await store.change([change(increment(BOB), BOB)])
    assert isinstance(refusal, Refusal)
    assert [fault.code for fault in refusal.faults] == ["profile_not_found"]
    assert await content_of(store, [ANN, BOB]) == before


async def test_a_refusal_affects_no_other_change(store: Store) -> None:
    answers = await store.change(
        [change(create("a", ANN), ANN), change(increment(BOB), BOB), change(create("b", BOB), BOB)]
    )
    assert [type(answer) for answer in answers] == [EditResult, Refusal, EditResult]
    assert [profile.id for profile in await store.find(1, [ANN, BOB])] == ["a", "b"]


@pytest.mark.parametrize(
    "failing",
    [
        fail(ZeroDivisionError("on purpose"), ANN),
        fail(StopIteration(), ANN),
        lambda _find: creation("z", BOB, thing=object()),
        lambda _find: creation("z", BOB, number=2**64),
        lambda _find: EditResult(None, creation("y", BOB).writes + creation("z", PHONE, thing={1, 2}).writes),
        alter(ANN, lambda document: {**document, "thing": object()}, gained=[BOB], lost=[ANN]),
    ],
    ids=["raises", "raises StopIteration", "no JSON", "too large a number", "no JSON in the second write", "alters"],
)
async def test_a_failing_edit_is_raised_without_a_trace_and_the_other_changes_are_stored(
    store: Store, failing: Any
) -> None:
    await store.change([change(create("a", ANN), ANN)])
    neighbours = [change(increment(ANN), ANN) for _ in range(20)]
    answers = await each_alone(store, *neighbours[:10], change(failing, ANN, BOB), *neighbours[10:])
    failure = answers.pop(10)
    assert isinstance(failure, Exception)
    assert not isinstance(failure, Refusal)
    assert [answer.profile.document["n"] for answer in answers] == list(range(1, 21))
    assert (await one(store, ANN)).document == {"n": 20}
    assert await store.find(1, [BOB, PHONE, ("id", "y"), ("id", "z")]) == []
    assert [each.version for each in await journal_entries(store)] == list(range(1, 22))


async def test_a_failing_edit_is_raised_after_the_others_of_its_call_are_stored(store: Store) -> None:
    failing = change(fail(ZeroDivisionError("on purpose")))
    with pytest.raises(ZeroDivisionError):
        await store.change([change(create("a", ANN)), failing, change(create("b", BOB))])
    assert [profile.id for profile in await store.find(1, [ANN, BOB])] == ["a", "b"]


async def test_the_changes_of_a_cancelled_caller_are_whole(store: Store) -> None:
    keys = [("email", f"{number}@example.com") for number in range(200)]
    call = asyncio.ensure_future(store.change([change(create(f"p{key[1]}", key), key) for key in keys]))
    await asyncio.sleep(0)
    call.cancel()
    await asyncio.gather(call, return_exceptions=True)
    applied: set[str] = set()
    async with asyncio.timeout(20):
        while not applied or applied != {each.profile for each in await journal_entries(store)}:
            # Other calls run before the rest of a large call.
            await store.change([change(create("last", ANN), ANN)])
            applied = {"last", *(profile.id for profile in await store.find(1, keys))}
    ids = [("id", f"p{key[1]}") for key in keys]
    assert applied == {"last", *(profile.id for profile in await store.find(1, ids))}


# Finding


async def test_finds_each_profile_once_ordered_by_id(store: Store) -> None:
    shared: Identity = ("customer", "7")
    await store.change([change(create(id, (ANN, BOB, PHONE)[n])) for n, id in enumerate(["c", "a", "b"])])
    await store.change([change(alter(key, lambda document: document, gained=[shared])) for key in (ANN, BOB)])
    for keys in ([ANN, BOB, PHONE], [PHONE, BOB, ANN, ANN, shared, ("id", "a"), ("id", "c"), ("id", "none")]):
        assert [profile.id for profile in await store.find(1, keys)] == ["a", "b", "c"]
    assert [profile.id for profile in await store.find(1, [shared])] == ["a", "c"]


async def test_finds_nothing_by_no_identity_and_by_an_unused_one(store: Store) -> None:
    await store.change([change(create("a", ANN))])
    assert await store.find(1, []) == []
    assert await store.find(1, [BOB, ("id", ANN[1]), ("phone", ANN[1]), ("email", "a"), ("id", "")]) == []


async def test_finds_by_a_thousand_identities(store: Store) -> None:
    keys = [("email", f"{number:04}@example.com") for number in range(1000)]
    await store.change([change(create(key[1], key), key) for key in keys])
    found = await store.find(1, [*keys, *(("id", key[1]) for key in keys)])
    assert [profile.id for profile in found] == [key[1] for key in keys]


async def test_adds_and_removes_identities(store: Store) -> None:
    await store.change([change(create("a", ANN, PHONE)), change(create("b", BOB))])
    await store.change([change(alter(ANN, lambda document: document, gained=[BOB, PHONE], lost=[ANN]))])
    assert await store.find(1, [ANN]) == []
    assert [profile.id for profile in await store.find(1, [PHONE])] == ["a"]
    assert [profile.id for profile in await store.find(1, [BOB])] == ["a", "b"]
    await store.change([change(alter(("id", "b"), lambda document: document, lost=[BOB]))])
    assert [profile.id for profile in await store.find(1, [BOB])] == ["a"]


async def test_deletes_a_profile_with_its_identities(store: Store) -> None:
    await store.change([change(create("a", ANN, PHONE)), change(create("b", BOB))])
    [edited] = await store.change([change(remove(ANN, ANN, PHONE))])
    assert edited.profile == Profile("a", {}, 1, 1000, 1000)
    assert [profile.id for profile in await store.find(1, [ANN, PHONE, BOB, ("id", "a")])] == ["b"]
    await store.change([change(create("a"))])
    assert await store.find(1, [ANN, PHONE]) == []


async def test_databases_are_separate(store: Store) -> None:
    await store.change([change(create("a", ANN, of=1), database=1), change(create("a", ANN, of=2), database=2)])
    await each_alone(store, *(change(increment(ANN), ANN, database=1 + number % 2) for number in range(30)))
    for database in (1, 2):
        assert (await one(store, ANN, database)).document == {"of": database, "n": 15}
        assert len(await journal_entries(store, database)) == 16
    await store.change([change(remove(ANN, ANN), database=2)])
    assert (await one(store, ANN)).version == 16
    assert await store.find(2, [ANN, ("id", "a")]) == []


@pytest.mark.parametrize(
    "document",
    [
        {"имя": "Ёлка", "名前": "😀", "": "", "a\x00b": "c\x00d\u2028\u0301"},
        {"text": "x" * 1_000_000},
        {"numbers": [2**63 - 1, -(2**63), 0, 0.1, 1.0, 1e308, 5e-324, True, None]},
        {"list": [[[]], {}, [{"a": [{}]}]]},
    ],
    ids=["unicode", "huge", "numbers", "nested"],
)
async def test_returns_documents_unaltered(store: Store, document: dict[str, Any]) -> None:
    await store.change([change(create("a", ANN, **document))])
    found = (await one(store, ANN)).document
    assert repr(found) == repr(document)
    assert (await journal_entries(store))[0].members[0].after == document


async def test_compares_identities_character_by_character(store: Store) -> None:
    values = ["a", "A", "a ", " a", "ä", "a\u0308", "a\x00", "a\x00b", "%", "_", "'", '"', "😀", "1", "01", ""]
    await store.change([change(create(f"p{number}", ("k", value))) for number, value in enumerate(values)])
    for number, value in enumerate(values):
        assert (await one(store, ("k", value))).id == f"p{number}"


async def test_shares_no_document_with_its_callers(store: Store) -> None:
    given = {"list": [1]}
    [edited] = await store.change([change(create("a", ANN, **given))])
    given["list"].append(2)
    edited.profile.document["list"].append(3)
    (await one(store, ANN)).document["list"].append(4)
    assert (await one(store, ANN)).document == {"list": [1]}
    (await journal_entries(store))[0].members[0].after.clear()
    assert (await journal_entries(store))[0].members[0].after


# Races


async def test_one_identity_is_created_once(store: Store) -> None:
    answers = await each_alone(store, *(change(create(f"p{n}", ANN, pause=PAUSE), ANN) for n in range(32)))
    assert {answer.profile.id for answer in answers} == {(await one(store, ANN)).id}
    assert len(await journal_entries(store)) == 1


async def test_one_person_is_created_once_by_either_of_two_identities(store: Store) -> None:
    keys = [(ANN, PHONE), (PHONE, ANN)]
    answers = await each_alone(
        store, *(change(create(f"p{n}", *keys[n % 2], pause=PAUSE), *keys[n % 2]) for n in range(32))
    )
    assert len({answer.profile.id for answer in answers}) == 1
    assert len(await store.find(1, [ANN, PHONE])) == 1


async def test_no_increment_is_lost(store: Store) -> None:
    await store.change([change(create("a", ANN, n=0))])
    answers = await each_alone(store, *(change(increment(ANN, pause=PAUSE), ANN) for _ in range(64)))
    assert sorted(answer.profile.document["n"] for answer in answers) == list(range(1, 65))
    assert await one(store, ANN) == Profile("a", {"n": 64}, 65, 1000, 1064)


async def test_an_acknowledged_change_is_found(store: Store) -> None:
    await store.change([change(create("a", ANN, n=0))])

    async def counting_up() -> None:
        for _ in range(20):
            [edited] = await store.change([change(increment(ANN), ANN)])
            assert (await one(store, ANN)).document["n"] >= edited.profile.document["n"]

    await asyncio.gather(*(counting_up() for _ in range(8)))


# The journal


async def test_each_write_has_an_entry_in_the_journal(store: Store) -> None:
    origin = Origin("token 7", "altcraft", 5000, triggers=False, request="r1", observed=4000)
    created = structs.replace(change(create("a", ANN, name="Ann")), origin=origin)
    await store.change([created, change(increment(ANN), time=6000), change(remove(ANN, ANN), time=7000)])
    first, second, third = await journal_entries(store)
    assert (first.database, first.profile, first.version, first.origin) == (1, "a", 1, origin)
    assert (first.kind, first.members) == ("create", (MemberChange("", after={"name": "Ann"}),))
    assert (second.version, second.origin) == (2, Origin("token", "dialect", 6000))
    assert second.members == (MemberChange("", {"name": "Ann"}, {"name": "Ann", "n": 1}),)
    assert (third.version, third.kind) == (3, "remove")
    assert third.members == (MemberChange("", {"name": "Ann", "n": 1}),)
    assert 0 < first.position < second.position < third.position


async def test_a_fact_about_an_address_has_an_entry_for_each_profile_that_has_it(store: Store) -> None:
    """None of the identities is locked or read before the edit asks for them, except that of the match."""
    own = [creation(id, ANN, email=ANN[1]) for id in ("a", "b")]
    created = [*own, creation("c", ("email_sub", ANN[1]), subscriptions=[MAIL])]
    await store.change([change(lambda _, each=each: each) for each in created])
    update = {"match": {"mode": "profile_id", "values": {"profile_id": "a"}}, "suppressions": {"add": [MAIL]}}
    edit = UpdateEdit(update, (("id", "a"),), EditContext(TABLES, SCHEMA.validate_profile, lambda _, each: each, "", 9))
    for _ in range(2):  # the second one changes nothing
        [result] = await store.change([change(edit, ("id", "a"))])
        assert isinstance(result, EditResult)
        assert result.profile == Profile("a", {"email": ANN[1]}, 2, 1000, 1000)
    entries = [each for each in await journal_entries(store) if each.version == 2]
    assert sorted((each.profile, each.kind) for each in entries) == [("a", "update"), ("b", "update"), ("c", "update")]
    for each in entries:
        [member] = each.members
        assert (member.pointer, member.is_stored) == ("/subscriptions", False)
        assert member.after[0]["status"] == "suspended"
    assert [each.version for each in await store.find(1, [ANN, ("email_sub", ANN[1])])] == [2, 2, 2]


async def test_the_journal_is_read_in_parts_in_the_order_of_the_writes(store: Store) -> None:
    await store.change([change(create("a", ANN)), change(create("b", BOB))])
    await store.change([change(create("a", ANN), database=2)])
    await store.change([change(increment(ANN), ANN, time=time) for time in (3000, 2000, 3000)])
    read: list[JournalEntry] = []
    while part := await complete_journal(store, read[-1].position if read else 0, 2):
        assert len(part) <= 2
        read += part
    assert read == await journal_entries(store)
    assert [(each.profile, each.version) for each in read] == [("a", 1), ("b", 1), ("a", 2), ("a", 3), ("a", 4)]
    assert [each.version for each in await store.journal(1, 0, 10, "a")] == [1, 2, 3, 4]
    assert [each.version for each in await store.journal(1, read[2].position, 1, "a")] == [3]
    assert await store.journal(1, 0, 10, "A") == []
    for profile in ("a", None):
        assert await store.journal(1, 10**40 - 1, 10, profile) == []  # the highest number of a cursor


async def test_the_journal_is_read_while_entries_are_added(store: Store) -> None:
    await store.change([change(create("a", ANN))])
    read: list[JournalEntry] = []
    for n in range(40):
        await store.change([change(increment(ANN), ANN, time=1000 - n) for _ in range(3)])
        read += await store.journal(1, read[-1].position if read else 0, 5)
    while part := await complete_journal(store, read[-1].position if read else 0, 50):
        read += part
    assert [each.version for each in read] == list(range(1, 122))


async def complete_journal(store: Store, after: int, limit: int) -> list[JournalEntry]:
    """Return entries once all that are stored can be read: a reader waits for the transactions of other tests."""
    last = (await journal_entries(store))[-1].position
    async with asyncio.timeout(30):
        while (await store.journal_range(1)).newest != last:
            await asyncio.sleep(0.01)
    return await store.journal(1, after, limit)


async def test_old_entries_are_pruned_in_steps(store: Store) -> None:
    for database in (1, 2):
        await store.change([change(create("a", ANN), database=database, time=0)])
        await store.change([change(increment(ANN), ANN, database=database, time=time) for time in range(1, 20)])
    assert await store.prune(before=0, limit=100) == 0
    steps = [await store.prune(before=15, limit=8) for _ in range(5)]
    assert steps == [8, 8, 8, 6, 0]
    for database in (1, 2):
        assert [each.origin.time for each in await journal_entries(store, database)] == [15, 16, 17, 18, 19]
        assert (await one(store, ANN, database)).document == {"n": 19}


async def test_a_reader_can_find_out_what_was_pruned(store: Store) -> None:
    assert await store.journal_range(1) == JournalRange()
    await store.change([change(create("a", ANN), time=0)])
    await store.change([change(increment(ANN), ANN, time=time) for time in range(1, 10)])
    positions = [each.position for each in await journal_entries(store)]
    await complete_journal(store, 0, 1)
    assert await store.journal_range(1) == JournalRange(positions[0], positions[-1], 0)
    await store.prune(before=4, limit=100)
    assert await store.journal_range(1) == JournalRange(positions[4], positions[-1], positions[3])
    await store.prune(before=100, limit=100)
    assert await store.journal_range(1) == JournalRange(0, 0, positions[-1])
    assert await store.journal_range(2) == JournalRange()


async def test_a_reader_that_lags_behind_keeps_its_entries(store: Store) -> None:
    for database in (1, 2):
        await store.change([change(create("a", ANN), database=database, time=0)])
        await store.change([change(increment(ANN), ANN, database=database, time=time) for time in range(1, 6)])
    third = (await journal_entries(store))[2].position
    assert await store.prune(5, 100, {1: third, 7: 0}) == 2 + 5
    assert [each.version for each in await journal_entries(store)] == [3, 4, 5, 6]
    assert [each.version for each in await journal_entries(store, 2)] == [6]
    assert await store.prune(5, 100, {1: 0}) == 0


async def test_each_store_has_an_id(store: Store) -> None:
    other = await open_store("memory:", create=True)
    assert re.fullmatch("[0-9a-f]{32}", store.id)
    assert store.id != other.id


# The registry

FULL = Database(
    id=3,
    name="Три",
    closed=True,
    fields={"properties": {"customer_id": {"type": "string", "x-identifier": True}}},
    company_id="demo",
    resources={1: Resource(1, "news", ("a", "b"), {"properties": {}}), 2: Resource(2, "push")},
    segments={
        4: Segment(4, "four"),
        5: Segment(5, "five", 1000, 2**40, True),
        "\x00é" * 150: Segment("\x00é" * 150, "long", preferences={"categories": {"é": {"status": "OPTED_IN"}}}),
        "vip": Segment("vip", "VIP", archived=2**40),
    },
)
TOKEN = Token("t1", "hash 1", 1, frozenset({"read", "write"}), 1000)


async def test_lists_databases_with_resources_and_segments(store: Store) -> None:
    await store.add_database(FULL)
    await store.add_database(Database(0, "zero"))
    assert await store.databases() == [Database(0, "zero"), Database(1, "one"), Database(2, "two"), FULL]
    assert [*(await store.databases())[3].segments] == [4, 5, "\x00é" * 150, "vip"]


async def test_adds_resources_and_segments(store: Store) -> None:
    resources = {7: Resource(7, "seven", ("x",), {"type": "object"}), 8: Resource(8, "eight")}
    for resource in resources.values():
        await store.add_resource(1, resource)
    await store.add_resource(2, resources[7])
    await store.add_segment(1, Segment(7, "seven"))
    first, second = await store.databases()
    assert first == Database(1, "one", resources=resources, segments={7: Segment(7, "seven")})
    assert second == Database(2, "two", resources={7: resources[7]})


async def test_updates_a_database_and_keeps_its_resources_and_segments(store: Store) -> None:
    await store.add_database(FULL)
    fields = {"properties": {"card": {"type": "integer", "x-identifier": True}}}
    await store.update_database(Database(3, "three", False, fields, "acme"))
    changed = replace(FULL, name="three", closed=False, fields=fields, company_id="acme")
    assert await store.databases() == [Database(1, "one"), Database(2, "two"), changed]
    await store.update_database(Database(3, "three", company_id="acme"))
    await store.update_database(Database(1, "one", company_id="demo"))
    await store.update_database(Database(3, "three"))
    bare = replace(FULL, name="three", closed=False, fields={}, company_id=None)
    assert await store.databases() == [Database(1, "one", company_id="demo"), Database(2, "two"), bare]


async def test_updates_and_removes_resources_and_segments(store: Store) -> None:
    await store.add_database(FULL)
    await store.add_database(replace(FULL, id=4, company_id=None))
    news = Resource(1, "changed", ("c",), {"properties": {"x": {"type": "string"}}})
    await store.update_resource(3, news)
    await store.remove_resource(3, 2)
    named = Segment("vip", "changed", None, 2000, True, {"notifications": {}})
    await store.update_segment(3, Segment(4, "changed", None, 2000, True))
    await store.update_segment(3, named)
    for id in (5, "\x00é" * 150):
        await store.remove_segment(3, id)
    *_, changed, neighbour = await store.databases()
    segments = {4: Segment(4, "changed", None, 2000, True), "vip": replace(named, archived=2**40)}
    assert changed == replace(FULL, resources={1: news}, segments=segments)
    assert neighbour == replace(FULL, id=4, company_id=None)
    await store.add_resource(3, Resource(2, "again"))
    assert (await store.databases())[2].resources[2] == Resource(2, "again")


async def test_archives_a_segment_until_that_ends(store: Store) -> None:
    """An update of the segment says nothing of it. A number and its text are two segments."""
    number, text = Segment(7, "seven"), Segment("7", "text", 1, 2, True, {"categories": {}})
    for each in (number, text):
        await store.add_segment(1, each)
    await store.add_segment(2, number)
    await store.archive_segment(1, "7", 2**40)
    await store.update_segment(1, replace(text, name="changed"))
    assert [each.segments for each in await store.databases()] == [
        {7: number, "7": replace(text, name="changed", archived=2**40)},
        {7: number},
    ]
    await store.archive_segment(1, 7, 5)
    await store.archive_segment(1, "7", None)
    segments = (await store.databases())[0].segments
    assert segments == {7: replace(number, archived=5), "7": replace(text, name="changed")}


async def test_keeps_the_token_and_the_key_of_a_resource(store: Store) -> None:
    app = Resource(7, "app", token_hash="hash 7", public_key="PEM")
    await store.add_resource(1, app)
    assert (await store.databases())[0].resources == {7: app}
    changed = replace(app, token_hash="hash 8", public_key=None)
    await store.update_resource(1, changed)
    assert (await store.databases())[0].resources == {7: changed}


async def test_no_two_resources_have_one_token(store: Store) -> None:
    app = Resource(7, "app", token_hash="hash 7")
    await store.add_resource(1, app)
    await store.update_resource(1, replace(app, name="again"))
    await store.add_resource(2, Resource(7, "app"))
    for refused in (
        store.add_resource(1, replace(app, id=8)),
        store.add_resource(2, replace(app, id=8)),
        store.update_resource(2, app),
        store.add_database(Database(3, "three", resources={7: app})),
    ):
        with pytest.raises(Duplicate):
            await refused
    assert [[*each.resources] for each in await store.databases()] == [[7], [7]]


async def test_keeps_the_name_of_a_token(store: Store) -> None:
    named = replace(TOKEN, name="Кассы, Москва")
    await store.add_token(named)
    assert await store.tokens() == [named]
    version = store.registry_version()
    await store.rename_token("t1", "other")
    assert await store.tokens() == [replace(named, name="other")]
    assert store.registry_version() != version


async def test_keeps_the_user_of_a_token(store: Store) -> None:
    bound = replace(TOKEN, rights=frozenset({"own_read"}), user_hash="hash of a user")
    await store.add_token(bound)
    await store.add_token(replace(TOKEN, id="t2", hash="hash 2", created=2000))
    first, second = await store.tokens()
    assert (first, second.user_hash) == (bound, None)


async def test_lists_tokens_by_creation(store: Store) -> None:
    tokens = [replace(TOKEN, id=f"t{n}", hash=f"hash {n}", created=1000 - n, database=1 + n % 2) for n in range(4)]
    for token in tokens:
        await store.add_token(token)
    assert await store.tokens() == tokens[::-1]


async def test_revokes_a_token_permanently(store: Store) -> None:
    await store.add_token(TOKEN)
    for _ in range(2):
        await store.revoke_token("t1")
        assert await store.tokens() == [replace(TOKEN, revoked=True)]
    with pytest.raises(Missing):
        await store.revoke_token("t2")


@pytest.mark.parametrize(
    ("refused", "add"),
    [
        (Duplicate, lambda store: store.add_database(Database(3, "other"))),
        (Duplicate, lambda store: store.add_database(Database(4, "other", company_id="demo"))),
        (Duplicate, lambda store: store.add_token(replace(TOKEN, id="t2"))),
        (Duplicate, lambda store: store.add_token(replace(TOKEN, hash="hash 2"))),
        (Duplicate, lambda store: store.add_resource(3, Resource(1, "again"))),
        (Duplicate, lambda store: store.add_segment(3, Segment(5, "again"))),
        (Missing, lambda store: store.add_token(Token("t2", "hash 2", 9, frozenset(), 1000))),
        (Missing, lambda store: store.rename_token("t9", "nine")),
        (Missing, lambda store: store.add_resource(9, Resource(1, "nowhere"))),
        (Missing, lambda store: store.add_segment(9, Segment(1, "nowhere"))),
        (Missing, lambda store: store.update_database(Database(9, "nine"))),
        (Duplicate, lambda store: store.update_database(Database(1, "other", company_id="demo"))),
        (Missing, lambda store: store.update_resource(3, Resource(9, "nine"))),
        (Missing, lambda store: store.update_resource(9, Resource(1, "news"))),
        (Missing, lambda store: store.update_segment(3, Segment(9, "nine"))),
        (Missing, lambda store: store.remove_resource(3, 9)),
        (Missing, lambda store: store.remove_resource(1, 1)),
        (Missing, lambda store: store.remove_segment(3, 9)),
        (Missing, lambda store: store.remove_segment(1, 5)),
        (Missing, lambda store: store.remove_segment(3, "5")),
        (Duplicate, lambda store: store.add_segment(3, Segment("vip", "again"))),
        (Missing, lambda store: store.archive_segment(3, "5", 1)),
        (Missing, lambda store: store.archive_segment(1, 5, 1)),
        (Missing, lambda store: store.archive_segment(9, 5, None)),
    ],
)
async def test_rejects_rows_that_contradict_the_registry(store: Store, refused: type[Exception], add: Any) -> None:
    await store.add_database(FULL)
    await store.add_token(TOKEN)
    before = await content_of(store, [])
    neighbour = asyncio.ensure_future(store.change([change(create("a", ANN), ANN)]))
    with pytest.raises(refused):
        await add(store)
    await neighbour
    assert (await content_of(store, [])).registry == before.registry
    assert (await one(store, ANN)).version == 1


async def test_the_registry_version_changes_with_the_registry(store: Store) -> None:
    await store.add_token(TOKEN)
    versions = [store.registry_version()]
    for write in (
        store.add_database(FULL),
        store.add_token(replace(TOKEN, id="t2", hash="hash 2")),
        store.add_resource(1, Resource(1, "news")),
        store.add_segment(1, Segment(1, "one")),
        store.revoke_token("t1"),
        store.update_database(Database(1, "first")),
        store.update_resource(1, Resource(1, "letters")),
        store.update_segment(1, Segment(1, "first")),
        store.archive_segment(1, 1, 5),
        store.archive_segment(1, 1, None),
        store.remove_resource(1, 1),
        store.remove_segment(1, 1),
    ):
        await write
        versions.append(store.registry_version())
    assert len(set(versions)) == len(versions)
    assert store.registry_version() == versions[-1]


# Closing


async def test_is_ready(store: Store) -> None:
    await store.ready()


async def test_completes_the_calls_in_flight_before_it_closes(store: Store) -> None:
    keys = [("email", f"{number}@example.com") for number in range(100)]
    calls = [asyncio.ensure_future(store.change([change(create(key[1], key), key)])) for key in keys]
    await asyncio.sleep(0)
    await store.close()
    assert [(await call)[0].profile.id for call in calls] == [key[1] for key in keys]


# The same results from every engine

ids = st.sampled_from(["a", "b", "c"])
keys = st.sampled_from([ANN, BOB, PHONE, ("id", "a"), ("id", "b")])
some_keys = st.lists(st.sampled_from([ANN, BOB, PHONE]), max_size=3)
named = st.lists(keys, max_size=3)


def with_lookup(edit: Any, others: list[Identity]) -> Any:
    """Return an edit that also looks for other keys, and writes what it finds into the document."""

    def looking(find: Find) -> EditResult:
        seen = [[profile.id, profile.version, profile.document.get("n")] for profile in find(others)]
        edited = edit(find)
        if not edited.writes or edited.writes[-1].after is None:
            return edited
        last = edited.writes[-1]
        after = structs.replace(last.after, document={**last.after.document, "seen": seen})
        return EditResult(after, (*edited.writes[:-1], structs.replace(last, after=after)))

    return looking


edits = st.one_of(
    st.builds(lambda id, gained: create(id, *gained, n=0), ids, some_keys),
    st.builds(increment, keys),
    st.builds(lambda key, gained, lost: alter(key, dict, gained, lost), keys, some_keys, some_keys),
    st.builds(lambda key: remove(key, ANN, BOB, PHONE), keys),  # a ValueError where the key names not just one
    st.just(fail(ZeroDivisionError("on purpose"))),
)
changes = st.builds(
    lambda edit, others, foreseen, database: change(with_lookup(edit, others), *foreseen, database=database),
    edits,
    named,
    named,
    st.sampled_from([1, 1, 1, 2]),
)


@given(groups=st.lists(st.lists(changes, min_size=1, max_size=8), min_size=1, max_size=4))
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_returns_the_same_results_as_memory(store: Store, groups: list[list[Change]]) -> None:
    await store.change([change(_remove_all, database=database) for database in (1, 2)])
    await store.prune(before=10_000, limit=10_000)
    memory = await add_databases(await open_store("memory:", create=True))
    for group in groups:
        ours, theirs = await each_alone(store, *group), await each_alone(memory, *group)
        assert [_plain(answer) for answer in ours] == [_plain(answer) for answer in theirs]
    for key in [ANN, BOB, PHONE, *(("id", id) for id in "abc")]:
        for database in (1, 2):
            assert await store.find(database, [key]) == await memory.find(database, [key])
    for database in (1, 2):
        assert await unplaced_entries(store, database) == await unplaced_entries(memory, database)


def _remove_all(find: Find) -> EditResult:
    """Remove the profiles of the example before."""
    everything = frozenset([ANN, BOB, PHONE])
    left = find([("id", id) for id in "abc"])
    return EditResult(None, tuple(Write(profile, None, lost=everything) for profile in left))


def _plain(answer: Any) -> Any:
    return answer if isinstance(answer, EditResult) else (type(answer), str(answer))


# --- once ---


def creation_of(number: int, once: IdempotencyKey | None, time: int = 5) -> Change:
    """Return a change that creates a profile of this number, whatever exists."""
    profile = Created(f"{number:024x}", {"number": number}, 1, time, time)
    return Change(1, (), lambda _find: EditResult(profile, (Write(None, profile),)), Origin("t", "d", time), once)


async def test_a_change_with_a_key_runs_once(store: Store) -> None:
    once = IdempotencyKey("key", "same", until=100)
    [first] = await store.change([creation_of(1, once)])
    [again] = await store.change([creation_of(2, once)])
    assert isinstance(first, EditResult)
    assert isinstance(again, EditResult)
    assert (type(again.profile), again.profile) == (type(first.profile), first.profile)
    assert again.writes == ()
    assert await store.find(1, [("id", f"{2:024x}")]) == []


async def test_a_key_is_unique_within_one_group(store: Store) -> None:
    once = IdempotencyKey("key", "same", until=100)
    answers = await store.change([creation_of(1, once), creation_of(2, once), creation_of(3, None)])
    assert [isinstance(each, EditResult) and each.profile and each.profile.id[-1] for each in answers] == [
        "1",
        "1",
        "3",
    ]


async def test_a_key_for_another_request_is_refused(store: Store) -> None:
    await store.change([creation_of(1, IdempotencyKey("key", "one", until=100))])
    [answer] = await store.change([creation_of(2, IdempotencyKey("key", "other", until=100))])
    assert isinstance(answer, Refusal)
    assert answer.faults[0].code == "idempotency_conflict"
    assert await store.find(1, [("id", f"{2:024x}")]) == []


async def test_a_key_expires(store: Store) -> None:
    await store.change([creation_of(1, IdempotencyKey("key", "one", until=100), time=5)])
    [answer] = await store.change([creation_of(2, IdempotencyKey("key", "other", until=300), time=101)])
    assert isinstance(answer, EditResult)
    assert answer.profile is not None
    assert answer.profile.id == f"{2:024x}"


async def test_a_key_belongs_to_its_database(store: Store) -> None:
    await store.change([creation_of(1, IdempotencyKey("key", "one", until=100))])
    other = creation_of(2, IdempotencyKey("key", "other", until=100))
    [answer] = await store.change([structs.replace(other, database=2)])
    assert isinstance(answer, EditResult)


async def test_a_refusal_is_not_stored_with_a_key(store: Store) -> None:
    def refusing(_find: Find) -> EditResult:
        raise Refusal([])

    once = IdempotencyKey("key", "same", until=100)
    await store.change([Change(1, (), refusing, Origin("t", "d", 5), once)])
    [answer] = await store.change([creation_of(1, once)])
    assert isinstance(answer, EditResult)


# Pages and jobs

MEMBERS = st.fixed_dictionaries({}, optional={"email": st.sampled_from(["ann", "Ann", "bob", "ünal", "\U0001f600"])})
PEOPLE = st.lists(st.tuples(MEMBERS, st.integers(0, 3), st.integers(0, 3)), max_size=8)
SPANS = st.tuples(st.none() | st.integers(-1, 4), st.none() | st.integers(-1, 4))
QUERIES = st.builds(
    Query,
    st.integers(1, 5),
    st.sampled_from(["id", "created", "updated", "email"]),
    st.booleans(),
    created=SPANS,
    updated=SPANS,
)


def people_of(drawn: list[tuple[dict[str, Any], int, int]]) -> list[Profile]:
    return [Profile(f"p{n}", document, 1, created, updated) for n, (document, created, updated) in enumerate(drawn)]


@given(drawn=PEOPLE, query=QUERIES, start=st.integers(0, 8))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
async def test_pages_are_as_the_core_lists_them(
    open_empty: Callable[[], Awaitable[Store]], drawn: list[Any], query: Query, start: int
) -> None:
    store, profiles = await open_empty(), people_of(drawn)
    others = [structs.replace(profile, id=f"other {profile.id}") for profile in profiles]
    for database, kept in ((1, profiles), (2, others)):
        writes = tuple(Write(None, profile) for profile in kept)
        await store.change([change(lambda _, writes=writes: EditResult(None, writes), database=database)])
    if start < len(profiles):
        query = replace(query, after=(sort_value(profiles[start], query.sort), profiles[start].id))
    assert await store.page(1, query) == select_page(profiles, query)
    await store.close()


@pytest.fixture(params=ENGINES)
def open_empty(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], Awaitable[Store]]:
    numbers = itertools.count()

    async def opened() -> Store:
        folder = tmp_path / str(next(numbers))
        folder.mkdir()
        return await add_databases(await open_store(ENGINES[request.param](folder), create=True))

    return opened


KEYS = [("segment", "7"), ("segment", "vip" * 99), ("related", "\x00")]


async def test_a_page_has_only_the_profiles_with_a_key(store: Store) -> None:
    documents = [{"email": f"{n % 4}"} for n in range(20)]
    profiles = [Profile(f"p{n:02}", document, 1, n % 3, n) for n, document in enumerate(documents)]
    writes = [Write(None, each, frozenset({KEYS[n % 3], ("email", "a")})) for n, each in enumerate(profiles)]
    await store.change([change(lambda _: EditResult(None, tuple(writes)))])
    for number, key in enumerate(KEYS):
        own = profiles[number::3]
        for sort in ("id", "created", "email"):
            for descending in (False, True):
                query, seen = Query(3, sort, descending, key=key), []
                while page := await store.page(1, query):
                    seen += page
                    query = replace(query, after=(sort_value(page[-1], sort), page[-1].id))
                assert seen == select_page(own, Query(20, sort, descending))
        assert await store.page(2, Query(3, key=key)) == []
    last = Write(profiles[18], None, lost=frozenset({KEYS[0]}))
    left = Write(profiles[0], structs.replace(profiles[0], version=2), lost=frozenset({KEYS[0]}))
    await store.change([change(lambda _: EditResult(None, (last, left)))])
    assert [each.id for each in await store.page(1, Query(9, key=KEYS[0]))] == ["p03", "p06", "p09", "p12", "p15"]


async def test_a_page_follows_the_one_before(store: Store) -> None:
    profiles = [Profile(f"p{n}", {}, 1, n % 3, 0) for n in range(20)]
    await store.change([change(lambda _: EditResult(None, tuple(Write(None, each) for each in profiles)))])
    query, seen = Query(3, "created", descending=True), []
    while page := await store.page(1, query):
        seen += page
        query = replace(query, after=(page[-1].created, page[-1].id))
    assert seen == sorted(profiles, key=lambda each: (each.created, each.id), reverse=True)


async def test_a_job_is_stored_with_its_results(store: Store) -> None:
    faults = [{"code": "invalid_field", "detail": "no", "pointer": "/profile"}]
    failure = {"index": 1, "faults": faults, "sent": {"a": None}}
    job = Job("j1", 1000, 2, 1, ("a",), (failure,), (7, "vip"), "suppress")
    await store.add_job(1, job)
    assert await store.job(1, "j1") == job
    await store.add_job(1, replace(job, created=2000))
    assert await store.job(1, "j1") == job
    assert await store.job(2, "j1") is None
    assert await store.job(1, "j2") is None


async def test_jobs_are_listed_by_time_without_their_results(store: Store) -> None:
    jobs = [Job(f"j{n}", n // 2, 1, 0, ("a",)) for n in range(6)]
    for job in reversed(jobs):
        await store.add_job(1, job)
    await store.add_job(2, Job("other", 1, 0, 0))
    await store.add_job(1, Job("another", 1, 0, 0, kind="suppress"))
    assert await store.jobs(1, "suppress", Query(10, "created")) == [Job("another", 1, 0, 0, kind="suppress")]
    short = [replace(job, profiles=()) for job in jobs]
    assert await store.jobs(1, "import", Query(10, "created")) == short
    assert await store.jobs(1, "import", Query(2, "created", after=(0, "j1"))) == short[2:4]
    assert await store.jobs(1, "import", Query(9, "created", descending=True, after=(2, "j4"))) == short[3::-1]


async def test_old_jobs_are_pruned(store: Store) -> None:
    for n in range(4):
        await store.add_job(1, Job(f"j{n}", n, 0, 0))
    assert await store.prune(3, 2) == 2
    assert await store.prune(3, 2) == 1
    assert [job.id for job in await store.jobs(1, "import", Query(10, "created"))] == ["j3"]


@pytest.mark.parametrize("depth", [1, 400])
async def test_a_document_that_is_too_large_is_refused_and_leaves_no_trace(store: Store, depth: int) -> None:
    value: Any = "x" * (5 * 1024 * 1024 if depth == 1 else 1)
    for _ in range(depth):
        value = {"in": value}
    large = Profile(f"{2:024x}", value, 1, 5, 5)
    small = Profile(f"{1:024x}", {}, 1, 5, 5)
    edited = EditResult(large, (Write(None, small), Write(None, large)))
    [answer] = await store.change([Change(1, (), lambda _find: edited, Origin("t", "d", 5))])
    assert isinstance(answer, Refusal)
    assert answer.faults[0].code == "profile_too_large"
    assert await store.find(1, [("id", small.id), ("id", large.id)]) == []
    assert await journal_entries(store) == []


# Snapshots

ORIGIN = Origin("token", "dialect", 7, triggers=False)
MEMBERS = (
    MemberChange("/n", 1, 1.0),
    MemberChange("/added", after=None),
    MemberChange("/a~1b", "\x00"),
    MemberChange("/old", after=[True], is_before_known=False),
)
RECORDS = [
    *(
        JournalEntry(0, 1, "a", version, "update", structs.replace(ORIGIN, time=7 + version // 3), MEMBERS)
        for version in range(1, 9)
    ),
    JournalEntry(0, 1, "A", 1, "merge", structs.replace(ORIGIN, time=3, request="r"), ()),
    *(
        Job(id, 5, 2, 1, ("a",), ({"index": 0, "sent": {"b": 1, "a": None}},), (7, "x"), "other")
        for id in ("j", "J", "é")
    ),
    StoredAnswer(IdempotencyKey("/k", "f", until=1), None),
    StoredAnswer(IdempotencyKey("K" * 262, "g", until=9), Profile("a", {"b": 1.0, "a": "\x00"}, 1, 2, 3)),
    StoredAnswer(IdempotencyKey("/0", "h", until=3), Created("b", {}, 1, 2, 3)),
]


async def everything(store: Store, database: int = 1) -> list[Any]:
    """Return all rows of a snapshot, without the positions of the journal."""
    async with store.snapshot() as snapshot:
        sections = (snapshot.profiles, snapshot.jobs, snapshot.journal, snapshot.answers)
        rows = [row for section in sections for row in [each async for each in section(database)]]
        return [structs.replace(row, position=0) if isinstance(row, JournalEntry) else row for row in rows]


async def test_a_snapshot_has_everything_in_one_order(store: Store) -> None:
    profiles = [Profile(id, {"n": 1.0, "a": "\x00"}, 3, 1, 2) for id in ("b", "B", "a", "é")]
    await store.change([change(lambda _: EditResult(None, tuple(Write(None, each) for each in profiles)))])
    await store.prune(before=10_000, limit=100)
    assert await store.restore(1, RECORDS) == len(RECORDS)
    rows = await everything(store)
    assert [each.id for each in rows[:7]] == ["B", "a", "b", "é", "J", "j", "é"]
    assert rows[0] == profiles[1]
    assert rows[4] == RECORDS[10]
    assert rows[7:16] == RECORDS[:9]
    assert rows[16:] == [RECORDS[14], RECORDS[12], RECORDS[13]]
    assert [type(each.profile) for each in rows[16:]] == [Created, type(None), Profile]
    assert await everything(store, 2) == []


async def test_a_snapshot_is_read_from_a_position(store: Store) -> None:
    await store.change(
        [change(lambda _: EditResult(None, tuple(Write(None, Profile(id, {}, 1, 1, 1)) for id in "abc")))]
    )
    await store.restore(1, RECORDS)
    async with store.snapshot() as snapshot:
        assert [each.id async for each in snapshot.profiles(1, "a")] == ["b", "c"]
        assert [each.id async for each in snapshot.jobs(1, "J")] == ["j", "é"]
        positions = [each.position async for each in snapshot.journal(1)]
        assert [each.version async for each in snapshot.journal(1, positions[-5])] == [6, 7, 8, 1]
        assert [each.once.key async for each in snapshot.answers(1, "/0")] == ["/k", "K" * 262]


async def test_a_snapshot_is_of_one_moment(store: Store) -> None:
    await store.change([change(create("a", ANN), ANN)])
    async with store.snapshot() as snapshot:
        await store.change([change(increment(ANN), ANN), change(create("b", BOB), BOB)])
        await store.restore(1, RECORDS)
        assert [each async for each in snapshot.profiles(1)] == [Profile("a", {}, 1, 1000, 1000)]
        assert [each.version async for each in snapshot.journal(1)] == [1]
        assert [each async for each in snapshot.jobs(1)] + [each async for each in snapshot.answers(1)] == []
    assert [each.id for each in (await everything(store))[:2]] == ["a", "b"]


async def test_a_snapshot_has_about_the_number_of_its_rows(store: Store) -> None:
    async with store.snapshot() as snapshot:
        assert await snapshot.size() == 0
    await store.change([change(create(f"p{n}")) for n in range(50)])
    async with store.snapshot() as snapshot:
        assert await snapshot.size() in (0, 100)


async def test_records_are_restored_once(store: Store) -> None:
    assert await store.restore(1, RECORDS[:11]) == 11
    assert await store.restore(1, RECORDS) == len(RECORDS) - 11
    before = await everything(store)
    others = [
        structs.replace(RECORDS[0], members=()),
        replace(RECORDS[9], failed=0),
        StoredAnswer(IdempotencyKey("/k", "other", until=99), Profile("a", {}, 1, 2, 3)),
    ]
    assert await store.restore(1, [*others, *RECORDS]) == 0
    assert await everything(store) == before
    assert await store.restore(2, [structs.replace(RECORDS[0], database=2), *RECORDS[9:]]) == 7


async def test_restored_records_are_found_and_replayed(store: Store) -> None:
    await store.restore(1, RECORDS)
    assert await store.job(1, "j") == RECORDS[9]
    assert structs.replace((await journal_entries(store))[8], position=0) == RECORDS[8]
    [answer] = await store.change([creation_of(1, IdempotencyKey("K" * 262, "g", until=99))])
    assert answer == EditResult(RECORDS[13].profile)
    assert await store.prune(before=10_000, limit=100) == 12


async def test_a_write_without_members_has_no_entry(store: Store) -> None:
    profile = Profile("a", {}, 5, 1, 1)
    for write in (
        Write(None, profile, frozenset([ANN]), members=None),
        Write(profile, None, lost=frozenset([ANN]), members=None),
    ):
        await store.change([change(lambda _, write=write: EditResult(None, (write,)))])
    assert await store.find(1, [ANN, ("id", "a")]) == []
    assert await journal_entries(store) == []


# --- ledgers and erasure ---


def put_ledgers(**ledgers: Ledger | None) -> Change:
    return change(lambda _find: EditResult(None, ledgers=ledgers))


def erase(*ids: str, ledgers: dict[str, Ledger | None] | None = None) -> Change:
    """Return a change that removes and erases profiles, whose person has the address of ANN."""
    erasure = Erasure(frozenset(ids), frozenset({ANN, *(("id", id) for id in ids)}))

    def edit(find: Find) -> EditResult:
        profiles = find([("id", id) for id in ids])
        writes = tuple(Write(profile, None) for profile in profiles)
        return EditResult(next(iter(profiles), None), writes, ledgers=ledgers or {}, erasure=erasure)

    return change(edit)


async def test_a_ledger_is_removed_and_put_in_one_group(store: Store) -> None:
    first, second = Ledger(1, {"": {"unsubscribed": Fact(5, 1)}}), Ledger(2)
    await store.change([put_ledgers(a=first, b=first)])
    await store.change([put_ledgers(a=None, b=second), put_ledgers(a=second, b=None), put_ledgers(c=None)])
    assert await store.ledgers(1, ["a", "b", "c"]) == {"a": second}
    await store.change([put_ledgers(a=None)])
    assert await store.ledgers(1, ["a"]) == {}


async def test_an_edit_finds_no_ledger_that_a_change_before_removed(store: Store) -> None:
    found: list[dict[str, Ledger]] = []

    def look(find: Find) -> EditResult:
        found.append(find.ledgers(["a"]))
        return EditResult(None)

    await store.change([put_ledgers(a=Ledger(1))])
    await store.change([put_ledgers(a=None), change(look)])
    assert found[-1] == {}


async def test_an_erasure_removes_the_answers_with_the_profile(store: Store) -> None:
    keys = [IdempotencyKey(f"key {n}", "same", until=10**6) for n in range(3)]
    await store.change([creation_of(n, key) for n, key in enumerate(keys)])
    erased = structs.replace(erase(f"{1:024x}"), once=IdempotencyKey("erasure", "same", until=10**6))
    repeated = creation_of(4, keys[1], time=6)
    results = await store.change([erased, repeated, creation_of(5, keys[2], time=6)])
    assert [each.profile and each.profile.id[-1] for each in results if isinstance(each, EditResult)] == ["1", "4", "2"]
    [again] = await store.change([erased])
    assert isinstance(again, EditResult)
    assert again.profile is None


async def test_an_erasure_removes_the_person_from_jobs(store: Store) -> None:
    fault = {"code": "ambiguous_match", "detail": "ann@example.com and another", "pointer": "/p", "profile": "ann"}
    rows = [{"email": " x "}, {"email": "Ann@Example.com", "first_name": "Ann"}, {"id": "ann"}]
    failures = tuple({"index": n, "faults": [fault] if n else [], "sent": row} for n, row in enumerate(rows))
    job = Job("j1", 1000, 3, 3, ("ann", "bob"), failures, (7,))
    for each, database in ((job, 1), (replace(job, id="j2", failures=(), profiles=("bob",)), 1), (job, 2)):
        await store.add_job(database, each)
    await store.change([erase("ann")])
    blank = [{"code": "ambiguous_match", "detail": "", "pointer": "/p", "profile": ""}]
    kept = (failures[0], *({"index": n, "faults": blank, "sent": {}} for n in (1, 2)))
    assert await store.job(1, "j1") == replace(job, profiles=("bob",), failures=kept)
    assert await store.job(1, "j2") == replace(job, id="j2", failures=(), profiles=("bob",))
    assert await store.job(2, "j1") == job


async def test_an_erasure_and_its_ledgers_are_one_step(store: Store) -> None:
    await store.change([put_ledgers(a=Ledger(1)), change(create("ann", ANN))])
    await store.change([erase("ann", ledgers={"a": None, "hash": Ledger(1)})])
    assert await store.ledgers(1, ["a", "hash"]) == {"hash": Ledger(1)}
    assert await store.find(1, [("id", "ann")]) == []


def record_opt_out(*addresses: str) -> Edit:
    """Count the opt-outs of addresses in their ledgers."""

    def edit(find: Find) -> EditResult:
        before = find.ledgers(addresses)
        time.sleep(PAUSE)
        numbers = {address: before.get(address, Ledger()).number + 1 for address in addresses}
        ledgers: dict[str, Ledger | None] = {
            address: Ledger(number, {"": {"unsubscribed": Fact(5, number)}}) for address, number in numbers.items()
        }
        return EditResult(None, ledgers=ledgers)

    return edit


async def test_ledgers_are_isolated_and_of_one_database(store: Store) -> None:
    await each_alone(store, *(change(record_opt_out("a", "b"), database=1 + number % 2) for number in range(40)))
    expected = {each: Ledger(20, {"": {"unsubscribed": Fact(5, 20)}}) for each in "ab"}
    for database in (1, 2):
        assert await store.ledgers(database, ["b", "a", "c", "a"]) == expected
    assert await store.ledgers(3, ["a"]) == {}


async def test_a_ledger_is_stored_with_its_profile_or_not_at_all(store: Store) -> None:
    written = structs.replace(creation("a", ANN), ledgers={"a": Ledger(1)})
    unwritable = structs.replace(creation("b", BOB, thing=object()), ledgers={"b": Ledger(1)})
    failing: Any = change(lambda _: unwritable)
    refused: Any = change(increment(PHONE))
    results = await each_alone(store, change(lambda _: written), failing, refused)
    assert [type(each) for each in results][::2] == [EditResult, Refusal]
    assert isinstance(results[1], TypeError)
    assert await store.ledgers(1, ["a", "b"]) == {"a": Ledger(1)}
    assert [profile.id for profile in await store.find(1, [ANN, BOB])] == ["a"]


async def test_a_replayed_change_writes_no_ledger_again(store: Store) -> None:
    once = IdempotencyKey("key", "same", until=10**6)
    repeated = structs.replace(change(record_opt_out("a")), once=once)
    for _ in range(2):
        await store.change([repeated, repeated])
    assert (await store.ledgers(1, ["a"]))["a"].number == 1


async def test_a_dry_run_sees_earlier_ledgers_and_stores_none(store: Store) -> None:
    await store.change([change(record_opt_out("a"))])
    edits = [record_opt_out("a", "b"), record_opt_out("b")]
    [result] = await store.change([change(dry_run_edit(edits, Overlay(), document_text))])
    assert isinstance(result, DryRunResult)
    numbers = [{address: ledger.number for address, ledger in each.ledgers.items()} for each in result.outcomes]
    assert numbers == [{"a": 2, "b": 1}, {"b": 2}]
    assert {address: each.number for address, each in (await store.ledgers(1, ["a", "b"])).items()} == {"a": 1}


async def test_edits_that_run_together_store_their_ledgers_all_or_none(store: Store) -> None:
    missing = alter(PHONE, dict)
    await store.change([change(atomic_edit([record_opt_out("a"), missing]))])
    assert await store.ledgers(1, ["a"]) == {}
    await store.change([change(atomic_edit([record_opt_out("a"), record_opt_out("a", "b")]))])
    assert {address: each.number for address, each in (await store.ledgers(1, ["a", "b"])).items()} == {"a": 2, "b": 1}


async def test_a_snapshot_has_the_ledgers_of_its_moment_in_order(store: Store) -> None:
    addresses = ["b", "a", "é", "x" * 500]
    await store.change([change(record_opt_out(*addresses)), change(record_opt_out("z"), database=2)])
    async with store.snapshot() as snapshot:
        await store.change([change(record_opt_out("a", "c"))])
        rows = [each async for each in snapshot.ledgers(1)]
        assert [(each.address, each.ledger.number) for each in rows] == [(each, 1) for each in sorted(addresses)]
        assert [each.address async for each in snapshot.ledgers(1, "b")] == ["x" * 500, "é"]

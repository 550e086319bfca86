"""The contract of every store, for the entries of merges, their undo, and removals. Each test runs on every engine."""

import pytest
from msgspec.structs import replace

from gateway.core.journal import creation, removal
from gateway.core.model import Change, EditResult, Find, JournalEntry, MemberChange, Profile, RecordedMerge, Write
from gateway.stores.protocol import Store
from tests.stores import ANN, BOB, change, create, increment, journal_entries, remove
from tests.test_stores import store  # noqa: F401  # a fixture

pytestmark = pytest.mark.anyio


def merge(destination: str, source: str) -> Change:
    """Merge a profile into another one, and remove it."""

    def edit(find: Find) -> EditResult:
        [before], [other] = find([("id", destination)]), find([("id", source)])
        after = replace(before, document={**other.document, **before.document}, version=before.version + 1)
        id = f"{destination}-{after.version}"
        members = (MemberChange("", before.document, after.document),)
        own = Write(before, after, members=members, kind="merge", merge=id, replay={"sources": [source], "n": 1.5})
        replay = {"created": other.created}
        gone = Write(other, None, members=removal(other.document), kind="merge", merge=id, replay=replay)
        return EditResult(after, (gone, own))

    return change(edit, ("id", destination), ("id", source))


def undo(id: str, destination: str, source: str) -> Change:
    """Undo a merge: the source exists again."""

    def edit(find: Find) -> EditResult:
        [before] = find([("id", destination)])
        after, back = replace(before, version=before.version + 1), Profile(source, {}, 3, 1000, 2000)
        writes = Write(before, after, kind="split", merge=id), Write(None, back, members=creation({}), kind="split")
        return EditResult(after, (writes[0], replace(writes[1], merge=id)))

    return change(edit, ("id", destination), ("id", source))


@pytest.fixture
async def entries(store: Store) -> list[JournalEntry]:  # noqa: F811
    """The entries of two merges, of which the first one is undone: b into a, and d into c. Others are in between."""
    await store.change([change(create(id, ("email", id), name=id)) for id in "abcd"])
    await store.change([merge("a", "b"), change(increment(("email", "c")))])
    await store.change([change(create("a", ("email", "a"), name="a"), database=2)])
    await store.change([merge("c", "d")])
    await store.change([undo("a-2", "a", "b")])
    return await journal_entries(store)


async def test_a_merge_has_the_entries_of_its_profiles_and_of_its_undo(
    store: Store,  # noqa: F811
    entries: list[JournalEntry],
) -> None:
    assert [(each.profile, each.kind, each.merge) for each in entries[4:]] == [
        ("b", "merge", "a-2"),
        ("a", "merge", "a-2"),
        ("c", "update", None),
        ("d", "merge", "c-3"),
        ("c", "merge", "c-3"),
        ("a", "split", "a-2"),
        ("b", "split", "a-2"),
    ]
    first = await store.merge(1, "a-2")
    assert first == [*entries[4:6], *entries[9:]]
    assert [each.replay for each in first] == [{"created": 1000}, {"sources": ["b"], "n": 1.5}, None, None]
    assert await store.merge(1, "c-3") == entries[7:9]
    for database, id in ((2, "a-2"), (1, "a-3"), (1, "A-2"), (1, "")):
        assert await store.merge(database, id) == []


async def test_merges_are_returned_by_their_destinations_the_newest_first(
    store: Store,  # noqa: F811
    entries: list[JournalEntry],
) -> None:
    first, second = RecordedMerge(entries[5], is_undone=True), RecordedMerge(entries[8], is_undone=False)
    assert await store.merges(1, None, 10) == [second, first]
    assert await store.merges(1, None, 1) == [second]
    assert await store.merges(1, second.entry.position, 10) == [first]
    assert await store.merges(1, first.entry.position, 10) == []
    assert await store.merges(1, 10**40 - 1, 10) == [second, first]  # the highest number of a cursor
    for profile, found in (("a", [first]), ("b", [first]), ("c", [second]), ("d", [second]), ("e", [])):
        assert await store.merges(1, None, 10, profile) == found
    assert await store.merges(1, second.entry.position, 10, "d") == []
    assert await store.merges(2, None, 10) == []


async def test_a_merge_without_its_entries_is_unknown(store: Store, entries: list[JournalEntry]) -> None:  # noqa: F811
    assert await store.prune(1001, 100) == len(entries) + 1
    assert await store.merge(1, "a-2") == []
    assert await store.merges(1, None, 10) == []


async def test_removals_are_returned_by_position(store: Store) -> None:  # noqa: F811
    await store.change(
        [change(create(id, name, name=id)) for id, name in (("a", ANN), ("b", BOB), ("c", ("email", "c")))]
    )
    await store.change([change(create("a", ANN), database=2), change(remove(ANN, ANN), database=2)])
    await store.change([change(remove(BOB, BOB)), change(increment(ANN)), merge("a", "c"), change(remove(ANN, ANN))])
    bob, ann = [each for each in await journal_entries(store) if each.kind == "remove"]
    assert (bob.profile, ann.profile) == ("b", "a")
    assert await store.removals(1, 0, 10) == [bob, ann]
    assert await store.removals(1, 0, 1) == [bob]
    assert await store.removals(1, bob.position, 10) == [ann]
    assert await store.removals(1, ann.position, 10) == []
    assert [each.profile for each in await store.removals(2, 0, 10)] == ["a"]

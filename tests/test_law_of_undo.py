"""The law of undo: after a merge, some writes and the undo, all profiles are what they are without the merge.

Each write since the merge belongs to the profile that owned what it was matched by, else to the one that it was written
to. Where that profile does not accept it, the undo is refused and changes nothing.
"""

import asyncio
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import hypothesis
import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from gateway.core.faults import Refusal
from gateway.core.matching import identities
from gateway.core.model import Document, EditResult, Update
from tests.undo.world import TABLES, World, repeat, worlds
from tests.undo.writes import MERGES, UPDATES, profiles

SEQUENCES = 10_000 if os.environ.get("HYPOTHESIS_PROFILE") == "laws" else 100
SETTINGS = hypothesis.settings(
    max_examples=SEQUENCES,
    deadline=None,
    suppress_health_check=list(hypothesis.HealthCheck),
    report_multiple_bugs=False,
    phases=[hypothesis.Phase.explicit, hypothesis.Phase.generate, hypothesis.Phase.shrink],
)

THREE = st.tuples(profiles(0), profiles(1), profiles(2))
WRITES = st.lists(UPDATES, max_size=8)


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as runner:
        yield runner


@pytest.mark.law
@SETTINGS
@given(
    documents=THREE,
    before=WRITES,
    options=MERGES,
    sources=st.sampled_from(([1], [1, 2])),
    since=st.lists(UPDATES, min_size=1, max_size=8),
)
def test_an_undo_restores_what_would_be_without_the_merge(
    documents: Sequence[Document],
    before: Sequence[Update],
    options: dict[str, Any],
    sources: Sequence[int],
    since: Sequence[Update],
    runner: asyncio.Runner,
) -> None:
    async def check() -> None:
        merged, unmerged = worlds(2)
        await begin((merged, unmerged), documents, before)
        result = await merged.merge(0, sources, options)
        if isinstance(result, Refusal):
            event("the merge is refused")
            return
        participants = frozenset({"p0", *(f"p{each}" for each in sources)})
        refusing = await write_to_all(since, (merged,), {unmerged: participants})
        await undo_and_compare(merged, unmerged, unmerged not in refusing)

    runner.run(check())


NOTHING_MOVES = {"move_subscriptions": False, "move_segments": False, "remove_sources": False}
BY_EMAIL = {"mode": "email", "values": {"email": "bob@example.com"}}
BY_PHONE = {"mode": "phone", "values": {"phone": "+12025550123"}}


@pytest.mark.law
@SETTINGS
@hypothesis.example(  # the address that is kept belongs to the other profile of the merge, and not without the merge
    documents=(
        {"email": "ann@example.com", "external_id": "x0"},
        {"email": "bob@example.com", "external_id": "x1", "phone_numbers": ["+12025550123"]},
        {"email": "eve@example.com", "external_id": "x2"},
    ),
    before=[],
    options=(NOTHING_MOVES, NOTHING_MOVES),
    later=(0, 2),
    writes=(
        [],
        [],
        [
            {"match": BY_EMAIL, "profile": {"email": "ann@example.com", "external_id": "x0", "phone_numbers": []}},
            {"match": BY_PHONE, "profile": {"email": "bob@example.com"}, "on_conflict": {"email": "keep"}},
        ],
    ),
)
@hypothesis.example(  # the address that is kept belongs to a profile of the second merge, which is undone by then
    documents=(
        {"email": "ann@example.com", "external_id": "x0"},
        {"email": "bob@example.com", "external_id": "x1"},
        {"email": "eve@example.com", "external_id": "x2"},
    ),
    before=[],
    options=(NOTHING_MOVES, NOTHING_MOVES),
    later=(0, 2),
    writes=(
        [],
        [],
        [
            {
                "match": {"mode": "email", "values": {"email": "ann@example.com"}},
                "profile": {"email": "eve@example.com"},
                "on_conflict": {"email": "keep"},
            }
        ],
    ),
)
@hypothesis.example(  # without the merge, the write gains what another profile has too, and its rule rejects that
    documents=(
        {"email": "ann@example.com", "external_id": "x0"},
        {"email": "bob@example.com", "external_id": "x1", "custom": {"customer_id": "c1"}},
        {"email": "eve@example.com", "external_id": "x2", "custom": {"customer_id": "c2"}},
    ),
    before=[],
    options=(NOTHING_MOVES, NOTHING_MOVES),
    later=(0, 2),
    writes=(
        [],
        [
            {
                "match": {"mode": "external_id", "values": {"external_id": "x2"}},
                "patch": [{"op": "add", "path": "/custom/customer_id", "value": "c1"}],
            },
            {"match": {"mode": "profile_id", "values": {"profile_id": "p1"}}, "replace": ["custom"]},
        ],
        [
            {
                "match": {"mode": "email", "values": {"email": "ann@example.com"}},
                "profile": {"custom": {"customer_id": "c1"}},
                "on_conflict": {"custom": "reject"},
            }
        ],
    ),
)
@given(
    documents=THREE,
    before=WRITES,
    options=st.tuples(MERGES, MERGES),
    later=st.sampled_from(((0, 2), (2, 0), (1, 2), (2, 1), (1, 0))),
    writes=st.tuples(WRITES, WRITES, WRITES),
)
def test_the_undo_of_two_merges_restores_what_would_be_without_them(
    documents: Sequence[Document],
    before: Sequence[Update],
    options: tuple[dict[str, Any], dict[str, Any]],
    later: tuple[int, int],
    writes: tuple[Sequence[Update], Sequence[Update], Sequence[Update]],
    runner: asyncio.Runner,
) -> None:
    """A profile of the first merge is merged again, and the merges are undone in reverse, with writes in between."""

    async def check() -> None:
        twice, once, never = worlds(3)
        await begin((twice, once, never), documents, before)
        first = frozenset({"p0", "p1"})
        for one in (twice, once):
            if isinstance(await one.merge(0, [1], options[0]), Refusal):
                event("the first merge is refused")
                return
        merge = await twice.last_merge()
        refusing = await write_to_all(writes[0], (twice, once), {never: first})
        result = await twice.merge(later[0], [later[1]], options[1])
        if isinstance(result, Refusal) or await twice.last_merge() == merge:
            event("the second merge is refused, or has nothing to merge")
            return
        second = frozenset(await twice.participants(await twice.last_merge()))
        refusing |= await write_to_all(writes[1], (twice,), {once: second, never: first | second})
        await require_refusal(twice, merge, "undo_conflict")
        if await undo_and_compare(twice, once, once not in refusing):
            refusing |= await write_to_all(writes[2], (twice, once), {never: first})
            await undo_and_compare(twice, never, never not in refusing)

    runner.run(check())


async def begin(worlds: Sequence[World], documents: Sequence[Document], writes: Sequence[Update]) -> None:
    """Fill worlds in the same way."""
    for one in worlds:
        await one.fill(documents)
        for update in writes:
            one.time += 1
            await one.update(update)
        one.time += 1


async def write_to_all(
    writes: Sequence[Update], merged: Sequence[World], unmerged: Mapping[World, frozenset[str]]
) -> set[World]:
    """Carry out writes in worlds that are the same, and in worlds without the merges of some profiles.

    Return those of the latter that do not accept what the former do.
    """
    refusing = set()
    for update in writes:
        time = merged[0].time + 1
        for one in (*merged, *unmerged):
            one.time = time
        [result, *_] = [await one.update(update) for one in merged]
        event(_outcome(result, frozenset().union(*unmerged.values())))
        for one, participants in unmerged.items():
            if isinstance(result, EditResult) and await repeat(update, result, participants, one):
                refusing.add(one)
    return refusing


def _outcome(result: EditResult | Refusal, participants: frozenset[str]) -> str:
    """Return what a write did, for the statistics."""
    if isinstance(result, Refusal):
        return f"a write is refused: {result.faults[0].code}"
    written = {write.after.id for write in result.writes if write.after and write.members}
    return "a write changes a merged profile" if written & participants else "a write changes none of the profiles"


IDS = ("p0", "p1", "p2")


async def is_taken(merged: World, unmerged: World) -> bool:
    """Return whether a profile outside the merge got an identifier that a profile of it would have again."""
    own = await merged.participants(await merged.last_merge())
    present = {id: identities(each.document, TABLES) for id, each in (await merged.profiles(IDS)).items()}
    back = {id: identities(each.document, TABLES) for id, each in (await unmerged.profiles(IDS)).items()}
    gained = frozenset().union(*(back[id] for id in own)) - frozenset().union(*(present.get(id, ()) for id in own))
    others = frozenset().union(*(names for id, names in present.items() if id not in own))
    return any(kind.partition("/")[0] in TABLES.unique for kind, _ in gained & others)


async def undo_and_compare(merged: World, unmerged: World, is_possible: bool) -> bool:
    """Undo the last merge, and compare everything with the world without it. Return whether it can be undone."""
    merged.time += 1
    before = await merged.documents(IDS)
    merge = await merged.last_merge()
    own = sorted(await merged.participants(merge))
    if not is_possible:
        event("the undo is refused")
        await require_refusal(merged, merge, "undo_conflict")
        return False
    if await is_taken(merged, unmerged):
        event("another profile has an identifier")
        await require_refusal(merged, merge, "identifier_taken")
        return False
    await merged.undo(merge)
    event("the undo is complete")
    assert await merged.documents(own) == await unmerged.documents(own)
    others = sorted(before.keys() - own)
    assert await merged.documents(others) == {id: before[id] for id in others}
    found = (await unmerged.profiles(own)).values()
    names = sorted({name for each in found for name in identities(each.document, TABLES)})
    assert await merged.found_by(own, names) == await unmerged.found_by(own, names)
    stricter, strict = await merged.statuses(own), await unmerged.statuses(own)
    assert {place: status for place, status in strict.items() if stricter.get(place, -1) < status} == {}
    return True


async def require_refusal(merged: World, merge: str, code: str) -> None:
    """Assert that the undo of a merge is refused, and changes nothing."""
    before = await merged.documents(IDS)
    with pytest.raises(Refusal, match=code):
        await merged.undo(merge)
    assert await merged.documents(IDS) == before

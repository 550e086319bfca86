"""Laws of edits: the edit that knows what it touches equals the general one, and its journal entry leads both ways."""

import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.core import apply, edit
from gateway.core.difference import difference
from gateway.core.edit import EditContext, UpdateEdit
from gateway.core.faults import Refusal
from gateway.core.journal import backward_patch, document_after, document_before, forward_patch
from gateway.core.matching import identities
from gateway.core.model import (
    Address,
    Database,
    Document,
    EditResult,
    Find,
    Identity,
    JournalEntry,
    Ledger,
    MemberChange,
    Origin,
    Profile,
    Write,
)
from gateway.schema.compiled import CompiledSchema

IDENTIFIER = {"type": "string", "x-identifier": True}
SCHEMA = CompiledSchema(Database(1, "one", fields={"type": "object", "properties": {"customer_id": IDENTIFIER}}), {})
TABLES = SCHEMA.tables

ANN: Identity = ("email", "ann@example.com")

scalars = st.none() | st.booleans() | st.sampled_from([0, 1, 1.0, -0.0, 2, "", "1", "x", "Perm"])
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("ab~/"), inner), max_leaves=4
)
texts = st.sampled_from([None, "x", "Perm", "Osa"])
emails = st.sampled_from(["ann@example.com", "Ann@Example.com", "bob@example.com", "no address"])
phones = st.sampled_from(["+79511059000", "+7 951 105-90-00", "+79511059001"])
statuses = st.sampled_from([None, -1, 0, 1, 3, "subscribed", "unsubscribed", "complained", "hardbounced", "suspended"])


def members(**optional: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=optional)


profiles = members(
    email=st.none() | emails,
    phone_numbers=st.none() | st.lists(phones, max_size=2),
    given_name=texts,
    external_id=st.sampled_from([None, "one", "two"]),
    address=st.none() | members(locality=texts, region=texts),
    custom=st.none() | members(customer_id=st.sampled_from([None, "7", "8"]), a=values, b=values),
    klaviyo=st.none() | members(properties=members(a=values), external=values),
    courier=st.none() | members(a=members(b=scalars), c=values),
)


def subscription(**status: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    places = [
        {"channel": "email", "email": "ann@example.com"},
        {"channel": "email", "email": "Ann@Example.com"},
        {"channel": "sms", "phone": "+79511059000"},
        {"channel": "push", "provider": "p", "subscription_id": "1"},
        {"channel": "telegram_bot", "cc_data": {"id": 1}},
    ]
    more = members(resource_id=st.sampled_from([1, 2]), **status)
    return st.builds(lambda place, more: {**place, **more}, st.sampled_from(places), more)


edits = subscription(
    deleted=st.just(True),
    status=statuses,
    priority=st.sampled_from([-1, 1, 1.0, True]),
    custom_fields=members(a=values),
)
own = st.sampled_from(["/custom/a", "/custom/b", "/courier/c", "/klaviyo/properties/a"])
lists = st.lists(st.sampled_from([1, True, "x"]), max_size=2)


def operation(name: str, pointer: st.SearchStrategy[str], value: st.SearchStrategy[Any], **more: Any) -> Any:
    fixed = {name: st.just(each) for name, each in more.items()}
    return st.fixed_dictionaries({"function": st.just(name), "pointer": pointer, "value": value, **fixed})


operations = st.one_of(
    operation("set", own, values),
    operation("set", st.sampled_from(["/given_name", "/address/locality"]), texts),
    operation("incr", own, st.integers(0, 3)),
    operation("add", own, lists),
    operation("delete", own, lists),
    operation("add", st.just("/phone_numbers"), st.lists(phones)),
    operation("set_first", st.just("/phone_numbers"), st.lists(phones, max_size=2)),
    operation("upsert", own, values, submatch="a.b"),
)
updates = st.fixed_dictionaries(
    {"match": st.just({"mode": "email", "values": {"email": "ann@example.com"}}), "if_absent": st.just("create")},
    optional={
        "profile": profiles,
        "operations": st.lists(operations, max_size=3),
        "subscriptions": st.lists(edits, max_size=3),
        "remove_subscriptions": st.lists(subscription(), min_size=1, max_size=2),
        "segments": members(add=st.lists(st.sampled_from([1, "s"])), remove=st.lists(st.sampled_from([1, "s"]))),
        "set_once": st.lists(own | st.just("/given_name"), max_size=2),
        "replace": st.lists(st.sampled_from(["given_name", "custom", "email", "subscriptions"]), max_size=3),
        "string_members": st.just(["given_name", "custom"]),
        "timestamps": st.just(["/klaviyo/properties/at"]),
        "suppressions": members(add=st.lists(subscription(), max_size=1), remove=st.lists(subscription(), max_size=1)),
    },
)


def run(update: dict[str, Any], profile: Profile | None, ledgers: dict[Address, Ledger]) -> EditResult | list[Any]:
    """Return the result of an update, or the faults of its refusal."""

    def find_ledgers(addresses: Sequence[Address]) -> dict[Address, Ledger]:
        return {each: ledgers[each] for each in addresses if each in ledgers}

    context = EditContext(TABLES, SCHEMA.validate_profile, lambda document, _patch: document, "p1", 1000)
    find = Find(lambda _identities: [profile] if profile else [], find_ledgers, lambda: bool(ledgers))
    try:
        return UpdateEdit(update, (ANN,), context)(find)
    except Refusal as refusal:
        return list(refusal.faults)


@pytest.fixture(scope="module")
def general() -> Any:
    """Return the general edit: every member is compared, every subscription merged, every ledger read."""

    def run_general(*arguments: Any) -> EditResult | list[Any]:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(edit, "touched_members", lambda _update: None)
            patch.setattr(edit, "may_change_consent", lambda _update, _find: True)
            patch.setattr(apply, "MAX_COMPARISONS", -1)
            return run(*arguments)

    return run_general


@given(st.lists(updates, min_size=1, max_size=5))
@settings(max_examples=400, deadline=None)
def test_the_edit_of_touched_members_equals_the_general_edit(general: Any, several: list[dict[str, Any]]) -> None:
    profile: Profile | None = None
    ledgers: dict[Address, Ledger] = {}
    for update in several:
        result, other = run(update, profile, ledgers), general(update, profile, ledgers)
        if isinstance(result, list) or isinstance(other, list):
            assert result == other
            continue
        assert result.ledgers == other.ledgers
        assert [_plain(each) for each in result.writes] == [_plain(each) for each in other.writes]
        for write in result.writes:
            check_write(write)
        profile = result.profile and Profile("p1", result.profile.document, result.profile.version, 1000, 1000)
        ledgers |= {address: ledger for address, ledger in result.ledgers.items() if ledger is not None}


def _plain(write: Write) -> Any:
    """Return a write in a form that distinguishes 1, 1.0 and true."""
    changes = sorted(map(repr, write.members or ()))
    return write.after and json.dumps(write.after.document), write.gained, write.lost, changes, write.kind


def keys(document: Document) -> frozenset[Identity]:
    """Return the identities of a document, and the segments that list it."""
    return identities(document, TABLES).union(("segment", str(each)) for each in document.get("segments", ()))


def check_write(write: Write) -> None:
    """Check that a write alters something, has the identities of its documents, and leads both ways."""
    before, after = (profile.document if profile else None for profile in (write.before, write.after))
    had, has = map(keys, (before or {}, after or {}))
    assert (write.gained, write.lost) == (has - had, had - has)
    assert write.members
    entry = entry_of(*write.members)
    assert _exactly(document_after(before, entry)) == _exactly(after)
    assert _exactly(document_before(after, [entry])) == _exactly(before)
    if before is not None and after is not None:
        assert _paths(forward_patch(entry)) == _paths(difference(before, after))
        assert _paths(backward_patch(entry)) == _paths(difference(after, before))


def entry_of(*changes: MemberChange) -> JournalEntry:
    return JournalEntry(1, 1, "p1", 1, "update", Origin("t", "d", 0), changes)


def _exactly(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


def _paths(patch: list[dict[str, Any]]) -> list[str]:
    return sorted(map(_exactly, patch))


@given(profiles, profiles)
def test_a_document_as_of_an_earlier_time_is_reached_through_several_entries(
    first: dict[str, Any], second: dict[str, Any]
) -> None:
    changes = [
        (MemberChange("", after=first),),
        tuple(edit.member_changes(first, second)),
        (MemberChange("", before=second),),
    ]
    entries = [entry_of(*each) for each in changes]
    assert document_before(None, reversed(entries[2:])) == second
    assert _exactly(document_before(None, reversed(entries[1:]))) == _exactly(first)
    assert document_before(None, reversed(entries)) is None


HELD = {"channel": "email", "email": "ann@example.com", "resource_id": 1, "priority": 1, "custom_fields": {"a": [True]}}


@pytest.mark.parametrize(
    ("change", "is_stored"),
    [
        ({}, True),
        ({"resource_id": None}, False),
        ({"priority": True}, False),
        ({"priority": 1.0}, False),
        ({"custom_fields": {"a": [1]}}, False),
        ({"custom_fields": {"a": [True]}}, True),
        ({"status": "subscribed"}, False),
    ],
)
def test_a_subscription_that_is_stored_as_it_is_changes_nothing(change: dict[str, Any], is_stored: bool) -> None:
    edited = {name: value for name, value in {**HELD, **change}.items() if value is not None}
    before = {"subscriptions": [HELD]}
    after, faults = apply.apply_update(before, {"subscriptions": [edited]})
    assert faults == []
    assert (after is before) is is_stored
    assert is_stored or _exactly(after["subscriptions"][-1]) == _exactly(edited)


def test_an_edit_restores_a_deleted_subscription() -> None:
    before = {"subscriptions": [{**HELD, "deleted": True}]}
    assert apply.apply_update(before, {"subscriptions": [HELD]}) == ({"subscriptions": [HELD]}, [])
    assert apply.apply_update(before, {"subscriptions": [{**HELD, "deleted": True}]})[0] is before

"""What each dialect renders for a vendor is what it parses: the identity on what the vendor can say."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from gateway.core.difference import member_changes
from gateway.core.model import MemberChange
from gateway.dialects.outgoing import Path as Place
from gateway.dialects.outgoing import ProfileState, Target
from gateway.feed.relay.states import all_members, touched_members
from tests.far_side import OUTGOING, RESOURCE, TARGETS, far_side, sayable
from tests.klaviyo_openapi import assert_valid

ID = "0123456789abcdef01234567"
DIALECTS = ("altcraft", "courier", "klaviyo")

texts = st.text(st.characters(codec="utf-8", categories=["L", "N", "P", "S"]), min_size=1, max_size=12)
names = st.text("abcdefghij_", min_size=1, max_size=8).map(lambda name: f"my_{name}")
leaves = st.one_of(texts, st.integers(-1000, 1000), st.booleans())
values = st.one_of(
    leaves, st.lists(leaves, min_size=1, max_size=3), st.dictionaries(names, leaves, min_size=1, max_size=3)
)
emails, phones = (
    st.sampled_from([f"person{number}@example.com" for number in range(4)]),
    st.sampled_from([f"+1202555010{number}" for number in range(4)]),
)
statuses = st.sampled_from(["subscribed", "unsubscribed"])
subscriptions = st.one_of(
    st.fixed_dictionaries(
        {"channel": st.just("email"), "email": emails, "status": statuses}, optional={"resource_id": st.just(RESOURCE)}
    ),
    st.fixed_dictionaries(
        {
            "channel": st.just("push"),
            "provider": st.just("ios-apns"),
            "subscription_id": st.sampled_from(["t1", "t2"]),
            "status": st.just("subscribed"),
        },
        optional={"resource_id": st.just(RESOURCE)},
    ),
)


choices = st.fixed_dictionaries(
    {"status": st.sampled_from(["OPTED_IN", "OPTED_OUT"])},
    optional={
        "has_custom_routing": st.booleans(),
        "custom_routing": st.lists(st.sampled_from(["sms", "push"]), max_size=2),
    },
)
topics = st.dictionaries(st.sampled_from(["news", "sales/all", "ж"]), choices, min_size=1)
tenants = st.sampled_from(["acme", "b&c"])
users = st.fixed_dictionaries(
    {},
    optional={
        "topics": topics,
        "tenant_topics": st.dictionaries(tenants, topics, min_size=1),
        "tenants": st.dictionaries(tenants, st.just({}) | st.just({"profile": {"a": 1}}), min_size=1),
    },
).filter(bool)

list_choices = st.dictionaries(
    st.sampled_from(["n1", "ж/2"]),
    st.fixed_dictionaries(
        {"status": st.sampled_from(["OPTED_IN", "OPTED_OUT"])},
        optional={"channel_preferences": st.just([{"channel": "sms"}])},
    ),
)
memberships = st.fixed_dictionaries(
    {},
    optional={
        "preferences": st.fixed_dictionaries({}, optional={"notifications": list_choices, "categories": list_choices})
    },
)


def key(subscription: Mapping[str, Any]) -> str:
    return str([each for name, each in sorted(subscription.items()) if name != "status"])


def with_own_address(document: dict[str, Any]) -> dict[str, Any]:
    """Return a document that is subscribed at its own address."""
    found = [
        {**each, "email": document["email"]} if "email" in each else each for each in document.get("subscriptions", ())
    ]
    unique = {key(each): each for each in found}
    return {**document, "subscriptions": [*unique.values()]} if found else document


def with_memberships_of_segments(document: dict[str, Any]) -> dict[str, Any]:
    """Return a document without memberships of segments that it is not in."""
    segments = {*map(str, document.get("segments", ()))}
    found = {segment: each for segment, each in document.pop("memberships", {}).items() if segment in segments}
    return {**document, "memberships": found} if found else document


def documents_of(values: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Return documents whose own fields have these values."""
    return st.fixed_dictionaries(
        {"external_id": st.just("customer-1"), "email": emails},
        optional={
            **dict.fromkeys(("given_name", "family_name", "middle_name", "nickname", "locale", "picture"), texts),
            "gender": st.sampled_from(["male", "female", "another"]),
            "phone_numbers": st.lists(phones, min_size=1, max_size=1),
            "address": st.dictionaries(
                st.sampled_from(["locality", "region", "country", "postal_code"]), texts, min_size=1
            ),
            "custom": st.dictionaries(names, values, min_size=1, max_size=4),
            "subscriptions": st.lists(subscriptions, min_size=1, max_size=3, unique_by=key),
            "segments": st.lists(st.integers(1, 5), min_size=1, max_size=3, unique=True).map(sorted),
            "memberships": st.dictionaries(st.integers(1, 5).map(str), memberships, min_size=1),
            "courier_users": users,
        },
    ).map(lambda document: with_memberships_of_segments(with_own_address(document)))


documents = documents_of(values)


def state(document: dict[str, Any], touched: Mapping[Place, list[Any]], vendor_id: str | None) -> ProfileState:
    return ProfileState(ID, document, list(touched), touched, vendor_id, time=1_767_225_600_000)


def expected(document: dict[str, Any], dialect: str, before: Mapping[str, Any] = {}) -> dict[str, Any]:
    """Return what the vendor has after a document was sent."""
    said = sayable(document, dialect)
    if dialect == "klaviyo" and document["email"] == before.get("email"):
        ended = [each for each in sayable(before, dialect).get("subscriptions", ()) if not said.get("subscriptions")]
        said["subscriptions"] = [each.replace(" subscribed", " unsubscribed") for each in ended] or said.get(
            "subscriptions"
        )
    if dialect == "altcraft" and said.get("gender") == "another":
        del said["gender"]
    if dialect == "klaviyo":
        properties = {name: document[name] for name in ("middle_name", "nickname", "gender") if name in document}
        said["custom"] = {**said.get("custom", {}), **properties}
    return {name: value for name, value in said.items() if value}


@pytest.mark.parametrize("dialect", DIALECTS)
@settings(max_examples=15, phases=(Phase.explicit, Phase.reuse, Phase.generate))  # an example takes a tenth of a second
@given(before=documents, after=documents)
def test_what_is_rendered_is_parsed_as_the_same_profile(
    dialect: str, before: dict[str, Any], after: dict[str, Any]
) -> None:
    async def run() -> None:
        async with far_side(dialect) as far:
            vendor_id = await far.bring(state(before, all_members(before), None), TARGETS[dialect])
            [there] = await far.documents()
            assert sayable(there, dialect) == expected(before, dialect)
            touched = touched_members(member_changes(before, after))
            for _ in range(2):  # a repeated request changes nothing
                await far.bring(state(after, touched, vendor_id), TARGETS[dialect])
                [there] = await far.documents()
                assert sayable(there, dialect) == expected(after, dialect, before)

    asyncio.run(run())


@settings(max_examples=30, phases=(Phase.explicit, Phase.generate))
@given(document=documents, before=documents)
def test_every_request_to_klaviyo_is_valid_by_its_openapi(document: dict[str, Any], before: dict[str, Any]) -> None:
    outgoing, target = OUTGOING["klaviyo"], Target()
    now = {**document, "segments": [1]}
    touched = touched_members(member_changes(before, now))
    requests = [
        *outgoing.render_change(state(now, all_members(now), ID), target).requests,
        *outgoing.render_change(state(now, touched, ID), target).requests,
        *outgoing.render_removal(state(now, {}, ID), target, False).requests,
        *outgoing.render_removal(state(now, {}, ID), target, True).requests,
        *outgoing.render_merge(ID, ID[::-1], target, True),
    ]
    checked = {assert_valid(each.method, each.path, each.tree) for each in requests}
    assert checked >= {"/api/profile-import", "/api/profile-merge", "/api/data-privacy-deletion-jobs"}


def test_a_profile_that_is_new_there_ends_no_opt_out_of_a_topic() -> None:
    subscribed = {"channel": "email", "email": "a@example.com", "resource_id": RESOURCE, "status": "subscribed"}
    topics = {"news": {"status": "OPTED_IN"}, "sales": {"status": "OPTED_OUT"}}
    document = {"external_id": "ann", "subscriptions": [subscribed], "courier_users": {"topics": topics}}
    members, target = all_members(document), Target(topics={str(RESOURCE): "terms"})
    new = ProfileState(ID, document, list(members), members, is_consent=False)
    rendered = OUTGOING["courier"].render_change(new, target)
    sent = [(each.path, each.tree) for each in rendered.requests[1:]]
    assert sent == [("/users/ann/preferences/sales", {"topic": {"status": "OPTED_OUT"}})]
    assert rendered.skipped == ["/courier_users/topics", "/subscriptions"]


def test_only_topics_that_were_touched_are_sent() -> None:
    before = {"external_id": "ann", "courier_users": {"topics": {"news": {"status": "OPTED_IN"}}}}
    more = {"news": {"status": "OPTED_IN"}, "sales": {"status": "OPTED_OUT"}}
    changes = (
        ("/courier_users/topics/sales", None, more["sales"], ["sales"]),
        ("/courier_users/topics", before["courier_users"]["topics"], more, ["news", "sales"]),
        ("/courier_users", None, {"topics": more}, ["news", "sales"]),
    )
    document = {"external_id": "ann", "courier_users": {"topics": more}}
    for pointer, former, after, topics in changes:
        touched = touched_members([MemberChange(pointer, former, after)])
        rendered = OUTGOING["courier"].render_change(state(document, touched, "ann"), Target())
        paths = [each.path for each in rendered.requests[1:]]
        assert paths == [f"/users/ann/preferences/{topic}" for topic in topics], pointer

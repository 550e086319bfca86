"""Choices of messages through a relay to Courier: preferences of lists, topics and their opt-outs."""

from typing import Any

import httpx
import pytest

from gateway.core.model import MemberChange
from gateway.dialects.outgoing import ProfileState, Target
from gateway.feed.relay.states import all_members, touched_members
from tests.far_side import OUTGOING, SECRET, FarSide
from tests.relay_pair import PERSON, Faulty, Pair, lived, retry_beyond_max_age, write

USER = PERSON["external_id"]
LISTS = f"/profiles/{USER}/lists"


def preferences(**statuses: str) -> dict[str, Any]:
    return {"notifications": {name: {"status": f"OPTED_{status}"} for name, status in statuses.items()}}


NEWS = {"preferences": preferences(news="IN", sales="OUT")}
MEMBER = {"external_id": USER, "segments": ["other", "promo"], "memberships": {"promo": NEWS, "other": {"created": 1}}}


def rendered(
    document: dict[str, Any], *changes: MemberChange, vendor_id: str | None = USER, copied: bool = False
) -> Any:
    """Return the paths and bodies of the requests after that of the profile, and what is skipped."""
    touched = touched_members(changes) if changes else all_members(document)
    state = ProfileState("id", document, list(touched), touched, vendor_id, is_copied=copied)
    found = OUTGOING["courier"].render_change(state, Target())
    return [(each.path, each.tree) for each in found.requests[1:]], found.skipped


@pytest.mark.parametrize(("vendor_id", "copied"), [(None, False), (USER, True)])
def test_a_profile_that_is_new_there_ends_no_opt_out_of_a_list(vendor_id: str | None, copied: bool) -> None:
    promo = {"listId": "promo", "preferences": preferences(sales="OUT")}
    skipped = ["/memberships/promo/preferences"]
    sent = [(LISTS, {"lists": [{"listId": "other"}, promo]})]
    assert rendered(MEMBER, vendor_id=vendor_id, copied=copied) == (sent, skipped)
    wanted = {**MEMBER, "memberships": {"promo": {"preferences": preferences(news="IN")}}}
    joined = [(LISTS, {"lists": [{"listId": "other"}, {"listId": "promo"}]})]
    assert rendered(wanted, vendor_id=vendor_id, copied=copied) == (joined, skipped)


def test_only_memberships_whose_preferences_were_touched_are_sent() -> None:
    sent = [(LISTS, {"lists": [{"listId": "promo", **NEWS}]})]
    place = "/memberships/promo"
    for change in (
        MemberChange(place, {"created": 1}, NEWS),
        MemberChange(place, None, NEWS),
        MemberChange(f"{place}/preferences", None, NEWS["preferences"]),
        MemberChange(f"{place}/preferences/notifications/sales/status", "OPTED_IN", "OPTED_OUT"),
        MemberChange("/memberships", {"other": {"created": 1}}, MEMBER["memberships"]),
    ):
        assert rendered(MEMBER, change) == (sent, []), change.pointer
    assert rendered(MEMBER, MemberChange(f"{place}/updated", 1, 2)) == ([], [])
    without = {**MEMBER, "memberships": {"promo": {"created": 1}}}
    reset = [(LISTS, {"lists": [{"listId": "promo", "preferences": {}}]})]
    assert rendered(without, MemberChange(f"{place}/preferences", NEWS["preferences"])) == (reset, [])


def test_digests_and_what_only_a_push_token_has_are_counted() -> None:
    topic = {"status": "OPTED_OUT", "digest": "daily"}
    tokens = {"dDE": {"recorded": 1, "device": {"model": "x"}}, "dDI": {"recorded": 1}}
    users = {"topics": {"news": topic}, "tenant_topics": {"acme": {"news": topic}}, "tokens": tokens}
    requests, skipped = rendered({"external_id": USER, "courier_users": users})
    assert [body for _, body in requests] == [{"topic": {"status": "OPTED_OUT"}}] * 2
    names = ("topics/digest", "tenant_topics/digest", "tokens")
    assert skipped == [f"/courier_users/{name}" for name in names]
    removed = MemberChange("/courier_users/tokens/dDE", tokens["dDE"])
    assert rendered({"external_id": USER, "courier_users": {"tokens": {"dDI": {}}}}, removed) == ([], [])


# --- through a relay ---


async def put(near: FarSide, path: str, tree: dict[str, Any] | None = None, method: str = "PUT") -> None:
    async with httpx.AsyncClient(transport=near.transport, base_url="http://near") as client:
        headers = {"authorization": f"Bearer {SECRET}"}
        answer = await client.request(method, path, json=tree, headers=headers)
        assert answer.status_code < 300, answer.text


SUBSCRIPTION, TOPIC = f"/lists/promo/subscriptions/{USER}", f"/users/{USER}/preferences/news"


def test_preferences_of_a_list_arrive_and_leave_with_it() -> None:
    async def work(found: Pair, _network: Faulty) -> None:
        await write(found.near, "courier", "p1", {}, PERSON)
        await found.catch_up()
        await put(found.near, "/lists/promo", {"name": "Promo"})
        for sent in (preferences(news="IN", sales="OUT"), preferences(news="OUT"), {}):
            await put(found.near, SUBSCRIPTION, {"preferences": sent})
            await found.catch_up()
            [there] = await found.far.documents()
            assert there["segments"] == ["promo"]
            assert there["memberships"]["promo"].get("preferences", {}) == sent
        await put(found.near, "/lists/promo", method="DELETE")  # members of an archived list are still sent
        await put(found.near, f"/profiles/{USER}", {"profile": {"locale": "de"}}, "POST")
        await found.catch_up()
        [there] = await found.far.documents()
        assert there["segments"] == ["promo"]
        await put(found.near, SUBSCRIPTION, method="DELETE")
        await found.catch_up()
        [there] = await found.far.documents()
        assert "promo" not in [*there.get("segments", []), *there.get("memberships", {})]
        assert await found.dead() == []

    lived(work)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (SUBSCRIPTION, lambda status: {"preferences": preferences(news=status)}),
        (TOPIC, lambda status: {"topic": {"status": f"OPTED_{status}"}}),
    ],
)
def test_an_opt_out_is_sent_before_what_waits_and_before_a_later_opt_in(path: str, body: Any) -> None:
    async def work(found: Pair, network: Faulty) -> None:
        for person in (PERSON, {**PERSON, "external_id": "other", "email": "other@example.com"}):
            await write(found.near, "courier", person["external_id"], {}, person)
        await found.catch_up()
        network.seen.clear()
        await put(found.near, "/profiles/other", {"profile": {"locale": "de"}}, "POST")
        for status in ("OUT", "IN"):
            await put(found.near, path, body(status))
        await put(found.near, f"/profiles/{USER}", {"profile": {"locale": "de"}}, "POST")
        await found.catch_up()
        sent = [each.url.path for each in network.seen]
        out, back = [index for index, each in enumerate(network.seen) if b"OPTED" in each.content]
        assert b"OPTED_OUT" in network.seen[out].content
        assert b"OPTED_IN" in network.seen[back].content
        assert out < sent.index("/profiles/other")

    lived(work)


def test_an_opt_out_of_a_list_is_tried_for_as_long_as_it_may_pass() -> None:
    async def work(found: Pair, network: Faulty) -> None:
        await write(found.near, "courier", "p1", {}, PERSON)
        await found.catch_up()
        await put(found.near, SUBSCRIPTION, {"preferences": preferences(news="OUT")})
        await retry_beyond_max_age(found, network)
        [there] = await found.far.documents()
        assert there["memberships"]["promo"]["preferences"] == preferences(news="OUT")

    lived(work)

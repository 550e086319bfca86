"""Consent that one call writes and another one shows, and what a privacy deletion forgets.

The facts of an address have their law in `test_law_of_consent.py`.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import unquote

import pytest

from tests.consent.calls import job
from tests.consent.klaviyo_consent import suppression
from tests.consent.world import KLAVIYO, TOKEN, World, serving, world

EMAIL, PHONE = "ann@example.com", "+12025550123"
PERSON = {"type": "profile", "attributes": {"email": EMAIL}}
PUSH_TOKEN = {
    "token": "a81c264a938b475",
    "platform": "ios",
    "vendor": "apns",
    "enablement_status": "AUTHORIZED",
    "background": "AVAILABLE",
}


def run(work: Callable[[World], Awaitable[None]]) -> None:
    async def opened() -> None:
        async with serving() as gateway, world(gateway) as one:
            await work(one)

    asyncio.run(opened())


async def write(one: World, path: str, tree: Any, media: str = "json", **headers: str) -> Any:
    """Make a call of Klaviyo that succeeds. Return the tree of its answer."""
    answer = await one.send("POST", path, tree, {**KLAVIYO, **headers}, media)
    assert answer.is_success, answer
    return answer.tree


async def consent(one: World, consent: str, subscriptions: Any, media: str = "json", **identifiers: str) -> None:
    """Run a job that subscribes or unsubscribes one profile."""
    kind = "create" if consent == "SUBSCRIBED" else "delete"
    person = {"type": "profile", "attributes": {**identifiers, "subscriptions": subscriptions}}
    tree = job(f"profile-subscription-bulk-{kind}-job", {"profiles": {"data": [person]}})
    await write(one, f"/api/profile-subscription-bulk-{kind}-jobs", tree, media)


async def subscriptions(one: World) -> Any:
    """Return the consent of the only profile, as Klaviyo's view shows it."""
    await one.read()
    [attributes] = one.klaviyo.values()
    return attributes["subscriptions"]


@pytest.mark.parametrize("media", ["json", "xml"])
@pytest.mark.parametrize("value", ["SUBSCRIBED", "UNSUBSCRIBED"])
@pytest.mark.parametrize(
    ("channel", "identifiers"), [("email", {"email": EMAIL}), ("sms", {"phone_number": PHONE})], ids=["email", "sms"]
)
def test_the_time_of_a_consent_is_that_of_the_request(
    channel: str, identifiers: dict[str, str], value: str, media: str
) -> None:
    async def work(one: World) -> None:
        await consent(one, value, {channel: {"marketing": {"consent": value}}}, media, **identifiers)
        marketing = (await subscriptions(one))[channel]["marketing"]
        assert marketing["consent"] == value
        assert (marketing["consent_timestamp"] or "").startswith("2027-")

    run(work)


@pytest.mark.parametrize("media", ["json", "xml"])
@pytest.mark.parametrize(
    ("channel", "kind"),
    [("sms", "transactional"), ("email", "open_tracking"), ("whatsapp", "marketing"), ("whatsapp", "transactional")],
)
def test_each_kind_of_consent_can_be_read_back(channel: str, kind: str, media: str) -> None:
    async def work(one: World) -> None:
        change = {channel: {kind: {"consent": "SUBSCRIBED"}}}
        await consent(one, "SUBSCRIBED", change, media, email=EMAIL, phone_number=PHONE)
        assert (await subscriptions(one))[channel][kind]["consent"] == "SUBSCRIBED"
        change = {channel: {kind: {"consent": "UNSUBSCRIBED"}}}
        await consent(one, "UNSUBSCRIBED", change, media, email=EMAIL, phone_number=PHONE)
        assert (await subscriptions(one))[channel][kind]["consent"] == "UNSUBSCRIBED"

    run(work)


@pytest.mark.parametrize(("state", "can_receive"), [("AUTHORIZED", True), ("DENIED", False)])
def test_a_push_token_is_a_consent_to_mobile_push(state: str, can_receive: bool) -> None:
    async def work(one: World) -> None:
        token = {**PUSH_TOKEN, "enablement_status": state, "profile": {"data": PERSON}}
        await write(one, "/api/push-tokens", job("push-token", token))
        push = (await subscriptions(one))["mobile_push"]["marketing"]
        assert push["can_receive_push_marketing"] is can_receive
        assert isinstance(push["consent"], str)

    run(work)


@pytest.mark.parametrize("media", ["json", "xml"])
def test_a_job_subscribes_push_tokens(media: str) -> None:
    async def work(one: World) -> None:
        push = {"push": {"marketing": {"consent": "SUBSCRIBED"}, "tokens": [PUSH_TOKEN]}}
        await consent(one, "SUBSCRIBED", push, media, email=EMAIL)
        await one.read()
        [id] = one.klaviyo
        found = await one.send("GET", f"/api/profiles/{id}/push-tokens", headers=KLAVIYO)
        assert [row["attributes"]["token"] for row in found.tree["data"]] == [PUSH_TOKEN["token"]]

    run(work)


async def delete(one: World) -> None:
    await write(one, "/api/data-privacy-deletion-jobs", job("data-privacy-deletion-job", {"profile": {"data": PERSON}}))


@pytest.mark.parametrize("media", ["json", "xml"])
def test_an_answer_that_is_stored_under_a_key_is_deleted_with_its_profile(media: str) -> None:
    async def work(one: World) -> None:
        tree = {"token": TOKEN, "db_id": 1, "email": EMAIL, "data": {"email": EMAIL}}
        key = {"idempotency-key": "one"}
        first = await one.send("POST", "/api/v1.1/profiles/import", tree, key, media)
        await delete(one)
        again = await one.send("POST", "/api/v1.1/profiles/import", tree, key, media)
        assert first.tree["profile_id"] != again.tree.get("profile_id")

    run(work)


def test_the_failures_of_a_job_are_deleted_with_the_profile() -> None:
    async def work(one: World) -> None:
        await write(one, "/api/profile-import", {"data": PERSON})
        bad = {"type": "profile", "attributes": {"email": EMAIL, "first_name": "Zoe", "location": {"latitude": 91}}}
        tree = job("profile-bulk-import-job", {"profiles": {"data": [bad]}})
        created = await write(one, "/api/profile-bulk-import-jobs", tree)
        path = f"/api/profile-bulk-import-jobs/{created['data']['id']}/import-errors"
        assert "Zoe" in str((await one.send("GET", path, headers=KLAVIYO)).tree)
        await delete(one)
        found = await one.send("GET", path, headers=KLAVIYO)
        assert "Zoe" not in str(found.tree)
        assert EMAIL not in str(found.tree)

    run(work)


@pytest.mark.parametrize("sign", ["", "-"])
@pytest.mark.parametrize("sort", ["id", "email", "subscriptions.email.marketing.suppression.timestamp"])
@pytest.mark.parametrize("since", ["", "greater-than(subscriptions.email.marketing.suppression.timestamp,2024-01-01)"])
def test_pages_by_suppression_skip_and_repeat_no_profile(sort: str, sign: str, since: str) -> None:
    async def work(one: World) -> None:
        for number in range(7):
            person = {"type": "profile", "attributes": {"email": f"p{number}@example.com"}}
            await write(one, "/api/profile-import", {"data": person})
        for number in (5, 1, 4):
            tree = suppression("suppression-bulk-create-job", f"p{number}@example.com")
            await write(one, *tree)
        path: str | None = f"/api/profiles?page[size]=2&sort={sign}{sort}" + (f"&filter={since}" if since else "")
        emails: list[str] = []
        while path:
            found = await one.send("GET", path, headers=KLAVIYO)
            emails += [row["attributes"]["email"] for row in found.tree["data"]]
            path = unquote(found.tree["links"].get("next", "")).removeprefix("http://gateway.example")
        suppressed = [f"p{number}@example.com" for number in (5, 1, 4)]
        everybody = [f"p{number}@example.com" for number in range(7)]
        if sort not in ("id", "email"):
            expected = [*([] if since else [each for each in everybody if each not in suppressed]), *suppressed]
        else:
            expected = sorted(suppressed) if since else everybody
        assert emails == (expected[::-1] if sign else expected)

    run(work)


def test_a_later_opt_out_ends_what_a_job_subscribed_for_everybody() -> None:
    """Transactional consent belongs to the phone: the opt-out is written to each profile that has it."""

    async def work(one: World) -> None:
        for email in ("a@example.com", "b@example.com"):
            tree = {"token": TOKEN, "db_id": 1, "email": email, "data": {"email": email, "phones": [PHONE]}}
            await write(one, "/api/v1.1/profiles/import", tree)
            change = {"sms": {"transactional": {"consent": "SUBSCRIBED"}}}
            await consent(one, "SUBSCRIBED", change, email=email, phone_number=PHONE)
        change = {"sms": {"transactional": {"consent": "UNSUBSCRIBED"}}}
        await consent(one, "UNSUBSCRIBED", change, phone_number=PHONE)
        await one.read()
        shown = [each["subscriptions"]["sms"]["transactional"] for each in one.klaviyo.values()]
        assert [each["consent"] for each in shown] == ["UNSUBSCRIBED", "UNSUBSCRIBED"]

    run(work)


# --- the global status of Altcraft's ---


async def altcraft(one: World, path: str, media: str = "json", **members: Any) -> None:
    """Make a call of Altcraft's about the person that succeeds."""
    tree = {"token": TOKEN, "db_id": 1, "email": EMAIL, **members}
    answer = await one.send("POST", f"/api/v1.1/profiles/{path}", tree, None, media)
    assert answer.is_success, answer


async def can_receive_email(one: World) -> bool:
    """Return whether Klaviyo's view shows the only profile as mailable."""
    email: dict[str, Any] = (await subscriptions(one))["email"]["marketing"]
    return bool(email["can_receive_email_marketing"])


@pytest.mark.parametrize("media", ["json", "xml"])
@pytest.mark.parametrize("status", ["unsubscribed", "complained", "hardbounced", "invalid", 3])
def test_a_global_status_outlives_its_profile_at_its_email(status: Any, media: str) -> None:
    async def work(one: World) -> None:
        await consent(one, "SUBSCRIBED", {"email": {"marketing": {"consent": "SUBSCRIBED"}}}, email=EMAIL)
        assert await can_receive_email(one)
        await altcraft(one, "import", media, data={"_status": status})
        await altcraft(one, "delete", media)
        await altcraft(one, "import", media, data={"_fname": "Ann"})
        assert not await can_receive_email(one)
        await consent(one, "SUBSCRIBED", {"email": {"marketing": {"consent": "SUBSCRIBED"}}}, email=EMAIL)
        assert await can_receive_email(one) == (status in ("unsubscribed", "complained"))

    run(work)


@pytest.mark.parametrize("status", ["subscribed", "unconfirmed", "suspended"])
def test_a_global_status_that_is_no_opt_out_ends_with_its_profile(status: str) -> None:
    async def work(one: World) -> None:
        await altcraft(one, "import", data={"_status": status})
        await altcraft(one, "delete")
        await altcraft(one, "import", data={"_fname": "Ann"})
        assert await can_receive_email(one)

    run(work)


def test_a_deletion_keeps_the_consent_of_others_with_the_phone() -> None:
    async def work(one: World) -> None:
        await altcraft(one, "import", data={"_status": "complained", "phones": [PHONE]})
        await altcraft(one, "import", email="bob@example.com", data={"phones": [PHONE]})
        sms = {"sms": {"marketing": {"consent": "SUBSCRIBED"}}}
        await consent(one, "SUBSCRIBED", sms, email="bob@example.com", phone_number=PHONE)
        await altcraft(one, "delete")
        assert (await subscriptions(one))["sms"]["marketing"]["can_receive_sms_marketing"]

    run(work)

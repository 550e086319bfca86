"""PyPI trycourier 9.x, both clients: call every profile method and print its name."""

import asyncio
import inspect
import os
from typing import Any

from courier import APIStatusError, AsyncCourier, ConflictError, Courier, NotFoundError

ADDRESS = {"api_key": os.environ["COURIER_KEY"], "base_url": os.environ["COURIER_URL"]}
ID = "py9/a b%2Fc"


USER_RESOURCES = ("tokens", "preferences", "tenants")
"""The resources of users, whose methods are all called."""

LIST_METHODS = (
    *(f"lists.{name}" for name in ("list", "retrieve", "update", "delete", "restore")),
    "tenants.list_users",
    *(f"subscriptions.{name}" for name in ("list", "add", "subscribe_user", "unsubscribe_user")),
)


async def result_of(result: Any) -> Any:
    """Return the result of a call of the synchronous or the asynchronous client."""
    return await result if inspect.isawaitable(result) else result


async def error_body(kind: type[APIStatusError], call: Any, *arguments: Any, **named: Any) -> Any:
    """Return the body of the error of this kind that a call raises."""
    try:
        await result_of(call(*arguments, **named))
    except kind as error:
        return error.body
    raise AssertionError("there was no error")


async def check_calls(client: Any) -> None:
    profiles, recipient = client.profiles, f"{ID} {type(client).__name__}"
    created = await result_of(
        profiles.create(recipient, profile={"email": "a@example.com", "slack": {"channel": "C1"}})
    )
    assert created.status == "SUCCESS"
    await result_of(
        profiles.create(recipient, profile={"phone_number": "555-555-5555", "slack": {"access_token": "x"}})
    )
    found = await result_of(profiles.retrieve(recipient))
    slack = {"channel": "C1", "access_token": "x"}
    assert found.profile == {"email": "a@example.com", "phone_number": "555-555-5555", "slack": slack}, found
    replaced = await result_of(profiles.replace(recipient, profile={"name": "A", "custom": {"n": [1, None]}}))
    assert replaced.status == "SUCCESS"
    patch = [{"op": "replace", "path": "/name", "value": "B"}, {"op": "add", "path": "/custom/n/-", "value": "x"}]
    await result_of(profiles.update(recipient, patch=patch))
    found = await result_of(profiles.retrieve(recipient))
    assert found.profile == {"name": "B", "custom": {"n": [1, None, "x"]}}, found
    await check_lists(profiles, recipient)
    await check_users(client, recipient)
    await check_subscriptions(client, recipient)
    await check_archive(client, recipient)
    await check_errors(profiles, recipient)


async def check_lists(profiles: Any, recipient: str) -> None:
    preferences = {"categories": {"c": {"status": "OPTED_OUT"}}}
    lists = [{"list_id": "example.news", "preferences": preferences}, {"list_id": "17"}]
    subscribed = await result_of(profiles.lists.subscribe(recipient, lists=lists, idempotency_key=f"lists {recipient}"))
    assert subscribed.status == "SUCCESS"
    again = await result_of(profiles.lists.subscribe(recipient, lists=lists, idempotency_key=f"lists {recipient}"))
    assert again.status == "SUCCESS"
    page = await result_of(profiles.lists.retrieve(recipient))
    assert [one.id for one in page.results] == ["17", "example.news"], page
    assert page.results[1].preferences.categories["c"].status == "OPTED_OUT"
    assert page.paging.more is False
    assert page.results[0].created
    assert (await result_of(profiles.lists.delete(recipient))).status == "SUCCESS"
    assert not (await result_of(profiles.lists.retrieve(recipient))).results


async def check_users(client: Any, user: str) -> None:
    """Check tokens, preferences and tenants of a user."""
    tokens, preferences, tenants = client.users.tokens, client.users.preferences, client.users.tenants
    device = {"platform": "ios", "app_id": "shop"}
    await result_of(tokens.add_single("t/1", user_id=user, provider_key="apn", device=device, expiry_date=False))
    many = {"tokens": [{"token": "t2", "provider_key": "firebase-fcm"}]}
    await result_of(tokens.add_multiple(user, extra_body=many))
    assert {each.token for each in (await result_of(tokens.list(user))).tokens} == {"t/1", "t2"}
    patch = [{"op": "replace", "path": "/status", "value": "revoked"}]
    await result_of(tokens.update("t/1", user_id=user, patch=patch))
    found = await result_of(tokens.retrieve("t/1", user_id=user))
    assert (found.status, found.device.app_id) == ("revoked", "shop"), found
    await result_of(tokens.delete("t/1", user_id=user))
    absent = await error_body(NotFoundError, tokens.retrieve, "t/1", user_id=user)
    assert absent["message"] == "Token not found", absent

    topic = {"status": "OPTED_OUT", "has_custom_routing": True, "custom_routing": ["email"]}
    await result_of(preferences.update_or_create_topic("news", user_id=user, topic=topic))
    one = await result_of(preferences.retrieve_topic("news", user_id=user))
    assert (one.topic.status, one.topic.custom_routing) == ("OPTED_OUT", ["email"]), one
    set_ = await result_of(preferences.bulk_update(user, topics=[{"topic_id": "jobs", "status": "OPTED_OUT"}]))
    assert [each.topic_id for each in set_.items] == ["jobs"]
    assert len((await result_of(preferences.retrieve(user))).items) == 2
    await result_of(preferences.delete_topic("news", user_id=user))
    replaced = await result_of(preferences.bulk_replace(user, topics=[]))
    assert replaced.deleted == ["jobs"], replaced

    await result_of(tenants.add_single("acme", user_id=user, profile={"title": "Dr"}))
    await result_of(tenants.add_multiple(user, tenants=[{"tenant_id": "beta"}]))
    assert [each.tenant_id for each in (await result_of(tenants.list(user))).items] == ["acme", "beta"]
    assert [each.user_id for each in (await result_of(client.tenants.list_users("acme"))).items] == [user]
    await result_of(tenants.remove_single("acme", user_id=user))
    await result_of(tenants.remove_all(user))
    assert not (await result_of(tenants.list(user))).items


async def check_subscriptions(client: Any, user: str) -> None:
    """Check the lists that users are in."""
    subscriptions, list_id = client.lists.subscriptions, "sub.scriptions"
    await result_of(subscriptions.subscribe_user(user, list_id=list_id))
    await result_of(subscriptions.add(list_id, recipients=[{"recipient_id": f"{user} 2"}]))
    page = await result_of(subscriptions.list(list_id))
    assert {each.recipient_id for each in page.items} == {user, f"{user} 2"}, page
    assert (await result_of(client.lists.retrieve(list_id))).id == list_id
    assert not (await result_of(client.lists.list())).items
    for each in (user, f"{user} 2"):
        await result_of(subscriptions.unsubscribe_user(each, list_id=list_id))
    absent = await error_body(NotFoundError, client.lists.retrieve, list_id)
    assert absent["message"] == "List not found", absent


async def check_archive(client: Any, user: str) -> None:
    """Check that a list is named, archived and restored with its recipients."""
    lists, list_id = client.lists, f"vip/{type(client).__name__}"
    preferences = {"categories": {}, "notifications": {"n": {"status": "OPTED_IN"}}}
    await result_of(lists.update(list_id, name="VIP", preferences=preferences))
    await result_of(lists.subscriptions.subscribe_user(user, list_id=list_id))
    [listed] = (await result_of(lists.list())).items
    assert (listed.id, listed.name, listed.created is not None) == (list_id, "VIP", True), listed
    for _ in range(2):
        await result_of(lists.delete(list_id))
    assert not (await result_of(lists.list())).items
    await error_body(NotFoundError, lists.retrieve, list_id)
    await error_body(ConflictError, lists.subscriptions.subscribe_user, "another", list_id=list_id)
    for _ in range(2):
        await result_of(lists.restore(list_id))
    assert (await result_of(lists.retrieve(list_id))).name == "VIP"
    page = await result_of(lists.subscriptions.list(list_id))
    assert [each.recipient_id for each in page.items] == [user], page
    await result_of(lists.delete(list_id))
    await error_body(NotFoundError, lists.restore, "nowhere")


async def check_errors(profiles: Any, recipient: str) -> None:
    key = f"create {recipient}"
    await result_of(profiles.create(recipient, profile={"name": "once"}, idempotency_key=key))
    conflict = await error_body(
        ConflictError, profiles.create, recipient, profile={"name": "twice"}, idempotency_key=key
    )
    assert conflict["type"] == "invalid_request_error", conflict
    await result_of(profiles.delete(recipient))
    absent = await error_body(NotFoundError, profiles.retrieve, recipient)
    assert absent == {"message": "Profile not found", "type": "invalid_request_error"}, absent


def main() -> None:
    asyncio.run(check_calls(Courier(**ADDRESS)))
    asyncio.run(check_calls(AsyncCourier(**ADDRESS)))
    methods_called = {"create", "retrieve", "update", "delete", "replace"}
    list_methods_called = {"retrieve", "delete", "subscribe"}
    client = Courier(**ADDRESS)
    assert methods_called == methods(client.profiles) - {"lists"}
    assert list_methods_called == methods(client.profiles.lists)
    users = [f"{name}.{method}" for name in USER_RESOURCES for method in sorted(methods(getattr(client.users, name)))]
    print(*sorted(methods_called), *sorted(f"lists.{name}" for name in list_methods_called), *users, *LIST_METHODS)


def methods(resource: Any) -> set[str]:
    return {name for name in dir(resource) if not name.startswith(("_", "with_"))}


main()

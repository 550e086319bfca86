"""PyPI trycourier 6.x, both clients: call every profile method and print its name."""

import asyncio
import inspect
import os
from typing import Any

from courier.client import AsyncCourier, Courier
from courier.core.api_error import ApiError
from courier.profiles.types import SubscribeToListsRequest, SubscribeToListsRequestListObject, UserProfilePatch

ADDRESS = {"authorization_token": os.environ["COURIER_KEY"], "base_url": os.environ["COURIER_URL"]}
CALLED = {
    *("get", "create", "replace", "merge_profile", "delete"),
    *("get_list_subscriptions", "subscribe_to_lists", "delete_list_subscription"),
}


async def result_of(result: Any) -> Any:
    """Return the result of a call of the synchronous or the asynchronous client."""
    return await result if inspect.isawaitable(result) else result


async def status_of(call: Any, *arguments: Any) -> int | None:
    """Return the status of the error that a call raises."""
    try:
        await result_of(call(*arguments))
    except ApiError as error:
        return error.status_code
    return None


async def check_calls(client: Any) -> None:
    profiles, recipient = client.profiles, f"py6 {type(client).__name__}"
    await result_of(profiles.create(recipient, profile={"email": "a@example.com"}, idempotency_key=f"once {recipient}"))
    await result_of(profiles.create(recipient, profile={"phone_number": "555-555-5555", "apn": "t"}))
    found = await result_of(profiles.get(recipient))
    assert found.profile == {"email": "a@example.com", "phone_number": "555-555-5555", "apn": "t"}, found
    await result_of(profiles.replace(recipient, profile={"name": "A", "custom": {"n": 1}}))
    await result_of(
        profiles.merge_profile(recipient, request=[UserProfilePatch(op="replace", path="/name", value="B")])
    )
    found = await result_of(profiles.get(recipient))
    assert found.profile == {"name": "B", "custom": {"n": 1}}, found
    lists = SubscribeToListsRequest(lists=[SubscribeToListsRequestListObject(list_id="example.news")])
    await result_of(profiles.subscribe_to_lists(recipient, request=lists))
    page = await result_of(profiles.get_list_subscriptions(recipient))
    assert [(one.id, one.name) for one in page.results] == [("example.news", "example.news")], page
    await result_of(profiles.delete_list_subscription(recipient))
    assert not (await result_of(profiles.get_list_subscriptions(recipient, cursor="x"))).results
    await result_of(profiles.delete(recipient))
    assert await status_of(profiles.get, recipient) == 404


asyncio.run(check_calls(Courier(**ADDRESS)))
asyncio.run(check_calls(AsyncCourier(**ADDRESS)))
assert {name for name in dir(Courier(**ADDRESS).profiles) if not name.startswith("_")} == CALLED
print(*sorted(CALLED))

"""PyPI trycourier 6.x, both of its clients: every profile method, once at least. Prints those that passed."""

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


async def done(result: Any) -> Any:
    """What a call gives, of whichever client it is."""
    return await result if inspect.isawaitable(result) else result


async def status_of(call: Any, *arguments: Any) -> int | None:
    """The status of the error with which a call is answered."""
    try:
        await done(call(*arguments))
    except ApiError as error:
        return error.status_code
    return None


async def tell(client: Any) -> None:
    profiles, recipient = client.profiles, f"py6 {type(client).__name__}"
    await done(profiles.create(recipient, profile={"email": "a@example.com"}, idempotency_key=f"once {recipient}"))
    await done(profiles.create(recipient, profile={"phone_number": "555-555-5555", "apn": "t"}))
    found = await done(profiles.get(recipient))
    assert found.profile == {"email": "a@example.com", "phone_number": "555-555-5555", "apn": "t"}, found
    await done(profiles.replace(recipient, profile={"name": "A", "custom": {"n": 1}}))
    await done(profiles.merge_profile(recipient, request=[UserProfilePatch(op="replace", path="/name", value="B")]))
    found = await done(profiles.get(recipient))
    assert found.profile == {"name": "B", "custom": {"n": 1}}, found
    lists = SubscribeToListsRequest(lists=[SubscribeToListsRequestListObject(list_id="example.news")])
    await done(profiles.subscribe_to_lists(recipient, request=lists))
    page = await done(profiles.get_list_subscriptions(recipient))
    assert [(one.id, one.name) for one in page.results] == [("example.news", "example.news")], page
    await done(profiles.delete_list_subscription(recipient))
    assert not (await done(profiles.get_list_subscriptions(recipient, cursor="x"))).results
    await done(profiles.delete(recipient))
    assert await status_of(profiles.get, recipient) == 404


asyncio.run(tell(Courier(**ADDRESS)))
asyncio.run(tell(AsyncCourier(**ADDRESS)))
assert {name for name in dir(Courier(**ADDRESS).profiles) if not name.startswith("_")} == CALLED
print(*sorted(CALLED))

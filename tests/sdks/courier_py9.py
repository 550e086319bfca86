"""PyPI trycourier 9.x, both of its clients: every profile method, once at least. Prints those that passed."""

import asyncio
import inspect
import os
from typing import Any

from courier import APIStatusError, AsyncCourier, ConflictError, Courier, NotFoundError

ADDRESS = {"api_key": os.environ["COURIER_KEY"], "base_url": os.environ["COURIER_URL"]}
ID = "py9/a b%2Fc"


async def done(result: Any) -> Any:
    """What a call gives, of whichever client it is."""
    return await result if inspect.isawaitable(result) else result


async def refusal(kind: type[APIStatusError], call: Any, *arguments: Any, **named: Any) -> Any:
    """The body of the error of that kind with which a call is answered."""
    try:
        await done(call(*arguments, **named))
    except kind as error:
        return error.body
    raise AssertionError("it was taken")


async def tell(client: Any) -> None:
    profiles, recipient = client.profiles, f"{ID} {type(client).__name__}"
    created = await done(profiles.create(recipient, profile={"email": "a@example.com", "slack": {"channel": "C1"}}))
    assert created.status == "SUCCESS"
    await done(profiles.create(recipient, profile={"phone_number": "555-555-5555", "slack": {"access_token": "x"}}))
    found = await done(profiles.retrieve(recipient))
    slack = {"channel": "C1", "access_token": "x"}
    assert found.profile == {"email": "a@example.com", "phone_number": "555-555-5555", "slack": slack}, found
    replaced = await done(profiles.replace(recipient, profile={"name": "A", "custom": {"n": [1, None]}}))
    assert replaced.status == "SUCCESS"
    patch = [{"op": "replace", "path": "/name", "value": "B"}, {"op": "add", "path": "/custom/n/-", "value": "x"}]
    await done(profiles.update(recipient, patch=patch))
    found = await done(profiles.retrieve(recipient))
    assert found.profile == {"name": "B", "custom": {"n": [1, None, "x"]}}, found
    await tell_of_lists(profiles, recipient)
    await tell_of_refusals(profiles, recipient)


async def tell_of_lists(profiles: Any, recipient: str) -> None:
    preferences = {"categories": {"c": {"status": "OPTED_OUT"}}}
    lists = [{"list_id": "example.news", "preferences": preferences}, {"list_id": "17"}]
    subscribed = await done(profiles.lists.subscribe(recipient, lists=lists, idempotency_key=f"lists {recipient}"))
    assert subscribed.status == "SUCCESS"
    again = await done(profiles.lists.subscribe(recipient, lists=lists, idempotency_key=f"lists {recipient}"))
    assert again.status == "SUCCESS"
    page = await done(profiles.lists.retrieve(recipient))
    assert [one.id for one in page.results] == ["17", "example.news"], page
    assert page.results[1].preferences.categories["c"].status == "OPTED_OUT"
    assert page.paging.more is False
    assert page.results[0].created
    assert (await done(profiles.lists.delete(recipient))).status == "SUCCESS"
    assert not (await done(profiles.lists.retrieve(recipient))).results


async def tell_of_refusals(profiles: Any, recipient: str) -> None:
    key = f"create {recipient}"
    await done(profiles.create(recipient, profile={"name": "once"}, idempotency_key=key))
    conflict = await refusal(ConflictError, profiles.create, recipient, profile={"name": "twice"}, idempotency_key=key)
    assert conflict["type"] == "invalid_request_error", conflict
    await done(profiles.delete(recipient))
    absent = await refusal(NotFoundError, profiles.retrieve, recipient)
    assert absent == {"message": "Profile not found", "type": "invalid_request_error"}, absent


def main() -> None:
    asyncio.run(tell(Courier(**ADDRESS)))
    asyncio.run(tell(AsyncCourier(**ADDRESS)))
    called = {"create", "retrieve", "update", "delete", "replace"}
    listed = {"retrieve", "delete", "subscribe"}
    client = Courier(**ADDRESS)
    assert called == methods(client.profiles) - {"lists"}
    assert listed == methods(client.profiles.lists)
    print(*sorted(called), *sorted(f"lists.{name}" for name in listed))


def methods(resource: Any) -> set[str]:
    return {name for name in dir(resource) if not name.startswith(("_", "with_"))}


main()

"""PyPI trycourier 9.x, both clients: call every profile method and print its name."""

import asyncio
import inspect
import os
from typing import Any

from courier import APIStatusError, AsyncCourier, ConflictError, Courier, NotFoundError

ADDRESS = {"api_key": os.environ["COURIER_KEY"], "base_url": os.environ["COURIER_URL"]}
ID = "py9/a b%2Fc"


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
    print(*sorted(methods_called), *sorted(f"lists.{name}" for name in list_methods_called))


def methods(resource: Any) -> set[str]:
    return {name for name in dir(resource) if not name.startswith(("_", "with_"))}


main()

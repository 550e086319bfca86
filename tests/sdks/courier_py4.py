"""PyPI trycourier 4.x, with a token and with Basic: call every profile method and print its name."""

import os
from collections.abc import Callable
from typing import Any

from trycourier import Courier
from trycourier.exceptions import CourierAPIException

URL, KEY = os.environ["COURIER_URL"], os.environ["COURIER_KEY"]
CALLED = {"get", "get_subscriptions", "add", "replace", "merge", "patch"}
ATTRIBUTES = {"base_url", "session", "key", "uri"}


def check_calls(client: Courier, recipient: str) -> None:
    profiles = client.profiles
    assert profiles.merge(recipient, {"email": "a@example.com"}, idempotency_key=recipient) == {"status": "SUCCESS"}
    assert profiles.merge(recipient, {"phone_number": "555-555-5555"}) == {"status": "SUCCESS"}
    found = profiles.get(recipient)
    assert found["profile"] == {"email": "a@example.com", "phone_number": "555-555-5555"}, found
    assert profiles.replace(recipient, {"name": "A"}) == {"status": "SUCCESS"}
    assert profiles.patch(recipient, [{"op": "add", "path": "/sub", "value": "s"}]) == {"status": "SUCCESS"}
    assert profiles.get(recipient)["profile"] == {"name": "A", "sub": "s"}
    assert profiles.add(recipient, {"name": "B"}) == {"status": "SUCCESS"}
    assert profiles.get(recipient)["profile"] == {"name": "B"}
    assert profiles.get_subscriptions(recipient, cursor="x") == {"paging": {"more": False}, "results": []}
    assert message_of(lambda: profiles.get("unknown")) == "Profile not found"


def message_of(call: Callable[[], Any]) -> str | None:
    """Return the message of the error that a call raises."""
    try:
        call()
    except CourierAPIException as error:
        return error.response.json()["message"]
    return None


bearer, basic = Courier(base_url=URL, auth_token=KEY), Courier(base_url=URL, username=KEY, password=" ")
check_calls(bearer, "py4")
check_calls(basic, "py4-basic")
assert {name for name in dir(bearer.profiles) if not name.startswith("_")} - ATTRIBUTES == CALLED
print(*sorted(CALLED))

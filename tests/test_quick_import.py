"""Quick import by forms, which the cases of `fixtures/` do not send."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.stores import open_store
from gateway.testkit.embedded import create_application
from tests.cases import HOST, TOKENS, Case, seed_store, stored_profiles
from tests.test_feed import Conversation, conversed

PATH = "/api/integrations/any/profile_import"
FIELDS = {"token": next(iter(TOKENS)), "db_id": "1", "email": "ann@example.com", "_fname": "Анна"}
MULTIPART = {"content-type": "multipart/form-data; boundary=b"}


def send(folder: Path, path: str = PATH, **request: Any) -> tuple[httpx.Response, list[dict[str, Any]]]:
    """Return the response to one request, and the profiles that are stored afterwards."""
    return asyncio.run(_send(Case(folder, "json", {}), path, request))


async def _send(case: Case, path: str, request: dict[str, Any]) -> tuple[httpx.Response, list[dict[str, Any]]]:
    store = await open_store("memory:", create=True)
    await seed_store(store, case)
    application = create_application(case, store)
    transport = httpx.ASGITransport(application)
    async with (
        application.router.lifespan_context(application),
        httpx.AsyncClient(transport=transport, base_url=f"http://{HOST}") as client,
    ):
        return await client.post(path, **request), await stored_profiles(store)


@pytest.mark.parametrize(
    "request_parts",
    [
        {"data": FIELDS},
        {"files": {name: (None, value) for name, value in FIELDS.items()}},
        {"params": FIELDS},
        {"params": {**FIELDS, "_fname": "Eve"}, "data": {"_fname": "Анна"}},
    ],
    ids=["form", "parts", "url", "form over url"],
)
def test_a_form_is_read(tmp_path: Path, request_parts: dict[str, Any]) -> None:
    response, profiles = send(tmp_path, **request_parts)
    assert (response.status_code, response.headers["content-type"]) == (200, "application/json")
    (profile,) = profiles
    assert profile["document"] == {"email": "ann@example.com", "given_name": "Анна"}
    assert response.json()["profile_id"] == profile["id"]


@pytest.mark.parametrize(
    ("request_parts", "text"),
    [
        ({"data": FIELDS, "files": {"photo": ("photo.png", b"")}}, "a part of the form is not a named field"),
        ({"content": b"no parts", "headers": MULTIPART}, "it is not a form in parts"),
        ({"content": b"", "headers": MULTIPART}, "no token was given"),
        (
            {
                "content": b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\n\xff\r\n--b--\r\n',
                "headers": MULTIPART,
            },
            "a field of the form is not in UTF-8",
        ),
        (
            {"content": b"a=%FF", "headers": {"content-type": "application/x-www-form-urlencoded"}},
            "a parameter is not in UTF-8",
        ),
        (
            {"content": b"a=%00", "headers": {"content-type": "application/x-www-form-urlencoded"}},
            "U+0000 is not allowed in a text",
        ),
        (
            {"content": b"a=1&" * 10_001, "headers": {"content-type": "application/x-www-form-urlencoded"}},
            "the body has more than 10000 elements",
        ),
        ({"content": b"--b\r\n\r\na\r\n--b--", "headers": MULTIPART}, "a part of the form is not a named field"),
        (
            {"content": b"--b--", "headers": {"content-type": "multipart/form-data"}},
            "its Content-Type has no boundary",
        ),
        ({"content": b"a,b", "headers": {"content-type": "text/csv"}}, None),
    ],
)
def test_a_bad_form_is_rejected_and_changes_nothing(
    tmp_path: Path, request_parts: dict[str, Any], text: str | None
) -> None:
    response, profiles = send(tmp_path, **request_parts)
    assert response.status_code in (400, 403) if text else response.status_code == 415
    assert response.json()["error"] == response.status_code
    assert text is None or response.json()["error_text"] == text
    assert profiles == []


def test_other_calls_reject_forms(tmp_path: Path) -> None:
    response, _ = send(tmp_path, "/api/v1.1/profiles/import", data=FIELDS)
    assert response.status_code == 415


FORMS: dict[str, Callable[[dict[str, str]], dict[str, Any]]] = {
    "form": lambda fields: {"data": fields},
    "url": lambda fields: {"params": fields},
    "json": lambda fields: {"json": {**fields, "db_id": 1, "resource_id": 5}},
    "xml": lambda fields: {
        "content": "<xml>" + "".join(f"<{name}>{value}</{name}>" for name, value in fields.items()) + "</xml>",
        "headers": {"content-type": "application/xml"},
    },
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("status", ["unsubscribed", "complained", "hardbounced", "invalid"])
def test_a_resource_lifts_no_opt_out(form: str, status: str) -> None:
    addresses = {"email": "ann@example.com", "phone": "+12025550123"}
    fields = {**FIELDS, **addresses, "resource_id": "5"}

    async def work(gateway: Conversation) -> None:
        async def statuses(email: str) -> list[str]:
            """Send a quick import. Return the statuses of the profile's subscriptions to the resource."""
            request = FORMS[form]({**fields, "email": email})
            assert (await gateway.client.post(PATH, **request)).status_code == 200
            body = {"token": FIELDS["token"], "db_id": 1, "email": email}
            data = (await gateway.client.post("/api/v1.1/profiles/get", json=body)).json()["data"]
            assert data["_fname"] == "Анна"
            return [each["status"] for each in data["subscriptions"] if each.get("resource_id") == 5]

        assert await statuses("ann@example.com") == ["subscribed"] * 2
        rows = [
            {"resource_id": 5, "channel": channel, name: addresses[name], "status": status}
            for channel, name in (("email", "email"), ("sms", "phone"))
        ]
        data = {"email": "ann@example.com", "subscriptions": rows}
        body = {"token": FIELDS["token"], "db_id": 1, "matching": "email", "email": data["email"], "data": data}
        assert (await gateway.client.post("/api/v1.1/profiles/import", json=body)).json()["error"] == 0
        assert await statuses("ann@example.com") == [status] * 2
        assert await statuses("bob@example.com") == ["subscribed", status], "the phone is shared"

    conversed(work)

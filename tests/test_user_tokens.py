"""A token that is bound to one user opens the calls about this user, and nothing else."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from gateway import media
from gateway.core.fingerprint import fingerprint
from gateway.core.model import Token
from gateway.core.rights import OWN_RIGHTS, READ, WRITE
from gateway.dialects import load_dialects
from gateway.dialects.protocol import Call
from gateway.stores.protocol import Store
from tests.hostile.crossed import CANARY, is_of_company, is_of_resource, made
from tests.in_process import gateway_in_memory

pytestmark = pytest.mark.anyio

OPERATOR, OWN, READER = "of-the-operator", "of-one-user", "of-one-user-to-read"

OPEN = {
    "GET /profiles/{recipient_id}",
    "GET /profiles/{recipient_id}/lists",
    "GET /users/{user_id}/tokens",
    "PUT /users/{user_id}/tokens",
    "GET /users/{user_id}/tokens/{token}",
    "PUT /users/{user_id}/tokens/{token}",
    "PATCH /users/{user_id}/tokens/{token}",
    "DELETE /users/{user_id}/tokens/{token}",
    "GET /users/{user_id}/preferences",
    "PUT /users/{user_id}/preferences",
    "POST /users/{user_id}/preferences",
    "GET /users/{user_id}/preferences/{topic_id}",
    "PUT /users/{user_id}/preferences/{topic_id}",
    "DELETE /users/{user_id}/preferences/{topic_id}",
    "GET /users/{user_id}/tenants",
    "PUT /lists/{list_id}/subscriptions/{user_id}",
    "DELETE /lists/{list_id}/subscriptions/{user_id}",
    "PUT /client/lists/{list_id}/subscribe/{user_id}",
    "DELETE /client/lists/{list_id}/unsubscribe/{user_id}",
    "POST /client/q",
}
"""The calls that a user's token opens. Not those that say who a user is, or to which tenants a user belongs."""


def bound(secret: str, user: str, *rights: str) -> Token:
    own = frozenset(OWN_RIGHTS[right] for right in rights)
    return Token(f"id of {secret}", fingerprint(secret), 1, own, 0, user_hash=fingerprint(user))


@asynccontextmanager
async def gateway(user: str = CANARY) -> AsyncIterator[tuple[httpx.AsyncClient, Store]]:
    """Yield a client and the store of a gateway with the user's tokens."""
    async with gateway_in_memory(OPERATOR) as (client, store):
        await store.add_token(bound(OWN, user, READ, WRITE))
        await store.add_token(bound(READER, user, READ))
        yield client, store


def calls() -> list[tuple[str, Call]]:
    """Return every call of every dialect whose credential is a secret token."""
    found = [(dialect.name, call) for dialect in load_dialects({}) for call in dialect.calls]
    return [(name, call) for name, call in found if not (is_of_resource(call) or is_of_company(name, call))]


async def status_of(client: httpx.AsyncClient, name: str, call: Call, secret: str, codec: Any) -> int:
    sent = made(name, call, secret, 1, codec, "header").request
    reply = await client.request(sent.method, sent.path, headers=dict(sent.headers), content=sent.body)
    return reply.status_code


@pytest.mark.parametrize("codec", media.CODECS, ids=lambda codec: codec.name)
async def test_it_opens_the_calls_about_its_user(codec: Any) -> None:
    async with gateway() as (client, _):
        await client.post(f"/profiles/{CANARY}", headers=operator(), json={"profile": {}})
        refused = [
            f"{call.method} {call.path}"
            for name, call in calls()
            if await status_of(client, name, call, OWN, codec) == 403
        ]
    every = {f"{call.method} {call.path}" for _, call in calls()}
    assert every - {*refused} == OPEN


@pytest.mark.parametrize("codec", media.CODECS, ids=lambda codec: codec.name)
async def test_no_call_about_another_user_opens(codec: Any) -> None:
    async with gateway("another") as (client, store):
        for name, call in calls():
            assert await status_of(client, name, call, OWN, codec) == 403, call.path
        async with store.snapshot() as snapshot:
            assert await snapshot.size() == 0


async def test_a_right_that_it_was_not_given_is_missing() -> None:
    async with gateway() as (client, _):
        for name, call in calls():
            reads = f"{call.method} {call.path}" in OPEN and call.right == READ
            assert (await status_of(client, name, call, READER, media.CODECS[0]) != 403) == reads, call.path


async def test_a_refusal_has_the_form_of_the_dialect() -> None:
    async with gateway() as (client, _):
        headers = {"authorization": f"Bearer {OWN}"}
        reply = await client.get("/users/bob/tokens", headers=headers)
        assert reply.json() == {"message": "the token is for another user", "type": "authorization_error"}
        reply = await client.get("/lists", headers=headers)
        assert reply.json()["message"] == "the token is for the calls about one user alone"
        reply = await client.delete(f"/profiles/{CANARY}", headers=headers)
        assert reply.json()["message"] == "the token does not have the right to delete"


@pytest.mark.parametrize("path", ["%63anary", "canary/", "//canary"])
async def test_the_id_is_compared_as_the_call_reads_it(path: str) -> None:
    async with gateway() as (client, _):
        reply = await client.get(f"/users/{path}/tokens".replace("//tokens", "/tokens"), headers=own())
        assert reply.status_code == (404 if path.startswith("//") else 200)


@pytest.mark.parametrize("path", ["%2563anary", "Canary", "canary%20", "canary%00", "%ff"])
async def test_an_id_that_only_resembles_it_is_another(path: str) -> None:
    async with gateway() as (client, _):
        assert (await client.get(f"/users/{path}/tokens", headers=own())).status_code in (400, 403)


async def test_it_opens_neither_the_own_api_nor_a_dry_run() -> None:
    async with gateway() as (client, _):
        assert (await client.get("/gateway/v1/databases/1/changes", headers=own())).status_code == 403
        sent = {"topic": {"status": "OPTED_OUT"}}
        reply = await client.put(f"/users/{CANARY}/preferences/news?dry_run=true", headers=own(), json=sent)
        assert reply.status_code == 403


async def test_its_idempotency_keys_are_apart_from_those_of_others() -> None:
    path, topic = f"/users/{CANARY}/preferences/news", {"topic": {"status": "OPTED_OUT"}}
    async with gateway() as (client, _):
        for headers, sent in ((own(), topic), (operator(), {"topic": {"status": "OPTED_IN"}})):
            reply = await client.put(path, headers={**headers, "idempotency-key": "k"}, json=sent)
            assert reply.status_code == 200
        reply = await client.put(path, headers={**own(), "idempotency-key": "k"}, json=topic)
        assert reply.status_code == 200
        reply = await client.get(path, headers=own())
        assert reply.json()["topic"]["status"] == "OPTED_IN", "the repetition did nothing"


async def test_a_revoked_one_opens_nothing() -> None:
    async with gateway() as (client, store):
        await store.revoke_token(f"id of {OWN}")
        assert (await client.get(f"/users/{CANARY}/tokens", headers=own())).status_code == 401


def own() -> dict[str, str]:
    return {"authorization": f"Bearer {OWN}"}


def operator() -> dict[str, str]:
    return {"authorization": f"Bearer {OPERATOR}"}


BODIES = {f"/users/{CANARY}/tokens/t1": {"provider_key": "apn"}, "/client/q": {"query": "{ brand { links } }"}}


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("PUT", f"/users/{CANARY}/tokens/t1"),
        ("GET", f"/users/{CANARY}/preferences"),
        ("PUT", f"/client/lists/news/subscribe/{CANARY}"),
        ("DELETE", f"/client/lists/news/unsubscribe/{CANARY}/"),
        ("POST", "/client/q"),
    ],
)
async def test_a_page_of_any_site_may_make_the_calls_of_its_user(method: str, path: str) -> None:
    page = {"origin": "https://shop.example"}
    asked = {"access-control-request-method": method, "access-control-request-headers": "authorization,content-type"}
    async with gateway() as (client, _):
        reply = await client.options(path, headers={**page, **asked})
        assert (reply.status_code, reply.headers["access-control-allow-origin"]) == (200, "*")
        assert method in reply.headers["access-control-allow-methods"]
        assert {"authorization", "content-type"} <= {*reply.headers["access-control-allow-headers"].split(",")}
        sent = {**own(), **page, "x-courier-user-id": CANARY}
        reply = await client.request(method, path, headers=sent, json=BODIES.get(path))
        assert (reply.is_success, reply.headers["access-control-allow-origin"]) == (True, "*")


async def test_pages_may_not_make_other_calls() -> None:
    page = {"origin": "https://shop.example", "access-control-request-method": "POST"}
    async with gateway() as (client, _):
        reply = await client.options(f"/profiles/{CANARY}", headers=page)
        assert "access-control-allow-origin" not in reply.headers

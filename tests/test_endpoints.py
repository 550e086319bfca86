"""How a request finds its call and its dialect: paths, methods, repeated headers, and the address behind a proxy."""

import asyncio
import json
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from starlette.types import Receive, Scope, Send

from gateway.dialects import load_dialects
from gateway.server.dispatch import Dispatch
from gateway.server.public_address import PublicAddress, parse_networks
from gateway.settings import Settings
from tests.test_app import TOKEN, UPDATE, asked, seeded_store

IMPORT = "/api/v1.1/profiles/import"
PRIVATE = {"authorization": f"Klaviyo-API-Key {TOKEN}", "revision": "2026-07-15"}
BEARER = {"authorization": f"Bearer {TOKEN}"}


def answered(method: str, path: str, settings: Settings = Settings(), **request: Any) -> httpx.Response:  # noqa: B008
    """Return the response to one request."""

    async def converse(client: httpx.AsyncClient) -> httpx.Response:
        return await client.request(method, httpx.URL(f"http://gateway{path}"), **request)

    reply: httpx.Response = asked(converse, asyncio.run(seeded_store()), settings)
    return reply


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1.1//profiles/import",
        "/api/v1.1/profiles///import//",
        "/api/v1%2E1/profiles/import",
        "/%61pi/v1.1/profiles/%69mpor%74",
        "/api/v1%2e1//profiles/import/",
    ],
)
def test_a_path_is_normalized(path: str) -> None:
    assert answered("POST", path, json=UPDATE).json()["error"] == 0


@pytest.mark.parametrize(
    "path", ["/api/v1.1%2Fprofiles/import", "//api/v1.1/profiles/import", "/api/v1%252E1/profiles/import"]
)
def test_another_path_is_not_normalized(path: str) -> None:
    assert answered("POST", path, json=UPDATE).status_code == 404


@pytest.mark.parametrize(
    ("path", "id"),
    [
        ("a%2Db%5f%7e", "a-b_~"),
        ("a%2Fb", "a/b"),
        ("a%252Db", "a%2Db"),
        ("%41%20%40", "A @"),
    ],
)
def test_an_id_is_decoded_once(path: str, id: str) -> None:
    async def converse(client: httpx.AsyncClient) -> int:
        await client.put(f"http://gateway/profiles/{path}", json={"profile": {}}, headers=BEARER)
        return (await client.get(f"http://gateway/profiles/{quote(id, safe='')}", headers=BEARER)).status_code

    assert asked(converse, asyncio.run(seeded_store())) == 200


@pytest.mark.parametrize(
    ("raw", "path"),
    [
        ("/%7E%2d%30%39%5A%61", "/~-09Za"),
        ("/%2F%3A%40%5B%60%7B%7F%00%C3%A9", "/%2F%3A%40%5B%60%7B%7F%00%C3%A9"),
        ("/%%34%31/%4%31/%2541", "/%%341/%4%31/%2541"),
    ],
)
def test_unreserved_characters_alone_are_decoded(raw: str, path: str) -> None:
    async def app(scope: Scope, _receive: Receive, _send: Send) -> None:
        paths.append(scope["path"])

    paths: list[str] = []

    async def called() -> None:
        await Dispatch(app, [])({"type": "http", "raw_path": raw.encode()}, None, None)  # type: ignore[arg-type]

    asyncio.run(called())
    assert paths == [path]


@pytest.mark.parametrize(("path", "headers"), [("/api//profiles", PRIVATE), ("/profiles//lists", BEARER)])
def test_repeated_slashes_count_elsewhere(path: str, headers: dict[str, str]) -> None:
    assert answered("GET", path, headers=headers).status_code == 404


GETS = [(dialect.name, call.path) for dialect in load_dialects({}) for call in dialect.calls if call.method == "GET"]


@pytest.mark.parametrize(("dialect", "path"), GETS)
def test_head_is_answered_as_get(dialect: str, path: str) -> None:
    headers = PRIVATE if dialect == "klaviyo" else BEARER
    path = path.replace("{", "").replace("}", "")
    get, head = (answered(method, path, headers=headers) for method in ("GET", "HEAD"))
    assert (head.status_code, head.content) == (get.status_code, b"")
    assert head.headers["content-length"] == str(len(get.content))
    assert head.headers.get("content-type") == get.headers.get("content-type")


@pytest.mark.parametrize(
    ("path", "allow"),
    [(IMPORT, "POST"), ("/api/profiles", "POST, GET, HEAD"), ("/profiles/a/lists", "GET, POST, DELETE, HEAD")],
)
def test_a_refused_method_gets_the_allowed_ones(path: str, allow: str) -> None:
    reply = answered("PROPFIND", path)
    assert (reply.status_code, reply.headers["allow"]) == (405, allow)


@pytest.mark.parametrize(
    ("path", "form"),
    [
        *((path, "courier") for path in ("/users/a/b", "/lists/a/b", "/bulk/b", "/audiences/a", "/tenants")),
        *((path, "courier") for path in ("/inbound/x", "/profiles", "/client/lists/a/b", "/client/q/x")),
        *((path, "altcraft") for path in ("/api/v1.1/x", "/api/v1.0/x", "/api/integrations/any/x", "/another")),
        *((path, "altcraft") for path in ("/listsX", "/profilesX/a", "/usersX", "/apiX")),
        *((path, "klaviyo") for path in ("/api", "/api/x", "/api/v1.12/x", "/api/integrationsX")),
        *((path, "klaviyo") for path in ("/client/x", "/client/listsX")),
    ],
)
def test_an_unknown_path_is_answered_in_the_form_of_its_prefix(path: str, form: str) -> None:
    reply = answered("POST", path)
    members = {"courier": {"message", "type"}, "altcraft": {"error", "error_text"}, "klaviyo": {"errors"}}
    assert (reply.status_code, set(reply.json())) == (404, members[form])


@pytest.mark.parametrize(
    ("types", "status"),
    [
        (["application/json"] * 3, 200),
        (["application/json", "application/json "], 200),
        (["application/json; charset=utf-8", "Application/JSON;charset=UTF-8"], 200),
        (["application/json", "application/xml"], 415),
        (["application/json", "application/json; charset=utf-8"], 415),
    ],
)
def test_equal_content_types_count_once(types: list[str], status: int) -> None:
    headers, body = [("content-type", each) for each in types], json.dumps(UPDATE)
    assert answered("POST", IMPORT, content=body, headers=headers).status_code == status


def test_white_space_around_a_value_is_no_part_of_it_in_process() -> None:
    headers = {"x-request-id": "\tan-id ", "idempotency-key": "a key "}
    assert answered("POST", IMPORT, json=UPDATE, headers=headers).headers["x-request-id"] == "an-id"


# --- the address behind a proxy ---

FORWARDED = {"x-forwarded-host": "example.com", "x-forwarded-proto": "https", "x-forwarded-prefix": "/crm"}


@pytest.mark.parametrize(
    ("proxies", "headers", "base"),
    [
        (None, FORWARDED, "http://gateway"),
        (None, {"forwarded": "host=example.com;proto=https"}, "http://gateway"),
        ("10.0.0.0/8, ::1", FORWARDED, "http://gateway"),
        ("127.0.0.1", FORWARDED, "https://example.com/crm"),
        ("10.0.0.0/8,127.0.0.0/8", FORWARDED, "https://example.com/crm"),
        ("127.0.0.1", {}, "http://gateway"),
        ("127.0.0.1", {"x-forwarded-proto": "https"}, "https://gateway"),
        ("127.0.0.1", {"x-forwarded-proto": "HTTPS", "x-forwarded-host": "[::1]:8443"}, "https://[::1]:8443"),
        ("127.0.0.1", {"x-forwarded-host": "forged.example, example.com"}, "http://example.com"),
        ("127.0.0.1", {"x-forwarded-prefix": "/a/b/"}, "http://gateway/a/b"),
        ("127.0.0.1", {"x-forwarded-prefix": "/"}, "http://gateway"),
        ("127.0.0.1", {"x-forwarded-prefix": "//forged.example"}, "http://gateway"),
        ("127.0.0.1", {"x-forwarded-host": "a/b", "x-forwarded-proto": "javascript"}, "http://gateway"),
        ("127.0.0.1", {"x-forwarded-host": "user@forged.example"}, "http://gateway"),
        ("127.0.0.1", {"forwarded": "for=192.0.2.1;host=example.com;proto=https"}, "https://example.com"),
        ("127.0.0.1", {"forwarded": 'Host="example.com:8443" ; Proto=https'}, "https://example.com:8443"),
        ("127.0.0.1", {"forwarded": "host=forged.example, proto=https;host=example.com"}, "https://example.com"),
        ("127.0.0.1", {"forwarded": "host=forged.example", "x-forwarded-proto": "https"}, "https://gateway"),
        ("127.0.0.1", {"forwarded": r'host="a\"b"'}, "http://gateway"),
    ],
)
def test_links_have_the_address_that_a_trusted_proxy_gives(
    proxies: str | None, headers: dict[str, str], base: str
) -> None:
    reply = answered("GET", "/api/profiles?x", Settings(trusted_proxies=proxies), headers={**PRIVATE, **headers})
    assert reply.json()["links"]["self"] == f"{base}/api/profiles?x"


@pytest.mark.parametrize(
    ("client", "is_trusted"),
    [
        (("::ffff:10.1.2.3", 1), True),
        (("10.1.2.3", 1), True),
        (("11.1.2.3", 1), False),
        (("a", 1), False),
        (None, False),
    ],
)
def test_a_proxy_is_identified_by_its_address(client: tuple[str, int] | None, is_trusted: bool) -> None:
    address = PublicAddress(parse_networks("10.0.0.0/8"))
    base = address.base_of({"scheme": "http", "client": client}, FORWARDED)
    assert base == ("https://example.com/crm" if is_trusted else "http://localhost")


@pytest.mark.parametrize("text", ["localhost", "10.0.0.1/8", "10.0.0.0/33", "10.0.0.0/8,"])
def test_other_texts_are_no_networks(text: str) -> None:
    with pytest.raises(ValueError, match=r"does not appear|has host bits"):
        parse_networks(text)

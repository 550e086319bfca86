"""The gateway's own API over HTTP: rights, refusals as problem details, both media types, and streams of events."""

import asyncio
import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from lxml import etree

from gateway.api.calls import CALLS
from gateway.core.faults import CATALOG
from gateway.server.app import create
from gateway.settings import Settings
from gateway.stores import open_store
from gateway.stores.errors import Unavailable
from gateway.stores.protocol import Store
from gateway.testkit.server_thread import ServerThread
from tests.cases import Case, seed_store
from tests.log_capture import LogCapture
from tests.test_app import asked, failing, seeded_store
from tests.test_command import Server
from tests.test_feed import BEARER, CHANGES, DATABASE

PATHS = [call.path.replace("{database}", "1").replace("{profile}", "a") for call in CALLS if call.method == "GET"]
STREAM = {**BEARER, "accept": "text/event-stream"}


def answered(path: str, method: str = "GET", settings: Settings = Settings(), **request: Any) -> httpx.Response:  # noqa: B008
    """Return the response to one request."""

    async def converse(client: httpx.AsyncClient) -> httpx.Response:
        return await client.request(method, path, **request)

    reply: httpx.Response = asked(converse, asyncio.run(seeded_store()), settings)
    return reply


def problem(reply: httpx.Response) -> str:
    """Return the code of a response's problem, which is one of the catalog."""
    assert reply.headers["content-type"] == "application/problem+json"
    body = reply.json()
    assert body["status"] == reply.status_code
    code: str = body["type"].removeprefix("urn:profile-gateway:")
    assert body["title"] == CATALOG[code].text
    return code


# --- who may call ---


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    ("authorization", "status", "code", "challenge"),
    [
        (None, 401, "no_token", "Bearer"),
        ("Basic YTpi", 401, "no_token", "Bearer"),
        ("Bearer ", 401, "no_token", "Bearer"),
        ("Bearer no-such-token", 401, "unknown_token", 'Bearer error="invalid_token"'),
        ("Bearer was-revoked", 401, "unknown_token", 'Bearer error="invalid_token"'),
        ("Bearer only-writes", 403, "missing_right", None),
        ("Bearer only-deletes", 403, "missing_right", None),
        ("Bearer of-database-2", 404, "unknown_database", None),
    ],
)
def test_a_call_needs_a_token_of_the_database_with_its_right(
    path: str, authorization: str | None, status: int, code: str, challenge: str | None
) -> None:
    reply = answered(path, headers={"authorization": authorization} if authorization is not None else {})
    assert (reply.status_code, problem(reply)) == (status, code)
    assert reply.headers.get("www-authenticate") == challenge


@pytest.mark.parametrize("database", ["2", "3", "01", "x", "1%20", "-1"])
def test_another_database_is_unknown(database: str) -> None:
    reply = answered(f"/gateway/v1/databases/{database}/changes", headers=BEARER)
    assert (reply.status_code, problem(reply)) == (404, "unknown_database")


def test_the_scheme_of_the_credential_has_any_case() -> None:
    assert answered(CHANGES, headers={"authorization": "bEARER only-reads"}).status_code == 200


# --- refusals ---


@pytest.mark.parametrize(
    ("path", "pointer"),
    [
        (f"{CHANGES}?limit=0", "/limit"),
        (f"{CHANGES}?limit=1001", "/limit"),
        (f"{CHANGES}?limit=1.5", "/limit"),
        (f"{CHANGES}?limit=%D9%A1", "/limit"),
        (f"{CHANGES}?wait=-1", "/wait"),
        (f"{CHANGES}?wait=301", "/wait"),
        (f"{CHANGES}?wait=nan", "/wait"),
        (f"{CHANGES}?values=yes", "/values"),
        (f"{CHANGES}?all=", "/all"),
        (f"{DATABASE}/profiles/a?at=yesterday", "/at"),
        (f"{DATABASE}/profiles/a?at=2026-01-01", "/at"),
        (f"{DATABASE}/profiles/a?at=2026-01-01T00:00:00", "/at"),
        (f"{DATABASE}/profiles/a?at=2026-02-30T00:00:00Z", "/at"),
        (f"{DATABASE}/profiles/a?at=", "/at"),
        (f"{DATABASE}/profiles/a/history?limit=x", "/limit"),
    ],
)
def test_a_parameter_that_is_wrong_is_named(path: str, pointer: str) -> None:
    reply = answered(path, headers=BEARER)
    assert (reply.status_code, problem(reply), reply.json()["pointer"]) == (400, "invalid_parameter", pointer)


@pytest.mark.parametrize("offset", ["Z", "z", "%2B01:00", "+01:00", "-00:00"])
def test_a_time_has_any_offset(offset: str) -> None:
    reply = answered(f"{DATABASE}/profiles/a?at=2026-01-01t00:00:00.123456{offset}", headers=BEARER)
    assert (reply.status_code, problem(reply)) == (404, "profile_not_found")


@pytest.mark.parametrize(
    "path", ["/gateway", "/gateway/", "/gateway/v1", "/gateway/v2/databases/1/changes", f"{CHANGES}/x"]
)
def test_an_unknown_path_is_a_problem(path: str) -> None:
    reply = answered(path, headers=BEARER)
    assert (reply.status_code, problem(reply)) == (404, "unknown_call")


def test_another_method_is_refused_with_the_allowed_ones() -> None:
    reply = answered(CHANGES, "POST", headers=BEARER)
    assert (reply.status_code, problem(reply), reply.headers["allow"]) == (405, "method_not_allowed", "GET, HEAD")


def test_a_problem_in_xml_is_in_the_namespace_of_its_standard() -> None:
    reply = answered(f"{CHANGES}?limit=0", headers={**BEARER, "accept": "application/xml"})
    assert reply.headers["content-type"] == "application/problem+xml"
    root = etree.fromstring(reply.content)
    assert root.tag == "{urn:ietf:rfc:7807}problem"
    members = {etree.QName(each).localname: each.text for each in root}
    assert (members["status"], members["pointer"]) == ("400", "/limit")


def test_the_token_rate_applies() -> None:
    async def converse(client: httpx.AsyncClient) -> list[httpx.Response]:
        return [await client.get(CHANGES, headers=BEARER) for _ in range(3)]

    replies = asked(converse, asyncio.run(seeded_store()), Settings(token_rate="2/hour"))
    assert [each.status_code for each in replies] == [200, 200, 429]
    assert problem(replies[-1]) == "rate_limited"
    assert int(replies[-1].headers["retry-after"]) > 0


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [(RuntimeError("canary@example.com"), 500, "internal_error"), (Unavailable("canary"), 503, "store_unavailable")],
)
def test_an_internal_failure_is_a_problem(
    error: Exception, status: int, code: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def converse(client: httpx.AsyncClient) -> httpx.Response:
        return await client.get(CHANGES, headers=BEARER)

    reply = asked(converse, failing(error, "journal"))
    assert (reply.status_code, problem(reply)) == (status, code)
    assert "canary" not in reply.text + caplog.text


# --- replies ---


@pytest.mark.parametrize("path", PATHS)
def test_head_is_answered_as_get(path: str) -> None:
    get, head = (answered(path, method, headers=BEARER) for method in ("GET", "HEAD"))
    assert (head.status_code, head.content) == (get.status_code, b"")
    assert head.headers["content-type"] == get.headers["content-type"]


@pytest.mark.parametrize("path", PATHS)
def test_a_path_may_end_in_a_slash(path: str) -> None:
    assert answered(f"{path}/", headers=BEARER).status_code == answered(path, headers=BEARER).status_code


def test_a_response_has_the_id_of_its_request_and_a_line_in_the_access_log(log_capture: LogCapture) -> None:
    reply = answered(CHANGES, headers={**BEARER, "x-request-id": "of-the-client"}, settings=Settings(access_log=True))
    assert reply.headers["x-request-id"] == "of-the-client"
    lines = [json.loads(line) for line in "\n".join(log_capture.lines).splitlines() if '"of-the-client"' in line]
    [line] = [each for each in lines if each["dialect"] == "gateway"]
    assert (line["route"], line["status"], line["token"], line["database"]) == (
        "/gateway/v1/databases/{database}/changes",
        200,
        "t1",
        1,
    )
    assert line["sent"] == len(reply.content)


# --- streams ---


class Stream:
    """A stream of events that a thread reads."""

    def __init__(self, reply: httpx.Response) -> None:
        self._lines = reply.iter_lines()

    def next(self) -> tuple[str, dict[str, Any] | None]:
        """Return the id of the next message and its event, None for an id alone."""
        id, event = "", None
        while line := next(self._lines):
            name, _, value = line.partition(": ")
            if name == "id":
                id = value
            elif name == "data":
                event = json.loads(value)
        return id, event

    def next_event(self) -> dict[str, Any]:
        """Return the next event, whose id is that of its message."""
        while True:
            id, event = self.next()
            if event:
                assert event["id"] == id
                return event


@contextmanager
def serving(host: ServerThread, tmp_path: Path, **settings: Any) -> Iterator[tuple[Store, httpx.Client]]:
    """Serve a SQLite store with the tokens of the fixtures."""
    store = host.run(open_store(f"sqlite:///{tmp_path}/feed.db", create=True))
    host.run(seed_store(store, Case(Path(), "json", {})))

    async def opened(_url: str) -> Store:
        return store

    app = create(Settings(**{"access_log": False, **settings}), open_store=opened)
    with host.serving(app), httpx.Client(base_url=host.url, timeout=20) as client:
        yield store, client


def write(client: httpx.Client, name: str) -> None:
    assert client.put("/profiles/u", json={"profile": {"given_name": name}}, headers=BEARER).status_code == 200


def test_a_stream_has_each_event_and_continues_after_the_last_one(host: ServerThread, tmp_path: Path) -> None:
    with serving(host, tmp_path) as (_, client):
        for name in "AB":
            write(client, name)
        with client.stream("GET", f"{CHANGES}?values=true", headers=STREAM) as reply:
            assert reply.headers["content-type"] == "text/event-stream"
            assert "content-length" not in reply.headers
            stream = Stream(reply)
            assert stream.next_event()["type"] == "profile.created"
            last = stream.next_event()["id"]
            write(client, "C")
            assert stream.next_event()["data"]["values"] == [{"path": "/given_name", "before": "B", "after": "C"}]
        for query, headers in ((f"?after={last}", {}), ("?after=ignored", {"last-event-id": last})):
            with client.stream("GET", CHANGES + query, headers={**STREAM, **headers}) as reply:
                assert Stream(reply).next_event()["data"]["version"] == 3


def test_a_stream_with_an_unknown_cursor_is_a_problem(host: ServerThread, tmp_path: Path) -> None:
    with serving(host, tmp_path) as (_, client):
        assert problem(client.get(f"{CHANGES}?after=x", headers=STREAM)) == "unknown_cursor"


def test_an_idle_stream_has_ids_alone(host: ServerThread, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.api.operations.CHECK_SECONDS", 0.05)
    with serving(host, tmp_path) as (store, client), client.stream("GET", CHANGES, headers=STREAM) as reply:
        stream = Stream(reply)
        assert [stream.next() for _ in range(3)] == [(f"{store.id}-0", None)] * 3


def test_a_stream_ends_where_the_token_is_revoked(
    host: ServerThread, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.api.context.CHECK_SECONDS", 0.05)
    headers = {**STREAM, "authorization": "Bearer only-reads"}
    with serving(host, tmp_path) as (store, client), client.stream("GET", CHANGES, headers=headers) as reply:
        host.run(store.revoke_token("t2"))
        assert reply.read() is not None


@pytest.mark.parametrize("workers", ["1", "2"])
def test_waits_and_streams_end_where_the_server_stops(url: str, workers: str) -> None:
    """The server would wait for requests in flight for longer than `Server.stop` waits for it."""
    server = Server(url, "--workers", workers, GATEWAY_BOOTSTRAP_TOKEN="mine", GATEWAY_SHUTDOWN_SECONDS="60")
    headers = {"authorization": "Bearer mine"}
    transport = httpx.HTTPTransport(retries=5)  # workers begin to listen a moment after their parent says so
    client = httpx.Client(base_url=server.address, timeout=30, headers=headers, transport=transport)
    with client, ThreadPoolExecutor() as threads:
        with client.stream("GET", CHANGES, headers={"accept": "text/event-stream"}) as stream:
            assert stream.status_code == 200
            waiting = threads.submit(client.get, f"{CHANGES}?wait=300")
            time.sleep(0.5)
            server.stop()
            stream.read()
        assert waiting.result().json()["events"] == []


def test_a_client_that_disconnects_frees_its_stream(host: ServerThread, tmp_path: Path) -> None:
    with serving(host, tmp_path, max_requests=1) as (_, client):
        with client.stream("GET", CHANGES, headers=STREAM) as reply:
            assert reply.status_code == 200
            assert client.get(CHANGES, headers=BEARER).status_code == 503
            write(client, "A")
        statuses = (client.get(CHANGES, headers=BEARER).status_code for _ in range(5000))
        assert 200 in statuses

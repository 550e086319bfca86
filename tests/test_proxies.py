"""The two proxies: everything passes as it is; a record has no personal value; what differs in meaning is found."""

import asyncio
import gzip
import json
import socket
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from subprocess import PIPE
from typing import Any

import httpx
import pytest
from click.testing import CliRunner

from gateway.cli.main import main
from gateway.dialects import load_dialects
from gateway.media import xml
from gateway.stores import open_store
from gateway.testkit.case import Case, read_cases
from gateway.testkit.embedded import create_application
from gateway.testkit.expectations import CaseResponse, check_response
from gateway.testkit.matchers import matcher_faults
from gateway.testkit.proxy import ForwardedRequest, ForwardedResponse, Forwarder, UpstreamServer
from gateway.testkit.pseudonyms import FIRST_TOKEN, Pseudonyms
from gateway.testkit.record import NotRecordable, Recorder
from gateway.testkit.server_thread import ServerThread
from tests.cases import seed_store

JSON = (b"content-type", b"application/json")
XML = (b"content-type", b"application/xml")
PACKED = (b"content-encoding", b"gzip")
ID = "65f1a0c2d4e8b7a19c3f0001"
PERSONAL = ("nina.orlova@acme.org", "Orlova", "Нина", "+79161234567", "7916", "sesame", "1987-03-09", "crm-77", ID)


# --- forwarding ---


def answering(*bodies: tuple[int, bytes, tuple[bytes, bytes]]) -> Callable[..., Awaitable[None]]:
    answers = iter(bodies)

    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        status, body, kind = next(answers)
        await send({"type": "http.response.start", "status": status, "headers": [kind]})
        await send({"type": "http.response.body", "body": body})

    return app


@pytest.fixture
def proxy() -> Iterator[ServerThread]:
    host = ServerThread()
    yield host
    host.close()


@contextmanager
def forwarding(
    proxy: ServerThread, url: str, seen: Callable[[ForwardedRequest, ForwardedResponse], Awaitable[None]]
) -> Iterator[None]:
    server = UpstreamServer(url)
    proxy._app = Forwarder(server, seen)  # type: ignore[assignment]
    yield
    proxy.run(server.close())


def test_passes_everything_byte_for_byte(host: ServerThread, proxy: ServerThread) -> None:
    seen: list[tuple[bytes, list[tuple[bytes, bytes]], bytes]] = []
    packed = gzip.compress(b'{"a":  1}')

    async def upstream(scope: Any, receive: Any, send: Any) -> None:
        body = (await receive())["body"]
        seen.append((scope["raw_path"] + b"?" + scope["query_string"], scope["headers"], body))
        headers = [JSON, (b"content-encoding", b"gzip"), (b"set-cookie", b"a=1"), (b"set-cookie", b"b=2")]
        await send({"type": "http.response.start", "status": 207, "headers": headers})
        await send({"type": "http.response.body", "body": packed})

    kept: list[tuple[ForwardedRequest, ForwardedResponse]] = []

    async def keep(sent: ForwardedRequest, got: ForwardedResponse) -> None:
        kept.append((sent, got))

    host._app = upstream  # type: ignore[assignment]
    body = b'{"b" : 1.0,\n "a":"\\u00e9" }'
    with (
        forwarding(proxy, host.url, keep),
        httpx.Client() as client,
        client.stream(
            "POST", proxy.url + "/a%2Fb/%D0%B0?x=%20&x=+&y", content=body, headers={"X-Own": "é".encode("latin-1")}
        ) as answer,
    ):
        raw = b"".join(answer.iter_raw())
    ((target, headers, sent),) = seen
    assert (target, sent) == (b"/a%2Fb/%D0%B0?x=%20&x=+&y", body)
    assert (b"x-own", b"\xe9") in headers
    assert (b"host", host.url.removeprefix("http://").encode()) in headers
    assert (answer.status_code, raw) == (207, packed)
    assert answer.headers.get_list("set-cookie") == ["a=1", "b=2"]
    assert kept[0][1].plain == b'{"a":  1}'


def test_forwards_a_response_with_a_content_length_and_no_body(proxy: ServerThread) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, ThreadPoolExecutor() as pool:
        answer = b"HTTP/1.1 304 Not Modified\r\netag: x\r\ncontent-length: 9\r\n\r\n"
        answered = pool.submit(_answer_once, server, answer)
        with forwarding(proxy, f"http://127.0.0.1:{server.getsockname()[1]}", _unseen), httpx.Client() as client:
            passed = client.get(proxy.url)
            answered.result()
    assert (passed.status_code, passed.headers["etag"], passed.content) == (304, "x", b"")
    assert "content-length" not in passed.headers  # uvicorn waits for as many bytes, and breaks off without them


def _answer_once(server: socket.socket, answer: bytes) -> None:
    connection, _ = server.accept()
    with connection:
        connection.recv(65_536)
        connection.sendall(answer)
    server.close()


async def _unseen(_sent: ForwardedRequest, _got: ForwardedResponse) -> None:
    pass


def test_returns_502_where_the_server_is_not_reached() -> None:
    answer = asyncio.run(_asked(Forwarder(UpstreamServer("http://127.0.0.1:1"), _nothing)))
    assert answer.status_code == 502


async def _nothing(_sent: ForwardedRequest, _got: ForwardedResponse) -> None:
    raise AssertionError("nothing was answered")


async def _asked(app: Any) -> httpx.Response:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://proxy") as client:
        return await client.get("/")


# --- recording ---


@pytest.fixture
def recorder(tmp_path: Path) -> Recorder:
    return Recorder(tmp_path, "vendor.example", Pseudonyms(), load_dialects({}))


def sent(method: str, target: str, body: Any = b"", *headers: tuple[bytes, bytes]) -> ForwardedRequest:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return ForwardedRequest(method, target.encode(), list(headers) or [JSON], raw)


def got(body: Any, status: int = 200, *headers: tuple[bytes, bytes]) -> ForwardedResponse:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return ForwardedResponse(status, list(headers) or [JSON], raw)


IMPORT = {
    "token": "sesame", "db_id": 1, "email": "nina.orlova@acme.org", "matching": "email",
    "data": {"email": "Nina.Orlova@acme.org", "_fname": "Нина", "_lname": {"action": "set", "value": "Orlova"},
             "phones": ["+7 916 123-45-67", "79161234567"], "_bdate": "1987-03-09", "visits": 3, "vip": True,
             "note": "call Orlova, +79161234567", "born": None},
}  # fmt: skip


def everything(folder: Path) -> str:
    files = [*folder.rglob("*")]
    return "\n".join([*(str(file) for file in files), *(file.read_text() for file in files if file.is_file())])


def test_records_an_exchange_as_a_case_without_personal_values(recorder: Recorder, tmp_path: Path) -> None:
    answer = {"error": 0, "profile_id": ID, "error_text": "made nina.orlova@acme.org"}
    folder = recorder.record(sent("POST", "/api/v1.1/profiles/import?token=sesame", IMPORT), got(answer))
    assert folder == tmp_path / "posts-api-v1-1-profiles-import"
    [case] = read_cases(folder)
    assert case.about["path"] == f"/api/v1.1/profiles/import?token={FIRST_TOKEN}"
    request = json.loads(case.request)
    assert (request["token"], request["email"]) == (FIRST_TOKEN, "person1@example.com")
    assert request["data"] == {
        "email": "person1@example.com", "_fname": "Ada", "_lname": {"action": "set", "value": "Ben"},
        "phones": ["+79000000001", "79000000001"], "_bdate": "1951-01-01", "visits": 3, "vip": True,
        "note": "call Ben, +79000000001", "born": None,
    }  # fmt: skip
    expected = json.loads(case.response)
    assert expected == {
        "error": 0, "profile_id": {"$pattern": "^[0-9a-f]{24}$"}, "error_text": "made person1@example.com"
    }  # fmt: skip
    assert [value for value in PERSONAL if value.lower() in everything(tmp_path).lower()] == []


def test_replaces_the_same_value_alike_in_bodies_queries_headers_and_paths(recorder: Recorder, tmp_path: Path) -> None:
    recorder.record(sent("POST", "/api/v1.1/profiles/import", IMPORT), got({"profile_id": ID}))
    key = (b"authorization", b"Bearer sesame")
    body = f"<xml><given_name>Нина</given_name><id>{ID}</id><created>1767225600000</created></xml>".encode()
    second = recorder.record(
        sent("GET", "/profiles/crm-77?email=nina.orlova%40acme.org", b"", key), got(body, 200, XML)
    )
    third = recorder.record(sent("DELETE", f"/profiles/{ID}?who=crm-77", b"", key), got({"message": "no crm-77"}, 404))
    assert second is not None
    assert third is not None
    case, removal = read_cases(second)[0], read_cases(third)[0]
    assert case.about["path"] == "/profiles/id-2?email=person1%40example.com"
    assert case.about["headers"] == {"authorization": f"Bearer {FIRST_TOKEN}"}
    assert case.about["reply"] == "xml"
    assert b"<given_name>Ada</given_name>" in case.response
    assert b"_x0024_pattern" in case.response
    assert removal.about["path"] == f"/profiles/{1:024x}?who=id-2"
    assert third.name.endswith("-and-is-answered-404")
    assert json.loads(removal.response) == {"message": "no id-2"}
    assert [value for value in PERSONAL if value.lower() in everything(tmp_path).lower()] == []


def test_an_id_that_was_asked_for_is_no_mask(recorder: Recorder) -> None:
    folder = recorder.record(sent("GET", f"/api/profiles/{ID}"), got({"id": ID, "created": "2026-01-01T00:00:00Z"}))
    assert folder is not None
    response = json.loads((folder / "response.json").read_text())
    assert response["id"] == f"{1:024x}"
    assert response["created"] == {"$pattern": r"^\d{4}-\d\d-\d\d[T ]\d\d:\d\d[0-9:.Z+-]*$"}


LOOKALIKES = {
    "at": {"$type": "Point"},
    "any": [{"$any": True}, {"$any": True, "more": 1}],
    "value": {"$value": {"$pattern": ID}},
    "plain": {"$value": 5},
}


@pytest.mark.parametrize("form", ["json", "xml"])
def test_escapes_what_looks_like_a_matcher(recorder: Recorder, form: str) -> None:
    body = json.dumps(LOOKALIKES).encode() if form == "json" else xml.encode(LOOKALIKES)
    folder = recorder.record(sent("GET", "/api/profiles"), got(body, 200, JSON if form == "json" else XML))
    assert folder is not None
    case = read_cases(folder)[0]
    same = CaseResponse(200, {"content-type": f"application/{form}"}, body)
    assert [str(each) for each in check_response(case, same)] == []
    for name, other in (("at", {"$type": "Line"}), ("at", 1), ("any", [{"$any": False}]), ("plain", {"$value": 6})):
        changed = json.dumps({**LOOKALIKES, name: other}).encode()
        found = check_response(case, replace(same, body=changed if form == "json" else xml.encode(json.loads(changed))))
        assert {each.pointer.split("/")[1] for each in found} == {name}


def test_an_escaped_object_may_contain_matchers(recorder: Recorder) -> None:
    folder = recorder.record(sent("GET", "/api/profiles"), got({"at": {"$type": ID}}))
    assert folder is not None
    expected = json.loads((folder / "response.json").read_text())
    assert expected == {"at": {"$value": {"$type": {"$pattern": "^[0-9a-f]{24}$"}}}}
    assert list(matcher_faults(expected)) == []
    assert [at for at, _ in matcher_faults({"a": {"$value": {"b": {"$type": "Point"}}}})] == ["/a/$value/b/$type"]
    assert list(matcher_faults({"a": {"$value": 5}})) == [("/a/$value", "5 is not an object")]


@pytest.mark.parametrize(
    ("media", "body"),
    [
        ("text/xml; charset=windows-1251", "<xml><error_text>Готово</error_text></xml>"),
        ('application/xml;Charset="KOI8-R"', "<xml><error_text>Готово</error_text></xml>"),
        ("application/json; charset=windows-1251", '{"error_text": "Готово"}'),
    ],
)
def test_reads_bodies_in_the_charset_of_their_type(recorder: Recorder, media: str, body: str) -> None:
    charset = media.rpartition("=")[2].strip('"')
    kind, raw = (b"content-type", media.encode()), body.encode(charset)
    folder = recorder.record(sent("POST", "/a", raw, kind), got(raw, 200, kind))
    assert folder is not None
    [case] = read_cases(folder)
    assert "Готово".encode() in case.request
    assert case.headers["content-type"] == media.partition(";")[0]
    answer = CaseResponse(200, {"content-type": media}, raw)
    assert [str(each) for each in check_response(case, answer)] == []
    other = replace(answer, body=body.replace("Готово", "Готова").encode(charset))
    assert ["Готова" in str(each) for each in check_response(case, other)] == [True]
    assert answer.lines == [body]


SECRETS = ("sha256=5f1c0a9e", "keyId=k1,signature=c2lnbmVk", "abc:c2lnbmVk")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("x-hub-signature-256", SECRETS[0]),
        ("x-signature", SECRETS[0]),
        ("signature", SECRETS[1]),
        ("webhook-signature", SECRETS[1]),
        ("content-digest", SECRETS[2]),
        ("x-hmac", SECRETS[2]),
        ("authorization", "Signature keyId=k1, signature=c2lnbmVk"),
        ("authorization", "AWS4-HMAC-SHA256 Credential=k1/x, Signature=c2lnbmVk"),
        ("authorization", "c2lnbmVk"),
        ("proxy-authorization", "Bearer c2lnbmVk"),
    ],
)
def test_signatures_are_pseudonyms(recorder: Recorder, tmp_path: Path, name: str, value: str) -> None:
    key = (b"authorization", b"Bearer sesame")
    signed = (name.encode(), value.encode())
    headers = [JSON, signed] if name == "authorization" else [JSON, signed, key]
    folder = recorder.record(sent("POST", "/a?sig=c2lnbmVk", {"signature": "c2lnbmVk"}, *headers), got({}))
    assert folder is not None
    text = everything(tmp_path)
    assert [secret for secret in ("c2lnbmVk", "5f1c0a9e", "k1", "sesame") if secret in text] == []
    if name not in ("authorization", "proxy-authorization"):
        assert f"Bearer {FIRST_TOKEN}" in text


def test_writes_what_is_the_same_once_and_never_over_what_is_there(recorder: Recorder, tmp_path: Path) -> None:
    one, other = sent("GET", "/api/profiles"), got({"data": []})
    assert recorder.record(one, other) is not None
    assert recorder.record(one, other) is None
    again = recorder.record(one, got({"data": [1]}))
    assert again is not None
    assert again.name == "gets-api-profiles-2"
    assert sorted(file.name for file in tmp_path.iterdir()) == ["gets-api-profiles", "gets-api-profiles-2"]


@pytest.mark.parametrize(
    ("request_", "answer"),
    [
        (sent("POST", "/a", b"email=nina", (b"content-type", b"text/plain")), got({})),
        (sent("POST", "/a", b"{"), got({})),
        (sent("POST", "/a", {}), got(b"<html>", 200, (b"content-type", b"text/html"))),
        (sent("POST", "/a", {}), got(b"<a/>", 200, XML)),
        (sent("POST", "/a", {}), got(b"{}", 200, JSON, PACKED)),
        (sent("POST", "/a", b"{}", JSON, PACKED), got({})),
        (sent("PURGE", "/a"), got({})),
        (sent("GET", "//a"), got({})),
        (sent("GET", "/a", b"", (b"x-own", b"\xe9")), got({})),
    ],
)
def test_does_not_write_what_it_cannot_read(
    recorder: Recorder, tmp_path: Path, request_: ForwardedRequest, answer: ForwardedResponse
) -> None:
    with pytest.raises(NotRecordable):
        recorder.record(request_, answer)
    assert list(tmp_path.iterdir()) == []


def test_reads_what_came_compressed(recorder: Recorder) -> None:
    packed = gzip.compress(json.dumps(IMPORT).encode())
    written = recorder.record(sent("POST", "/a", packed, JSON, PACKED), got({}))
    assert written == recorder._folder / "posts-a"
    assert json.loads((written / "request.json").read_bytes())["email"] == "person1@example.com"
    assert recorder.record(sent("POST", "/a", IMPORT), got({})) is None


def test_a_long_text_delays_no_client() -> None:
    """In a process of its own, since a search that takes minutes lets no other thread end it."""
    program = (
        "from gateway.testkit.pseudonyms import Pseudonyms\n"
        "for text in ('x', 'eyJ', 'a@', '+1', 'a.', '- '):\n    Pseudonyms().tree({'a': text * 200_000})"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


def test_what_was_recorded_passes_against_a_gateway(tmp_path: Path, host: ServerThread, proxy: ServerThread) -> None:
    """Through real sockets: a client, the proxy, a gateway; then `check` on what was written."""
    case = Case(tmp_path, "json", {})
    store = host.run(open_store("memory:", create=True))
    host.run(seed_store(store, case))
    recorder = Recorder(tmp_path, host.url.removeprefix("http://"), Pseudonyms(), load_dialects({}))

    async def seen(request: ForwardedRequest, answer: ForwardedResponse) -> None:
        recorder.record(request, answer)

    with host.serving(create_application(case, store)), forwarding(proxy, host.url, seen):
        body = {"token": FIRST_TOKEN, "db_id": 1, "email": "nina@acme.org", "data": {"email": "nina@acme.org"}}
        httpx.post(f"{proxy.url}/api/v1.1/profiles/import", json=body).raise_for_status()
        xml = f"<xml><token>{FIRST_TOKEN}</token><db_id>1</db_id><email>nobody@acme.org</email></xml>"
        httpx.post(f"{proxy.url}/api/v1.1/profiles/get", content=xml, headers={"content-type": "text/xml"})
    result = CliRunner().invoke(main, ["check", str(tmp_path)])
    assert (result.exit_code, result.stdout.partition(" in ")[0]) == (0, "2 passed"), result.stdout


# --- the commands ---


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("record cases --upstream vendor", "does not begin with http:// or https://"),
        ("record cases --upstream http://v --listen 8080", "is not of the form HOST:PORT"),
        ("record cases --upstream http://v --listen 127.0.0.1:99999", "is not of the form HOST:PORT"),
        ("shadow --to http://v", "Missing option '--compare'"),
        ("record pytest.ini/cases --upstream http://v", "Not a directory"),
    ],
)
def test_refuses_options_without_effect(
    tmp_path: Path, command: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pytest.ini").write_text("")
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(main, command.split())
    assert (result.exit_code, words in result.stderr) == (2, True), result.stderr


def test_refuses_a_taken_port(tmp_path: Path, host: ServerThread) -> None:
    taken = host.url.removeprefix("http://")
    result = CliRunner().invoke(main, ["record", str(tmp_path), "--upstream", host.url, "--listen", taken])
    assert (result.exit_code, "Address already in use" in result.stderr) == (1, True)


OFFER = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\nX-Key: a \r\n"


@pytest.mark.parametrize("command", ["record cases --upstream {0}", "shadow --to {0} --compare {0}"])
def test_the_proxies_have_the_http_of_the_server(tmp_path: Path, host: ServerThread, command: str) -> None:
    """Java's HttpClient offers an Upgrade to HTTP/2 with the first request of each connection."""
    bodies: list[bytes] = []

    async def upstream(_scope: Any, receive: Any, send: Any) -> None:
        bodies.append((await receive())["body"])
        await answering((200, b"{}", JSON))(_scope, receive, send)

    host._app = upstream  # type: ignore[assignment]
    words = [sys.executable, "-m", "gateway", *command.format(host.url).split(), "--listen", "127.0.0.1:0"]
    with subprocess.Popen(words, stdout=PIPE, stderr=PIPE, text=True, cwd=tmp_path) as process:
        assert process.stderr is not None
        port = int(process.stderr.readline().rpartition(" ")[2])
        answers = [_raw(port, b"POST /a HTTP/1.1\r\nHost: x\r\n" + OFFER + b"Content-Type: application/json\r\n" + rest)
                   for rest in (b"Content-Length: 2\r\n\r\n{}", b"X: " + b"x" * 40_000 + b"\r\n\r\n")]  # fmt: skip
        process.terminate()
        process.communicate(timeout=20)
    assert [answer.split(b"\r\n")[0] for answer in answers] == [
        b"HTTP/1.1 200 OK",
        b"HTTP/1.1 431 Request Header Fields Too Large",
    ]
    assert set(bodies) == {b"{}"}


def _raw(port: int, data: bytes) -> bytes:
    for _ in range(50):
        try:
            with socket.create_connection(("127.0.0.1", port), 10) as connection:
                connection.sendall(data)
                return connection.recv(65_536)
        except ConnectionRefusedError:
            time.sleep(0.1)
    raise AssertionError("the proxy does not listen")


def test_records_until_it_is_stopped(tmp_path: Path, host: ServerThread) -> None:
    host._app = answering((200, b"{}", JSON))  # type: ignore[assignment]
    command = [sys.executable, "-m", "gateway", "record", str(tmp_path), "--upstream", host.url]
    with subprocess.Popen([*command, "--listen", "127.0.0.1:0"], stdout=PIPE, stderr=PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        port = process.stderr.readline().rpartition(" ")[2].strip()
        transport = httpx.HTTPTransport(retries=5)
        with httpx.Client(transport=transport) as client:
            assert client.get(f"http://127.0.0.1:{port}/api/profiles").content == b"{}"
        assert process.stdout.readline().strip() == str(tmp_path / "gets-api-profiles")
        process.terminate()
        process.communicate(timeout=20)
    assert [case.about["path"] for case in read_cases(tmp_path / "gets-api-profiles")] == ["/api/profiles"]

"""Webhooks from the API to real receivers: signatures, order, retries, leases, and the addresses that are refused."""

import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from standardwebhooks.webhooks import Webhook

from gateway.feed import addresses, retries, runner
from gateway.feed.retries import Schedule
from gateway.feed.webhooks import client
from gateway.feed.webhooks.sender import WebhookSender
from gateway.server.app import create
from gateway.settings import Settings
from gateway.stores import open_store
from gateway.stores.protocol import Store
from gateway.testkit.server_thread import ServerThread
from tests.cases import Case, seed_store
from tests.test_feed import BEARER, DATABASE
from tests.webhook_receiver import Received, Receiver, answering, eventually, receiving, write_certificate

REVISION = {"revision": "2026-07-15"}
WEBHOOKS = f"{DATABASE}/webhooks"


@pytest.fixture(autouse=True)
def _fast(monkeypatch: pytest.MonkeyPatch) -> None:
    """Short pauses: the pause after the first attempt is a tenth of a second."""
    monkeypatch.setattr(WebhookSender, "schedule", Schedule(100, 8 * 60 * 60 * 1000, 0.2))
    for name, seconds in (("POLL_SECONDS", 0.05), ("LEASE_SECONDS", 2.0), ("RENEW_SECONDS", 0.2)):
        monkeypatch.setattr(runner, name, seconds)
    monkeypatch.setattr(client, "TIMEOUT_SECONDS", 5.0)


class Gateway:
    """A gateway on a SQLite store, and a client of it."""

    def __init__(self, store: Store, http: httpx.Client, host: ServerThread) -> None:
        self.store = store
        self.http = http
        self.host = host

    def create(self, url: str, **options: Any) -> tuple[str, str]:
        """Create a webhook; return its id and its secret."""
        reply = self.http.post(WEBHOOKS, json={"url": url, **options}, headers=BEARER)
        assert reply.status_code == 201, reply.text
        return reply.json()["webhook"]["id"], reply.json()["secret"]

    def show(self, id: str) -> dict[str, Any]:
        found: dict[str, Any] = self.http.get(f"{WEBHOOKS}/{id}", headers=BEARER).json()["webhook"]
        return found

    def write(self, id: str, name: str) -> None:
        body = {"profile": {"given_name": name}}
        assert self.http.put(f"/profiles/{id}", json=body, headers=BEARER).status_code == 200


@contextmanager
def gateway(host: ServerThread, folder: Path, allow_private: bool = True) -> Iterator[Gateway]:
    """Serve the store of a folder. A second one on the same folder is a second process, as far as leases go."""
    url = f"sqlite:///{folder}/hooks.db"
    is_new = not (folder / "hooks.db").exists()
    store = host.run(open_store(url, create=True))
    if is_new:
        host.run(seed_store(store, Case(Path(), "json", {})))

    async def opened(_url: str) -> Store:
        return store

    app = create(Settings(access_log=False, webhook_private=allow_private), open_store=opened)
    with host.serving(app), httpx.Client(base_url=host.url, timeout=20) as http:
        yield Gateway(store, http, host)


def names(receiver: Receiver) -> dict[str, list[int]]:
    """Return the versions that a receiver accepted, by profile, in the order of their arrival."""
    found: dict[str, list[int]] = {}
    for message in receiver.accepted:
        found.setdefault(message.event["subject"], []).append(message.event["data"]["version"])
    return found


def failing(status: int, times: int, headers: Mapping[str, str] = {}) -> Any:
    """Return answers that fail a number of times, with this status, before they succeed."""
    left = [times]

    def answers(_message: Received) -> tuple[int, Mapping[str, str], bytes]:
        left[0] -= 1
        return (status, headers, b"no") if left[0] >= 0 else (200, {}, b"yes")

    return answers


# --- messages ---


def test_events_arrive_signed_in_the_order_of_each_profile(host: ServerThread, tmp_path: Path) -> None:
    with gateway(host, tmp_path) as served, receiving() as receiver:
        served.write("before", "A")
        id, secret = served.create(receiver.url)
        for name in "ABC":
            for profile in ("u1", "u2", "u3"):
                served.write(profile, name)
        events = receiver.wait_for(9)
        assert all(versions == [1, 2, 3] for versions in names(receiver).values())
        for message in receiver.accepted:
            assert Webhook(secret).verify(message.body, dict(message.headers)) == message.event
            assert message.headers["webhook-id"] == message.event["id"]
            assert message.headers["content-type"] == "application/cloudevents+json"
        expected = served.http.get(f"{DATABASE}/changes", headers=BEARER).json()["events"][1:]
        assert sorted(events, key=lambda each: int(each["id"].rpartition("-")[2])) == expected
        assert eventually(lambda: served.show(id)["cursor"] == expected[-1]["id"])


def test_a_webhook_gets_what_it_selects(host: ServerThread, tmp_path: Path) -> None:
    with gateway(host, tmp_path) as served, receiving() as receiver:
        served.create(receiver.url, types=["profile.updated"], members=["/given_name"], values=True)
        for name in "AB":
            served.write("u", name)
        [event] = receiver.wait_for(1)
        assert event["data"]["values"] == [{"path": "/given_name", "before": "A", "after": "B"}]


def test_a_webhook_gets_consent_that_no_document_has(host: ServerThread, tmp_path: Path) -> None:
    with gateway(host, tmp_path) as served, receiving() as receiver:
        for id in ("one", "two"):
            body = {"profile": {"email": "ann@example.com"}}
            assert served.http.put(f"/profiles/{id}", json=body, headers=BEARER).status_code == 200
        served.create(receiver.url, members=["/subscriptions"])
        person = {"type": "profile", "attributes": {"email": "ann@example.com"}}
        name = "profile-suppression-bulk-create-job"
        tree = {"data": {"type": name, "attributes": {"profiles": {"data": [person]}}}}
        headers = {"authorization": BEARER["authorization"].replace("Bearer", "Klaviyo-API-Key"), **REVISION}
        for _ in range(2):
            assert served.http.post(f"/api/{name}s", json=tree, headers=headers).status_code == 202
        served.write("one", "A")
        events = receiver.wait_for(2)
        assert len({each["subject"] for each in events}) == 2
        assert [each["data"]["changed"] for each in events] == [["/subscriptions"]] * 2


# --- failures ---


@pytest.mark.parametrize("status", [400, 404, 500, 503])
def test_what_fails_is_sent_again_before_what_follows(host: ServerThread, tmp_path: Path, status: int) -> None:
    with gateway(host, tmp_path) as served, receiving(failing(status, 3)) as receiver:
        id, _ = served.create(receiver.url)
        for name in "ABC":
            served.write("u", name)
        receiver.wait_for(3)
        assert list(names(receiver).values()) == [[1, 2, 3]]
        assert len(receiver.messages) == 6
        assert len({message.headers["webhook-id"] for message in receiver.messages}) == 3
        assert eventually(lambda: served.show(id)["reason"] == "")


def test_one_profile_delays_no_other(host: ServerThread, tmp_path: Path) -> None:
    def answers(message: Received) -> tuple[int, Mapping[str, str], bytes]:
        return (500, {}, b"") if message.event["subject"] == bad else (204, {}, b"")

    with gateway(host, tmp_path) as served, receiving() as receiver:
        served.write("bad", "A")
        bad = served.http.get(f"{DATABASE}/changes", headers=BEARER).json()["events"][0]["subject"]
        receiver.answers = answers
        id, _ = served.create(receiver.url)
        for name in "BC":
            for profile in ("bad", "good"):
                served.write(profile, name)
        receiver.wait_for(2)
        assert [versions for _, versions in names(receiver).items()] == [[1, 2]]
        assert eventually(lambda: served.show(id)["reason"]) == "HTTP 500"
        receiver.answers = lambda _message: (200, {}, b"")
        receiver.wait_for(4)
        assert names(receiver)[bad] == [2, 3]


def test_a_redirect_is_not_followed(host: ServerThread, tmp_path: Path) -> None:
    with gateway(host, tmp_path) as served, receiving() as other:
        with receiving(lambda _message: (307, {"location": other.url}, b"")) as receiver:
            id, _ = served.create(receiver.url)
            served.write("u", "A")
            receiver.wait_for_attempts(2)
            assert eventually(lambda: served.show(id)["reason"]) == "HTTP 307"
        assert other.messages == []


def test_an_endpoint_that_answers_410_is_disabled_until_it_is_resumed(host: ServerThread, tmp_path: Path) -> None:
    with gateway(host, tmp_path) as served, receiving(lambda _message: (410, {}, b"")) as receiver:
        id, _ = served.create(receiver.url)
        served.write("u", "A")
        assert eventually(lambda: served.show(id)["state"] == "disabled")
        served.write("u", "B")
        receiver.answers = lambda _message: (200, {}, b"")
        count = len(receiver.messages)
        reply = served.http.post(f"{WEBHOOKS}/{id}/replay", json={}, headers=BEARER)
        assert (reply.status_code, reply.json()["webhook"]["state"]) == (202, "active")
        receiver.wait_for(2)
        assert (count, list(names(receiver).values())) == (1, [[1, 2]])


def test_retry_after_pauses_the_endpoint(host: ServerThread, tmp_path: Path) -> None:
    with gateway(host, tmp_path) as served, receiving(failing(429, 1, {"retry-after": "1"})) as receiver:
        served.create(receiver.url)
        served.write("u", "A")
        receiver.wait_for_attempts(1)
        served.write("v", "A")
        receiver.wait_for(2)
        times = [int(message.headers["webhook-timestamp"]) for message in receiver.messages]
        assert times[1] > times[0]


@pytest.mark.parametrize(
    ("response", "reason"),
    [
        (b"", "the connection was lost"),
        (b"HTTP/1.1", "the response is not HTTP"),
        (
            b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\nzzz",
            "the response is not HTTP",
        ),
        (b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 418 no\r\n\r\n", "HTTP 418"),
        (b"SSH-2.0-OpenSSH\r\n", "the response is not HTTP"),
        (b"HTTP/1.1 999999 no\r\n\r\n", "the response is not HTTP"),
        (b"HTTP/1.1 500 no\r\ncontent-length: 9999999999\r\n\r\n" + b"x" * 1_000_000, "HTTP 500"),
        (b"HTTP/1.1 500 no\r\n" + b"x: y\r\n" * 100_000 + b"\r\n", "the response is not HTTP"),
    ],
)
def test_an_endpoint_that_answers_garbage_is_tried_again(
    host: ServerThread, tmp_path: Path, response: bytes, reason: str
) -> None:
    def respond(connection: socket.socket) -> None:
        connection.sendall(response)

    with gateway(host, tmp_path) as served, answering(respond) as url:
        id, _ = served.create(url)
        served.write("u", "A")
        assert eventually(lambda: served.show(id)["reason"]) == reason


def test_an_endpoint_that_does_not_listen_or_answer_is_tried_again(
    host: ServerThread, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "TIMEOUT_SECONDS", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as silent, gateway(host, tmp_path) as served:
        id, _ = served.create(f"http://127.0.0.1:{silent.getsockname()[1]}/")
        other, _ = served.create("http://127.0.0.1:9/")
        served.write("u", "A")
        assert eventually(lambda: served.show(id)["reason"]).startswith("no response in")
        assert eventually(lambda: served.show(other)["reason"]) == "no connection"


# --- connections ---


def test_a_connection_is_used_again_until_the_endpoint_closes_it(host: ServerThread, tmp_path: Path) -> None:
    """A raw endpoint: it closes each connection after two responses, the second time without saying so."""
    connections = []

    def respond(connection: socket.socket) -> None:
        connections.append(connection)
        connection.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")
        connection.recv(65_536)
        connection.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")

    with gateway(host, tmp_path) as served, answering(respond) as url:
        id, _ = served.create(url)
        for name in "ABCDEF":
            served.write("u", name)
        last = served.http.get(f"{DATABASE}/changes", headers=BEARER).json()["cursor"]
        assert eventually(lambda: served.show(id)["cursor"] == last)
        assert served.show(id)["reason"] == ""
        assert len(connections) == 3


def test_an_endpoint_over_tls_needs_a_certificate_of_its_name(
    host: ServerThread, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def getaddrinfo(_host: str, port: int, **_options: Any) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    monkeypatch.setattr(addresses, "_getaddrinfo", getaddrinfo)
    certificate = write_certificate(tmp_path, "hook.example")
    with gateway(host, tmp_path) as served, receiving(certificate=certificate) as receiver:
        unknown, _ = served.create(receiver.url)
        served.write("u", "A")
        assert "CERTIFICATE_VERIFY_FAILED" in eventually(lambda: served.show(unknown)["reason"])
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        other, _ = served.create(receiver.url.replace("hook.example", "other.example"))
        served.create(receiver.url)
        served.write("u", "B")
        receiver.wait_for(1)
        assert receiver.accepted[0].event["data"]["version"] == 2
        assert "CERTIFICATE_VERIFY_FAILED" in eventually(lambda: served.show(other)["reason"])
        assert len(receiver.messages) == 1


# --- addresses ---


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("8.8.8.8", True),
        ("2606:4700:4700::1111", True),
        *(
            (each, False)
            for each in ("127.0.0.1", "0.0.0.0", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254")
        ),
        *((each, False) for each in ("100.64.0.1", "198.18.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255")),
        *((each, False) for each in ("::", "::1", "fe80::1", "fe80::1%eth0", "fc00::1", "fd00::1", "ff02::1")),
        *((each, False) for each in ("::ffff:127.0.0.1", "::127.0.0.1", "64:ff9b::7f00:1", "64:ff9b:1::7f00:1")),
        *((each, False) for each in ("2002:7f00:1::", "2001:0:0:0:0:0:80ff:fffe", "2001:db8::1")),
    ],
)
def test_an_address_is_public_in_no_disguise(address: str, expected: bool) -> None:
    assert addresses.is_public(address) is expected


@pytest.mark.parametrize(
    "url",
    [
        *("http://127.0.0.1/", "http://localhost:1/", "http://[::1]/", "http://0x7f000001/", "http://2130706433/"),
        *("http://127.1/", "http://[::ffff:7f00:1]/", "http://169.254.169.254/latest/meta-data/"),
        *("ftp://example.com/", "file:///etc/passwd", "gopher://example.com/", "//example.com", "example.com", ""),
        *(
            "http://",
            "http:///x",
            "https://user:password@example.com/",
            "http://example.com:0/",
            "http://example.com:x/",
        ),
        *(
            "http://example.com/#a",
            "http://exa mple.com/",
            "http://example.com/\r\nx: y",
            "http://\N{CYRILLIC SMALL LETTER IE}xample.com",
        ),
        *(f"http://example.com/{'x' * 2048}", "http://no-such-host.invalid/"),
    ],
)
def test_a_private_or_invalid_url_is_refused(host: ServerThread, tmp_path: Path, url: str) -> None:
    with gateway(host, tmp_path, allow_private=False) as served:
        reply = served.http.post(WEBHOOKS, json={"url": url}, headers=BEARER)
        assert (reply.status_code, reply.json()["pointer"]) == (400, "/url")
        assert served.http.get(WEBHOOKS, headers=BEARER).json() == {"webhooks": []}


def test_a_name_that_leads_inside_later_gets_nothing(
    host: ServerThread, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The name has a public address when the webhook is created, and a private one at each delivery."""
    found = ["8.8.8.8"]

    async def getaddrinfo(_host: str, port: int, **_options: Any) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, port)) for each in found]

    with gateway(host, tmp_path, allow_private=False) as served, receiving() as receiver:
        monkeypatch.setattr(addresses, "_getaddrinfo", getaddrinfo)
        id, _ = served.create(receiver.url.replace("127.0.0.1", "rebound.example"))
        found[:] = ["8.8.8.8", "127.0.0.1"]
        served.write("u", "A")
        assert eventually(lambda: served.show(id)["reason"]) == "its host has a private address"
        assert receiver.messages == []


def test_the_address_that_was_checked_is_the_one_that_is_used(
    host: ServerThread, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The name has no address for the HTTP library: it gets the number, and the name in the header alone."""

    async def getaddrinfo(_host: str, port: int, **_options: Any) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    monkeypatch.setattr(addresses, "_getaddrinfo", getaddrinfo)
    with gateway(host, tmp_path) as served, receiving() as receiver:
        url = receiver.url.replace("127.0.0.1", "pinned.invalid")
        served.create(url)
        served.write("u", "A")
        receiver.wait_for(1)
        assert receiver.messages[0].headers["host"] == url.split("/")[2]


# --- leases and secrets ---


def test_one_process_delivers_and_another_one_continues(tmp_path: Path) -> None:
    """Two gateways on one store. The first one that stops is followed by the other, and no event is sent twice."""
    hosts = ServerThread(), ServerThread()
    with receiving() as receiver, gateway(hosts[0], tmp_path) as second:
        with gateway(hosts[1], tmp_path) as first:
            first.create(receiver.url)
            for number in range(20):
                (first, second)[number % 2].write(f"u{number % 3}", str(number))
            receiver.wait_for(20)
        for number in range(20, 40):
            second.write(f"u{number % 3}", str(number))
        receiver.wait_for(40)
    ids = [message.headers["webhook-id"] for message in receiver.messages]
    assert len(ids) == len(set(ids)) == 40
    assert all(versions == sorted(versions) for versions in names(receiver).values())
    for host in hosts:
        host.close()


def test_a_secret_is_not_in_the_store_and_not_returned_again(host: ServerThread, tmp_path: Path) -> None:
    with gateway(host, tmp_path) as served:
        id, secret = served.create("http://127.0.0.1:9/")
        shown = (
            served.http.get(f"{WEBHOOKS}/{id}", headers=BEARER).text + served.http.get(WEBHOOKS, headers=BEARER).text
        )
    files = b"".join(file.read_bytes() for file in tmp_path.glob("hooks.db*"))
    assert id.encode() in files
    assert secret.encode() not in files
    assert secret.removeprefix("whsec_").encode() not in files
    assert "secret" not in shown


def test_a_webhook_whose_secret_cannot_be_read_is_reported(
    host: ServerThread, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with gateway(host, tmp_path) as served, receiving() as receiver:
        served.create(receiver.url)
    (tmp_path / "hooks.db.secret").write_text("00" * 32)
    with gateway(host, tmp_path) as served, receiving():
        served.write("u", "A")
        assert eventually(lambda: "is not delivered until the gateway starts again: its secret was" in caplog.text)
    assert receiver.messages == []


def test_a_given_secret_is_used(host: ServerThread, tmp_path: Path) -> None:
    given = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    with gateway(host, tmp_path) as served, receiving() as receiver:
        assert served.create(receiver.url, secret=given)[1] == given
        served.write("u", "A")
        receiver.wait_for(1)
        [message] = receiver.messages
        Webhook(given).verify(message.body, dict(message.headers))


# --- calls ---


@pytest.mark.parametrize(
    ("body", "code", "pointer"),
    [
        ({}, "missing_parameter", "/url"),
        ({"url": 1}, "invalid_parameter", "/url"),
        ({"url": None}, "missing_parameter", "/url"),
        ({"types": ["profile.moved"]}, "invalid_parameter", "/types"),
        ({"types": [1]}, "invalid_parameter", "/types"),
        ({"types": {"a": 1}}, "invalid_parameter", "/types"),
        ({"members": ["email"]}, "invalid_parameter", "/members"),
        ({"members": ["/email~"]}, "invalid_parameter", "/members"),
        ({"members": ["/a"] * 101}, "invalid_parameter", "/members"),
        ({"values": "yes"}, "invalid_parameter", "/values"),
        ({"secret": "whsec_c2hvcnQ="}, "invalid_parameter", "/secret"),
        ({"secret": "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}, "invalid_parameter", "/secret"),
        ({"secret": "whsec_ä"}, "invalid_parameter", "/secret"),
        ({"secret": "whsec_" + "A" * 400}, "invalid_parameter", "/secret"),
        ({"ur/l": "x"}, "unknown_field", "/ur~1l"),
    ],
)
def test_a_webhook_that_is_wrong_is_refused(
    host: ServerThread, tmp_path: Path, body: dict[str, Any], code: str, pointer: str
) -> None:
    with gateway(host, tmp_path) as served:
        whole = body if "url" in body or not body else {"url": "http://127.0.0.1:9/", **body}
        reply = served.http.post(WEBHOOKS, json=whole, headers=BEARER)
        found = reply.json()
        assert (reply.status_code, found["type"], found["pointer"]) == (400, f"urn:profile-gateway:{code}", pointer)
        assert served.http.get(WEBHOOKS, headers=BEARER).json() == {"webhooks": []}


def test_a_webhook_is_created_in_xml_as_in_json(host: ServerThread, tmp_path: Path) -> None:
    body = "<xml><url>http://127.0.0.1:9/</url><types>profile.created</types><values>true</values></xml>"
    with gateway(host, tmp_path) as served:
        headers = {**BEARER, "content-type": "application/xml"}
        reply = served.http.post(WEBHOOKS, content=body, headers=headers)
        assert (reply.status_code, reply.headers["content-type"]) == (201, "application/xml")
        [found] = served.http.get(WEBHOOKS, headers=BEARER).json()["webhooks"]
        assert (found["types"], found["members"], found["values"]) == (["profile.created"], [], True)
        assert found == served.show(found["id"])


def test_a_webhook_is_removed_with_its_dead_letters(host: ServerThread, tmp_path: Path) -> None:
    with gateway(host, tmp_path) as served:
        id, _ = served.create("http://127.0.0.1:9/")
        assert served.http.delete(f"{WEBHOOKS}/{id}", headers=BEARER).status_code == 204
        for method, path in (("GET", ""), ("DELETE", ""), ("GET", "/dead"), ("POST", "/replay")):
            content = {"json": {}} if method == "POST" else {}
            reply = served.http.request(method, f"{WEBHOOKS}/{id}{path}", headers=BEARER, **content)  # type: ignore[arg-type]
            assert (reply.status_code, reply.json()["type"]) == (404, "urn:profile-gateway:unknown_webhook")


@pytest.mark.parametrize("token", ["only-reads", "only-writes", "only-deletes", "only-delivers"])
def test_webhooks_need_the_rights_to_read_and_to_deliver(host: ServerThread, tmp_path: Path, token: str) -> None:
    headers = {"authorization": f"Bearer {token}"}
    with gateway(host, tmp_path) as served:
        id, _ = served.create("http://127.0.0.1:9/")
        for method, path in (
            ("GET", ""),
            ("POST", ""),
            ("GET", f"/{id}"),
            ("DELETE", f"/{id}"),
            ("GET", f"/{id}/dead"),
        ):
            assert served.http.request(method, WEBHOOKS + path, headers=headers).status_code == 403
        assert served.http.get(f"{DATABASE}/changes", headers=headers).status_code == (
            200 if token == "only-reads" else 403
        )
        other = {"authorization": "Bearer of-database-2"}
        assert served.http.get(f"/gateway/v1/databases/2/webhooks/{id}", headers=other).status_code == 404


def test_dead_letters_have_pages_and_are_replayed(
    host: ServerThread, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retries, "MAX_AGE", 0)
    with gateway(host, tmp_path) as served, receiving(failing(500, 3)) as receiver:
        id, _ = served.create(receiver.url)
        for profile in ("a", "b", "c"):
            served.write(profile, "A")
        path = f"{WEBHOOKS}/{id}/dead"
        letters = eventually(lambda: (found := served.http.get(path, headers=BEARER).json()["dead"])[2:] and found)
        assert [(each["attempts"], each["reason"]) for each in letters] == [(1, "HTTP 500")] * 3
        page = served.http.get(f"{path}?limit=2", headers=BEARER).json()
        assert (page["dead"], page["next"]) == (letters[:2], letters[1]["event"])
        assert served.http.get(f"{path}?after={page['next']}", headers=BEARER).json() == {
            "dead": letters[2:],
            "next": None,
        }
        for wrong in ({"events": ["x"]}, {"events": [1]}, {"all": True}):
            assert served.http.post(f"{WEBHOOKS}/{id}/replay", json=wrong, headers=BEARER).status_code == 400
        served.http.post(f"{WEBHOOKS}/{id}/replay", json={"events": [letters[1]["event"]]}, headers=BEARER)
        assert [event["id"] for event in receiver.wait_for(1)] == [letters[1]["event"]]
        served.http.post(f"{WEBHOOKS}/{id}/replay", json={}, headers=BEARER)
        receiver.wait_for(3)
        assert eventually(lambda: served.http.get(path, headers=BEARER).json()["dead"] == [])


def test_without_a_key_there_are_no_webhooks(host: ServerThread) -> None:
    store = host.run(open_store("memory:", create=True))
    host.run(seed_store(store, Case(Path(), "json", {})))

    async def opened(_url: str) -> Store:
        return store

    with host.serving(create(Settings(access_log=False), open_store=opened)), httpx.Client(base_url=host.url) as http:
        reply = http.post(WEBHOOKS, json={"url": "http://127.0.0.1:9/"}, headers=BEARER)
        assert (reply.status_code, reply.json()["detail"]) == (501, "GATEWAY_SECRET_FILE is not set")

"""Relays over the gateway's own API, to accounts on real sockets."""

import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.api.relay_requests import parse_new_relay
from gateway.dialects.protocol import Request
from gateway.feed import addresses, connection, runner
from gateway.testkit.server_thread import ServerThread
from tests.test_feed import BEARER, DATABASE
from tests.test_webhooks import Gateway, gateway
from tests.webhook_receiver import Received, Receiver, eventually, receiving, write_certificate

RELAYS = f"{DATABASE}/relays"


@pytest.fixture(autouse=True)
def _fast(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, seconds in (("POLL_SECONDS", 0.05), ("LEASE_SECONDS", 2.0), ("RENEW_SECONDS", 0.2)):
        monkeypatch.setattr(runner, name, seconds)


def send(served: Gateway, method: str, path: str = "", body: Any = None) -> httpx.Response:
    return served.http.request(method, RELAYS + path, json=body, headers=BEARER)


def create(served: Gateway, receiver: Receiver, **options: Any) -> str:
    """Create a relay to an account of Courier. Return its id."""
    new = {"to": "courier", "url": receiver.url.rpartition("/")[0], "credential": "the-key", **options}
    reply = send(served, "POST", "", new)
    assert reply.status_code == 201, reply.text
    assert "the-key" not in reply.text
    return str(reply.json()["relay"]["id"])


def status(served: Gateway, id: str) -> dict[str, Any]:
    found: dict[str, Any] = send(served, "GET", f"/{id}/status").json()["status"]
    return found


def refuse(_message: Received) -> tuple[int, Mapping[str, str], bytes]:
    return 400, {"content-type": "application/json"}, b'{"message": "no Ann"}'


def accept(_message: Received) -> tuple[int, Mapping[str, str], bytes]:
    return 200, {"content-type": "application/json"}, b"{}"


def test_a_relay_sends_changes_and_is_removed(host: ServerThread, tmp_path: Path) -> None:
    with gateway(host, tmp_path) as served, receiving(accept) as receiver:
        id = create(served, receiver, segments=[{"ours": "5", "theirs": "five"}])
        served.write("user-1", "Ann")
        assert eventually(lambda: receiver.accepted)
        assert receiver.accepted[0].headers["authorization"] == "Bearer the-key"
        assert [each["id"] for each in send(served, "GET").json()["relays"]] == [id]
        assert send(served, "GET", f"/{id}").json()["relay"]["state"] == "active"
        assert eventually(lambda: status(served, id)["rate"] > 0)
        assert send(served, "DELETE", f"/{id}").status_code == 204
        assert send(served, "GET").json()["relays"] == []
        assert send(served, "GET", f"/{id}").status_code == 404


def test_dead_letters_are_listed_replayed_and_dropped(host: ServerThread, tmp_path: Path) -> None:
    with gateway(host, tmp_path) as served, receiving(refuse) as receiver:
        id = create(served, receiver)
        served.write("user-1", "Ann")
        served.write("user-2", "Bea")
        assert eventually(lambda: status(served, id)["dead"] == 2)
        assert status(served, id)["failures"] == [{"status": "400", "count": 2}]
        first, second = send(served, "GET", f"/{id}/dead").json()["dead"]
        assert first["reason"] == "POST /profiles/***: HTTP 400 no ***"
        page = send(served, "GET", f"/{id}/dead?limit=1").json()
        assert (page["dead"], page["next"]) == ([first], first["event"])
        assert send(served, "POST", f"/{id}/drop", {"events": [second["event"]]}).status_code == 204
        receiver.answers = accept
        reply = send(served, "POST", f"/{id}/replay", {"events": [first["event"]]})
        assert (reply.status_code, reply.json()["relay"]["id"]) == (202, id)
        assert eventually(lambda: receiver.accepted)
        assert eventually(lambda: status(served, id)["retried"] == 0)
        assert send(served, "GET", f"/{id}/dead").json() == {"dead": [], "next": None}


def test_a_credential_that_is_no_header_is_refused(host: ServerThread, tmp_path: Path) -> None:
    with gateway(host, tmp_path) as served:
        new = {"to": "courier", "url": "http://127.0.0.1:1", "credential": "a\r\nhost: b"}
        problem = send(served, "POST", "", new).json()
        assert (problem["status"], problem["pointer"]) == (400, "/credential")
        assert send(served, "GET").json() == {"relays": []}


@pytest.mark.parametrize("name", ["media", "segments", "topics", "properties"])
def test_an_empty_element_of_xml_is_an_absent_member(name: str) -> None:
    tree = {"to": "klaviyo", "url": "https://a.example", "credential": "k"}
    with_it, without_it = (Request(each, path={"database": "1"}, is_typed=False) for each in ({**tree, name: ""}, tree))
    assert parse_new_relay(with_it) == parse_new_relay(without_it)


def test_a_relay_in_xml_has_the_same_members(host: ServerThread, tmp_path: Path) -> None:
    with gateway(host, tmp_path) as served, receiving(accept) as receiver:
        url = receiver.url.rpartition("/")[0]
        body = (
            f"<xml><to>altcraft</to><url>{url}</url><credential>k</credential><media>xml</media><share>0.5</share>"
            "<remote_database>7</remote_database><segments><ours>5</ours><theirs>6</theirs></segments></xml>"
        )
        headers = {**BEARER, "content-type": "application/xml"}
        reply = served.http.post(RELAYS, content=body, headers=headers)
        assert reply.status_code == 201, reply.text
        [subscriber] = host.run(served.store.subscribers())
        settings = subscriber.settings
        assert (settings["media"], settings["share"], settings["target"]["database"]) == ("xml", 0.5, 7)
        assert settings["target"]["segments"] == {"5": "6"}
        xml = served.http.get(f"{RELAYS}/{subscriber.id}/status", headers={**BEARER, "accept": "application/xml"})
        assert "<waiting>0</waiting>" in xml.text


def test_a_relay_of_a_client_reaches_public_addresses_alone(
    host: ServerThread, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    is_public = True

    async def getaddrinfo(_host: str, port: int, **_options: Any) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    monkeypatch.setattr(connection, "CONNECTION_SECONDS", -1.0)
    monkeypatch.setattr(addresses, "_getaddrinfo", getaddrinfo)
    monkeypatch.setattr(addresses, "is_public", lambda _address: is_public)
    certificate = write_certificate(tmp_path, "hook.example")
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with (
        gateway(host, tmp_path, allow_private=False) as served,
        receiving(accept, certificate=certificate) as receiver,
    ):
        id = create(served, receiver)
        served.write("user-1", "Ann")
        assert eventually(lambda: receiver.accepted)
        assert receiver.accepted[0].headers["host"].startswith("hook.example:")
        is_public = False
        served.write("user-1", "Bea")
        assert eventually(lambda: send(served, "GET", f"/{id}").json()["relay"]["reason"])
        assert len(receiver.messages) == 1

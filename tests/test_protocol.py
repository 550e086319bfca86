"""HTTP on the wire: what clients that we cannot change really send, over raw sockets."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.app import create
from gateway.settings import Settings
from gateway.stores import Store, open_store
from tests.cases import Case, furnish
from tests.servers import Host

BODY = b'{"token": "abcdefghijklmnqrstuvwxyz", "db_id": 1}'
HEAD = b"POST /api/v1.1/databases/list HTTP/1.1\r\nHost: gateway\r\nContent-Type: application/json\r\n"
LENGTH = b"Content-Length: %d\r\n" % len(BODY)
OFFER = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (len(BODY), BODY)


@pytest.fixture(scope="module")
def serving(host: Host, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    store: Store = host.run(open_store(f"sqlite:///{tmp_path_factory.mktemp('wire')}/wire.db"))
    host.run(furnish(store, Case(Path(), "json", {})))

    async def opened(_url: str) -> Store:
        return store

    with host.serving(create(Settings(), opened=opened)):
        yield host


def said(host: Host, *pieces: bytes, answers: int = 1) -> bytes:
    """What comes back for these pieces, each sent on its own: so many answers, or all until the server hangs up."""
    address, port = host.url.removeprefix("http://").split(":")
    with socket.create_connection((address, int(port)), 5) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for piece in pieces:
            connection.sendall(piece)
        answer = b""
        while answer.count(b'"total_count":1}') < answers and (received := connection.recv(65_536)):
            answer += received
        return answer


@pytest.mark.parametrize(
    "pieces",
    [
        [HEAD + LENGTH + OFFER + b"\r\n" + BODY],
        [HEAD + LENGTH + OFFER + b"\r\n", BODY],
        [HEAD, OFFER + LENGTH, b"\r\n" + BODY[:10], BODY[10:]],
        [HEAD + OFFER + CHUNKED],
        [HEAD + b"Connection: upgrade\r\nUpgrade: websocket\r\n" + LENGTH + b"\r\n" + BODY],
    ],
    ids=["whole", "body apart", "in pieces", "chunked", "websocket"],
)
def test_an_offer_of_another_protocol_is_ignored(serving: Host, pieces: list[bytes]) -> None:
    answer = said(serving, *pieces)
    assert answer.startswith(b"HTTP/1.1 200 OK")
    assert b'"error":0' in answer


def test_a_connection_goes_on_after_an_offer(serving: Host) -> None:
    plain = HEAD + LENGTH + b"\r\n" + BODY
    answer = said(serving, HEAD + LENGTH + OFFER + b"\r\n" + BODY + plain, answers=2)
    assert answer.count(b"HTTP/1.1 200 OK") == 2


@pytest.mark.parametrize(
    "rubbish", [b"\x16\x03\x01\x02\x00\x01\r\n\r\n", b"GET\r\n\r\n", HEAD + b"Content-Length: -1\r\n\r\n"]
)
def test_what_is_no_http_is_refused(serving: Host, rubbish: bytes) -> None:
    assert said(serving, rubbish).startswith(b"HTTP/1.1 400")


def test_a_client_that_leaves_in_the_middle_of_its_body_is_let_go(
    serving: Host, caplog: pytest.LogCaptureFixture
) -> None:
    address, port = serving.url.removeprefix("http://").split(":")
    with socket.create_connection((address, int(port)), 5) as connection:
        connection.sendall(HEAD + b"Content-Length: 1000\r\n\r\n" + BODY)
    assert said(serving, HEAD + LENGTH + b"\r\n" + BODY).startswith(b"HTTP/1.1 200 OK")
    assert caplog.text == ""

"""HTTP/1.1 over raw sockets: what real clients send, timeouts and limits."""

import logging
import re
import socket
import time
from base64 import b64decode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.types import Receive, Scope, Send

from gateway.server.app import create
from gateway.server.connection_limits import ConnectionLimits
from gateway.settings import Settings
from gateway.stores import open_store
from gateway.stores.protocol import Store
from gateway.testkit.server_thread import ServerThread
from tests.cases import Case, seed_store
from tests.test_corpora import rows

BODY = b'{"token": "abcdefghijklmnqrstuvwxyz", "db_id": 1}'
HEAD = b"POST /api/v1.1/databases/list HTTP/1.1\r\nHost: gateway\r\nContent-Type: application/json\r\n"
LENGTH = b"Content-Length: %d\r\n" % len(BODY)
OFFER = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (len(BODY), BODY)


@pytest.fixture(scope="module")
def serving(host: ServerThread, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerThread]:
    store: Store = host.run(open_store(f"sqlite:///{tmp_path_factory.mktemp('wire')}/wire.db", create=True))
    host.run(seed_store(store, Case(Path(), "json", {})))

    async def opened(_url: str) -> Store:
        return store

    with host.serving(create(Settings(), open_store=opened)):
        yield host


@contextmanager
def connected(host: ServerThread) -> Iterator[socket.socket]:
    address, port = host.url.removeprefix("http://").split(":")
    with socket.create_connection((address, int(port)), 5) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        yield connection


def send_and_receive(host: ServerThread, *pieces: bytes, answers: int = 1) -> bytes:
    """Send each piece by itself; return this number of responses, or all until the server closes."""
    with connected(host) as connection:
        for piece in pieces:
            connection.sendall(piece)
        return heard(connection, answers)


def heard(connection: socket.socket, answers: int = 1) -> bytes:
    """Return this number of responses, or all until the server closes."""
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
def test_an_upgrade_is_ignored(serving: ServerThread, pieces: list[bytes]) -> None:
    answer = send_and_receive(serving, *pieces)
    assert answer.startswith(b"HTTP/1.1 200 OK")
    assert b'"error":0' in answer


def test_a_connection_continues_after_an_upgrade(serving: ServerThread) -> None:
    plain = HEAD + LENGTH + b"\r\n" + BODY
    answer = send_and_receive(serving, HEAD + LENGTH + OFFER + b"\r\n" + BODY + plain, answers=2)
    assert answer.count(b"HTTP/1.1 200 OK") == 2


@pytest.mark.parametrize(
    "rubbish", [b"\x16\x03\x01\x02\x00\x01\r\n\r\n", b"GET\r\n\r\n", HEAD + b"Content-Length: -1\r\n\r\n"]
)
def test_bytes_that_are_not_http_are_rejected(serving: ServerThread, rubbish: bytes) -> None:
    assert send_and_receive(serving, rubbish).startswith(b"HTTP/1.1 400")


def test_a_client_that_disconnects_in_its_body_leaves_no_message(
    serving: ServerThread, caplog: pytest.LogCaptureFixture
) -> None:
    with connected(serving) as connection:
        connection.sendall(HEAD + b"Content-Length: 1000\r\n\r\n" + BODY)
    assert send_and_receive(serving, HEAD + LENGTH + b"\r\n" + BODY).startswith(b"HTTP/1.1 200 OK")
    assert [record.message for record in caplog.records if record.levelno > logging.INFO] == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"Host: gateway", b"Host:\t gateway \t"),
        (b"application/json", b"application/json \t"),
        (LENGTH[:-2], LENGTH[:-2] + b" "),
        (LENGTH, b"Expect: 100-continue \r\n" + LENGTH),
        (LENGTH, b"Content-Encoding: identity \r\n" + LENGTH),
        (LENGTH + b"\r\n" + BODY, CHUNKED.replace(b"chunked", b" chunked  ")),
    ],
    ids=["host", "content-type", "content-length", "expect", "content-encoding", "transfer-encoding"],
)
def test_white_space_around_a_value_is_no_part_of_it(serving: ServerThread, old: bytes, new: bytes) -> None:
    sent = HEAD + LENGTH + b"\r\n" + BODY
    assert old in sent
    answer = send_and_receive(serving, sent.replace(old, new) + sent, answers=2).removeprefix(
        b"HTTP/1.1 100 Continue\r\n\r\n"
    )
    assert answer.count(b"HTTP/1.1 200 OK") == answer.count(b"HTTP/1.1") == 2


def test_a_client_of_http_1_0_gets_no_interim_response(serving: ServerThread) -> None:
    sent = HEAD + b"Expect: 100-continue\r\n" + LENGTH + b"\r\n" + BODY
    assert send_and_receive(serving, sent).startswith(b"HTTP/1.1 100 Continue")
    assert send_and_receive(serving, sent.replace(b"HTTP/1.1", b"HTTP/1.0")).startswith(b"HTTP/1.1 200 OK")


# --- slow, greedy and broken clients ---

SHORT = ConnectionLimits(3, 0.3, 2_000, 20, 0.3, 150, 2)
PLAIN = HEAD + LENGTH + b"\r\n" + BODY
ANSWERED = b"HTTP/1.1 200 OK"


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerThread]:
    """A server with short timeouts and low limits."""
    host = ServerThread(SHORT, pause=0.05)
    store: Store = host.run(open_store(f"sqlite:///{tmp_path_factory.mktemp('strict')}/wire.db", create=True))
    host.run(seed_store(store, Case(Path(), "json", {})))

    async def opened(_url: str) -> Store:
        return store

    with host.serving(create(Settings(), open_store=opened)):
        yield host
    host.close()


def read_all(connection: socket.socket) -> bytes:
    return b"".join(iter(lambda: connection.recv(65_536), b""))


def dribbled(host: ServerThread, start: bytes, drop: bytes, pause: float = 0.05) -> bytes:
    """Send the start, then a drop again and again until there is a response; return it."""
    with connected(host) as connection:
        connection.sendall(start)
        connection.settimeout(pause)
        for _ in range(100):
            try:
                return connection.recv(65_536)
            except TimeoutError:
                connection.sendall(drop)
    raise AssertionError("the server waits for ever")


@pytest.mark.parametrize(
    ("start", "drop"),
    [
        (HEAD, b""),
        (HEAD, b"X-A: b\r\n"),
        (HEAD + LENGTH + b"\r\n" + BODY[:5], b""),
        (HEAD + LENGTH.replace(b"4", b"90") + b"\r\n", b"x"),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
    ],
    ids=["silent in the headers", "slow headers", "silent in the body", "slow body", "slow chunks"],
)
def test_a_slow_client_gets_a_timeout(strict: ServerThread, start: bytes, drop: bytes) -> None:
    assert dribbled(strict, start, drop).startswith(b"HTTP/1.1 408 Request Timeout")


def test_a_client_that_stops_in_a_large_body_gets_a_timeout(strict: ServerThread) -> None:
    with connected(strict) as connection:
        connection.sendall(HEAD + b"Content-Length: 20000\r\n\r\n")
        time.sleep(0.05)
        connection.sendall(b" " * 10_000)
        assert connection.recv(65_536).startswith(b"HTTP/1.1 408 Request Timeout")


def test_a_silent_connection_is_closed_without_a_response(strict: ServerThread) -> None:
    assert send_and_receive(strict) == b""


def test_line_breaks_keep_no_connection_open(strict: ServerThread) -> None:
    with connected(strict) as connection:
        connection.sendall(PLAIN)
        assert heard(connection).startswith(ANSWERED)
        connection.settimeout(0.05)
        for _ in range(100):
            try:
                assert connection.recv(65_536).startswith(b"HTTP/1.1 408")
                return
            except TimeoutError:
                connection.sendall(b"\r\n")
    raise AssertionError("the server waits for ever")


def test_a_slow_client_within_the_limits_gets_its_response(strict: ServerThread) -> None:
    body = BODY + b" " * 200
    with connected(strict) as connection:
        connection.sendall(HEAD + b"Content-Length: %d\r\n\r\n" % len(body))
        for start in range(0, len(body), 50):
            time.sleep(0.1)
            connection.sendall(body[start : start + 50])
        assert heard(connection).startswith(ANSWERED)


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (HEAD + b"".join(b"X-%d: 1\r\n" % number for number in range(19)) + LENGTH + b"\r\n" + BODY, 431),
        (HEAD + b"X-Long: " + b"x" * 2_000 + b"\r\n" + LENGTH + b"\r\n" + BODY, 431),
        (HEAD + OFFER + b"X-Long: " + b"x" * 2_000 + b"\r\n" + LENGTH + b"\r\n" + BODY, 431),
        (HEAD + b"X-Long: " + b"x" * 2_000, 431),
        (b"GET /" + b"x" * 2_000 + b" HTTP/1.1\r\nHost: gateway\r\n\r\n", 431),
        (b"\r\n" * 1_001, 431),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n0\r\n" + b"X: 1\r\n" * 25, 431),
        (HEAD.replace(b"Host: gateway\r\n", b"") + LENGTH + b"\r\n" + BODY, 400),
        (HEAD + b"Host: other\r\n" + LENGTH + b"\r\n" + BODY, 400),
        (HEAD + LENGTH + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (HEAD + LENGTH + b"Content-Length: 3\r\n\r\n" + BODY, 400),
        (HEAD + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n", 400),
        (HEAD + b"Long: one\r\n two\r\n" + LENGTH + b"\r\n" + BODY, 400),
        (HEAD + b"Bare: one\rtwo\r\n" + LENGTH + b"\r\n" + BODY, 400),
        (HEAD + b"Name : value\r\n" + LENGTH + b"\r\n" + BODY, 400),
        (b"CONNECT gateway:443 HTTP/1.1\r\nHost: gateway:443\r\n\r\n", 501),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n0\r\nX: " + b"x" * 6_000, 431),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n1;" + b"x" * 6_000, 431),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + (b"1;" + b"x" * 100 + b"\r\nx\r\n") * 100, 431),
        (HEAD.replace(b"gateway", b"gate way") + LENGTH + b"\r\n" + BODY, 400),
        (HEAD.replace(b"gateway", b"u@gateway/") + LENGTH + b"\r\n" + BODY, 400),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
        (HEAD.replace(b"HTTP/1.1", b"HTTP/2.0") + LENGTH + b"\r\n" + BODY, 505),
        (b"GET /healthz\r\n\r\n", 505),
        (HEAD.replace(b"HTTP/1.1", b"HTTP/1.0") + CHUNKED, 400),
        (HEAD.replace(b"HTTP/1.1", b"HTTP/1.0") + b"Host: other\r\n" + LENGTH + b"\r\n" + BODY, 400),
        (HEAD + CHUNKED.replace(b"chunked", b"chunked\t"), 400),
        (HEAD + CHUNKED.replace(b"chunked", b"gzip, chunked"), 501),
        (HEAD + CHUNKED.replace(b"chunked", b"identity"), 501),
    ],
    ids=[
        "many headers", "long header", "long header of an upgrade",
        "unfinished long header", "long target", "empty lines", "many trailers",
        "no host", "two hosts", "length and chunks", "two lengths", "chunks within another", "folded header",
        "bare carriage return", "blank before the colon", "a proxy's method", "long trailer",
        "long extension of a chunk", "long extensions of many chunks", "no host's characters", "no host's parts",
        "http/2", "http/2 in http/1's form", "http/0.9", "chunks in http/1.0", "two hosts in http/1.0",
        "a tab after chunked", "compressed chunks", "no chunks",
    ],
)  # fmt: skip
def test_a_head_or_framing_over_its_limit_is_rejected(strict: ServerThread, sent: bytes, status: int) -> None:
    answer = send_and_receive(strict, sent)
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d " % status)
    assert answer.count(b"HTTP/1.1 ") - body.count(b"HTTP/1.1 ") == 1
    assert b"content-length: %d\r\n" % len(body) in head + b"\r\n"
    assert b"connection: close" in head


def test_trailers_are_not_headers(strict: ServerThread) -> None:
    trailer = b"0\r\nAccept: application/xml\r\n\r\n"
    chunks = b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n" % (len(BODY), BODY)
    assert b"application/json" in send_and_receive(strict, HEAD + chunks + trailer)


def test_an_error_response_follows_the_pending_responses(strict: ServerThread) -> None:
    answer = send_and_receive(strict, PLAIN + b"rubbish\r\n\r\n", answers=2)
    assert answer.startswith(ANSWERED)
    assert answer.count(b"HTTP/1.1 400 Bad Request") == 1


def test_a_broken_body_does_not_cancel_earlier_responses(strict: ServerThread) -> None:
    answer = send_and_receive(
        strict, PLAIN + PLAIN + HEAD + b"Transfer-Encoding: chunked\r\n\r\nrubbish\r\n", answers=3
    )
    assert answer.count(ANSWERED) == 2
    assert b"HTTP/1.1 400 Bad Request" in answer


@pytest.mark.parametrize("requests", [1, 3])
def test_a_half_closed_connection_gets_every_response(serving: ServerThread, requests: int) -> None:
    # What is written takes a moment, in which the end of the client's side is seen.
    body = BODY[:-1] + b', "email": "half@example.com", "data": {"x": 1}}'
    head = HEAD.replace(b"databases/list", b"profiles/import")
    with connected(serving) as connection:
        connection.sendall((head + b"Content-Length: %d\r\n\r\n%b" % (len(body), body)) * requests)
        connection.shutdown(socket.SHUT_WR)
        assert read_all(connection).count(ANSWERED) == requests


def test_pipelined_requests_are_limited(strict: ServerThread) -> None:
    answer = send_and_receive(strict, PLAIN * 10, answers=10)
    assert answer.count(ANSWERED) == 3
    assert answer.count(b"HTTP/1.1 503 Service Unavailable") == 1
    assert b"retry-after: 1" in answer


def test_connections_are_limited(strict: ServerThread) -> None:
    with connected(strict) as first, connected(strict), connected(strict):
        first.sendall(HEAD)
        time.sleep(0.05)
        assert send_and_receive(strict).startswith(b"HTTP/1.1 503 Service Unavailable")
        first.sendall(LENGTH + b"\r\n" + BODY)
        assert heard(first).startswith(ANSWERED)


def test_an_error_response_reaches_a_client_that_is_still_sending(strict: ServerThread) -> None:
    with connected(strict) as connection:
        connection.sendall(b"rubbish\r\n\r\n" + b"x" * 1_000_000)
        time.sleep(0.1)
        connection.sendall(b"x" * 1_000)
        assert heard(connection).startswith(b"HTTP/1.1 400")


def test_a_client_that_does_not_read_its_response_is_disconnected(strict: ServerThread) -> None:
    async def many(_scope: Scope, _receive: Receive, send: Send) -> None:
        headers = [(b"content-length", b"20000000")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"x" * 20_000_000})

    with strict.serving(Starlette(routes=[Mount("/", many)])), connected(strict) as connection:
        connection.sendall(PLAIN)
        time.sleep(1)
        assert len(read_all(connection)) < 20_000_000


def test_raw_requests_of_others_are_never_a_call(serving: ServerThread) -> None:
    """A valid request gets 404, or for `/` the redirect to the documentation. The connection rejects all others."""
    for row in rows("http_raw"):
        with connected(serving) as connection:
            connection.sendall(b64decode(row["b64"]))
            connection.shutdown(socket.SHUT_WR)
            answer = read_all(connection)
        statuses = [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3}) [A-Z]", answer)]
        assert statuses.count(307) == answer.count(b"\r\nlocation: docs\r\n"), (row["id"], answer)
        assert all(400 <= status < 500 or status in (307, 501, 505) for status in statuses), (row["id"], answer)

"""HTTP on the wire: what clients that we cannot change really send, over raw sockets."""

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
    store: Store = host.run(open_store(f"sqlite:///{tmp_path_factory.mktemp('wire')}/wire.db"))
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


def said(host: ServerThread, *pieces: bytes, answers: int = 1) -> bytes:
    """What comes back for these pieces, each sent on its own: so many answers, or all until the server hangs up."""
    with connected(host) as connection:
        for piece in pieces:
            connection.sendall(piece)
        return heard(connection, answers)


def heard(connection: socket.socket, answers: int = 1) -> bytes:
    """So many answers, or all until the server hangs up."""
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
def test_an_offer_of_another_protocol_is_ignored(serving: ServerThread, pieces: list[bytes]) -> None:
    answer = said(serving, *pieces)
    assert answer.startswith(b"HTTP/1.1 200 OK")
    assert b'"error":0' in answer


def test_a_connection_goes_on_after_an_offer(serving: ServerThread) -> None:
    plain = HEAD + LENGTH + b"\r\n" + BODY
    answer = said(serving, HEAD + LENGTH + OFFER + b"\r\n" + BODY + plain, answers=2)
    assert answer.count(b"HTTP/1.1 200 OK") == 2


@pytest.mark.parametrize(
    "rubbish", [b"\x16\x03\x01\x02\x00\x01\r\n\r\n", b"GET\r\n\r\n", HEAD + b"Content-Length: -1\r\n\r\n"]
)
def test_what_is_no_http_is_refused(serving: ServerThread, rubbish: bytes) -> None:
    assert said(serving, rubbish).startswith(b"HTTP/1.1 400")


def test_a_client_that_leaves_in_the_middle_of_its_body_is_let_go(
    serving: ServerThread, caplog: pytest.LogCaptureFixture
) -> None:
    with connected(serving) as connection:
        connection.sendall(HEAD + b"Content-Length: 1000\r\n\r\n" + BODY)
    assert said(serving, HEAD + LENGTH + b"\r\n" + BODY).startswith(b"HTTP/1.1 200 OK")
    assert caplog.text == ""


# --- slow, greedy and broken clients ---

SHORT = ConnectionLimits(3, 0.3, 2_000, 20, 0.3, 150, 2)
PLAIN = HEAD + LENGTH + b"\r\n" + BODY
ANSWERED = b"HTTP/1.1 200 OK"


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerThread]:
    """A server with short deadlines and small bounds."""
    host = ServerThread(SHORT, pause=0.05)
    store: Store = host.run(open_store(f"sqlite:///{tmp_path_factory.mktemp('strict')}/wire.db"))
    host.run(seed_store(store, Case(Path(), "json", {})))

    async def opened(_url: str) -> Store:
        return store

    with host.serving(create(Settings(), open_store=opened)):
        yield host
    host.close()


def read_all(connection: socket.socket) -> bytes:
    return b"".join(iter(lambda: connection.recv(65_536), b""))


def dribbled(host: ServerThread, start: bytes, drop: bytes, pause: float = 0.05) -> bytes:
    """What comes back to a client that sends something, and then a drop again and again until it is answered."""
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
def test_a_slow_client_is_told_that_it_took_too_long(strict: ServerThread, start: bytes, drop: bytes) -> None:
    assert dribbled(strict, start, drop).startswith(b"HTTP/1.1 408 Request Timeout")


def test_who_sends_much_and_then_nothing_is_told_so_too(strict: ServerThread) -> None:
    with connected(strict) as connection:
        connection.sendall(HEAD + b"Content-Length: 20000\r\n\r\n")
        time.sleep(0.05)
        connection.sendall(b" " * 10_000)
        assert connection.recv(65_536).startswith(b"HTTP/1.1 408 Request Timeout")


def test_who_says_nothing_is_let_go_without_a_word(strict: ServerThread) -> None:
    assert said(strict) == b""


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


def test_a_slow_client_that_gets_on_is_answered(strict: ServerThread) -> None:
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
        (HEAD + CHUNKED.replace(b"chunked", b"gzip, chunked"), 501),
        (HEAD + CHUNKED.replace(b"chunked", b"identity"), 501),
    ],
    ids=[
        "many headers", "long header", "unfinished long header", "long target", "empty lines", "many trailers",
        "no host", "two hosts", "length and chunks", "two lengths", "chunks within another", "folded header",
        "bare carriage return", "blank before the colon", "a proxy's method", "long trailer",
        "long extension of a chunk", "long extensions of many chunks", "no host's characters", "no host's parts",
        "http/2", "http/2 in http/1's form", "http/0.9", "chunks in http/1.0", "two hosts in http/1.0",
        "compressed chunks", "no chunks",
    ],
)  # fmt: skip
def test_what_is_out_of_bounds_on_the_wire_is_refused(strict: ServerThread, sent: bytes, status: int) -> None:
    answer = said(strict, sent)
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d " % status)
    assert answer.count(b"HTTP/1.1 ") - body.count(b"HTTP/1.1 ") == 1
    assert b"content-length: %d\r\n" % len(body) in head + b"\r\n"
    assert b"connection: close" in head


def test_trailers_are_no_headers(strict: ServerThread) -> None:
    trailer = b"0\r\nAccept: application/xml\r\n\r\n"
    chunks = b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n" % (len(BODY), BODY)
    assert b"application/json" in said(strict, HEAD + chunks + trailer)


def test_a_refusal_waits_for_the_answers_that_are_owed(strict: ServerThread) -> None:
    answer = said(strict, PLAIN + b"rubbish\r\n\r\n", answers=2)
    assert answer.startswith(ANSWERED)
    assert answer.count(b"HTTP/1.1 400 Bad Request") == 1


def test_a_body_that_breaks_does_not_take_the_answers_before_it(strict: ServerThread) -> None:
    answer = said(strict, PLAIN + PLAIN + HEAD + b"Transfer-Encoding: chunked\r\n\r\nrubbish\r\n", answers=3)
    assert answer.count(ANSWERED) == 2
    assert b"HTTP/1.1 400 Bad Request" in answer


@pytest.mark.parametrize("requests", [1, 3])
def test_who_will_say_no_more_still_gets_every_answer(serving: ServerThread, requests: int) -> None:
    # What is written takes a moment, in which the end of the client's side is seen.
    body = BODY[:-1] + b', "email": "half@example.com", "data": {"x": 1}}'
    head = HEAD.replace(b"databases/list", b"profiles/import")
    with connected(serving) as connection:
        connection.sendall((head + b"Content-Length: %d\r\n\r\n%b" % (len(body), body)) * requests)
        connection.shutdown(socket.SHUT_WR)
        assert read_all(connection).count(ANSWERED) == requests


def test_only_so_many_requests_wait_in_line(strict: ServerThread) -> None:
    answer = said(strict, PLAIN * 10, answers=10)
    assert answer.count(ANSWERED) == 3
    assert answer.count(b"HTTP/1.1 503 Service Unavailable") == 1
    assert b"retry-after: 1" in answer


def test_only_so_many_connections_are_open(strict: ServerThread) -> None:
    with connected(strict) as first, connected(strict), connected(strict):
        first.sendall(HEAD)
        time.sleep(0.05)
        assert said(strict).startswith(b"HTTP/1.1 503 Service Unavailable")
        first.sendall(LENGTH + b"\r\n" + BODY)
        assert heard(first).startswith(ANSWERED)


def test_a_refusal_reaches_a_client_that_is_still_sending(strict: ServerThread) -> None:
    with connected(strict) as connection:
        connection.sendall(b"rubbish\r\n\r\n" + b"x" * 1_000_000)
        time.sleep(0.1)
        connection.sendall(b"x" * 1_000)
        assert heard(connection).startswith(b"HTTP/1.1 400")


def test_who_does_not_take_the_reply_is_let_go(strict: ServerThread) -> None:
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
        assert statuses.count(307) == answer.count(b"\r\nlocation: /docs\r\n"), (row["id"], answer)
        assert all(400 <= status < 500 or status in (307, 501, 505) for status in statuses), (row["id"], answer)

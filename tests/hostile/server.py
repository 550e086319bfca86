"""A server under test: a real one over a SQLite file, requests to it, and the laws that every reply keeps."""

import http.client
import json
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import apsw
from lxml import etree

from gateway.server.app import create
from gateway.settings import Settings
from gateway.stores import open_store
from gateway.testkit.server_thread import ServerThread
from tests.cases import NOW, TOKENS, Case, seed_store

T = TypeVar("T")

TOKEN = next(iter(TOKENS))
HUNG = 10.0
"""Seconds without an answer after which nobody waits any longer."""

LONGEST, TRIES = 1.0, 3
"""Seconds of the processor that an answer may take, for this process, which the server is in. Other processes do not
count. Sometimes a collection of garbage does: so the answer fails where each of some tries takes longer."""


@dataclass(frozen=True)
class Request:
    """What is sent. Without an Accept the reply is asked for in the media type of the body."""

    method: str
    path: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def wants_xml(self) -> bool:
        return "xml" in self.headers.get("accept", self.headers.get("content-type", "json"))


@dataclass(frozen=True)
class Reply:
    status: int
    media_type: str
    body: bytes


class ServerUnderTest:
    """A connection to the server, kept open, and a second pair of eyes on its database."""

    def __init__(self, url: str, file: Path) -> None:
        self._address = urlsplit(url).hostname, urlsplit(url).port
        self._connection = http.client.HTTPConnection(*self._address, timeout=HUNG)  # type: ignore[arg-type]
        self._eyes = apsw.Connection(str(file), flags=apsw.SQLITE_OPEN_READONLY)

    def answer(self, sent: Request) -> Reply:
        """The reply: no 5xx, well formed in the media type asked for, and where it is a refusal, without a trace."""
        before = self.version
        reply = self.exchanged(sent)
        assert reply.status < 500, (sent, reply)
        assert_well_formed(sent, reply)
        assert reply.status < 400 or self.version == before, f"a refusal was written: {sent}"
        return reply

    def exchanged(self, sent: Request) -> Reply:
        """The reply, in time."""
        return in_time(lambda: self._exchanged(sent), sent)

    def _exchanged(self, sent: Request) -> Reply:
        try:
            self._connection.request(sent.method, sent.path, sent.body, dict(sent.headers))
            response = self._connection.getresponse()
        except (http.client.RemoteDisconnected, ConnectionError):
            # A refusal closes the connection: a body that the server does not want is not read to its end.
            self._connection.close()
            self._connection.request(sent.method, sent.path, sent.body, dict(sent.headers))
            response = self._connection.getresponse()
        media_type = response.headers.get("content-type", "")
        return Reply(response.status, media_type.partition(";")[0], response.read())

    def raw(self, data: bytes) -> bytes:
        """Whatever comes back, in time, for bytes on a connection of their own, until either side is done."""
        return in_time(lambda: self._raw(data), data)

    def _raw(self, data: bytes) -> bytes:
        with socket.create_connection(self._address, timeout=HUNG) as connection:  # type: ignore[arg-type]
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
            received = b""
            try:
                while chunk := connection.recv(65_536):
                    received += chunk
            except ConnectionError:
                pass
            return received

    def close(self) -> None:
        self._connection.close()
        self._eyes.close()

    @property
    def version(self) -> Any:
        """A number that moves with every write to the file, whatever is written."""
        return self._eyes.pragma("data_version")

    def rows(self, database: int) -> list[Any]:
        """Return the profiles and the segments of a database."""
        tables = ("profiles", "segments")
        return [
            row
            for table in tables
            for row in self._eyes.execute(f"SELECT * FROM {table} WHERE database = ? ORDER BY id", (database,))
        ]


def in_time(exchange: Callable[[], T], sent: object) -> T:
    """What an exchange comes to. Fails where it takes too long each time that it is tried."""
    for _ in range(TRIES):
        began = time.process_time()
        answer = exchange()
        if time.process_time() - began <= LONGEST:
            return answer
    raise AssertionError(f"each of {TRIES} answers took more than {LONGEST} s of the processor: {sent!r:.2000}")


def assert_well_formed(sent: Request, reply: Reply) -> None:
    if not reply.body:
        assert reply.status in (202, 204) or sent.method == "HEAD", (sent, reply)
    elif reply.media_type.endswith("xml"):
        assert sent.wants_xml, (sent, reply)
        assert etree.fromstring(reply.body).tag == "xml"
    else:
        assert reply.media_type.endswith("json"), (sent, reply)
        assert not sent.wants_xml, (sent, reply)
        assert isinstance(json.loads(reply.body), dict)


@contextmanager
def opened(host: ServerThread, folder: Path, case: Case | None = None) -> Iterator[ServerUnderTest]:
    """A server over a database of its own, with the tokens of the cases."""
    file = folder / "hostile.db"
    store = host.run(open_store(f"sqlite:///{file}", create=True))
    host.run(seed_store(store, case or Case(folder, "json", {})))

    async def brought(_url: str) -> Any:
        return store

    with host.serving(create(Settings(rate_limits=0), now=lambda: NOW, open_store=brought)):
        server = ServerUnderTest(host.url, file)
        yield server
        server.close()

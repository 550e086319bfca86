"""One gateway in process, without sockets, that a sequence of calls is made on; and what its views show after each.

`World.observe` raises `AssertionError` where a view shows a key as mailable that the ledger forbids.
"""

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from io import BytesIO
from itertools import count
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple, cast
from urllib.parse import quote

from starlette.applications import Starlette

from gateway.core.fingerprint import fingerprint
from gateway.core.model import Database, Token
from gateway.media import json, xml
from gateway.server.app import create
from gateway.settings import Settings
from gateway.stores import open_store
from gateway.stores.protocol import Store
from gateway.transfer import ExistingProfiles, Loader, dump_lines
from tests.consent.journal import JournalCheck
from tests.consent.ledger import SUBSCRIBED, Key, Ledger, key_of

TOKEN = "abcdefghijklmnqrstuvwxyz"
START = 1_800_000_000_000
KLAVIYO = {"authorization": f"Klaviyo-API-Key {TOKEN}", "revision": "2026-07-15"}
COURIER = {"authorization": f"Bearer {TOKEN}"}
CODECS = {"json": json, "xml": xml}
NIL = b'<status xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:nil="true"/>'


class Answer(NamedTuple):
    """A status and a tree; None without a body."""

    status: int
    tree: Any

    @property
    def is_success(self) -> bool:
        """Whether all of the request succeeded: each row of a batch, and each profile of a job."""
        tree = self.tree or {}
        rows = [tree, *tree.get("result", ())]
        skipped = tree.get("data", {}).get("attributes", {}).get("skipped_count", 0)
        return self.status < 300 and not skipped and not any(row.get("error") for row in rows)


class Sent(NamedTuple):
    """A request, to be repeated byte for byte."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


class World:
    """The gateway, the ledger beside it, and its profiles as they were after the last step.

    `klaviyo`: attributes by id; `altcraft`: data by id; `kept`: successful requests with an Idempotency-Key.
    """

    def __init__(self, gateway: "Gateway", url: str) -> None:
        self.ledger = Ledger()
        self.klaviyo: dict[str, Any] = {}
        self.altcraft: dict[str, Any] = {}
        self.kept: list[Sent] = []
        self._gateway, self._url = gateway, url
        self._stores, self._keys = count(), count()
        self._journal = JournalCheck()

    async def open(self) -> Store:
        """Serve an empty store."""
        self._gateway.store = await open_store(self._url.format(next(self._stores)), create=True)
        return self._gateway.store

    async def fill(self) -> None:
        """Add the database and its token to an empty store."""
        store = self._gateway.store
        await store.add_database(Database(1, "default", company_id="demo"))
        await store.add_token(Token("t", fingerprint(TOKEN), 1, frozenset(("read", "write", "delete")), START))

    async def reload(self) -> None:
        """Dump the store, load the dump into a fresh one, and serve that."""
        async with self._gateway.store.snapshot() as snapshot:
            dump = b"".join([line async for line in dump_lines(self._gateway.store, snapshot)])
        await self.close()
        await Loader(await self.open(), ExistingProfiles.REFUSE).load(BytesIO(dump), lambda _: None)

    async def close(self) -> None:
        await self._gateway.store.close()

    # --- requests ---

    async def send(
        self,
        method: str,
        path: str,
        tree: Any = None,
        headers: Mapping[str, str] | None = None,
        media: str = "json",
        keyed: bool = False,
    ) -> Answer:
        """Send a tree as JSON or XML, and ask for JSON. A keyed request that succeeds may be repeated later."""
        body = b"" if tree is None else CODECS[media].encode(tree)
        if media == "xml":
            body = body.replace(b"<status/>", NIL)
        key = {"idempotency-key": f"k{next(self._keys)}"} if keyed else {}
        sent = Sent(method, path, {"accept": "application/json", **(headers or {}), **key} | _type(body, media), body)
        answer = await self.send_again(sent)
        if keyed and answer.is_success:
            self.kept.append(sent)
        return answer

    async def send_again(self, sent: Sent) -> Answer:
        status, body = await _respond(self._gateway.app, sent)
        assert status < 500, (sent, body)
        codec = xml if body.startswith(b"<") else json
        return Answer(status, codec.decode(body) if body else None)

    # --- views ---

    async def observe(self, media: str = "json") -> None:
        """Read every profile in each view, and compare with the ledger."""
        await self.read(media)
        broken = sorted(f"{view} of {id}: {key}" for view, id, key in self._mailable() if self.ledger.forbids(id, key))
        broken += sorted(f"klaviyo's consent of {id}: {key}" for id, key in self._unsubscribed_and_consenting())
        assert not broken, f"opted out, and mailable: {'; '.join(broken)}"
        self._check_subscribed()
        await self._journal.compare(self._gateway.store, self._consents_by_id())

    def _consents_by_id(self) -> dict[str, Any]:
        found: dict[str, Any] = {id: set(_klaviyo_consents(attributes)) for id, attributes in self.klaviyo.items()}
        for id, *row in self._altcraft_rows():
            found[id].add(("altcraft", *map(str, row)))
        return found

    async def read(self, media: str = "json") -> None:
        """Read every profile in each view."""
        accept = {"accept": f"application/{media}"}
        query = "/api/profiles?page[size]=100&additional-fields[profile]=subscriptions"
        found = await self.send("GET", query, headers={**KLAVIYO, **accept})
        self.klaviyo = {row["id"]: row["attributes"] for row in found.tree["data"] or ()}
        self.altcraft = {}
        for id in self.klaviyo:
            search = {"token": TOKEN, "db_id": 1, "matching": "profile_id", "profile_id": id}
            answer = await self.send("POST", "/api/v1.1/profiles/get", search, accept)
            self.altcraft[id] = answer.tree["data"]

    def _check_subscribed(self) -> None:
        """Every explicit subscription of the last step is shown: nothing that forbids it came after."""
        mailable = {(id, key): view for view, id, key in self._mailable()}
        for id, key in self.ledger.subscribed:
            if id in self.altcraft and not self.ledger.forbids(id, key):
                assert (id, key) in self.rows(), f"subscribed, and not there: {id} {key}"
                assert (id, key) in mailable, f"subscribed, and not mailable: {id} {key}"
                assert self._consents(id, key), f"subscribed, and not SUBSCRIBED in Klaviyo's view: {id} {key}"
        self.ledger.subscribed.clear()

    def _consents(self, id: str, key: Key) -> bool:
        """Whether Klaviyo's view agrees that a key is subscribed. It shows the first address of each channel only."""
        shown = [each for each in _klaviyo_consents(self.klaviyo[id]) if each[0] == key]
        return all(consent == "SUBSCRIBED" and can_receive for _, consent, can_receive in shown)

    def _unsubscribed_and_consenting(self) -> Iterator[tuple[str, Key]]:
        """A suppression leaves the consent, and forbids mail. An unsubscription ends the consent."""
        for id, attributes in self.klaviyo.items():
            for key, consent, _ in _klaviyo_consents(attributes):
                if consent == "SUBSCRIBED" and self.ledger.is_in_force("unsubscribed", id, key):
                    yield id, key

    def _mailable(self) -> Iterator[tuple[str, str, Key]]:
        """Return each key that a view shows as mailable: view, profile, key."""
        for id, attributes in self.klaviyo.items():
            for key, _, can_receive in _klaviyo_consents(attributes):
                if can_receive:
                    yield "klaviyo", id, key
        for id, key, status in self._altcraft_rows():
            if status in SUBSCRIBED:
                yield "altcraft", id, key

    def rows(self) -> set[tuple[str, Key]]:
        """Return the profile and key of every subscription."""
        return {(id, key) for id, key, _ in self._altcraft_rows()}

    def _altcraft_rows(self) -> Iterator[tuple[str, Key, Any]]:
        for id, data in self.altcraft.items():
            for row in data.get("subscriptions") or ():
                if row["channel"] in ("email", "sms"):
                    resource = row.get("resource_id")
                    address = row["email" if row["channel"] == "email" else "phone"]
                    key = key_of(row["channel"], address, None if resource is None else int(resource))
                    yield id, key, row.get("status")

    def owners(self, channel: str, address: str) -> set[str]:
        """Return the profiles of an address: those whose own it is, else those that have a subscription of it."""
        wanted = key_of(channel, address)[:2]
        own = {id for id, data in self.altcraft.items() for each in _own(channel, data) if each[:2] == wanted}
        return own or {id for id, key in self.rows() if key[:2] == wanted}


def _own(channel: str, data: Mapping[str, Any]) -> list[Key]:
    own = [data.get("email")] if channel == "email" else data.get("phones") or []
    return [key_of(channel, each) for each in own if each]


def _klaviyo_consents(attributes: Mapping[str, Any]) -> Iterator[tuple[Key, str, bool]]:
    shown = attributes["subscriptions"]
    for channel, name in (("email", "email"), ("sms", "phone_number")):
        if address := attributes.get(name):
            marketing = shown[channel]["marketing"]
            can_receive = marketing[f"can_receive_{channel}_marketing"] in (True, "true")
            yield key_of(channel, address), marketing["consent"], can_receive


def _type(body: bytes, media: str) -> dict[str, str]:
    return {"content-type": f"application/{media}"} if body else {}


async def _respond(app: Starlette, sent: Sent) -> tuple[int, bytes]:
    """Return the status and body of one request to an ASGI application."""
    path, _, query = sent.path.partition("?")
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": sent.method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": quote(query, safe="=&").encode(),
        "root_path": "",
        "headers": [(b"host", b"gateway.example"), *((k.encode(), v.encode()) for k, v in sent.headers.items())],
        "client": ("192.0.2.1", 1),
        "server": ("gateway.example", 80),
    }
    if sent.body:
        scope["headers"].append((b"content-length", str(len(sent.body)).encode()))  # type: ignore[attr-defined]
    messages: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": sent.body, "more_body": False}

    async def send(message: Any) -> None:
        messages.append(message)

    await app(scope, receive, send)
    status = next(message["status"] for message in messages if message["type"] == "http.response.start")
    return status, b"".join(message.get("body", b"") for message in messages if message["type"] == "http.response.body")


class Gateway:
    """An application with an exchangeable store, since compiling its schemas takes longer than a sequence."""

    store: Store

    def __init__(self, secret_file: str) -> None:
        ids, seconds = count(1), count()
        self.app = create(
            Settings(access_log=False, rate_limits=0, secret_file=secret_file),
            now=lambda: START + next(seconds) * 1000,
            new_id=lambda: f"{next(ids):024x}",
            open_store=self._open_store,
        )

    async def _open_store(self, _url: str) -> Store:
        return cast(Store, _CurrentStore(self))


class _CurrentStore:
    """The present store of a gateway. Each sequence closes its own."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    def __getattr__(self, name: str) -> Any:
        return getattr(self._gateway.store, name)

    async def close(self) -> None:
        """Leave it open: it is closed already."""


@asynccontextmanager
async def serving() -> AsyncIterator[Gateway]:
    """A gateway for many sequences."""
    with TemporaryDirectory() as folder:
        gateway = Gateway(f"{folder}/secret")
        gateway.store = await open_store("memory:", create=True)
        async with gateway.app.router.lifespan_context(gateway.app):
            yield gateway


@asynccontextmanager
async def world(gateway: Gateway, url: str = "memory:") -> AsyncIterator[World]:
    """A world over an empty store of this URL; `{}` in it is the number of the store."""
    new = World(gateway, url)
    await new.open()
    await new.fill()
    try:
        yield new
    finally:
        await new.close()

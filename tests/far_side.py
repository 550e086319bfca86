"""A second gateway as the account of a vendor, in this process; and what each vendor can say of a document."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import httpx
from msgspec.structs import replace

from gateway.core.consent import DELETED, INTERNAL_MEMBERS, status_word
from gateway.dialects import load_dialects
from gateway.dialects.outgoing import Outgoing, OutgoingRequest, ProfileState, Target
from gateway.media import CODECS
from gateway.server.app import create
from gateway.settings import Settings
from gateway.stores.protocol import Store
from tests.cases import TOKENS
from tests.test_app import seeded_store

SECRET = next(iter(TOKENS))
RESOURCE, OWN_ID = 5, "customer_id"
TARGETS = {
    "altcraft": Target(database=1, id_field=OWN_ID),
    "courier": Target(),
    "klaviyo": Target(),
}
OUTGOING: Mapping[str, Outgoing] = {each.name: each.outgoing for each in load_dialects({}) if each.outgoing}
CONTENT_TYPES = {"json": "application/json", "xml": "application/xml"}


class FarSide:
    """The account of a vendor. It counts the requests that it gets."""

    def __init__(
        self, store: Store, client: httpx.AsyncClient, transport: httpx.AsyncBaseTransport, dialect: str, media: str
    ) -> None:
        self.transport = transport
        self.store = store
        self.requests: list[OutgoingRequest] = []
        self.ids: dict[str, str] = {}
        self._client = client
        self._dialect = dialect
        self._codec = next(each for each in CODECS if each.name == media)

    async def send(self, request: OutgoingRequest) -> httpx.Response:
        self.requests.append(request)
        headers = {**OUTGOING[self._dialect].headers(SECRET), "content-type": CONTENT_TYPES[self._codec.name]}
        content = None if request.tree is None else self._codec.encode(request.tree)
        return await self._client.request(request.method, request.path, content=content, headers=headers)

    async def bring(self, state: ProfileState, target: Target) -> str | None:
        """Send what a state needs, as a relay does. Return the id of the profile here."""
        outgoing, index = OUTGOING[self._dialect], 0
        while index < len((rendered := outgoing.render_change(state, target)).requests):
            request = rendered.requests[index]
            reply = await self.send(request)
            answer = outgoing.parse_answer(reply.status_code, self.decode(reply))
            is_gone = request.missing_ok and answer.status == 404
            assert answer.status < 300 or is_gone, (request, reply.text)
            state, index = replace(state, vendor_id=state.vendor_id or answer.vendor_id), index + 1
        return state.vendor_id or rendered.vendor_id

    def decode(self, reply: httpx.Response) -> Any:
        """Return the tree of a reply, which has the media type of its request."""
        return self._codec.decode(reply.content) if reply.content else None

    async def documents(self) -> list[dict[str, Any]]:
        async with self.store.snapshot() as snapshot:
            return [each.document async for each in snapshot.profiles(1)]


@asynccontextmanager
async def far_side(dialect: str, media: str = "json") -> AsyncIterator[FarSide]:
    """Open a new account."""
    store = await seeded_store()

    async def opened(_url: str) -> Store:
        return store

    app = create(Settings(rate_limits=0, access_log=False), open_store=opened)
    transport = httpx.ASGITransport(app)
    client = httpx.AsyncClient(transport=transport, base_url="http://vendor")
    async with app.router.lifespan_context(app), client:
        yield FarSide(store, client, transport, dialect, media)


# --- what a vendor can say ---

_COMMON = ("email", "given_name", "family_name")
_SAYABLE = {
    "altcraft": (*_COMMON, "middle_name", "phone_numbers", "zoneinfo", "ip", "birthdate", "gender"),
    "courier": (*_COMMON, "middle_name", "nickname", "name", "zoneinfo", "locale", "picture", "website", "external_id"),
    "klaviyo": (*_COMMON, "zoneinfo", "locale", "picture", "external_id"),
}
_ADDRESS = {
    "altcraft": ("locality", "region", "country", "postal_code"),
    "courier": ("locality", "region", "country", "postal_code", "street_address", "formatted"),
    "klaviyo": ("locality", "region", "country", "postal_code", "street_address"),
}


def sayable(document: Mapping[str, Any], dialect: str) -> dict[str, Any]:
    """Return the part of a document that a vendor can say, in a form that is equal on both sides."""
    said = {name: document[name] for name in _SAYABLE[dialect] if name in document}
    address = document.get("address", {})
    said["address"] = {name: address[name] for name in _ADDRESS[dialect] if name in address}
    said["phone"] = (document.get("phone_numbers") or [None])[0]
    own = {name: value for name, value in document.get("custom", {}).items() if name != OWN_ID}
    said["custom"] = {name: value for name, value in own.items() if not name.startswith("_own_")}
    subscriptions = {_said(each, dialect, document) for each in document.get("subscriptions", ())}
    said["subscriptions"] = sorted(filter(None, subscriptions))
    said["segments"] = sorted(map(str, document.get("segments", ())))
    if dialect == "courier":
        said.update(_said_of_user(document.get("courier_users", {})))
        said["refused of lists"] = _refused_of_lists(document.get("memberships", {}))
    return {name: value for name, value in said.items() if value}


def _said_of_user(users: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a user refused, and the tenants. The default of a topic is that it is wanted."""
    places = {"": users.get("topics", {}), **users.get("tenant_topics", {})}
    refused = {
        tenant: {n: c for n, c in topics.items() if c["status"] == "OPTED_OUT"} for tenant, topics in places.items()
    }
    return {
        "refused": {tenant: topics for tenant, topics in refused.items() if topics},
        "tenants": users.get("tenants"),
    }


def _refused_of_lists(memberships: Mapping[str, Any]) -> dict[str, Any]:
    """Return, by list, the categories and notifications that a member refused."""
    refused = {
        segment: {
            (kind, name): choice
            for kind, choices in each.get("preferences", {}).items()
            for name, choice in choices.items()
            if choice["status"] == "OPTED_OUT"
        }
        for segment, each in memberships.items()
    }
    return {segment: choices for segment, choices in refused.items() if choices}


def _said(subscription: Mapping[str, Any], dialect: str, document: Mapping[str, Any]) -> str:
    """Return a subscription as a text that sorts; "" if the vendor cannot say it."""
    one = {name: each for name, each in subscription.items() if name not in (*INTERNAL_MEMBERS, "date")}
    word = status_word(one.pop("status", None)) or "subscribed"
    channel, has_resource = one["channel"], "resource_id" in one
    is_said = {
        "altcraft": has_resource,
        "courier": channel == "push",
        "klaviyo": not has_resource and one.get("email") == document.get("email"),
    }[dialect]
    if dialect == "courier":
        one.pop("resource_id", None)
    if DELETED in subscription or not is_said:
        return ""
    if dialect == "klaviyo":
        word = word if word == "subscribed" else "unsubscribed"
    return f"{sorted(one.items())} {word}"

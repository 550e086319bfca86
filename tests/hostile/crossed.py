"""Requests that somebody else may send: for every call one that would land, and credentials that must not let it.

Every call of every dialect is here; a new one without a body of its own fails the test.
"""

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from gateway import media
from gateway.core.fingerprint import fingerprint
from gateway.dialects import load_dialects
from gateway.dialects.altcraft.calls import PUBLIC_PUSH
from gateway.dialects.courier.client_query import USER_HEADER
from gateway.dialects.klaviyo.devices import PushToken
from gateway.dialects.protocol import Call
from tests.cases import TOKENS
from tests.hostile.server import TOKEN, Request

ID, CANARY = "c" * 24, "canary"
JOBS = {"import": "d" * 24, "suppress": "f" * 24, "unsuppress": "a" * 24}
"""By kind, the id of a job."""
DEVICE = PushToken("ios-apns", "device")
RESOURCE_TOKEN = "of-resource-1"
"""The token of the resource 1 of database 1, which apps and pages have."""
COMPANY = "demo"
EMAIL = f"{CANARY}@example.com"

WRONG = (
    None,
    "",
    "unknown",
    TOKEN[:-1],
    TOKEN.upper(),
    fingerprint(TOKEN),
    COMPANY,
    RESOURCE_TOKEN,
    "' OR 1=1 --",
    "was-revoked",
    *TOKENS,
)
DATABASES = (1, 1, 2, 999, -1, None)


@dataclass(frozen=True)
class Crossed:
    """A request, and whether its credential may do what it asks, of which database."""

    request: Request
    may: bool
    database: int | None


def crossed(seed: int) -> Iterator[Crossed]:
    """Requests without end, by any credential, for any database, to any call, in either media type."""
    chance = random.Random(seed)
    calls = [(dialect.name, call) for dialect in load_dialects({}) for call in dialect.calls]
    while True:
        name, call = chance.choice(calls)
        secret, database = chance.choice(WRONG), chance.choice(DATABASES)
        yield made(name, call, secret, database, chance.choice(media.CODECS), chance.choice(("body", "header")))


def right_secret(name: str, call: Call) -> str:
    """Return the credential that a call accepts, of database 1."""
    if is_of_resource(call):
        return RESOURCE_TOKEN
    return COMPANY if is_of_company(name, call) else TOKEN


def is_of_resource(call: Call) -> bool:
    """Whether apps or pages make the call, with the token of a resource."""
    return call.credential is not None


def is_of_company(name: str, call: Call) -> bool:
    """Whether apps or pages make the call, with the public id of a database."""
    return name == "klaviyo" and call.is_public


def made(name: str, call: Call, secret: str | None, database: int | None, codec: Any, where: str) -> Crossed:
    own, rights = TOKENS.get(secret or "", (None, ()))
    is_known = own is not None and secret != "was-revoked" and {call.right, *call.further_rights} <= {*rights}
    headers = {"content-type": codec.media_type, "accept": codec.media_type, "revision": "2025-10-15"}
    headers |= {USER_HEADER: CANARY} if name == "courier" else {}
    tree, path = BODIES[name](call, database)
    asked = database if name == "altcraft" else own
    if is_of_resource(call) or is_of_company(name, call):
        is_known, own = secret == right_secret(name, call), 1
        asked = own
    if is_of_company(name, call):
        path = f"{path}?company_id={secret or ''}".replace(" ", "%20")
    elif call.path == PUBLIC_PUSH:
        tree = {**tree, "resource_token": secret}
    elif is_of_resource(call):
        headers |= {"authorization": f"Bearer rtoken@{secret}"} if secret is not None else {}
    elif name == "altcraft" and where == "body":
        tree = {**tree, "token": secret}
    elif secret is not None:
        headers["authorization"] = f"{'Klaviyo-API-Key' if name == 'klaviyo' else 'Bearer'} {secret}"
    body = b"" if call.method in WITHOUT_BODY and not call.path.endswith(MEMBER_IDS) else codec.encode(tree)
    optional = call.path.endswith(WITHOUT_DATABASE) and database is None
    may = is_known and (asked == own or optional)
    return Crossed(Request(call.method, path, headers, body), may, own if is_known else None)


WITHOUT_BODY, MEMBER_IDS = ("GET", "DELETE"), "/relationships/profiles"

WITHOUT_DATABASE = ("databases/list", "fields_get", "subscriptions/list_all", "message_unsub", "push_subscribe")
"""The ends of Altcraft's calls that need not name a database."""

# --- a body for every call, which lands where the credential is right ---


def _altcraft(call: Call, database: int | None) -> tuple[dict[str, Any], str]:
    data: Any = {"email": EMAIL, "_fname": "Olly"}
    match: dict[str, Any] = {"matching": "email", "email": EMAIL}
    if call.path.endswith("_batch"):
        data, match = [data], {"matching": "email"}
    if "/subscriptions/" in call.path:
        match = {"profile_id": ID, "resource_id": 1, "channel": "email", "email": EMAIL}
    if call.path.endswith("fields_get"):
        match = {"id": 1}
    if call.path in _APP_BODIES:
        tree = {**_APP_BODIES[call.path], "time": 1767225600}
        return tree, call.path if call.path == PUBLIC_PUSH else f"{call.path}?{urlencode(DEVICE.match['values'])}"
    match = _ALTCRAFT_BODIES.get(call.path.removeprefix("/api/v1.1/"), match)
    tree = {**match, "data": data, "segment_id": 7, "trigger_id": 5, "workflow_id": 9}
    name = "list_id" if "/subscribers/" in call.path else "db_id"
    return ({**tree, name: database} if database is not None else tree), call.path


_OTHER = {"profile_id": "e" * 24}
_PAIR = {"matching": "profile_id", "profile_a": {"profile_id": ID}, "profile_b": _OTHER}
_RELATION = {**_PAIR, "rel_id": 7, "weights": {"n": 1}}
_ALTCRAFT_BODIES: dict[str, dict[str, Any]] = {
    "profiles/merge": {"matching": "profile_id", "source": [_OTHER], "destination": {"profile_id": ID}},
    "profiles/split": {"matching": "profile_id", "source": {"profile_id": ID}, "destination": [_OTHER]},
    **{f"relations/{name}": _RELATION for name in ("attach", "edit", "strengthen")},
    "relations/detach": {**_PAIR, "rel_id": 8},
    **{f"relations/{name}": {"rel_id": 7, "profile_id": ID} for name in ("get", "get_counter")},
    "profiles/message_unsub": {"rtoken": 1, "smid": ID},
    "resources/push_subscribe": {"resource_token": 1, "id": ID, "subscriptions": [DEVICE.match["values"]]},
    "subscribers/history_get": {"xxh": ID},
    "subscribers/history_get_all": {"date_from": "2025-01-01", "date_to": "2027-01-01"},
    "subscriptions/list_all": {"resource_id": 1},
}
"""By call, the parameters that the others do not have."""


_FIELDS = {"_fname": "Olly"}
_APP_BODIES: dict[str, dict[str, Any]] = {
    PUBLIC_PUSH: {"subscriptions": [DEVICE.match["values"]]},
    "/subscription/push/subscribe": {"subscription": {**DEVICE.match["values"], "status": "subscribed"}},
    "/subscription/push/update": {
        **{f"old_{name}": value for name, value in (("token", DEVICE.token), ("provider", DEVICE.provider))},
        **{f"new_{name}": value for name, value in (("token", DEVICE.token), ("provider", DEVICE.provider))},
    },
    "/subscription/push/status": {},
    "/subscription/push/unsuspend": {"subscription": DEVICE.match["values"], "replace": True},
    "/event/post": {"ma": json.dumps({"db_id": 1, "matching": "push_sub", **DEVICE.match["values"]})},
    "/profile/update": {"profile_fields": _FIELDS},
    "/event/push/open": {"smid": ID},
    "/event/push/delivery": {"smid": ID},
}
"""By path, what an app or a page sends."""


def _courier(call: Call, _database: int | None) -> tuple[Any, str]:
    tree = {
        "profile": {"email": EMAIL},
        "patch": [{"op": "add", "path": "/nickname", "value": "Olly"}],
        "lists": [{"listId": "7"}],
        "recipients": [{"recipientId": CANARY}],
    }
    path = call.path
    for name, value in _COURIER_NAMES.items():
        path = path.replace(name, value)
    below = call.path.removeprefix("/users/{user_id}")
    return _COURIER_BODIES.get(f"{call.method} {below}", tree), path


_COURIER_NAMES = {
    **dict.fromkeys(("{recipient_id}", "{user_id}"), CANARY),
    "{list_id}": "7",
    "{token}": DEVICE.token,
    "{topic_id}": "news",
    "{tenant_id}": "acme",
}
_USER_TOKEN = {"token": DEVICE.token, "provider_key": "apn"}
_TOPIC = {"status": "OPTED_IN"}
_TOPICS = {"topics": [{"topic_id": "news", **_TOPIC}]}
_COURIER_BODIES: dict[str, dict[str, Any]] = {
    "PUT /tokens": {"tokens": [_USER_TOKEN]},
    "PUT /tokens/{token}": _USER_TOKEN,
    "PATCH /tokens/{token}": {"patch": [{"op": "add", "path": "/properties", "value": {"nickname": "Olly"}}]},
    "PUT /preferences": _TOPICS,
    "POST /preferences": _TOPICS,
    "PUT /preferences/{topic_id}": {"topic": _TOPIC},
    "PUT /lists/{list_id}": {"name": "News"},
    "PUT /tenants": {"tenants": [{"tenant_id": "acme"}]},
    "POST /client/q": {
        "query": 'mutation { updatePreferenceV2(templateId: "news", preferences: {status: OPTED_IN}) { status } }'
    },
}
"""By method and path, or path below a user, the bodies that the others do not have."""


def _klaviyo(call: Call, _database: int | None) -> tuple[Any, str]:
    is_job = "-bulk-" in call.path and not call.path.endswith("import-jobs")
    attributes: dict[str, Any] = {"email": EMAIL} if is_job else {"email": EMAIL, "first_name": "Olly"}
    data: dict[str, Any] = {"type": "profile", "attributes": attributes}
    if found := _KLAVIYO_DATA.get(f"{call.method} {call.path}"):
        return {"data": found}, call.path.replace("{id}", "7")
    if call.method == "PATCH":
        data["id"] = ID
    kind = call.path.rpartition("/")[2].removesuffix("s")
    if "-bulk-" in kind:
        data = {"type": kind, "attributes": {"profiles": {"data": [data]}}}
    elif kind.startswith("push-token"):
        device = {"token": DEVICE.token, "platform": "ios", "vendor": "apns"}
        data = {"type": kind, "attributes": {**device, "profile": {"data": data}}}
    elif kind == "subscription":
        a_list = {"list": {"data": {"type": "list", "id": "7"}}}
        data = {"type": kind, "attributes": {"profile": {"data": data}}, "relationships": a_list}
    elif kind == "profile-merge":
        source = {"type": "profile", "id": "e" * 24}
        data = {"type": kind, "id": ID, "relationships": {"profiles": {"data": [source]}}}
    elif kind == "data-privacy-deletion-job":
        profile = {"data": {"type": "profile", "attributes": {"email": EMAIL}}}
        data = {"type": kind, "attributes": {"profile": profile}}
    return {"data": data}, call.path.replace("{id}", next((id for part, id in _NAMED if part in call.path), ID))


def _resource(type: str, **attributes: Any) -> dict[str, Any]:
    return {"type": type, "attributes": attributes}


_PROFILE = {"data": _resource("profile", email=EMAIL, first_name="Olly")}
_EVENT: dict[str, Any] = {"properties": {}, "metric": {"data": _resource("metric", name="Viewed")}}
_ONE_EVENT = _resource("event", **_EVENT, profile=_PROFILE)
_EVENTS = _resource("event-bulk-create", profile=_PROFILE, events={"data": [_resource("event", **_EVENT)]})
_VARIANT = {"variant": {"data": {"type": "catalog-variant", "id": "v1"}}}
_BACK_IN_STOCK = {
    **_resource("back-in-stock-subscription", channels=["EMAIL"], profile=_PROFILE),
    "relationships": _VARIANT,
}
_KLAVIYO_DATA: dict[str, Any] = {
    "POST /api/events": _ONE_EVENT,
    "POST /client/events": _ONE_EVENT,
    "POST /client/event-bulk-create": _EVENTS,
    "POST /api/event-bulk-create-jobs": _resource(
        "event-bulk-create-job", **{"events-bulk-create": {"data": [_EVENTS]}}
    ),
    "POST /api/back-in-stock-subscriptions": _BACK_IN_STOCK,
    "POST /client/back-in-stock-subscriptions": _BACK_IN_STOCK,
    "POST /onsite/track-analytics": _resource("event", **_EVENT),
    "POST /api/lists": _resource("list", name="News"),
    "PATCH /api/lists/{id}": {**_resource("list", name="News"), "id": "7"},
    **{f"{method} /api/lists/{{id}}{MEMBER_IDS}": [{"type": "profile", "id": ID}] for method in ("POST", "DELETE")},
}
"""By method and path, the `data` of calls that have none of the others."""

_NAMED = (
    ("/api/lists/", "7"),
    ("/api/accounts/", COMPANY),
    ("/api/push-tokens/", DEVICE.id),
    ("import-jobs", JOBS["import"]),
    ("suppression-bulk-create-jobs", JOBS["suppress"]),
    ("suppression-bulk-delete-jobs", JOBS["unsuppress"]),
)
"""By what is in a path, whose id it takes where that is no profile's."""


BODIES = {"altcraft": _altcraft, "courier": _courier, "klaviyo": _klaviyo}

"""Requests that somebody else may send: for every call one that would land, and credentials that must not let it.

Every call of every dialect is here; a new one without a body of its own fails the test, or stands in `UNPROVEN`.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from gateway import media
from gateway.core.fingerprint import fingerprint
from gateway.dialects import load_dialects
from gateway.dialects.klaviyo.devices import PushToken
from gateway.dialects.protocol import Call
from tests.cases import TOKENS
from tests.hostile.server import TOKEN, Request

ID, CANARY = "c" * 24, "canary"
JOBS = {"import": "d" * 24, "suppress": "f" * 24, "unsuppress": "a" * 24}
"""By kind, the id of a job."""
DEVICE = PushToken("ios-apns", "device")
EMAIL = f"{CANARY}@example.com"

WRONG = (
    None,
    "",
    "unknown",
    TOKEN[:-1],
    TOKEN.upper(),
    fingerprint(TOKEN),
    "demo",
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


def made(name: str, call: Call, secret: str | None, database: int | None, codec: Any, where: str) -> Crossed:
    own, rights = TOKENS.get(secret or "", (None, ()))
    is_known = own is not None and secret != "was-revoked" and {call.right, *call.further_rights} <= {*rights}
    headers = {"content-type": codec.media_type, "accept": codec.media_type, "revision": "2025-10-15"}
    tree, path = BODIES[name](call, database)
    if name == "altcraft" and where == "body":
        tree = {**tree, "token": secret}
    elif secret is not None:
        headers["authorization"] = f"{'Klaviyo-API-Key' if name == 'klaviyo' else 'Bearer'} {secret}"
    asked = database if name == "altcraft" else own
    if name == "klaviyo" and path.startswith("/client/"):
        path = f"{path}?company_id={secret or ''}".replace(" ", "%20")
        is_known, own = secret == "demo", 1
        asked = own
    body = b"" if call.method in ("GET", "DELETE") else codec.encode(tree)
    optional = call.path.endswith(WITHOUT_DATABASE) and database is None
    may = is_known and (asked == own or optional)
    return Crossed(Request(call.method, path, headers, body), may, own if is_known else None)


WITHOUT_DATABASE = ("databases/list", "fields_get", "subscriptions/list_all", "message_unsub", "push_subscribe")
"""The ends of Altcraft's calls that need not name a database."""

UNPROVEN = {
    "DELETE": ("/api/lists/{id}/relationships/profiles",),
    "GET": (
        "/api/accounts/{id}",
        "/api/lists/{id}",
        "/api/lists/{id}/profiles",
        "/api/lists/{id}/relationships/profiles",
        "/api/metrics/{id}",
        "/api/segments/{id}",
        "/api/segments/{id}/profiles",
        "/api/segments/{id}/relationships/profiles",
        "/subscription/push/status",
        "/users/{user_id}/preferences/{topic_id}",
        "/users/{user_id}/tokens/{token}",
    ),
    "PATCH": ("/users/{user_id}/tokens/{token}",),
    "POST": (
        "/api/back-in-stock-subscriptions",
        "/api/event-bulk-create-jobs",
        "/api/events",
        "/client/back-in-stock-subscriptions",
        "/client/event-bulk-create",
        "/client/events",
        "/event/push/delivery",
        "/event/post",
        "/event/push/open",
        "/onsite/track-analytics",
        "/profile/update",
        "/push_subscribe",
        "/subscription/push/subscribe",
        "/subscription/push/unsuspend",
        "/subscription/push/update",
        "/users/{user_id}/preferences",
    ),
    "PUT": (
        "/users/{user_id}/preferences",
        "/users/{user_id}/preferences/{topic_id}",
        "/users/{user_id}/tenants",
        "/users/{user_id}/tokens",
        "/users/{user_id}/tokens/{token}",
    ),
}
"""By method, the calls that have no body here with which they land. A refusal of theirs proves less."""


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


def _courier(call: Call, _database: int | None) -> tuple[Any, str]:
    tree = {
        "profile": {"email": EMAIL},
        "patch": [{"op": "add", "path": "/nickname", "value": "Olly"}],
        "lists": [{"listId": "7"}],
        "recipients": [{"recipientId": CANARY}],
    }
    return tree, call.path.replace("{recipient_id}", CANARY)


def _klaviyo(call: Call, _database: int | None) -> tuple[Any, str]:
    is_job = "-bulk-" in call.path and not call.path.endswith("import-jobs")
    attributes: dict[str, Any] = {"email": EMAIL} if is_job else {"email": EMAIL, "first_name": "Olly"}
    data: dict[str, Any] = {"type": "profile", "attributes": attributes}
    if call.method == "PATCH":
        data["id"] = ID
    kind = call.path.rpartition("/")[2].removesuffix("s")
    if "-bulk-" in kind:
        data = {"type": kind, "attributes": {"profiles": {"data": [data]}}}
    elif kind.startswith("push-token"):
        device = {"token": DEVICE.token, "platform": "ios", "vendor": "apns"}
        data = {"type": kind, "attributes": {**device, "profile": {"data": data}}}
    elif call.path.startswith("/api/lists/") and call.method in ("POST", "DELETE"):
        return {"data": [{"type": "profile", "id": ID}]}, call.path.replace("{id}", "7")
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


_NAMED = (
    ("/api/push-tokens/", DEVICE.id),
    ("import-jobs", JOBS["import"]),
    ("suppression-bulk-create-jobs", JOBS["suppress"]),
    ("suppression-bulk-delete-jobs", JOBS["unsuppress"]),
)
"""By what is in a path, whose id it takes where that is no profile's."""


BODIES = {"altcraft": _altcraft, "courier": _courier, "klaviyo": _klaviyo}

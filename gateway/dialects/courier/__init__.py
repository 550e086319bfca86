"""Courier's profile API: its calls, and its replies. XML and JSON say the same here; this file knows neither."""

from base64 import b64decode
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from gateway.core.apply import applied
from gateway.core.faults import Fault, Refusal, refuse
from gateway.core.model import DELETE, READ, WRITE, Database, Document, Profile
from gateway.dialects.courier import requests
from gateway.dialects.courier.fields import FIELDS, merging, misfits, replacing, shown, told
from gateway.dialects.courier.json_patch import Bounds, apply_patch
from gateway.dialects.protocol import (
    CONTENT_TYPES,
    FIND,
    REMOVE,
    UPDATE,
    Call,
    Credential,
    ParsedRequest,
    Reply,
    Request,
    Result,
)

PROFILE = "/profiles/{recipient_id}"
LISTS = f"{PROFILE}/lists"
PAGE = 100
"""Lists on a page."""

TYPES = {401: "authentication_error", 403: "authorization_error", 429: "rate_limit_error"}
"""An error's `type` by status; every other is the client's (4xx) or the gateway's own (5xx)."""

STATUSES = {"unknown_token": 401}
"""Where Courier's status is not the catalog's: a key that is not known authenticates nobody."""

HEADERS = {401: {"www-authenticate": "Bearer"}, 409: {"x-should-retry": "false"}}
"""The SDKs send a 409 again unless they are told that it would not help."""


class Courier:
    """The dialect. Bodies have a limit of their own, and a patch may make no more than a body may bring."""

    name = "courier"
    prefixes = ("/profiles",)
    content_types = CONTENT_TYPES
    fields = FIELDS
    constraints = "courier"

    def __init__(self, most_bytes: int, bounds: Bounds) -> None:
        self._bounds = bounds
        self.calls = tuple(Call(*row, body_types=_bodies(row), max_body_bytes=most_bytes) for row in CALLS)

    def media_type(self, incoming: Request) -> str | None:
        """The vendor has no word for it: Accept and Content-Type decide, and the `format` of a query."""
        return incoming.query.get("format")

    def credential(self, incoming: Request) -> Credential:
        """The key: as a Bearer (RFC 6750), or as the user of Basic (RFC 7617)."""
        scheme, _, value = incoming.headers.get("authorization", "").partition(" ")
        reader = _SCHEMES.get(scheme.lower())
        key = reader(value.strip()) if reader else ""
        if not key:
            raise refuse("no_token")
        return Credential(key)

    def apply_patch(self, document: Document, patch: Sequence[Any]) -> Document:
        """The document after a patch of the profile as Courier shows it; what is not shown stays."""
        profile = apply_patch(shown(document), patch, self._bounds)
        if not isinstance(profile, dict):
            raise refuse("invalid_patch", "what it leaves is not an object", "/patch")
        if faults := misfits(profile):
            raise Refusal(faults)
        return applied(document, replacing(profile))[0]

    def render_faults(self, faults: Sequence[Fault]) -> Reply:
        """`message`, with every fault, and the `type` of the first one's status."""
        status = STATUSES.get(faults[0].code, faults[0].row.status)
        message = "; ".join(dict.fromkeys(map(told, faults)))
        return Reply(status, {"message": message, "type": _type(status)}, HEADERS.get(status, {}))


def dialect(settings: Mapping[str, Any]) -> Courier:
    # A profile stands one level below its body.
    bounds = Bounds(settings.get("max_depth", 32) - 1, settings.get("max_nodes", 10_000))
    return Courier(settings.get("courier_max_body", 6_291_456), bounds)


def _type(status: int) -> str:
    return TYPES.get(status, "invalid_request_error" if status < 500 else "api_error")


def _user(credentials: str) -> str:
    """The user of Basic's credentials, which a colon ends; "" where they are none."""
    try:
        return b64decode(credentials, validate=True).decode().partition(":")[0]
    except ValueError:
        return ""


_SCHEMES: dict[str, Callable[[str], str]] = {"bearer": str, "basic": _user}


# --- replies ---


def _done(_answer: Result) -> Reply:
    return Reply(200, {"status": "SUCCESS"})


def _profile(answer: Result) -> Reply:
    (profile,) = answer.outcomes
    assert isinstance(profile, Profile)
    preferences: dict[str, Any] = {"categories": {}, "notifications": {}}
    return Reply(200, {"profile": shown(profile.document), "preferences": preferences})


def _lists(answer: Result) -> Reply:
    """A page of lists, behind the one that the cursor names."""
    (profile,) = answer.outcomes
    segments = sorted(profile.document.get("segments", ()), key=_order) if isinstance(profile, Profile) else []
    if cursor := answer.context["cursor"]:
        segments = [one for one in segments if _order(one) > _order(requests.segment(cursor))]
    page, more = segments[:PAGE], len(segments) > PAGE
    paging = {"cursor": str(page[-1]), "more": True} if more else {"more": False}
    results = [_list(one, profile, answer.database) for one in page if isinstance(profile, Profile)]
    return Reply(200, {"paging": paging, "results": results})


def _list(one: int | str, profile: Profile, database: Database) -> dict[str, Any]:
    """A list of a profile. One that another dialect put it on has the profile's own times."""
    known = profile.document.get("memberships", {}).get(str(one), {})
    declared = database.segments.get(one) if isinstance(one, int) else None
    return {
        "id": str(one),
        "name": declared.name if declared else str(one),
        "created": _iso8601(known.get("created", profile.created)),
        "updated": _iso8601(known.get("updated", profile.updated)),
        **{name: known[name] for name in ("preferences",) if name in known},
    }


def _order(segment: int | str) -> tuple[bool, int | str]:
    return isinstance(segment, str), segment


def _iso8601(milliseconds: int) -> str:
    moment = datetime.fromtimestamp(milliseconds / 1000, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


CALLS: tuple[tuple[str, str, str, str, Callable[[Request], ParsedRequest], Callable[[Result], Reply]], ...] = (
    ("POST", PROFILE, UPDATE, WRITE, requests.profile(merging), _done),
    ("PUT", PROFILE, UPDATE, WRITE, requests.profile(replacing), _done),
    ("PATCH", PROFILE, UPDATE, WRITE, requests.patch, _done),
    ("GET", PROFILE, FIND, READ, requests.search, _profile),
    ("DELETE", PROFILE, REMOVE, DELETE, requests.search_or_none, _done),
    ("GET", LISTS, FIND, READ, requests.search_or_none, _lists),
    ("POST", LISTS, UPDATE, WRITE, requests.subscription, _done),
    ("DELETE", LISTS, UPDATE, WRITE, requests.unsubscription, _done),
)


def _bodies(row: tuple[Any, ...]) -> tuple[type, ...]:
    """A patch may be a bare list."""
    return (dict, list) if row[0] == "PATCH" else (dict,)

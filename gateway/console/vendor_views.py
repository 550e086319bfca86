"""A profile as each dialect returns it: the dialect's own call, carried out as a client's request is."""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import quote, urlencode

from msgspec import Struct

from gateway.console.masking import mask
from gateway.console.pages import Visit
from gateway.core.model import Document, Profile
from gateway.core.rights import READ
from gateway.dialects.protocol import Call, Dialect
from gateway.service.http_messages import Message, Response


class ProfileCall(Struct, frozen=True):
    """The call of a dialect that returns a profile, and what its request has besides the path."""

    method: str
    path: str
    names: Callable[[str, Document], Mapping[str, str]]
    """Returns the values of the names in the path, from the id and the document of a profile."""
    body: Callable[[str], Any] = lambda _id: None
    query: Mapping[str, str] = {}
    headers: Mapping[str, str] = {}


PROFILE_CALLS: Mapping[str, ProfileCall] = {
    "altcraft": ProfileCall(
        "POST",
        "/api/v1.1/profiles/get",
        lambda _id, _document: {},
        lambda id: {"matching": "profile_id", "profile_id": id},
    ),
    "courier": ProfileCall(
        "GET", "/profiles/{recipient_id}", lambda id, document: {"recipient_id": document.get("external_id") or id}
    ),
    "klaviyo": ProfileCall(
        "GET",
        "/api/profiles/{id}",
        lambda id, _document: {"id": id},
        query={"additional-fields[profile]": "subscriptions"},
        headers={"revision": "2026-07-15"},
    ),
}
"""By name of a dialect. One without an entry has no view."""


class VendorView(Struct, frozen=True):
    """What one dialect returns for a profile."""

    dialect: str
    call: str
    status: int
    body: str


async def render_views(visit: Visit, profile: Profile) -> list[VendorView]:
    """Return the view of each dialect, in the media type of the query's `format`; masked ones are in JSON."""
    media = "xml" if visit.form.text("format") == "xml" and visit.may_read else "json"
    views = []
    for dialect in visit.context.dialects:
        if (profile_call := PROFILE_CALLS.get(dialect.name)) and (call := _find(dialect, profile_call)):
            message = _message(visit, profile_call, profile, media)
            response = await visit.context.pipeline.respond(dialect, call, message)
            title = f"{call.method} {call.path}"
            views.append(VendorView(dialect.name, title, response.status, _text(response, media, not visit.may_read)))
    return views


def _find(dialect: Dialect, wanted: ProfileCall) -> Call | None:
    return next((each for each in dialect.calls if (each.method, each.path) == (wanted.method, wanted.path)), None)


def _message(visit: Visit, call: ProfileCall, profile: Profile, media: str) -> Message:
    """Return the request. The token of the session may lack the right to read: then the reply is masked."""
    names, body = call.names(profile.id, profile.document), call.body(profile.id)
    path = call.path.format(**{name: quote(value, "") for name, value in names.items()})
    content = b"" if body is None else json.dumps({**body, "db_id": visit.database.id}).encode()
    return Message(
        call.method,
        {"content-type": "application/json", "accept": f"application/{media}", **call.headers},
        content,
        call.query,
        names,
        f"{path}?{urlencode(call.query)}" if call.query else path,
        visit.message.id,
        visit.message.base,
        replace(visit.token, rights=visit.token.rights | {READ}),
    )


def _text(response: Response, media: str, is_masked: bool) -> str:
    text = response.body.decode("utf-8", "replace")
    if media != "json" or not text:
        return text
    tree = json.loads(text)
    return json.dumps(mask(tree) if is_masked else tree, indent=2, ensure_ascii=False)

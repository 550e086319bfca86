"""Altcraft's profile API, v1.1: its calls, and its replies. XML and JSON say the same here; this file knows neither."""

from collections.abc import Mapping, Sequence
from typing import Any

from gateway.core.faults import Fault, Refusal, refuse
from gateway.core.model import DELETE, READ, WRITE, Document, Profile
from gateway.dialects.altcraft import requests
from gateway.dialects.altcraft.fields import (
    FIELDS,
    LOCATED_FIELDS,
    SUBSCRIPTION_FIELDS,
    TYPES,
    described,
    shown,
    system_rows,
    told,
)
from gateway.dialects.altcraft.parameters import word
from gateway.dialects.protocol import (
    BATCH,
    CONTENT_TYPES,
    DESCRIBE,
    FIND,
    REMOVE,
    UPDATE,
    Call,
    Credential,
    Reply,
    Request,
    Result,
)

ROOT = "/api/v1.1"
DONE = {"error": 0, "error_text": "Successful operation"}


class Altcraft:
    """The dialect. With `always_200` every reply has status 200, and `error` alone tells what happened."""

    name = "altcraft"
    prefixes = (ROOT,)
    content_types = CONTENT_TYPES
    fields = FIELDS
    located_fields = LOCATED_FIELDS
    constraints = "altcraft"

    def __init__(self, always_200: bool) -> None:
        self._always_200 = always_200
        self.calls = tuple(self._call(*row) for row in CALLS)

    def _call(self, path: str, operation: str, right: str, parse: Any, render: Any) -> Call:
        return Call("POST", f"{ROOT}/{path}", operation, right, parse, render, pointers=NAMED.get(path, {}))

    def media_type(self, incoming: Request) -> str | None:
        """The `format` parameter, of the query or else the body, where an empty one is none; both must be right."""
        member = word(_member(incoming.tree, "format"))
        given = (incoming.query.get("format"), None if member == "" else member)
        wanted = [each for each in given if each is not None]
        if not all(each in ("json", "xml") for each in wanted):
            raise refuse("invalid_parameter", "it must be json or xml", "/format")
        return wanted[0] if wanted else None

    def credential(self, incoming: Request) -> Credential:
        """The token: in the body, as a Bearer (RFC 6750), or in the query."""
        scheme, _, bearer = incoming.headers.get("authorization", "").partition(" ")
        bearer = bearer if scheme.lower() == "bearer" else ""
        for secret in (_member(incoming.tree, "token"), bearer, incoming.query.get("token")):
            if not isinstance(secret, str | None):
                raise refuse("invalid_parameter", "it must be a string", "/token")
            if secret and secret.strip():
                return Credential(secret.strip())
        raise refuse("no_token")

    def apply_patch(self, _document: Document, _patch: Sequence[Any]) -> Document:
        """This vendor has no call that takes a JSON Patch."""
        raise refuse("invalid_patch")

    def render_faults(self, faults: Sequence[Fault]) -> Reply:
        """`error` and `error_text`; the first fault's number, every fault's text."""
        status = 200 if self._always_200 else faults[0].row.status
        return Reply(status, _refusal(faults), {"www-authenticate": "Bearer"} if status == 401 else {})


def dialect(settings: Mapping[str, Any]) -> Altcraft:
    return Altcraft(bool(settings.get("altcraft_always_200", False)))


def _member(tree: Any, name: str) -> Any:
    return tree.get(name) if isinstance(tree, dict) else None


# --- replies ---


def _refusal(faults: Sequence[Fault]) -> dict[str, Any]:
    return {"error": faults[0].row.status, "error_text": "; ".join(dict.fromkeys(map(told, faults)))}


def _with_id(answer: Result) -> Reply:
    return Reply(200, _row(answer.outcomes[0]))


def _row(outcome: Any) -> dict[str, Any]:
    if isinstance(outcome, Profile):
        return {**DONE, "profile_id": outcome.id}
    return _refusal(outcome or ())


def _done(_answer: Result) -> Reply:
    return Reply(200, DONE)


def _rows(answer: Result) -> Reply:
    return Reply(200, {**DONE, "result": [_row(outcome) for outcome in answer.outcomes]})


def _profile(answer: Result) -> Reply:
    (profile,) = answer.outcomes
    assert isinstance(profile, Profile)
    return Reply(200, {"data": shown(profile, answer.database), **DONE})


def _removed(answer: Result) -> Reply:
    (profile,) = answer.outcomes
    assert isinstance(profile, Profile)
    return Reply(200, {"data": {"profile_id": profile.id}, **DONE})


def _databases(answer: Result) -> Reply:
    """A token sees its own database alone."""
    return Reply(200, {"data": [{"id": answer.database.id, "name": answer.database.name}], **DONE, "total_count": 1})


def _fields(answer: Result) -> Reply:
    own = answer.database.fields.get("properties", {})
    return Reply(200, {"data": [*system_rows(TYPES), *described(own)], **DONE})


def _resource_fields(answer: Result) -> Reply:
    (update,) = answer.updates
    if isinstance(update, Refusal):
        raise update.anew()
    id = update["match"].get("resource_id")
    if id is None:
        raise refuse("missing_parameter", "it is missing", "/id")
    resource = answer.database.resources.get(id)
    if resource is None and answer.database.closed:
        raise refuse("unknown_resource", f"there is no resource {id}", "/id")
    own = resource.fields.get("properties", {}) if resource else {}
    return Reply(200, {"data": [*system_rows(SUBSCRIPTION_FIELDS), *described(own)], **DONE})


NAMED = {
    "profiles/segstatic/add": {"/segments/add/0": "/segment_id"},
    "profiles/segstatic/remove": {"/segments/remove/0": "/segment_id"},
    "subscriptions/set": {"/subscriptions/0": ""},
    "resources/fields_get": {"/match/resource_id": "/id"},
}
"""Where a call has a parameter of its own for what stands elsewhere in the others."""

CALLS: tuple[tuple[str, str, str, Any, Any], ...] = (
    ("profiles/update", UPDATE, WRITE, requests.one(create=False), _with_id),
    ("profiles/import", UPDATE, WRITE, requests.one(create=True), _with_id),
    ("profiles/add", UPDATE, WRITE, requests.one(create=True, search=False), _with_id),
    ("profiles/update_batch", BATCH, WRITE, requests.many(create=False), _rows),
    ("profiles/import_batch", BATCH, WRITE, requests.many(create=True), _rows),
    ("profiles/add_batch", BATCH, WRITE, requests.many(create=True, search=False), _rows),
    ("profiles/get", FIND, READ, requests.search(), _profile),
    ("profiles/delete", REMOVE, DELETE, requests.search(requests.DELETE_MODES), _removed),
    ("profiles/segstatic/add", UPDATE, WRITE, requests.segment("add"), _done),
    ("profiles/segstatic/remove", UPDATE, WRITE, requests.segment("remove"), _done),
    ("subscriptions/set", UPDATE, WRITE, requests.subscription, _with_id),
    ("databases/list", DESCRIBE, READ, requests.description, _databases),
    ("databases/fields_get", DESCRIBE, READ, requests.description, _fields),
    ("resources/fields_get", DESCRIBE, READ, requests.description, _resource_fields),
)

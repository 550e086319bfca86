"""Klaviyo's requests that write, to canonical updates. Leaves stay as the media type gave them: schema/ judges them.

`data` is a resource of JSON:API. Pointers of faults that are found here are the vendor's own.
"""

from collections.abc import Mapping
from typing import Any

from gateway.core.faults import Fault, Refusal
from gateway.core.model import Update
from gateway.dialects.klaviyo import jobs
from gateway.dialects.klaviyo.fields import IDENTIFIERS
from gateway.dialects.klaviyo.jsonapi.documents import (
    PROFILES,
    Faults,
    attributes_of,
    object_,
    profiles_of,
    related_ids,
    resource,
    type_faults,
)
from gateway.dialects.klaviyo.jsonapi.links import about, about_jobs
from gateway.dialects.klaviyo.writing import writing
from gateway.dialects.protocol import ParsedCommand, ParsedRequest, Request

KINDS = ("email", "phone", "external_id", "anonymous_id", "kx", "custom")
REJECT, KEEP = dict.fromkeys(KINDS, "reject"), dict.fromkeys(KINDS, "keep")
SET_ONCE = ["/email", "/phone_numbers", "/external_id", "/klaviyo/anonymous_id", "/klaviyo/_kx"]
"""What the client endpoint never changes once it is set."""

NOTHING_SEARCHED: dict[str, Any] = {"mode": "none", "values": {}}


def create(incoming: Request) -> ParsedRequest:
    """Reads `POST /api/profiles`: a new profile, whose identifiers nobody else may have."""
    data, faults = resource(incoming, "profile")
    attributes = attributes_of(data, faults)
    update = {
        "match": NOTHING_SEARCHED,
        "if_absent": "create",
        "on_conflict": REJECT,
        **writing(attributes, data, faults),
    }
    _demand_identifier(attributes, faults)
    return ParsedRequest(None, [ParsedCommand(update, faults)], about(incoming))


def patch(incoming: Request) -> ParsedRequest:
    """Reads `PATCH /api/profiles/{id}`; the resource repeats the id of the path."""
    data, faults = resource(incoming, "profile")
    id = incoming.path["id"]
    if data.get("id") != id:
        detail = f"it must be {id}, as in the path" if data.get("id") else "it is missing"
        faults.append(Fault("invalid_parameter", detail, "/data/id"))
    match = {"mode": "profile_id", "values": {"profile_id": id}}
    update = {"match": match, "on_conflict": REJECT, **writing(attributes_of(data, faults), data, faults)}
    return ParsedRequest(None, [ParsedCommand(update, faults)], about(incoming))


def upsert(incoming: Request) -> ParsedRequest:
    """Reads `POST /api/profile-import`: whom any of the identifiers names is updated, whom none names is created."""
    data, faults = resource(incoming, "profile")
    return ParsedRequest(None, [ParsedCommand(_upserting(data, faults), faults)], about(incoming))


def client(incoming: Request) -> ParsedRequest:
    """Reads `POST /client/profiles`, open to everybody: it creates and fills, and takes no identifier from anybody.

    Bodies of 2022 name the profile in `meta.identifiers`, beside what is written to it.
    """
    data, faults = resource(incoming, "profile")
    meta = object_(data.get("meta"), "/data/meta", faults)
    identifiers = object_(meta.get("identifiers"), "/data/meta/identifiers", faults)
    named = {name: value for name, value in identifiers.items() if name in IDENTIFIERS and value not in (None, "")}
    attributes = {**attributes_of(data, faults), **{name: value for name, value in named.items() if name != "id"}}
    update = {**naming({"id": data.get("id"), **attributes, **named}, faults), **writing(attributes, data, faults)}
    update["match"] = {**update["match"], "on_multiple": "first"}
    return ParsedRequest(None, [ParsedCommand({**update, "on_conflict": KEEP, "set_once": SET_ONCE}, faults)])


def bulk(incoming: Request) -> ParsedRequest:
    """Reads `POST /api/profile-bulk-import-jobs`: many imports, each on its own. Here null does not clear."""
    data, faults = resource(incoming, "profile-bulk-import-job")
    elements = profiles_of(attributes_of(data, faults), faults)
    if not (elements or any(fault.pointer == PROFILES for fault in faults)):
        faults.append(Fault("missing_parameter", "it is missing", PROFILES))
    lists = _lists(data, faults)
    if faults:
        raise Refusal(faults)
    told = about_jobs(incoming, jobs.IMPORTS.type, jobs.IMPORTS.attributes)
    job = {"kind": jobs.IMPORTS.name, "lists": tuple(lists["segments"]["add"]) if lists else ()}
    return ParsedRequest(None, [_imported(element, lists, incoming.is_typed) for element in elements], told, job=job)


def merge(incoming: Request) -> ParsedRequest:
    """Reads `POST /api/profile-merge`: the profiles of the relationship go into the one that `data.id` names."""
    data, faults = resource(incoming, "profile-merge")
    sources = related_ids(data, "profiles", "profile", faults)
    destination = data.get("id")
    if not destination:
        faults.append(Fault("missing_parameter", "it is missing", "/data/id"))
    if destination in sources:
        faults.append(Fault("invalid_parameter", "a profile cannot be merged into itself", _SOURCES))
    if not (sources or faults):
        faults.append(Fault("missing_parameter", "it is missing", _SOURCES))
    if not (destination and sources):
        raise Refusal(faults)
    match = {"mode": "profile_id", "values": {"profile_id": destination}}
    return ParsedRequest(
        None, [ParsedCommand({"match": match, "sources": list(dict.fromkeys(sources))}, faults)], about(incoming)
    )


_SOURCES = "/data/relationships/profiles/data"


def deletion(incoming: Request) -> ParsedRequest:
    """Reads `POST /api/data-privacy-deletion-jobs`: every profile that the one identifier names.

    Bodies of 2023 have the identifiers among the job's own attributes.
    """
    data, faults = resource(incoming, "data-privacy-deletion-job")
    named = _deleted(attributes_of(data, faults), faults)
    given = {at: value for at, value in named.items() if value not in (None, "")}
    if len(given) != 1:
        faults.append(Fault("invalid_parameter", "provide exactly one of email, phone_number and id", _DELETED))
        return ParsedRequest(None, [ParsedCommand({"match": NOTHING_SEARCHED}, faults)])
    [(at, value)] = given.items()
    if not isinstance(value, str):
        faults.append(Fault("invalid_parameter", "it must be a string", at))
        return ParsedRequest(None, [ParsedCommand({"match": NOTHING_SEARCHED}, faults)])
    name = at.rpartition("/")[2]
    match = {"mode": "identifiers", "values": {IDENTIFIERS.get(name, name): value}, "on_multiple": "all"}
    return ParsedRequest(None, [ParsedCommand({"match": match}, faults)])


def _deleted(attributes: Mapping[str, Any], faults: Faults) -> dict[str, Any]:
    """What names the profile, by its place in the body."""
    of_2023 = {f"/data/attributes/{name}": attributes.get(name) for name in ("profile_id", "email", "phone_number")}
    if faults.is_empty(attributes.get("profile")):
        return of_2023
    profile = object_(attributes["profile"], "/data/attributes/profile", faults)
    inner = object_(profile.get("data"), _DELETED, faults)
    faults += type_faults(inner, "profile", _DELETED)
    named = object_(inner.get("attributes"), f"{_DELETED}/attributes", faults)
    identifiers = {f"{_DELETED}/attributes/{name}": named.get(name) for name in ("email", "phone_number")}
    return {**of_2023, f"{_DELETED}/id": inner.get("id"), **identifiers}


_DELETED = "/data/attributes/profile/data"


# --- whom an update is about ---


def _upserting(data: dict[str, Any], faults: Faults) -> Update:
    attributes = attributes_of(data, faults)
    named = naming({"id": data.get("id"), **attributes}, faults)
    return {**named, "on_conflict": REJECT, **writing(attributes, data, faults)}


def naming(identifiers: Mapping[str, Any], faults: Faults) -> Update:
    """The match by every identifier that is given. An id alone names a profile and cannot make one."""
    given = {IDENTIFIERS[name]: identifiers[name] for name in IDENTIFIERS if identifiers.get(name) not in (None, "")}
    if not given:
        _demand_identifier(identifiers, faults)
        return {"match": NOTHING_SEARCHED}
    if given.keys() == {"profile_id"}:
        return {"match": {"mode": "profile_id", "values": given}}
    return {"match": {"mode": "identifiers", "values": given}, "if_absent": "create"}


def _demand_identifier(identifiers: Mapping[str, Any], faults: Faults) -> None:
    if not any(identifiers.get(name) for name in IDENTIFIERS):
        names = ", ".join(name for name in IDENTIFIERS if name != "id")
        faults.append(Fault("missing_parameter", f"At least one identifier is required: {names}.", "/data/attributes"))


# --- many ---


def _lists(data: Mapping[str, Any], faults: Faults) -> Update:
    """The lists that imported profiles are put on: static segments, in the canonical form."""
    ids = related_ids(data, "lists", "list", faults)
    return {"segments": {"add": [segment(id) for id in ids]}} if ids else {}


def segment(list_id: str) -> int | str:
    """An integer is the same segment that other dialects know by it."""
    is_integer = list_id.isascii() and list_id.isdigit() and len(list_id) < 19
    return int(list_id) if is_integer and str(int(list_id)) == list_id else list_id


def _imported(element: Any, lists: Update, typed: bool) -> ParsedCommand:
    if not isinstance(element, dict):
        return ParsedCommand(None, [Fault("invalid_parameter", "it must be an object", "/data")])
    faults = Faults(typed, type_faults(element, "profile", "/data"))
    kept: dict[str, Any] = {**element, "attributes": _without_nulls(element.get("attributes"))}
    return ParsedCommand({**_upserting(kept, faults), **lists}, faults, element)


def _without_nulls(attributes: Any) -> Any:
    """Attributes without those that are null; within location and properties likewise."""
    if not isinstance(attributes, dict):
        return attributes
    told = {name: value for name, value in attributes.items() if value is not None}
    inner = {name: told[name] for name in ("location", "properties") if isinstance(told.get(name), dict)}
    return {**told, **{name: _told(value) for name, value in inner.items()}}


def _told(members: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value is not None}

"""Klaviyo's requests that write, to canonical updates. Leaves stay as the media type gave them: schema/ judges them.

`data` is a resource of JSON:API: type, id, attributes, relationships, meta. Pointers of faults found here are the vendor's.
"""

import json
from collections.abc import Mapping
from typing import Any

from gateway.core.faults import Fault, Refusal, refuse
from gateway.core.model import Update
from gateway.core.pointer import pointer_to
from gateway.dialects import Asked, Incoming, Read
from gateway.dialects.klaviyo.fields import COORDINATES, FIELDS, IDENTIFIERS, LOCATION, as_sent, number_in
from gateway.dialects.klaviyo.links import about

LARGEST_PROFILE = 100_000
"""Characters of JSON that one profile may have (the vendor: 100 KB)."""

KINDS = ("email", "phone", "external_id", "anonymous_id", "kx", "custom")
REFUSE, LEAVE = dict.fromkeys(KINDS, "refuse"), dict.fromkeys(KINDS, "leave")
FILLED = ["/email", "/phone_numbers", "/external_id", "/klaviyo/anonymous_id", "/klaviyo/_kx"]
"""What the client endpoint never changes once it is set."""

NOTHING_SEARCHED: dict[str, Any] = {"mode": "none", "values": {}}


def create(incoming: Incoming) -> Asked:
    """Reads `POST /api/profiles`: a new profile, whose identifiers nobody else may have."""
    data, faults = _resource(incoming.tree, "profile")
    attributes = _attributes(data, faults)
    update = {"match": NOTHING_SEARCHED, "create": True, "conflict": REFUSE, **_writing(attributes, data, faults)}
    _demand_identifier(attributes, faults)
    return Asked(None, [Read(update, faults)], about(incoming))


def patch(incoming: Incoming) -> Asked:
    """Reads `PATCH /api/profiles/{id}`; the resource repeats the id of the path."""
    data, faults = _resource(incoming.tree, "profile")
    id = incoming.path["id"]
    if data.get("id") != id:
        detail = f"it must be {id}, as in the path" if data.get("id") else "it is missing"
        faults.append(Fault("invalid_parameter", detail, "/data/id"))
    match = {"mode": "profile_id", "values": {"profile_id": id}}
    update = {"match": match, "conflict": REFUSE, **_writing(_attributes(data, faults), data, faults)}
    return Asked(None, [Read(update, faults)], about(incoming))


def upsert(incoming: Incoming) -> Asked:
    """Reads `POST /api/profile-import`: whom any of the identifiers names is updated, whom none names is created."""
    data, faults = _resource(incoming.tree, "profile")
    return Asked(None, [Read(_upserting(data, faults), faults)], about(incoming))


def client(incoming: Incoming) -> Asked:
    """Reads `POST /client/profiles`, open to everybody: it creates and fills, and takes no identifier from anybody.

    Bodies of 2022 name the profile in `meta.identifiers`, beside what is written to it.
    """
    data, faults = _resource(incoming.tree, "profile")
    meta = _object(data.get("meta"), "/data/meta", faults)
    identifiers = _object(meta.get("identifiers"), "/data/meta/identifiers", faults)
    named = {name: value for name, value in identifiers.items() if name in IDENTIFIERS and value not in (None, "")}
    attributes = {**_attributes(data, faults), **{name: value for name, value in named.items() if name != "id"}}
    update = {**_naming({"id": data.get("id"), **attributes, **named}, faults), **_writing(attributes, data, faults)}
    update["match"] = {**update["match"], "several": "first"}
    return Asked(None, [Read({**update, "conflict": LEAVE, "fill": FILLED}, faults)])


def bulk(incoming: Incoming) -> Asked:
    """Reads `POST /api/profile-bulk-import-jobs`: many imports, each on its own. Here null does not clear."""
    data, faults = _resource(incoming.tree, "profile-bulk-import-job")
    profiles = _attributes(data, faults).get("profiles")
    elements = _list(profiles.get("data") if isinstance(profiles, Mapping) else profiles)
    if not elements:
        faults.append(Fault("missing_parameter", "it is missing", "/data/attributes/profiles/data"))
    if faults:
        raise Refusal(faults)
    lists = _lists(data)
    return Asked(None, [_imported(element, lists) for element in elements], about(incoming))


def merge(incoming: Incoming) -> Asked:
    """Reads `POST /api/profile-merge`: the profiles of the relationship go into the one that `data.id` names."""
    data, faults = _resource(incoming.tree, "profile-merge")
    sources = _ids(_object(data.get("relationships"), "/data/relationships", faults).get("profiles"))
    destination = data.get("id")
    if not destination:
        faults.append(Fault("missing_parameter", "it is missing", "/data/id"))
    if not sources or destination in sources:
        detail = "a profile cannot be merged into itself" if sources else "it is missing"
        faults.append(Fault("invalid_parameter", detail, "/data/relationships/profiles/data"))
    if not (destination and sources):
        raise Refusal(faults)
    match = {"mode": "profile_id", "values": {"profile_id": destination}}
    return Asked(None, [Read({"match": match, "sources": list(dict.fromkeys(sources))}, faults)], about(incoming))


def deletion(incoming: Incoming) -> Asked:
    """Reads `POST /api/data-privacy-deletion-jobs`: every profile that the one identifier names.

    Bodies of 2023 have the identifiers among the job's own attributes.
    """
    data, faults = _resource(incoming.tree, "data-privacy-deletion-job")
    attributes = _attributes(data, faults)
    profile = attributes.get("profile")
    if isinstance(profile, Mapping):
        profile = profile.get("data")
        inner = profile if isinstance(profile, Mapping) else {}
        attributes = {"profile_id": inner.get("id"), **_object(inner.get("attributes"), _DELETED, faults)}
    given = {name: attributes[name] for name in ("profile_id", "email", "phone_number") if attributes.get(name)}
    if len(given) != 1:
        faults.append(Fault("invalid_parameter", "provide exactly one of email, phone_number and id", _DELETED))
        return Asked(None, [Read({"match": NOTHING_SEARCHED}, faults)])
    values = {IDENTIFIERS.get(name, name): value for name, value in given.items()}
    return Asked(None, [Read({"match": {"mode": "identifiers", "values": values, "several": "all"}}, faults)])


_DELETED = "/data/attributes/profile/data"


# --- resources ---


def _resource(tree: Mapping[str, Any], type: str) -> tuple[dict[str, Any], list[Fault]]:
    """`data`, and what is wrong with it. Raises `Refusal` where there is none."""
    data = tree.get("data")
    if not isinstance(data, dict):
        raise refuse("missing_parameter", "it must be an object", "/data")
    return data, list(_type_faults(data, type, "/data"))


def _type_faults(data: Mapping[str, Any], type: str, at: str) -> list[Fault]:
    return [] if data.get("type") == type else [Fault("invalid_parameter", f"it must be {type}", f"{at}/type")]


def _attributes(data: Mapping[str, Any], faults: list[Fault]) -> dict[str, Any]:
    if data.get("attributes") is None:
        faults.append(Fault("missing_parameter", "it is missing", "/data/attributes"))
    if len(json.dumps(data)) > LARGEST_PROFILE and data.get("type") == "profile":
        faults.append(Fault("invalid_parameter", f"a profile may have at most {LARGEST_PROFILE} characters", "/data"))
    return _object(data.get("attributes"), "/data/attributes", faults)


def _object(value: Any, at: str, faults: list[Fault]) -> dict[str, Any]:
    """An object; nothing and an empty element of XML are an empty one."""
    if value in (None, ""):
        return {}
    if not isinstance(value, dict):
        faults.append(Fault("invalid_parameter", "it must be an object", at))
        return {}
    return value


def _list(value: Any) -> list[Any]:
    """A list; in XML its only element looks like no list at all."""
    if value in (None, ""):
        return []
    return value if isinstance(value, list) else [value]


def _ids(relationship: Any) -> list[str]:
    """The ids of the resources that a relationship holds."""
    resources = _list(relationship.get("data")) if isinstance(relationship, Mapping) else []
    return [str(each["id"]) for each in resources if isinstance(each, Mapping) and each.get("id")]


def _lists(data: Mapping[str, Any]) -> Update:
    """The lists that imported profiles are put on: static segments, in the canonical form."""
    relationships = data.get("relationships")
    ids = _ids(relationships.get("lists")) if isinstance(relationships, Mapping) else []
    return {"segments": {"add": [_segment(id) for id in ids]}} if ids else {}


def _segment(list_id: str) -> int | str:
    """An integer is the same segment that other dialects know by it."""
    is_integer = list_id.isascii() and list_id.isdigit() and len(list_id) < 19
    return int(list_id) if is_integer and str(int(list_id)) == list_id else list_id


# --- whom an update is about ---


def _upserting(data: dict[str, Any], faults: list[Fault]) -> Update:
    attributes = _attributes(data, faults)
    naming = _naming({"id": data.get("id"), **attributes}, faults)
    return {**naming, "conflict": REFUSE, **_writing(attributes, data, faults)}


def _naming(identifiers: Mapping[str, Any], faults: list[Fault]) -> Update:
    """The match by every identifier that is given. An id alone names a profile and cannot make one."""
    given = {IDENTIFIERS[name]: identifiers[name] for name in IDENTIFIERS if identifiers.get(name) not in (None, "")}
    if not given:
        _demand_identifier(identifiers, faults)
        return {"match": NOTHING_SEARCHED}
    if given.keys() == {"profile_id"}:
        return {"match": {"mode": "profile_id", "values": given}}
    return {"match": {"mode": "identifiers", "values": given}, "create": True}


def _demand_identifier(identifiers: Mapping[str, Any], faults: list[Fault]) -> None:
    if not any(identifiers.get(name) for name in IDENTIFIERS):
        names = ", ".join(name for name in IDENTIFIERS if name != "id")
        faults.append(Fault("missing_parameter", f"At least one identifier is required: {names}.", "/data/attributes"))


# --- what it writes ---


def _writing(attributes: Mapping[str, Any], data: Mapping[str, Any], faults: list[Fault]) -> Update:
    """The merge patch and the operations of a resource: its attributes, then its patches."""
    profile: dict[str, Any] = {}
    operations: list[dict[str, Any]] = []
    meta = _object(data.get("meta"), "/data/meta", faults)
    patches = _object(meta.get("patch_properties"), "/data/meta/patch_properties", faults)
    for name, value in attributes.items():
        if name == "location":
            _write_location(profile, value, faults)
        elif name == "properties":
            _write_properties(profile, operations, value, faults)
        elif name == "phone_number" and value not in (None, ""):
            operations.append({"function": "lead", "pointer": "/phone_numbers", "value": [value]})
        elif name in FIELDS and "." not in name:
            _put(profile, FIELDS[name], None if name in IDENTIFIERS and value == "" else value)
        else:
            faults.append(Fault("unknown_field", pointer=pointer_to("data", "attributes", name)))
    _unset(profile, operations, patches)
    operations += _patching(patches, "custom", "/data/meta/patch_properties", faults)
    operations += _patching_identifiers(meta, faults)
    writing = {"profile": profile, "operations": operations}
    return {name: value for name, value in writing.items() if value}


def _put(target: dict[str, Any], place: tuple[str, ...], value: Any) -> None:
    for name in place[:-1]:
        target = target.setdefault(name, {})
    target[place[-1]] = value


def _write_location(profile: dict[str, Any], location: Any, faults: list[Fault]) -> None:
    """null clears all of it."""
    members = dict.fromkeys(LOCATION) if location is None else _object(location, "/data/attributes/location", faults)
    for member, value in members.items():
        name = f"location.{member}"
        if name in COORDINATES:
            text = value if isinstance(value, str) else None
            _put(profile, FIELDS[name], value if text is None else number_in(text))
            _put(profile, as_sent(name), text or None)
        elif name in FIELDS:
            _put(profile, FIELDS[name], value)
        else:
            faults.append(Fault("unknown_field", pointer=pointer_to("data", "attributes", "location", member)))


def _write_properties(
    profile: dict[str, Any], operations: list[dict[str, Any]], properties: Any, faults: list[Fault]
) -> None:
    """Properties merge one level deep: an object takes the place of what was there. null clears them all."""
    if properties is None:
        profile["custom"] = None
    for name, value in _object(properties, "/data/attributes/properties", faults).items():
        if isinstance(value, dict):
            operations.append({"function": "set", "pointer": pointer_to("custom", name), "value": value})
        else:
            _put(profile, ("custom", name), value)


def _unset(profile: dict[str, Any], operations: list[dict[str, Any]], patches: Mapping[str, Any]) -> None:
    if profile.get("custom", {}) is None:
        return
    for name in map(str, _list(patches.get("unset"))):
        operations[:] = [each for each in operations if each["pointer"] != pointer_to("custom", name)]
        _put(profile, ("custom", name), None)


def _patching(patches: Mapping[str, Any], member: str, at: str, faults: list[Fault]) -> list[dict[str, Any]]:
    """append and unappend, each a value or a list of them."""
    return [
        {"function": function, "pointer": pointer_to(member, name), "value": _list(value)}
        for action, function in (("append", "add"), ("unappend", "delete"))
        for name, value in _object(patches.get(action), f"{at}/{action}", faults).items()
    ]


def _patching_identifiers(meta: Mapping[str, Any], faults: list[Fault]) -> list[dict[str, Any]]:
    """Further addresses of a profile: the vendor's revision of 2026 knows them, and no other identifier so far."""
    at = "/data/meta/patch_identifiers"
    operations = _patching(_object(meta.get("patch_identifiers"), at, faults), "klaviyo", at, faults)
    for operation in operations:
        if operation["pointer"] == "/klaviyo/email":
            operation["pointer"] = "/klaviyo/emails"
        else:
            faults.append(Fault("invalid_parameter", "only email can be patched", at))
    return operations


# --- many ---


def _imported(element: Any, lists: Update) -> Read:
    if not isinstance(element, dict):
        return Read(None, [Fault("invalid_parameter", "it must be an object", "/data")], element)
    faults = _type_faults(element, "profile", "/data")
    kept: dict[str, Any] = {**element, "attributes": _without_nulls(element.get("attributes"))}
    return Read({**_upserting(kept, faults), **lists}, faults, element)


def _without_nulls(attributes: Any) -> Any:
    """Attributes without those that are null; within location and properties likewise."""
    if not isinstance(attributes, dict):
        return attributes
    told = {name: value for name, value in attributes.items() if value is not None}
    inner = {name: told[name] for name in ("location", "properties") if isinstance(told.get(name), dict)}
    return {**told, **{name: _told(value) for name, value in inner.items()}}


def _told(members: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value is not None}

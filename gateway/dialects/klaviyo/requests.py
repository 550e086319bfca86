"""Profile resources in requests, as parts of canonical updates. The leaves keep their types: the schema coerces them.

Pointers of faults that are found here are the vendor's.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from gateway.core.faults import Fault
from gateway.core.model import Update
from gateway.core.pointer import join_pointer
from gateway.core.typed_text import TypedText
from gateway.dialects.klaviyo.fields import (
    ADDITIONAL_FIELDS,
    COORDINATES,
    FIELDS,
    IDENTIFIERS,
    LOCATION_PATHS,
    NAMESPACE,
    READABLE_FIELDS,
    parse_coordinate,
)
from gateway.dialects.klaviyo.jsonapi.documents import (
    ATTRIBUTES,
    BodyFaults,
    parse_attributes,
    parse_list,
    parse_object,
    trim,
    type_faults,
)
from gateway.dialects.klaviyo.jsonapi.links import (
    link_context,
    parse_field_names,
    parse_include,
    parse_parameters,
    unknown_field,
)
from gateway.dialects.protocol import Request

PROFILES = "/data/attributes/profiles/data"
PROFILE = "/data/attributes/profile"
PATCHES = "/data/meta/patch_properties"
MAX_PROFILE_CHARACTERS = 100_000
"""Characters of JSON in one profile (the vendor: 100 KB)."""
_ENCODER = json.JSONEncoder(default=str)
_encode_briefly = msgspec.json.Encoder(enc_hook=str).encode
MAX_ESCAPED_LENGTH = 4
"""How many characters at most `_ENCODER` writes for a byte that `_encode_briefly` writes in a tenth of the time."""

FIELDS_PARAMETER, ADDITIONAL_FIELDS_PARAMETER = "fields[profile]", "additional-fields[profile]"

NO_MATCH: dict[str, Any] = {"mode": "none", "values": {}}
_IDENTITY_KINDS = ("email", "phone", "external_id", "anonymous_id", "kx", "custom")
REJECT_CONFLICTS = {"on_conflict": dict.fromkeys(_IDENTITY_KINDS, "reject")}
KEEP_OWNERS = {"on_conflict": dict.fromkeys(_IDENTITY_KINDS, "keep")}
CLIENT_RULES: Update = {
    **KEEP_OWNERS,
    "set_once": ["/email", "/phone_numbers", "/external_id", "/klaviyo/anonymous_id", "/klaviyo/_kx"],
}
"""The rules of the client endpoints: an identifier stays with its owner, and a profile keeps those that it has."""


NO_SELECTION: Mapping[str, Any] = {"fields": (), "additional": (), "include": ()}


def profile_context(request: Request, includable: Sequence[str] = ()) -> dict[str, Any]:
    """Return the context of a reply with profiles: the links' parts, the requested attributes, what it includes."""
    parameters = parse_parameters(request)
    if not parameters:
        return {**link_context(request), **NO_SELECTION}
    include = parse_include(parameters, includable)
    fields = _parse_field_names(parameters, FIELDS_PARAMETER, READABLE_FIELDS)
    additional = _parse_field_names(parameters, ADDITIONAL_FIELDS_PARAMETER, ADDITIONAL_FIELDS)
    members = {name.partition(".")[0] for name in (*fields, *additional)}
    additional = tuple(name for name in ADDITIONAL_FIELDS if name in members)
    return {**link_context(request), "fields": fields, "additional": additional, "include": include}


def _parse_field_names(parameters: Mapping[str, str], parameter: str, known: tuple[str, ...]) -> tuple[str, ...]:
    """Return the names of a sparse fieldset. Those of members of an additional field begin with its name."""
    names = parse_field_names(parameters, parameter)
    for name in names:
        if name not in known and name.partition(".")[0] not in ADDITIONAL_FIELDS:
            raise unknown_field(parameter, name, "profile")
    return names


def parse_profile_attributes(data: Mapping[str, Any], faults: BodyFaults) -> dict[str, Any]:
    """Return the attributes of a profile. A profile has a maximum size."""
    attributes = parse_attributes(data, faults)
    is_large = len(_encode_briefly(data)) > MAX_PROFILE_CHARACTERS / MAX_ESCAPED_LENGTH
    if is_large and len(_ENCODER.encode(data)) > MAX_PROFILE_CHARACTERS:
        detail = f"a profile may have at most {MAX_PROFILE_CHARACTERS} characters"
        faults.append(Fault("invalid_parameter", detail, "/data"))
    return attributes if faults.is_typed else {**attributes, **_trimmed_identifiers(attributes)}


def _trimmed_identifiers(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Return the identifiers without the white space around them, which is formatting in XML."""
    return {name: trim(attributes[name]) for name in IDENTIFIERS if name in attributes}


def parse_profiles(attributes: Mapping[str, Any], faults: BodyFaults) -> list[Any]:
    """Return the profiles of a job. In older bodies they are a list, without `data` around it."""
    profiles = attributes.get("profiles")
    elements = profiles.get("data") if isinstance(profiles, Mapping) else profiles
    if faults.is_typed and not isinstance(elements, list | None):
        faults.append(Fault("invalid_parameter", "it must be a list", PROFILES))
        return []
    return parse_list(elements, faults)


# --- matching ---


def match_id(id: str) -> Update:
    """Return the match of a profile by its id."""
    return {"match": {"mode": "profile_id", "values": {"profile_id": id}}}


def match_identifiers(identifiers: Mapping[str, Any], faults: BodyFaults) -> Update:
    """Return the match by all identifiers. A profile is not created from an id alone."""
    values = {}
    for name, kind in IDENTIFIERS.items():
        value = identifiers.get(name)
        if value is not None and value != "":
            values[kind] = value
    if not values:
        require_identifier(identifiers, faults)
        return {"match": NO_MATCH}
    if values.keys() == {"profile_id"}:
        return match_id(values["profile_id"])
    return {"match": {"mode": "identifiers", "values": values}, "if_absent": "create"}


def require_identifier(identifiers: Mapping[str, Any], faults: BodyFaults) -> None:
    """Add a fault if there is no identifier. An empty one has its own fault."""
    if not any(identifiers.get(name) or identifiers.get(name) == "" for name in IDENTIFIERS):
        names = ", ".join(name for name in IDENTIFIERS if name != "id")
        faults.append(Fault("missing_parameter", f"At least one identifier is required: {names}.", ATTRIBUTES))


def reject_empty_identifiers(data: Mapping[str, Any], attributes: Mapping[str, Any], faults: BodyFaults) -> None:
    """Add a fault for each identifier of a resource that is an empty string. null clears an identifier."""
    if "" not in attributes.values() and data.get("id") != "":
        return
    empty = [f"{ATTRIBUTES}/{name}" for name in IDENTIFIERS if attributes.get(name) == ""]
    empty += ["/data/id"] if data.get("id") == "" else []
    faults += [Fault("invalid_parameter", "it must not be empty", pointer) for pointer in empty]


def public_attributes(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Return the attributes of a call that needs no secret: it ignores empty identifiers, and clears no object."""
    return {
        name: value
        for name, value in attributes.items()
        if not (name in IDENTIFIERS and value == "") and not (name in ("location", "properties") and value is None)
    }


# --- members ---


def parse_upsert(data: Mapping[str, Any], faults: BodyFaults) -> Update:
    """Return the update that creates or updates the profile of a resource."""
    attributes = parse_profile_attributes(data, faults)
    reject_empty_identifiers(data, attributes, faults)
    match = match_identifiers({"id": data.get("id"), **attributes}, faults)
    return {**match, **REJECT_CONFLICTS, **parse_members(attributes, data, faults)}


def parse_nested_profile(
    attributes: Mapping[str, Any], rules: Update, faults: BodyFaults, *, is_public: bool
) -> Update:
    """Return the update that creates or updates the profile in the attributes of another resource.

    Its faults are added with pointers into the whole body.
    """
    profile = parse_object(attributes.get("profile"), PROFILE, faults)
    data = parse_object(profile.get("data"), f"{PROFILE}/data", faults)
    nested = BodyFaults(faults.is_typed, type_faults(data, "profile", "/data"))
    own = parse_profile_attributes(data, nested)
    if is_public:
        own = public_attributes(own)
    else:
        reject_empty_identifiers(data, own, nested)
    match = match_identifiers({"id": data.get("id"), **own}, nested)
    update = {**match, **rules, **parse_members(own, data, nested)}
    faults.add_nested(PROFILE, nested)
    return update


def parse_members(attributes: Mapping[str, Any], data: Mapping[str, Any], faults: BodyFaults) -> Update:
    """Return the merge patch and the operations of a resource: those of its attributes, then those of its meta."""
    profile: dict[str, Any] = {}
    operations: list[dict[str, Any]] = []
    meta = parse_object(data["meta"], "/data/meta", faults) if "meta" in data else {}
    patches = parse_object(meta.get("patch_properties"), PATCHES, faults) if meta else {}
    _parse_attributes(profile, operations, attributes, faults)
    if meta:
        _parse_unset(profile, operations, patches, faults)
        operations += _parse_appends(patches, "custom", PATCHES, faults)
        operations += _parse_identifier_patches(meta, faults)
    members = {"profile": profile} if profile else {}
    return {**members, "operations": operations} if operations else members


_PATHS = {name: path for name, path in FIELDS.items() if "." not in name and name not in ("phone_number", "properties")}


def _parse_attributes(
    profile: dict[str, Any], operations: list[dict[str, Any]], attributes: Mapping[str, Any], faults: BodyFaults
) -> None:
    for name, value in attributes.items():
        if path := _PATHS.get(name):
            group = profile if len(path) == 1 else profile.setdefault(path[0], {})
            group[path[-1]] = value
        elif name == "phone_number":
            if value is None or value == "":
                profile["phone_numbers"] = value
            else:
                operations.append({"function": "set_first", "pointer": "/phone_numbers", "value": [value]})
        elif name == "location":
            _parse_location(profile, value, faults)
        elif name == "properties":
            _parse_properties(profile, operations, value, faults)
        else:
            faults.append(Fault("unknown_field", pointer=ATTRIBUTES + join_pointer(name)))


def _parse_location(profile: dict[str, Any], location: Any, faults: BodyFaults) -> None:
    """Set the members of a location. null clears all of them."""
    pointer = f"{ATTRIBUTES}/location"
    members = dict.fromkeys(LOCATION_PATHS) if location is None else parse_object(location, pointer, faults)
    for member, value in members.items():
        path = LOCATION_PATHS.get(member)
        if path is None:
            faults.append(Fault("unknown_field", pointer=pointer + join_pointer(member)))
            continue
        if member in COORDINATES:
            _set_coordinate(profile, member, value)
        else:
            group = profile if len(path) == 1 else profile.setdefault(path[0], {})
            group[path[-1]] = value


def _set_coordinate(profile: dict[str, Any], member: str, value: Any) -> None:
    """Set the number of a coordinate, and beside it the text as sent."""
    value = value.value if isinstance(value, TypedText) else value
    text = value if isinstance(value, str) else None
    profile[member] = value if text is None else parse_coordinate(text)
    profile.setdefault(NAMESPACE, {})[member] = text or None


def _parse_properties(
    profile: dict[str, Any], operations: list[dict[str, Any]], properties: Any, faults: BodyFaults
) -> None:
    """Merge properties one level deep: an object replaces the previous value. null clears all of them.

    XML does not distinguish an object from a list with one object, or from an empty text. If there is any, each
    property is an operation: the schema moves what is no object into the merge patch, and keeps the order.
    """
    if properties is None:
        profile["custom"] = None
    members = parse_object(properties, f"{ATTRIBUTES}/properties", faults)
    is_deferred = not faults.is_typed and any(
        isinstance(each, dict) or faults.is_empty(each) for each in members.values()
    )
    for name, value in members.items():
        if isinstance(value, dict) or is_deferred:
            operations.append({"function": "set", "pointer": join_pointer("custom", name), "value": value})
        else:
            profile.setdefault("custom", {})[name] = value


def _parse_unset(
    profile: dict[str, Any], operations: list[dict[str, Any]], patches: Mapping[str, Any], faults: BodyFaults
) -> None:
    """Remove properties, also those that the same request sets."""
    names = parse_list(patches.get("unset"), faults)
    if not all(isinstance(name, str) for name in names):
        detail = "it must be a name or a list of names"
        faults.append(Fault("invalid_parameter", detail, f"{PATCHES}/unset"))
    if faults or profile.get("custom", {}) is None:
        return
    for name in names:
        operations[:] = [each for each in operations if each["pointer"] != join_pointer("custom", name)]
        profile.setdefault("custom", {})[name] = None


def _parse_appends(patches: Mapping[str, Any], member: str, pointer: str, faults: BodyFaults) -> list[dict[str, Any]]:
    """Return the operations of `append` and `unappend`. Each has a value or a list of values."""
    return [
        {"function": function, "pointer": join_pointer(member, name), "value": parse_list(value, faults)}
        for action, function in (("append", "add"), ("unappend", "delete"))
        for name, value in parse_object(patches.get(action), f"{pointer}/{action}", faults).items()
    ]


def _parse_identifier_patches(meta: Mapping[str, Any], faults: BodyFaults) -> list[dict[str, Any]]:
    """Return the operations on a profile's further addresses. The vendor's revision of 2026 has `email` only."""
    pointer = "/data/meta/patch_identifiers"
    patches = parse_object(meta.get("patch_identifiers"), pointer, faults)
    operations = _parse_appends(patches, NAMESPACE, pointer, faults)
    for operation in operations:
        if operation["pointer"] == "/klaviyo/email":
            operation["pointer"] = "/klaviyo/emails"
        else:
            faults.append(Fault("invalid_parameter", "only email can be patched", pointer))
    return [each for each in operations if each["value"]]

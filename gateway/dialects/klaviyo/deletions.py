"""Data privacy deletion jobs: erase every profile with one identifier."""

from collections.abc import Mapping
from typing import Any

from gateway.core.faults import Fault
from gateway.core.pointer import split_pointer
from gateway.dialects.klaviyo.fields import IDENTIFIERS
from gateway.dialects.klaviyo.jsonapi.documents import (
    ATTRIBUTES,
    BodyFaults,
    parse_attributes,
    parse_object,
    parse_resource,
    trim,
    type_faults,
)
from gateway.dialects.klaviyo.requests import NO_MATCH, PROFILE
from gateway.dialects.protocol import ParsedCommand, ParsedRequest, Request


def parse_deletion(request: Request) -> ParsedRequest:
    """Parse `POST /api/data-privacy-deletion-jobs`."""
    data, faults = parse_resource(request, "data-privacy-deletion-job")
    match = _parse_match(parse_attributes(data, faults), faults)
    return ParsedRequest(None, [ParsedCommand({"match": match, "erase": True}, faults)])


def _parse_match(attributes: Mapping[str, Any], faults: BodyFaults) -> dict[str, Any]:
    members = _parse_identifiers(attributes, faults)
    values = {pointer: value if faults.is_typed else trim(value) for pointer, value in members.items()}
    identifiers = {pointer: value for pointer, value in values.items() if value is not None}
    if empty := [pointer for pointer, value in identifiers.items() if value == ""]:
        faults += [Fault("invalid_parameter", "it must not be empty", pointer) for pointer in empty]
        return NO_MATCH
    if len(identifiers) != 1:
        detail = "provide exactly one of email, phone_number and id"
        faults.append(Fault("invalid_parameter", detail, f"{PROFILE}/data"))
        return NO_MATCH
    [(pointer, value)] = identifiers.items()
    if not isinstance(value, str):
        faults.append(Fault("invalid_parameter", "it must be a string", pointer))
        return NO_MATCH
    name = split_pointer(pointer)[-1]
    return {"mode": "identifiers", "values": {IDENTIFIERS.get(name, name): value}, "on_multiple": "all"}


def _parse_identifiers(attributes: Mapping[str, Any], faults: BodyFaults) -> dict[str, Any]:
    """Return the identifiers by their pointers. Bodies of 2023 have them among the job's own attributes."""
    own = {f"{ATTRIBUTES}/{name}": attributes.get(name) for name in ("profile_id", "email", "phone_number")}
    if faults.is_empty(attributes.get("profile")):
        return own
    pointer = f"{PROFILE}/data"
    profile = parse_object(attributes["profile"], PROFILE, faults)
    data = parse_object(profile.get("data"), pointer, faults)
    faults += type_faults(data, "profile", pointer)
    inner = parse_object(data.get("attributes"), f"{pointer}/attributes", faults)
    identifiers = {f"{pointer}/attributes/{name}": inner.get(name) for name in ("email", "phone_number")}
    return {**own, f"{pointer}/id": data.get("id"), **identifiers}

"""Altcraft's requests as canonical commands. The leaves keep their types: the schema coerces and validates them."""

from collections.abc import Iterable, Mapping
from typing import Any

from msgspec.structs import replace

from gateway.core.faults import Fault, Refusal
from gateway.core.model import Update
from gateway.dialects.altcraft.data import parse_data, parse_subscription
from gateway.dialects.altcraft.matching import SEARCH_MODES, mode_faults, parse_match
from gateway.dialects.altcraft.parameters import (
    has_value,
    parse_parameters,
    require,
    require_list,
    require_object,
    trim_members,
)
from gateway.dialects.protocol import ParsedCommand, ParsedRequest, Request

SUBSCRIPTION_MEMBERS = (
    *("resource_id", "channel", "status", "priority", "custom_fields", "cats", "date", "ip", "url"),
    *("email", "email_data", "phone", "phone_data", "provider", "subscription_id", "push_data", "cc_data"),
    *("field_name", "field_value"),
)
ON_CONFLICT = {"email": "reject", "custom": "reject"}
OPTIONS = ("skip_triggers", "skip_invalid_subscriptions", "detect_geo")
SEGMENT_PARAMETERS = {"add": "add_to_segments", "remove": "remove_from_segments"}

MATCH_VALUES = ("email", "phone", "profile_id", "subscription_id", "field_value")
"""The parameters that identify one profile. Beside the data of a batch they are ignored."""

DATA_MATCH_NAMES = ("profile_id",)
"""The match values that `data` may contain and that are never fields of the profile."""

ELEMENT_MATCH_NAMES = (*DATA_MATCH_NAMES, "phone", "provider", "subscription_id", "field_name", "field_value")
"""The same for an element of a batch. All but `profile_id` are fields unless the element's mode needs them."""


def parse_profile(request: Request, *, create: bool, search: bool) -> ParsedRequest:
    """Parse `update`, `import` (which may create) and `add` (which creates without a search)."""
    parameters = parse_parameters(request)
    data = require_object(require(parameters, "data"), "data", request.is_typed)
    common = _write_members(parameters, create)
    own = {**_match_values(data, DATA_MATCH_NAMES, request.is_typed), **parameters}
    return ParsedRequest(
        common["database"], [_parse_update(common, own, data, search, DATA_MATCH_NAMES, request.is_typed)]
    )


def parse_batch(request: Request, *, create: bool, search: bool) -> ParsedRequest:
    """Parse the batches of `update`, `import` and `add`. Each element of `data` has its own match values."""
    parameters = {name: value for name, value in parse_parameters(request).items() if name not in MATCH_VALUES}
    elements = require_list(require(parameters, "data"), "data", request.is_typed)
    if search and (faults := mode_faults(parameters, SEARCH_MODES)):
        raise Refusal(faults)
    common = _write_members(parameters, create)
    commands = [_parse_element(common, parameters, element, search, request.is_typed) for element in elements]
    return ParsedRequest(common["database"], commands)


def parse_search(modes: Iterable[str], request: Request) -> ParsedRequest:
    """Parse `get` and `delete`: a match in one of the modes."""
    parameters = parse_parameters(request)
    match, faults = parse_match(parameters, {}, modes)
    return replace(_parsed_request({**_common_members(parameters), "match": match}, faults), needs_consent=True)


def parse_segment(action: str, request: Request) -> ParsedRequest:
    """Parse `segstatic/add` and `segstatic/remove`: one profile, one segment."""
    parameters = parse_parameters(request)
    match, faults = parse_match(parameters, {}, default="profile_id")
    update = _common_members(parameters)
    segments = {action: [require(parameters, "segment_id")]}
    return _parsed_request({**update, "match": match, "segments": segments}, faults)


def parse_subscription_call(request: Request) -> ParsedRequest:
    """Parse `subscriptions/set`, whose parameters are a profile's id and the members of a subscription."""
    parameters = parse_parameters(request)
    match = {"mode": "profile_id", "values": {"profile_id": require(parameters, "profile_id")}}
    require(parameters, "resource_id")
    members = _present(parameters, SUBSCRIPTION_MEMBERS)
    subscription, faults = parse_subscription(members, "/subscriptions/0", request.is_typed)
    update = {**_common_members(parameters), "match": match, "subscriptions": [subscription]}
    return _parsed_request(update, faults)


def parse_description(request: Request) -> ParsedRequest:
    """Parse `databases/list`, `databases/fields_get` and `resources/fields_get`."""
    parameters = parse_parameters(request)
    id = next((parameters[name] for name in ("id", "resource_id") if has_value(parameters, name)), None)
    resource = {} if id is None else {"resource_id": id}
    database = parameters["db_id"] if has_value(parameters, "db_id") else None
    return ParsedRequest(database, [ParsedCommand({"match": {"mode": "none", "values": {}, **resource}})])


def _parsed_request(update: Update, faults: list[Fault]) -> ParsedRequest:
    return ParsedRequest(update["database"], [ParsedCommand(update, faults)])


# --- members that the calls share ---


def _common_members(parameters: Mapping[str, Any]) -> Update:
    update: Update = {"database": require(parameters, "db_id")}
    if options := _present(parameters, OPTIONS):
        update["options"] = options
    return update


def _write_members(parameters: Mapping[str, Any], create: bool) -> Update:
    """Return the members that the parameters add to every update of a request."""
    update = _common_members(parameters)
    update |= {"on_conflict": ON_CONFLICT, "if_absent": "create" if create else "reject"}
    segments = {action: parameters[name] for action, name in SEGMENT_PARAMETERS.items() if has_value(parameters, name)}
    if segments:
        update["segments"] = segments
    return update


def _present(parameters: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    """Return those of the named parameters that have a value."""
    return {name: parameters[name] for name in names if has_value(parameters, name)}


# --- one update ---


def _parse_element(
    common: Update, parameters: Mapping[str, Any], element: Any, search: bool, is_typed: bool
) -> ParsedCommand:
    """Parse an element of a batch. Its match values replace the parameters."""
    try:
        data = require_object(element, "data", is_typed)
    except Refusal as refusal:
        return ParsedCommand(None, refusal.faults)
    own = {**parameters, **_match_values(data, ELEMENT_MATCH_NAMES, is_typed)}
    return _parse_update(common, own, data, search, ELEMENT_MATCH_NAMES, is_typed)


def _match_values(data: Mapping[str, Any], names: tuple[str, ...], is_typed: bool) -> dict[str, Any]:
    """Return those of the named members of `data` that have a value. In XML they are trimmed."""
    values = _present(data, names)
    return values if is_typed else trim_members(values)


def _parse_update(
    common: Update,
    parameters: Mapping[str, Any],
    data: dict[str, Any],
    search: bool,
    match_names: tuple[str, ...],
    is_typed: bool,
) -> ParsedCommand:
    no_match: tuple[dict[str, Any], list[Fault]] = ({"mode": "none", "values": {}}, [])
    match, faults = parse_match(parameters, data, is_typed=is_typed) if search else no_match
    excluded = {name for name in match_names if name in match["values"] or name in DATA_MATCH_NAMES}
    fields = {name: value for name, value in data.items() if name not in excluded}
    update = {**common, "match": match, **parse_data(fields, faults, is_typed)}
    if match["mode"] == "profile_id":
        # Only the gateway assigns ids: an unknown id never creates a profile.
        update["if_absent"] = "reject"
    return ParsedCommand(update, faults)

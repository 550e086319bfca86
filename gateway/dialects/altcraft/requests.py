"""Altcraft's requests as canonical commands. The leaves keep their types: the schema coerces and validates them."""

from collections.abc import Collection, Mapping, Set
from typing import Any

from gateway.core.faults import Fault, Refusal
from gateway.core.model import Update
from gateway.dialects.altcraft.data import parse_data
from gateway.dialects.altcraft.matching import NO_MATCH, SEARCH_MODES, mode_faults, parse_match
from gateway.dialects.altcraft.parameters import (
    is_blank,
    parse_parameters,
    present_members,
    require,
    require_list,
    require_object,
    trim_members,
)
from gateway.dialects.protocol import ParsedCommand, ParsedRequest, Request

OPTIONS = ("skip_triggers", "skip_invalid_subscriptions", "detect_geo")
_OPTION_NAMES = frozenset(OPTIONS)
SEGMENT_PARAMETERS = {"add": "add_to_segments", "remove": "remove_from_segments"}

ON_CONFLICT = {"email": "reject", "custom": "reject"}
NO_RULE: Update = {}
CREATE: Update = {"on_conflict": ON_CONFLICT, "if_absent": "create"}
REQUIRE: Update = {"on_conflict": ON_CONFLICT, "if_absent": "reject"}
"""The rules of a command: none for one that is no update, or whether an update may create a profile."""

MATCH_VALUES = ("email", "phone", "profile_id", "subscription_id", "field_value")
"""The parameters that identify one profile. Beside the data of a batch they are ignored."""

ELEMENT_MATCH_NAMES = ("profile_id", "phone", "provider", "subscription_id", "field_name", "field_value")
"""The match values that an element of a batch may have. All but `profile_id` are fields unless its mode needs them."""

_ELEMENT_NAMES = frozenset(ELEMENT_MATCH_NAMES)

NO_VALUES: Mapping[str, Any] = {}


def parse_profile(request: Request, *, rule: Update, search: bool) -> ParsedRequest:
    """Parse `update`, `import` (which may create) and `add` (which creates without a search)."""
    is_typed = request.is_typed
    parameters = request.tree if is_typed else parse_parameters(request)
    data = parameters.get("data")
    if not isinstance(data, dict):
        data = require_object(require(parameters, "data"), "data", is_typed)
    common = common_members(parameters, rule)
    if "profile_id" in data:
        parameters = {**_match_values(data, ("profile_id",), is_typed), **parameters}
    return ParsedRequest(common["database"], [_parse_update(common, parameters, data, search, is_typed)])


def parse_batch(request: Request, *, rule: Update, search: bool, is_nested: bool = False) -> ParsedRequest:
    """Parse the batches of `update`, `import` and `add`. Each element of `data` has its own match values.

    With `is_nested`, an element may have its fields in a `data` of its own, and its match values beside it.
    """
    parameters, is_typed = dict(parse_parameters(request)), request.is_typed
    for name in MATCH_VALUES:
        parameters.pop(name, None)
    elements = require_list(require(parameters, "data"), "data", is_typed)
    if search and (faults := mode_faults(parameters.get("matching"), SEARCH_MODES)):
        raise Refusal(faults)
    common = common_members(parameters, rule)
    commands = []
    for element in elements:
        beside, fields = _unnest(element, is_typed) if is_nested else (NO_VALUES, element)
        commands.append(_parse_element(common, parameters, fields, search, is_typed, beside))
    return ParsedRequest(common["database"], commands)


def parse_search(modes: Collection[str], request: Request) -> ParsedRequest:
    """Parse `get`: a match in one of the modes."""
    parameters, faults = parse_parameters(request), []  # type: ignore[var-annotated]
    match = parse_match(parameters, {}, faults, modes)
    command = {**common_members(parameters), "match": match}
    return ParsedRequest(command["database"], [ParsedCommand(command, faults)], needs_consent=True)


def parse_removal(modes: Collection[str], request: Request) -> ParsedRequest:
    """Parse `delete`: a match in one of the modes. With `erase`, the person is erased."""
    parameters, faults = parse_parameters(request), []  # type: ignore[var-annotated]
    match = parse_match(parameters, {}, faults, modes)
    command = {**common_members(parameters), "match": match, **present_members(parameters, ("erase",))}
    return ParsedRequest(command["database"], [ParsedCommand(command, faults)])


def parse_segment(action: str, request: Request) -> ParsedRequest:
    """Parse `segstatic/add` and `segstatic/remove`: one profile, one segment."""
    faults: list[Fault] = []
    parameters = parse_parameters(request)
    match = parse_match(parameters, {}, faults, default="profile_id")
    update = common_members(parameters)
    update |= {"match": match, "segments": {action: [require(parameters, "segment_id")]}}
    return ParsedRequest(update["database"], [ParsedCommand(update, faults)])


def parse_description(request: Request) -> ParsedRequest:
    """Parse `databases/list`, `databases/fields_get` and `resources/fields_get`."""
    present = present_members(parse_parameters(request), ("id", "resource_id", "db_id"))
    match = dict(NO_MATCH)
    if ids := [present[name] for name in ("id", "resource_id") if name in present]:
        match["resource_id"] = ids[0]
    return ParsedRequest(present.get("db_id"), [ParsedCommand({"match": match})])


# --- members that the calls share ---


def common_members(parameters: Mapping[str, Any], rule: Update = NO_RULE) -> Update:
    """Return the members that the parameters add to each command of a request. Only an update has a rule."""
    command: Update = {"database": parameters.get("db_id") or require(parameters, "db_id")}
    if not _OPTION_NAMES.isdisjoint(parameters) and (options := present_members(parameters, OPTIONS)):
        command["options"] = options
    command |= rule
    for action, name in SEGMENT_PARAMETERS.items() if rule else ():
        if (segments := parameters.get(name)) is not None:
            command.setdefault("segments", {})[action] = segments
    return command


# --- one update ---


def _parse_element(
    common: Update,
    parameters: Mapping[str, Any],
    element: Any,
    search: bool,
    is_typed: bool,
    beside: Mapping[str, Any],
) -> ParsedCommand:
    """Parse an element of a batch. Its match values replace the parameters, those `beside` it the ones in it."""
    try:
        data = element if isinstance(element, dict) else require_object(element, "data", is_typed)
    except Refusal as refusal:
        return ParsedCommand(None, refusal.faults)
    if beside:
        parameters = {**parameters, **beside}
    if _ELEMENT_NAMES.isdisjoint(data):
        return _parse_update(common, parameters, data, search, is_typed)
    own = _match_values(data, ELEMENT_MATCH_NAMES, is_typed)
    return _parse_update(common, {**parameters, **own, **beside}, data, search, is_typed, _ELEMENT_NAMES)


def has_nested_data(element: Any, is_typed: bool) -> bool:
    """Return whether an element of a batch has its fields in a `data` of its own."""
    if not isinstance(element, dict) or "data" not in element:
        return False
    return isinstance(element["data"], dict) or (not is_typed and is_blank(element["data"]))


def _unnest(element: Any, is_typed: bool) -> tuple[Mapping[str, Any], Any]:
    """Return the match values beside the `data` of an element, and the `data`; an element without it as it is."""
    if not has_nested_data(element, is_typed):
        return NO_VALUES, element
    return _match_values(element, ("email", *ELEMENT_MATCH_NAMES), is_typed), element["data"]


def _match_values(data: Mapping[str, Any], names: tuple[str, ...], is_typed: bool) -> dict[str, Any]:
    """Return those of the named members of `data` that have a value. In XML they are trimmed."""
    values = present_members(data, names)
    return values if is_typed else trim_members(values)


def _parse_update(
    common: Update,
    parameters: Mapping[str, Any],
    data: Mapping[str, Any],
    search: bool,
    is_typed: bool,
    element_values: Set[str] = frozenset(),
) -> ParsedCommand:
    """Parse one update. `element_values` are the names in `data` that are fields unless the mode needs them."""
    faults: list[Fault] = []
    match = parse_match(parameters, data, faults, is_typed=is_typed) if search else NO_MATCH
    if element_values:
        data = {
            name: value for name, value in data.items() if name not in element_values or name not in match["values"]
        }
    update = {**common, "match": match, **parse_data(data, faults, is_typed)}
    if match["mode"] == "profile_id":
        # Only the gateway assigns ids: an unknown id never creates a profile.
        update["if_absent"] = "reject"
    return ParsedCommand(update, faults)

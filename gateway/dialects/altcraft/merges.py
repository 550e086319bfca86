"""Calls that move parts of profiles to others: merge, split."""

from collections.abc import Mapping, Sequence
from typing import Any

from gateway.core.faults import Fault, Refusal, refuse
from gateway.core.model import Command, Profile
from gateway.core.repeated import Repeated
from gateway.dialects.altcraft.data import parse_data
from gateway.dialects.altcraft.matching import SEARCH_MODES, mode_faults, parse_match
from gateway.dialects.altcraft.parameters import (
    parse_parameters,
    present_members,
    require,
    require_list,
    require_object,
    strip_text,
    trim_members,
)
from gateway.dialects.altcraft.replies import SUCCESS
from gateway.dialects.altcraft.requests import ON_CONFLICT
from gateway.dialects.protocol import ParsedCommand, ParsedRequest, Reply, Request, Result

MATCH_NAMES = (
    *("email", "phone", "profile_id", "provider", "subscription_id", "field_name", "field_value", "resource_id"),
)
"""The members of a source or a destination that name a profile."""

MOVES = {"subscriptions": "move_subscriptions", "static_segments": "move_segments", "remove_source": "remove_sources"}
"""By parameter: the member of the command that says what moves."""

POINTERS = {
    "/sources": "/source",
    "/destinations": "/destination",
    **{f"/{member}": f"/{name}" for name, member in MOVES.items()},
}
"""By canonical pointer: the parameter."""

PLACEHOLDER_DOMAINS = ["localhost"]
"""The domains whose addresses count as absent, as documented (see POST profiles/merge)."""

_SAME = "it must be another profile than the destination"


def parse_merge(request: Request) -> ParsedRequest:
    """Parse `merge`: the profiles of `source` into that of `destination`."""
    parameters = parse_parameters(request)
    sources = _objects(parameters, "source", request.is_typed)
    destination = _object(parameters, "destination", request.is_typed)
    command, faults = _parse_common(parameters, [destination, *sources], request.is_typed)
    match, *matches = command.pop("matches")
    faults += [
        Fault("invalid_parameter", _SAME, f"/sources/{index}") for index, each in enumerate(matches) if each == match
    ]
    command |= {
        "match": match,
        "sources": matches,
        # Only the gateway assigns ids: an unknown id never creates a profile.
        "if_absent": "reject" if match["mode"] == "profile_id" else "create",
        "placeholder_domains": PLACEHOLDER_DOMAINS,
    }
    return ParsedRequest(command["database"], [ParsedCommand(command, faults)])


def parse_split(request: Request) -> ParsedRequest:
    """Parse `split`: parts of the profile of `source` go to those of `destination`."""
    parameters = parse_parameters(request)
    source = _object(parameters, "source", request.is_typed)
    destinations = _objects(parameters, "destination", request.is_typed)
    command, faults = _parse_common(parameters, [source, *destinations], request.is_typed)
    match, *matches = command.pop("matches")
    command |= {"match": match, "destinations": matches}
    filters = parameters.get("subscription_filters")
    if filters is not None and filters != "":
        members = require_object(filters, "subscription_filters", request.is_typed)
        command["subscription_filters"] = {
            name: each if isinstance(each, list) else [each] for name, each in members.items()
        }
    return ParsedRequest(command["database"], [ParsedCommand(command, faults)])


def render_split(result: Result) -> Reply:
    """Render the ids of the source and of each destination, in order."""
    ids = [each.id for each in result.outcomes if isinstance(each, Profile)]
    rows = Repeated({**SUCCESS, "profile_id": id} for id in ids[1:])
    return Reply(200, {**SUCCESS, "profile_id": ids[0], "result": rows})


def _parse_common(
    parameters: Mapping[str, Any], objects: Sequence[Mapping[str, Any]], is_typed: bool
) -> tuple[Command, list[Fault]]:
    """Return what merge and split share, with the `matches` of objects, and the faults of `data`."""
    if found := mode_faults(parameters.get("matching"), SEARCH_MODES):
        raise Refusal(found)
    faults: list[Fault] = []
    command: Command = {
        "database": _database([parameters, *objects], is_typed),
        "matches": [_parse_match(parameters, each, is_typed) for each in objects],
        "on_conflict": ON_CONFLICT,
    }
    if options := present_members(parameters, ("skip_triggers",)):
        command["options"] = options
    for name, member in MOVES.items():
        if (value := parameters.get(name)) is not None and value != "":
            command[member] = value
    if (data := parameters.get("data")) is not None:
        command |= parse_data(require_object(data, "data", is_typed), faults, is_typed)
    return command, faults


def _parse_match(parameters: Mapping[str, Any], each: Mapping[str, Any], is_typed: bool) -> Mapping[str, Any]:
    """Return the match of a source or a destination. `matching` and `field_name` may be beside them."""
    shared = present_members(parameters, ("matching", "field_name"))
    return parse_match({**shared, **present_members(each, MATCH_NAMES)}, {}, [], is_typed=is_typed)


def _database(holders: Sequence[Mapping[str, Any]], is_typed: bool) -> Any:
    """Return the id of the database, which is the same wherever it is given.

    Raises `Refusal`: missing_parameter, invalid_parameter, unknown_database.
    """
    ids = [each["db_id"] for each in holders if each.get("db_id") not in (None, "")]
    if not ids:
        raise refuse("missing_parameter", "it is missing", "/db_id")
    for id in ids if is_typed else ():
        if not isinstance(id, int) or isinstance(id, bool):
            raise refuse("invalid_parameter", "it must be an integer", "/db_id")
    for id in ids[1:]:
        if strip_text(id) != strip_text(ids[0]):
            raise refuse("unknown_database", "all profiles must be in one database", "/db_id")
    return ids[0]


def _object(parameters: Mapping[str, Any], name: str, is_typed: bool) -> dict[str, Any]:
    """Return an object that names a profile. In XML its members are trimmed."""
    value = require_object(require(parameters, name), name, is_typed)
    return value if is_typed else trim_members(value)


def _objects(parameters: Mapping[str, Any], name: str, is_typed: bool) -> list[dict[str, Any]]:
    """Return the objects of a list, each of which names a profile. In XML their members are trimmed."""
    values = require_list(require(parameters, name), name, is_typed)
    objects = [require_object(each, f"{name}/{index}", is_typed) for index, each in enumerate(values)]
    return objects if is_typed else list(map(trim_members, objects))

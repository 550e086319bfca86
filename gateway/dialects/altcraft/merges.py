"""Calls that move parts of profiles to others: merge, split."""

from collections.abc import Mapping, Sequence
from typing import Any

from gateway.core.faults import Fault, Refusal
from gateway.core.model import Command, Profile
from gateway.core.repeated import Repeated
from gateway.dialects.altcraft.data import parse_data
from gateway.dialects.altcraft.matching import SEARCH_MODES, mode_faults
from gateway.dialects.altcraft.named_profiles import database_of, named_profile, named_profiles, parse_named_match
from gateway.dialects.altcraft.parameters import parse_parameters, present_members, require_object
from gateway.dialects.altcraft.replies import SUCCESS
from gateway.dialects.altcraft.requests import ON_CONFLICT
from gateway.dialects.protocol import ParsedCommand, ParsedRequest, Reply, Request, Result

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
    sources = named_profiles(parameters, "source", request.is_typed)
    destination = named_profile(parameters, "destination", request.is_typed)
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
    source = named_profile(parameters, "source", request.is_typed)
    destinations = named_profiles(parameters, "destination", request.is_typed)
    command, faults = _parse_common(parameters, [source, *destinations], request.is_typed)
    match, *matches = command.pop("matches")
    command |= {"match": match, "destinations": matches}
    if (filters := parameters.get("subscription_filters")) is not None:
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
        "database": database_of([parameters, *objects], is_typed),
        "matches": [parse_named_match(parameters, each, is_typed) for each in objects],
        "on_conflict": ON_CONFLICT,
    }
    if options := present_members(parameters, ("skip_triggers",)):
        command["options"] = options
    for name, member in MOVES.items():
        if (value := parameters.get(name)) is not None:
            command[member] = value
    if (data := parameters.get("data")) is not None:
        command |= parse_data(require_object(data, "data", is_typed), faults, is_typed)
    return command, faults

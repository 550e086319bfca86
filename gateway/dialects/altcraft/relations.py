"""Calls on relations. A relation leads from profile B, its subject, to profile A, its object.

Source: https://guides.altcraft.com/en/developer-guide/profile-relations/9406152, and the pages that follow it.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from gateway.core.faults import Fault, Refusal
from gateway.core.model import Command, Profile
from gateway.core.relations import RELATIONS, SUBJECT
from gateway.core.repeated import Repeated
from gateway.dialects.altcraft.matching import mode_faults, parse_match
from gateway.dialects.altcraft.named_profiles import database_of, named_profile, parse_named_match
from gateway.dialects.altcraft.parameters import (
    parse_integer,
    parse_parameters,
    present_members,
    require,
    require_object,
)
from gateway.dialects.altcraft.replies import SUCCESS
from gateway.dialects.protocol import ParsedCommand, ParsedRequest, Reply, Request, Result

MODES = ("email", "email_profile", "phone", "profile_id", "custom")

POINTERS = {
    "/subjects/0": "/profile_b",
    "/match/mode": "/matching",
    "/match": "/profile_a",
    "/properties": "/weights",
    "/relation": "/rel_id",
}
"""By canonical pointer: the parameter of a call that changes a relation."""

MAX_TOP = 10
"""Profiles with the greatest values of a property that `get_counter` returns."""


# --- requests ---


def parse_change(action: str, request: Request) -> ParsedRequest:
    """Parse a change of a relation: `attach` writes its weights, `add` adds to them, and `detach` has none."""
    parameters = parse_parameters(request)
    if found := mode_faults(parameters.get("matching"), MODES):
        raise Refusal(found)
    number = parse_integer(require(parameters, "rel_id"), "rel_id", request.is_typed)
    profiles = [named_profile(parameters, name, request.is_typed) for name in ("profile_a", "profile_b")]
    match, subject = (parse_named_match(parameters, each, request.is_typed) for each in profiles)
    command: Command = {"match": match, "subjects": [subject], "relation": number, "action": action}
    if options := present_members(parameters, ("skip_triggers",)):
        command["options"] = options
    if action != "detach" and (weights := parameters.get("weights")) is not None:
        command["properties"] = require_object(weights, "weights", request.is_typed)
    database = database_of([parameters, *profiles], request.is_typed)
    return ParsedRequest(database, [ParsedCommand(command)], {"relation": number})


def parse_search(request: Request) -> ParsedRequest:
    """Parse `get` and `get_counter`: the profile that relations of this number lead to."""
    parameters, faults = parse_parameters(request), list[Fault]()
    number = parse_integer(require(parameters, "rel_id"), "rel_id", request.is_typed)
    match = parse_match(parameters, {}, faults, MODES, is_typed=request.is_typed)
    database = require(parameters, "db_id")
    return ParsedRequest(database, [ParsedCommand({"match": match}, faults)], {"relation": number})


# --- replies ---


def render_change(result: Result) -> Reply:
    """Render the ids of both profiles."""
    (profile,) = result.outcomes
    assert isinstance(profile, Profile)
    ids = {"profile_a": profile.id, "profile_b": profile.document[SUBJECT]}
    return Reply(200, {**SUCCESS, **ids, "relation_id": result.context["relation"]})


def render_relations(result: Result) -> Reply:
    """Render the relations that lead to a profile, each with its properties."""
    profile, relations = _relations(result)
    rows = [
        {
            "profile_id_a": profile.id,
            "xxh_a": profile.id,
            "profile_id_b": id,
            "xxh_b": id,
            "db_b": result.database.id,
            "props": {name: {"value": value} for name, value in properties.items()},
        }
        for id, properties in relations
    ]
    return Reply(200, {"data": Repeated(rows), **SUCCESS, "total_count": len(rows)})


def render_counter(result: Result) -> Reply:
    """Render how many relations lead to a profile, and the greatest values and the sum of each property."""
    profile, relations = _relations(result)
    names = dict.fromkeys(name for _, properties in relations for name in properties)
    properties = {name: _count([(id, each[name]) for id, each in relations if name in each]) for name in names}
    data = {"profile_id": profile.id, "profile_xxh": profile.id, "total": len(relations), "props": properties}
    return Reply(200, {"data": data, **SUCCESS})


def _count(values: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """Return the counter of one property, from the ids of profiles and its values there."""
    numbers = [(id, value) for id, value in values if isinstance(value, int | float) and not isinstance(value, bool)]
    greatest = sorted(numbers, key=lambda each: each[1], reverse=True)[:MAX_TOP]
    top = Repeated([{"profile_id": id, "value": value} for id, value in greatest]) if greatest else None
    return {"total": len(values), "top": top, "sum": sum(value for _, value in numbers) if numbers else None}


def _relations(result: Result) -> tuple[Profile, Sequence[tuple[str, Mapping[str, Any]]]]:
    """Return the profile, and the id and properties of each relation of the requested number."""
    profile, *others = (each for each in result.outcomes if isinstance(each, Profile))
    found: dict[str, Mapping[str, Any]] = {}
    for id, properties in _present(profile, others, str(result.context["relation"])):
        found.setdefault(id, properties)
    return profile, [*found.items()]


def _present(profile: Profile, others: Sequence[Profile], number: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield the relations of a number. That of a merged profile is one of the profile that it was merged into."""
    ids = {alias: each.id for each in others for alias in (each.id, *each.document.get("merged", {}).get("ids", ()))}
    for id, relations in profile.document.get(RELATIONS, {}).items():
        if number in relations and ids.get(id, profile.id) != profile.id:
            yield ids[id], relations[number]

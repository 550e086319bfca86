"""The profiles that a call names by objects of their own, such as `source` and `destination` of a merge."""

from collections.abc import Mapping, Sequence
from typing import Any

from gateway.core.faults import refuse
from gateway.dialects.altcraft.matching import parse_match
from gateway.dialects.altcraft.parameters import (
    present_members,
    require,
    require_list,
    require_object,
    strip_text,
    trim_members,
)

MATCH_NAMES = (
    *("email", "phone", "profile_id", "provider", "subscription_id", "field_name", "field_value", "resource_id"),
)
"""The members of such an object that name a profile."""


def parse_named_match(parameters: Mapping[str, Any], each: Mapping[str, Any], is_typed: bool) -> Mapping[str, Any]:
    """Return the match of such an object. `matching` and `field_name` may be beside them."""
    shared = present_members(parameters, ("matching", "field_name"))
    return parse_match({**shared, **present_members(each, MATCH_NAMES)}, {}, [], is_typed=is_typed)


def database_of(holders: Sequence[Mapping[str, Any]], is_typed: bool) -> Any:
    """Return the id of the database, which is the same wherever it is given.

    Raises `Refusal`: missing_parameter, invalid_parameter, unknown_database.
    """
    ids = [each["db_id"] for each in holders if each.get("db_id") is not None]
    if not ids:
        raise refuse("missing_parameter", "it is missing", "/db_id")
    for id in ids if is_typed else ():
        if not isinstance(id, int) or isinstance(id, bool):
            raise refuse("invalid_parameter", "it must be an integer", "/db_id")
    for id in ids[1:]:
        if strip_text(id) != strip_text(ids[0]):
            raise refuse("unknown_database", "all profiles must be in one database", "/db_id")
    return ids[0]


def named_profile(parameters: Mapping[str, Any], name: str, is_typed: bool) -> dict[str, Any]:
    """Return an object that names a profile. In XML its members are trimmed."""
    value = require_object(require(parameters, name), name, is_typed)
    return value if is_typed else trim_members(value)


def named_profiles(parameters: Mapping[str, Any], name: str, is_typed: bool) -> list[dict[str, Any]]:
    """Return the objects of a list, each of which names a profile. In XML their members are trimmed."""
    values = require_list(require(parameters, name), name, is_typed)
    objects = [require_object(each, f"{name}/{index}", is_typed) for index, each in enumerate(values)]
    return objects if is_typed else list(map(trim_members, objects))

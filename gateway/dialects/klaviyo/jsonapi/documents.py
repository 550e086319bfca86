"""The parts of a resource of JSON:API: type, id, attributes, relationships. What is wrong is said, and not raised.

Pointers are the vendor's own.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from gateway.core.faults import Fault, refuse
from gateway.dialects.protocol import Request

PROFILES = "/data/attributes/profiles/data"
LARGEST_PROFILE = 100_000
"""Characters of JSON that one profile may have (the vendor: 100 KB)."""


class Faults(list[Fault]):
    """What is wrong with a body, as it is found. `is_typed` is the body's own, as `Request` has it."""

    def __init__(self, is_typed: bool, faults: Iterable[Fault] = ()) -> None:
        super().__init__(faults)
        self.is_typed = is_typed

    def is_empty(self, value: Any) -> bool:
        """Whether nothing is said: by nothing, by null, or by an empty element where leaves have no types."""
        return value is None or (value == "" and not self.is_typed)


def resource(incoming: Request, type: str) -> tuple[dict[str, Any], Faults]:
    """`data`, and what is wrong with it. Raises `Refusal` where there is none."""
    data = incoming.tree.get("data")
    if not isinstance(data, dict):
        raise refuse("missing_parameter", "it must be an object", "/data")
    return data, Faults(incoming.is_typed, type_faults(data, type, "/data"))


def type_faults(data: Mapping[str, Any], type: str, at: str) -> list[Fault]:
    return [] if data.get("type") == type else [Fault("invalid_parameter", f"it must be {type}", f"{at}/type")]


def attributes_of(data: Mapping[str, Any], faults: Faults) -> dict[str, Any]:
    if data.get("attributes") is None:
        faults.append(Fault("missing_parameter", "it is missing", "/data/attributes"))
    if len(json.dumps(data)) > LARGEST_PROFILE and data.get("type") == "profile":
        faults.append(Fault("invalid_parameter", f"a profile may have at most {LARGEST_PROFILE} characters", "/data"))
    return object_(data.get("attributes"), "/data/attributes", faults)


def object_(value: Any, at: str, faults: Faults) -> dict[str, Any]:
    """An object; where nothing is said, an empty one."""
    if faults.is_empty(value):
        return {}
    if not isinstance(value, dict):
        faults.append(Fault("invalid_parameter", "it must be an object", at))
        return {}
    return value


def list_(value: Any, faults: Faults) -> list[Any]:
    """A list; in XML its only element looks like no list at all."""
    if faults.is_empty(value):
        return []
    return value if isinstance(value, list) else [value]


def profiles_of(attributes: Mapping[str, Any], faults: Faults) -> list[Any]:
    """The profiles of a job; older bodies hold the list itself where those of today hold its `data`."""
    profiles = attributes.get("profiles")
    given = profiles.get("data") if isinstance(profiles, Mapping) else profiles
    if faults.is_typed and not isinstance(given, list | None):
        faults.append(Fault("invalid_parameter", "it must be a list", PROFILES))
        return []
    return list_(given, faults)


def related_ids(data: Mapping[str, Any], name: str, type: str, faults: Faults) -> list[str]:
    """The ids of the resources of one type that `data` is related to by this name."""
    relationships = object_(data.get("relationships"), "/data/relationships", faults)
    relationship = object_(relationships.get(name), f"/data/relationships/{name}", faults)
    at, given = f"/data/relationships/{name}/data", relationship.get("data")
    several = isinstance(given, list)
    identifiers = enumerate(list_(given, faults))
    ids = [_id(each, type, f"{at}/{index}" if several else at, faults) for index, each in identifiers]
    return [id for id in ids if id is not None]


def _id(identifier: Any, type: str, at: str, faults: list[Fault]) -> str | None:
    """The id of a resource identifier, a type and an id, if it is one."""
    if not isinstance(identifier, dict):
        faults.append(Fault("invalid_parameter", "it must be an object", at))
        return None
    faults += type_faults(identifier, type, at)
    id = identifier.get("id")
    if isinstance(id, str) and id:
        return id
    detail = "it is missing" if id in (None, "") else "it must be a string"
    faults.append(Fault("invalid_parameter", detail, f"{at}/id"))
    return None

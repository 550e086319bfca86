"""The parts of a resource of JSON:API: type, id, attributes, relationships. What is wrong is said, and not raised.

Pointers are the vendor's own.
"""

import json
from collections.abc import Mapping
from typing import Any

from gateway.core.faults import Fault, refuse

LARGEST_PROFILE = 100_000
"""Characters of JSON that one profile may have (the vendor: 100 KB)."""


def resource(tree: Mapping[str, Any], type: str) -> tuple[dict[str, Any], list[Fault]]:
    """`data`, and what is wrong with it. Raises `Refusal` where there is none."""
    data = tree.get("data")
    if not isinstance(data, dict):
        raise refuse("missing_parameter", "it must be an object", "/data")
    return data, list(type_faults(data, type, "/data"))


def type_faults(data: Mapping[str, Any], type: str, at: str) -> list[Fault]:
    return [] if data.get("type") == type else [Fault("invalid_parameter", f"it must be {type}", f"{at}/type")]


def attributes_of(data: Mapping[str, Any], faults: list[Fault]) -> dict[str, Any]:
    if data.get("attributes") is None:
        faults.append(Fault("missing_parameter", "it is missing", "/data/attributes"))
    if len(json.dumps(data)) > LARGEST_PROFILE and data.get("type") == "profile":
        faults.append(Fault("invalid_parameter", f"a profile may have at most {LARGEST_PROFILE} characters", "/data"))
    return object_(data.get("attributes"), "/data/attributes", faults)


def object_(value: Any, at: str, faults: list[Fault]) -> dict[str, Any]:
    """An object; nothing and an empty element of XML are an empty one."""
    if value in (None, ""):
        return {}
    if not isinstance(value, dict):
        faults.append(Fault("invalid_parameter", "it must be an object", at))
        return {}
    return value


def list_(value: Any) -> list[Any]:
    """A list; in XML its only element looks like no list at all."""
    if value in (None, ""):
        return []
    return value if isinstance(value, list) else [value]


def related_ids(data: Mapping[str, Any], name: str, type: str, faults: list[Fault]) -> list[str]:
    """The ids of the resources of one type that `data` is related to by this name."""
    relationships = object_(data.get("relationships"), "/data/relationships", faults)
    relationship = object_(relationships.get(name), f"/data/relationships/{name}", faults)
    at, given = f"/data/relationships/{name}/data", relationship.get("data")
    several = isinstance(given, list)
    identifiers = enumerate(list_(given))
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

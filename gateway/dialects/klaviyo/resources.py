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


def ids_of(relationship: Any, at: str, faults: list[Fault]) -> list[str]:
    """The ids of the resources that a relationship holds."""
    resources = list_(relationship.get("data")) if isinstance(relationship, Mapping) else []
    given = [each["id"] for each in resources if isinstance(each, Mapping) and each.get("id")]
    ids = [id for id in given if isinstance(id, str)]
    if len(ids) < len(given):
        faults.append(Fault("invalid_parameter", "an id must be a string", at))
    return ids

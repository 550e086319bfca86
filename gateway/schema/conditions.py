"""What is known of an `if` of JSON Schema where some members of the value are known."""

from collections.abc import Mapping
from typing import Any

import jsonschema_rs

from gateway.schema.table import ABSENT, OTHER
from gateway.schema.validation import JSONSchema


def decide(schema: JSONSchema | bool, known: Mapping[str, Any]) -> bool | None:
    """Return whether an object with these members is valid, or None if that depends on others.

    A member may be `ABSENT`, or `OTHER`: a value that no rule of the schema names.
    """
    if isinstance(schema, bool):
        return schema
    if not schema.keys() <= {"properties", "required"}:
        return None
    verdicts = [
        _decide_member(member, known[name]) if name in known else None
        for name, member in schema.get("properties", {}).items()
    ]
    verdicts += [known[name] is not ABSENT if name in known else None for name in schema.get("required", ())]
    return False if False in verdicts else None if None in verdicts else True


def _decide_member(schema: JSONSchema | bool, value: Any) -> bool | None:
    if value is ABSENT:
        return True
    if value is not OTHER:
        return bool(jsonschema_rs.is_valid(schema, value))
    if isinstance(schema, bool):
        return schema
    return False if "enum" in schema or "const" in schema else None


def constants(condition: JSONSchema | bool) -> dict[str, frozenset[Any]]:
    """Return the values that a condition compares members with: strings and integers."""
    members = condition.get("properties", {}) if isinstance(condition, dict) else {}
    named = {name: _constants(member) for name, member in members.items() if isinstance(member, dict)}
    return {name: frozenset(values) for name, values in named.items() if values and all(map(_is_key, values))}


def _constants(schema: JSONSchema) -> list[Any]:
    return [schema["const"]] if "const" in schema else list(schema.get("enum", ()))


def _is_key(value: Any) -> bool:
    return type(value) in (str, int)

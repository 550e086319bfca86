"""What a string, number, boolean or null needs to be valid in a place: nothing, or a check that is written in C."""

import json
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import jsonschema_rs

from gateway.core.numbers import INTEGERS
from gateway.core.result_cache import ResultCache
from gateway.schema.formats import TEXT_FORMATS
from gateway.schema.places import Places, ResolvedPlaces, type_names
from gateway.schema.table import REJECT, Action, Check
from gateway.schema.validation import ENGINE, JSONSchema, prepare_schema

_NAMES: Mapping[type, tuple[str, ...]] = {
    str: ("string",),
    int: ("integer", "number"),
    float: ("number",),
    bool: ("boolean",),
    type(None): ("null",),
}
_KEYWORDS: Mapping[type, tuple[str, ...]] = {
    str: ("enum", "const", "format", "pattern", "minLength", "maxLength"),
    int: ("enum", "const", "minimum", "maximum"),
    float: ("enum", "const", "minimum", "maximum"),
    bool: ("enum", "const"),
    type(None): ("enum", "const"),
}
_VALUES: Mapping[type, tuple[Any, ...]] = {bool: (True, False), type(None): (None,)}
"""The values of the types that have few."""


def scalar_actions(resolved: ResolvedPlaces, places: Places) -> dict[type, Action]:
    """Return the action for each scalar type that may be valid in flattened places."""
    actions = {kind: _action(kind, resolved, places) for kind in _NAMES}
    return {kind: action for kind, action in actions.items() if action is not REJECT}


def _action(kind: type, resolved: ResolvedPlaces, places: Places) -> Action:
    expressed, delegated = (
        [place for place in group if not (place.is_member and kind is type(None))]
        for group in (resolved.expressed, [*resolved.delegated, *resolved.conditional])
    )
    fragments = [_fragment(place.schema, kind) for place in expressed]
    if None in fragments:
        return REJECT
    checks = [_check(kind, json.dumps([each for each in fragments if each], sort_keys=True))]
    if delegated:
        checks.append(places.check(delegated))
    if kind in _VALUES:
        verdicts = {all(check is None or check(value) for check in checks) for value in _VALUES[kind]}
        return None if verdicts == {True} else REJECT if verdicts == {False} else _all(checks)
    return _all(checks)


def _all(checks: Sequence[Check | None]) -> Check | None:
    needed = [check for check in checks if check is not None]
    return needed[0] if len(needed) == 1 else (lambda value: all(check(value) for check in needed)) if needed else None


def _fragment(schema: JSONSchema | bool, kind: type) -> JSONSchema | None:
    """Return the keywords of a schema that a value of a type needs a check for. None: the type is not valid."""
    if isinstance(schema, bool):
        return {} if schema else None
    types, kept = type_names(schema), {name: schema[name] for name in _KEYWORDS[kind] if name in schema}
    if types is None or not types.isdisjoint(_NAMES[kind]):
        is_integer = kind is int and types is not None and "number" not in types
        return {"type": "integer", **kept} if is_integer else kept
    return {"type": "integer", **kept} if kind is float and "integer" in types else None


@cache
def _check(kind: type, fragments: str) -> Check | None:
    """Return the check of a scalar by the keywords of several schemas, which are JSON. Equal ones share their cache."""
    schemas: list[JSONSchema] = json.loads(fragments)
    if not schemas:
        return None
    keywords = set().union(*schemas)
    if kind is str and (found := _text_check(schemas, keywords)):
        return found
    if kind is int and (found := _integer_check(schemas, keywords)):
        return found
    check: Check = jsonschema_rs.Draft202012Validator(prepare_schema({"allOf": schemas}), **ENGINE).is_valid
    calls_python = any(schema.get("format") in TEXT_FORMATS for schema in schemas)
    return ResultCache(check).__getitem__ if calls_python else check


def _text_check(schemas: Sequence[JSONSchema], keywords: set[str]) -> Check | None:
    formats = {schema.get("format", "") for schema in schemas}
    if keywords == {"format"} and len(formats) == 1:
        return TEXT_FORMATS.get(formats.pop())
    if keywords == {"minLength"} and all(schema["minLength"] == 1 for schema in schemas):
        return len
    return _member_check(schemas, str) if keywords <= {"enum", "const"} else None


def _integer_check(schemas: Sequence[JSONSchema], keywords: set[str]) -> Check | None:
    bounds = [schema[name] for name in ("minimum", "maximum") for schema in schemas if name in schema]
    if keywords <= {"type", "minimum", "maximum"} and all(type(bound) is int for bound in bounds):
        low = max([INTEGERS[0], *(schema["minimum"] for schema in schemas if "minimum" in schema)])
        high = min([INTEGERS[-1], *(schema["maximum"] for schema in schemas if "maximum" in schema)])
        return range(low, high + 1).__contains__
    return _member_check(schemas, int) if keywords <= {"type", "enum", "const"} else None


def _member_check(schemas: Sequence[JSONSchema], kind: type) -> Check | None:
    """Return the check of a string or integer that must be one of several values."""
    lists = [schema.get("enum", [schema.get("const")]) for schema in schemas if schema.keys() != {"type"}]
    has_both = any(schema.keys() >= {"enum", "const"} for schema in schemas)
    if has_both or (kind is int and any(type(each) is float for values in lists for each in values)):
        return None
    members = (frozenset(each for each in values if type(each) is kind) for values in lists)
    return frozenset.intersection(*members).__contains__

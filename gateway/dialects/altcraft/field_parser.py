"""The merge patch and the operations of fields, whose values may be functions such as `{"action": "incr"}`."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeAlias

from gateway.core.excerpt import excerpt
from gateway.core.faults import Fault
from gateway.core.pointer import join_pointer
from gateway.dialects.altcraft.parameters import strip_text

ACTIONS = ("set", "unset", "incr", "add", "delete", "upsert")
_FUNCTION_MEMBERS = {"action", "value", "submatch"}
MAX_SUBMATCH_LEVELS = 32
"""Levels of a submatch. The stored result has as many, and a codec cannot encode some hundreds of levels."""


Parser: TypeAlias = Callable[[str, Any, list[Fault], bool], Any]
"""Returns the canonical value of a member that is no field, None for none: its name and value, the faults, is_typed."""


class FieldTable(NamedTuple):
    """The places of the members of an object. Those that have neither a path nor a parser are own fields."""

    paths: Mapping[str, tuple[str, ...]]
    own: str
    """The object of the own fields."""
    parsers: Mapping[str, Parser] = {}
    needs_action: bool = False
    """Whether an object that looks like a function must be one."""
    coercions: Mapping[str, tuple[type, Callable[[Any], Any]]] = {}
    """By name: a type that clients send besides the canonical one, and its coercion."""


ParsedFields: TypeAlias = tuple[dict[str, Any], list[dict[str, Any]], dict[str, Any]]
"""A merge patch, operations, and the members that are no fields."""


def parse_fields(
    fields: Mapping[str, Any], table: FieldTable, pointer: str, faults: list[Fault], is_typed: bool
) -> ParsedFields:
    """Parse the members of an object. `pointer` is the place of their paths, for the faults.

    XML does not distinguish an object from a list with one object. So if there is any, the edits are deferred: each
    value to set is an operation. The schema moves what is no object into the merge patch, and keeps the order.
    """
    patch: dict[str, Any] = {}
    operations: list[dict[str, Any]] = []
    others: dict[str, Any] = {}
    paths, own, parsers, needs_action, coercions = table
    objects = {name for name, value in fields.items() if isinstance(value, dict)} if not is_typed else frozenset()
    is_deferred = not objects <= parsers.keys()
    for name, value in fields.items():
        if name in parsers:
            if (value := parsers[name](name, value, faults, is_typed)) is not None:
                others[name] = value
            continue
        path, action, options = paths.get(name) or (own, name), "set", _NO_OPTIONS
        if isinstance(value, dict):
            try:
                action, value, options = _parse_function(value, needs_action)
            except ValueError as reason:
                faults.append(Fault("invalid_function", str(reason), pointer + join_pointer(*path)))
                continue
        if action == "set" and not isinstance(value, dict):
            if name in coercions and isinstance(value, coercions[name][0]):
                value = coercions[name][1](value)
            if not is_deferred:
                group = patch if len(path) == 1 else patch.setdefault(path[0], {})
                group[path[-1]] = value
                continue
        operations.append({"function": action, "pointer": join_pointer(*path), "value": value, **options})
    return patch, operations, others


_NO_OPTIONS: Mapping[str, Any] = {}


def _parse_function(value: dict[str, Any], needs_action: bool) -> tuple[str, Any, Mapping[str, Any]]:
    """Return the action, value and options of an object. Without an action the object is a value to set.

    `unset` sets null. Raises `ValueError` with the reason.
    """
    action = strip_text(value.get("action"))
    if action not in ACTIONS:
        return "set", value, _unknown_action_options(value, needs_action)
    if action == "unset":
        return "set", None, {}
    if "value" not in value:
        raise ValueError(f"{action} needs a value")
    if action == "upsert":
        return action, value["value"], {"submatch": _parse_submatch(value.get("submatch"))}
    is_single = action in ("add", "delete") and not isinstance(value["value"], list)
    return action, [value["value"]] if is_single else value["value"], {}


def _unknown_action_options(value: Mapping[str, Any], needs_action: bool) -> dict[str, str]:
    """Return the options of an object to set. One that looks like a function replaces nothing but an object.

    Raises `ValueError` if it needs an action.
    """
    if "action" not in value or not value.keys() <= _FUNCTION_MEMBERS:
        return {}
    reason = f"{excerpt(value['action'])} is not an action: it must be one of {', '.join(ACTIONS)}"
    if needs_action:
        raise ValueError(reason)
    return {"object_only": reason}


def _parse_submatch(value: Any) -> str:
    submatch = strip_text(value)
    if not isinstance(submatch, str) or not all(submatch.split(".")):
        raise ValueError("upsert needs a submatch")
    if submatch.count(".") >= MAX_SUBMATCH_LEVELS:
        raise ValueError(f"submatch leads deeper than {MAX_SUBMATCH_LEVELS} levels")
    return submatch

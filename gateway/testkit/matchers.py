"""Matchers: expected values that are not known exactly. Pure.

    {"$any": true}                      any value
    {"$pattern": "^[0-9a-f]{24}$"}      a text in which the regular expression matches
    {"$type": "integer"}                a value of a type of JSON Schema
    {"$value": {"$type": "Point"}}      this object itself, which looks like a matcher and is none

An object with one of these as its only member is a matcher. In XML it is an element such as `_x0024_any`. Members of an
object in `$value` may be matchers again.
"""

import re
from collections.abc import Callable, Iterator
from typing import Any

from gateway.core.excerpt import excerpt
from gateway.core.model import Tree
from gateway.core.pointer import join_pointer
from gateway.schema.coercion import text_parser

VALUE = "$value"


def is_matcher(value: Tree) -> bool:
    """Return whether an expected value is a matcher. An escaped object is none."""
    return isinstance(value, dict) and len(value) == 1 and value.keys() <= _MATCH.keys()


def is_escaped(value: Tree) -> bool:
    """Return whether an expected value is an escaped object."""
    return isinstance(value, dict) and value.keys() == {VALUE}


def escape(value: Tree) -> Tree:
    """Return the expected value that accepts exactly this one: objects that look like matchers are escaped."""
    if isinstance(value, list):
        return [escape(item) for item in value]
    if not isinstance(value, dict):
        return value
    members = {name: escape(member) for name, member in value.items()}
    return {VALUE: members} if is_matcher(value) or is_escaped(value) else members


def matches(matcher: Tree, value: Tree, is_typed: bool) -> bool:
    """Return whether a value matches. A value that is not typed is text: the type of the matcher parses it."""
    [(name, argument)] = matcher.items()
    return _MATCH[name](argument, value, is_typed)


def describe(matcher: Tree) -> str:
    """Return what a matcher expects, in words."""
    [(name, argument)] = matcher.items()
    if name == "$any":
        return "any value"
    return f"a text that matches {argument}" if name == "$pattern" else f"a value of type {argument}"


def matcher_faults(expected: Tree, pointer: str = "") -> Iterator[tuple[str, str]]:
    """Yield (pointer, reason) for every invalid matcher in an expected value."""
    if is_matcher(expected):
        [(name, argument)] = expected.items()
        if reason := _FAULTS[name](argument):
            yield pointer + join_pointer(name), reason
        return
    if is_escaped(expected):
        expected, pointer = expected[VALUE], pointer + join_pointer(VALUE)
        if not isinstance(expected, dict):
            yield pointer, f"{excerpt(expected)} is not an object"
    if isinstance(expected, dict | list):
        for name, member in expected.items() if isinstance(expected, dict) else enumerate(expected):
            yield from matcher_faults(member, pointer + join_pointer(name))


def _matches_pattern(pattern: str, value: Tree, _is_typed: bool) -> bool:
    return isinstance(value, str) and re.search(pattern, value) is not None


def _has_type(name: str, value: Tree, is_typed: bool) -> bool:
    if not is_typed and isinstance(value, str):
        value = _PARSE[name](value)
    return _IS[name](value)


def _is_number(value: Tree) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_integer(value: Tree) -> bool:
    return _is_number(value) and value % 1 == 0


_IS: dict[str, Callable[[Tree], bool]] = {
    "string": lambda value: isinstance(value, str),
    "integer": _is_integer,
    "number": _is_number,
    "boolean": lambda value: isinstance(value, bool),
    "null": lambda value: value is None,
    "array": lambda value: isinstance(value, list),
    "object": lambda value: isinstance(value, dict),
}

# Text has no types: a single element is a list where an array is expected, and an empty element is null.
_PARSE: dict[str, Callable[[str], Tree]] = {
    **{name: text_parser((name,)) for name in ("integer", "number", "boolean")},
    "string": lambda text: text,
    "null": lambda text: text or None,
    "array": lambda text: [text] if text else [],
    "object": lambda text: text or {},
}

_MATCH: dict[str, Callable[[Any, Tree, bool], bool]] = {
    "$any": lambda _, __, ___: True,
    "$pattern": _matches_pattern,
    "$type": _has_type,
}


def _fault_of_any(argument: Tree) -> str:
    return "" if argument is True or argument == "true" else f"{excerpt(argument)} is not true"


def _fault_of_pattern(argument: Tree) -> str:
    if not isinstance(argument, str):
        return f"{excerpt(argument)} is not a text"
    try:
        re.compile(argument)
    except re.error as reason:
        return f"{excerpt(argument)} is not a regular expression: {reason}"
    return ""


def _fault_of_type(argument: Tree) -> str:
    known = isinstance(argument, str) and argument in _IS
    return "" if known else f"{excerpt(argument)} is not one of {', '.join(_IS)}"


_FAULTS: dict[str, Callable[[Tree], str]] = {
    "$any": _fault_of_any,
    "$pattern": _fault_of_pattern,
    "$type": _fault_of_type,
}

"""Masks: expected values that are not known to the letter. Pure.

    {"$any": true}                      whatever is there
    {"$pattern": "^[0-9a-f]{24}$"}      a text in which the regular expression is found
    {"$type": "integer"}                a value of a type that JSON Schema names

An object with one of these as its only member is a mask; in XML it is that object's elements, `_x0024_any` and so on.
"""

import re
from collections.abc import Callable, Iterator
from typing import Any

from gateway.core.excerpt import excerpt
from gateway.core.model import Tree
from gateway.core.pointer import join_pointer
from gateway.schema.coercion import leaf_coercer


def is_mask(value: Tree) -> bool:
    """Whether an expected value is a mask."""
    return isinstance(value, dict) and len(value) == 1 and value.keys() <= _ADMITS.keys()


def admits(mask: Tree, value: Tree, typed: bool) -> bool:
    """Whether a mask lets a value through; one that is not `typed` is text, read by the type that the mask names."""
    [(name, argument)] = mask.items()
    return _ADMITS[name](argument, value, typed)


def described(mask: Tree) -> str:
    """What a mask asks for, in words."""
    [(name, argument)] = mask.items()
    return {"$any": "any value", "$pattern": f"a text that matches {argument}", "$type": f"a value of type {argument}"}[
        name
    ]


def faults(expected: Tree, at: str = "") -> Iterator[tuple[str, str]]:
    """(pointer, reason) for every mask in an expected value that could never judge."""
    if is_mask(expected):
        [(name, argument)] = expected.items()
        if reason := _FAULTS[name](argument):
            yield at + join_pointer(name), reason
    elif isinstance(expected, dict | list):
        for name, member in expected.items() if isinstance(expected, dict) else enumerate(expected):
            yield from faults(member, at + join_pointer(name))


def _is_found(pattern: str, value: Tree, _typed: bool) -> bool:
    return isinstance(value, str) and re.search(pattern, value) is not None


def _is_of_type(name: str, value: Tree, typed: bool) -> bool:
    if not typed and isinstance(value, str):
        value = _READ[name](value)
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

# Text has no types: a run of one element is a list where one is asked for, and an empty element is nothing.
_READ: dict[str, Callable[[str], Tree]] = {
    **{name: leaf_coercer((name,), plain=False) for name in ("integer", "number", "boolean")},
    "string": lambda text: text,
    "null": lambda text: text or None,
    "array": lambda text: [text] if text else [],
    "object": lambda text: text or {},
}

_ADMITS: dict[str, Callable[[Any, Tree, bool], bool]] = {
    "$any": lambda _, __, ___: True,
    "$pattern": _is_found,
    "$type": _is_of_type,
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

"""Update functions: (current value or None, argument) to the new value. Each is a function and a row of `FUNCTIONS`.

A function that does not fit the current value raises `ValueError` with the reason; it never changes what it was given.
"""

import json
from collections.abc import Callable
from math import isfinite
from typing import Any

from gateway.core.numbers import INTEGERS


def set_(_current: Any, value: Any) -> Any:
    """The value, whatever was there."""
    return value


def incr(current: Any, value: int | float) -> int | float:
    """The sum; an absent number counts as 0."""
    if current is not None and not _is_number(current):
        raise ValueError(f"incr needs a number, the field holds {_kind(current)}")
    total: int | float = (current or 0) + value
    if total not in INTEGERS if isinstance(total, int) else not isfinite(total):
        raise ValueError("incr would leave the range of a number")
    return total


def add(current: Any, value: list[Any]) -> list[Any]:
    """The list with those values at its end that it does not hold yet; an absent list counts as empty."""
    return list({_spelling(item): item for item in (*_list(current, "add"), *value)}.values())


def delete(current: Any, value: list[Any]) -> list[Any] | None:
    """The list without those values; nothing stays nothing."""
    if current is None:
        return None
    gone = {_spelling(item) for item in value}
    return [item for item in _list(current, "delete") if _spelling(item) not in gone]


def upsert(current: Any, value: Any, submatch: str) -> Any:
    """The object with one nested property set, dots in `submatch` leading down; an absent object is made.

    In a list of objects every element that has the property changes; there, a value that is an object is
    merged into the element.
    """
    path = submatch.split(".")
    if isinstance(current, list):
        return [_upserted_in_list(element, path, value) for element in current]
    if not isinstance(current, dict | None):
        raise ValueError(f"upsert needs an object or a list of objects, the field holds {_kind(current)}")
    return _with(current or {}, path, value)


def set_first(current: Any, value: list[Any]) -> list[Any]:
    """The list with those values at its head, in place of as many, and nowhere else. An absent list is made."""
    leading = {_spelling(item) for item in value}
    rest = _list(current, "set_first")[len(value) :]
    return [*value, *(item for item in rest if _spelling(item) not in leading)]


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "set": set_,
    "incr": incr,
    "add": add,
    "delete": delete,
    "upsert": upsert,
    "set_first": set_first,
}


def _upserted_in_list(element: Any, path: list[str], value: Any) -> Any:
    if not isinstance(element, dict):
        raise ValueError(f"upsert needs a list of objects, the list holds {_kind(element)}")
    if not _has(element, path):
        return element
    return {**element, **value} if isinstance(value, dict) else _with(element, path, value)


def _has(element: Any, path: list[str]) -> bool:
    for name in path:
        if not isinstance(element, dict) or name not in element:
            return False
        element = element[name]
    return True


def _with(target: Any, path: list[str], value: Any) -> Any:
    if not path:
        return value
    if not isinstance(target, dict):
        raise ValueError(f"upsert leads through {_kind(target)}")
    return {**target, path[0]: _with(target.get(path[0], {} if path[1:] else None), path[1:], value)}


def _list(current: Any, function: str) -> list[Any]:
    if not isinstance(current, list | None):
        raise ValueError(f"{function} needs a list, the field holds {_kind(current)}")
    return current or []


def _spelling(item: Any) -> str:
    # JSON tells 1 from true and from 1.0, where Python's equality does not.
    return json.dumps(item, sort_keys=True)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _kind(value: Any) -> str:
    names = {bool: "a boolean", str: "a string", dict: "an object", list: "a list", type(None): "nothing"}
    return names.get(type(value), "a number")

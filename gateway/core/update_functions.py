"""Update functions: (current value or None, argument) to the new value. Each is a function and a row of `FUNCTIONS`.

A function that does not fit the current value raises `ValueError` with the reason; it never changes what it was given.
"""

from collections.abc import Callable
from math import isfinite
from typing import Any

import orjson

from gateway.core.numbers import INTEGERS


def set_(_current: Any, value: Any) -> Any:
    """Return the value."""
    return value


def incr(current: Any, value: int | float) -> int | float:
    """Return the sum; an absent number counts as 0."""
    if current is not None and not _is_number(current):
        raise ValueError(f"incr needs a number, the field holds {_kind(current)}")
    total: int | float = (current or 0) + value
    if total not in INTEGERS if isinstance(total, int) else not isfinite(total):
        raise ValueError("incr would leave the range of a number")
    return total


def max_(current: Any, value: int | float) -> int | float:
    """Return the greater of both; an absent number is the lesser one."""
    if current is not None and not _is_number(current):
        raise ValueError(f"max needs a number, the field holds {_kind(current)}")
    return value if current is None or value > current else current


def add(current: Any, value: list[Any]) -> list[Any]:
    """Return the list with the values that it lacks at its end; an absent list counts as empty."""
    return list({_json_key(item): item for item in (*_list(current, "add"), *value)}.values())


def delete(current: Any, value: list[Any]) -> list[Any] | None:
    """Return the list without the values; an absent list stays absent."""
    if current is None:
        return None
    removed = {_json_key(item) for item in value}
    return [item for item in _list(current, "delete") if _json_key(item) not in removed]


def upsert(current: Any, value: Any, submatch: str) -> Any:
    """Return the object with one nested property set. Dots in `submatch` lead down; absent objects are created.

    In a list of objects every element that has the property changes; there, a value that is an object is
    merged into the element.
    """
    path = submatch.split(".")
    if isinstance(current, list):
        return [_upserted_in_list(element, path, value) for element in current]
    if not isinstance(current, dict | None):
        raise ValueError(f"upsert needs an object or a list of objects, the field holds {_kind(current)}")
    return _set_path(current or {}, path, value)


def set_first(current: Any, value: list[Any]) -> list[Any]:
    """Return the list that begins with the values. New ones replace as many first items; others move to the front."""
    first, items = {_json_key(item) for item in value}, _list(current, "set_first")
    new = first.difference(map(_json_key, items))
    rest = items[len(new) :] if new else items
    return [*value, *(item for item in rest if _json_key(item) not in first)]


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "set": set_,
    "incr": incr,
    "max": max_,
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
    return {**element, **value} if isinstance(value, dict) else _set_path(element, path, value)


def _has(element: Any, path: list[str]) -> bool:
    for name in path:
        if not isinstance(element, dict) or name not in element:
            return False
        element = element[name]
    return True


def _set_path(target: Any, path: list[str], value: Any) -> Any:
    if not path:
        return value
    if not isinstance(target, dict):
        raise ValueError(f"upsert leads through {_kind(target)}")
    return {**target, path[0]: _set_path(target.get(path[0], {} if path[1:] else None), path[1:], value)}


def _list(current: Any, function: str) -> list[Any]:
    if not isinstance(current, list | None):
        raise ValueError(f"{function} needs a list, the field holds {_kind(current)}")
    return current or []


def _json_key(item: Any) -> bytes:
    # JSON distinguishes 1, true and 1.0. Python's equality does not.
    return orjson.dumps(item, None, orjson.OPT_SORT_KEYS)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _kind(value: Any) -> str:
    names = {bool: "a boolean", str: "a string", dict: "an object", list: "a list", type(None): "nothing"}
    return names.get(type(value), "a number")

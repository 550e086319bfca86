"""Conditions on profiles and parts of them, as a search's `where` has them. Pure.

A condition is one of
    {"all": [condition, …]}   {"any": [condition, …]}   {"none": [condition, …]}
    {"path": [name, …], "test": name, "value": value}
A path leads through objects, and through each element of a list. A list has a value that one of its elements is. An
absent value equals null. Values of different types are not equal, and no comparison of them is true.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from operator import ge, gt, le, lt
from typing import Any, TypeAlias

from gateway.core.model import Profile
from gateway.core.times import parse_time

Condition: TypeAlias = Mapping[str, Any]

OWN = "$profile"
"""The member of `profile_view` that has what the gateway knows of a profile: its `id`, and when it was `created`."""


def profile_view(profile: Profile) -> Mapping[str, Any]:
    """Return what a condition on a profile may name: the members of its document, and its own ones."""
    return {**profile.document, OWN: {"id": profile.id, "created": profile.created}}


def meets(value: Any, condition: Condition) -> bool:
    """Return whether a value meets a condition."""
    if "all" in condition:
        return all(meets(value, each) for each in condition["all"])
    if "any" in condition:
        return any(meets(value, each) for each in condition["any"])
    if "none" in condition:
        return not any(meets(value, each) for each in condition["none"])
    found = list(_values(value, condition["path"]))
    return _TESTS[condition["test"]](found, condition["value"])


def _values(value: Any, path: Sequence[str]) -> Iterator[Any]:
    """Yield the values at a path. A list on the way leads on in each of its objects."""
    if not path:
        yield value
    elif isinstance(value, Mapping):
        if path[0] in value:
            yield from _values(value[path[0]], path[1:])
    elif isinstance(value, list):
        for each in value:
            yield from _values(each, path) if isinstance(each, Mapping) else ()


def _elements(found: Sequence[Any]) -> Iterator[Any]:
    """Yield values, and the elements of those that are lists."""
    for value in found:
        yield value
        if isinstance(value, list):
            yield from value


# --- tests ---


def _equals(found: Sequence[Any], wanted: Any) -> bool:
    if wanted is None:
        return not found or None in found
    return any(_key(value) == _key(wanted) for value in _elements(found))


def _has_all(found: Sequence[Any], wanted: Sequence[Any]) -> bool:
    return bool(wanted) and all(_equals(found, each) for each in wanted)


def _compares(operator: Callable[[Any, Any], bool]) -> Callable[[Sequence[Any], Any], bool]:
    def test(found: Sequence[Any], wanted: Any) -> bool:
        (kind, limit) = _key(wanted)
        keys = (_key(value) for value in _elements(found))
        return kind in _ORDERED and any(each == kind and operator(value, limit) for each, value in keys)

    return test


def _has_element(found: Sequence[Any], condition: Condition) -> bool:
    return any(meets(each, condition) for value in found if isinstance(value, list) for each in value)


def _has_size(found: Sequence[Any], size: int) -> bool:
    return any(isinstance(value, list) and len(value) == size for value in found)


def _exists(found: Sequence[Any], is_wanted: bool) -> bool:
    return bool(found) == is_wanted


_TESTS: Mapping[str, Callable[[Sequence[Any], Any], bool]] = {
    "equals": _equals,
    "is_one_of": lambda found, wanted: any(_equals(found, each) for each in wanted),
    "has_all": _has_all,
    "greater": _compares(gt),
    "greater_or_equal": _compares(ge),
    "less": _compares(lt),
    "less_or_equal": _compares(le),
    "exists": _exists,
    "has_size": _has_size,
    "has_element": _has_element,
}

_ORDERED = ("number", "moment", "text")


def _key(value: Any) -> tuple[str, Any]:
    """Return the type of a value, and what it is compared by. A text in ISO 8601 is a moment."""
    if isinstance(value, bool):
        return "boolean", value
    if isinstance(value, int | float):
        return "number", value
    if not isinstance(value, str):
        return "other", value
    try:
        return ("moment", parse_time(value)) if value[:4].isdigit() and value[4:5] == "-" else ("text", value)
    except (ValueError, OverflowError):
        return "text", value

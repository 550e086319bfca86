"""What differs between two JSON values, and what an edit changed of a document."""

from collections.abc import Mapping
from typing import Any, TypeAlias

import orjson
from msgspec import UNSET

from gateway.core.model import Document, MemberChange
from gateway.core.pointer import join_pointer

Touched: TypeAlias = Mapping[str, Any]
"""The members that an edit may have changed, by name: each with a further mapping of its own members, or with any other
value for all of it. The merge patch of an update is one."""


def member_changes(
    before: Document, after: Document, touched: Touched | None = None, at: str = ""
) -> list[MemberChange]:
    """Return the members that differ; objects are compared by member, lists as a whole.

    Only touched members are compared; without `touched`, all.
    """
    changes: list[MemberChange] = []
    for name in {**before, **after} if touched is None else touched:
        old, new = before.get(name, UNSET), after.get(name, UNSET)
        if old is new or (type(new) is str and new == old):
            continue
        pointer = f"{at}/{name}" if "/" not in name and "~" not in name else at + join_pointer(name)
        if type(old) is dict and type(new) is dict:
            below = touched and touched[name]
            changes += member_changes(old, new, below if type(below) is dict else None, pointer)
        elif type(new) is str or not json_equal(old, new):
            changes.append(MemberChange(pointer, old, new))
    return changes


def difference(before: Any, after: Any, at: str = "") -> list[dict[str, Any]]:
    """Return the JSON Patch (RFC 6902) from one document to another: what an object loses, then the rest in its order.

    Objects are compared by member, lists as a whole. The libraries search for the shortest patch, which takes a hundred
    times as long.
    """
    removed = sorted(name for name in before if name not in after)
    patch: list[dict[str, Any]] = [{"op": "remove", "path": at + join_pointer(name)} for name in removed]
    for name, value in after.items():
        current = before.get(name, UNSET)
        if current is UNSET:
            patch.append({"op": "add", "path": at + join_pointer(name), "value": value})
        elif isinstance(value, dict) and isinstance(current, dict):
            patch += difference(current, value, at + join_pointer(name))
        elif not json_equal(current, value):
            patch.append({"op": "replace", "path": at + join_pointer(name), "value": value})
    return patch


def json_equal(one: Any, other: Any) -> bool:
    """Compare as JSON does: 1, 1.0 and true are equal in Python, and different in JSON."""
    if one is other:
        return True
    if one != other:
        return False
    kind = type(one)
    if kind is dict or kind is list:
        # What differs in JSON alone differs as text. Both steps run in C.
        return orjson.dumps(one, None, orjson.OPT_SORT_KEYS) == orjson.dumps(other, None, orjson.OPT_SORT_KEYS)
    return kind is type(other) and (kind is not float or repr(one) == repr(other))

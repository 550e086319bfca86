"""JSON Patch (RFC 6902). Only this file uses the library that applies it.

Two libraries implement the whole RFC: jsonpatch 1.47 and python-jsonpath 2.2. Both pass 111 of the 112 rows of
json-patch-tests that have a patch; the last row repeats a member, which the JSON codec rejects. Of our 39 further rows,
jsonpatch passes 39 and python-jsonpath 26: its `test` accepts 1 for true, it accepts `+1`, `1_0` and digits of other
scripts as indices, it resolves `~2` and `#a`, it strips white space, and it has further operations (`addne`, `addap`).
jsonpatch compares numbers by value, and true is not 1. Its messages may contain a document, so no reply contains them.
"""

import json
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import jsonpatch

from gateway.core.faults import Refusal, refuse
from gateway.core.pointer import join_pointer

MAX_POINTER_CHARS = 60
"""The characters of a pointer that a message contains."""


@dataclass(frozen=True, slots=True)
class PatchBounds:
    """Limits of a patch: levels of objects and lists in its result, and elements that all its copies add."""

    depth: int
    nodes: int


def apply_patch(value: Any, patch: Sequence[Mapping[str, Any]], bounds: PatchBounds) -> Any:
    """Return a value after a patch of well-formed operations. The argument itself does not change.

    Raises `Refusal`: invalid_patch, too_deep, too_many_nodes.
    """
    value = deepcopy(value)
    copied = 0
    for index, operation in enumerate(patch):
        if operation["op"] == "copy":
            # Only copies can make a value exceed the bounds of the body: each may double it.
            copied += _count_nodes(jsonpatch.JsonPointer(operation["from"]).resolve(value, None), bounds.depth)
        if copied > bounds.nodes:
            raise refuse("too_many_nodes", f"its copies add more than {bounds.nodes} elements", "/patch")
        value = _apply_operation(value, operation, join_pointer("patch", index))
    _count_nodes(value, bounds.depth)
    return value


def _apply_operation(value: Any, operation: Mapping[str, Any], pointer: str) -> Any:
    try:
        return jsonpatch.JsonPatch([operation]).apply(value, in_place=True)
    except jsonpatch.JsonPatchTestFailed:
        raise _refusal(operation, "the value there is another", pointer) from None
    except (jsonpatch.JsonPatchPathNotFound, jsonpatch.JsonPointerException):
        raise _refusal(operation, "there is no such place", pointer) from None
    except jsonpatch.JsonPatchException:
        raise _refusal(operation, "it cannot be done there", pointer) from None


def _refusal(operation: Mapping[str, Any], reason: str, pointer: str) -> Refusal:
    members = ("from", "path") if operation["op"] in ("move", "copy") else ("path",)
    paths = " to ".join(json.dumps(operation[name][:MAX_POINTER_CHARS], ensure_ascii=False) for name in members)
    return refuse("invalid_patch", f"{operation['op']} {paths}: {reason}", pointer)


def _count_nodes(value: Any, levels: int) -> int:
    """Return the number of elements of a value. Raises `Refusal`: too_deep."""
    if not isinstance(value, dict | list):
        return 1
    if levels == 0:
        raise refuse("too_deep", "it nests the profile too deeply", "/patch")
    members = value.values() if isinstance(value, dict) else value
    return 1 + sum(_count_nodes(member, levels - 1) for member in members)

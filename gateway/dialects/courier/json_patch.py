"""JSON Patch (RFC 6902): the only file that knows the library which applies it. It knows no field of a profile.

Of the two libraries that know the whole RFC, jsonpatch 1.47 and python-jsonpath 2.2, both pass 111 of the 112 rows of
json-patch-tests that have a patch (the last repeats a member, which our JSON codec refuses). Of 39 further ones of ours
jsonpatch passes 39 and python-jsonpath 26: its `test` takes 1 for true, it indexes lists with `+1`, `1_0` and other
scripts' digits, reads `~2` and `#a` as names, strips white space, and knows operations of its own (`addne`, `addap`).
jsonpatch's `test` is the RFC's: numbers by value, and true never 1. Its messages may hold a document, so none is told.
"""

import json
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import jsonpatch

from gateway.core.faults import Refusal, refuse
from gateway.core.pointer import join_pointer

LONGEST = 60
"""Of a pointer that is told, as many characters."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a patch may make of a value: levels of objects and lists, and elements that its copies add, in all."""

    depth: int
    nodes: int


def apply_patch(value: Any, patch: Sequence[Mapping[str, Any]], bounds: Bounds) -> Any:
    """A value after a patch of well-formed operations; the value itself is not changed.

    Raises `Refusal`: invalid_patch, too_deep, too_many_nodes.
    """
    value = deepcopy(value)
    copied = 0
    for index, operation in enumerate(patch):
        if operation["op"] == "copy":
            # Copies alone can grow a value beyond what the request's own bounds let in: each may double it.
            copied += _elements(jsonpatch.JsonPointer(operation["from"]).resolve(value, None), bounds.depth)
        if copied > bounds.nodes:
            raise refuse("too_many_nodes", f"its copies add more than {bounds.nodes} elements", "/patch")
        value = _after(value, operation, join_pointer("patch", index))
    _elements(value, bounds.depth)
    return value


def _after(value: Any, operation: Mapping[str, Any], at: str) -> Any:
    try:
        return jsonpatch.JsonPatch([operation]).apply(value, in_place=True)
    except jsonpatch.JsonPatchTestFailed:
        raise _failed(operation, "the value there is another", at) from None
    except (jsonpatch.JsonPatchPathNotFound, jsonpatch.JsonPointerException):
        raise _failed(operation, "there is no such place", at) from None
    except jsonpatch.JsonPatchException:
        raise _failed(operation, "it cannot be done there", at) from None


def _failed(operation: Mapping[str, Any], reason: str, at: str) -> Refusal:
    pointers = ("from", "path") if operation["op"] in ("move", "copy") else ("path",)
    places = " to ".join(json.dumps(operation[name][:LONGEST], ensure_ascii=False) for name in pointers)
    return refuse("invalid_patch", f"{operation['op']} {places}: {reason}", at)


def _elements(value: Any, levels: int) -> int:
    """The number of elements of a value. Raises `Refusal`: too_deep."""
    if not isinstance(value, dict | list):
        return 1
    if levels == 0:
        raise refuse("too_deep", "it nests the profile too deeply", "/patch")
    members = value.values() if isinstance(value, dict) else value
    return 1 + sum(_elements(member, levels - 1) for member in members)

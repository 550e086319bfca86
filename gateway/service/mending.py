"""Mending: a refused request with other values at places of its body, in the media type in which it came."""

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from gateway import media
from gateway.core.faults import Refusal
from gateway.core.model import Tree
from gateway.core.pointer import split_pointer
from gateway.core.refused_requests import RefusedRequest
from gateway.dialects.protocol import Call
from gateway.media import Bounds
from gateway.service.refused_content import decode_body, encode_body

END_OF_LIST = "-"
"""The name of the place after the last element of a list (RFC 6901, 4)."""


class InvalidMend(ValueError):
    """A change that cannot be made: the place, and the reason."""


class BodyChange(Struct, frozen=True):
    """A change of the value at a pointer (RFC 6901). `text` is JSON, or else itself the value; None removes it."""

    pointer: str
    text: str | None


def mend(request: RefusedRequest, changes: Sequence[BodyChange], call: Call, bounds: Bounds) -> RefusedRequest:
    """Return the request with a changed body. Raises `InvalidMend`."""
    if not changes:
        return request
    tree = decode_body(request.body, request.headers, call, bounds)
    if tree is None:
        raise InvalidMend("the body cannot be decoded: replace the whole body")
    for change in changes:
        tree = _changed(tree, change, is_typed=_is_typed(request.headers))
    try:
        headers, body = encode_body(tree, request.headers, call)
    except ValueError as error:
        raise InvalidMend(str(error)) from error
    return replace(request, headers=headers, body=body)


def _changed(tree: Tree, change: BodyChange, *, is_typed: bool) -> Tree:
    """Change the tree. Return it, or what replaces it."""
    if change.pointer and not change.pointer.startswith("/"):
        raise InvalidMend(f"{change.pointer}: a pointer begins with a slash")
    names = split_pointer(change.pointer)
    if not names:
        return _value(change.text or "", is_typed)
    parent = tree
    for name in names[:-1]:
        parent = _child(parent, name, change.pointer)
    if change.text is None:
        _remove(parent, names[-1], change.pointer)
    else:
        _put(parent, names[-1], _value(change.text, is_typed), change.pointer)
    return tree


def _child(parent: Tree, name: str, pointer: str) -> Tree:
    if isinstance(parent, dict) and name in parent:
        return parent[name]
    if isinstance(parent, list):
        return parent[_index(parent, name, pointer)]
    raise InvalidMend(f"{pointer}: the body has no {name}")


def _put(parent: Tree, name: str, value: Any, pointer: str) -> None:
    if isinstance(parent, dict):
        parent[name] = value
    elif isinstance(parent, list) and name == END_OF_LIST:
        parent.append(value)
    elif isinstance(parent, list):
        parent[_index(parent, name, pointer)] = value
    else:
        raise InvalidMend(f"{pointer}: what contains it is neither an object nor a list")


def _remove(parent: Tree, name: str, pointer: str) -> None:
    _child(parent, name, pointer)
    if isinstance(parent, dict):
        del parent[name]
    else:
        del parent[_index(parent, name, pointer)]


def _index(parent: Sequence[Any], name: str, pointer: str) -> int:
    if name.isascii() and name.isdecimal() and int(name) < len(parent):
        return int(name)
    raise InvalidMend(f"{pointer}: the list has {len(parent)} elements")


def _value(text: str, is_typed: bool) -> Any:
    """Return the value of a text. In XML and in forms, where leaves are texts, a number stays as it is written."""
    try:
        value = json.loads(text)
    except ValueError:
        return text
    return value if is_typed or isinstance(value, dict | list | str) or value is None else text


def _is_typed(headers: Mapping[str, str]) -> bool:
    """Return whether the leaves of a body have types. Those of a form have none."""
    with suppress(Refusal):
        return media.codec_for(headers.get("content-type"))[0].is_typed
    return False

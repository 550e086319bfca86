"""Pointers for the access log: without the names that clients choose, which may be personal data.

Names that a published schema or the database declares stay. Every other one becomes `*`.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import Any

from gateway.core.model import Database
from gateway.core.pointer import join_pointer, split_pointer
from gateway.schema.files import FOLDER

MASK = "*"

MAX_INDEX_DIGITS = 6
"""Digits of an index of a list."""

UPDATES = "updates"
"""The name of the list of all updates of a request, whose place is the root where they are not named."""

OUTSIDE_BODY = frozenset({"parameter", "Idempotency-Key", "nested", UPDATES})
"""Names in pointers to what is outside a body, and to the profile that another resource contains."""

VALUES = ("const", "default", "enum", "example", "examples")
"""Keywords whose values are no schemas."""


class PointerMask:
    """Masks the pointers of requests to one database, or of requests without a token."""

    def __init__(self, database: Database | None = None) -> None:
        self._names, self._lists = _published_names()
        if database:
            own = [database.fields, *(resource.fields for resource in database.resources.values())]
            names, lists = _collect(own)
            self._names, self._lists = self._names | names, self._lists | lists

    def mask(self, pointer: str) -> str:
        """Return the pointer with `*` for each name that is not declared."""
        masked, parent = [], UPDATES
        for name in split_pointer(pointer):
            is_index = parent in self._lists and _is_index(name)
            masked.append(name if is_index or name in self._names else MASK)
            parent = name
        return join_pointer(*masked)


def _is_index(name: str) -> bool:
    return len(name) <= MAX_INDEX_DIGITS and name.isascii() and name.isdecimal()


@cache
def _published_names() -> tuple[frozenset[str], frozenset[str]]:
    """Return the names that the files of `schemas/` declare, and those of them whose value may be a list."""
    files = (file for file in FOLDER.iterdir() if file.name.endswith((".schema.json", ".openapi.json")))
    names, lists = _collect(json.loads(file.read_text()) for file in files)
    return names | OUTSIDE_BODY, lists | {UPDATES}


def _collect(schemas: Iterable[Mapping[str, Any]]) -> tuple[frozenset[str], frozenset[str]]:
    found = [row for schema in schemas for row in _declarations(schema, schema)]
    return frozenset(name for name, _ in found), frozenset(name for name, is_list in found if is_list)


def _declarations(node: Any, root: Mapping[str, Any]) -> Iterator[tuple[str, bool]]:
    """Yield each name that a part of a schema declares, and whether its value may be a list."""
    if isinstance(node, Mapping):
        if isinstance(members := node.get("properties"), Mapping):
            yield from ((name, _may_be_list(schema, root)) for name, schema in members.items())
        if isinstance(name := node.get("name"), str) and "in" in node:  # a parameter of OpenAPI
            yield name, False
        node = [value for key, value in node.items() if key not in VALUES]
    if isinstance(node, list):
        for part in node:
            yield from _declarations(part, root)


def _may_be_list(schema: Any, root: Mapping[str, Any]) -> bool:
    if not isinstance(schema, Mapping):
        return False
    if isinstance(reference := schema.get("$ref"), str) and reference.startswith("#/"):
        schema = _resolve(reference, root)
    types = schema.get("type", ())
    choices = (*schema.get("anyOf", ()), *schema.get("oneOf", ()), *schema.get("allOf", ()))
    return "array" in (types if isinstance(types, list) else [types]) or any(
        _may_be_list(each, root) for each in choices
    )


def _resolve(reference: str, root: Mapping[str, Any]) -> Mapping[str, Any]:
    node: Any = root
    for name in split_pointer(reference.removeprefix("#")):
        node = node.get(name, {})
    return node if isinstance(node, Mapping) else {}

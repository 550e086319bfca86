"""Validates the own fields of a database or resource: a JSON Schema."""

import functools
from collections.abc import Collection, Iterator, Mapping
from difflib import get_close_matches
from typing import Any, NoReturn
from urllib.parse import unquote

import jsonschema_rs
from jsonschema import Draft202012Validator

from gateway.core.pointer import split_pointer

IDENTIFIER, SEARCHABLE = "x-identifier", "x-searchable"
"""The annotations: of a field that identifies a profile, and of a list of tags that `matching: custom` may search."""


def parse_fields(fields: Any, reserved_names: Collection[str]) -> dict[str, Any]:
    """Return the fields that a JSON Schema declares, without references.

    Raises `ValueError` with each problem on a line.
    """
    if problems := list(declaration_problems(fields)) or list(naming_problems(fields["properties"], reserved_names)):
        raise ValueError("\n".join(problems))
    return {key: inline_references(part, fields) for key, part in fields.items() if key != "$defs"}


def declaration_problems(schema: Any) -> Iterator[str]:
    """Yield the reasons why a JSON Schema cannot declare fields, each with its place."""
    if not isinstance(schema, dict) or schema.get("type", "object") != "object" or "properties" not in schema:
        yield '$: expected a JSON Schema of an object, with "properties"'
        return
    if problems := [*_metaschema_problems(schema)]:
        yield from problems
        return
    yield from _compilation_problems(schema)
    yield from _identifier_problems(schema["properties"])


def naming_problems(fields: Mapping[str, Any], reserved_names: Collection[str]) -> Iterator[str]:
    """Yield what is wrong with the names in new declarations: reserved names of fields, and unknown annotations.

    An unknown annotation would have no effect, so it is a typing error.
    """
    for name, field in fields.items():
        if name in reserved_names:
            yield f"$.properties.{name}: the API has a field of this name"
        for keyword in field if isinstance(field, dict) else ():
            if keyword not in (IDENTIFIER, SEARCHABLE) and _is_annotation(keyword):
                yield f'$.properties.{name}: "{keyword}" is no annotation, expected "{_closest(keyword)}"'


def _is_annotation(keyword: str) -> bool:
    return keyword.startswith("x-") or bool(get_close_matches(keyword.lower(), [IDENTIFIER, SEARCHABLE], cutoff=0.7))


def _closest(keyword: str) -> str:
    return get_close_matches(keyword.lower(), [IDENTIFIER, SEARCHABLE], n=1, cutoff=0)[0]


def _metaschema_problems(schema: Any) -> Iterator[str]:
    checker = Draft202012Validator(Draft202012Validator.META_SCHEMA, format_checker=Draft202012Validator.FORMAT_CHECKER)
    for error in checker.iter_errors(schema):
        yield f"{error.json_path}: {error.message}"


def _compilation_problems(schema: Any) -> Iterator[str]:
    """Patterns must be valid in the linear-time engine, and references must stay inside the schema."""
    try:
        jsonschema_rs.Draft202012Validator(
            schema, pattern_options=jsonschema_rs.RegexOptions(), retriever=_reject_reference
        )
    except jsonschema_rs.ValidationError as error:
        yield f"{'.'.join(['$', *map(str, error.instance_path)])}: {error.message}"


def inline_references(part: Any, whole: Any, path: tuple[str, ...] = ()) -> Any:
    """Return a part of a schema with its references replaced by what they refer to in the `whole`.

    Raises `ValueError` on a reference that is no pointer into the whole, or is circular.
    """
    if isinstance(part, list):
        return [inline_references(each, whole, path) for each in part]
    if not isinstance(part, dict):
        return part
    own = {key: inline_references(each, whole, path) for key, each in part.items() if key != "$ref"}
    reference = part.get("$ref")
    if not isinstance(reference, str):
        return {**own, **({"$ref": inline_references(reference, whole, path)} if "$ref" in part else {})}
    if reference in path or not reference.startswith("#/"):
        raise ValueError(f"the reference {reference} must lead to another place of the file, and not back to itself")
    referred = functools.reduce(lambda inner, name: inner[name], split_pointer(unquote(reference[1:])), whole)
    return {**inline_references(referred, whole, (*path, reference)), **own}


def _reject_reference(_: str) -> NoReturn:
    raise LookupError("a reference must stay inside the file")


def _identifier_problems(properties: Mapping[str, Any]) -> Iterator[str]:
    for name, field in properties.items():
        marked = isinstance(field, dict) and field.get(IDENTIFIER, False)
        if marked and (marked is not True or field.get("type") not in ("string", "integer")):
            yield f'$.properties.{name}: "x-identifier": true needs "type": "string" or "integer"'
        searched = isinstance(field, dict) and field.get(SEARCHABLE, False)
        if searched and (searched is not True or field.get("type") != "array" or _item_type(field) != "string"):
            yield f'$.properties.{name}: "x-searchable": true needs "type": "array" with "items" of "type": "string"'


def _item_type(field: Mapping[str, Any]) -> Any:
    items = field.get("items")
    return items.get("type") if isinstance(items, dict) else None

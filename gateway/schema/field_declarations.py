"""What a database or resource may declare as its own fields: a JSON Schema, judged before it is kept."""

import functools
from collections.abc import Iterator, Mapping
from typing import Any, NoReturn
from urllib.parse import unquote

import jsonschema_rs
from jsonschema import Draft202012Validator

from gateway.core.pointer import split_pointer


def declaration_problems(schema: Any) -> Iterator[str]:
    """What keeps a JSON Schema from declaring fields, each with its place."""
    if not isinstance(schema, dict) or schema.get("type", "object") != "object" or "properties" not in schema:
        yield '$: expected a JSON Schema of an object, with "properties"'
        return
    if problems := [*_against_metaschema(schema)]:
        yield from problems
        return
    yield from _does_not_compile(schema)
    yield from _bad_identifiers(schema["properties"])


def _against_metaschema(schema: Any) -> Iterator[str]:
    checker = Draft202012Validator(Draft202012Validator.META_SCHEMA, format_checker=Draft202012Validator.FORMAT_CHECKER)
    for error in checker.iter_errors(schema):
        yield f"{error.json_path}: {error.message}"


def _does_not_compile(schema: Any) -> Iterator[str]:
    """Patterns must suit the linear-time engine, and references stay inside the file."""
    try:
        jsonschema_rs.Draft202012Validator(schema, pattern_options=jsonschema_rs.RegexOptions(), retriever=_nothing)
    except jsonschema_rs.ValidationError as error:
        yield f"{'.'.join(['$', *map(str, error.instance_path)])}: {error.message}"


def inline_references(part: Any, whole: Any, led: tuple[str, ...] = ()) -> Any:
    """A part of a schema with what it refers to laid in, so that no reader needs the whole to know a field's type.

    Raises `ValueError` on a reference that is no pointer into the whole, or leads back to itself.
    """
    if isinstance(part, list):
        return [inline_references(each, whole, led) for each in part]
    if not isinstance(part, dict):
        return part
    own = {key: inline_references(each, whole, led) for key, each in part.items() if key != "$ref"}
    reference = part.get("$ref")
    if not isinstance(reference, str):
        return {**own, **({"$ref": inline_references(reference, whole, led)} if "$ref" in part else {})}
    if reference in led or not reference.startswith("#/"):
        raise ValueError(f"the reference {reference} must lead to another place of the file, and not back to itself")
    referred = functools.reduce(lambda inner, name: inner[name], split_pointer(unquote(reference[1:])), whole)
    return {**inline_references(referred, whole, (*led, reference)), **own}


def _nothing(_: str) -> NoReturn:
    raise LookupError("a reference must stay inside the file")


def _bad_identifiers(properties: Mapping[str, Any]) -> Iterator[str]:
    for name, field in properties.items():
        marked = isinstance(field, dict) and field.get("x-identifier", False)
        if marked and (marked is not True or field.get("type") not in ("string", "integer")):
            yield f'$.properties.{name}: "x-identifier": true needs "type": "string" or "integer"'

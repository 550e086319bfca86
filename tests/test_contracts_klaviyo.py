"""Our OpenAPI compared with Klaviyo's own, for the calls that both have.

Every request that is valid by the vendor's is valid by ours, and every reply by ours is valid by theirs. The table has
the exceptions and their reasons.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from gateway.dialects import load_dialects
from gateway.openapi.files import contracts

FILE = Path(__file__).parents[2] / "shared" / "reference" / "klaviyo-profiles-openapi-2026-07-15.json"
OURS = json.loads(contracts(load_dialects({}))["openapi.json"])
VENDORS = json.loads(FILE.read_text()) if FILE.exists() else {"paths": {}}
JSON_API = "application/vnd.api+json"
Document = Mapping[str, Any]


@dataclass
class Shape:
    """What a value may be, by the parts of its schema that both contracts use."""

    types: set[str] = field(default_factory=set)
    members: dict[str, list[Any]] = field(default_factory=dict)
    required: set[str] = field(default_factory=set)
    items: list[Any] = field(default_factory=list)
    words: set[Any] = field(default_factory=set)


def shape(document: Document, schemas: list[Any]) -> Shape:
    found = Shape()
    for schema in schemas:
        _add(found, document, schema, True)
    return found


def _add(found: Shape, document: Document, schema: Any, is_certain: bool) -> None:
    if "$ref" in schema:
        _add(found, document, resolve_reference(document, schema), is_certain)
    for each in schema.get("allOf", ()):
        _add(found, document, each, is_certain)
    for each in (*schema.get("anyOf", ()), *schema.get("oneOf", ())):
        _add(found, document, each, False)
    words = schema.get("enum", [schema["const"]] if "const" in schema else [])
    types = schema.get("type", [NAMES[type(word)] for word in words])
    found.types |= {types} if isinstance(types, str) else set(types)
    found.types |= {"null"} if schema.get("nullable") else set()
    found.words |= set(words)
    found.required |= set(schema.get("required", ())) if is_certain else set()
    found.items += [schema["items"]] if "items" in schema else []
    for name, member in schema.get("properties", {}).items():
        found.members.setdefault(name, []).append(member if is_certain else {"anyOf": [member]})


NAMES = {str: "string", int: "integer", type(None): "null"}


def resolve_reference(document: Document, schema: Any) -> Any:
    while "$ref" in schema:
        value: Any = document
        for step in schema["$ref"].removeprefix("#/").split("/"):
            value = value[step]
        schema = value
    return schema


def type_differences(
    inner: tuple[Document, list[Any]], outer: tuple[Document, list[Any]], at: str = ""
) -> Iterator[str]:
    """Return where a value of the inner schemas may be invalid by the outer ones."""
    one, other = shape(*inner), shape(*outer)
    if other.types and one.types - other.types - ({"integer"} if "number" in other.types else set()):
        yield f"{at} is {'/'.join(sorted(one.types - other.types))}"
    if other.words and not one.words <= other.words:
        yield f"{at} is one of {sorted(map(str, one.words - other.words))}"
    yield from (f"{at}/{name} is missing" for name in sorted(other.required - one.required))
    for name in one.members.keys() & other.members.keys():
        yield from type_differences((inner[0], one.members[name]), (outer[0], other.members[name]), f"{at}/{name}")
    if one.items and other.items:
        yield from type_differences((inner[0], one.items), (outer[0], other.items), f"{at}/0")


def unknown_members(
    inner: tuple[Document, list[Any]], outer: tuple[Document, list[Any]], at: str = ""
) -> Iterator[str]:
    """Return the members of the inner schemas that the outer ones do not have."""
    one, other = shape(*inner), shape(*outer)
    is_open = any(resolve_reference(outer[0], each).get("additionalProperties") is True for each in outer[1])
    for name, member in one.members.items():
        if name not in other.members and other.members and not is_open:
            yield f"{at}/{name}"
        elif name in other.members:
            yield from unknown_members((inner[0], member), (outer[0], other.members[name]), f"{at}/{name}")
    if one.items and other.items:
        yield from unknown_members((inner[0], one.items), (outer[0], other.items), f"{at}/0")


def operations(document: Document) -> dict[str, Any]:
    """Return the operations by method and path. The names of a path's parameters are left out."""
    return {
        f"{method.upper()} {re.sub('{.*?}', '{}', path)}": operation
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }


BOTH = sorted(operations(OURS).keys() & operations(VENDORS).keys())
pytestmark = pytest.mark.skipif(not BOTH, reason="there is no ../shared/reference")

NOTHING_INCLUDED = "there are none, so there is nothing of them to leave out"
WHOLE = "a list that is included has all attributes"
SPARSE = "a sparse fieldset leaves out all that it does not name; without one it is there"
_JOBS = "/api/profile-bulk-import-jobs"
DIFFERENCES = {
    "GET /api/profiles has no fields[conversation]": NOTHING_INCLUDED,
    "GET /api/profiles/{} has no fields[conversation]": NOTHING_INCLUDED,
    "GET /api/profiles/{} has no fields[list]": WHOLE,
    "GET /api/profiles/{} has no fields[segment]": NOTHING_INCLUDED,
    f"GET {_JOBS}/{{}} has no fields[list]": WHOLE,
    f"GET {_JOBS}/{{}}/import-errors has no fields[import-error]": "every error has all attributes",
    "POST /api/profile-merge has no fields[profile]": "the reply has no attributes",
    "POST /api/profile-merge asks: /data/relationships/profiles/data is missing": "a merge of nothing is refused",
    **{
        f"{call} 20{digit} answers: {at}/attributes/{name} is missing": SPARSE
        for call, digit, at in (
            (f"GET {_JOBS}", 0, "/data/0"),
            (f"GET {_JOBS}/{{}}", 0, "/data"),
            (f"POST {_JOBS}", 2, "/data"),
        )
        for name in ("created_at", "status", "total_count")
    },
}
"""The differences between our OpenAPI and the vendor's, and the reason of each."""


def test_the_differences_are_those_that_are_known() -> None:
    assert len(BOTH) >= 14
    assert sorted(difference for call in BOTH for difference in differences(call)) == sorted(DIFFERENCES)


def test_every_member_that_either_names_is_known_to_the_other() -> None:
    """Of requests, all of the vendor's are ours; of replies, all of ours are the vendor's."""
    found = [
        f"{call} {at}" for call in BOTH for inner, outer, _ in bodies(call) for at in unknown_members(inner, outer)
    ]
    # A form subscribes no push tokens, which have a call of their own, and patches no properties. No event is kept.
    inner = "POST /client/subscriptions /data/attributes/profile/data/attributes"
    backfill = "POST /client/event-bulk-create /data/attributes/events/data/0/attributes/backfill"
    assert sorted(found) == [backfill, f"{inner}/meta", f"{inner}/subscriptions/push"]


def differences(call: str) -> Iterator[str]:
    ours, vendors = operations(OURS)[call], operations(VENDORS)[call]
    known, theirs = parameters(OURS, ours), parameters(VENDORS, vendors)
    yield from (f"{call} has no {name}" for name in theirs.keys() - known.keys())
    for name, parameter in known.items():
        if parameter.get("required") and not theirs.get(name, {}).get("required"):
            yield f"{call} needs {name}"
    statuses = {status for status in vendors["responses"] if status.startswith("2")}
    yield from (f"{call} never answers {status}" for status in statuses - ours["responses"].keys())
    for inner, outer, what in bodies(call):
        yield from (f"{call} {what}: {difference}" for difference in type_differences(inner, outer))


def parameters(document: Document, operation: Any) -> dict[str, Any]:
    """Return the parameters by name. That of the path has the name `path`."""
    found = [resolve_reference(document, parameter) for parameter in operation["parameters"]]
    return {"path" if each["in"] == "path" else each["name"]: each for each in found}


def bodies(call: str) -> Iterator[tuple[Any, Any, str]]:
    """Return pairs of schemas. A value of the first must be valid by the second."""
    ours, vendors = operations(OURS)[call], operations(VENDORS)[call]
    if "requestBody" in vendors:
        yield schema(VENDORS, vendors["requestBody"]), schema(OURS, ours["requestBody"]), "asks"
    for status, response in vendors["responses"].items():
        if response.get("content") and status in ours["responses"]:
            yield schema(OURS, ours["responses"][status]), schema(VENDORS, response), f"{status} answers"


def schema(document: Document, message: Any) -> tuple[Document, list[Any]]:
    """Return the schemas of a body, without that of a dry run, which the vendor does not have."""
    body = message["content"][JSON_API]["schema"]
    return document, [each for each in body.get("anyOf", [body]) if each.get("$ref") != "#/components/schemas/DryRun"]

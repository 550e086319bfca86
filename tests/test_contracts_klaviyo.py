"""Our contract beside Klaviyo's own OpenAPI, for the calls that both have.

A request of the vendor's contract is one of ours, and a reply of ours is one of theirs; where not, the reason is here.
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
        _add(found, document, resolved(document, schema), is_certain)
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


def resolved(document: Document, schema: Any) -> Any:
    while "$ref" in schema:
        value: Any = document
        for step in schema["$ref"].removeprefix("#/").split("/"):
            value = value[step]
        schema = value
    return schema


def misfits(inner: tuple[Document, list[Any]], outer: tuple[Document, list[Any]], at: str = "") -> Iterator[str]:
    """Where a value of the inner schemas may be none of the outer ones."""
    one, other = shape(*inner), shape(*outer)
    if other.types and one.types - other.types - ({"integer"} if "number" in other.types else set()):
        yield f"{at} is {'/'.join(sorted(one.types - other.types))}"
    if other.words and not one.words <= other.words:
        yield f"{at} is one of {sorted(map(str, one.words - other.words))}"
    yield from (f"{at}/{name} is missing" for name in sorted(other.required - one.required))
    for name in one.members.keys() & other.members.keys():
        yield from misfits((inner[0], one.members[name]), (outer[0], other.members[name]), f"{at}/{name}")
    if one.items and other.items:
        yield from misfits((inner[0], one.items), (outer[0], other.items), f"{at}/0")


def unknown(inner: tuple[Document, list[Any]], outer: tuple[Document, list[Any]], at: str = "") -> Iterator[str]:
    """Members of the inner schemas that the outer ones do not name."""
    one, other = shape(*inner), shape(*outer)
    is_open = any(resolved(outer[0], each).get("additionalProperties") is True for each in outer[1])
    for name, member in one.members.items():
        if name not in other.members and other.members and not is_open:
            yield f"{at}/{name}"
        elif name in other.members:
            yield from unknown((inner[0], member), (outer[0], other.members[name]), f"{at}/{name}")
    if one.items and other.items:
        yield from unknown((inner[0], one.items), (outer[0], other.items), f"{at}/0")


def operations(document: Document) -> dict[str, Any]:
    """By method and path, whatever a path calls its parameters."""
    return {
        f"{method.upper()} {re.sub('{.*?}', '{}', path)}": operation
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }


BOTH = sorted(operations(OURS).keys() & operations(VENDORS).keys())
pytestmark = pytest.mark.skipif(not BOTH, reason="there is no ../shared/reference")

NOTHING_INCLUDED = "nothing can be included, so there is nothing of it to leave out"
SPARSE = "a sparse fieldset leaves out all that it does not name; without one it is there"
_JOBS = "/api/profile-bulk-import-jobs"
DIFFERENCES = {
    "GET /api/profiles has no include": "it is refused by name",
    "GET /api/profiles/{} has no include": "it is refused by name",
    f"GET {_JOBS}/{{}} has no include": "it is refused by name",
    "GET /api/profiles has no fields[conversation]": NOTHING_INCLUDED,
    "GET /api/profiles has no fields[push-token]": NOTHING_INCLUDED,
    "GET /api/profiles/{} has no fields[conversation]": NOTHING_INCLUDED,
    "GET /api/profiles/{} has no fields[list]": NOTHING_INCLUDED,
    "GET /api/profiles/{} has no fields[push-token]": NOTHING_INCLUDED,
    "GET /api/profiles/{} has no fields[segment]": NOTHING_INCLUDED,
    f"GET {_JOBS}/{{}} has no fields[list]": NOTHING_INCLUDED,
    f"GET {_JOBS}/{{}}/import-errors has no fields[import-error]": "every error is shown whole",
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
"""Where our contract is another than the vendor's, and why."""


def test_the_differences_are_those_that_are_known() -> None:
    assert len(BOTH) >= 14
    assert sorted(difference for call in BOTH for difference in differences(call)) == sorted(DIFFERENCES)


def test_every_member_that_either_names_is_known_to_the_other() -> None:
    """Of requests, all of the vendor's are ours; of replies, all of ours are the vendor's."""
    found = [f"{call} {at}" for call in BOTH for inner, outer, _ in bodies(call) for at in unknown(inner, outer)]
    # Whether messages may be pushed is told by the states of a push token, which has calls of its own; a form that
    # subscribes patches no properties.
    inner = "POST /client/subscriptions /data/attributes/profile/data/attributes"
    assert found == [f"{inner}/meta", f"{inner}/subscriptions/push"]


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
        yield from (f"{call} {what}: {misfit}" for misfit in misfits(inner, outer))


def parameters(document: Document, operation: Any) -> dict[str, Any]:
    """By name; those of the path by their place, whatever they are called."""
    found = [resolved(document, parameter) for parameter in operation["parameters"]]
    return {"path" if each["in"] == "path" else each["name"]: each for each in found}


def bodies(call: str) -> Iterator[tuple[Any, Any, str]]:
    """Pairs of schemas of which the first must fit the second."""
    ours, vendors = operations(OURS)[call], operations(VENDORS)[call]
    if "requestBody" in vendors:
        yield schema(VENDORS, vendors["requestBody"]), schema(OURS, ours["requestBody"]), "asks"
    for status, response in vendors["responses"].items():
        if response.get("content") and status in ours["responses"]:
            yield schema(OURS, ours["responses"][status]), schema(VENDORS, response), f"{status} answers"


def schema(document: Document, holder: Any) -> tuple[Document, list[Any]]:
    """A body, but for what a dry run answers, which the vendor has not."""
    told = holder["content"][JSON_API]["schema"]
    return document, [each for each in told.get("anyOf", [told]) if each.get("$ref") != "#/components/schemas/DryRun"]

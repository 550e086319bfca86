"""Databases that declare the same have one compiled schema, whatever else of the registry differs or changes."""

from typing import Any

import pytest

from gateway.core.model import Database, Resource
from gateway.core.segments import Segment
from gateway.schema.compiled import compile_schema

FIELDS = {"type": "object", "properties": {"level": {"type": "integer"}}}
ONE: dict[str, Any] = {
    "fields": FIELDS,
    "resources": {1: Resource(1, "mail", ("a",), FIELDS)},
    "segments": {3: Segment(3, "buyers")},
}


@pytest.mark.parametrize(
    "other",
    [
        {**ONE, "company_id": "shop"},
        {**ONE, "resources": {1: Resource(1, "letters", ("a",), FIELDS, "hash", "key")}},
        {**ONE, "segments": {}},
        {**ONE, "segments": {3: Segment(3, "clients", created=5), "3": Segment("3", "text")}},
    ],
)
def test_databases_that_declare_the_same_share_a_schema(other: dict[str, Any]) -> None:
    assert compile_schema(Database(1, "one", **ONE), {}) is compile_schema(Database(2, "two", **other), {})


@pytest.mark.parametrize(
    ("database", "constraints"),
    [
        ({**ONE, "fields": {"type": "object", "properties": {"level": {"type": "number"}}}}, {}),
        ({**ONE, "resources": {1: Resource(1, "mail", ("b",), FIELDS)}}, {}),
        ({**ONE, "resources": {1: Resource(1, "mail", ("a",))}}, {}),
        ({**ONE, "segments": {3: Segment(3, "buyers", archived=5)}}, {}),
        ({**ONE, "segments": {"3": Segment("3", "buyers", archived=5)}}, {}),
        ({**ONE, "closed": True}, {}),
        ({**ONE, "closed": True, "segments": {"3": Segment("3", "buyers")}}, {}),
        (ONE, {"properties": {"profile": {"required": ["email"]}}}),
    ],
)
def test_databases_that_declare_something_else_have_schemas_of_their_own(
    database: dict[str, Any], constraints: dict[str, Any]
) -> None:
    own = compile_schema(Database(1, "one", **database), constraints)
    assert own is not compile_schema(Database(1, "one", **ONE), {})


def test_equal_numbers_and_texts_of_segments_differ_in_a_closed_database() -> None:
    number, text = ({**ONE, "closed": True, "segments": {id: Segment(id, "buyers")}} for id in (3, "3"))
    assert compile_schema(Database(1, "one", **number), {}) is not compile_schema(Database(1, "one", **text), {})

"""What a database's own fields may be declared as, and how their leaves are read and validated."""

from typing import Any

import pytest

from gateway.core.model import CommandType, Database
from gateway.core.pointer import join_pointer
from gateway.schema.compiled import CompiledSchema
from gateway.schema.validation import Validator

FIELDS: dict[str, Any] = {
    "any": True,
    "tags": {"type": "array", "items": True},
    "both": {"type": ["integer", "string"]},
    "maybe": {"type": ["number", "null"]},
    "code": {"type": "string", "pattern": "^(a+)+$"},
}
FORM = CompiledSchema(Database(1, "own", fields={"properties": FIELDS}), {})


def update(**custom: Any) -> dict[str, Any]:
    return {"match": {"mode": "none", "values": {}}, "if_absent": "create", "profile": {"custom": custom}}


@pytest.mark.parametrize(
    ("leaf", "value"),
    [
        ({"any": "5"}, {"any": "5"}),
        ({"tags": "a"}, {"tags": ["a"]}),
        ({"both": "5"}, {"both": 5}),
        ({"both": "five"}, {"both": "five"}),
        ({"maybe": " 1.5 "}, {"maybe": 1.5}),
        ({"maybe": "x"}, {"maybe": "x"}),
    ],
)
def test_reads_a_leaf_by_its_declared_type(leaf: dict[str, Any], value: dict[str, Any]) -> None:
    assert FORM.coerce(update(**leaf), CommandType.UPDATE)["profile"]["custom"] == value


@pytest.mark.parametrize(
    "custom", [{"any": {"a": [1]}}, {"tags": [1, "a"]}, {"code": "aaa"}, {"both": 5}, {"other": 1}]
)
def test_accepts_what_is_declared(custom: dict[str, Any]) -> None:
    assert FORM.validate(update(**custom), CommandType.UPDATE)[1] == []
    assert FORM.validate_profile({"custom": custom}, {}) == []


@pytest.mark.parametrize(
    ("custom", "pointer"),
    [({"tags": 5}, "/tags"), ({"both": 1.5}, "/both"), ({"code": "a" * 40 + "b"}, "/code")],
)
def test_names_what_is_not(custom: dict[str, Any], pointer: str) -> None:
    assert {fault.pointer for fault in FORM.validate(update(**custom), CommandType.UPDATE)[1]} == {
        f"/profile/custom{pointer}"
    }
    assert {fault.pointer for fault in FORM.validate_profile({"custom": custom}, {})} == {f"/profile/custom{pointer}"}


def test_own_fields_that_stay_are_accepted_as_they_are() -> None:
    before = {"custom": {"tags": 5, "code": "aaa"}}
    stays = {"custom": {**before["custom"], "both": 5}}
    assert FORM.validate_profile(stays, before) == []
    changes = {"custom": {**stays["custom"], "tags": 6}}
    assert [fault.pointer for fault in FORM.validate_profile(changes, before)] == ["/profile/custom/tags"]


def test_a_profile_that_is_no_object_is_rejected_in_a_closed_database_too() -> None:
    closed = CompiledSchema(Database(1, "closed", closed=True), {})
    _, faults = closed.validate({**update(), "profile": "text"}, CommandType.UPDATE)
    assert [(fault.code, fault.pointer) for fault in faults] == [("invalid_field", "/profile")]


def test_an_own_field_may_be_named_as_the_functions_are() -> None:
    own = {"operations": {"type": "array", "items": {"type": "integer"}}}
    compiled = CompiledSchema(Database(1, "own", fields={"properties": own}), {})
    _, faults = compiled.validate(update(operations=["a"]), CommandType.UPDATE)
    assert [(fault.code, fault.pointer) for fault in faults] == [("invalid_field", "/profile/custom/operations/0")]


@pytest.mark.parametrize("name", ["a/b", "50%", "é ~1", "a#b", "$ref"])
def test_a_rare_declaration_is_followed_whatever_its_field_is_called(name: str) -> None:
    own = {name: {"type": "object", "patternProperties": {"^a": {"type": "integer"}}}}
    compiled = CompiledSchema(Database(1, "own", fields={"properties": own}), {})
    assert compiled.validate(update(**{name: {"a": 1, "b": "x"}}), CommandType.UPDATE)[1] == []
    _, faults = compiled.validate(update(**{name: {"a": "x"}}), CommandType.UPDATE)
    assert [fault.pointer for fault in faults] == [join_pointer("profile", "custom", name, "a")]


def test_a_list_that_no_length_fits_is_rejected() -> None:
    own = {"none": {"type": "array", "minItems": 2, "maxItems": 1}}
    compiled = CompiledSchema(Database(1, "own", fields={"properties": own}), {})
    assert compiled.validate(update(none=["a"]), CommandType.UPDATE)[1] != []


NAMING = [
    ({"properties": {"a": {}}, "additionalProperties": False}, {"a": "ok", "x'a'y": "bad"}, ["x'a'y"]),
    ({"properties": {"a": {}}, "additionalProperties": False}, {"a": "'b' 'c'", "b": 1, "c'": 2}, ["b", "c'"]),
    ({"patternProperties": {"^a": {}}, "additionalProperties": False}, {"ab": 1, "'ab'": 2}, ["'ab'"]),
    ({"properties": {"a": {}}, "unevaluatedProperties": False}, {"a": "ok", "x'a'y": "bad"}, ["x'a'y"]),
    (
        {"allOf": [{"properties": {"a": {}}}], "properties": {"b": {}}, "unevaluatedProperties": False},
        {"a": 1, "b": 2, "'a', 'b'": 3, "d": 4},
        ["'a', 'b'", "d"],
    ),
    ({"required": ["a", "a' is", "b"]}, {"a": 1}, ["a' is", "b"]),
    ({"required": ["'b'", "b"]}, {"b": 1}, ["'b'"]),
    ({"properties": {"a": {}}, "additionalProperties": False}, {"a": 1, "a\n'": 2, "é": 3, "": 4}, ["a\n'", "é", ""]),
]


@pytest.mark.parametrize(("schema", "value", "names"), NAMING)
@pytest.mark.parametrize("is_nested", [False, True])
def test_names_the_members_at_fault_alone(
    schema: dict[str, Any], value: dict[str, Any], names: list[str], is_nested: bool
) -> None:
    path = ("in", 0) if is_nested else ()
    nested = Validator({"properties": {"in": {"items": schema}}} if is_nested else schema, {})
    faults = nested.faults({"in": [value]} if is_nested else value)
    assert sorted(fault.pointer for fault in faults) == sorted(join_pointer(*path, name) for name in names)

"""What a database's own fields may be declared as, and how their leaves are read and judged."""

from typing import Any

import pytest

from gateway.core.model import CommandType, Database
from gateway.schema.compiled import CompiledSchema

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
def test_takes_what_is_declared(custom: dict[str, Any]) -> None:
    assert FORM.validate(update(**custom), CommandType.UPDATE) == []
    assert FORM.validate_profile({"custom": custom}, {}) == []


@pytest.mark.parametrize(
    ("custom", "pointer"),
    [({"tags": 5}, "/tags"), ({"both": 1.5}, "/both"), ({"code": "a" * 40 + "b"}, "/code")],
)
def test_names_what_is_not(custom: dict[str, Any], pointer: str) -> None:
    assert {fault.pointer for fault in FORM.validate(update(**custom), CommandType.UPDATE)} == {
        f"/profile/custom{pointer}"
    }
    assert {fault.pointer for fault in FORM.validate_profile({"custom": custom}, {})} == {f"/profile/custom{pointer}"}

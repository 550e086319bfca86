"""The law of the table: it gives the verdict of the JSON Schemas that it is compiled from, in both media types.

Where a database's own declarations use rare keywords, the table may leave a valid command to the JSON Schemas. It must
never accept one that they reject.
"""

import random
import sys
from collections import Counter
from functools import cache
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway import media
from gateway.core.faults import Refusal
from gateway.core.model import Command, CommandType, Database, Resource
from gateway.core.pointer import split_pointer, value_at
from gateway.core.segments import Segment
from gateway.dialects.protocol import COMMAND_TYPES, ParsedCommand, Request
from gateway.schema.compiled import CompiledSchema
from gateway.schema.files import load_schema
from gateway.schema.table import accepts, coerce
from gateway.service.command_validation import validate_commands
from tests.cases import NOW, Case, cases
from tests.test_canonical import SERVED, case_call, case_database, path_values

UPDATE = CommandType.UPDATE
CONSTRAINTS = {name: load_schema(each.constraints) if each.constraints else {} for name, each in SERVED.items()}

texts = st.sampled_from(["", " ", "5", " 7", "a", "aa", "abc", "true", "2020-01-01", "a@example.com", "+79511059000"])
numbers = st.sampled_from([0, 1, 5, -1, 11, 2.5, 1.0, -(2**63), 2**63 - 1, 1e300])
leaves = texts | numbers | st.none() | st.booleans()
names = st.sampled_from(["level", "name", "kind", "x"])
anything = st.recursive(
    leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3), max_leaves=5
)

USUAL: list[Any] = [
    {},
    {"type": "string"},
    {"type": "string", "minLength": 1, "maxLength": 2},
    {"type": "string", "format": "date"},
    {"type": "string", "format": "email"},
    {"format": "moment"},
    {"type": "string", "pattern": "^a+$"},
    {"type": "integer"},
    {"type": "integer", "minimum": 0, "maximum": 10},
    {"type": "integer", "multipleOf": 5},
    {"type": "number", "maximum": 5.5},
    {"type": "boolean"},
    {"type": ["number", "null"]},
    {"type": ["integer", "string"]},
    {"enum": ["a", 5, True, None, 2.5]},
    {"const": 5},
    {"type": "array", "items": {"type": "integer"}, "maxItems": 2},
    {"type": "array", "items": {"type": "object", "properties": {"level": {"type": "integer"}}, "required": ["level"]}},
    {"type": "object"},
    {"type": "object", "properties": {"level": {"type": "integer"}}, "additionalProperties": False},
    {"type": "object", "properties": {"level": {"type": "integer"}}, "required": ["level"]},
    {"type": "object", "additionalProperties": {"type": "string"}},
    {"anyOf": [{"type": "string"}, {"type": "object", "properties": {"level": {"type": "integer"}}}]},
    {"allOf": [{"type": "string"}, {"minLength": 2}]},
    {"type": "string", "x-identifier": True},
]
RARE: list[Any] = [
    {"type": "object", "properties": {"level": {"type": ["integer", "null"]}}, "required": ["level"]},
    {"type": "object", "patternProperties": {"^l": {"type": "integer"}}},
    {"type": "object", "minProperties": 1, "maxProperties": 2},
    {"type": "object", "propertyNames": {"maxLength": 4}},
    {"type": "object", "dependentRequired": {"level": ["name"]}},
    {"type": "object", "properties": {"level": {}}, "unevaluatedProperties": False},
    {"type": "object", "if": {"required": ["level"]}, "then": {"required": ["name"]}},
    {
        "type": "object",
        "properties": {"kind": {"enum": ["a", "aa"]}},
        "if": {"properties": {"kind": {"const": "a"}}, "required": ["kind"]},
        "then": {"required": ["level"]},
        "else": {"properties": {"level": {"type": "integer"}}},
    },
    {"type": "array", "uniqueItems": True, "prefixItems": [{"type": "integer"}]},
    {"oneOf": [{"type": "string"}, {"type": "integer"}, {"const": "a"}]},
    {"not": {"type": "string"}},
    {"enum": [{"level": 1}, ["a"], "a"]},
]
FIELDS = [f"f{index}" for index in range(6)]


@cache
def schema(seed: int, dialect: str, *, is_rare: bool) -> CompiledSchema:
    """The schema of a database with random declarations."""
    return CompiledSchema(database(seed, is_rare=is_rare), CONSTRAINTS[dialect])


@cache
def database(seed: int, *, is_rare: bool) -> Database:
    choose = random.Random(f"{seed} {is_rare}")

    def fields() -> dict[str, Any]:
        declared = {name: choose.choice([*USUAL, *RARE] if is_rare else USUAL) for name in choose.sample(FIELDS, 5)}
        rare = choose.choice(
            [{"required": ["f1"]}, {"maxProperties": 3}, {"patternProperties": {"1": {"const": 5}}}, {}]
        )
        return {"type": "object", "properties": declared, **(rare if is_rare else {})}

    resources = {id: Resource(id, f"r{id}", ("a", "abc"), fields()) for id in (1, 2)}
    archived = {4: Segment(4, "old", archived=1), "3": Segment("3", "text", archived=2)} if seed % 3 == 0 else {}
    return Database(1, "law", seed % 2 == 1, fields(), None, resources, {3: Segment(3, "s"), **archived})


operations = st.lists(
    st.fixed_dictionaries(
        {
            "function": st.sampled_from(["set", "set", "incr", "max", "add", "delete", "upsert", "set_first"]),
            "pointer": st.sampled_from([f"/custom/{name}" for name in (*FIELDS, "x")] + ["/email", "/phone_numbers"]),
            "value": anything,
        },
        optional={"submatch": st.just("level"), "object_only": st.just("it needs an action")},
    ),
    min_size=1,
    max_size=3,
)
subscriptions = st.fixed_dictionaries(
    {"channel": st.sampled_from(["email", "email", "sms", "push", "custom", "telegram_bot", "viber", "fax"])},
    optional={
        "email": st.just("a@example.com") | leaves,
        "phone": st.just("+79511059000") | leaves,
        "provider": texts,
        "subscription_id": texts,
        "field_name": texts,
        "field_value": leaves,
        "cc_data": st.sampled_from([{"id": 1}, {"phone": "+79511059000"}, {}, {"id": None}, None, "x"]),
        "resource_id": st.sampled_from([1, 2, 3, None, "1", 1.0, True]),
        "status": st.sampled_from(["subscribed", 0, -1, 7, None, True, 1.0]),
        "cats": st.lists(st.sampled_from(["a", "abc", "b", None]), max_size=2),
        "custom_fields": st.dictionaries(st.sampled_from([*FIELDS, "_os", "_ad_track"]), anything, max_size=3),
        "operations": operations,
        "x": leaves,
    },
)
updates = st.fixed_dictionaries(
    {
        "match": st.sampled_from(
            [
                {"mode": "none", "values": {}},
                {"mode": "email", "values": {"email": "a@example.com"}},
                {"mode": "email_phone", "values": {"phone": "+79511059000"}},
                {"mode": "identifiers", "values": {"kx": "a"}},
                {"mode": "identifiers", "values": {}},
                {"mode": "custom", "values": {"field_name": "f1", "field_value": 5}},
                {"mode": "push_sub", "values": {"provider": "a"}},
                {"mode": "bogus", "values": {}},
            ]
        )
    },
    optional={
        "profile": st.fixed_dictionaries(
            {},
            optional={
                "custom": st.dictionaries(st.sampled_from([*FIELDS, "x"]), anything, max_size=3),
                "email": st.just("a@example.com") | leaves,
                "phone_numbers": st.lists(st.just("+79511059000") | leaves, max_size=2) | leaves,
                "address": anything,
                "gender": leaves,
                "ip": texts | st.just("::1"),
                "klaviyo": st.dictionaries(st.sampled_from(["organization", "consent", "x"]), anything, max_size=2),
                "x": leaves,
            },
        ),
        "operations": operations,
        "subscriptions": st.lists(subscriptions | st.none(), max_size=2),
        "segments": st.dictionaries(st.sampled_from(["add", "remove"]), st.lists(st.sampled_from([3, 4, "3", None]))),
        "options": st.dictionaries(st.sampled_from(["detect_geo", "x"]), st.booleans() | texts, max_size=1),
        "on_conflict": st.just({"email": "reject"}) | st.dictionaries(names, leaves, max_size=1),
    },
)
seeds, dialects = st.integers(0, 9), st.sampled_from(list(CONSTRAINTS))
UNDECLARED_NULL = {
    "match": {"mode": "none", "values": {}},
    "operations": [{"function": "set", "pointer": "/custom/f3", "value": None}],
}
"""Seed 1 is a closed database without this field."""


@pytest.mark.law
@given(updates, seeds, dialects)
@example(UNDECLARED_NULL, 1, "altcraft")
def test_the_table_accepts_what_the_json_schemas_accept(update: Command, seed: int, dialect: str) -> None:
    compiled = schema(seed, dialect, is_rare=False)
    faults = compiled.explain(update, UPDATE)
    if accepts(update, compiled.table(UPDATE)):
        assert faults == []
    else:
        assert faults or not writes_each_place_once(update)
    assert "the value is not valid" not in [fault.detail for fault in faults]  # both validators agree


def writes_each_place_once(update: Command) -> bool:
    """Whether no later value hides one that the table rejects."""
    for holder in (update, *(each for each in update.get("subscriptions", ()) if each)):
        pointers = [operation["pointer"] for operation in holder.get("operations", ())]
        patch = holder.get("profile", holder)
        if len(set(pointers)) < len(pointers) or any(
            value_at(patch, split_pointer(each)) is not None for each in pointers
        ):
            return False
    return True


@pytest.mark.law
@given(updates, seeds, dialects)
def test_the_table_accepts_nothing_else_whatever_is_declared(update: Command, seed: int, dialect: str) -> None:
    compiled = schema(seed, dialect, is_rare=True)
    if accepts(update, compiled.table(UPDATE)):
        assert compiled.explain(update, UPDATE) == []


@pytest.mark.law
@given(updates, seeds, dialects, st.booleans())
def test_text_is_coerced_to_the_value_that_is_accepted(update: Command, seed: int, dialect: str, is_rare: bool) -> None:
    compiled = schema(seed, dialect, is_rare=is_rare)
    update = as_text({name: value for name, value in update.items() if name != "operations"})
    coerced, is_valid = coerce(update, compiled.table(UPDATE))
    assert is_valid == accepts(coerced, compiled.table(UPDATE))
    assert coerce(coerced, compiled.table(UPDATE))[1] or not is_valid


def as_text(value: Any) -> Any:
    """A tree of XML, without operations: their values are validated by the place of the operation."""
    if isinstance(value, dict):
        return {name: as_text(member) for name, member in value.items() if name != "operations"}
    if isinstance(value, list):
        return [as_text(item) for item in value]
    return value if value is None else str(value).lower() if isinstance(value, bool) else str(value)


# --- fixtures ---

CASES = list(cases(*SERVED))


def parsed_commands(case: Case) -> tuple[list[ParsedCommand], CommandType, bool]:
    call = case_call(SERVED[case.folder.parent.name], case)
    codec, charset = media.codec_for(case.headers.get("content-type"))
    tree = codec.decode(case.request, charset) or {}
    if not isinstance(tree, call.body_types):
        return [], CommandType.UPDATE, True
    request = Request(
        tree, {}, case.headers, path_values(call, case), case.about["path"], now=NOW, is_typed=codec.is_typed
    )
    return list(call.parse(request).commands), COMMAND_TYPES[call.operation], codec.is_typed


@pytest.mark.parametrize("closed", [False, True])
def test_the_table_gives_the_verdict_of_the_json_schemas_on_each_case(closed: bool) -> None:
    found: Counter[bool] = Counter()
    for case in CASES:
        try:
            commands, type, is_typed = parsed_commands(case)
        except (Refusal, StopIteration):
            continue
        dialect = case.folder.parent.name
        compiled = schema(1, dialect, is_rare=False) if closed else of_case(dialect, repr(case_database(case)), case)
        for each in commands:
            if each.update is not None:
                command = each.update if is_typed else compiled.coerce(each.update, type)
                verdict = accepts(command, compiled.table(type))
                assert verdict == (compiled.explain(command, type, 1) == []), (case.name, command)
                assert is_typed or coerce(each.update, compiled.table(type))[1] == verdict
                found[verdict] += 1
    assert min(found[True], found[False]) > 100


COMPILED: dict[tuple[str, str], CompiledSchema] = {}


def of_case(dialect: str, described: str, case: Case) -> CompiledSchema:
    """The schema of a case's database. Most cases have the same one."""
    if (dialect, described) not in COMPILED:
        COMPILED[dialect, described] = CompiledSchema(case_database(case), CONSTRAINTS[dialect])
    return COMPILED[dialect, described]


# --- what it costs ---

SEED = {
    "database": 1,
    "on_conflict": {"email": "reject", "custom": "reject"},
    "if_absent": "reject",
    "match": {"mode": "email", "values": {"email": "a@example.com"}},
    "profile": {
        "email": "a@example.com",
        "given_name": "Olly",
        "phone_numbers": ["+79511059000"],
        "address": {"locality": "Perm"},
        "custom": {"visits": 3},
    },
    "subscriptions": [{"resource_id": 1, "channel": "email", "email": "a@example.com", "status": "subscribed"}],
}


@pytest.mark.parametrize(("is_typed", "most"), [(True, 5), (False, 8)])
def test_the_python_calls_of_one_update(is_typed: bool, most: int) -> None:
    database = Database(1, "d", fields={"properties": {"visits": {"type": "integer"}}}, resources={1: Resource(1, "r")})
    compiled = CompiledSchema(database, CONSTRAINTS["altcraft"])
    command = SEED if is_typed else as_text(SEED)
    commands = [ParsedCommand(command)]
    assert validate_commands(compiled, commands, UPDATE, is_typed) == [SEED]
    calls: list[str] = []
    sys.setprofile(lambda frame, event, _: calls.append(frame.f_code.co_name) if event == "call" else None)
    try:
        validate_commands(compiled, commands, UPDATE, is_typed)
    finally:
        sys.setprofile(None)
    assert len(calls) <= most, calls


def test_a_changed_profile_is_validated_by_two_calls() -> None:
    compiled = CompiledSchema(Database(1, "d"), CONSTRAINTS["altcraft"])
    before = {"email": "a@example.com", "custom": {"visits": 2}}
    document = {"email": "a@example.com", "custom": {"visits": 3}, "given_name": "Olly"}
    assert compiled.validate_profile(document, before) == []
    calls: list[str] = []
    sys.setprofile(lambda frame, event, _: calls.append(frame.f_code.co_name) if event == "call" else None)
    try:
        compiled.validate_profile(document, before)
    finally:
        sys.setprofile(None)
    assert calls == ["validate_profile", "accepts"]

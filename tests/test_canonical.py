"""Both media types of a case become the very same canonical value, byte for byte: the one that stands beside them."""

import json
from functools import cache
from typing import Any
from urllib.parse import unquote

import pytest

from gateway import media
from gateway.core.faults import Refusal
from gateway.core.model import CommandType, Database, Resource
from gateway.core.segments import Segment
from gateway.dialects import load_dialects
from gateway.dialects.protocol import COMMAND_TYPES, Call, Dialect, Request
from gateway.schema.compiled import CompiledSchema
from gateway.schema.files import load_schema
from gateway.schema.validation import Validator
from gateway.service.command_validation import validate_command
from tests.cases import NOW, Case, cases, database_from_case

SERVED = {dialect.name: dialect for dialect in load_dialects({})}
WITH_CANONICAL_FORM = [case for case in cases(*SERVED) if (case.folder / "canonical.json").exists()]


@pytest.mark.parametrize("case", WITH_CANONICAL_FORM, ids=lambda case: case.name)
def test_becomes_the_canonical_update(case: Case) -> None:
    dialect = SERVED[case.folder.parent.name]
    call = case_call(dialect, case)
    codec, charset = media.codec_for(case.headers.get("content-type"))
    tree = codec.decode(case.request, charset) or {}
    names, target = path_values(call, case), case.about["path"]
    request = Request(tree, {}, case.headers, names, target, now=NOW, is_typed=codec.is_typed)
    asked = call.parse(request)
    form = CompiledSchema(case_database(case), load_schema(dialect.constraints) if dialect.constraints else {})
    type = COMMAND_TYPES[call.operation]
    updates = [_command_or_null(validate_command(form, read, type, codec.is_typed)) for read in asked.commands]
    expected = case.value("canonical.json")
    assert _json_text(updates) == _json_text(expected if isinstance(expected, list) else [expected])


@pytest.mark.parametrize("case", WITH_CANONICAL_FORM, ids=lambda case: case.name)
def test_is_valid_by_the_schema_of_its_command(case: Case) -> None:
    validator = _validator(COMMAND_TYPES[case_call(SERVED[case.folder.parent.name], case).operation])
    value = case.value("canonical.json")
    for command in value if isinstance(value, list) else [value]:
        assert command is None or validator.faults(command) == []


@cache
def _validator(type: CommandType) -> Validator:
    schemas = {f"urn:profile-gateway:{name}": load_schema(name) for name in ("command", "subscription", type)}
    return Validator({"$ref": f"urn:profile-gateway:{type}"}, schemas)


def _command_or_null(checked: Any) -> Any:
    """An update as it is; in a batch's list, a refused one stands as null."""
    return None if isinstance(checked, Refusal) else checked


def case_call(dialect: Dialect, case: Case) -> Call:
    return next(call for call in dialect.calls if call.method == case.about["method"] and _fits(call, case))


def _fits(call: Call, case: Case) -> bool:
    wanted, given = _steps(call.path), _steps(case.about["path"])
    return len(wanted) == len(given) and all(w == g or w.startswith("{") for w, g in zip(wanted, given, strict=True))


def path_values(call: Call, case: Case) -> dict[str, str]:
    pairs = zip(_steps(call.path), _steps(case.about["path"]), strict=True)
    return {wanted.strip("{}"): unquote(given) for wanted, given in pairs if wanted.startswith("{")}


def _steps(path: str) -> list[str]:
    return path.partition("?")[0].strip("/").split("/")


def case_database(case: Case) -> Database:
    described = case.about.get("database", {})
    base = database_from_case(described)
    resources = {
        each["id"]: Resource(each["id"], each["name"], tuple(each.get("categories", ())), each.get("fields", {}))
        for each in described.get("resources", ())
    }
    segments = {each["id"]: Segment(**each) for each in described.get("segments", ())}
    return Database(1, base.name, base.closed, base.fields, base.company_id, resources, segments)


def _json_text(updates: list[Any]) -> str:
    return json.dumps(updates, sort_keys=True, ensure_ascii=False, indent=1)

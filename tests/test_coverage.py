"""What has no case: every call, mode, function, type, channel, parameter and fault must stand in some conversation."""

import asyncio
import json
import re
from typing import Any

import pytest

from gateway.core.faults import CATALOG, Fault
from gateway.dialects import load_dialects
from gateway.dialects.altcraft.field_parser import ACTIONS
from gateway.dialects.altcraft.fields import FIELDS, READ_ONLY_FIELDS
from gateway.dialects.altcraft.matching import SEARCH_MODES
from gateway.dialects.altcraft.requests import OPTIONS, SEGMENT_PARAMETERS
from gateway.testkit.embedded import run_in_process
from tests.cases import cases

SERVED = {dialect.name: dialect for dialect in load_dialects({})}
ALTCRAFT = list(cases("altcraft"))
BODIES = "\n".join(case.request.decode("utf-8", "replace") for case in ALTCRAFT)
REPLIES = "\n".join(case.response.decode("utf-8", "replace") for name in SERVED for case in cases(name))
CHANNELS = ("email", "sms", "push", "telegram_bot", "whatsapp", "viber", "notify", "custom")
TYPES = ("string", "integer", "number", "boolean", "array", "object")
ELSEWHERE = {
    "internal_error",
    "store_unavailable",
    "overloaded",
    "too_long",
    "idempotency_conflict",
    "profile_too_large",
    "rate_limited",
    "expired_history",
    "webhooks_unavailable",
    "relays_unavailable",
    "merge_undone",
    "undo_conflict",
}
"""Faults that no request alone brings about; tests of the application, stores, feed and dialects have them."""


@pytest.mark.parametrize("dialect", SERVED)
def test_every_call_has_a_case_with_and_without_a_slash(dialect: str) -> None:
    paths = {(case.about["method"], case.about["path"].partition("?")[0]) for case in cases(dialect)}
    for call in SERVED[dialect].calls:
        pattern = re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(call.path))
        requested = [path for method, path in paths if method == call.method and re.fullmatch(f"{pattern}/?", path)]
        assert requested, f"{call.method} {call.path}"
        if dialect == "altcraft":
            assert {path.endswith("/") for path in requested} == {True, False}, call.path


@pytest.mark.parametrize("mode", SEARCH_MODES)
def test_every_matching_mode_has_a_case(mode: str) -> None:
    if mode not in ("external_id", "identifiers"):
        assert f'"matching": "{mode}"' in BODIES
        assert f"<matching>{mode}</matching>" in BODIES


@pytest.mark.parametrize("action", ACTIONS)
def test_every_update_function_has_a_case(action: str) -> None:
    assert re.search(rf'"action"\s*:\s*"{action}"', BODIES)
    assert f"<action>{action}</action>" in BODIES


@pytest.mark.parametrize("channel", CHANNELS)
def test_every_channel_has_a_case(channel: str) -> None:
    assert re.search(rf'"channel"\s*:\s*"{channel}"', BODIES)
    assert f"<channel>{channel}</channel>" in BODIES


@pytest.mark.parametrize(
    "name", [*FIELDS, *OPTIONS, *SEGMENT_PARAMETERS.values(), "resource_id", "token", "db_id", "format"]
)
def test_every_field_and_parameter_has_a_case(name: str) -> None:
    assert f'"{name}"' in BODIES
    assert f"<{name}" in BODIES


@pytest.mark.parametrize("name", sorted(READ_ONLY_FIELDS))
def test_every_read_only_field_has_a_case(name: str) -> None:
    assert f'field \\"{name}\\" is not valid' in REPLIES or f'"{name}"' in REPLIES


@pytest.mark.parametrize("type", TYPES)
def test_every_declared_type_has_a_case(type: str) -> None:
    assert type in {found for case in ALTCRAFT for found in types_in(case.about.get("database", {}))}


def types_in(value: Any) -> set[str]:
    return set(re.findall(r'"type": "(\w+)"', json.dumps(value)))


def test_every_fault_has_a_case(monkeypatch: pytest.MonkeyPatch) -> None:
    codes: set[str] = set()
    make = Fault.__init__

    def record_code(self: Fault, code: str, *rest: str, **named: str) -> None:
        codes.add(code)
        make(self, code, *rest, **named)

    monkeypatch.setattr(Fault, "__init__", record_code)
    expected = CATALOG.keys() - ELSEWHERE
    for case in {case.folder: case for case in cases(*SERVED, "gateway")}.values():  # one media type of each
        if not expected <= codes and (case.about["status"] >= 400 or case.folder.name.startswith("rejects-")):
            asyncio.run(run_in_process(case))
    assert expected <= codes

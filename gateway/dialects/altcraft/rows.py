"""Rows of files: elements of a batch, with static segments of their own."""

from collections.abc import Mapping, Sequence
from typing import Any

from gateway.core.consent import DELETED, INTERNAL_MEMBERS
from gateway.core.faults import Fault
from gateway.core.model import Database, Profile, Tree
from gateway.core.pointer import value_at
from gateway.core.segments import visible_segments
from gateway.dialects.altcraft.calls import CALLS, ROOT
from gateway.dialects.altcraft.errors import render_errors
from gateway.dialects.altcraft.fields import DATA_NAMES, FIELDS
from gateway.dialects.altcraft.requests import ELEMENT_MATCH_NAMES, SEGMENT_PARAMETERS
from gateway.dialects.protocol import FileRows, Request

_BATCHES = {call.path.removeprefix(f"{ROOT}/profiles/").removesuffix("_batch"): call for call in CALLS}


def _request(row: Tree, parameters: Mapping[str, Any], is_typed: bool) -> Request:
    return Request(_body(row, parameters), is_typed=is_typed)


def _body(row: Tree, parameters: Mapping[str, Any]) -> Tree:
    """Return the body of a batch with one element. A row's own segments come before those of the parameters."""
    if not isinstance(row, dict):
        return {**parameters, "data": [row]}
    segments = {name: row[name] for name in SEGMENT_PARAMETERS.values() if name in row}
    data = {name: value for name, value in row.items() if name not in segments} if segments else row
    return {**parameters, **segments, "data": [data]}


def _render(profile: Profile, database: Database) -> dict[str, Any]:
    """Return the fields of a profile as an element of a batch: what is stored, and nothing computed."""
    document = profile.document
    own = {name: _as_value(value) for name, value in document.get("custom", {}).items() if name not in DATA_NAMES}
    fields = {name: value for name, path in FIELDS.items() if (value := value_at(document, path)) is not None}
    row = {**own, **fields}
    if subscriptions := [_visible(each) for each in document.get("subscriptions", ()) if DELETED not in each]:
        row["subscriptions"] = subscriptions
    # Other dialects name segments by texts, too.
    segments = visible_segments(document.get("segments", ()), database.segments)
    if numbered := [each for each in segments if isinstance(each, int)]:
        row[SEGMENT_PARAMETERS["add"]] = numbered
    return row


def _visible(subscription: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in subscription.items() if name not in INTERNAL_MEMBERS}


def _as_value(value: Any) -> Any:
    """Return a value so that it is not read as a function."""
    return {"action": "set", "value": value} if isinstance(value, dict) and "action" in value else value


def _describe(faults: Sequence[Fault]) -> str:
    return str(render_errors(faults)["error_text"])


FILE_ROWS = FileRows(
    calls={name: _BATCHES[name] for name in ("import", "update", "add")},
    request=_request,
    names=tuple(dict.fromkeys((*FIELDS, *sorted(DATA_NAMES), *ELEMENT_MATCH_NAMES, *SEGMENT_PARAMETERS.values()))),
    render=_render,
    describe=_describe,
    has_parameters=True,
)

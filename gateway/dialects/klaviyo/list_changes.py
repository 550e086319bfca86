"""Calls that create, change and delete lists. A list that they create has the next free number as its id.

Source: the vendor's OpenAPI, revision 2026-07-15. Deleting a list, or leaving one, does not touch consent.
"""

from collections.abc import Mapping
from typing import Any

from gateway.core.faults import Fault
from gateway.core.segments import Segment, segment_of
from gateway.dialects.klaviyo.jsonapi.documents import ATTRIBUTES, parse_attributes, parse_resource, reject_unknown
from gateway.dialects.klaviyo.jsonapi.links import link_context, render_resource
from gateway.dialects.klaviyo.list_calls import LIST_FIELDS, list_resource
from gateway.dialects.klaviyo.lists import DOUBLE_OPT_IN, SINGLE_OPT_IN
from gateway.dialects.klaviyo.requests import NO_MATCH
from gateway.dialects.protocol import ParsedCommand, ParsedRequest, Reply, Request, Result

_NAME, _PROCESS = f"{ATTRIBUTES}/name", f"{ATTRIBUTES}/opt_in_process"
_PROCESSES = {SINGLE_OPT_IN: False, DOUBLE_OPT_IN: True}


def parse_creation(request: Request) -> ParsedRequest:
    """Parse `POST /api/lists`."""
    data, faults = parse_resource(request, "list")
    segment = _parse_segment(data, faults)
    if "name" not in segment and not any(fault.pointer == _NAME for fault in faults):
        faults.append(Fault("missing_parameter", "it is missing", _NAME))
    return _parsed(request, segment, faults)


def parse_change(request: Request) -> ParsedRequest:
    """Parse `PATCH /api/lists/{id}`."""
    data, faults = parse_resource(request, "list")
    id = segment_of(request.path["id"])
    if data.get("id") != request.path["id"]:
        faults.append(Fault("invalid_parameter", "it must be the id of the path", "/data/id"))
    segment = _parse_segment(data, faults)
    return _parsed(request, {**segment, "id": id}, faults)


def parse_deletion(request: Request) -> ParsedRequest:
    """Parse `DELETE /api/lists/{id}`: its members leave it first. An archived list is deleted, too."""
    return _parsed(request, {"id": segment_of(request.path["id"])}, [])


def _parse_segment(data: Mapping[str, Any], faults: Any) -> dict[str, Any]:
    """Return what the attributes say of a list. Null leaves a value as it is."""
    attributes = parse_attributes(data, faults)
    reject_unknown(attributes, ("name", "opt_in_process"), ATTRIBUTES, faults)
    segment: dict[str, Any] = {}
    if not faults.is_empty(name := attributes.get("name")):
        if isinstance(name, str) and name.strip():
            segment["name"] = name
        else:
            faults.append(Fault("invalid_parameter", "it must be a text that is not blank", _NAME))
    elif isinstance(name, str):
        faults.append(Fault("invalid_parameter", "it must be a text that is not blank", _NAME))
    if not faults.is_empty(process := attributes.get("opt_in_process")):
        if isinstance(process, str) and process in _PROCESSES:
            segment["is_double_opt_in"] = _PROCESSES[process]
        else:
            faults.append(Fault("invalid_parameter", f"it must be {' or '.join(_PROCESSES)}", _PROCESS))
    return segment


def _parsed(request: Request, segment: Mapping[str, Any], faults: list[Fault]) -> ParsedRequest:
    command = {"match": NO_MATCH, "segment": segment}
    context = {**link_context(request), "list_fields": LIST_FIELDS, "include": ()}
    return ParsedRequest(None, [ParsedCommand(command, faults)], context)


# --- replies ---


def render_creation(result: Result) -> Reply:
    return _render(result, 201)


def render_change(result: Result) -> Reply:
    return _render(result, 200)


def _render(result: Result, status: int) -> Reply:
    """Render the list as it is now. The database of the result is from before."""
    (segment,) = result.outcomes
    assert isinstance(segment, Segment)
    return render_resource(list_resource(segment.id, segment, result.context), status)

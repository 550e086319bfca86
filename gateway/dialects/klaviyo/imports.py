"""Bulk import jobs: many profiles, each created or updated by itself, and what the job resulted in."""

from collections.abc import Container, Mapping
from typing import Any

from gateway.core.faults import Fault, Refusal
from gateway.core.model import Job, Profile, Update
from gateway.core.pointer import join_pointer
from gateway.dialects.klaviyo.errors import distinct_faults, render_fault
from gateway.dialects.klaviyo.fields import ATTRIBUTE_NAMES, LOCATION_PATHS
from gateway.dialects.klaviyo.jobs import IMPORTS, job_of
from gateway.dialects.klaviyo.jsonapi.cursors import render_slice
from gateway.dialects.klaviyo.jsonapi.documents import (
    BodyFaults,
    parse_attributes,
    parse_related_ids,
    parse_resource,
    type_faults,
)
from gateway.dialects.klaviyo.lists import change_lists, render_list_ids, render_lists
from gateway.dialects.klaviyo.replies import profile_resource
from gateway.dialects.klaviyo.requests import PROFILES, parse_profiles, parse_upsert
from gateway.dialects.protocol import ParsedCommand, ParsedRequest, Reply, Request, Result

# --- requests ---


def parse_job_creation(request: Request) -> ParsedRequest:
    """Parse `POST /api/profile-bulk-import-jobs`. In contrast to other calls, null does not clear an attribute."""
    data, faults = parse_resource(request, IMPORTS.type)
    elements = parse_profiles(parse_attributes(data, faults), faults)
    if not (elements or any(fault.pointer == PROFILES for fault in faults)):
        faults.append(Fault("missing_parameter", "it is missing", PROFILES))
    lists = change_lists("add", parse_related_ids(data, "lists", "list", faults))
    if faults:
        raise Refusal(faults)
    commands = [_parse_element(element, lists, request.is_typed) for element in elements]
    job = {"kind": IMPORTS.kind, "lists": tuple(lists["segments"]["add"]) if lists else ()}
    return ParsedRequest(None, commands, IMPORTS.parse_context(request), job=job)


def _parse_element(element: Any, lists: Update, is_typed: bool) -> ParsedCommand:
    if not isinstance(element, dict):
        return ParsedCommand(None, [Fault("invalid_parameter", "it must be an object", "/data")])
    faults = BodyFaults(is_typed, type_faults(element, "profile", "/data"))
    data: dict[str, Any] = {**element, "attributes": without_nulls(element.get("attributes"))}
    return ParsedCommand({**parse_upsert(data, faults), **lists}, faults, element)


def without_nulls(attributes: Any) -> Any:
    """Return attributes without those that are null, also within location and properties. Unknown ones stay."""
    if not isinstance(attributes, dict):
        return attributes
    values = _remove_null_members(attributes, ATTRIBUTE_NAMES)
    if isinstance(location := values.get("location"), dict):
        values["location"] = _remove_null_members(location, LOCATION_PATHS)
    if isinstance(properties := values.get("properties"), dict):
        values["properties"] = _remove_null_members(properties, properties)
    return values


def _remove_null_members(members: Mapping[str, Any], known: Container[str]) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value is not None or name not in known}


# --- replies ---


def render_errors(result: Result) -> Reply:
    """Render a page of the faults of a job's profiles, each with the payload that it is about."""
    job, context = job_of(result), result.context
    rows = ((row, distinct_faults(Fault(**fault) for fault in row["faults"])) for row in job.failures)
    faults = [(row, number, fault) for row, found in rows for number, fault in enumerate(found)]
    page = faults[context["skip"] :][: context["size"]]
    return render_slice(context, [_import_error(job, *each) for each in page], len(faults))


def render_profiles(result: Result) -> Reply:
    """Render a page of a job's profiles in their present state, without those that were removed."""
    profiles = [profile_resource(each, result.context) for each in result.outcomes if isinstance(each, Profile)]
    return render_slice(result.context, profiles, len(job_of(result).profiles))


def render_profile_ids(result: Result) -> Reply:
    """Render a page of the resource identifiers of a job's profiles."""
    profiles, context = job_of(result).profiles, result.context
    page = profiles[context["skip"] :][: context["size"]]
    return render_slice(context, [{"type": "profile", "id": id} for id in page], len(profiles))


def render_related_lists(result: Result) -> Reply:
    """Render the lists that a job adds its profiles to."""
    return render_lists(result, job_of(result).lists)


def render_related_list_ids(result: Result) -> Reply:
    """Render the resource identifiers of those lists."""
    return render_list_ids(result, job_of(result).lists)


def _import_error(job: Job, row: Mapping[str, Any], number: int, fault: Fault) -> dict[str, Any]:
    error = render_fault(fault)
    pointer = error["source"].get("pointer", "/data").removeprefix("/data")
    source = {"pointer": PROFILES + join_pointer(row["index"]) + pointer}
    attributes = {**error, "source": source, "original_payload": row["sent"]}
    return {"type": "import-error", "id": f"{job.id}-{row['index']}-{number}", "attributes": attributes}

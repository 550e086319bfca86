"""Suppression jobs: each address is suppressed, or no longer suppressed, by itself.

A suppression is a fact about the address, which applies to every profile that has it. It changes no consent.
"""

from collections.abc import Mapping
from typing import Any

from gateway.core import normalization
from gateway.core.faults import Fault, Refusal
from gateway.core.model import Update
from gateway.core.pointer import join_pointer
from gateway.dialects.klaviyo.fields import NAMESPACE
from gateway.dialects.klaviyo.jobs import SUPPRESSIONS, UNSUPPRESSIONS, JobType
from gateway.dialects.klaviyo.jsonapi.documents import (
    ATTRIBUTES,
    BodyFaults,
    parse_attributes,
    parse_list,
    parse_object,
    parse_resource,
    reject_unknown,
    type_faults,
)
from gateway.dialects.klaviyo.requests import KEEP_OWNERS, PROFILES, parse_profile_attributes, parse_profiles
from gateway.dialects.protocol import ParsedCommand, ParsedRequest, Request

MAX_SUPPRESSIONS = 100
"""Addresses in one job."""

_SUPPRESS, _UNSUPPRESS = "add", "remove"
"""What a job does with the suppressions of its addresses."""

FORMER_SUPPRESSION: Update = {"profile": {NAMESPACE: {"suppression": None}}}
"""The part of an update that removes a suppression as earlier versions stored it: a profile that is loaded has it."""


def parse_creation(request: Request) -> ParsedRequest:
    """Parse `POST /api/profile-suppression-bulk-create-jobs`. An unknown address becomes a profile."""
    return _parse_job(request, SUPPRESSIONS, SUPPRESSIONS.type, _SUPPRESS)


def parse_deletion(request: Request) -> ParsedRequest:
    """Parse `POST /api/profile-suppression-bulk-delete-jobs`. An unknown address is skipped."""
    return _parse_job(request, UNSUPPRESSIONS, UNSUPPRESSIONS.type, _UNSUPPRESS)


def parse_deletion_of_2023(request: Request) -> ParsedRequest:
    """Parse `POST /api/profile-unsuppression-bulk-create-jobs` of the revisions of 2023."""
    return _parse_job(request, UNSUPPRESSIONS, "profile-unsuppression-bulk-create-job", _UNSUPPRESS)


def _parse_job(request: Request, job_type: JobType, type: str, action: str) -> ParsedRequest:
    data, faults = parse_resource(request, type)
    elements = _parse_elements(data, faults)
    if faults:
        raise Refusal(faults)
    commands = [_parse_element(element, action, request.is_typed) for element in elements]
    for index, command in enumerate(commands):
        faults.add_nested(join_pointer("updates", index), command.faults)
    if faults:
        raise Refusal(faults)
    return ParsedRequest(None, commands, job_type.parse_context(request), job={"kind": job_type.kind})


def _parse_elements(data: Mapping[str, Any], faults: BodyFaults) -> list[Any]:
    """Return the profiles of a job. In bodies of 2023 they are called `suppressions`."""
    attributes = parse_attributes(data, faults)
    elements = parse_profiles(attributes, faults)
    reject_unknown(attributes, ("profiles", "suppressions"), ATTRIBUTES, faults)
    elements += [_convert_2023(*each, faults) for each in enumerate(parse_list(attributes.get("suppressions"), faults))]
    if any(parse_object(data.get("relationships"), "/data/relationships", faults).values()):
        detail = "profiles are named one by one here, not by a list or a segment"
        faults.append(Fault("invalid_parameter", detail, "/data/relationships"))
    elif not 0 < len(elements) <= MAX_SUPPRESSIONS:
        faults.append(Fault("invalid_parameter", f"it must hold 1 to {MAX_SUPPRESSIONS} profiles", PROFILES))
    return elements


def _convert_2023(index: int, element: Any, faults: BodyFaults) -> Any:
    """Convert `{"email"}` to a resource. Faults are at the members of the body as it was sent."""
    pointer = join_pointer("data", "attributes", "suppressions", index)
    members = parse_object(element, pointer, faults)
    reject_unknown(members, ("email",), pointer, faults)
    _check_email(members.get("email"), f"{pointer}/email", faults)
    return {"type": "profile", "attributes": {"email": members.get("email")}}


def _check_email(email: Any, pointer: str, faults: BodyFaults) -> None:
    if not isinstance(email, str) or normalization.email(email) is None:
        faults.append(Fault("missing_parameter", "it must be an e-mail address", pointer))


def _parse_element(element: Any, action: str, is_typed: bool) -> ParsedCommand:
    if not isinstance(element, dict):
        return ParsedCommand(None, [Fault("invalid_parameter", "it must be an object", "/data")])
    faults = BodyFaults(is_typed, type_faults(element, "profile", "/data"))
    attributes = parse_profile_attributes(element, faults)
    reject_unknown(attributes, ("email",), ATTRIBUTES, faults)
    email = attributes.get("email")
    _check_email(email, f"{ATTRIBUTES}/email", faults)
    if faults:
        return ParsedCommand(None, faults)
    match = {"mode": "identifiers", "values": {"email": email}, "on_multiple": "addresses"}
    suppressions = {action: [{"channel": "email", "email": email}]}
    creation = {"if_absent": "create", "profile": {"email": email}, "set_once": ["/email"]}
    profile = creation if action == _SUPPRESS else FORMER_SUPPRESSION
    return ParsedCommand({"match": match, **KEEP_OWNERS, **profile, "suppressions": suppressions}, faults, element)

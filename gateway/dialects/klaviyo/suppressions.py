"""Klaviyo's requests that suppress addresses, and lift that, to canonical updates: each address on its own, as a job.

A suppression has no counterpart in the canonical form: it stays under `klaviyo`, and leaves every consent as it is.
"""

from typing import Any

from gateway.core import normalization
from gateway.core.faults import Fault, Refusal
from gateway.core.model import Update
from gateway.core.pointer import join_pointer
from gateway.dialects.klaviyo.jobs import SUPPRESSIONS, UNSUPPRESSIONS, Kind
from gateway.dialects.klaviyo.jsonapi.documents import (
    PROFILES,
    Faults,
    attributes_of,
    list_,
    object_,
    profiles_of,
    resource,
    type_faults,
)
from gateway.dialects.klaviyo.jsonapi.links import about_jobs
from gateway.dialects.klaviyo.requests import KEEP
from gateway.dialects.protocol import ParsedCommand, ParsedRequest, Request

MOST_SUPPRESSED = 100


def suppression(incoming: Request) -> ParsedRequest:
    """Reads `POST /api/profile-suppression-bulk-create-jobs`; an address that nobody has is made a profile."""
    written = {"klaviyo": {"suppression": {"reason": "USER_SUPPRESSED"}}}
    parts = {"if_absent": "create", "profile": written, "timestamps": ["/klaviyo/suppression/timestamp"]}
    return _suppressed(incoming, SUPPRESSIONS, SUPPRESSIONS.type, parts)


def unsuppression(incoming: Request) -> ParsedRequest:
    """Reads `POST /api/profile-suppression-bulk-delete-jobs`; an address that nobody has is skipped."""
    return _suppressed(incoming, UNSUPPRESSIONS, UNSUPPRESSIONS.type, _LIFTED)


def old_unsuppression(incoming: Request) -> ParsedRequest:
    """Reads `POST /api/profile-unsuppression-bulk-create-jobs`, which the revisions of 2023 have."""
    return _suppressed(incoming, UNSUPPRESSIONS, "profile-unsuppression-bulk-create-job", _LIFTED)


_LIFTED: Update = {"profile": {"klaviyo": {"suppression": None}}}


def _suppressed(incoming: Request, kind: Kind, type: str, parts: Update) -> ParsedRequest:
    """Each address on its own: what came of it is remembered as a job."""
    data, faults = resource(incoming, type)
    attributes = attributes_of(data, faults)
    elements = profiles_of(attributes, faults)
    elements += [{"type": "profile", "attributes": each} for each in list_(attributes.get("suppressions"), faults)]
    if any(object_(data.get("relationships"), "/data/relationships", faults).values()):
        detail = "profiles are named one by one here, not by a list or a segment"
        faults.append(Fault("invalid_parameter", detail, "/data/relationships"))
    elif not 0 < len(elements) <= MOST_SUPPRESSED:
        faults.append(Fault("invalid_parameter", f"it must hold 1 to {MOST_SUPPRESSED} profiles", PROFILES))
    reads = [_address(element, parts, incoming.is_typed) for element in elements]
    faults += [_within(index, fault) for index, read in enumerate(reads) for fault in read.faults]
    if faults:
        raise Refusal(faults)
    return ParsedRequest(None, reads, about_jobs(incoming, kind.type, kind.attributes), job={"kind": kind.name})


def _address(element: Any, parts: Update, typed: bool) -> ParsedCommand:
    if not isinstance(element, dict):
        return ParsedCommand(None, [Fault("invalid_parameter", "it must be an object", "/data")])
    faults = Faults(typed, type_faults(element, "profile", "/data"))
    email = attributes_of(element, faults).get("email")
    if not isinstance(email, str) or normalization.email(email) is None:
        faults.append(Fault("missing_parameter", "it must be an e-mail address", "/data/attributes/email"))
        return ParsedCommand(None, faults)
    profile = {"email": email, **parts.get("profile", {})} if parts.get("if_absent") == "create" else parts["profile"]
    match = {"mode": "identifiers", "values": {"email": email}}
    return ParsedCommand({"match": match, "on_conflict": KEEP, **parts, "profile": profile}, faults, element)


def _within(index: int, fault: Fault) -> Fault:
    return Fault(fault.code, fault.detail, join_pointer("updates", index) + fault.pointer)

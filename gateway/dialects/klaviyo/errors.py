"""Faults in the vendor's envelope, which is JSON:API's. Every fault of a request is told, each with its own status."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid5

from gateway.core.faults import Fault
from gateway.core.pointer import split_pointer
from gateway.dialects.klaviyo.fields import vendor_pointer

_NAMESPACE = UUID("5b1a8f0e-6a2c-4d5b-9b1e-6f4c1d0c7a11")
"""Of the errors' ids: the same error has the same id, so that a reply can be told beforehand."""

PHONE_FORMAT = "Invalid phone number format (Example of a valid format: +12345678901)"


@dataclass(frozen=True, slots=True)
class Kind:
    """What the vendor says of one kind of refusal; without a detail of its own, the fault's."""

    status: int
    code: str
    title: str
    detail: str = ""


_INVALID = Kind(400, "invalid", "Invalid input.")
_BY_STATUS = {
    404: Kind(404, "not_found", "Not found."),
    405: Kind(405, "method_not_allowed", "Method not allowed."),
    409: Kind(409, "conflict", "Conflict."),
    413: Kind(413, "request_too_large", "Request entity too large."),
    415: Kind(415, "unsupported_media_type", "Unsupported media type."),
    500: Kind(500, "error", "A server error occurred."),
    503: Kind(503, "service_unavailable", "Service temporarily unavailable."),
}
_DUPLICATE = Kind(409, "duplicate_profile", "Conflict.", "A profile already exists with one of these identifiers.")
_BY_CODE = {
    "no_token": Kind(
        401,
        "not_authenticated",
        "Authentication credentials were not provided.",
        "Missing or invalid authorization scheme. Please use Klaviyo-API-Key.",
    ),
    "unknown_token": Kind(
        401, "authentication_failed", "Incorrect authentication credentials.", "Incorrect authentication credentials."
    ),
    "missing_right": Kind(
        403,
        "permission_denied",
        "You do not have permission to perform this action.",
        "You do not have permission to perform this action.",
    ),
    "identifier_taken": _DUPLICATE,
    "ambiguous_match": _DUPLICATE,
    "too_many_profiles": _INVALID,
    "rate_limited": Kind(429, "throttled", "Request was throttled."),
}
_POINTERS = {
    "identifier_taken": "/data/attributes",
    "ambiguous_match": "/data/attributes",
    "too_many_profiles": "/data/attributes/profiles/data",
    "unknown_company": "/parameter/company_id",
}
"""Where a fault is whose own pointer does not say it in the vendor's terms."""


def status(faults: Sequence[Fault]) -> int:
    """The first fault decides."""
    return _kind(faults[0]).status


def envelope(faults: Sequence[Fault]) -> dict[str, Any]:
    """The body of a refusal; what two checks found of one value is told once."""
    return {"errors": list({error["id"]: error for error in map(_error, faults)}.values())}


def told(fault: Fault) -> dict[str, Any]:
    """code, title, detail and source: what an error of a request and one of an import have in common."""
    kind = _kind(fault)
    return {"code": kind.code, "title": kind.title, "detail": _detail(fault, kind), "source": _source(fault)}


def _error(fault: Fault) -> dict[str, Any]:
    body = told(fault)
    id = uuid5(_NAMESPACE, f"{body['code']} {body['detail']} {body['source']} {fault.profile}")
    meta = {"duplicate_profile_id": fault.profile} if _kind(fault) is _DUPLICATE and fault.profile else {}
    return {"id": str(id), "status": _kind(fault).status, **body, "links": {}, "meta": meta}


def _kind(fault: Fault) -> Kind:
    return _BY_CODE.get(fault.code) or _BY_STATUS.get(fault.status, _INVALID)


def _detail(fault: Fault, kind: Kind) -> str:
    pointer = vendor_pointer(fault.pointer)
    if kind.detail:
        return kind.detail
    if fault.code == "profile_not_found" and fault.profile:
        return f"A profile with id {fault.profile} does not exist."
    if fault.code == "unknown_field":
        return f"'{split_pointer(pointer)[-1]}' is not a valid field for the resource 'profile'."
    is_there = fault.code != "missing_parameter"
    if is_there and pointer.endswith("/phone_number") and "is not of type" not in fault.detail:
        return PHONE_FORMAT
    return fault.text


def _source(fault: Fault) -> Mapping[str, str]:
    pointer = _POINTERS.get(fault.code, fault.pointer)
    match split_pointer(pointer):
        case ["parameter", name]:
            return {"parameter": name}
        case ["query", *_]:
            return {"parameter": "filter"}
        case ["dry_run" | "Idempotency-Key" as name]:
            return {"parameter": name}
    return {"pointer": vendor_pointer(pointer)}

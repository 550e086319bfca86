"""Faults as Klaviyo's errors: an error object of JSON:API for each fault, with the vendor's codes and pointers."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from gateway.core.faults import Fault
from gateway.core.pointer import join_pointer, split_pointer
from gateway.dialects.klaviyo.fields import COORDINATES, FIELDS, IDENTIFIERS, NAMESPACE
from gateway.dialects.klaviyo.jsonapi.documents import ATTRIBUTES
from gateway.dialects.klaviyo.jsonapi.errors import ErrorType, render_envelope, render_error
from gateway.dialects.klaviyo.requests import PROFILE
from gateway.dialects.protocol import Reply

PHONE_FORMAT = "Invalid phone number format (Example of a valid format: +12345678901)"

_INVALID = ErrorType(400, "invalid", "Invalid input.")
_DUPLICATE = ErrorType(409, "duplicate_profile", "Conflict.", "A profile already exists with one of these identifiers.")
_TYPES_BY_STATUS = {
    404: ErrorType(404, "not_found", "Not found."),
    405: ErrorType(405, "method_not_allowed", "Method not allowed."),
    409: ErrorType(409, "conflict", "Conflict."),
    413: ErrorType(413, "request_too_large", "Request entity too large."),
    415: ErrorType(415, "unsupported_media_type", "Unsupported media type."),
    500: ErrorType(500, "error", "A server error occurred."),
    503: ErrorType(503, "service_unavailable", "Service temporarily unavailable."),
}
_TYPES_BY_CODE = {
    "no_token": ErrorType(
        401,
        "not_authenticated",
        "Authentication credentials were not provided.",
        "Missing or invalid authorization scheme. Please use Klaviyo-API-Key.",
    ),
    "unknown_token": ErrorType(
        401, "authentication_failed", "Incorrect authentication credentials.", "Incorrect authentication credentials."
    ),
    "missing_right": ErrorType(
        403,
        "permission_denied",
        "You do not have permission to perform this action.",
        "You do not have permission to perform this action.",
    ),
    "identifier_taken": _DUPLICATE,
    "ambiguous_match": _DUPLICATE,
    "too_many_profiles": _INVALID,
    "rate_limited": ErrorType(429, "throttled", "Request was throttled."),
}
_POINTERS = {
    "identifier_taken": ATTRIBUTES,
    "ambiguous_match": ATTRIBUTES,
    "too_many_profiles": "/data/attributes/profiles/data",
    "unknown_company": "/parameter/company_id",
}
"""The vendor's pointer for codes whose faults have no pointer in the vendor's terms."""

NESTED = "nested"
"""The start of a canonical pointer in a call whose profile is nested in another resource."""

LIST = "/data/relationships/list/data"
"""The only list of a job or form of subscriptions, which its profiles have in common."""

EVENTS, MEMBERS = "events", "members"
"""The starts of canonical pointers in calls whose updates are batches of events, or members of a list."""

_ADDRESS_MEMBERS = ("profile", "match", "subscriptions", "suppressions", "operations")
"""The members of a command that have addresses."""

_SUBSCRIPTION_MEMBERS = {"email": "email", "phone": "phone_number", "cc_data": "phone_number"}
"""The attribute of a profile by the member of a canonical subscription."""


def render_faults(faults: Sequence[Fault]) -> Reply:
    """Render every fault. The first one decides the status."""
    return Reply(_error_type(faults[0]).status, render_envelope(map(_render_error, distinct_faults(faults))))


def distinct_faults(faults: Iterable[Fault]) -> list[Fault]:
    """Return the faults, each once: an address that a command has in several places is one member of the body."""
    origins: dict[str, str] = {}
    distinct: dict[tuple[str, ...], Fault] = {}
    for fault in faults:
        source, origin = str(_source(fault)), _origin(fault)
        if origins.setdefault(source, origin) == origin:
            distinct.setdefault((source, _detail(fault, _error_type(fault)), fault.profile), fault)
    return list(distinct.values())


def _origin(fault: Fault) -> str:
    """Return the member of the command that a fault is in: its profile, its match, its subscriptions."""
    names = (name for name in split_pointer(fault.pointer) if name in _ADDRESS_MEMBERS)
    return next(names, "")


def render_fault(fault: Fault) -> dict[str, Any]:
    """Return the members that the errors of a request and of an import have in common."""
    error = _render_error(fault)
    return {name: error[name] for name in ("code", "title", "detail", "source")}


def _render_error(fault: Fault) -> dict[str, Any]:
    error_type = _error_type(fault)
    meta = {"duplicate_profile_id": fault.profile} if error_type is _DUPLICATE and fault.profile else {}
    return render_error(error_type, _detail(fault, error_type), _source(fault), meta, fault.profile)


def _error_type(fault: Fault) -> ErrorType:
    return _TYPES_BY_CODE.get(fault.code) or _TYPES_BY_STATUS.get(fault.status, _INVALID)


def _detail(fault: Fault, error_type: ErrorType) -> str:
    pointer = vendor_pointer(fault.pointer)
    if error_type.detail:
        return error_type.detail
    if fault.code == "profile_not_found" and fault.profile:
        return f"A profile with id {fault.profile} does not exist."
    if fault.code == "unknown_segment" and fault.segment:
        return f"A list with id {fault.segment} does not exist."
    if fault.code == "unknown_field":
        return f"'{split_pointer(pointer)[-1]}' is not a valid field for the resource 'profile'."
    is_phone = pointer.endswith("/phone_number") and fault.code != "missing_parameter"
    return PHONE_FORMAT if is_phone and "is not of type" not in fault.detail else fault.text


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


def body_pointer(pointer: str) -> str:
    """Return the place in a body that a canonical pointer means. A pointer to what is outside the body stays."""
    is_outside = pointer.startswith(("/parameter/", "/query/")) or pointer in ("", "/dry_run", "/Idempotency-Key")
    return pointer if is_outside else vendor_pointer(pointer)


def vendor_pointer(pointer: str) -> str:
    """Return the vendor's pointer for a canonical one. A pointer into `/data` is the vendor's already."""
    match split_pointer(pointer):
        case ["data", *_]:
            return pointer
        case ["updates", _, "segments", *_] | ["nested", "segments", *_]:
            return LIST
        case ["nested", *path]:
            return PROFILE + vendor_pointer(join_pointer(*path))
        case ["members", index, *_]:
            return join_pointer("data", index, "id")
        case ["events", index, *path]:
            batch = join_pointer("data", "attributes", "events-bulk-create", "data", index)
            return f"{batch}/attributes/profile" + vendor_pointer(join_pointer(*path))
        case ["updates", index, *path]:
            inner = vendor_pointer(join_pointer(*path)).removeprefix("/data")
            return join_pointer("data", "attributes", "profiles", "data", index) + inner
        case ["profile", "klaviyo", "emails", *_]:
            return "/data/meta/patch_identifiers/append/email"
        case ["profile", *path]:
            return ATTRIBUTES + _attribute_pointer(path)
        case ["match", "values", "profile_id"]:
            return "/data/id"
        case ["match", "values", value]:
            return ATTRIBUTES + join_pointer(next(name for name, each in IDENTIFIERS.items() if each == value))
        case ["sources", *_]:
            return "/data/relationships/profiles/data"
        case ["subscriptions", _, member, *_] if member in _SUBSCRIPTION_MEMBERS:
            return ATTRIBUTES + join_pointer(_SUBSCRIPTION_MEMBERS[member])
        case ["subscriptions", *_]:
            return "/data/attributes/subscriptions"
        case ["suppressions", *_]:
            return f"{ATTRIBUTES}/email"
        case ["segments", *_]:
            return "/data/relationships/lists/data"
    return "/data"


_ATTRIBUTES = (*FIELDS.items(), *((f"location.{member}", (NAMESPACE, member)) for member in COORDINATES))
"""The attributes and their canonical paths. The text of a coordinate has its own."""


def _attribute_pointer(path: list[str]) -> str:
    for name, field_path in _ATTRIBUTES:
        if tuple(path[: len(field_path)]) == field_path:
            rest = () if name == "phone_number" else path[len(field_path) :]
            return join_pointer(*name.split("."), *rest)
    return join_pointer(*path)

"""Faults in Courier's terms: status, `type` and `message`."""

from collections.abc import Sequence

from gateway.core.faults import Fault
from gateway.core.pointer import join_pointer, split_pointer
from gateway.dialects.courier.fields import vendor_name
from gateway.dialects.protocol import Reply

_STATUSES = {"unknown_token": 401}
"""Courier's status by fault code, where it differs from the catalog's."""

_TYPES = {401: "authentication_error", 403: "authorization_error", 429: "rate_limit_error"}
"""An error's `type` by status. The default for any other 4xx is invalid_request_error, for 5xx api_error."""

_TEXTS = {"profile_not_found": "Profile not found", "unknown_field": "it is not declared"}

_HEADERS = {401: {"www-authenticate": "Bearer"}, 409: {"x-should-retry": "false"}}
"""Headers by status. The SDKs retry a 409 unless `x-should-retry` is false."""


def render_faults(faults: Sequence[Fault]) -> Reply:
    """Render the `message` of every fault, and the status and `type` of the first one."""
    status = _STATUSES.get(faults[0].code, faults[0].status)
    message = "; ".join(dict.fromkeys(map(_message, faults)))
    return Reply(status, {"message": message, "type": _type(status)}, _HEADERS.get(status, {}))


def _type(status: int) -> str:
    return _TYPES.get(status, "invalid_request_error" if status < 500 else "api_error")


def _message(fault: Fault) -> str:
    names = vendor_name(split_pointer(fault.pointer))
    name = ".".join(names) or ('""' if names else "")
    if fault.code == "unknown_segment" and not name:
        return "List not found"
    text = fault.detail or _TEXTS.get(fault.code, fault.text)
    return f"{name}: {text}" if name else text


def body_pointer(pointer: str) -> str:
    """Return the place in a body that a canonical pointer means."""
    return join_pointer(*vendor_name(split_pointer(pointer)))

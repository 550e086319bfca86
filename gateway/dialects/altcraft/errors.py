"""Faults in Altcraft's terms: status, `error` and `error_text`."""

from collections.abc import Sequence
from typing import Any

from gateway.core.faults import Fault
from gateway.core.pointer import join_pointer, split_pointer
from gateway.dialects.altcraft.fields import parameter_name, vendor_name, vendor_path
from gateway.dialects.protocol import Reply


def render_faults(faults: Sequence[Fault], always_200: bool) -> Reply:
    """Render the reply to a rejected request. The first fault decides the status."""
    status = 200 if always_200 else faults[0].status
    return Reply(status, render_errors(faults), {"www-authenticate": "Bearer"} if status == 401 else {})


def render_errors(faults: Sequence[Fault]) -> dict[str, Any]:
    """Return the status of the first fault as `error`, and the text of every fault as `error_text`."""
    return {"error": faults[0].status, "error_text": "; ".join(dict.fromkeys(map(_text, faults)))}


def _text(fault: Fault) -> str:
    """Return a fault's text in the vendor's wording, with the vendor's name of the field."""
    path = split_pointer(fault.pointer)
    if not path:
        return fault.text
    if fault.code == "unknown_field":
        return f'with field "{vendor_name(path)}": {fault.text}'
    return f'field "{vendor_name(path)}" is not valid: {fault.text}{_subscription_index(path)}'


def _subscription_index(path: list[str]) -> str:
    """Return the index of the subscription, if the fault is in another one than the first."""
    has_index = path[0] == "subscriptions" and path[1:2] not in ([], ["0"])
    return f" (subscriptions[{path[1]}])" if has_index else ""


def body_pointer(pointer: str) -> str:
    """Return the place in a body that a canonical pointer means."""
    match split_pointer(pointer):
        case ["updates", index, *path]:
            return f"/data/{index}" + body_pointer(join_pointer(*path)).removeprefix("/data")
        case ["profile", *path]:
            return "/data" + join_pointer(*vendor_path(path))
        case ["subscriptions", *path]:
            return join_pointer("data", "subscriptions", *path)
        case ["match", "values", name, *_]:
            return join_pointer(name)
        case path:
            parameter = parameter_name(path)
            return join_pointer(parameter) if parameter else pointer

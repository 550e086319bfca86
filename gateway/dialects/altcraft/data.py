"""`data` in canonical form: the merge patch, the operations and the subscriptions. The leaves keep their types."""

from collections.abc import Mapping
from typing import Any

from gateway.core.faults import Fault
from gateway.core.model import Update
from gateway.core.pointer import join_pointer
from gateway.dialects.altcraft.fields import FIELDS, READ_ONLY_FIELDS, canonical_path
from gateway.dialects.altcraft.parameters import TEXT_MEMBERS, strip_text

ACTIONS = ("set", "unset", "incr", "add", "delete", "upsert")
MAX_SUBMATCH_LEVELS = 32
"""Levels of a submatch. The stored result has as many, and a codec cannot encode some hundreds of levels."""


def parse_data(data: Mapping[str, Any], faults: list[Fault]) -> Update:
    """Return the merge patch, operations and subscriptions of `data`. Append its faults to `faults`."""
    profile: dict[str, Any] = {}
    operations: list[dict[str, Any]] = []
    parts: Update = {}
    for name, value in data.items():
        if name == "subscriptions":
            if value is not None:
                parts["subscriptions"] = _parse_subscriptions(value, faults)
        elif not name:
            faults.append(Fault("unknown_field", pointer="/profile/custom/"))
        elif name in READ_ONLY_FIELDS:
            faults.append(Fault("read_only_field", pointer=join_pointer("profile", name)))
        elif isinstance(value, dict):
            _parse_object(profile, operations, canonical_path(name), value, faults, "/profile")
        else:
            _set(profile, canonical_path(name), value)
    members = {"profile": profile, "operations": operations}
    return {**parts, **{name: value for name, value in members.items() if value}}


# --- the value of a field ---


def _parse_object(
    patch: dict[str, Any],
    operations: list[dict[str, Any]],
    path: tuple[str, ...],
    value: dict[str, Any],
    faults: list[Fault],
    pointer: str,
) -> None:
    """Add an object as a field's value: a plain value to the merge patch, anything else to the operations."""
    try:
        action, argument, options = _parse_function(value)
    except ValueError as reason:
        return faults.append(Fault("invalid_function", str(reason), pointer + join_pointer(*path)))
    if action == "set" and not isinstance(argument, dict):
        return _set(patch, path, argument)
    return operations.append({"function": action, "pointer": join_pointer(*path), "value": argument, **options})


def _set(patch: dict[str, Any], path: tuple[str, ...], value: Any) -> None:
    for name in path[:-1]:
        patch = patch.setdefault(name, {})
    patch[path[-1]] = _COERCIONS[path](value) if path in _COERCIONS else value


def _text_of_number(value: Any) -> Any:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _list_of_text(value: Any) -> Any:
    return [value] if isinstance(value, str) and value else value


_COERCIONS = {FIELDS["_postal_code"]: _text_of_number, FIELDS["phones"]: _list_of_text}
"""Clients send a postal code as a number, and a single phone number without a list."""


def _parse_function(value: dict[str, Any]) -> tuple[str, Any, dict[str, Any]]:
    """Return the action, value and options of an object. Without an action the object is a value to set.

    `unset` sets null. Raises `ValueError` with the reason.
    """
    action = strip_text(value.get("action"))
    if action not in ACTIONS:
        return "set", value, {}
    if action == "unset":
        return "set", None, {}
    if "value" not in value:
        raise ValueError(f"{action} needs a value")
    if action == "upsert":
        return action, value["value"], {"submatch": _parse_submatch(value.get("submatch"))}
    is_single = action in ("add", "delete") and not isinstance(value["value"], list)
    return action, [value["value"]] if is_single else value["value"], {}


def _parse_submatch(value: Any) -> str:
    submatch = strip_text(value)
    if not isinstance(submatch, str) or not all(submatch.split(".")):
        raise ValueError("upsert needs a submatch")
    if submatch.count(".") >= MAX_SUBMATCH_LEVELS:
        raise ValueError(f"submatch leads deeper than {MAX_SUBMATCH_LEVELS} levels")
    return submatch


# --- subscriptions ---

_ADDRESS_OBJECTS = {"email_data": "email", "phone_data": "phone"}
"""Objects that contain an address, which some clients send in place of the address."""

_CANONICAL_MEMBERS = ("operations", "lifts")
"""Members of the canonical form that Altcraft's subscriptions do not have."""

_PARSED_MEMBERS = {"custom_fields", *_CANONICAL_MEMBERS, *_ADDRESS_OBJECTS}
"""The members of a subscription that are not copied unchanged."""


def _parse_subscriptions(value: Any, faults: list[Fault]) -> Any:
    """Parse each subscription. The schema rejects what is not a list or an object."""
    if isinstance(value, dict):
        subscription, found = parse_subscription(value, "/subscriptions/0")
        faults += found
        return subscription
    if not isinstance(value, list):
        return value
    subscriptions = []
    for index, each in enumerate(value):
        pointer = f"/subscriptions/{index}"
        subscription, found = parse_subscription(each, pointer) if isinstance(each, dict) else (each, [])
        subscriptions.append(subscription)
        faults += found
    return subscriptions


def parse_subscription(members: Mapping[str, Any], pointer: str) -> tuple[dict[str, Any], list[Fault]]:
    """Return a subscription in canonical form, and its faults. `pointer` is its own."""
    present = {name: value for name, value in members.items() if value != "" or name not in TEXT_MEMBERS}
    if _PARSED_MEMBERS.isdisjoint(members):
        return present, []
    subscription = {name: value for name, value in present.items() if name not in _PARSED_MEMBERS}
    faults = [Fault("unknown_field", pointer=f"{pointer}/{name}") for name in _CANONICAL_MEMBERS if name in members]
    for name, address in _ADDRESS_OBJECTS.items():
        _parse_address(subscription, address, members.get(name), faults, f"{pointer}/{name}")
    _parse_custom_fields(subscription, members.get("custom_fields"), faults, pointer)
    return subscription, faults


def _parse_custom_fields(subscription: dict[str, Any], fields: Any, faults: list[Fault], pointer: str) -> None:
    if fields is None:
        return
    if not isinstance(fields, dict):
        subscription["custom_fields"] = fields
        return
    operations: list[dict[str, Any]] = []
    for name, value in fields.items():
        path = ("custom_fields", name)
        if isinstance(value, dict):
            _parse_object(subscription, operations, path, value, faults, pointer)
        else:
            _set(subscription, path, value)
    if operations:
        subscription["operations"] = operations


def _parse_address(subscription: dict[str, Any], name: str, value: Any, faults: list[Fault], pointer: str) -> None:
    """Add the address in an object. It must equal the address beside the object, if there is one."""
    if value is None:
        return
    if not isinstance(value, dict):
        faults.append(Fault("invalid_field", "it must be an object", pointer))
    elif subscription.get(name) is None:
        subscription |= {name: value[name]} if name in value else {}
    elif value.get(name) not in (None, subscription[name]):
        faults.append(Fault("invalid_field", f"it must hold the same as {name}", pointer))

"""`data` in canonical form: the merge patch, the operations and the subscriptions. The leaves keep their types."""

from collections.abc import Mapping
from typing import Any

from gateway.core.excerpt import excerpt
from gateway.core.faults import Fault
from gateway.core.model import Update
from gateway.core.pointer import join_pointer
from gateway.dialects.altcraft.fields import FIELDS, READ_ONLY_FIELDS, canonical_path
from gateway.dialects.altcraft.parameters import TEXT_MEMBERS, is_blank, strip_text

ACTIONS = ("set", "unset", "incr", "add", "delete", "upsert")
_FUNCTION_MEMBERS = {"action", "value", "submatch"}
MAX_SUBMATCH_LEVELS = 32
"""Levels of a submatch. The stored result has as many, and a codec cannot encode some hundreds of levels."""


def parse_data(data: Mapping[str, Any], faults: list[Fault], is_typed: bool) -> Update:
    """Return the merge patch, operations and subscriptions of `data`. Append its faults to `faults`."""
    parts: Update = {}
    edits = _FieldEdits(not is_typed and _has_object(data), "/profile", faults)
    for name, value in data.items():
        if name == "subscriptions":
            if value is not None:
                parts["subscriptions"] = _parse_subscriptions(value, faults, is_typed)
        elif not name:
            faults.append(Fault("unknown_field", pointer="/profile/custom/"))
        elif name in READ_ONLY_FIELDS:
            # A plain value is ignored: clients send back what profiles/get returns.
            if isinstance(value, dict) and "action" in value:
                faults.append(Fault("read_only_field", pointer=join_pointer("profile", name)))
        elif isinstance(value, dict):
            edits.add_object(canonical_path(name), value)
        else:
            edits.set_value(canonical_path(name), value)
    members = {"profile": edits.patch, "operations": edits.operations}
    return {**parts, **{name: value for name, value in members.items() if value}}


# --- the value of a field ---


class _FieldEdits:
    """The merge patch and the operations of fields.

    XML does not distinguish an object from a list with one object. So if there is any, the edits are deferred: each
    value to set is an operation. The schema moves what is no object into the merge patch, and keeps the order.
    """

    def __init__(self, is_deferred: bool, pointer: str, faults: list[Fault]) -> None:
        self.patch: dict[str, Any] = {}
        self.operations: list[dict[str, Any]] = []
        self._is_deferred = is_deferred
        self._pointer = pointer
        self._faults = faults

    def add_object(self, path: tuple[str, ...], value: dict[str, Any], *, needs_action: bool = False) -> None:
        """Add an object: a function, or a value. With `needs_action`, what looks like a function must be one."""
        try:
            action, argument, options = _parse_function(value, needs_action)
        except ValueError as reason:
            return self._faults.append(Fault("invalid_function", str(reason), self._pointer + join_pointer(*path)))
        if action == "set" and not isinstance(argument, dict):
            return self.set_value(path, argument)
        return self._add_operation(action, path, argument, **options)

    def set_value(self, path: tuple[str, ...], value: Any) -> None:
        """Set a field to a value that is not an object."""
        value = _COERCIONS[path](value) if path in _COERCIONS else value
        if self._is_deferred:
            return self._add_operation("set", path, value)
        patch = self.patch
        for name in path[:-1]:
            patch = patch.setdefault(name, {})
        patch[path[-1]] = value
        return None

    def _add_operation(self, function: str, path: tuple[str, ...], value: Any, **options: Any) -> None:
        self.operations.append({"function": function, "pointer": join_pointer(*path), "value": value, **options})


def _has_object(fields: Mapping[str, Any]) -> bool:
    return any(isinstance(value, dict) for name, value in fields.items() if name != "subscriptions")


def _text_of_number(value: Any) -> Any:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _list_of_text(value: Any) -> Any:
    return [value] if isinstance(value, str) and not is_blank(value) else value


_COERCIONS = {FIELDS["_postal_code"]: _text_of_number, FIELDS["phones"]: _list_of_text}
"""Clients send a postal code as a number, and a single phone number without a list."""


def _parse_function(value: dict[str, Any], needs_action: bool) -> tuple[str, Any, dict[str, Any]]:
    """Return the action, value and options of an object. Without an action the object is a value to set.

    `unset` sets null. Raises `ValueError` with the reason.
    """
    action = strip_text(value.get("action"))
    if action not in ACTIONS:
        return "set", value, _unknown_action_options(value, needs_action)
    if action == "unset":
        return "set", None, {}
    if "value" not in value:
        raise ValueError(f"{action} needs a value")
    if action == "upsert":
        return action, value["value"], {"submatch": _parse_submatch(value.get("submatch"))}
    is_single = action in ("add", "delete") and not isinstance(value["value"], list)
    return action, [value["value"]] if is_single else value["value"], {}


def _unknown_action_options(value: Mapping[str, Any], needs_action: bool) -> dict[str, str]:
    """Return the options of an object to set. One that looks like a function replaces nothing but an object.

    Raises `ValueError` if it needs an action.
    """
    if "action" not in value or not value.keys() <= _FUNCTION_MEMBERS:
        return {}
    reason = f"{excerpt(value['action'])} is not an action: it must be one of {', '.join(ACTIONS)}"
    if needs_action:
        raise ValueError(reason)
    return {"object_only": reason}


def _parse_submatch(value: Any) -> str:
    submatch = strip_text(value)
    if not isinstance(submatch, str) or not all(submatch.split(".")):
        raise ValueError("upsert needs a submatch")
    if submatch.count(".") >= MAX_SUBMATCH_LEVELS:
        raise ValueError(f"submatch leads deeper than {MAX_SUBMATCH_LEVELS} levels")
    return submatch


# --- subscriptions ---

_ADDRESS_OBJECTS = {
    "email_data": ("email",),
    "phone_data": ("phone",),
    "push_data": ("provider", "subscription_id"),
}
"""Objects that contain the members of an address, which clients send in place of these members."""

_CANONICAL_MEMBERS = ("operations", "lifts")
"""Members of the canonical form that Altcraft's subscriptions do not have."""

_READ_ONLY_MEMBERS = ("hash_id", "is_delete", "reg_info")
"""Members that only the vendor sets. They are ignored: clients send back what they read."""

_PARSED_MEMBERS = {"custom_fields", *_CANONICAL_MEMBERS, *_READ_ONLY_MEMBERS, *_ADDRESS_OBJECTS}
"""The members of a subscription that are not copied unchanged."""


def _parse_subscriptions(value: Any, faults: list[Fault], is_typed: bool) -> Any:
    """Parse each subscription. The schema rejects what is not a list or an object."""
    if isinstance(value, dict):
        subscription, found = parse_subscription(value, "/subscriptions/0", is_typed)
        faults += found
        return subscription
    if not isinstance(value, list):
        return value
    subscriptions = []
    for index, each in enumerate(value):
        pointer = f"/subscriptions/{index}"
        subscription, found = parse_subscription(each, pointer, is_typed) if isinstance(each, dict) else (each, [])
        subscriptions.append(subscription)
        faults += found
    return subscriptions


def parse_subscription(members: Mapping[str, Any], pointer: str, is_typed: bool) -> tuple[dict[str, Any], list[Fault]]:
    """Return a subscription in canonical form, and its faults. `pointer` is its own."""
    present = {name: value for name, value in members.items() if value != "" or name not in TEXT_MEMBERS}
    if _PARSED_MEMBERS.isdisjoint(members):
        return present, []
    subscription = {name: value for name, value in present.items() if name not in _PARSED_MEMBERS}
    faults = [Fault("unknown_field", pointer=f"{pointer}/{name}") for name in _CANONICAL_MEMBERS if name in members]
    for name, address in _ADDRESS_OBJECTS.items():
        _parse_address(subscription, address, members.get(name), faults, f"{pointer}/{name}")
    _parse_custom_fields(subscription, members.get("custom_fields"), faults, pointer, is_typed)
    return subscription, faults


def _parse_custom_fields(
    subscription: dict[str, Any], fields: Any, faults: list[Fault], pointer: str, is_typed: bool
) -> None:
    if fields is None:
        return
    if not isinstance(fields, dict):
        subscription["custom_fields"] = fields
        return
    edits = _FieldEdits(not is_typed and _has_object(fields), pointer, faults)
    for name, value in fields.items():
        if isinstance(value, dict):
            edits.add_object(("custom_fields", name), value, needs_action=True)
        else:
            edits.set_value(("custom_fields", name), value)
    subscription |= edits.patch
    if edits.operations:
        subscription["operations"] = edits.operations


def _parse_address(
    subscription: dict[str, Any], names: tuple[str, ...], value: Any, faults: list[Fault], pointer: str
) -> None:
    """Add the members of an address object. Each must equal the member beside the object, if there is one."""
    if value is None:
        return
    if not isinstance(value, dict):
        faults.append(Fault("invalid_field", "it must be an object", pointer))
        return
    for name in names:
        if subscription.get(name) is None:
            subscription |= {name: value[name]} if name in value else {}
        elif value.get(name) is not None and strip_text(value[name]) != strip_text(subscription[name]):
            faults.append(Fault("invalid_field", f"it must hold the same as {name}", pointer))

"""Altcraft's subscriptions in canonical form. The leaves keep their types."""

from collections.abc import Mapping
from typing import Any

from gateway.core.faults import Fault
from gateway.dialects.altcraft.field_parser import FieldTable, parse_fields
from gateway.dialects.altcraft.fields import UNKNOWN_MEMBERS
from gateway.dialects.altcraft.parameters import TEXT_MEMBERS, strip_text, trim_members

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

_PARSED_MEMBERS = frozenset(
    {"custom_fields", *_CANONICAL_MEMBERS, *UNKNOWN_MEMBERS, *_READ_ONLY_MEMBERS, *_ADDRESS_OBJECTS}
)
"""The members of a subscription that are not copied unchanged."""


_CUSTOM_FIELDS = FieldTable({}, own="custom_fields", needs_action=True)


def parse_subscriptions(_name: str, value: Any, faults: list[Fault], is_typed: bool) -> Any:
    """Parse each subscription. The schema rejects what is not a list or an object. None: there are none."""
    if isinstance(value, dict):
        is_empty = not is_typed and not trim_members(value)
        return None if is_empty else parse_subscription(value, "/subscriptions/0", faults, is_typed)
    if not isinstance(value, list):
        return value if is_typed else strip_text(value) or None
    subscriptions = []
    for index, each in enumerate(value):
        if is_typed and isinstance(each, dict) and _PARSED_MEMBERS.isdisjoint(each) and "" not in each.values():
            subscriptions.append(each)
        elif isinstance(each, dict):
            subscriptions.append(parse_subscription(each, f"/subscriptions/{index}", faults, is_typed))
        else:
            subscriptions.append(each if is_typed else strip_text(each))
    return subscriptions


def parse_subscription(members: Mapping[str, Any], pointer: str, faults: list[Fault], is_typed: bool) -> dict[str, Any]:
    """Return a subscription in canonical form, and append its faults to `faults`. `pointer` is its own."""
    present = dict(members) if is_typed else trim_members(members)
    for name, value in members.items() if is_typed else ():
        if value == "" and name in TEXT_MEMBERS:
            del present[name]
    return present if _PARSED_MEMBERS.isdisjoint(present) else _parse_members(present, pointer, faults, is_typed)


def _parse_members(present: Mapping[str, Any], pointer: str, faults: list[Fault], is_typed: bool) -> dict[str, Any]:
    """Return a subscription that has own fields, an address in an object, or members that only the vendor sets."""
    subscription = {
        UNKNOWN_MEMBERS.get(name, name): value
        for name, value in present.items()
        if name not in _PARSED_MEMBERS or (name in UNKNOWN_MEMBERS and value is not None)
    }
    faults += [Fault("unknown_field", pointer=f"{pointer}/{name}") for name in _CANONICAL_MEMBERS if name in present]
    for name, address in _ADDRESS_OBJECTS.items():
        _parse_address(subscription, address, present.get(name), faults, f"{pointer}/{name}")
    _parse_custom_fields(subscription, present.get("custom_fields"), faults, pointer, is_typed)
    return subscription


def _parse_custom_fields(
    subscription: dict[str, Any], fields: Any, faults: list[Fault], pointer: str, is_typed: bool
) -> None:
    if fields is None:
        return
    if not isinstance(fields, dict):
        subscription["custom_fields"] = fields
        return
    patch, operations, _ = parse_fields(fields, _CUSTOM_FIELDS, pointer, faults, is_typed)
    subscription |= patch
    if operations:
        subscription["operations"] = operations


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

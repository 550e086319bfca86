"""What a resource writes, as a merge patch and operations: its attributes, then the patches of its meta."""

from collections.abc import Mapping
from typing import Any

from gateway.core.faults import Fault
from gateway.core.model import Update
from gateway.core.pointer import join_pointer
from gateway.dialects.klaviyo.fields import COORDINATES, FIELDS, IDENTIFIERS, LOCATION, as_sent, number_in
from gateway.dialects.klaviyo.jsonapi.documents import Faults, list_, object_


def writing(attributes: Mapping[str, Any], data: Mapping[str, Any], faults: Faults) -> Update:
    """The merge patch and the operations of a resource: its attributes, then its patches."""
    profile: dict[str, Any] = {}
    operations: list[dict[str, Any]] = []
    meta = object_(data.get("meta"), "/data/meta", faults)
    patches = object_(meta.get("patch_properties"), "/data/meta/patch_properties", faults)
    for name, value in attributes.items():
        if name == "location":
            _write_location(profile, value, faults)
        elif name == "properties":
            _write_properties(profile, operations, value, faults)
        elif name == "phone_number" and value not in (None, ""):
            operations.append({"function": "set_first", "pointer": "/phone_numbers", "value": [value]})
        elif name in FIELDS and "." not in name:
            _put(profile, FIELDS[name], None if name in IDENTIFIERS and value == "" else value)
        else:
            faults.append(Fault("unknown_field", pointer=join_pointer("data", "attributes", name)))
    _unset(profile, operations, patches, faults)
    operations += _patching(patches, "custom", "/data/meta/patch_properties", faults)
    operations += _patching_identifiers(meta, faults)
    writing = {"profile": profile, "operations": operations}
    return {name: value for name, value in writing.items() if value}


def _put(target: dict[str, Any], place: tuple[str, ...], value: Any) -> None:
    for name in place[:-1]:
        target = target.setdefault(name, {})
    target[place[-1]] = value


def _write_location(profile: dict[str, Any], location: Any, faults: Faults) -> None:
    """null clears all of it."""
    members = dict.fromkeys(LOCATION) if location is None else object_(location, "/data/attributes/location", faults)
    for member, value in members.items():
        name = f"location.{member}"
        if name in COORDINATES:
            text = value if isinstance(value, str) else None
            _put(profile, FIELDS[name], value if text is None else number_in(text))
            _put(profile, as_sent(name), text or None)
        elif name in FIELDS:
            _put(profile, FIELDS[name], value)
        else:
            faults.append(Fault("unknown_field", pointer=join_pointer("data", "attributes", "location", member)))


def _write_properties(
    profile: dict[str, Any], operations: list[dict[str, Any]], properties: Any, faults: Faults
) -> None:
    """Properties merge one level deep: an object takes the place of what was there. null clears them all."""
    if properties is None:
        profile["custom"] = None
    for name, value in object_(properties, "/data/attributes/properties", faults).items():
        if isinstance(value, dict):
            operations.append({"function": "set", "pointer": join_pointer("custom", name), "value": value})
        else:
            _put(profile, ("custom", name), value)


def _unset(
    profile: dict[str, Any], operations: list[dict[str, Any]], patches: Mapping[str, Any], faults: Faults
) -> None:
    names = list_(patches.get("unset"), faults)
    if not all(isinstance(name, str) for name in names):
        at = "/data/meta/patch_properties/unset"
        faults.append(Fault("invalid_parameter", "it must be a name or a list of names", at))
    if faults or profile.get("custom", {}) is None:
        return
    for name in names:
        operations[:] = [each for each in operations if each["pointer"] != join_pointer("custom", name)]
        _put(profile, ("custom", name), None)


def _patching(patches: Mapping[str, Any], member: str, at: str, faults: Faults) -> list[dict[str, Any]]:
    """append and unappend, each a value or a list of them."""
    return [
        {"function": function, "pointer": join_pointer(member, name), "value": list_(value, faults)}
        for action, function in (("append", "add"), ("unappend", "delete"))
        for name, value in object_(patches.get(action), f"{at}/{action}", faults).items()
    ]


def _patching_identifiers(meta: Mapping[str, Any], faults: Faults) -> list[dict[str, Any]]:
    """Further addresses of a profile: the vendor's revision of 2026 knows them, and no other identifier so far."""
    at = "/data/meta/patch_identifiers"
    patches = object_(meta.get("patch_identifiers"), at, faults)
    operations = [each for each in _patching(patches, "klaviyo", at, faults) if each["value"]]
    for operation in operations:
        if operation["pointer"] == "/klaviyo/email":
            operation["pointer"] = "/klaviyo/emails"
        else:
            faults.append(Fault("invalid_parameter", "only email can be patched", at))
    return operations

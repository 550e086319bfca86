"""Courier's names for the canonical form, there and back. A table and its readings; nothing of requests or replies.

Source: the vendor's profile (https://www.courier.com/docs/reference/profiles/create/): an open object of OpenID
Connect's claims, `custom`, and the channels' own blocks. What Courier alone knows stands under `courier`, as written.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from gateway.core.faults import Fault
from gateway.core.model import Document, Update
from gateway.core.pointer import join_pointer, split_pointer

PHONE, PHONES, OTHERS = "phone_number", "phone_numbers", "courier"
OBJECTS = ("address", "custom")
CLAIMS_OF_ADDRESS = ("formatted", "street_address", "locality", "region", "postal_code", "country")
FIELDS: dict[str, tuple[str, ...]] = {
    **{name: (name,) for name in ("email", "name", "given_name", "family_name", "middle_name", "nickname")},
    **{name: (name,) for name in ("gender", "birthdate", "zoneinfo", "locale", "picture", "website", *OBJECTS)},
    PHONE: (PHONES, "0"),
}
"""Where each of these keys stands in a canonical profile. Any other key stands under `courier`."""

SHOWN = (*dict.fromkeys(member for member, *_ in FIELDS.values()), OTHERS)
"""The members of a canonical profile that this dialect shows, and so replaces."""

_TEXTS = {"profile_not_found": "Profile not found", "unknown_field": "it is not declared"}


def place(name: str) -> tuple[str, ...]:
    """Where a key of the profile stands in a canonical profile."""
    return FIELDS.get(name, (OTHERS, name))


def shown(document: Document) -> dict[str, Any]:
    """A profile as Courier shows it. A value that another dialect wrote and that is none of Courier's is left out."""
    found = {name: _at(document, path) for name, path in FIELDS.items()}
    return {**document.get(OTHERS, {}), **{name: value for name, value in found.items() if _fits(name, value)}}


def merging(profile: Mapping[str, Any]) -> Update:
    """The parts of an update that lays a profile over the one that is there.

    A phone number takes the place of the first, and the others stay; removing it removes all, or another would show.
    """
    patch: dict[str, Any] = {}
    operations = []
    for name, value in profile.items():
        if name == PHONE and value is not None:
            operations.append({"function": "set_first", "pointer": join_pointer(PHONES), "value": [value]})
        elif name in FIELDS:
            patch[FIELDS[name][0]] = value
        else:
            patch.setdefault(OTHERS, {})[name] = value
    parts: Update = {"profile": patch, "operations": operations}
    return {part: value for part, value in parts.items() if value}


def replacing(profile: Mapping[str, Any]) -> Update:
    """The parts of an update that puts a profile in the place of all that Courier shows; no claim is null."""
    if isinstance(address := profile.get("address"), dict):
        gone = [name for name in CLAIMS_OF_ADDRESS if name in address and address[name] is None]
        profile = {**profile, "address": {name: claim for name, claim in address.items() if name not in gone}}
    parts = merging(profile)
    return {**parts, "replace": [one for one in SHOWN if one != PHONES or "operations" not in parts]}


def misfits(profile: Mapping[str, Any]) -> list[Fault]:
    """The faults of keys whose values are not of Courier's type."""
    wrong = [name for name in FIELDS if profile.get(name) is not None and not _fits(name, profile[name])]
    kind = {name: "an object" if name in OBJECTS else "a string" for name in wrong}
    return [Fault("invalid_field", f"it must be {kind[name]}", join_pointer("profile", name)) for name in wrong]


def told(fault: Fault) -> str:
    """A fault in Courier's words: which field, and what was wrong with it."""
    name = ".".join(_vendor_name(split_pointer(fault.pointer)))
    text = fault.detail or _TEXTS.get(fault.code, fault.text)
    return f"{name}: {text}" if name else text


def _vendor_name(path: list[str]) -> Sequence[str]:
    match path:
        case ["profile", "phone_numbers", *_]:
            return "profile", PHONE
        case ["profile", "courier", *rest]:
            return "profile", *rest
        case ["profile", "memberships", *rest]:
            return "lists", *rest
        case ["segments", _, index]:
            return "lists", index, "listId"
        case ["match", *_]:
            return ("recipient_id",)
        case _:
            return path


def _fits(name: str, value: Any) -> bool:
    return isinstance(value, dict if name in OBJECTS else str)


def _at(value: Any, path: Sequence[str]) -> Any:
    """What stands at the end of a path, a list's elements by their index; None where nothing does."""
    for name in path:
        members = dict(enumerate(value)) if isinstance(value, list) else value
        value = members.get(int(name) if isinstance(value, list) else name) if members else None
    return value

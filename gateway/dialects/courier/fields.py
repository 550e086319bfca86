"""Courier's names for the canonical form, in both directions.

Source: the vendor's profile (https://www.courier.com/docs/reference/profiles/create/), an open object of OpenID
Connect claims, `custom`, and one object per channel. Members that only Courier has are kept under `courier`, unchanged.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from gateway.core.faults import Fault
from gateway.core.pointer import join_pointer

PHONE, PHONES, NAMESPACE = "phone_number", "phone_numbers", "courier"
USERS = "courier_users"
"""The member of a canonical profile for what the calls below /users keep."""

OBJECT_FIELDS = ("address", "custom")
ADDRESS_CLAIMS = ("formatted", "street_address", "locality", "region", "postal_code", "country")
FIELDS: dict[str, tuple[str, ...]] = {
    **{name: (name,) for name in ("email", "name", "given_name", "family_name", "middle_name", "nickname")},
    **{name: (name,) for name in ("gender", "birthdate", "zoneinfo", "locale", "picture", "website", *OBJECT_FIELDS)},
    PHONE: (PHONES, "0"),
}
"""The path of each field in a canonical profile. Any other member is kept under `courier`."""

FIELD_TYPES: Mapping[str, type] = {**dict.fromkeys(FIELDS, str), **dict.fromkeys(OBJECT_FIELDS, dict)}

STRING_MEMBERS = ("gender", "birthdate")
"""The members of a canonical profile that may have another type than this dialect's."""

VISIBLE_MEMBERS = (*dict.fromkeys(member for member, *_ in FIELDS.values()), NAMESPACE)
"""The members of a canonical profile that this dialect returns, and that PUT replaces."""


def canonical_path(name: str) -> tuple[str, ...]:
    """Return the path of a member of the profile in a canonical profile."""
    return FIELDS.get(name, (NAMESPACE, name))


def vendor_name(path: list[str]) -> Sequence[str]:
    """Return Courier's path for a canonical path."""
    match path:
        case ["profile", "phone_numbers", *_]:
            return "profile", PHONE
        case ["profile", "courier", *rest]:
            return "profile", *rest
        case ["profile", "courier_users", "tokens", _, *rest]:
            return rest
        case ["profile", "courier_users", _, *rest]:
            return rest
        case ["updates", index, "segments", *_]:
            return "recipients", index, "list_id"
        case ["updates", index, *rest]:
            return "recipients", index, *vendor_name(rest)
        case ["profile", "memberships", *rest]:
            return "lists", *rest
        case ["segments", _, index]:
            return "lists", index, "listId"
        case ["match", *_]:
            return ("recipient_id",)
        case _:
            return path


def type_faults(profile: Mapping[str, Any]) -> list[Fault]:
    """Return a fault for each field whose value has the wrong type."""
    return [
        Fault(
            "invalid_field",
            f"it must be {'an object' if type is dict else 'a string'}",
            join_pointer("profile", name),
        )
        for name, type in FIELD_TYPES.items()
        if profile.get(name) is not None and not isinstance(profile[name], type)
    ]

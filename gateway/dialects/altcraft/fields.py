"""Altcraft's names for the canonical form, there and back. A table and its readings; nothing of requests or replies.

Source: the vendor's profile fields (`data` of https://guides.altcraft.com/en/developer-guide/profiles/).
"""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from gateway.core.faults import Fault
from gateway.core.model import Database, Profile
from gateway.core.pointer import split_pointer
from gateway.dialects.protocol import LocatedFields

FIELDS: dict[str, tuple[str, ...]] = {
    "email": ("email",),
    "phones": ("phone_numbers",),
    "_fname": ("given_name",),
    "_lname": ("family_name",),
    "_mname": ("middle_name",),
    "_bdate": ("birthdate",),
    "_sex": ("gender",),
    "_tz": ("zoneinfo",),
    "_city": ("address", "locality"),
    "_region": ("address", "region"),
    "_country": ("address", "country"),
    "_postal_code": ("address", "postal_code"),
    "_ip": ("ip",),
    "_browser": ("altcraft", "_browser"),
    "_os": ("altcraft", "_os"),
    "_vendor": ("altcraft", "_vendor"),
    "_regcity": ("altcraft", "_regcity"),
    "_regcountry": ("altcraft", "_regcountry"),
    "_regurl": ("altcraft", "_regurl"),
    "_regip": ("altcraft", "_regip"),
    "_regdate": ("altcraft", "_regdate"),
    "_status": ("altcraft", "_status"),
}
"""Where each field of `data` stands in a canonical profile. Any other name is an own field, under `custom`."""

SHOWN_ONLY: dict[str, tuple[str, ...]] = {"_lat": ("latitude",), "_lon": ("longitude",)}
LOCATED_FIELDS: LocatedFields = {
    FIELDS["_regip"]: {"country": FIELDS["_regcountry"], "city": FIELDS["_regcity"]},
    FIELDS["_ip"]: {
        "country": FIELDS["_country"],
        "region": FIELDS["_region"],
        "city": FIELDS["_city"],
        "time_zone": FIELDS["_tz"],
        "latitude": SHOWN_ONLY["_lat"],
        "longitude": SHOWN_ONLY["_lon"],
    },
}
"""The fields that are filled from the location of an address, which is the key."""

OWNED = frozenset({"id", "db_id", "_createtime", *SHOWN_ONLY})
"""Fields that a client reads and never writes."""

TYPES = {
    **dict.fromkeys(FIELDS, "string"),
    "email": "email",
    "phones": "phones",
    "_bdate": "date",
    "_regdate": "date",
    "_sex": "enum",
    "_status": "enum",
    "_ip": "ip",
    "_regip": "ip",
    "_lat": "float",
    "_lon": "float",
    "id": "string",
    "db_id": "int",
    "_createtime": "date",
}

_PARAMETERS = {
    ("database",): "db_id",
    ("match", "mode"): "matching",
    ("match", "resource_id"): "resource_id",
    ("segments", "add"): "add_to_segments",
    ("segments", "remove"): "remove_from_segments",
}

SUBSCRIPTION_FIELDS = {
    **dict.fromkeys(("_browser_name", "_device_type", "_device_model", "_device_name", "_os", "_os_ver"), "string"),
    **dict.fromkeys(("_os_tz", "_os_language", "_app_id", "_app_iid", "_ad_id"), "string"),
    "_ad_track": "bool",
}
"""The system fields of every resource's subscriptions (https://guides.altcraft.com/en/developer-guide/resources/2195591)."""


def place(name: str) -> tuple[str, ...]:
    """Where a member of `data` stands in a canonical profile."""
    return FIELDS.get(name, ("custom", name))


def shown(profile: Profile, database: Database) -> dict[str, Any]:
    """A profile as `profiles/get` shows it. An own field cannot hide a field of the vendor's."""
    data: dict[str, Any] = {"id": profile.id, "db_id": database.id, "_createtime": _rfc3339(profile.created)}
    for name, path in {**FIELDS, **SHOWN_ONLY}.items():
        if (value := _at(profile.document, path)) is not None:
            data[name] = value
    data = {**profile.document.get("custom", {}), **data}
    return {**data, "subscriptions": profile.document.get("subscriptions", [])}


def told(fault: Fault) -> str:
    """A fault in the vendor's wording: which field, in this dialect's name for it, and what was wrong."""
    path = split_pointer(fault.pointer)
    if not path:
        return fault.text
    if fault.code == "unknown_field":
        return f'with field "{_vendor_name(path)}": {fault.text}'
    which = f" (subscriptions[{path[1]}])" if path[0] == "subscriptions" and path[1:2] not in ([], ["0"]) else ""
    return f'field "{_vendor_name(path)}" is not valid: {fault.text}{which}'


def described(properties: dict[str, Any]) -> list[dict[str, str]]:
    """Rows of `fields_get` for own fields, from their JSON Schemas."""
    return [{"name": name, "type": _type_name(schema), "category": "custom"} for name, schema in properties.items()]


def system_rows(types: dict[str, str]) -> list[dict[str, str]]:
    """Rows of `fields_get` for the vendor's own fields."""
    return [{"name": name, "type": kind, "category": "system"} for name, kind in types.items()]


def _vendor_name(path: list[str]) -> str:
    if path[0] == "profile":
        return _profile_name(path[1:])
    if path[0] == "subscriptions":
        return ".".join(("subscriptions", *path[2:]))
    return next((name for place, name in _PARAMETERS.items() if tuple(path[: len(place)]) == place), path[-1])


def _profile_name(path: list[str]) -> str:
    for name, place in FIELDS.items():
        if tuple(path[: len(place)]) == place:
            return name
    own = path[1:] if path[:1] == ["custom"] else path
    return ".".join((*own[:1], *_without_indices(own[1:]))) or "data"


def _without_indices(path: Iterable[str]) -> list[str]:
    return [step for step in path if not step.isdigit()]


def _at(document: Any, path: tuple[str, ...]) -> Any:
    for name in path:
        document = document.get(name) if isinstance(document, dict) else None
    return document


def _rfc3339(milliseconds: int) -> str:
    moment = datetime.fromtimestamp(milliseconds / 1000, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _type_name(schema: Any) -> str:
    if not isinstance(schema, dict):
        return "string"
    if "enum" in schema:
        return "enum"
    if schema.get("format") in ("email", "phone", "ip"):
        return str(schema["format"])
    if schema.get("format") in ("date", "date-time", "moment"):
        return "date"
    if schema.get("type") == "array":
        items = schema.get("items")
        return "list of objects" if isinstance(items, dict) and items.get("type") == "object" else "tags"
    return {"integer": "int", "number": "float", "boolean": "bool", "object": "object"}.get(
        str(schema.get("type")), "string"
    )

"""Altcraft's names for the canonical form, in both directions.

Source: the vendor's profile fields (`data` of https://guides.altcraft.com/en/developer-guide/profiles/).
"""

from collections.abc import Iterable
from typing import Any

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
"""The path of each field of `data` in a canonical profile. Any other name is a custom field, under `custom`."""

COMPUTED_FIELDS: dict[str, tuple[str, ...]] = {"_lat": ("latitude",), "_lon": ("longitude",)}
LOCATED_FIELDS: LocatedFields = {
    FIELDS["_regip"]: {"country": FIELDS["_regcountry"], "city": FIELDS["_regcity"]},
    FIELDS["_ip"]: {
        "country": FIELDS["_country"],
        "region": FIELDS["_region"],
        "city": FIELDS["_city"],
        "time_zone": FIELDS["_tz"],
        "latitude": COMPUTED_FIELDS["_lat"],
        "longitude": COMPUTED_FIELDS["_lon"],
    },
}
"""The fields that are filled from the location of an IP address. The path of the address is the key."""

FLAG_FIELDS = (
    *("_is_test", "_click_exist", "_click_push_exist", "_click_sms_exist", "_confirm_exist"),
    *("_deliv_exist", "_deliv_push_exist", "_deliv_sms_exist"),
)
"""What the vendor notes of messages. The gateway sends none: they are false."""

READ_ONLY_FIELDS = frozenset({"id", "db_id", "_createtime", "_emaildomain", "_md5", *COMPUTED_FIELDS, *FLAG_FIELDS})
"""Fields that only the gateway sets."""

DATA_NAMES = frozenset({*FIELDS, *READ_ONLY_FIELDS, "subscriptions", "profile_id"})
"""The names in `data` that are not own fields."""

FIELD_TYPES = {
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
    "_emaildomain": "string",
    "_md5": "string",
    **dict.fromkeys(FLAG_FIELDS, "bool"),
}

_PARAMETERS = {
    ("database",): "db_id",
    ("match", "mode"): "matching",
    ("match", "resource_id"): "resource_id",
    ("segments", "add"): "add_to_segments",
    ("segments", "remove"): "remove_from_segments",
}
"""The parameter of each canonical path outside the profile."""

SUBSCRIPTION_FIELD_TYPES = {
    **dict.fromkeys(("_browser_name", "_device_type", "_device_model", "_device_name", "_os", "_os_ver"), "string"),
    **dict.fromkeys(("_os_tz", "_os_language", "_app_id", "_app_iid", "_ad_id"), "string"),
    "_ad_track": "bool",
}
"""The types of the system fields of every resource's subscriptions (https://guides.altcraft.com/en/developer-guide/resources/2195591)."""

RESERVED_NAMES = DATA_NAMES.union(SUBSCRIPTION_FIELD_TYPES)
"""The names of `data` and of subscriptions that no own field can have."""


def canonical_path(name: str) -> tuple[str, ...]:
    """Return the path of a member of `data` in a canonical profile."""
    return FIELDS.get(name, ("custom", name))


UNKNOWN_MEMBERS = {"deleted": "altcraft.deleted"}
"""Members of a subscription that are unknown here, but not in the canonical form: the schema rejects these names."""

_SENT_MEMBERS = {name: sent for sent, name in UNKNOWN_MEMBERS.items()}


def vendor_name(path: list[str]) -> str:
    """Return Altcraft's name for a canonical path, which is not empty."""
    if path[0] == "profile":
        return _profile_name(path[1:])
    if path[0] == "subscriptions":
        return ".".join(("subscriptions", *(_SENT_MEMBERS.get(name, name) for name in path[2:])))
    if path[0] in ("source", "destination", "profile_a", "profile_b"):
        return _name_of_match(*path)
    if path[0] == "data" and len(path) > 2:
        path = path[2:]  # an element of a batch
    if path[0] == "subscription_filters":
        path = path[:2]  # without the index of a value
    if path[0] in ("timeout", "attach"):
        return ".".join(_without_indices(path))
    return parameter_name(path) or path[-1]


def parameter_name(path: list[str]) -> str | None:
    """Return the parameter of a canonical path outside the profile, None if it has no name of its own."""
    return next((name for start, name in _PARAMETERS.items() if tuple(path[: len(start)]) == start), None)


def vendor_path(path: list[str]) -> list[str]:
    """Return the path in `data` of a canonical path in a profile."""
    for name, start in FIELDS.items():
        if tuple(path[: len(start)]) == start:
            return [name, *path[len(start) :]]
    return path[1:] if path[:1] == ["custom"] else path


def _name_of_match(member: str, *path: str) -> str:
    """Return the name of a profile that has an object, or of one of its match values, such as `source[1].email`."""
    index = f"[{path[0]}]" if path[:1] and path[0].isdigit() else ""
    return ".".join((member + index, *(name for name in path[bool(index) :] if name != "values")))


def _profile_name(path: list[str]) -> str:
    for name, start in FIELDS.items():
        if tuple(path[: len(start)]) == start:
            return name
    custom = path[1:] if path[:1] == ["custom"] else path
    return ".".join((*custom[:1], *_without_indices(custom[1:]))) or "data"


def _without_indices(path: Iterable[str]) -> list[str]:
    return [name for name in path if not name.isdigit()]


def type_name(schema: Any) -> str:
    """Return Altcraft's name for the type of a JSON Schema."""
    if not isinstance(schema, dict):
        return "string"
    if "enum" in schema:
        return "enum"
    if name := _TYPE_BY_FORMAT.get(str(schema.get("format"))):
        return name
    if schema.get("type") == "array":
        items = schema.get("items")
        return "list of objects" if isinstance(items, dict) and items.get("type") == "object" else "tags"
    return _TYPE_BY_TYPE.get(str(schema.get("type")), "string")


_TYPE_BY_FORMAT = {
    **{name: name for name in ("email", "phone", "ip")},
    **dict.fromkeys(("date", "date-time", "moment"), "date"),
}
_TYPE_BY_TYPE = {"integer": "int", "number": "float", "boolean": "bool", "object": "object"}

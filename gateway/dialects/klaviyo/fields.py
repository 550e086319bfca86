"""Klaviyo's names of a profile's fields and identifiers, and their paths in the canonical form.

Source: `ProfileResource` of the vendor's OpenAPI, revision 2026-07-15.
"""

import re

NAMESPACE = "klaviyo"
"""The member of a canonical profile for what only this vendor has."""

FIELDS: dict[str, tuple[str, ...]] = {
    "email": ("email",),
    "phone_number": ("phone_numbers",),
    "external_id": ("external_id",),
    "anonymous_id": (NAMESPACE, "anonymous_id"),
    "_kx": (NAMESPACE, "_kx"),
    "first_name": ("given_name",),
    "last_name": ("family_name",),
    "organization": (NAMESPACE, "organization"),
    "locale": ("locale",),
    "title": (NAMESPACE, "title"),
    "image": ("picture",),
    "location.address1": ("address", "street_address"),
    "location.address2": (NAMESPACE, "address2"),
    "location.city": ("address", "locality"),
    "location.country": ("address", "country"),
    "location.latitude": ("latitude",),
    "location.longitude": ("longitude",),
    "location.region": ("address", "region"),
    "location.zip": ("address", "postal_code"),
    "location.timezone": ("zoneinfo",),
    "location.ip": ("ip",),
    "properties": ("custom",),
}
"""The canonical path of each attribute. `phone_number` is the first of a list."""

ATTRIBUTE_NAMES = frozenset(name.partition(".")[0] for name in FIELDS)

COORDINATES = ("latitude", "longitude")
"""Members of a location that are numbers, or text of a number. The profile keeps the text as sent beside the number."""

WRITE_ONLY_FIELDS = ("anonymous_id", "_kx")
"""Identifiers that the vendor accepts and never returns."""

IDENTIFIERS = {
    "id": "profile_id",
    "external_id": "external_id",
    "email": "email",
    "phone_number": "phone",
    "anonymous_id": "anonymous_id",
    "_kx": "kx",
}
"""The match value of each identifier."""

LOCATION_PATHS = {name.partition(".")[2]: path for name, path in FIELDS.items() if name.startswith("location.")}
"""The canonical path of each member of a location."""
TIME_FIELDS = ("created", "updated", "last_event_date")
ADDITIONAL_FIELDS = ("subscriptions", "predictive_analytics")
"""Attributes that are returned on request only. The gateway has no predictive analytics: the second is null."""

READABLE_FIELDS = (
    *("id", "location", *TIME_FIELDS, *ADDITIONAL_FIELDS),
    *(name for name in FIELDS if name not in WRITE_ONLY_FIELDS),
)
"""The names that a sparse fieldset accepts."""

_COORDINATE = re.compile(r"-?[0-9]{1,3}(\.[0-9]{1,32})?([eE](-[0-9]{1,3}|\+?[0-9]{1,2}))?")


def parse_coordinate(text: str) -> float | None:
    """Return the degrees of a text with a number in JSON's format, or None."""
    return float(text) if _COORDINATE.fullmatch(text) else None

"""Klaviyo's names for the canonical form, there and back. A table and its readings; nothing of requests or replies.

Source: `ProfileResource` of the vendor's OpenAPI, revision 2026-07-15.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from gateway.core.model import Document, Profile
from gateway.core.pointer import join_pointer, split_pointer
from gateway.dialects.klaviyo.consents import subscribed
from gateway.dialects.klaviyo.times import shown_time

FIELDS: dict[str, tuple[str, ...]] = {
    "email": ("email",),
    "phone_number": ("phone_numbers",),
    "external_id": ("external_id",),
    "anonymous_id": ("klaviyo", "anonymous_id"),
    "_kx": ("klaviyo", "_kx"),
    "first_name": ("given_name",),
    "last_name": ("family_name",),
    "organization": ("klaviyo", "organization"),
    "locale": ("locale",),
    "title": ("klaviyo", "title"),
    "image": ("picture",),
    "location.address1": ("address", "street_address"),
    "location.address2": ("klaviyo", "address2"),
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
"""Where each attribute stands in a canonical profile; `phone_number` is the first of a list."""

COORDINATES = ("location.latitude", "location.longitude")
"""Numbers, or text that spells one: text is kept as it was sent beside the number that it means."""

WRITE_ONLY = ("anonymous_id", "_kx")
"""Identifiers that a client sends and the vendor never shows."""

IDENTIFIERS = {
    "id": "profile_id",
    "external_id": "external_id",
    "email": "email",
    "phone_number": "phone",
    "anonymous_id": "anonymous_id",
    "_kx": "kx",
}
"""The match value that each identifier is."""

LOCATION = tuple(name.partition(".")[2] for name in FIELDS if name.startswith("location."))
TIMES = ("created", "updated", "last_event_date")
ADDITIONAL = ("subscriptions", "predictive_analytics")
"""Attributes that are shown where they are asked for. This gateway analyses nothing: the second is null."""

SHOWN = ("id", "location", *TIMES, *ADDITIONAL, *(name for name in FIELDS if name not in WRITE_ONLY))
"""The names that a sparse fieldset may have; those of what is inside `subscriptions` begin with it."""


def as_sent(name: str) -> tuple[str, ...]:
    """Where the text of a coordinate stands."""
    return ("klaviyo", name.partition(".")[2])


def shown(profile: Profile, additional: Sequence[str] = ()) -> dict[str, Any]:
    """The attributes of a profile, complete with nulls. A value that is not of the vendor's type is shown as null."""
    attributes: dict[str, Any] = {}
    location: dict[str, Any] = {}
    for name, place in FIELDS.items():
        if name not in WRITE_ONLY:
            target, member = (location, name[9:]) if name.startswith("location.") else (attributes, name)
            target[member] = _shown_value(profile.document, name, place)
    times = {"created": shown_time(profile.created), "updated": shown_time(profile.updated), "last_event_date": None}
    more = {name: subscribed(profile.document) if name == "subscriptions" else None for name in additional}
    return {**attributes, "location": location, **times, **more}


def _shown_value(document: Document, name: str, place: tuple[str, ...]) -> Any:
    value = at(document, place)
    if name == "properties":
        return value if isinstance(value, dict) else {}
    if name in COORDINATES:
        return _coordinate(value, at(document, as_sent(name)))
    if name == "phone_number" and isinstance(value, list):
        value = next(iter(value), None)
    return value if isinstance(value, str) else None


def _coordinate(number: Any, text: Any) -> Any:
    """The text that was sent, unless the number has become another since then."""
    is_current = isinstance(text, str) and (number is None or number_in(text) == number)
    return text if is_current else number


def number_in(text: str) -> float | None:
    """The number of degrees that a text spells, as JSON spells numbers."""
    return float(text) if _NUMBER.fullmatch(text) else None


_NUMBER = re.compile(r"-?[0-9]{1,3}(\.[0-9]{1,32})?([eE](-[0-9]{1,3}|\+?[0-9]{1,2}))?")


def at(document: Any, place: Sequence[str]) -> Any:
    """What stands in one place of a document."""
    for name in place:
        document = document.get(name) if isinstance(document, Mapping) else None
    return document


def vendor_pointer(pointer: str) -> str:
    """The vendor's pointer to what a fault's is about; one that is the vendor's already stays what it is."""
    names = split_pointer(pointer)
    match names:
        case ["data", *_]:
            return pointer
        case ["updates", index, *place]:
            inner = vendor_pointer(join_pointer(*place)).removeprefix("/data")
            return join_pointer("data", "attributes", "profiles", "data", index) + inner
        case ["profile", "klaviyo", "emails", *_]:
            return "/data/meta/patch_identifiers/append/email"
        case ["profile", *place]:
            return "/data/attributes" + _attribute(place)
        case ["match", "values", "profile_id"]:
            return "/data/id"
        case ["match", "values", value]:
            return join_pointer(
                "data", "attributes", next(name for name, known in IDENTIFIERS.items() if known == value)
            )
        case ["sources", *_]:
            return "/data/relationships/profiles/data"
        case ["subscriptions", *_]:
            return "/data/attributes/subscriptions"
        case ["segments", *_]:
            return "/data/relationships/lists/data"
    return "/data"


def _attribute(place: list[str]) -> str:
    for name, known in (*FIELDS.items(), *((name, as_sent(name)) for name in COORDINATES)):
        if tuple(place[: len(known)]) == known:
            rest = () if name == "phone_number" else place[len(known) :]
            return join_pointer(*name.split("."), *rest)
    return join_pointer(*place)

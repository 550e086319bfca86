"""String formats beside those of JSON Schema. As there, a value that is no string is valid."""

import re
from collections.abc import Callable
from datetime import date, datetime
from ipaddress import ip_address
from typing import Any

from gateway.core import normalization

_MOMENT = re.compile(r"\d{4}-\d{2}-\d{2}([Tt ]\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?([Zz]|[+-]\d{2}:\d{2})?)?", re.ASCII)


@normalization.cache_results
def _moment(text: str) -> bool:
    """Whether it is a date, or a time of RFC 3339 with or without seconds and offset."""
    if not _MOMENT.fullmatch(text):
        return False
    try:
        date.fromisoformat(text[:10])
        datetime.fromisoformat(text.upper())
    except ValueError:
        return False
    return True


@normalization.cache_results
def _ip(text: str) -> bool:
    """Whether it is an IPv4 or IPv6 address (RFC 4291) without a zone."""
    try:
        ip_address(text)
    except ValueError:
        return False
    return "%" not in text


_DEGREES = re.compile(r"-?[0-9]{1,3}(\.[0-9]{1,32})?([eE](-[0-9]{1,3}|\+?[0-9]{1,2}))?")


@normalization.cache_results
def _degrees(text: str) -> bool:
    """Whether it is a number of degrees in the syntax of JSON, within the range of a float."""
    return bool(_DEGREES.fullmatch(text))


@normalization.cache_results
def _international_phone(text: str) -> bool:
    """Whether it is an international phone number with `+`."""
    return "+" in text and normalization.phone(text) is not None


def _of_text(predicate: Callable[[str], object]) -> Callable[[Any], bool]:
    def check(value: Any) -> bool:
        return not isinstance(value, str) or bool(predicate(value))

    return check


TEXT_FORMATS: dict[str, Callable[[str], object]] = {
    "email": normalization.email,
    "phone": _international_phone,
    "phone-digits": normalization.phone,
    "moment": _moment,
    "ip": _ip,
    "degrees": _degrees,
}
"""The predicates of the formats. What they return is true for a text of the format."""

FORMATS: dict[str, Callable[[Any], bool]] = {name: _of_text(predicate) for name, predicate in TEXT_FORMATS.items()}
"""A database's own fields may use them, too."""

DESCRIPTIONS = {
    "email": "an e-mail address",
    **dict.fromkeys(("phone", "phone-digits"), "an international phone number"),
    "moment": "a date or time",
    "ip": "an IP address",
    "degrees": "a number of degrees",
    "json-pointer": "a JSON Pointer",
}


def describe_format(format: str) -> str:
    return DESCRIPTIONS.get(format, f"a {format}")

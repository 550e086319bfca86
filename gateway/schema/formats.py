"""String formats that JSON Schema has no name for, as plain predicates. What is not a string passes, as in JSON Schema."""

import re
from collections.abc import Callable
from datetime import date, datetime
from ipaddress import ip_address
from typing import Any

from gateway.core import normal

_MOMENT = re.compile(r"\d{4}-\d{2}-\d{2}([Tt ]\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?([Zz]|[+-]\d{2}:\d{2})?)?", re.ASCII)


def _is_moment(value: object) -> bool:
    """A date, or a time of RFC 3339 with or without seconds and offset."""
    if not isinstance(value, str):
        return True
    if not _MOMENT.fullmatch(value):
        return False
    try:
        date.fromisoformat(value[:10])
        datetime.fromisoformat(value.upper())
    except ValueError:
        return False
    return True


def _is_ip(value: object) -> bool:
    """An IPv4 or IPv6 address (RFC 4291), without a zone."""
    if not isinstance(value, str):
        return True
    try:
        ip_address(value)
    except ValueError:
        return False
    return "%" not in value


def _is_email(value: object) -> bool:
    return not isinstance(value, str) or normal.email(value) is not None


def _is_phone(value: object) -> bool:
    return not isinstance(value, str) or normal.phone(value) is not None


FORMATS: dict[str, Callable[[Any], bool]] = {"email": _is_email, "phone": _is_phone, "moment": _is_moment, "ip": _is_ip}
"""Formats of ours beside the standard ones; a database's own fields may use them too."""

ARTICLES = {
    "email": "an e-mail address",
    "phone": "an international phone number",
    "moment": "a date or time",
    "ip": "an IP address",
    "json-pointer": "a JSON Pointer",
}


def called(format: str) -> str:
    return ARTICLES.get(format, f"a {format}")

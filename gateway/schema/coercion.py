"""Readers: what the text of an untyped leaf says, by its declared type and never by its looks.

Text that does not spell the declared type stays text, and the check refuses it. An empty leaf is "" for a plain string,
else null. Numbers are spelled as in XML Schema (RFC 8259's spellings are among them), with ASCII digits alone.
"""

import re
from collections.abc import Callable, Mapping
from functools import cache
from itertools import takewhile
from typing import Any, TypeAlias

from gateway.core.numbers import parse_number
from gateway.core.typed_text import TypedText

Coercer: TypeAlias = Callable[[Any], Any]

_DIGITS = re.compile(r"[+-]?[0-9]+")
_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_BOOLEANS = {"true": True, "1": True, "false": False, "0": False}
_WHITE = " \t\r\n"


def _number(text: str) -> int | float | None:
    """A number as JSON's reader would have it; integers that are spelled as such end at 64 bits."""
    if not _NUMBER.fullmatch(text):
        return None
    found = parse_number(text)
    return None if isinstance(found, float) and _DIGITS.fullmatch(text) else found


def _integer(text: str) -> int | None:
    number = _number(text)
    return number if isinstance(number, int) else None


def _boolean(text: str) -> bool | None:
    return _BOOLEANS.get(text.lower())


_READ: dict[str, Callable[[str], Any]] = {"integer": _integer, "number": _number, "boolean": _boolean}


def undeclared_value(value: Any) -> Any:
    """Return a value without a declared type: what `xsi:type` says of its leaves, else their text."""
    kind = type(value)
    if kind is TypedText:
        return value.value
    if kind is dict:
        return {name: undeclared_value(member) for name, member in value.items()}
    return [undeclared_value(item) for item in value] if kind is list else value


def plain_text(value: Any) -> Any:
    return str(value) if type(value) is TypedText else value


def array_coercer(item: Coercer) -> Coercer:
    def read(value: Any) -> Any:
        if value in ("", None):
            return None
        return [item(each) for each in value] if isinstance(value, list) else [item(value)]

    return read


def enum_coercer(members: list[Any]) -> Coercer:
    named = [member for member in members if member is not None]
    spelled = {str(member).lower() if isinstance(member, bool) else str(member): member for member in named}

    def read(value: Any) -> Any:
        if not isinstance(value, str):
            return value
        text = value.strip(_WHITE)
        return spelled.get(text, text) if text else None

    return read


@cache
def leaf_coercer(types: tuple[str, ...], plain: bool) -> Coercer:
    """Reads by the first declared type that the text spells; a `plain` string keeps emptiness and white space."""
    if not types:
        return undeclared_value
    if types[0] == "string" and plain:
        return plain_text
    readings = [_READ[name] for name in takewhile(lambda name: name != "string", types) if name in _READ]
    is_kept = plain and "string" in types

    def read(value: Any) -> Any:
        if not isinstance(value, str):
            return value
        text = value.strip(_WHITE)
        for reading in readings:
            if (found := reading(text)) is not None:
                return found
        return str(value) if is_kept else text or None

    return read


def object_coercer(members: Mapping[str, Coercer], others: Coercer) -> Coercer:
    """Reads each member by its own reader, and those that have none by `others`."""

    def read(value: Any) -> Any:
        if not isinstance(value, dict):
            return None if value == "" else value
        return {name: members.get(name, others)(member) for name, member in value.items()}

    return read

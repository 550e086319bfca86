"""Coercers: functions that turn the text of an untyped leaf into a value of its declared type.

Text that is no such value stays text and is rejected by validation. An empty leaf is "" for a plain string, else null;
for an object the dialect's constraints define it. White space alone is an empty leaf, except for a plain string.
Numbers are written as in XML Schema (which includes RFC 8259), with ASCII digits only.
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
WHITE_SPACE = " \t\r\n"


def _number(text: str) -> int | float | None:
    """Return the number that JSON would have. One that is written as an integer must fit 64 bits."""
    if not _NUMBER.fullmatch(text):
        return None
    found = parse_number(text)
    return None if isinstance(found, float) and _DIGITS.fullmatch(text) else found


def _integer(text: str) -> int | None:
    number = _number(text)
    return number if isinstance(number, int) else None


def _boolean(text: str) -> bool | None:
    return _BOOLEANS.get(text.lower())


_PARSERS: dict[str, Callable[[str], Any]] = {"integer": _integer, "number": _number, "boolean": _boolean}


def undeclared_value(value: Any) -> Any:
    """Return a value without a declared type: each leaf by its `xsi:type`, else as text."""
    kind = type(value)
    if kind is TypedText:
        return value.value
    if kind is dict:
        return {name: undeclared_value(member) for name, member in value.items()}
    return [undeclared_value(item) for item in value] if kind is list else value


def unchanged(value: Any) -> Any:
    """Return a value without a declared type as it is: another declaration of its place may follow."""
    return value


def plain_text(value: Any) -> Any:
    return str(value) if type(value) is TypedText else value


def trimmed_text(value: Any) -> Any:
    return value.strip(WHITE_SPACE) if isinstance(value, str) else value


def is_blank(value: Any) -> bool:
    """Whether it is the text of an element without content: empty, or white space alone."""
    return isinstance(value, str) and not value.strip(WHITE_SPACE)


def array_coercer(item: Coercer) -> Coercer:
    def coerce(value: Any) -> Any:
        if value is None or is_blank(value):
            return None
        return [item(each) for each in value] if isinstance(value, list) else [item(value)]

    return coerce


def enum_coercer(members: list[Any]) -> Coercer:
    values = [member for member in members if member is not None]
    by_text = {str(value).lower() if isinstance(value, bool) else str(value): value for value in values}

    def coerce(value: Any) -> Any:
        if not isinstance(value, str):
            return value
        text = value.strip(WHITE_SPACE)
        return by_text.get(text, text) if text else None

    return coerce


@cache
def leaf_coercer(types: tuple[str, ...], plain: bool, trimmed: bool = False) -> Coercer:
    """Coerce to the first declared type that fits. A `plain` string may be empty, and is `trimmed` or as it is."""
    if not types:
        return unchanged
    if types[0] == "string" and plain:
        return trimmed_text if trimmed else plain_text
    parsers = [_PARSERS[name] for name in takewhile(lambda name: name != "string", types) if name in _PARSERS]
    keeps_text = plain and "string" in types

    def coerce(value: Any) -> Any:
        if not isinstance(value, str):
            return value
        text = value.strip(WHITE_SPACE)
        for parse in parsers:
            if (found := parse(text)) is not None:
                return found
        return str(value) if keeps_text else text or None

    return coerce


def object_coercer(members: Mapping[str, Coercer], others: Coercer, empty: Mapping[str, Any] | None) -> Coercer:
    """Coerce each member by its own coercer, and other members by `others`. An empty element is `empty`."""

    def coerce(value: Any) -> Any:
        if not isinstance(value, dict):
            return (None if empty is None else dict(empty)) if is_blank(value) else value
        return {name: members.get(name, others)(member) for name, member in value.items()}

    return coerce

"""Coercers: functions that turn the text of an untyped leaf into a value of its declared type.

Text that is no such value stays text and is rejected by validation. An empty leaf is "" for a plain string, else null;
for an object the dialect's constraints define it. White space alone is an empty leaf, except for a plain string.
Numbers are written as in XML Schema (which includes RFC 8259), with ASCII digits only.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from itertools import takewhile
from operator import methodcaller
from typing import Any, TypeAlias

from msgspec import Struct

from gateway.core.numbers import parse_number
from gateway.core.result_cache import ResultCache

Coercer: TypeAlias = Callable[[str], Any]

_DIGITS = re.compile(r"[+-]?[0-9]+")
_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_BOOLEANS = {"true": True, "1": True, "false": False, "0": False}
WHITE_SPACE = " \t\r\n"

_TRIMMED = frozenset({"x-identifier", "x-address"})
"""The annotations of values that name a profile or a subscription. White space around them is formatting."""

_NUMBERS_CACHED = 1_024
"""Texts of numbers whose values are kept."""


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

_strip: Coercer = methodcaller("strip", WHITE_SPACE)


class TextRule(Struct):
    """How the text of a place is coerced: by `text`, unless it is None; an empty result then becomes `empty`.

    `is_list`: a single value is a list with one item. `is_declared`: the declared type precedes that of `xsi:type`.
    """

    text: Coercer | None = None
    empty: Any = ""
    is_list: bool = False
    is_declared: bool = False


def text_rule(declared: Mapping[str, Any], empty_object: Mapping[str, Any] | None) -> TextRule:
    """Return the rule of a place with this declaration. An empty element of an object is `empty_object`."""
    if "enum" in declared:
        return TextRule(_EnumTexts(declared["enum"]).__getitem__, is_declared=True)
    types, is_plain = declared_types(declared), "format" not in declared
    match types:
        case []:
            return TextRule()
        case ["object", *_]:
            return TextRule(_object_coercer(empty_object))
        case ["array", *_]:
            return TextRule(is_list=True)
        case ["string", *_] if is_plain:
            return TextRule(None if _TRIMMED.isdisjoint(declared) else _strip, is_declared=True)
        case ["string", *_]:
            return TextRule(_strip, None, is_declared=True)
    keeps_text = is_plain and "string" in types
    return TextRule(
        _cached_parser(tuple(takewhile(lambda name: name != "string", types)), keeps_text), is_declared=True
    )


def declared_types(declared: Mapping[str, Any]) -> list[str]:
    """Return the declared types of a place in order, without null."""
    types = declared.get("type", ())
    return [name for name in ([types] if isinstance(types, str) else types) if name != "null"]


class _EnumTexts(dict[str, Any]):
    """The values of an enumeration by their text. Another text is itself, or null if it is blank."""

    def __init__(self, members: Sequence[Any]) -> None:
        values = [member for member in members if member is not None]
        by_text = {str(value).lower() if isinstance(value, bool) else str(value): value for value in values}
        super().__init__({text: value for text, value in by_text.items() if text and text == text.strip(WHITE_SPACE)})

    def __missing__(self, text: str) -> Any:
        stripped = text.strip(WHITE_SPACE)
        return self.get(stripped, stripped) if stripped else None


def _object_coercer(empty: Mapping[str, Any] | None) -> Coercer:
    def coerce(text: str) -> Any:
        if text.strip(WHITE_SPACE):
            return text
        return None if empty is None else dict(empty)

    return coerce


@cache
def _cached_parser(types: tuple[str, ...], keeps_text: bool) -> Coercer:
    return ResultCache(text_parser(types, keeps_text), _NUMBERS_CACHED).__getitem__


def text_parser(types: Sequence[str], keeps_text: bool = False) -> Callable[[Any], Any]:
    """Return a coercer to the first of the types (integer, number, boolean) that fits.

    Another text is as it is with `keeps_text`, else without the white space around it, and null if it is blank. A value
    that is no text is as it is.
    """
    parsers = [_PARSERS[name] for name in types if name in _PARSERS]

    def coerce(text: Any) -> Any:
        if not isinstance(text, str):
            return text
        stripped = text.strip(WHITE_SPACE)
        for parse in parsers:
            if (found := parse(stripped)) is not None:
                return found
        return text if keeps_text else stripped or None

    return coerce

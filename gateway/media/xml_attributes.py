"""The attributes of an element: `array`, and those of XML Schema instances (XML Schema 1.0 Part 1, 2.6).

`xsi:nil` is null. `xsi:type` gives a leaf the type of a simple type of XML Schema; other types are ignored.
`xsi:schemaLocation` and `xsi:noNamespaceSchemaLocation` are ignored.
"""

import re
from collections.abc import Callable
from typing import Any, NamedTuple

from lxml import etree

from gateway.core.excerpt import excerpt
from gateway.core.faults import Refusal, refuse
from gateway.core.model import Tree
from gateway.core.numbers import UnrepresentableNumber, parse_number
from gateway.core.typed_text import TypedText
from gateway.media.codec import mark_unrepresentable

_INSTANCE = "{http://www.w3.org/2001/XMLSchema-instance}"
_XML_SCHEMA = "http://www.w3.org/2001/XMLSchema"
_ARRAY, _NIL, _TYPE = "array", f"{_INSTANCE}nil", f"{_INSTANCE}type"
IGNORED_ATTRIBUTES = (f"{_INSTANCE}schemaLocation", f"{_INSTANCE}noNamespaceSchemaLocation")
_WHITE_SPACE = " \t\r\n"
_BOOLEANS = {"true": True, "1": True, "false": False, "0": False}
_INTEGER = re.compile(r"[+-]?[0-9]+")
_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")


class Attributes(NamedTuple):
    """`is_list`: `array` is true. `is_nil`: `xsi:nil` is true. `type`: the name of a type of XML Schema, or ""."""

    is_list: bool = False
    is_nil: bool = False
    type: str = ""


def read_attributes(element: etree._Element) -> Attributes:
    """Return the attributes of an element. Raises `Refusal` malformed_body, which names an unknown one."""
    # items() looks each value up again: 90,000 attributes took half a minute.
    names = element.keys()
    if names == [_ARRAY]:  # what most elements with an attribute have
        return Attributes(_boolean(element, _ARRAY))
    for name in names:
        if name not in (_ARRAY, _NIL, _TYPE, *IGNORED_ATTRIBUTES):
            unknown = excerpt(local_name(str(name)))
            raise malformed(element, f"has the attribute {unknown}; the only ones are array, xsi:nil and xsi:type")
    return Attributes(_boolean(element, _ARRAY), _boolean(element, _NIL), _schema_type(element))


def typed_value(
    element: etree._Element,
    value: Tree,
    attributes: Attributes,
    unrepresentable: list[UnrepresentableNumber] | None,
) -> Tree:
    """Return the value of an element after `xsi:nil` and `xsi:type`. See `Codec.decode` for `unrepresentable`.

    Raises `Refusal` malformed_body if a nil element has content, or if its text is not of its type.
    """
    if attributes.is_nil:
        if isinstance(value, str) and not value.strip(_WHITE_SPACE):
            return None
        raise malformed(element, "has xsi:nil, and is not empty")
    parse = _PARSERS.get(attributes.type)
    if parse is None or not isinstance(value, str):
        return value
    parsed = parse(value.strip(_WHITE_SPACE))
    if parsed is None:
        raise malformed(element, f"has a text that is not of its xsi:type {attributes.type}")
    if isinstance(parsed, UnrepresentableNumber):
        parsed = mark_unrepresentable(parsed.text, unrepresentable)
    return TypedText(value, parsed)


def malformed(element: etree._Element, reason: str) -> Refusal:
    """Return the refusal of an element, with its line."""
    return refuse("malformed_body", f"line {element.sourceline}: the element {excerpt(element.tag)} {reason}")


def local_name(name: str) -> str:
    """Return a name without its namespace."""
    return name.rpartition("}")[2]


def _boolean(element: etree._Element, name: str) -> bool:
    text = element.get(name, "false").strip(_WHITE_SPACE)
    if text not in _BOOLEANS:
        raise malformed(element, f"says {local_name(name)}={excerpt(text)}; it is true or false")
    return _BOOLEANS[text]


def _schema_type(element: etree._Element) -> str:
    prefix, _, name = element.get(_TYPE, "").strip(_WHITE_SPACE).rpartition(":")
    return name if element.nsmap.get(prefix or None) == _XML_SCHEMA else ""


def _integer(text: str) -> Any:
    if not _INTEGER.fullmatch(text):
        return None
    number = parse_number(text)
    return number if isinstance(number, int) else UnrepresentableNumber(text)


def _decimal(text: str) -> Any:
    if not _NUMBER.fullmatch(text):
        return None
    number = parse_number(text)
    return UnrepresentableNumber(text) if number is None else number


_INTEGER_TYPES = (
    *("integer", "long", "int", "short", "byte", "nonNegativeInteger", "positiveInteger", "nonPositiveInteger"),
    *("negativeInteger", "unsignedLong", "unsignedInt", "unsignedShort", "unsignedByte"),
)
_PARSERS: dict[str, Callable[[str], Any]] = {
    **dict.fromkeys(_INTEGER_TYPES, _integer),
    **dict.fromkeys(("decimal", "double", "float"), _decimal),
    "boolean": _BOOLEANS.get,
}
"""Parsers of the text of a type, which return None for a text that is not of the type. Other types are text."""

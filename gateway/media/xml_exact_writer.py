"""Writes XML from which the decoder gets the same tree: with nulls and types, by attributes of XML Schema instances.

Replies are written by xml_writer.py, as the vendors write them: there null is an empty element.
"""

from typing import Any

from gateway.core.model import Tree
from gateway.core.numbers import UnrepresentableNumber
from gateway.core.typed_text import TypedText
from gateway.media.xml_names import element_name
from gateway.media.xml_writer import write_content

_NAMESPACES = ' xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xmlns:xs="http://www.w3.org/2001/XMLSchema"'
_ARRAY = ' array="true"'
_ITEM = "_"


def write_document(tree: Tree) -> str:
    """Return the root element of a tree. Raises `ValueError` if a member's name has no form in XML."""
    root = _element("xml", tree, "")
    return root.replace("<xml", f"<xml{_NAMESPACES}", 1) if " xsi:" in root else root


def _element(name: str, value: Any, attributes: str) -> str:
    """Return the element of a value."""
    if value is None:
        return f'<{name}{attributes} xsi:nil="true"/>'
    if isinstance(value, dict):
        content = "".join(_member(member, each) for member, each in value.items())
    elif isinstance(value, list):
        content = _run(_ITEM, value, "") if value else f"<{_ITEM}{_ARRAY}/>"
    else:
        text = value.text if isinstance(value, UnrepresentableNumber) else value
        content = write_content(str(value) if isinstance(value, TypedText) else text)
        if type_name := _type_name(value):
            attributes += f' xsi:type="xs:{type_name}"'
    return f"<{name}{attributes}>{content}</{name}>" if content else f"<{name}{attributes}/>"


def _member(member: str, value: Any) -> str:
    """Return the elements of a member of an object."""
    name = element_name(member)
    if not name:
        raise ValueError(f"XML has no form of the name {member}")
    if not isinstance(value, list):
        return _element(name, value, "")
    if len(value) == 1 and _element(name, value[0], _ARRAY) == f"<{name}{_ARRAY}/>":
        return f"<{name}><{_ITEM}/></{name}>"  # a list of one empty item is not an empty list
    return _run(name, value, _ARRAY) if value else f"<{name}{_ARRAY}/>"


def _run(name: str, items: list[Any], attributes: str) -> str:
    """Return an element for each item. The attributes are those of the first one."""
    first = [_element(name, each, attributes) for each in items[:1]]
    return "".join([*first, *(_element(name, each, "") for each in items[1:])])


def _type_name(value: Any) -> str:
    """Return the name of the type in XML Schema, "" for a text without a type."""
    given = value.value if isinstance(value, TypedText) else value
    if isinstance(value, str) and not isinstance(value, TypedText):
        return ""
    if isinstance(given, bool):
        return "boolean"
    written = str(value) if isinstance(value, TypedText) else str(given)  # a decimal 5.0 has the value 5
    return "integer" if written.strip().lstrip("+-").isdigit() else "decimal"

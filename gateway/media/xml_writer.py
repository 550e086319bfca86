"""Writes the XML of a tree as text: names escaped by xml_names.py, lists as described in xml.py.

A leaf is written as JSON writes it, but without quotation marks. Null is an empty element, as in the vendors' replies.
"""

import re
from collections.abc import Callable

from gateway.core.model import Tree
from gateway.core.repeated import Repeated
from gateway.media.xml_names import element_name

MAX_CACHED_NAMES, MAX_CACHED_NAME_LENGTH = 2_000, 100

_ARRAY = ' array="true"'
_ILLEGAL_CHARACTER = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class _ElementNames(dict[str, str | None]):
    """Element name by member name: a cache. Members may have any name, so it is emptied when it is full."""

    def __missing__(self, member: str) -> str | None:
        name = element_name(member)
        if len(member) <= MAX_CACHED_NAME_LENGTH:
            if len(self) >= MAX_CACHED_NAMES:
                self.clear()
            self[member] = name
        return name


_ELEMENT_NAMES = _ElementNames()


def write_content(value: Tree) -> str:
    """Return the content of the element of a value: elements, text, or nothing."""
    return (_WRITERS.get(type(value)) or _subclass_writer(value))(value)


def _members(members: dict[str, Tree]) -> str:
    """Return the elements of an object. Omits members whose name XML cannot represent."""
    written = []
    for member, value in members.items():
        name = _ELEMENT_NAMES[member]
        kind = type(value)
        if not name:
            continue
        if kind is list:
            written.append(_list(name, value))
            continue
        if kind is Repeated:
            written.append(_elements(name, "", value) if value else f"<{name}{_ARRAY}/>")
            continue
        if kind is str and value.isprintable() and not ("&" in value or "<" in value or ">" in value):
            text = value
        else:
            text = (_WRITERS.get(kind) or _subclass_writer(value))(value)
        written.append(f"<{name}>{text}</{name}>" if text else f"<{name}/>")
    return "".join(written)


def _list(name: str, items: list[Tree]) -> str:
    """Return the elements of a member that is a list: the first one has `array`."""
    if not items:
        return f"<{name}{_ARRAY}/>"
    written = _elements(name, _ARRAY, items)
    return f"<{name}><_/></{name}>" if written == f"<{name}{_ARRAY}/>" else written


def _items(items: list[Tree]) -> str:
    """Return the elements of a list that is no member: the root, or an item of another list."""
    return _elements("_", "", items) if items else f"<_{_ARRAY}/>"


def _elements(name: str, attribute: str, items: list[Tree]) -> str:
    """Return an element for each item. The attribute is that of the first one."""
    written = []
    for item in items:
        text = (_WRITERS.get(type(item)) or _subclass_writer(item))(item)
        written.append(f"<{name}{attribute}>{text}</{name}>" if text else f"<{name}{attribute}/>")
        attribute = ""
    return "".join(written)


def _text(text: str) -> str:
    """Return a text escaped, without the characters that XML 1.0 does not allow."""
    if not text.isprintable():  # every printable character is allowed
        text = _ILLEGAL_CHARACTER.sub("", text)
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    # XML parsers read a bare carriage return as a line feed (XML 1.0, 2.11).
    return text.replace("\r", "&#13;")


_WRITERS: dict[type, Callable[..., str]] = {
    str: _text,
    dict: _members,
    list: _items,
    int: str,
    float: str,
    bool: {True: "true", False: "false"}.__getitem__,
    type(None): {None: ""}.__getitem__,
}


def _subclass_writer(value: Tree) -> Callable[..., str]:
    """The writer of a type that JSON does not have, such as a text with a type."""
    for kind in (str, dict, list):
        if isinstance(value, kind):
            return _WRITERS[kind]
    return str

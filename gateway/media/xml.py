"""The codec of `application/xml`: lxml reads, xmltodict writes. Leaves are strings as sent, which schema.py types.

The root is `<xml>`, an element's name is the member's name (names.py escapes what XML cannot spell), and the only
attribute is `array`. A body is one tree in XML and in JSON:

    <a>text</a>                       {"a": "text"}          white space kept, CDATA is text
    <a/>                              {"a": ""}
    <a><b>1</b> <c>2</c></a>          {"a": {"b": "1", "c": "2"}}
    <a>1</a> <b>2</b> <a>3</a>        {"a": ["1", "3"], "b": "2"}
    <a array='true'>1</a>             {"a": ["1"]}           on any of a run; `1` is true; `false` and `0` say nothing
    <a array='true'/>                 {"a": []}
    <a><_>1</_><_>2</_></a>           {"a": ["1", "2"]}      `_` has no name: an element of such is a list
    <a array='true'><_>1</_></a>      {"a": [["1"]]}         so a list can be an item of a list
    <a><_/></a>                       {"a": [""]}            and a list of one empty item is not an empty list

Refused: DOCTYPE (so there are no entities but XML's own five), namespaces, other attributes, and text beside elements,
comments or processing instructions, which would split a value; between elements those two are passed over.
No network and no file is ever touched. This file knows no field and no type.
"""

import re
from collections.abc import Iterator
from functools import lru_cache
from itertools import islice
from typing import Any

import xmltodict
from lxml import etree

from gateway.core.excerpt import excerpt
from gateway.core.faults import Refusal, refuse
from gateway.core.model import Tree
from gateway.media.charsets import to_utf8
from gateway.media.codec import STANDARD, Bounds
from gateway.media.xml_names import element_name, member_name
from gateway.media.xml_parser import parsed

name = "xml"
media_type = "application/xml"
typed = False

_DECLARED = re.compile(rb"<\?xml\s[^>]*?\sencoding\s*=\s*[\"']([A-Za-z][A-Za-z0-9._-]*)[\"']")
_DOCTYPE = re.compile(rb"(?s:\s++|<\?.*?\?>|<!--.*?-->)*+<!DOCTYPE")
_WHITE_SPACE = " \t\r\n"
LONGEST_NAME = 4096
MOST_IN_TEXTS = 30_000
"""Signs of equality that may stand in a body's texts. An attribute takes 700 bytes of memory, however short it is."""

_NAMELESS = ""  # no element spells the empty name
_BOOLEANS = {"true": True, "1": True, "false": False, "0": False}
_ARRAY = {"@array": "true"}
_NOT_CARRIED = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def reads(media_type: str) -> bool:
    """As `Codec` says (RFC 7303, 9.1, 9.2 and the suffix of 9.6)."""
    return media_type in ("application/xml", "text/xml") or media_type.endswith("+xml")


def decode(body: bytes, charset: str | None = None, bounds: Bounds = STANDARD) -> Tree:
    """As `Codec` says. The byte order mark names the encoding, else the charset, else the declaration (RFC 7303, 3)."""
    root = _root(to_utf8(body, charset or _declared(body)), bounds)
    if _name(root.tag) != "xml":
        raise refuse("malformed_body", f'the root element is {excerpt(root.tag)}, not "xml"')
    if root.keys():
        raise _malformed(root, f"has the attribute {excerpt(root.keys()[0])}")
    tree = _content(root)
    bounds.check(tree, len(body))
    return {} if tree == "" else tree


def encode(tree: Tree) -> bytes:
    """As `Codec` says. What XML cannot carry is left out: control characters of a text, members without a name."""
    document: str = xmltodict.unparse({"xml": _written(tree)}, short_empty_elements=True)
    # A bare carriage return would be read back as a line feed (XML 1.0, 2.11).
    return document.replace("\r", "&#13;").encode()


def _declared(body: bytes) -> str | None:
    """The encoding that the XML declaration names."""
    found = _DECLARED.match(body)
    if found is None:
        return None
    if found[1].lower().startswith(b"utf-16"):
        raise refuse("malformed_body", "the XML declaration says utf-16, in a document that is not")
    return found[1].decode()


def _root(document: bytes, bounds: Bounds) -> etree._Element:
    if b"<!DOCTYPE" in document and _DOCTYPE.match(document):
        raise refuse("malformed_body", "a DOCTYPE is not allowed")
    # An element has two of these signs at most: what has so many more is not worth the memory of being read.
    elements = document.count(b"<")
    if elements > 3 * bounds.nodes:
        raise bounds.too_many_nodes()
    # An element has one attribute at most; the rest of these signs stand in texts.
    if document.count(b"=") > elements + MOST_IN_TEXTS:
        raise refuse("malformed_body", "it has too many attributes; the only one is array")
    try:
        root = parsed(document)
    except etree.XMLSyntaxError as error:
        raise _unread(error, bounds) from None
    # Counted before the walk: what libxml2 holds in little memory takes much more in Python.
    if elements > bounds.nodes and next(islice(root.iter("*"), bounds.nodes, None), None) is not None:
        raise bounds.too_many_nodes()
    return root


def _unread(error: etree.XMLSyntaxError, bounds: Bounds) -> Refusal:
    reason = str(error.msg).partition(", line ")[0].strip()
    if reason.startswith("Excessive depth"):
        return bounds.too_deep()
    line, column = error.position
    return refuse("malformed_body", f"line {line} column {column}: {reason[:80]}")


def _content(parent: etree._Element) -> Tree:
    """What the child nodes of an element mean: its members, the items of a list, or nothing, the empty string.

    Recursive, and safely so: libxml2 reads no more than 256 levels.
    """
    members: dict[str, Tree] = {}
    lists: dict[str, list[Tree]] = {}
    marked = []
    for name, child in _named(parent):
        value = _content(child) if len(child) else child.text or ""
        if name in lists:
            lists[name].append(value)
        elif name in members:
            members[name] = lists[name] = [members[name], value]
        else:
            members[name] = value
        if child.keys() and _is_marked(child):
            marked.append(name)
    for name in marked:
        if name not in lists:
            members[name] = lists[name] = [] if members[name] == "" else [members[name]]
    return _items(members, lists) if _NAMELESS in members else members or ""


def _items(members: dict[str, Tree], lists: dict[str, list[Tree]]) -> list[Tree]:
    """The items of a list whose elements have no name."""
    if len(members) > 1:
        raise refuse("malformed_body", "an element _, an item of a list, stands beside others: the name _ is _x005F_")
    return lists.get(_NAMELESS, [members[_NAMELESS]])


def _named(parent: etree._Element) -> Iterator[tuple[str, etree._Element]]:
    """The child elements with the members they name, where nothing but white space stands beside them."""
    text = parent.text
    for child in parent:
        if text and text.strip(_WHITE_SPACE):
            break
        name = _name(child.tag)
        if name is not None:
            yield name, child
        text = child.tail
    if text and text.strip(_WHITE_SPACE):
        raise _malformed(parent, "has text among its elements or comments")


@lru_cache(maxsize=512)
def _name(tag: object) -> str | None:
    """The member that a tag names, `_NAMELESS` where it names none; None for a comment or processing instruction."""
    if not isinstance(tag, str):
        return None
    if tag.startswith("{"):
        raise refuse("malformed_body", f"the element {excerpt(_local(tag))} is in a namespace")
    if len(tag) > LONGEST_NAME:  # what is refused is not remembered
        raise refuse("malformed_body", f"the element {excerpt(tag)} has a name of more than {LONGEST_NAME} characters")
    return _NAMELESS if tag == "_" else member_name(tag)


def _is_marked(element: etree._Element) -> bool:
    """Whether the element says that its run is a list (xs:boolean, in its four spellings)."""
    # Not by items(): libxml2 looks each value up again, and 90,000 attributes keep it busy for half a minute.
    for attribute in element.keys():  # noqa: SIM118
        if attribute != "array":
            raise _malformed(element, f"has the attribute {excerpt(_local(str(attribute)))}; the only one is array")
    value = element.get("array", "")
    if value not in _BOOLEANS:
        raise _malformed(element, f"says array={excerpt(value)}; it is true or false")
    return _BOOLEANS[value]


def _malformed(element: etree._Element, what: str) -> Refusal:
    return refuse("malformed_body", f"line {element.sourceline}: the element {excerpt(element.tag)} {what}")


def _local(name: str) -> str:
    return name.rpartition("}")[2]


def _written(value: Tree) -> Any:
    """The content of an element, as xmltodict takes it."""
    if isinstance(value, str):
        return _NOT_CARRIED.sub("", value)
    if isinstance(value, dict):
        named = [(element_name(member), inner) for member, inner in value.items()]
        return {name: _run(inner) if isinstance(inner, list) else _written(inner) for name, inner in named if name}
    if isinstance(value, list):
        return {"_": [_written(item) for item in value] or _ARRAY}
    return value


def _run(items: list[Tree]) -> Any:
    """The elements of a member that is a list, the first one marked."""
    written = [_written(item) for item in items]
    if not written:
        return _ARRAY
    first, *rest = written
    if not rest and first in ("", None, {}):
        return {"_": first}
    return [_ARRAY | (first if isinstance(first, dict) else {"#text": first}), *rest]

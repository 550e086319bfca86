"""The codec of `application/xml`. Leaves are strings; `gateway.schema` coerces them.

xml_plain.py decodes plain bodies, lxml the others; lxml alone refuses. xml_writer.py encodes.

The root is `<xml>`. An element name is a member name (xml_names.py escapes other characters). The attributes are
`array` and those of XML Schema instances (xml_attributes.py). Each XML body equals a JSON body:

    <a>text</a>                       {"a": "text"}          white space is kept, CDATA is text
    <a/>                              {"a": ""}
    <a><b>1</b> <c>2</c></a>          {"a": {"b": "1", "c": "2"}}
    <a>1</a> <b>2</b> <a>3</a>        {"a": ["1", "3"], "b": "2"}
    <a array='true'>1</a>             {"a": ["1"]}           on any element of a run; also `1`; not `false`, `0`
    <a array='true'/>                 {"a": []}
    <a><_>1</_><_>2</_></a>           {"a": ["1", "2"]}      `_` is an item without a name
    <a array='true'><_>1</_></a>      {"a": [["1"]]}         a list as an item of a list
    <a><_/></a>                       {"a": [""]}            a list of one empty item is not an empty list
    <a xsi:nil='true'/>               {"a": null}
    <a xsi:type='xs:int'>5</a>        {"a": 5}               unless a type is declared for the member

The decoder rejects DOCTYPE (and with it all entities but the five predefined ones), namespaces, other attributes, and
text beside elements. It rejects comments and processing instructions inside text, and ignores them between elements.
It opens no file and no connection.
"""

import re
from collections.abc import Iterator
from functools import lru_cache
from itertools import islice

from lxml import etree

from gateway.core.excerpt import excerpt
from gateway.core.faults import Refusal, refuse
from gateway.core.model import Tree
from gateway.core.numbers import UnrepresentableNumber
from gateway.media.charsets import UTF_8, to_utf8
from gateway.media.codec import DEFAULT_BOUNDS, Bounds
from gateway.media.xml_attributes import IGNORED_ATTRIBUTES, local_name, malformed, read_attributes, typed_value
from gateway.media.xml_exact_writer import write_document
from gateway.media.xml_names import member_name
from gateway.media.xml_parser import parse_document
from gateway.media.xml_plain import MAX_EQUALS_SIGNS_IN_TEXT, decode_plain
from gateway.media.xml_writer import write_content

name = "xml"
media_type = "application/xml"
is_typed = False

_XML_DECLARATION = re.compile(rb"<\?xml\s[^>]*?\sencoding\s*=\s*[\"']([A-Za-z][A-Za-z0-9._-]*)[\"']")
_DOCTYPE = re.compile(rb"(?s:\s++|<\?.*?\?>|<!--.*?-->)*+<!DOCTYPE")
_WHITE_SPACE = " \t\r\n"
MAX_NAME_LENGTH = 4096
ATTRIBUTES_PER_ELEMENT = 2
"""A body may have so many `=` in attributes, which take 700 bytes of memory each, and `MAX_EQUALS_SIGNS_IN_TEXT`."""

_UNNAMED = ""  # no element name maps to the empty member name
_DECLARATION = '<?xml version="1.0" encoding="utf-8"?>\n'


def accepts(media_type: str) -> bool:
    """See `Codec` (RFC 7303, 9.1, 9.2; the suffix: 9.6)."""
    return media_type in ("application/xml", "text/xml") or media_type.endswith("+xml")


def decode(
    body: bytes,
    charset: str | None = None,
    bounds: Bounds = DEFAULT_BOUNDS,
    unrepresentable: list[UnrepresentableNumber] | None = None,
) -> Tree:
    """See `Codec`. The encoding: the byte order mark, else the charset, else the XML declaration (RFC 7303, 3)."""
    tree = decode_plain(body, bounds) if charset in UTF_8 else None
    return decode_thoroughly(body, charset, bounds, unrepresentable) if tree is None else tree


def decode_thoroughly(
    body: bytes,
    charset: str | None = None,
    bounds: Bounds = DEFAULT_BOUNDS,
    unrepresentable: list[UnrepresentableNumber] | None = None,
) -> Tree:
    """Decode any body, as `decode` does, and state the reason of a refusal."""
    root = _root(to_utf8(body, charset or _declared_encoding(body)), bounds)
    if _name(root.tag) != "xml":
        raise refuse("malformed_body", f'the root element is {excerpt(root.tag)}, not "xml"')
    for attribute in root.keys():  # noqa: SIM118
        if attribute not in IGNORED_ATTRIBUTES:
            raise malformed(root, f"has the attribute {excerpt(attribute)}")
    tree = _content(root, unrepresentable)
    bounds.check(tree, len(body))
    return {} if tree == "" else tree


def encode(tree: Tree) -> bytes:
    """See `Codec`. Omits what XML cannot represent: control characters, and members with an empty name."""
    content = write_content(tree)
    return f"{_DECLARATION}<xml>{content}</xml>".encode() if content else f"{_DECLARATION}<xml/>".encode()


def encode_exactly(tree: Tree) -> bytes:
    """See `Codec`."""
    return f"{_DECLARATION}{write_document(tree)}".encode()


def _declared_encoding(body: bytes) -> str | None:
    """The encoding of the XML declaration."""
    found = _XML_DECLARATION.match(body)
    if found is None:
        return None
    if found[1].lower().startswith(b"utf-16"):
        raise refuse("malformed_body", "the XML declaration says utf-16, in a document that is not")
    return found[1].decode()


def _root(document: bytes, bounds: Bounds) -> etree._Element:
    if b"<!DOCTYPE" in document and _DOCTYPE.match(document):
        raise refuse("malformed_body", "a DOCTYPE is not allowed")
    # An element has at most two `<`. This bound costs no memory; the exact count below needs a parsed tree.
    elements = document.count(b"<")
    if elements > 3 * bounds.nodes:
        raise bounds.too_many_nodes()
    if document.count(b"=") > ATTRIBUTES_PER_ELEMENT * elements + MAX_EQUALS_SIGNS_IN_TEXT:
        raise refuse("malformed_body", "it has too many attributes")
    try:
        root = parse_document(document)
    except etree.XMLSyntaxError as error:
        raise _syntax_refusal(error, bounds) from None
    # Count before the walk: a Python tree takes much more memory than libxml2's.
    if elements > bounds.nodes and next(islice(root.iter("*"), bounds.nodes, None), None) is not None:
        raise bounds.too_many_nodes()
    return root


def _syntax_refusal(error: etree.XMLSyntaxError, bounds: Bounds) -> Refusal:
    reason = str(error.msg).partition(", line ")[0].strip()
    if reason.startswith("Excessive depth"):
        return bounds.too_deep()
    line, column = error.position
    return refuse("malformed_body", f"line {line} column {column}: {reason[:80]}")


def _content(parent: etree._Element, unrepresentable: list[UnrepresentableNumber] | None) -> Tree:
    """Return the tree of the child nodes: members, the items of a list, or the empty string.

    The recursion is bounded: libxml2 rejects more than 256 levels.
    """
    members: dict[str, Tree] = {}
    lists: dict[str, list[Tree]] = {}
    marked = []
    for name, child in _named_children(parent):
        value = _content(child, unrepresentable) if len(child) else child.text or ""
        if child.keys():
            attributes = read_attributes(child)
            value = typed_value(child, value, attributes, unrepresentable)
            if attributes.is_list:
                marked.append(name)
        if name in lists:
            lists[name].append(value)
        elif name in members:
            members[name] = lists[name] = [members[name], value]
        else:
            members[name] = value
    for name in marked:
        if name not in lists:
            members[name] = lists[name] = [] if members[name] == "" else [members[name]]
    return _items(members, lists) if _UNNAMED in members else members or ""


def _items(members: dict[str, Tree], lists: dict[str, list[Tree]]) -> list[Tree]:
    """Return the items of a list of `_` elements."""
    if len(members) > 1:
        raise refuse("malformed_body", "an element _, an item of a list, stands beside others: the name _ is _x005F_")
    return lists.get(_UNNAMED, [members[_UNNAMED]])


def _named_children(parent: etree._Element) -> Iterator[tuple[str, etree._Element]]:
    """Yield member name and element of each child. Raises `Refusal` if there is text between them."""
    text = parent.text
    for child in parent:
        if text and text.strip(_WHITE_SPACE):
            break
        name = _name(child.tag)
        if name is not None:
            yield name, child
        text = child.tail
    if text and text.strip(_WHITE_SPACE):
        raise malformed(parent, "has text among its elements or comments")


@lru_cache(maxsize=512)
def _name(tag: object) -> str | None:
    """Return the member name of a tag, `_UNNAMED` for `_`, None for a comment or processing instruction."""
    if not isinstance(tag, str):
        return None
    if tag.startswith("{"):
        raise refuse("malformed_body", f"the element {excerpt(local_name(tag))} is in a namespace")
    if len(tag) > MAX_NAME_LENGTH:  # a rejected name is not cached
        raise refuse(
            "malformed_body", f"the element {excerpt(tag)} has a name of more than {MAX_NAME_LENGTH} characters"
        )
    return _UNNAMED if tag == "_" else member_name(tag)

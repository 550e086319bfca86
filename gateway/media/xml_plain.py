"""Decodes plain XML without lxml: elements, texts, the attribute `array` that is true, and the five entities.

The document is split at each `</`. Between two of them stand the name of the element that ends, the tags of those that
begin, and the text of the last one: `token><db_id>1`. A client sends the same tags in each of its bodies, so what they
mean is parsed once, by a regular expression, and cached.

Whatever this does not expect, another attribute or a comment or an error, is left to the reader with lxml (xml.py):
it alone refuses. A body that is decoded here has the same tree there.
"""

import re
from typing import NamedTuple

from gateway.core.faults import Refusal
from gateway.core.model import Tree
from gateway.media.codec import Bounds

MAX_BYTES = 10_000_000
"""libxml2 reads no longer text."""
MAX_EQUALS_SIGNS_IN_TEXT = 30_000
MAX_TAGS_LENGTH = 20_000
"""No other thread runs while a regular expression searches."""
MAX_CACHED_TAGS, MAX_CACHED_TAGS_LENGTH = 4_000, 200

_WHITE_SPACE = " \t\n"
_ILLEGAL_BYTES = bytes(sorted(set(range(32)) - set(b"\t\n\r")))
_NAME = r"(?:[A-Za-z]|_[A-Za-z0-9_.\-])[A-Za-z0-9_.\-]{0,99}+"  # not `_`, an item without a name
_ARRAY = r"""(?: array=(?:"true"|'true'|"1"|'1'))?+"""
_INSTANCE = r""" xmlns:xsi=(["'])http://www\.w3\.org/2001/XMLSchema-instance\1"""
_SCHEMA = r""" xmlns:xsd=(["'])http://www\.w3\.org/2001/XMLSchema\2"""

_START = re.compile(
    r"""(?:<\?xml version=(?:"1\.0"|'1\.0')(?: encoding=(?:"(?i:utf-8)"|'(?i:utf-8)'))?(?: standalone="yes")? ?\?>)?"""
    rf"[ \t\n]*+<xml(?:{_INSTANCE})?(?:{_SCHEMA})?(?=>)"
)
_TAGS = re.compile(rf"({_NAME})?+((?:>[ \t\n]*+<{_NAME}{_ARRAY}(?: ?/)?+)*+)")
_START_TAG = re.compile(rf"<({_NAME})({_ARRAY})( ?/)?+")
_NOT_TEXT = re.compile("<|&(?!(?:amp|lt|gt|quot|apos);)")


class _Tags(NamedTuple):
    """What the tags between two texts mean.

    `end`: the name of the element that ends. `started`: name, whether it is marked, and whether it is empty, of each
    element that begins; without the one that the text after the tags is in, `leaf`.
    """

    end: str | None
    started: tuple[tuple[str, bool, bool], ...] = ()
    leaf: str = ""
    is_leaf_marked: bool = False


_UNKNOWN = _Tags(None, leaf="?")
"""No tag ends the leaf of this name."""


class _KnownTags(dict[str, _Tags]):
    """What tags mean, by their text: a cache. Clients choose the names, so it is emptied when it is full."""

    def __missing__(self, text: str) -> _Tags:
        found = _TAGS.fullmatch(text) if len(text) <= MAX_TAGS_LENGTH else None
        if found is None:
            return _UNKNOWN
        started = [(name, bool(array), bool(slash)) for name, array, slash in _START_TAG.findall(found[2])]
        leaf = started.pop() if started and not started[-1][2] else ("", False)
        tags = _Tags(found[1], tuple(started), *leaf[:2])
        if len(text) <= MAX_CACHED_TAGS_LENGTH:
            if len(self) >= MAX_CACHED_TAGS:
                self.clear()
            self[text] = tags
        return tags


_KNOWN_TAGS = _KnownTags()


def decode_plain(body: bytes, bounds: Bounds) -> Tree | None:
    """Return the tree of a plain body in UTF-8 that is within the bounds, else None."""
    size = len(body)
    if size != len(body.translate(None, _ILLEGAL_BYTES)):
        return None
    if size > bounds.small and not _is_countable(body, bounds):
        return None
    try:
        text = body.decode()
    except UnicodeDecodeError:
        return None
    if "_x" in text or "\ufffe" in text or "\uffff" in text:  # an escape in a name; characters that XML does not allow
        return None
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    start = _START.match(text)
    if start is None:
        return None
    tree = _tree(text[start.end() :], bounds.depth // 2)
    return tree if size <= bounds.small or tree is None or _is_within(bounds, tree, size) else None


def _is_countable(body: bytes, bounds: Bounds) -> bool:
    """Whether a long body has so few elements that its tree may be made, and then be counted."""
    return (
        len(body) <= MAX_BYTES and body.count(b"<") <= 2 * bounds.nodes and body.count(b"=") <= MAX_EQUALS_SIGNS_IN_TEXT
    )


def _is_within(bounds: Bounds, tree: Tree, size: int) -> bool:
    try:
        bounds.check(tree, size)
    except Refusal:
        return False
    return True


def _tree(document: str, deepest: int) -> Tree | None:
    """Return the tree of a document, which begins after `<xml`. None if it is not plain or its parents are deeper."""
    root, *pieces = document.split("</")
    tags, _, text = root.rpartition(">")
    _, started, leaf, is_leaf_marked = _KNOWN_TAGS[tags]
    started = (("xml", False, False), *started)
    members: dict[str, Tree] = {}
    stack = [(members, "", False)]  # of each open parent: the members beside it, its name, whether it is marked
    for piece in pieces:
        for name, is_marked, is_empty in started:
            if is_empty:
                _add(members, name, "", is_marked)
            else:
                stack.append((members, name, is_marked))
                members = {}
        if len(stack) > deepest + 1:
            return None
        value: Tree
        if leaf:
            name, is_marked = leaf, is_leaf_marked
            value = _unescape(text) if "&" in text or "<" in text else text
        elif text and text.strip(_WHITE_SPACE):
            return None
        else:
            value = members or ""
            members, name, is_marked = stack.pop()
        tags, _, text = piece.rpartition(">")
        end, started, leaf, is_leaf_marked = _KNOWN_TAGS[tags]
        if name != end or value is None:
            return None
        if is_marked or name in members:
            _add(members, name, value, is_marked)
        else:
            members[name] = value
    if leaf or started or len(stack) > 1 or text.strip(_WHITE_SPACE) or members.keys() != {"xml"}:
        return None
    tree = members["xml"]
    return None if type(tree) is list else tree or {}


def _add(members: dict[str, Tree], name: str, value: Tree, is_marked: bool) -> None:
    """Add the value of an element, which is marked or may be one of several of its name."""
    if name not in members:
        members[name] = value if not is_marked else [value] if value else []
    elif type(run := members[name]) is not list:
        members[name] = [run, value]
    else:
        run += [value] if run else ["", value]


def _unescape(text: str) -> str | None:
    """Return a text without its references. None if it has a tag, or references to others than the five entities."""
    if _NOT_TEXT.search(text):
        return None
    text = text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", '"').replace("&apos;", "'")
    return text.replace("&amp;", "&")

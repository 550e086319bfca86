"""Parses bodies and finds where two differ, in the same or in different media types. Pure.

The type of a leaf in XML is that of the value at the same place on the other side.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any
from xml.etree import ElementTree

from gateway.core.excerpt import excerpt
from gateway.core.faults import Refusal
from gateway.core.model import Tree
from gateway.core.pointer import join_pointer
from gateway.media import Bounds, charsets, xml
from gateway.schema.coercion import text_parser
from gateway.testkit.matchers import VALUE, describe, is_escaped, is_matcher, matches

BOUNDS = Bounds(depth=200, nodes=5_000_000, text=50_000_000, items=5_000_000)
"""Limits of a body. They exceed those of the gateway, since cases test those."""

MAX_EXCERPT_LENGTH = 200
"""Characters of a value in a message."""

XML_MATCHER_PREFIX = "_x0024_"
"""The beginning of the name of a matcher's element in XML."""


class Absent:
    """The type of `ABSENT`: no value, where the other side has one."""


ABSENT = Absent()


@dataclass(frozen=True, slots=True)
class ParsedBody:
    """The tree of a body, and whether its leaves have types (in XML they are text). The tree of no body is ABSENT."""

    tree: Tree
    is_typed: bool


@dataclass(frozen=True, slots=True)
class Difference:
    """One place where two values differ: the part of the response, the JSON Pointer in it, and both values."""

    where: str
    pointer: str
    expected: Tree
    got: Tree

    def __str__(self) -> str:
        place = f"{self.where} {self.pointer}".rstrip()
        is_open = is_matcher(self.expected)
        expected = describe(self.expected) if is_open else _excerpt(self.expected, self.got)
        got = _excerpt(self.got, self.expected)
        return f"{place}: expected {expected}, got {got}"


def parse_body(media: str, body: bytes, charset: str | None = None) -> ParsedBody:
    """Parse a body in `json` or `xml`. `charset` is the one of its Content-Type.

    Raises `ValueError` with the reason if it is malformed.
    """
    if not body.strip():
        return ParsedBody(ABSENT, True)
    try:
        if media == "xml":
            return ParsedBody(xml.decode(body, charset, BOUNDS), False)
        return ParsedBody(_from_json(charsets.to_utf8(body, charset) if charset else body), True)
    except Refusal as refusal:
        raise ValueError(refusal.faults[0].text) from None


def find_differences(expected: ParsedBody, got: ParsedBody, where: str, exact: bool = False) -> Iterator[Difference]:
    """Yield every place where two bodies differ; the expected one may contain matchers.

    If `exact`, 5 and 5.0 differ.
    """
    yield from _Comparison(where, expected.is_typed, got.is_typed, exact).differences(expected.tree, got.tree, "")


def find_xml_differences(expected: bytes, got: bytes, charset: str | None = None) -> Iterator[Difference]:
    """Yield the first element where two XML documents of equal content differ in order, attributes or text.

    Elements with matchers are skipped. `charset` is the one that the received document's Content-Type names.
    """
    text = charsets.to_utf8(got, charset).decode() if charset else got
    yield from _find_element_differences(ElementTree.fromstring(expected), ElementTree.fromstring(text), "")


def _from_json(body: bytes) -> Tree:
    try:
        return json.loads(body, object_pairs_hook=_unique_members, parse_constant=_reject_constant)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _unique_members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        names = [name for name, _ in pairs]
        duplicate = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the member {excerpt(duplicate)} is there twice")
    return members


def _reject_constant(name: str) -> Tree:
    raise ValueError(f"{name} is not JSON")


@dataclass(frozen=True, slots=True)
class _Comparison:
    """One comparison: its subject, whether the leaves of each side have types, and whether it is exact."""

    where: str
    expected_typed: bool
    got_typed: bool
    exact: bool

    def differences(self, expected: Tree, got: Tree, at: str) -> Iterator[Difference]:
        if is_matcher(expected) and got is not ABSENT:
            if not matches(expected, got, self.got_typed):
                yield Difference(self.where, at, expected, got)
            return
        if is_escaped(expected) and (isinstance(got, dict) or got == ""):
            expected = expected[VALUE]
        expected, got = self._align_types(expected, got)
        if isinstance(expected, dict) and isinstance(got, dict):
            for name in expected | got:
                members = expected.get(name, ABSENT), got.get(name, ABSENT)
                yield from self.differences(*members, at + join_pointer(name))
        elif isinstance(expected, list) and isinstance(got, list):
            for index, items in enumerate(zip_longest(expected, got, fillvalue=ABSENT)):
                yield from self.differences(*items, at + join_pointer(index))
        elif not self._is_equal(expected, got):
            yield Difference(self.where, at, expected, got)

    def _align_types(self, expected: Tree, got: Tree) -> tuple[Tree, Tree]:
        """Return both sides with types if one of them has types."""
        if self.expected_typed and not self.got_typed:
            return expected, _parse_as(expected, got)
        if self.got_typed and not self.expected_typed:
            return _parse_as(got, expected), got
        return expected, got

    def _is_equal(self, expected: Tree, got: Tree) -> bool:
        compares_types = isinstance(expected, bool) or isinstance(got, bool) or self._is_exact
        return bool(expected == got) and (type(expected) is type(got) or not compares_types)

    @property
    def _is_exact(self) -> bool:
        return self.exact and self.expected_typed == self.got_typed


_number: Callable[[Any], Any] = text_parser(("number",))
_boolean: Callable[[Any], Any] = text_parser(("boolean",))


def _parse_as(typed: Tree, text: Tree) -> Tree:
    """Parse text as the type of the value on the other side."""
    match typed:
        case bool():
            return _boolean(text)
        case int() | float():
            return _number(text)
        case list() if text is not ABSENT and not isinstance(text, list):
            return [] if text == "" and not typed else [text]
        case dict() if text == "":
            return {}
        case None if text == "":
            return None
        case _:
            return text


def _find_element_differences(expected: ElementTree.Element, got: ElementTree.Element, at: str) -> Iterator[Difference]:
    if any(child.tag.startswith(XML_MATCHER_PREFIX) for child in expected):
        return
    if _opening(expected) != _opening(got) or len(expected) != len(got):
        yield Difference("answer", at or "/", _outline(expected), _outline(got))
        return
    for mine, theirs in zip(expected, got, strict=True):
        found = next(_find_element_differences(mine, theirs, at + join_pointer(mine.tag)), None)
        if found:
            yield found
            return


def _opening(element: ElementTree.Element) -> tuple[str, Mapping[str, str], str]:
    text = element.text or ""
    return element.tag, element.attrib, "" if len(element) and not text.strip() else text


def _outline(element: ElementTree.Element) -> str:
    """Return an element's tag and attributes, and the names of its child elements in order."""
    attributes = "".join(f" {name}={excerpt(value)}" for name, value in element.items())
    return f"<{element.tag}{attributes}>{''.join(f'<{child.tag}/>' for child in element) or element.text or ''}"


def _excerpt(value: Tree, other: Tree) -> str:
    """Return a value as text; of a long value, the part around its first difference from the other."""
    if value is ABSENT:
        return "nothing"
    text = _to_json(value)
    if len(text) <= MAX_EXCERPT_LENGTH:
        return text
    pairs = enumerate(zip(text, _to_json(other), strict=False))
    start = max(0, next((index for index, (mine, theirs) in pairs if mine != theirs), 0) - MAX_EXCERPT_LENGTH // 4)
    return f"{'…' if start else ''}{text[start : start + MAX_EXCERPT_LENGTH]}…"


def _to_json(value: Tree) -> str:
    return "" if value is ABSENT else json.dumps(value, ensure_ascii=False)

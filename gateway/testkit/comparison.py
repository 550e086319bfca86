"""What a body means, and where two differ, whichever media types they came in. Pure.

A leaf of XML is read by the type that stands at its place on the other side, and never by its looks.
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
from gateway.media import Bounds, xml
from gateway.schema.coercion import leaf_coercer
from gateway.testkit.matchers import admits, described, is_mask

BOUNDS = Bounds(depth=200, nodes=5_000_000, text=50_000_000, items=5_000_000)
"""What a body may have: more than the gateway itself takes in, which a case may be about."""

LONGEST = 200
"""As many characters of a value as are shown."""

MASK_MARK = "_x0024_"
"""What the element of a mask begins with, in XML."""


class Absent:
    """Stands where the other side has a value."""


ABSENT = Absent()


@dataclass(frozen=True, slots=True)
class Meaning:
    """A body's tree, and whether its leaves carry their types (in XML they are text). No body at all is ABSENT."""

    tree: Tree
    is_typed: bool


@dataclass(frozen=True, slots=True)
class Difference:
    """One place where two values differ: what it is a place of, the JSON Pointer in it, and the values themselves."""

    where: str
    pointer: str
    expected: Tree
    got: Tree

    def __str__(self) -> str:
        place = f"{self.where} {self.pointer}".rstrip()
        expected, got = _told(self.expected, self.got), _told(self.got, self.expected)
        return f"{place}: expected {expected}, got {got}"


def meaning(media: str, body: bytes) -> Meaning:
    """The meaning of a body in `json` or `xml`. Raises `ValueError` with the reason where it cannot be read."""
    if not body.strip():
        return Meaning(ABSENT, True)
    return Meaning(_from_json(body), True) if media == "json" else Meaning(_from_xml(body), False)


def differences(expected: Meaning, got: Meaning, where: str, exact: bool = False) -> Iterator[Difference]:
    """Every place where what was expected (masks are) and what came differ.

    `exact` also tells 5 from 5.0, as readers with typed numbers do.
    """
    yield from _Walk(where, expected.is_typed, got.is_typed, exact).differences(expected.tree, got.tree, "")


def spelled_apart(expected: bytes, got: bytes) -> Iterator[Difference]:
    """The first element where XML documents of one meaning differ in order, attributes or text; masks are passed."""
    yield from _elements_apart(ElementTree.fromstring(expected), ElementTree.fromstring(got), "")


def _from_json(body: bytes) -> Tree:
    try:
        return json.loads(body, object_pairs_hook=_members, parse_constant=_no_number)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _from_xml(body: bytes) -> Tree:
    try:
        return xml.decode(body, bounds=BOUNDS)
    except Refusal as refusal:
        raise ValueError(refusal.faults[0].text) from None


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the member {excerpt(twice)} stands there twice")
    return members


def _no_number(name: str) -> Tree:
    raise ValueError(f"{name} is not JSON")


@dataclass(frozen=True, slots=True)
class _Walk:
    """One comparison: of what, whether the leaves of each side carry their types, and how exactly."""

    where: str
    expected_typed: bool
    got_typed: bool
    exact: bool

    def differences(self, expected: Tree, got: Tree, at: str) -> Iterator[Difference]:
        if is_mask(expected) and got is not ABSENT:
            if not admits(expected, got, self.got_typed):
                yield Difference(self.where, at, expected, got)
            return
        expected, got = self._read(expected, got)
        if isinstance(expected, dict) and isinstance(got, dict):
            for name in expected | got:
                members = expected.get(name, ABSENT), got.get(name, ABSENT)
                yield from self.differences(*members, at + join_pointer(name))
        elif isinstance(expected, list) and isinstance(got, list):
            for index, items in enumerate(zip_longest(expected, got, fillvalue=ABSENT)):
                yield from self.differences(*items, at + join_pointer(index))
        elif not self._is_same(expected, got):
            yield Difference(self.where, at, expected, got)

    def _read(self, expected: Tree, got: Tree) -> tuple[Tree, Tree]:
        """Both sides with types, where one of them has some."""
        if self.expected_typed and not self.got_typed:
            return expected, _read_as(expected, got)
        if self.got_typed and not self.expected_typed:
            return _read_as(got, expected), got
        return expected, got

    def _is_same(self, expected: Tree, got: Tree) -> bool:
        told_apart = isinstance(expected, bool) or isinstance(got, bool) or self._is_exact
        return bool(expected == got) and (type(expected) is type(got) or not told_apart)

    @property
    def _is_exact(self) -> bool:
        return self.exact and self.expected_typed == self.got_typed


_number: Callable[[Any], Any] = leaf_coercer(("number",), plain=False)
_boolean: Callable[[Any], Any] = leaf_coercer(("boolean",), plain=False)


def _read_as(typed: Tree, text: Tree) -> Tree:
    """What text means where the other side has a value of this type."""
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


def _elements_apart(expected: ElementTree.Element, got: ElementTree.Element, at: str) -> Iterator[Difference]:
    if any(child.tag.startswith(MASK_MARK) for child in expected):
        return
    if _opening(expected) != _opening(got) or len(expected) != len(got):
        yield Difference("answer", at or "/", _outline(expected), _outline(got))
        return
    for mine, theirs in zip(expected, got, strict=True):
        found = next(_elements_apart(mine, theirs, at + join_pointer(mine.tag)), None)
        if found:
            yield found
            return


def _opening(element: ElementTree.Element) -> tuple[str, Mapping[str, str], str]:
    text = element.text or ""
    return element.tag, element.attrib, "" if len(element) and not text.strip() else text


def _outline(element: ElementTree.Element) -> str:
    """An element's tag and attributes, and the names of the elements in it, in order."""
    attributes = "".join(f" {name}={excerpt(value)}" for name, value in element.items())
    return f"<{element.tag}{attributes}>{''.join(f'<{child.tag}/>' for child in element) or element.text or ''}"


def _told(value: Tree, other: Tree) -> str:
    """A value in words. Of a long one, what stands around the place where it leaves the other."""
    if value is ABSENT:
        return "nothing"
    if is_mask(value):
        return described(value)
    spelled = _spelled(value)
    if len(spelled) <= LONGEST:
        return spelled
    pairs = enumerate(zip(spelled, _spelled(other), strict=False))
    start = max(0, next((index for index, (mine, theirs) in pairs if mine != theirs), 0) - LONGEST // 4)
    return f"{'…' if start else ''}{spelled[start : start + LONGEST]}…"


def _spelled(value: Tree) -> str:
    return "" if value is ABSENT else json.dumps(value, ensure_ascii=False)

"""Exact encoding: what a codec wrote is decoded as the same tree, with nulls, types and numbers that no float keeps."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.faults import Refusal
from gateway.core.numbers import UnrepresentableNumber
from gateway.core.typed_text import TypedText
from gateway.media import json, xml
from tests.cases import FIXTURES

TYPED = [
    TypedText("5", 5),
    TypedText(" -7 ", -7),
    TypedText("1", True),
    TypedText("false", False),
    TypedText("1.50", 1.5),
    TypedText("1e400", UnrepresentableNumber("1e400")),
]
NAMES = st.sampled_from(["a", "b", "_", "a b", "ä", "1", "xsi:nil", "_x0041_"])
TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0", exclude_categories=("Cs", "Cc", "Cn", "Co")))
LEAVES = st.none() | TEXTS | st.sampled_from(TYPED)
TREES = st.recursive(
    LEAVES,
    lambda each: st.lists(each, max_size=3) | st.dictionaries(NAMES, each, min_size=1, max_size=3),
    max_leaves=8,
)


def typed(tree: Any) -> Any:
    """Return a tree in which each typed text is its text and its value."""
    if isinstance(tree, dict):
        return {name: typed(each) for name, each in tree.items()}
    if isinstance(tree, list):
        return [typed(each) for each in tree]
    return (str(tree), type(tree.value), tree.value) if isinstance(tree, TypedText) else tree


@given(st.dictionaries(NAMES, TREES, min_size=1, max_size=3) | st.lists(TREES, min_size=1, max_size=3))
def test_xml_is_decoded_as_it_was(tree: Any) -> None:
    numbers = list[UnrepresentableNumber]()
    assert typed(xml.decode(xml.encode_exactly(tree), unrepresentable=numbers)) == typed(tree)


@given(st.dictionaries(TEXTS, st.none() | TEXTS | st.integers(-(2**63), 2**63 - 1), max_size=3))
def test_json_is_decoded_as_it_was(tree: Any) -> None:
    assert json.decode(json.encode_exactly(tree)) == tree


def test_json_keeps_the_number_that_no_float_keeps() -> None:
    numbers = list[UnrepresentableNumber]()
    body = b'{"a":[12345678901234567890123,0.12345678901234567890123]}'
    assert json.encode_exactly(json.decode(body, unrepresentable=numbers)) == body


def test_typed_leaves_of_json_have_types_in_xml() -> None:
    body = xml.encode_exactly({"a": {"b": 5, "c": True, "d": 1.5}})
    assert typed(xml.decode(body)) == {"a": {"b": ("5", int, 5), "c": ("true", bool, True), "d": ("1.5", float, 1.5)}}


def test_a_name_that_xml_cannot_have_is_named() -> None:
    with pytest.raises(ValueError, match="no form of the name"):
        xml.encode_exactly({"": 1})


def test_the_xml_of_the_fixtures_is_decoded_as_it_was() -> None:
    count = 0
    for file in FIXTURES.rglob("request.xml"):
        try:
            tree = xml.decode(file.read_bytes(), unrepresentable=[])
        except Refusal:  # a malformed one, on purpose
            continue
        assert typed(xml.decode(xml.encode_exactly(tree), unrepresentable=[])) == typed(tree), file
        count += 1
    assert count > 50

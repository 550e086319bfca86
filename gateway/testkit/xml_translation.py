"""Translates a JSON body to XML where XML can represent it. Pure."""

from collections.abc import Iterator
from typing import Any

from gateway.core.faults import Refusal
from gateway.core.pointer import join_pointer
from gateway.media import json as json_codec
from gateway.media import xml as xml_codec
from gateway.testkit.comparison import BOUNDS, ParsedBody, find_differences, parse_body


def translate_to_xml(body: bytes) -> bytes:
    """Return a JSON body in XML. Raises `ValueError` where XML cannot represent it, such as null."""
    try:
        tree = json_codec.decode(body, bounds=BOUNDS)
    except Refusal as refusal:
        raise ValueError(refusal.faults[0].text) from None
    null = next(_find_nulls(tree), None)
    if null is not None:
        raise ValueError(f"{null or 'the body'} is null")
    translated = xml_codec.encode(tree)
    loss = next(find_differences(ParsedBody(tree, True), parse_body("xml", translated), "request"), None)
    if loss:
        raise ValueError(f"{loss.pointer or 'the body'} contains what XML cannot represent")
    return translated


def _find_nulls(tree: Any, pointer: str = "") -> Iterator[str]:
    """Yield the JSON Pointers of the nulls."""
    if tree is None:
        yield pointer
    elif isinstance(tree, dict | list):
        for name, member in tree.items() if isinstance(tree, dict) else enumerate(tree):
            yield from _find_nulls(member, pointer + join_pointer(name))

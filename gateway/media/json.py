"""The codec of `application/json` (RFC 8259): jiter reads, orjson writes.

What readers of JSON disagree on is refused, so that no two of them see two values in one body: duplicate members, lone
surrogates, U+0000, NaN and infinities, integers outside signed 64 bits and numbers that a 64-bit float cannot keep
(RFC 7493, I-JSON). A whole number is an integer, however it is spelled. No other type is known here.
"""

import re

import jiter
import orjson

from gateway.core.excerpt import excerpt
from gateway.core.faults import Refusal, refuse
from gateway.core.model import Tree
from gateway.core.numbers import parse_number
from gateway.media.charsets import to_utf8
from gateway.media.codec import STANDARD, Bounds

name = "json"
media_type = "application/json"
typed = True

# An even number of backslashes before this one: they are escaped themselves, this one is not.
_NULL = re.compile(rb"(?<!\\)(?:\\\\)*+\\u0000")


def reads(media_type: str) -> bool:
    """As `Codec` says (RFC 8259, 11, and the suffix of RFC 6839, 3.1)."""
    return media_type in ("application/json", "text/json") or media_type.endswith("+json")


def decode(body: bytes, charset: str | None = None, bounds: Bounds = STANDARD) -> Tree:
    """As `Codec` says. A byte order mark is passed over (RFC 8259, 8.1)."""
    text = to_utf8(body, charset)
    try:
        tree = jiter.from_json(text, catch_duplicate_keys=True, allow_inf_nan=False, float_mode="lossless-float")
    except ValueError as error:
        raise _unread(str(error), bounds) from None
    if rb"\u0000" in text and (null := _NULL.search(text)):
        lines = text[: null.end()].split(b"\n")
        raise refuse("malformed_body", f"line {len(lines)} column {len(lines[-1])}: U+0000 is not allowed in a text")
    return _with_numbers(tree) if bounds.check(tree, len(text)) else tree


def encode(tree: Tree) -> bytes:
    """As `Codec` says."""
    return orjson.dumps(tree)


def _with_numbers(value: Tree) -> Tree:
    """5.0 and 5 are one number (JSON Schema 2020-12 Core, 4.2.3), and so one value here."""
    match value:
        case dict():
            return {name: _with_numbers(member) for name, member in value.items()}
        case list():
            return [_with_numbers(item) for item in value]
        case jiter.LosslessFloat():
            return _number(str(value))
        case _:
            return value


def _number(text: str) -> int | float:
    found = parse_number(text)
    if found is None:
        raise refuse("malformed_body", f"the number {excerpt(text)} is more than a 64-bit float keeps")
    return found


def _unread(message: str, bounds: Bounds) -> Refusal:
    reason, _, place = message.rpartition(" at ")
    if reason == "recursion limit exceeded":
        return bounds.too_deep()
    return refuse("malformed_body", f"{place}: {reason[:80]}")

"""The codec of `application/json` (RFC 8259): jiter decodes, orjson encodes.

The decoder rejects what JSON parsers disagree on (RFC 7493, I-JSON): duplicate members, lone surrogates, U+0000, NaN
and infinities. It rejects or marks integers outside signed 64 bits and numbers that a 64-bit float cannot represent. A
number without a fraction is an integer: `5`, `5.0` and `5e0` are equal.
"""

import re

import jiter
import orjson

from gateway.core.faults import Refusal, refuse
from gateway.core.model import Tree
from gateway.core.numbers import INTEGERS, UnrepresentableNumber, parse_number
from gateway.media.charsets import to_utf8
from gateway.media.codec import DEFAULT_BOUNDS, Bounds, mark_unrepresentable

name = "json"
media_type = "application/json"
is_typed = True

# An even number of backslashes before it: those are escaped pairs, so this backslash starts the escape.
_ESCAPED_NUL = re.compile(rb"(?<!\\)(?:\\\\)*+\\u0000")


def accepts(media_type: str) -> bool:
    """See `Codec` (RFC 8259, 11; the suffix: RFC 6839, 3.1)."""
    return media_type in ("application/json", "text/json") or media_type.endswith("+json")


def decode(
    body: bytes,
    charset: str | None = None,
    bounds: Bounds = DEFAULT_BOUNDS,
    unrepresentable: list[UnrepresentableNumber] | None = None,
) -> Tree:
    """See `Codec`. Ignores a byte order mark (RFC 8259, 8.1)."""
    text = to_utf8(body, charset)
    try:
        tree = jiter.from_json(text, catch_duplicate_keys=True, allow_inf_nan=False, float_mode="lossless-float")
    except ValueError as error:
        raise _refusal(str(error), bounds) from None
    if rb"\u0000" in text and (found := _ESCAPED_NUL.search(text)):
        lines = text[: found.end()].split(b"\n")
        raise refuse("malformed_body", f"line {len(lines)} column {len(lines[-1])}: U+0000 is not allowed in a text")
    return _normalize_numbers(tree, unrepresentable) if bounds.check(tree, len(text)) else tree


def encode(tree: Tree) -> bytes:
    """See `Codec`."""
    return orjson.dumps(tree)


def _normalize_numbers(value: Tree, unrepresentable: list[UnrepresentableNumber] | None) -> Tree:
    """5.0 and 5 are equal (JSON Schema 2020-12 Core, 4.2.3), so both become the integer 5."""
    kind = type(value)
    if kind is dict:
        return {name: _normalize_numbers(member, unrepresentable) for name, member in value.items()}
    if kind is list:
        return [_normalize_numbers(item, unrepresentable) for item in value]
    if kind is jiter.LosslessFloat:
        number = parse_number(str(value))
        return mark_unrepresentable(str(value), unrepresentable) if number is None else number
    return mark_unrepresentable(str(value), unrepresentable) if kind is int and value not in INTEGERS else value


def _refusal(message: str, bounds: Bounds) -> Refusal:
    reason, _, position = message.rpartition(" at ")
    if reason == "recursion limit exceeded":
        return bounds.too_deep()
    return refuse("malformed_body", f"{position}: {reason[:80]}")

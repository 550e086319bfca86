"""The codec of `application/json` (RFC 8259): msgspec decodes plain bodies, jiter the others; orjson encodes.

The decoder rejects what JSON parsers disagree on (RFC 7493, I-JSON): duplicate members, lone surrogates, U+0000, NaN
and infinities. It rejects or marks integers outside signed 64 bits and numbers that a 64-bit float cannot represent. A
number without a fraction is an integer: `5`, `5.0` and `5e0` are equal.

A plain body is one that a few passes in C prove to be free of all that: written again it has as many strings (no member
stood twice), each integer has at most 53 bits, and it has no U+0000. jiter decodes what is not proved, and gives the
reason of every refusal. For a plain body both return the same tree.
"""

import re
import sys

import jiter
import msgspec
import orjson

from gateway.core.faults import Refusal, refuse
from gateway.core.model import Tree
from gateway.core.numbers import INTEGERS, UnrepresentableNumber, parse_number
from gateway.media.charsets import UTF_8, to_utf8
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
    if charset in UTF_8:
        try:
            tree = _parse(body)
            written = orjson.dumps(tree, None, orjson.OPT_STRICT_INTEGER)
            if len(body) > bounds.small or body.count(b"{") + body.count(b"[") > bounds.depth:
                bounds.check(tree, len(body))
            quotes = body.count(b'"')
            if quotes == written.count(b'"') if b"\\" not in body else _has_all_strings(body, quotes, written):
                return tree
        except (msgspec.MsgspecError, ValueError, TypeError, RecursionError, Refusal):
            pass  # the thorough decoder states the reason
    return decode_thoroughly(body, charset, bounds, unrepresentable)


def _exact_number(literal: str) -> int | float:
    """Return a number with a fraction or exponent. Raises ValueError if no 64-bit float represents it."""
    if len(literal) <= sys.float_info.dig and "e" not in literal and "E" not in literal:
        value = float(literal)  # a float keeps so many digits
        return int(value) if value.is_integer() else value
    number = parse_number(literal)
    if number is None:
        raise ValueError(literal)
    return number


_parse = msgspec.json.Decoder(float_hook=_exact_number).decode


def _has_all_strings(body: bytes, quotes: int, written: bytes) -> bool:
    """Whether a body with escapes is proved to have no U+0000, and as many strings as its tree, written again."""
    # Without an escaped backslash, each `\"` is an escaped quotation mark and each `\u0000` an escaped U+0000.
    if rb"\\" in body or rb"\u0000" in body or rb"\\" in written:
        return False
    return quotes - body.count(rb"\"") == written.count(b'"') - written.count(rb"\"")


def decode_thoroughly(
    body: bytes,
    charset: str | None = None,
    bounds: Bounds = DEFAULT_BOUNDS,
    unrepresentable: list[UnrepresentableNumber] | None = None,
) -> Tree:
    """Decode any body, as `decode` does, and state the reason of a refusal."""
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


def encode_exactly(tree: Tree) -> bytes:
    """See `Codec`."""
    return orjson.dumps(tree, default=_literal)


def _literal(number: UnrepresentableNumber) -> orjson.Fragment:
    return orjson.Fragment(number.text)


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

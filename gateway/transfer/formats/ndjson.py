"""NDJSON: one JSON object on each line. Blank lines are ignored."""

from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO

import orjson

from gateway.core.model import Tree
from gateway.core.numbers import UnrepresentableNumber
from gateway.media import Bounds
from gateway.media import json as json_codec
from gateway.transfer.formats.protocol import REFUSED, UNREADABLE, ReaderOptions, Row, too_long

_WHITE_SPACE = b" \t\r\n"


class NdjsonReader:
    """Reads NDJSON. A line that is malformed or too long is a row with a fault: the next line is read."""

    is_typed = True
    parameters: Mapping[str, Any] = {}
    refused_head = b""
    refused_tail = b""

    def __init__(self, stream: BinaryIO, options: ReaderOptions) -> None:
        self._stream = stream
        self._max_row = options.max_row

    def rows(self) -> Iterator[Row]:
        """See `RowReader`."""
        number = 0
        while line := self._stream.readline(self._max_row + 2):
            number += 1
            content = line.strip(_WHITE_SPACE)
            if len(line.rstrip(b"\r\n")) > self._max_row:
                self._skip_line(line)
                yield Row(number, self._max_row, b"", too_long(self._max_row))
            elif content:
                yield Row(number, len(line), content)

    def decode(self, row: Row, bounds: Bounds, unrepresentable: list[UnrepresentableNumber]) -> Tree:
        """See `RowReader`."""
        return decode_object(row.content, bounds, unrepresentable)

    def refused(self, row: Row, reason: str, is_first: bool) -> bytes:  # noqa: ARG002
        """See `RowReader`."""
        return refused_object(row.content, f"line {row.line}: {reason}") + b"\n"

    def _skip_line(self, line: bytes) -> None:
        while line and not line.endswith(b"\n"):
            line = self._stream.readline(self._max_row)


class NdjsonWriter:
    """Writes NDJSON."""

    head = b""
    tail = b""

    def row(self, tree: Mapping[str, Any], is_first: bool) -> bytes:  # noqa: ARG002
        """See `RowWriter`."""
        return orjson.dumps(tree, option=orjson.OPT_APPEND_NEWLINE)


def decode_object(content: bytes, bounds: Bounds, unrepresentable: list[UnrepresentableNumber]) -> Tree:
    """Return the tree of a row in JSON, without the reason of an earlier refusal."""
    tree = json_codec.decode(content, None, bounds, unrepresentable)
    if isinstance(tree, dict):
        tree.pop(REFUSED, None)
    return tree


def refused_object(content: bytes, reason: str) -> bytes:
    """Return a row in JSON with the reason before its members. They stay as they were, well formed or not."""
    if f'"{REFUSED}"'.encode() in content:
        content = _without_reason(content)
    head = b'{"%b":%b' % (REFUSED.encode(), orjson.dumps(reason))
    if content.startswith(b"{"):
        members = content[1:].lstrip(_WHITE_SPACE)
        return head + (b"" if members.startswith(b"}") else b",") + members
    return head + (b',"%b":%b}' % (UNREADABLE.encode(), _as_value(content)) if content else b"}")


def _without_reason(content: bytes) -> bytes:
    try:
        tree = orjson.loads(content)
    except orjson.JSONDecodeError:
        # The reason is before what is malformed, because it is written first.
        before, _, rest = content.partition(b'"%b":"' % REFUSED.encode())
        return before + rest[_end_of_text(rest) :].lstrip(b", ") if rest else content
    if isinstance(tree, dict):
        tree.pop(REFUSED, None)
    return orjson.dumps(tree)


def _end_of_text(rest: bytes) -> int:
    """Return the place after the quotation mark that ends a JSON text."""
    place = 0
    while place < len(rest) and rest[place : place + 1] != b'"':
        place += 2 if rest[place : place + 1] == b"\\" else 1
    return place + 1


def _as_value(content: bytes) -> bytes:
    """Return a JSON value as it is, and anything else as a JSON text."""
    try:
        orjson.loads(content)
    except orjson.JSONDecodeError:
        return orjson.dumps(content.decode("utf-8", "backslashreplace"))
    return content

"""A JSON array of objects, read element by element."""

from codecs import getincrementaldecoder
from collections.abc import Iterator, Mapping
from json import JSONDecodeError, JSONDecoder
from typing import Any, BinaryIO

import orjson

from gateway.core.model import Tree
from gateway.core.numbers import UnrepresentableNumber
from gateway.media import Bounds
from gateway.transfer.formats.ndjson import decode_object, refused_object
from gateway.transfer.formats.protocol import InvalidFile, ReaderOptions, Row

_CHUNK_BYTES = 1 << 16
_WHITE_SPACE = " \t\r\n"


def _no_value(_text: str) -> None:
    """Only the end of an element is looked for: its numbers are decoded later."""


_ELEMENT = JSONDecoder(parse_int=_no_value, parse_float=_no_value, parse_constant=_no_value, strict=False)


class JsonReader:
    """Reads a JSON array. After a malformed element no further one can be found."""

    is_typed = True
    parameters: Mapping[str, Any] = {}
    refused_head = b"[\n"
    refused_tail = b"\n]\n"

    def __init__(self, stream: BinaryIO, options: ReaderOptions) -> None:
        self._stream = stream
        self._max_row = options.max_row
        self._decoder = getincrementaldecoder("utf-8")("surrogateescape")
        self._text, self._place, self._line, self._is_end = "", 0, 1, False

    def rows(self) -> Iterator[Row]:
        """See `RowReader`."""
        if self._next_sign() != "[":
            raise self._invalid("the file does not begin with [")
        self._place += 1
        if self._next_sign() == "]":
            self._place += 1
            return self._require_end()
        while True:
            self._next_sign()
            yield self._element()
            sign = self._next_sign()
            self._place += 1
            if sign == "]":
                return self._require_end()
            if sign != ",":
                raise self._invalid("the file ends inside the array" if not sign else f"{sign!r} is neither , nor ]")

    def decode(self, row: Row, bounds: Bounds, unrepresentable: list[UnrepresentableNumber]) -> Tree:
        """See `RowReader`."""
        return decode_object(row.content, bounds, unrepresentable)

    def refused(self, row: Row, reason: str, is_first: bool) -> bytes:
        """See `RowReader`."""
        return (b"" if is_first else b",\n") + refused_object(row.content, f"line {row.line}: {reason}")

    def _element(self) -> Row:
        """Return the element at the place, and continue after it."""
        end = self._end_of_element()
        content = self._text[self._place : end].encode("utf-8", "surrogateescape")
        row = Row(self._line, len(content), content)
        self._line += self._text.count("\n", self._place, end)
        self._place = end
        return row

    def _end_of_element(self) -> int:
        while True:
            try:
                _, end = _ELEMENT.raw_decode(self._text, self._place)
            except JSONDecodeError as error:
                reason = error.msg
            except RecursionError:
                raise self._invalid("an element is nested too deeply") from None
            else:
                # A number at the end of what was read may have further digits.
                if end < len(self._text) or self._is_end:
                    return end
                reason = "it does not end"
            size = len(self._text) - self._place
            if size > self._max_row:
                raise self._invalid(f"the element that begins here is malformed, or longer than {self._max_row} bytes")
            if self._is_end:
                raise self._invalid(f"the element that begins here is malformed, or the file ends in it: {reason}")
            self._fill(max(_CHUNK_BYTES, size))

    def _next_sign(self) -> str:
        """Return the next character that is not white space, "" at the end of the file."""
        while True:
            rest = self._text[self._place : self._place + 256].lstrip(_WHITE_SPACE)
            end = min(len(self._text), self._place + 256) - len(rest)
            self._line += self._text.count("\n", self._place, end)
            self._place = end
            if rest:
                return rest[0]
            if self._place == len(self._text):
                if self._is_end:
                    return ""
                self._fill(_CHUNK_BYTES)

    def _fill(self, size: int) -> None:
        new = self._stream.read(size)
        self._is_end = not new
        self._text = self._text[self._place :] + self._decoder.decode(new, final=not new)
        self._place = 0

    def _require_end(self) -> None:
        if self._next_sign():
            raise self._invalid("the array has ended before it")

    def _invalid(self, reason: str) -> InvalidFile:
        return InvalidFile(self._line, reason)


class JsonWriter:
    """Writes a JSON array, an element on each line."""

    head = b"[\n"
    tail = b"\n]\n"

    def row(self, tree: Mapping[str, Any], is_first: bool) -> bytes:
        """See `RowWriter`."""
        return (b"" if is_first else b",\n") + orjson.dumps(tree)

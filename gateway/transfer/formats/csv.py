"""CSV (RFC 4180): a header with the names of the fields, then a row for each profile.

The cells are texts, which the schema coerces as it does the leaves of XML. An empty cell is no value: the field stays
as it is. A cell of two quotation marks, `""`, is an empty element of XML: the empty text, or no value where the field
is no text. A column whose name ends in `:json` has JSON in its cells: lists, objects, functions, values with types.
"""

import csv
import re
from collections import deque
from collections.abc import Collection, Iterator, Mapping, Sequence
from io import TextIOWrapper
from typing import Any, BinaryIO

import orjson

from gateway.core.faults import refuse
from gateway.core.model import Tree
from gateway.core.numbers import UnrepresentableNumber
from gateway.media import Bounds
from gateway.media import json as json_codec
from gateway.transfer.formats.protocol import REFUSED, InvalidFile, ReaderOptions, Row, too_long

JSON_SUFFIX = ":json"
DELIMITERS = (",", ";", "\t", "|")
"""The delimiters that are detected. Of equally frequent ones in the header, the first one counts."""

_DELIMITER_LINE = re.compile(r'"?sep=(.)"?\r?\n')
"""The first line of files for Excel."""

_QUOTED = re.compile(r'"(?:[^"]|"")*+"')
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


class _RowTooLong(Exception):
    """A row with more characters than a row may have: probably a quotation mark is missing."""


class CsvReader:
    """Reads CSV. Raises `InvalidFile` where the header is unusable."""

    is_typed = False
    parameters: Mapping[str, Any] = {}
    refused_tail = b""

    def __init__(self, stream: BinaryIO, options: ReaderOptions) -> None:
        self._text = TextIOWrapper(stream, "utf-8", "surrogateescape", newline="")
        self._max_row = options.max_row
        self._lines: deque[str] = deque()  # lines that are read again
        self._record: list[str] = []  # the lines of the row that is being read
        self._number = 0
        csv.field_size_limit(self._max_row + 2)
        self._delimiter = self._read_delimiter(options.delimiter)
        self._header = self._read_header()
        self.columns = self._columns(options.names)
        """The name of the field of each column, None where it has none."""
        self.fields = [name.removesuffix(JSON_SUFFIX) for name in self.columns if name]
        self._has_reasons = self._header[0] == REFUSED
        head = self._record_text if not self._has_reasons else self._without_reason(self._record_text)
        self.refused_head = f"{REFUSED}{self._delimiter}{head}".encode("utf-8", "surrogateescape")

    def rows(self) -> Iterator[Row]:
        """See `RowReader`."""
        while True:
            first = self._number + 1
            try:
                cells = self._next_cells()
            except (csv.Error, _RowTooLong) as error:
                yield self._malformed(first, error)
                continue
            if cells is None:
                return
            if cells:
                yield self._row(first, cells)

    def decode(self, row: Row, bounds: Bounds, unrepresentable: list[UnrepresentableNumber]) -> Tree:
        """See `RowReader`."""
        cells, text = row.content
        tree = {name: cell for name, cell in zip(self.columns, cells, strict=True) if cell and name}
        for name in [name for name in tree if name.endswith(JSON_SUFFIX)]:
            tree[name.removesuffix(JSON_SUFFIX)] = self._decode_cell(name, tree.pop(name), bounds, unrepresentable)
        if '""' in text and "" in cells:
            tree |= {name: "" for place, name in enumerate(self.columns) if name and self._is_quoted_empty(row, place)}
        bounds.check(tree, row.size)
        return tree

    def refused(self, row: Row, reason: str, is_first: bool) -> bytes:  # noqa: ARG002
        """See `RowReader`."""
        _, text = row.content
        text = self._without_reason(text) if self._has_reasons else text
        text = text if text.endswith(("\n", "\r")) else f"{text}\n"
        return f"{_quoted(f'line {row.line}: {reason}')}{self._delimiter}{text}".encode("utf-8", "surrogateescape")

    # --- the header ---

    def _read_delimiter(self, given: str | None) -> str:
        line = self._next_line()
        if found := _DELIMITER_LINE.fullmatch(line):
            return given or found[1]
        self._push_back([line])
        plain = _QUOTED.sub("", line)
        return given or max(DELIMITERS, key=plain.count)

    def _read_header(self) -> list[str]:
        try:
            header = self._next_cells()
        except (csv.Error, _RowTooLong) as error:
            raise InvalidFile(1, f"the header is malformed: {_reason(error, self._max_row)}") from None
        if not header:
            raise InvalidFile(1, "there is no header")
        for place, name in enumerate(header, 1):
            if not name.strip():
                raise InvalidFile(1, f"column {place} of the header has no name")
        if any("\udc80" <= sign <= "\udcff" for name in header for sign in name):
            raise InvalidFile(1, "the header is not UTF-8: --encoding names the encoding of the file")
        return header

    def _columns(self, names: Mapping[str, str]) -> list[str | None]:
        if absent := [name for name in names if name not in self._header]:
            raise InvalidFile(1, f"the header has no column {absent[0]!r}; it has {', '.join(self._header)}")
        columns = [None if name == REFUSED else names.get(name, name) or None for name in self._header]
        fields = [name.removesuffix(JSON_SUFFIX) for name in columns if name]
        if twice := [name for name in fields if fields.count(name) > 1]:
            raise InvalidFile(1, f"two columns of the header are the field {twice[0]!r}")
        return columns

    # --- rows ---

    def _row(self, line: int, cells: list[str]) -> Row:
        text = self._record_text
        fault = ""
        if len(cells) != len(self._header):
            fault = f"the row has {len(cells)} cells, and the header has {len(self._header)}"
        elif not text.isascii() and any("\udc80" <= sign <= "\udcff" for sign in text):
            fault = "the row is not UTF-8: --encoding names the encoding of the file"
        return Row(line, len(text), (cells, text), fault)

    def _malformed(self, line: int, error: Exception) -> Row:
        """Return a malformed row: its first line. The lines after it are read again: one may have lost its quote."""
        first, *rest = self._record
        self._push_back(rest)
        if len(first) > self._max_row:
            while first and not first.endswith(("\n", "\r")):
                first = self._text.readline(self._max_row)
            return Row(line, self._max_row, ([], "\n"), too_long(self._max_row))
        return Row(line, len(first), ([], first), f"the row is malformed: {_reason(error, self._max_row)}")

    def _next_cells(self) -> list[str] | None:
        """Return the cells of the next row, None at the end of the file. Its lines are in `_record`."""
        self._record = []
        return next(csv.reader(self._record_lines(), delimiter=self._delimiter, strict=True), None)

    def _record_lines(self) -> Iterator[str]:
        size = 0
        while line := self._next_line():
            self._record.append(line)
            size += len(line)
            if size > self._max_row + 2:
                raise _RowTooLong
            yield line

    @property
    def _record_text(self) -> str:
        return self._record[0] if len(self._record) == 1 else "".join(self._record)

    def _next_line(self) -> str:
        line = self._lines.popleft() if self._lines else self._text.readline(self._max_row + 3)
        self._number += 1 if line else 0
        return line

    def _push_back(self, lines: Sequence[str]) -> None:
        self._lines.extendleft(reversed(lines))
        self._number -= len(lines)

    # --- cells ---

    def _is_quoted_empty(self, row: Row, place: int) -> bool:
        cells, text = row.content
        return cells[place] == "" and _quoted_places(text, self._delimiter)[place]

    def _decode_cell(self, name: str, cell: str, bounds: Bounds, unrepresentable: list[UnrepresentableNumber]) -> Tree:
        try:
            return json_codec.decode(cell.encode(), None, bounds, unrepresentable)
        except UnicodeEncodeError:
            raise refuse("malformed_body", f"column {name}: it is not UTF-8") from None

    def _without_reason(self, text: str) -> str:
        """Return the text of a row without its first cell."""
        sign = re.escape(self._delimiter)
        found = re.match(rf"(?:{_QUOTED.pattern}|[^{sign}\r\n]*+){sign}", text)
        return text[found.end() :] if found else text


class CsvWriter:
    """Writes CSV. `columns` are its names; those that end in `:json` get JSON, the others texts and lists of one text.

    With `is_for_spreadsheets`, a text that a spreadsheet would run as a formula gets an apostrophe before it.
    """

    tail = b""

    def __init__(self, columns: Collection[str], delimiter: str = ",", *, is_for_spreadsheets: bool = False) -> None:
        self._columns = [(name.removesuffix(JSON_SUFFIX), name.endswith(JSON_SUFFIX)) for name in columns]
        # Of one column, a row without values would be a blank line. A reader leaves this column out.
        self._has_filler = len(columns) < 2
        self._delimiter = delimiter
        self._is_for_spreadsheets = is_for_spreadsheets
        self._special = re.compile(rf'[{re.escape(delimiter)}"\r\n]|^\s|\s$')
        self.head = self._line([*map(self._cell, columns), *([REFUSED] if self._has_filler else [])])

    def row(self, tree: Mapping[str, Any], is_first: bool) -> bytes:  # noqa: ARG002
        """See `RowWriter`."""
        return self._line(
            [self._value(tree, *column) for column in self._columns] + (['""'] if self._has_filler else [])
        )

    def _value(self, tree: Mapping[str, Any], name: str, is_json: bool) -> str:
        if name not in tree:
            return ""
        value = tree[name]
        if isinstance(value, list) and not is_json:
            [value] = value
        return self._cell(value if isinstance(value, str) and not is_json else orjson.dumps(value).decode())

    def _cell(self, text: str) -> str:
        if self._is_for_spreadsheets and text.startswith(_FORMULA_STARTS):
            text = f"'{text}"
        return _quoted(text) if text == "" or self._special.search(text) else text

    def _line(self, cells: Sequence[str]) -> bytes:
        return f"{self._delimiter.join(cells)}\r\n".encode()


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


def _quoted_places(text: str, delimiter: str) -> list[bool]:
    """Return for each cell of a well-formed row whether it is quoted."""
    cell = re.compile(rf"({_QUOTED.pattern})?[^{re.escape(delimiter)}]*+(?:{re.escape(delimiter)}|\Z)")
    places, place = [], 0
    while found := cell.match(text, place):
        places.append(found[1] is not None)
        place = found.end()
        if not found[0].endswith(delimiter):
            break
    return places


def _reason(error: Exception, limit: int) -> str:
    if isinstance(error, _RowTooLong):
        return f"it has more than {limit} characters; is a quotation mark missing?"
    return str(error)

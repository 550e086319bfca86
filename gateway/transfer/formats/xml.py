"""XML: the body of a batch, of any size, read element by element.

    <xml><db_id>1</db_id><matching>email</matching> <data>…</data> <data>…</data> </xml>
    <xml><db_id>1</db_id> <data> <_>…</_> <_>…</_> </data> </xml>

The parameters are before the rows. Each row is decoded by the codec of bodies, as a body with this row alone.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO
from xml.parsers import expat
from xml.sax.saxutils import escape

from gateway.core.model import Tree
from gateway.core.numbers import UnrepresentableNumber
from gateway.media import Bounds
from gateway.media import xml as xml_codec
from gateway.media.xml_names import element_name
from gateway.transfer.formats.protocol import REFUSED, InvalidFile, ReaderOptions, Row

ROOT, ROWS, ITEM = "xml", "data", "_"

_CHUNK_BYTES = 1 << 16
_TAG = re.compile(rb"""<(?:[^<>"']|"[^"]*"|'[^']*')*>""")
_REASON = re.compile(rb"<%b>.*?</%b>\s*" % (REFUSED.encode(), REFUSED.encode()), re.DOTALL)
_ILLEGAL_CHARACTER = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_NAMESPACES = 'xmlns:xs="http://www.w3.org/2001/XMLSchema" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'

_ARRAY = " array='true'"
_NO_ITEMS = f"<{ITEM}{_ARRAY}/>"


class XmlReader:
    """Reads the rows of a batch. The head of the file, with its parameters, is read first. Raises `InvalidFile`."""

    is_typed = False

    def __init__(self, stream: BinaryIO, options: ReaderOptions) -> None:
        self._stream = stream
        self._max_row = options.max_row
        self._parser = expat.ParserCreate("utf-8")
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.StartDoctypeDeclHandler = self._reject_doctype
        self._names: list[str] = []
        self._buffer, self._offset = b"", 0  # what is not yet consumed, and its place in the file
        self._found: list[Row] = []
        self._is_end = False
        self._row_start, self._row_line = -1, 0
        self._root_tag = b""
        self._head = b""  # from the root's start tag to the first row
        self._row_depth = 0
        self.parameters: Mapping[str, Any] = {}
        self._error: InvalidFile | None = None
        self._read_head()
        self.refused_head, self.refused_tail = self._refused_frame()

    def rows(self) -> Iterator[Row]:
        """See `RowReader`."""
        while True:
            found, self._found = self._found, []
            yield from found
            if self._error:
                raise self._error
            if self._is_end:
                return
            self._read()

    def decode(self, row: Row, bounds: Bounds, unrepresentable: list[UnrepresentableNumber]) -> Tree:
        """See `RowReader`."""
        content = row.content
        if self._row_depth == 3:
            content = b"<data>" + content + b"</data>"
        document = self._root_tag + content + b"</xml>"
        tree = xml_codec.decode(document, None, bounds, unrepresentable)
        value = tree[ROWS]
        value = value[0] if isinstance(value, list) and value else value
        if isinstance(value, dict):
            value.pop(REFUSED, None)
        return value

    def refused(self, row: Row, reason: str, is_first: bool) -> bytes:  # noqa: ARG002
        """See `RowReader`."""
        content: bytes = row.content
        tag = _TAG.match(content)
        assert tag is not None
        text = escape(_ILLEGAL_CHARACTER.sub("", f"line {row.line}: {reason}"))
        member = f"<{REFUSED}>{text}</{REFUSED}>".encode()
        if tag[0].endswith(b"/>"):
            name = ITEM if self._row_depth == 3 else ROWS
            return tag[0][:-2] + b">" + member + f"</{name}>\n".encode()
        rest = content[tag.end() :]
        return tag[0] + member + (_REASON.sub(b"", rest, count=1) if _REASON.match(rest.lstrip()) else rest) + b"\n"

    # --- parsing ---

    def _read_head(self) -> None:
        while not (self._row_depth or self._is_end or self._error):
            self._read()
        if not self._row_depth:
            raise self._error or self._invalid("there is no element data")

    def _read(self) -> None:
        """Parse a further part of the file. An error is kept until the rows before it are returned."""
        chunk = self._stream.read(_CHUNK_BYTES)
        self._buffer += chunk
        try:
            self._parser.Parse(chunk, not chunk)
        except expat.ExpatError as error:
            reason = expat.errors.messages[error.code]
            ended = " (the file ends early)" if not chunk else ""
            self._error = InvalidFile(error.lineno, f"the XML is malformed: {reason}{ended}")
        except InvalidFile as error:
            self._error = error
        self._is_end = not chunk
        if self._row_depth:
            self._consume(self._parser.CurrentByteIndex if self._row_start < 0 else self._row_start)
        if len(self._buffer) > self._max_row + 2 * _CHUNK_BYTES:
            what = "row" if self._row_depth else "head of the file"
            reason = f"the {what} that begins here has more than {self._max_row} bytes"
            self._error = self._error or InvalidFile(max(self._row_line, 1), reason)

    def _consume(self, place: int) -> None:
        """Drop what is before a place in the file."""
        kept = max(place - self._offset, 0)
        self._buffer = self._buffer[kept:]
        self._offset += kept

    def _start(self, name: str, _attributes: Mapping[str, str]) -> None:
        self._names.append(name)
        depth = len(self._names)
        if depth == 1:
            self._begin_root(name)
        elif not self._row_depth and depth <= 3 and self._names[1] == ROWS:
            self._find_rows(depth, name)
        elif self._row_depth and depth == 2 and name != ROWS:
            raise self._invalid(f"the parameter {name[:50]!r} is after data: parameters must be before it")
        if depth == self._row_depth and self._row_start < 0:
            self._begin_row(name)

    def _begin_root(self, name: str) -> None:
        if name != ROOT:
            raise self._invalid(f'the root element is {name[:50]!r}, not "xml"')
        self._consume(self._parser.CurrentByteIndex)
        tag = _TAG.match(self._buffer)
        assert tag is not None
        self._root_tag = tag[0]

    def _find_rows(self, depth: int, name: str) -> None:
        """Decide whether `data` is a row or has rows, by its first child."""
        if depth == 2:
            self._row_start, self._row_line = self._parser.CurrentByteIndex, self._parser.CurrentLineNumber
        elif name == ITEM:
            self._row_start = -1
            self._set_head(3, self._parser.CurrentByteIndex)
        else:
            self._set_head(2, self._row_start)

    def _set_head(self, depth: int, place: int) -> None:
        self._row_depth = depth
        self._head = self._buffer[: place - self._offset]
        head = self._head if depth == 2 else self._head[: self._head.rindex(b"<data")]
        tree = xml_codec.decode(head + b"</xml>")
        self.parameters = {name: value for name, value in tree.items() if name not in ("token", "format")}

    def _begin_row(self, name: str) -> None:
        if self._row_depth == 3 and name != ITEM:
            raise self._invalid(f"the element {name[:50]!r} is among rows that are named _")
        self._row_start, self._row_line = self._parser.CurrentByteIndex, self._parser.CurrentLineNumber

    def _end(self, name: str) -> None:
        depth = len(self._names)
        if depth == 2 and self._names[1] == ROWS and not self._row_depth:
            self._set_head(2, self._row_start)  # a row without members
        if depth == self._row_depth and self._row_start >= 0:
            self._end_row(name)
        self._names.pop()

    def _end_row(self, name: str) -> None:
        start, place = self._row_start - self._offset, self._parser.CurrentByteIndex - self._offset
        # The end of an empty element is where its only tag ends; of others, it is where the end tag begins.
        end = self._buffer.index(b">", place) + 1 if self._buffer.startswith(f"</{name}".encode(), place) else place
        content = self._buffer[start:end]
        size = len(content)
        fault = f"the row has more than {self._max_row} bytes (GATEWAY_MAX_BODY)" if size > self._max_row else ""
        self._found.append(Row(self._row_line, size, content, fault))
        self._row_start = -1

    def _refused_frame(self) -> tuple[bytes, bytes]:
        end = b"</data></xml>\n" if self._row_depth == 3 else b"</xml>\n"
        return self._head.rstrip() + b"\n", end

    def _reject_doctype(self, *_arguments: object) -> None:
        raise self._invalid("a DOCTYPE is not allowed")

    def _invalid(self, reason: str) -> InvalidFile:
        return InvalidFile(self._parser.CurrentLineNumber, reason)


class XmlWriter:
    """Writes the body of a batch, a `data` element for each row. `parameters` are the elements before them."""

    tail = b"</xml>\n"

    def __init__(self, parameters: Mapping[str, str]) -> None:
        members = "".join(_element(name, value) for name, value in parameters.items())
        self.head = f"<xml {_NAMESPACES}>{members}\n".encode()

    def row(self, tree: Mapping[str, Any], is_first: bool) -> bytes:  # noqa: ARG002
        """See `RowWriter`."""
        return f"{_element(ROWS, tree or '')}\n".encode()


def _element(name: str, value: Any) -> str:
    """Return the element of a member. A typed leaf has its `xsi:type`, which counts where no type is declared."""
    tag = element_name(name)
    if tag is None:
        raise ValueError(f"the member {name!r} has a name that XML cannot represent")
    return _list(tag, value) if isinstance(value, list) else _tagged(tag, value, "")


def _tagged(tag: str, value: Any, attributes: str) -> str:
    if isinstance(value, dict):
        if not value:
            raise ValueError(f"{tag} has an empty object, which XML cannot represent")
        return f"<{tag}{attributes}>{''.join(_element(name, member) for name, member in value.items())}</{tag}>"
    if isinstance(value, list):  # an item of a list
        return f"<{tag}{attributes}>{''.join(_tagged(ITEM, each, '') for each in value) or _NO_ITEMS}</{tag}>"
    if value is None:
        return f'<{tag}{attributes} xsi:nil="true"/>'
    if isinstance(value, str):
        if _ILLEGAL_CHARACTER.search(value):
            raise ValueError(f"{tag} has a control character, which XML cannot represent")
        text = escape(value, {"\r": "&#13;"})
        return f"<{tag}{attributes}>{text}</{tag}>" if text else f"<{tag}{attributes}/>"
    kind, text = _typed_leaf(value)
    return f'<{tag}{attributes} xsi:type="xs:{kind}">{text}</{tag}>'


def _list(tag: str, items: list[Any]) -> str:
    """Return the elements of a list, of which the first one says that it is one."""
    if not items:
        return f"<{tag}{_ARRAY}/>"
    if items in ([""], [None]):
        return f"<{tag}>{_tagged(ITEM, items[0], '')}</{tag}>"
    first, *rest = items
    return _tagged(tag, first, _ARRAY) + "".join(_tagged(tag, item, "") for item in rest)


def _typed_leaf(value: bool | int | float) -> tuple[str, str]:
    if isinstance(value, bool):
        return "boolean", "true" if value else "false"
    return ("integer", str(value)) if isinstance(value, int) else ("double", repr(value))

"""What a format of files of profiles is: a reader of rows, a writer of rows, and how a refused row is returned.

A row is one profile as its dialect writes it. A refused row is written in the form in which it was read, with the
reason in one more member, `_refused`, which a reader leaves out: the file can be mended and imported again.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Protocol

from msgspec import Struct

from gateway.core.model import Tree
from gateway.core.numbers import UnrepresentableNumber
from gateway.media import Bounds

REFUSED = "_refused"
"""The member or column with the reason of a refused row."""

UNREADABLE = "_row"
"""The member with what a refused row contained, where that is no object."""


class InvalidFile(ValueError):
    """A file that cannot be read further. The message names the line."""

    def __init__(self, line: int, reason: str) -> None:
        super().__init__(f"line {line}: {reason}")


class Row(Struct, frozen=True):
    """A row as it was read. `line` is the line where it begins, `size` its bytes.

    `content` is what its reader decodes. A row with a `fault` has a form that cannot be decoded.
    """

    line: int
    size: int
    content: Any
    fault: str = ""


class RowReader(Protocol):
    """Reads the rows of one file."""

    is_typed: bool
    """Whether the leaves carry types. If not, they are texts, which the schema coerces as it does for XML."""
    parameters: Mapping[str, Any]
    """The request parameters that the file has before its rows. They are complete once the first row is read."""
    refused_head: bytes
    """What a file of refused rows begins with. It is complete once the first row is read."""
    refused_tail: bytes
    """What it ends with."""

    def rows(self) -> Iterator[Row]:
        """Return the rows in order. Raises `InvalidFile` where the file cannot be read further."""
        ...

    def decode(self, row: Row, bounds: Bounds, unrepresentable: list[UnrepresentableNumber]) -> Tree:
        """Return the tree of a row without a fault. Raises `Refusal` where it is malformed or exceeds a bound."""
        ...

    def refused(self, row: Row, reason: str, is_first: bool) -> bytes:
        """Return a row for the file of refused rows. `is_first`: no row is before it."""
        ...


class RowWriter(Protocol):
    """Writes rows to a file. `head` and `tail` are what the file begins and ends with."""

    head: bytes
    tail: bytes

    def row(self, tree: Mapping[str, Any], is_first: bool) -> bytes:
        """Return a row. Raises `ValueError` with the reason where the format cannot represent it exactly."""
        ...


class ReaderOptions(Struct, frozen=True):
    """How to read a file.

    `max_row`: bytes of a row. `delimiter`: of CSV; None: detected. `names`: by column of CSV, the name of its field; ""
    leaves the column out.
    """

    max_row: int
    delimiter: str | None = None
    names: Mapping[str, str] = {}


def too_long(limit: int) -> str:
    """Return the fault of a row that is too long."""
    return f"the row has more than {limit} bytes (GATEWAY_MAX_BODY)"

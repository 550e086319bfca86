"""A store as lines. One dump is one snapshot: the databases by id, each followed by its content.

A dump omits what a load derives: the identities, from the documents; and the registry's version, which each store
counts on its own.
"""

from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from mmap import ACCESS_READ, mmap
from os import SEEK_END
from typing import Any, BinaryIO

from gateway.core.model import AddressLedger, Job, JournalEntry, Profile, StoredAnswer
from gateway.stores.protocol import Snapshot, Store
from gateway.transfer.lines import (
    AnswerLine,
    AnyLine,
    ContentLine,
    DatabaseLine,
    DumpLine,
    EndLine,
    InvalidLine,
    JobLine,
    JournalLine,
    LedgerLine,
    ProfileLine,
    RowLine,
    TokenLine,
    encode_line,
    line_of,
    parse_line,
)

HEADER = encode_line(DumpLine())
COUNT_CHUNK_BYTES = 1 << 20

CONTENT_ORDER = (LedgerLine, ProfileLine, JobLine, JournalLine, AnswerLine)
"""The content of a database, in this order."""


@dataclass(frozen=True, slots=True)
class DumpPosition:
    """Where a dump continues: after `lines` lines. `last` is the last of them that has content."""

    lines: int = 0
    last: ContentLine | None = None


class DumpComplete(Exception):
    """The file is a whole dump."""


async def dump_lines(store: Store, snapshot: Snapshot, position: DumpPosition | None = None) -> AsyncIterator[bytes]:
    """Return the lines of a dump from a position."""
    position = position or DumpPosition()
    count = position.lines
    if not count:
        yield HEADER
        count += 1
    async for line in _rows(store, snapshot, position.last):
        yield encode_line(line)
        count += 1
    yield encode_line(EndLine(count))


async def _rows(store: Store, snapshot: Snapshot, last: ContentLine | None) -> AsyncIterator[RowLine]:
    # The registry is read while the snapshot is open. No database is removed, so every row of the snapshot has its own.
    tokens = await store.tokens()
    for database in await store.databases():
        previous = last if last and last.database == database.id else None
        if last and database.id < last.database:
            continue
        if not previous:
            yield line_of(database.id, database)
            for token in tokens:
                if token.database == database.id:
                    yield line_of(database.id, token)
        for section in _sections(snapshot, database.id, previous):
            async for row in section:
                yield line_of(database.id, row)


def _sections(
    snapshot: Snapshot, database: int, last: ContentLine | None
) -> Sequence[AsyncIterator[AddressLedger | Profile | Job | JournalEntry | StoredAnswer]]:
    """Return the content of a database after a line."""
    first = CONTENT_ORDER.index(type(last)) if last else 0
    sections: Sequence[AsyncIterator[Any]] = (
        snapshot.ledgers(database, last.address if isinstance(last, LedgerLine) else ""),
        snapshot.profiles(database, last.id if isinstance(last, ProfileLine) else ""),
        snapshot.jobs(database, last.id if isinstance(last, JobLine) else ""),
        snapshot.journal(database),
        snapshot.answers(database, last.key if isinstance(last, AnswerLine) else ""),
    )
    return sections[first:]


def find_position(file: BinaryIO) -> DumpPosition:
    """Return where the dump in this file continues. Truncate what is written again.

    Raises `DumpComplete` where the dump is whole, `InvalidLine` where the file is no dump.
    """
    end, position = 0, DumpPosition()
    if file.seek(0, SEEK_END):
        with mmap(file.fileno(), 0, access=ACCESS_READ) as content:
            if content[: len(HEADER)] == HEADER:
                end, last = _find_cut(content)
                position = DumpPosition(_count_lines(content, end), last)
            elif not HEADER.startswith(content[: len(HEADER)]):
                raise InvalidLine("line 1: it is not the first line of a dump")
    file.truncate(end)
    file.seek(end)
    return position


def _find_cut(content: mmap) -> tuple[int, ContentLine | None]:
    """Return where to truncate, and the line to continue from.

    A database's first lines are all written again. So is its journal: no line of it names a place in the store.
    """
    end = content.rfind(b"\n") + 1
    for start, line in _lines_backwards(content, end):
        match line:
            case EndLine():
                raise DumpComplete
            case DatabaseLine() | TokenLine() | JournalLine():
                end = start
            case LedgerLine() | ProfileLine() | JobLine() | AnswerLine():
                return end, line
            case _:
                break
    return end, None


def _lines_backwards(content: mmap, end: int) -> Iterator[tuple[int, AnyLine]]:
    """Return each line with its offset, the last one first."""
    while end:
        start = content.rfind(b"\n", 0, end - 1) + 1
        yield start, parse_line(content[start:end])
        end = start


def _count_lines(content: mmap, end: int) -> int:
    starts = range(0, end, COUNT_CHUNK_BYTES)
    return sum(content[start : min(start + COUNT_CHUNK_BYTES, end)].count(b"\n") for start in starts)

"""From a store to lines. One dump is one snapshot: each database by its id, with all that belongs to it.

Not dumped is what follows from the rest: identities, which the documents say; and the epoch, which counts in its own
store alone.
"""

from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from mmap import ACCESS_READ, mmap
from os import SEEK_END
from typing import BinaryIO

from gateway.core.model import ChangeRecord, Job, Profile, StoredAnswer
from gateway.stores.protocol import Snapshot, Store
from gateway.transfer.lines import (
    AnswerLine,
    AnyLine,
    BadLine,
    ChangeLine,
    DatabaseLine,
    DumpLine,
    EndLine,
    JobLine,
    KeptLine,
    ProfileLine,
    RowLine,
    TokenLine,
    line_of,
    read,
    spelled,
)

HEADER = spelled(DumpLine())
COUNTED_AT_ONCE = 1 << 20

ORDER = (ProfileLine, JobLine, ChangeLine, AnswerLine)
"""What belongs to a database, in this order."""


@dataclass(frozen=True, slots=True)
class Place:
    """How far a dump has come: `lines` are written, and it goes on behind `last`, or with its changes once more."""

    lines: int = 0
    last: KeptLine | None = None


class Whole(Exception):
    """There is nothing left to dump."""


async def dumped(store: Store, snapshot: Snapshot, place: Place | None = None) -> AsyncIterator[bytes]:
    """The lines of a dump, from a place on."""
    place = place or Place()
    count = place.lines
    if not count:
        yield spelled(DumpLine())
        count += 1
    async for line in _rows(store, snapshot, place.last):
        yield spelled(line)
        count += 1
    yield spelled(EndLine(count))


async def _rows(store: Store, snapshot: Snapshot, last: KeptLine | None) -> AsyncIterator[RowLine]:
    # The registry is read within the snapshot's time, after its moment, and only grows: no row there lacks its own.
    tokens = await store.tokens()
    for database in await store.databases():
        here = last if last and last.database == database.id else None
        if last and database.id < last.database:
            continue
        if not here:
            yield line_of(database.id, database)
            for token in tokens:
                if token.database == database.id:
                    yield line_of(database.id, token)
        for section in _sections(snapshot, database.id, here):
            async for row in section:
                yield line_of(database.id, row)


def _sections(
    snapshot: Snapshot, database: int, last: KeptLine | None
) -> Sequence[AsyncIterator[Profile] | AsyncIterator[Job] | AsyncIterator[ChangeRecord] | AsyncIterator[StoredAnswer]]:
    """What belongs to a database, from a line on."""
    begun = ORDER.index(type(last)) if last else 0
    sections = (
        snapshot.profiles(database, last.id if isinstance(last, ProfileLine) else ""),
        snapshot.jobs(database, last.id if isinstance(last, JobLine) else ""),
        snapshot.changes(database, last.time if isinstance(last, ChangeLine) else 0),
        snapshot.answered(database, last.key if isinstance(last, AnswerLine) else ""),
    )
    return sections[begun:]


def place_in(file: BinaryIO) -> Place:
    """How far the dump in this file came. What cannot be gone on from is cut off: half a line, half a millisecond.

    Raises `Whole` where it came to its end, `BadLine` where the file is no dump.
    """
    end, place = 0, Place()
    if file.seek(0, SEEK_END):
        with mmap(file.fileno(), 0, access=ACCESS_READ) as content:
            if content[: len(HEADER)] == HEADER:
                end, last = _cut(content)
                place = Place(_lines_in(content, end), last)
            elif not HEADER.startswith(content[: len(HEADER)]):
                raise BadLine("line 1: it is not the first line of a dump")
    file.truncate(end)
    file.seek(end)
    return place


def _cut(content: mmap) -> tuple[int, KeptLine | None]:
    """Where to cut, and the line to go on from. A database's first lines are written anew, all of them together."""
    again: ChangeLine | None = None
    end = content.rfind(b"\n") + 1
    for start, line in _backwards(content, end):
        match line:
            case EndLine():
                raise Whole
            case DatabaseLine() | TokenLine() if not again:
                end = start
            case ChangeLine() if not again or (line.database, line.time) == (again.database, again.time):
                again, end = line, start
            case ProfileLine() | JobLine() | AnswerLine() if not again:
                return end, line
            case _:
                break
    return end, again


def _backwards(content: mmap, end: int) -> Iterator[tuple[int, AnyLine]]:
    """Each line with its place, the last one first."""
    while end:
        start = content.rfind(b"\n", 0, end - 1) + 1
        yield start, read(content[start:end])
        end = start


def _lines_in(content: mmap, end: int) -> int:
    parts = (content[start : min(start + COUNTED_AT_ONCE, end)] for start in range(0, end, COUNTED_AT_ONCE))
    return sum(part.count(b"\n") for part in parts)

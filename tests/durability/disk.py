"""A disk under a folder of files, and what it may hold when the power fails: it computes, and touches no file itself.

What was written is there for sure once a sync that began later has ended well; until then it may be there or not, write
by write and even sector by sector. A name is there for sure once the folder was synced. What was waiting for a sync
that failed may be gone for good, though a later sync ends well: the kernel may have taken it for written. It tells so
each file descriptor that may have written it (fsync(2), from Linux 4.13 on): so what others wrote through their own,
and synced well afterwards, is not among that. Each thread of the gateway that writes has its own.
"""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from random import Random

from tests.durability.recording import Began, Ended, numbers, path_of, strings

SECTOR = 512

Keep = Callable[[], bool]


@dataclass(eq=False)
class Write:
    """Bytes at an offset, or a new length where there are none."""

    offset: int
    data: bytes | None
    thread: int = 0
    has_ended: bool = False


@dataclass(eq=False)
class File:
    """What is on the disk for sure, and what may be, in the order in which it was written."""

    synced: bytearray = field(default_factory=bytearray)
    waiting: list[Write] = field(default_factory=list)

    def settle(self, writes: list[Write]) -> None:
        """These writes are on the disk."""
        for write in writes:
            put(self.synced, write)
        self.waiting = [write for write in self.waiting if write not in writes]


class Disk:
    """The files of one folder, moved on by the calls of a recording."""

    def __init__(self, folder: str, random: Random) -> None:
        self._folder = folder
        self._random = random
        self._names: dict[str, File] = {}
        self._synced_names: dict[str, File] = {}
        self._open: dict[Began, Write | list[Write]] = {}
        self.failed_syncs = 0

    def move(self, event: Began | Ended) -> None:
        if isinstance(event, Began):
            self._begin(event)
        else:
            self._end(event.began, event.answer)

    def states(self) -> Iterator[tuple[str, dict[str, bytes]]]:
        """What the files may hold if the power failed now, by how much of what was not yet synced had been written."""
        coin = lambda: self._random.random() < 0.5  # noqa: E731
        yield "nothing", self._state(lambda: False)
        yield "all", self._state(lambda: True)
        yield "some", self._state(coin)
        yield "torn", self._state(coin, is_torn=True)

    def _begin(self, call: Began) -> None:
        if call.call in ("fdatasync", "fsync") and path_of(call.text) in (self._folder, *self._paths()):
            file = self._file(path_of(call.text))
            self._open[call] = [write for write in file.waiting if write.has_ended] if file else []
        elif call.call in ("pwrite64", "ftruncate") and (file := self._file(path_of(call.text))):
            write = _write_of(call)
            file.waiting.append(write)
            self._open[call] = write

    def _end(self, call: Began, answer: int) -> None:
        opened = self._open.pop(call, None)
        if isinstance(opened, Write):
            self._written(call, opened, answer)
        elif isinstance(opened, list):
            self._synced(call, opened, answer == 0)
        elif answer >= 0 and call.call in ("openat", "unlink", "rename"):
            self._named(call)

    def _written(self, call: Began, write: Write, answer: int) -> None:
        write.has_ended = True
        if answer < 0:
            self._remove(path_of(call.text), write)
        elif write.data is not None:
            write.data = write.data[:answer]

    def _synced(self, call: Began, writes: list[Write], went_well: bool) -> None:
        path = path_of(call.text)
        if path == self._folder:
            self._synced_names = dict(self._names) if went_well else self._synced_names
        elif file := self._file(path):
            writes = [write for write in writes if write in file.waiting]  # another may have synced them meanwhile
            if went_well:
                file.settle(writes)
            else:
                self._fail(file, [write for write in writes if write.thread == call.thread])

    def _fail(self, file: File, writes: list[Write]) -> None:
        """All of these writes are gone for good, or each by chance."""
        self.failed_syncs += 1
        share = self._random.choice([0, 0.5])
        kept = [write for write in writes if self._random.random() < share]
        file.waiting = [write for write in file.waiting if write not in writes or write in kept]
        file.settle(kept)

    def _named(self, call: Began) -> None:
        names = [os.path.relpath(path.decode(), self._folder) for path in strings(call.text)]
        if any(name.startswith("..") for name in names):
            return
        if call.call == "unlink":
            self._names.pop(names[0], None)
        elif call.call == "rename":
            self._names[names[1]] = self._names.pop(names[0])
        elif "O_CREAT" in call.text:
            self._names.setdefault(names[0], File())

    def _state(self, keep: Keep, is_torn: bool = False) -> dict[str, bytes]:
        names = {}
        for name in self._names.keys() | self._synced_names.keys():
            if file := (self._names if keep() else self._synced_names).get(name):
                names[name] = _content(file, keep, is_torn)
        return {name: content for name, content in names.items() if not name.endswith("-shm")}

    def _paths(self) -> Iterator[str]:
        return (f"{self._folder}/{name}" for name in self._names)

    def _file(self, path: str) -> File | None:
        return self._names.get(os.path.relpath(path, self._folder)) if path else None

    def _remove(self, path: str, write: Write) -> None:
        if file := self._file(path):
            file.waiting.remove(write)


def _content(file: File, keep: Keep, is_torn: bool) -> bytes:
    content = bytearray(file.synced)
    for write in file.waiting:
        for part in _sectors(write) if is_torn else [write]:
            if keep():
                put(content, part)
    return bytes(content)


def _sectors(write: Write) -> Iterator[Write]:
    """A write, sector by sector of the disk."""
    if write.data is None:
        yield write
        return
    start = write.offset
    while start < write.offset + len(write.data):
        end = min((start // SECTOR + 1) * SECTOR, write.offset + len(write.data))
        yield Write(start, write.data[start - write.offset : end - write.offset])
        start = end


def put(content: bytearray, write: Write) -> None:
    """Does a write to what a file holds."""
    length = write.offset + len(write.data or b"")
    if len(content) < length:
        content.extend(bytes(length - len(content)))
    if write.data is None:
        del content[write.offset :]
    else:
        content[write.offset : length] = write.data


def _write_of(call: Began) -> Write:
    data = None if call.call == "ftruncate" else strings(call.text)[0]
    return Write(numbers(call.text)[-1], data, call.thread)

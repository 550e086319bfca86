"""A model of a disk: the possible contents of a folder's files when the power fails. It uses no file itself.

A write is stored once a later sync has succeeded. Before that it may be stored or not, write by write and even sector
by sector. A name is stored once the folder is synced. Writes that wait for a sync that fails may be lost, even if a
later sync succeeds: the kernel may consider them written. It reports the failure to each file descriptor that may have
written them (fsync(2), since Linux 4.13). So writes of other descriptors that are synced later are not among them. Each
writing thread of the gateway has its own descriptor.
"""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from random import Random

from tests.durability.recording import CallEnd, CallStart, numbers, path_of, strings

SECTOR = 512

Keep = Callable[[], bool]


@dataclass(eq=False)
class Write:
    """Bytes at an offset, or a new length where `data` is missing."""

    offset: int
    data: bytes | None
    thread: int = 0
    has_ended: bool = False


@dataclass(eq=False)
class File:
    """The stored content, and the writes that may be stored, in their order."""

    synced: bytearray = field(default_factory=bytearray)
    waiting: list[Write] = field(default_factory=list)

    def sync(self, writes: list[Write]) -> None:
        """Store these writes."""
        for write in writes:
            put(self.synced, write)
        self.waiting = [write for write in self.waiting if write not in writes]


class Disk:
    """The files of one folder, which the calls of a recording alter."""

    def __init__(self, folder: str, random: Random) -> None:
        self._folder = folder
        self._random = random
        self._names: dict[str, File] = {}
        self._synced_names: dict[str, File] = {}
        self._open: dict[CallStart, Write | list[Write]] = {}
        self.failed_syncs = 0

    def apply(self, event: CallStart | CallEnd) -> None:
        if isinstance(event, CallStart):
            self._begin(event)
        else:
            self._end(event.start, event.result)

    def states(self) -> Iterator[tuple[str, dict[str, bytes]]]:
        """Return possible contents of the files if the power fails now, by how many waiting writes are stored."""
        coin = lambda: self._random.random() < 0.5  # noqa: E731
        yield "nothing", self._state(lambda: False)
        yield "all", self._state(lambda: True)
        yield "some", self._state(coin)
        yield "torn", self._state(coin, is_torn=True)

    def _begin(self, call: CallStart) -> None:
        if call.call in ("fdatasync", "fsync") and path_of(call.text) in (self._folder, *self._paths()):
            file = self._file(path_of(call.text))
            self._open[call] = [write for write in file.waiting if write.has_ended] if file else []
        elif call.call in ("pwrite64", "ftruncate") and (file := self._file(path_of(call.text))):
            write = _write_of(call)
            file.waiting.append(write)
            self._open[call] = write

    def _end(self, call: CallStart, result: int) -> None:
        opened = self._open.pop(call, None)
        if isinstance(opened, Write):
            self._end_write(call, opened, result)
        elif isinstance(opened, list):
            self._end_sync(call, opened, result == 0)
        elif result >= 0 and call.call in ("openat", "link", "unlink", "rename"):
            self._rename(call)

    def _end_write(self, call: CallStart, write: Write, result: int) -> None:
        write.has_ended = True
        if result < 0:
            self._remove(path_of(call.text), write)
        elif write.data is not None:
            write.data = write.data[:result]

    def _end_sync(self, call: CallStart, writes: list[Write], succeeded: bool) -> None:
        path = path_of(call.text)
        if path == self._folder:
            self._synced_names = dict(self._names) if succeeded else self._synced_names
        elif file := self._file(path):
            writes = [write for write in writes if write in file.waiting]  # another call may have synced them meanwhile
            if succeeded:
                file.sync(writes)
            else:
                self._fail(file, [write for write in writes if write.thread == call.thread])

    def _fail(self, file: File, writes: list[Write]) -> None:
        """Lose all of these writes, or each by chance."""
        self.failed_syncs += 1
        share = self._random.choice([0, 0.5])
        kept = [write for write in writes if self._random.random() < share]
        file.waiting = [write for write in file.waiting if write not in writes or write in kept]
        file.sync(kept)

    def _rename(self, call: CallStart) -> None:
        names = [os.path.relpath(path.decode(), self._folder) for path in strings(call.text)]
        if any(name.startswith("..") for name in names):
            return
        if call.call == "unlink":
            self._names.pop(names[0], None)
        elif call.call == "link":
            self._names[names[1]] = self._names[names[0]]
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
    """Return a write as one write for each sector."""
    if write.data is None:
        yield write
        return
    start = write.offset
    while start < write.offset + len(write.data):
        end = min((start // SECTOR + 1) * SECTOR, write.offset + len(write.data))
        yield Write(start, write.data[start - write.offset : end - write.offset])
        start = end


def put(content: bytearray, write: Write) -> None:
    """Apply a write to the content of a file."""
    length = write.offset + len(write.data or b"")
    if len(content) < length:
        content.extend(bytes(length - len(content)))
    if write.data is None:
        del content[write.offset :]
    else:
        content[write.offset : length] = write.data


def _write_of(call: CallStart) -> Write:
    data = None if call.call == "ftruncate" else strings(call.text)[0]
    return Write(numbers(call.text)[-1], data, call.thread)

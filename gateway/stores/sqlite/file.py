"""The file of a store: its creation, whose file it is, and whether it is still in its place.

A file is created whole or not at all: so an empty file is another program's.
"""

import ctypes
import logging
import os
from contextlib import suppress
from pathlib import Path
from secrets import token_hex
from tempfile import TemporaryFile

import apsw

from gateway.stores.errors import StoreNotFound, Unavailable, Unusable

APPLICATION_ID = 0x50474757
"""The mark of our files in their header: "PGGW"."""

SQLITE_MAGIC = b"SQLite format 3\x00"
HEADER_BYTES = 100
OWNER_ONLY = 0o600

COMPANIONS = {"-wal": "the log of the store's file", "-shm": "the index of the log of the store's file"}
"""The ends of the names of SQLite's further files."""

ROOM_BYTES = 1 << 20
"""Room that the disk must have before a store whose commit failed is ready again."""

log = logging.getLogger("gateway")


def create_file(file: str, content: bytes) -> None:
    """Create a file that only its owner can read. A file that exists already is not touched.

    Raises `Unavailable` where there is the log of a file that was removed: SQLite would write it into the new one.
    """
    log_file = Path(f"{file}-wal")
    if log_file.exists() and log_file.stat().st_size and not os.path.lexists(file):
        raise Unavailable(f"{file}: the file is missing, and its log is there: restore the file, or remove {log_file}")
    new = f"{file}.{token_hex(4)}.new"
    try:
        with open(os.open(new, os.O_RDWR | os.O_CREAT | os.O_EXCL, OWNER_ONLY), "r+b") as output:
            os.fchmod(output.fileno(), OWNER_ONLY)  # also where the umask takes rights of the owner
            os.pwrite(output.fileno(), content, 0)
            os.fsync(output.fileno())
        with suppress(FileExistsError):  # another process was first
            os.link(new, file)
    finally:
        with suppress(FileNotFoundError):
            os.unlink(new)
    _sync_folder(file)


def has_mark(file: str) -> bool:
    """Return whether a file has our mark, or none as in older versions. Touch nothing.

    Raises `StoreNotFound`, or `Unavailable` where its header is another program's.
    """
    path = Path(file)
    if not path.exists():
        raise StoreNotFound(f"{file}: there is no such store")
    with path.open("rb") as content:
        header = content.read(HEADER_BYTES)
    mark = int.from_bytes(header[68:72])
    if len(header) < HEADER_BYTES or not header.startswith(SQLITE_MAGIC) or mark not in (0, APPLICATION_ID):
        raise another_program(file)
    return mark == APPLICATION_ID


def another_program(file: str) -> Unavailable:
    """Return the exception for the file of another program."""
    return Unavailable(f"{file}: the file is no store of Profile Gateway; it was not changed")


def warn_of_rights(file: str) -> None:
    """Log a warning where others than the owner may open the file or its log."""
    for path in (file, *(f"{file}{end}" for end in COMPANIONS)):
        with suppress(FileNotFoundError):
            mode = os.stat(path).st_mode & 0o777
            if mode & ~OWNER_ONLY:
                log.warning("%s contains personal data and has the rights %o: 600 would be enough", path, mode)


def require_room(file: str) -> None:
    """Raise `Unavailable` where the disk of a file is full."""
    try:
        with TemporaryFile(dir=Path(file).parent, buffering=0) as probe:
            probe.write(bytes(ROOM_BYTES))
    except OSError as error:
        raise Unavailable(f"the disk has no room: {error.strerror}") from error


def has_moved(connection: apsw.Connection) -> bool:
    """Return whether the path of the file leads to another file by now, or to none."""
    moved = ctypes.c_int()
    connection.file_control("main", apsw.SQLITE_FCNTL_HAS_MOVED, ctypes.addressof(moved))
    return bool(moved.value)


class FileCheck:
    """Whether the file, its log and its index are where they were. What is written into a removed file is lost."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection
        self._companions = {f"{connection.filename}{end}": name for end, name in COMPANIONS.items()}
        self._identities = {path: _identity(path) for path in self._companions}
        self.reason = ""
        """Why the file is unusable, by an earlier check."""

    def check(self) -> None:
        """Raise `Unusable` where one of the files is gone, and from then on."""
        if not self.reason:
            self.reason = self._find_reason()
        self.require()

    def require(self) -> None:
        """Raise `Unusable` where there is a reason. Where each call counts, ask for the reason first."""
        if self.reason:
            raise Unusable(self.reason)

    def _find_reason(self) -> str:
        if has_moved(self._connection):
            return "the file of the store was moved, removed or replaced"
        for path, name in self._companions.items():
            if _identity(path) != self._identities[path]:
                return f"{name} was moved, removed or replaced"
        return ""


def _identity(path: str) -> tuple[int, int] | None:
    with suppress(FileNotFoundError):
        found = os.stat(path)
        return found.st_dev, found.st_ino
    return None


def _sync_folder(file: str) -> None:
    folder = os.open(Path(file).parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)

"""The file of refused rows. It is created with the first one, and only its owner can read it."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from gateway.transfer.formats.protocol import Row, RowReader


class UnusableRefusedFile(Exception):
    """The file cannot be written, or is not as the interrupted import left it."""


class RefusedFile:
    """Receives refused rows in the form in which they were read. `path` is None where they are not kept."""

    def __init__(self, path: Path | None, reader: RowReader) -> None:
        self._path = path
        self._reader = reader
        self._file: BinaryIO | None = None
        self.size = 0

    def resume(self, size: int) -> None:
        """Continue the file after `size` bytes. Raises `UnusableRefusedFile`."""
        if not size or self._path is None:
            return
        actual = self._path.stat().st_size if self._path.exists() else 0
        if actual < size:
            raise UnusableRefusedFile(
                f"{self._path} has {actual} bytes, and the interrupted import had written {size}: "
                "name the same file in --refused"
            )
        self._file = self._path.open("r+b")
        self._file.truncate(size)
        self._file.seek(size)
        self.size = size

    def write(self, row: Row, reason: str) -> None:
        """Write a row and the reason of its refusal. Raises `UnusableRefusedFile`."""
        if self._path is None:
            return
        with self._errors():
            if self._file is None:
                descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
                self._file = os.fdopen(descriptor, "r+b")
                self._append(self._reader.refused_head)
            self._append(self._reader.refused(row, reason, self.size == len(self._reader.refused_head)))

    def sync(self) -> None:
        """Return when the rows are on the disk. Raises `UnusableRefusedFile`."""
        if self._file is not None:
            with self._errors():
                self._file.flush()
                os.fsync(self._file.fileno())

    def close(self) -> None:
        """Write the end of the file. It is not counted in `size`: the file may be resumed."""
        if self._file is not None:
            with self._errors():
                self._file.write(self._reader.refused_tail)
            self.sync()
            self._file.close()

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise UnusableRefusedFile(f"{self._path}: {error.strerror}") from error

    def _append(self, content: bytes) -> None:
        assert self._file is not None
        self._file.write(content)
        self.size += len(content)

"""The bytes of a file to import: decompressed, and in UTF-8 without a byte order mark."""

import bz2
import codecs
import gzip
import hashlib
import io
import lzma
import re
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, cast

BUFFER_BYTES = 1 << 16
_START_BYTES = 256

_XML_ENCODING = re.compile(rb"""<\?xml\s[^>]*?\sencoding\s*=\s*["']([A-Za-z][A-Za-z0-9._-]*)["']""")
_MARKS = {codecs.BOM_UTF8: "utf-8", codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}

READ_ERRORS = (EOFError, OSError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, UnicodeDecodeError)
"""What reading a source may raise: the compressed data is damaged or ends early, or the file cannot be read."""


def open_source(file: BinaryIO, encoding: str | None = None) -> io.BufferedReader:
    """Return the bytes of an open file, decompressed (gzip, bzip2, xz, zip with one file) and in UTF-8.

    The encoding is that of the byte order mark, else the given one, else that of the XML declaration, else UTF-8. A
    byte that is not of the encoding stays as it is, so that the row that has it is refused. Raises `LookupError` for an
    unknown encoding, and `READ_ERRORS`.
    """
    stream = _decompressed(file)
    start = stream.peek(_START_BYTES)[:_START_BYTES]
    for mark, marked in _MARKS.items():
        if start.startswith(mark):
            stream.read(len(mark))
            return _in_utf8(stream, marked)
    declared = _XML_ENCODING.match(start)
    return _in_utf8(stream, encoding or (declared[1].decode() if declared else "utf-8"))


def file_digest(file: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal."""
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def _decompressed(file: BinaryIO) -> io.BufferedReader:
    stream = file if isinstance(file, io.BufferedReader) else io.BufferedReader(cast(io.RawIOBase, file), BUFFER_BYTES)
    start = stream.peek(_START_BYTES)[:_START_BYTES]
    for sign, opener in _COMPRESSIONS.items():
        if start.startswith(sign):
            return io.BufferedReader(cast(io.RawIOBase, opener(stream)), BUFFER_BYTES)
    return stream


def _unzip(stream: BinaryIO) -> BinaryIO:
    archive = zipfile.ZipFile(stream)
    names = [each for each in archive.namelist() if not each.endswith("/")]
    if len(names) != 1:
        raise zipfile.BadZipFile(f"the archive has {len(names)} files, and not one")
    return cast(BinaryIO, archive.open(names[0]))


_COMPRESSIONS: dict[bytes, Callable[[BinaryIO], object]] = {
    b"\x1f\x8b": lambda stream: gzip.GzipFile(fileobj=stream),
    b"BZh": bz2.BZ2File,
    b"\xfd7zXZ\x00": lzma.LZMAFile,
    b"PK\x03\x04": _unzip,
}
"""By the first bytes of a file, what decompresses it."""


def _in_utf8(stream: io.BufferedReader, encoding: str) -> io.BufferedReader:
    if codecs.lookup(encoding).name == "utf-8":
        return stream
    return io.BufferedReader(_Transcoder(stream, encoding), BUFFER_BYTES)


class _Transcoder(io.RawIOBase):
    """A stream in another encoding, as UTF-8."""

    def __init__(self, stream: BinaryIO, encoding: str) -> None:
        self._stream = stream
        self._decoder = codecs.getincrementaldecoder(encoding)("surrogateescape")
        self._bytes, self._is_end = b"", False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "memoryview") -> int:  # type: ignore[override]
        while not self._bytes and not self._is_end:
            chunk = self._stream.read(BUFFER_BYTES)
            self._is_end = not chunk
            self._bytes = self._decoder.decode(chunk, not chunk).encode("utf-8", "surrogateescape")
        part = self._bytes[: len(buffer)]
        buffer[: len(part)] = part
        self._bytes = self._bytes[len(part) :]
        return len(part)

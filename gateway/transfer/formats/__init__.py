"""Formats of files of profiles: one file each, with a reader and a writer. Dialects say what a row contains."""

import io
from collections.abc import Callable, Mapping
from pathlib import PurePath

from gateway.transfer.formats.csv import CsvReader
from gateway.transfer.formats.json import JsonReader
from gateway.transfer.formats.ndjson import NdjsonReader
from gateway.transfer.formats.protocol import ReaderOptions, RowReader
from gateway.transfer.formats.xml import XmlReader

READERS: Mapping[str, Callable[[io.BufferedReader, ReaderOptions], RowReader]] = {
    "ndjson": NdjsonReader,
    "json": JsonReader,
    "csv": CsvReader,
    "xml": XmlReader,
}

_SUFFIXES = {".csv": "csv", ".tsv": "csv", ".ndjson": "ndjson", ".jsonl": "ndjson", ".json": "json", ".xml": "xml"}
_COMPRESSED = (".gz", ".bz2", ".xz", ".zip")
_SIGNS = {b"[": "json", b"{": "ndjson", b"<": "xml"}


def format_of_name(name: str) -> str | None:
    """Return the format that a file's name says, None where it says none. A suffix of a compression is ignored."""
    path = PurePath(name.lower())
    return _SUFFIXES.get(PurePath(path.stem).suffix if path.suffix in _COMPRESSED else path.suffix)


def guess_format(name: str, stream: io.BufferedReader) -> str:
    """Return the format of a file: CSV by its name, else by its first character, else CSV."""
    if format_of_name(name) == "csv":
        return "csv"
    return _SIGNS.get(stream.peek(256).lstrip()[:1], "csv")

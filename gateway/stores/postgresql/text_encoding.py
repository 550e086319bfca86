"""Texts in PostgreSQL: an escape for NUL, which it does not have, and short texts for its indexes."""

from hashlib import blake2b

from psycopg import postgres
from psycopg.abc import Buffer
from psycopg.adapt import Dumper, Loader
from psycopg.pq import Format

MAX_INDEX_CHARACTERS = 120


def index_text(text: str) -> str:
    """Return a text that fits into an index: a long one as its beginning and a digest. No two texts share one."""
    if len(text) <= MAX_INDEX_CHARACTERS:
        return text
    return text[:MAX_INDEX_CHARACTERS] + blake2b(text.encode(), digest_size=32).hexdigest()


class TextDumper(Dumper):
    """Escapes NUL in a text. The escape keeps the order of texts."""

    oid = postgres.types["text"].oid

    def dump(self, obj: str) -> Buffer:
        if "\x00" in obj or "\x01" in obj:
            obj = obj.replace("\x01", "\x01\x02").replace("\x00", "\x01\x01")
        return obj.encode()


class BinaryTextDumper(TextDumper):
    """The same for arrays, which are sent in binary: as text, each quotation mark of a document would be escaped."""

    format = Format.BINARY


class TextLoader(Loader):
    """Reads the escape."""

    def load(self, data: Buffer) -> str:
        text = bytes(data).decode()
        return text.replace("\x01\x01", "\x00").replace("\x01\x02", "\x01") if "\x01" in text else text

"""The search for texts in a SQLite file: in its bytes, where removed content may remain, and in its tables."""

import re
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from time import monotonic, sleep

import apsw

from gateway.stores.errors import Unavailable
from gateway.stores.rows import json_text
from gateway.stores.sqlite.connections import LOCK_TIMEOUT_SECONDS

BLOCK_BYTES = 1 << 20
LOG_SUFFIX = "-wal"
RETRY_SECONDS = 0.05

TABLES = "SELECT name FROM sqlite_schema WHERE type = 'table' AND sql IS NOT NULL"
COLUMNS = "SELECT name FROM pragma_table_info(?) WHERE type = 'TEXT'"


def empty_log(connection: apsw.Connection) -> None:
    """Write the log into the file, and cut it to nothing. Raises `Unavailable` if a reader prevents it."""
    until = monotonic() + LOCK_TIMEOUT_SECONDS
    while monotonic() < until:
        with suppress(apsw.BusyError):
            connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
            return
        sleep(RETRY_SECONDS)
    raise Unavailable("a reader keeps the write-ahead log: try again when no dump or export runs")


def occurrences(connection: apsw.Connection, texts: Collection[str]) -> dict[str, int]:
    """Return how often any of the texts is in the file, in its log and in each table; what is empty is left out."""
    found = {name: _in_file(name, texts) for name in (connection.filename, connection.filename + LOG_SUFFIX)}
    found |= {f"table {name}": _in_table(connection, name, texts) for (name,) in connection.execute(TABLES)}
    return {place: count for place, count in found.items() if count}


def _in_file(name: str, texts: Collection[str]) -> int:
    """Return how often the bytes of a file have one of the texts."""
    forms = sorted({text.encode() for text in texts if text}, key=len, reverse=True)
    path = Path(name)
    if not forms or not path.exists():
        return 0
    pattern, overlap = re.compile(b"|".join(map(re.escape, forms))), len(forms[0]) - 1
    count, rest = 0, b""
    with path.open("rb") as file:
        while block := file.read(BLOCK_BYTES):
            block = rest + block
            ends = [match.end() for match in pattern.finditer(block)]
            count += len(ends)
            start = max(len(block) - overlap, ends[-1] if ends else 0)
            rest = block[start:]
    return count


def _in_table(connection: apsw.Connection, table: str, texts: Collection[str]) -> int:
    """Return in how many rows of a table a column has one of the texts: one may be divided among pages of the file."""
    columns = [name for (name,) in connection.execute(COLUMNS, (table,))]
    if not columns:
        return 0
    condition = " OR ".join(f'instr("{table}"."{column}", form.value)' for column in columns)
    sql = f'SELECT count(*) FROM "{table}" WHERE EXISTS (SELECT 1 FROM json_each(?) AS form WHERE {condition})'
    [[count]] = connection.execute(sql, (json_text([*texts]),))
    return int(count)

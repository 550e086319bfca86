"""A group of changes in one transaction of SQLite: reads and writes in few statements, and the look-up of profiles.

A group reads the profiles that its changes name at once. It collects its writes, to send many rows in one statement:
preparing and stepping through statements would cost more than the rows do. The writer begins and ends the transaction.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache, partial
from itertools import chain
from math import inf
from typing import Any, TypeAlias

import apsw
import orjson

from gateway.core.faults import Refusal
from gateway.core.model import (
    Address,
    Change,
    EditResult,
    Erasure,
    Find,
    IdempotencyKey,
    Identity,
    Ledger,
    Profile,
    Write,
)
from gateway.core.tombstones import AFTER_PREFIX, PREFIX
from gateway.stores.erasure import erase_all
from gateway.stores.errors import RegistryChanged
from gateway.stores.rows import (
    JOURNAL_COLUMNS,
    Row,
    answer_text,
    document_text,
    id_and_version,
    journal_row,
    json_text,
    ledger_of,
    ledger_text,
    result_without_documents,
    stored_result,
)
from gateway.stores.sqlite.erasure import ERASURE_SQL, run_statements

Step: TypeAlias = "Change | Callable[[apsw.Connection], Any]"
"""A change, or a function of the connection."""

Key: TypeAlias = "tuple[int, str, str]"
"""An identity with its database."""

Read: TypeAlias = "Callable[[str, tuple[Any, ...]], Iterable[Row]]"
"""Runs a query with its values."""

MAX_STATEMENT_ROWS = 256
"""Keys in one look-up, and rows in one write."""

MAX_READ_CHARACTERS = MAX_PENDING_CHARACTERS = 4 * 1024 * 1024
"""Characters of documents that a group reads in advance, and that it collects before it sends them."""

NULL_KEY = (None, None, None)

PUT_PROFILES = """INSERT INTO profiles VALUES {rows} ON CONFLICT DO UPDATE
    SET document = excluded.document, version = excluded.version,
        created = excluded.created, updated = excluded.updated"""
REMOVE_PROFILES = "DELETE FROM profiles WHERE (database, id) IN (VALUES {rows})"
REMOVE_IDENTITIES = "DELETE FROM identities WHERE (database, kind, value, profile) IN (VALUES {rows})"
ADD_IDENTITIES = "INSERT INTO identities VALUES {rows} ON CONFLICT DO NOTHING"
ADD_ENTRIES = f"INSERT INTO journal ({JOURNAL_COLUMNS}) VALUES {{rows}}"
FIND_ANSWER = "SELECT fingerprint, profile FROM once WHERE database = ? AND key = ? AND until >= ?"
PUT_ANSWERS = "INSERT OR REPLACE INTO once VALUES {rows}"
FIND_LEDGERS = """SELECT address, ledger FROM ledgers
    WHERE database = ? AND address IN (SELECT value FROM json_each(?))"""
REGISTRY_VERSION = "SELECT number FROM epoch"
HAS_TOMBSTONES = "SELECT 1 FROM ledgers WHERE database = ? AND address >= ? AND address < ? LIMIT 1"
HAS_LEDGERS = "SELECT 1 FROM ledgers WHERE database = ? LIMIT 1"
PUT_LEDGERS = "INSERT INTO ledgers VALUES {rows} ON CONFLICT DO UPDATE SET ledger = excluded.ledger"
REMOVE_LEDGERS = "DELETE FROM ledgers WHERE (database, address) IN (VALUES {rows})"
REMOVE_EXPIRED = """DELETE FROM once WHERE rowid IN (SELECT once.rowid FROM (VALUES {rows}) AS kept
    CROSS JOIN once ON database = kept.column1 AND until < kept.column2 LIMIT 2 * {count})"""
"""Runs with each insertion of answers, and removes up to twice as many: so expired answers do not accumulate."""


def find_profiles(read: Read, keys: Iterable[Key]) -> list[Profile]:
    """Return the profiles that the keys of one database name, each once, by id."""
    rows = {row[0]: row for row in chain.from_iterable(_rows_by_key(read, keys).values())}
    return [Profile(id, orjson.loads(rows[id][1]), *rows[id][2:]) for id in sorted(rows)]


def _rows_by_key(read: Read, keys: Iterable[Key], max_characters: float = inf) -> dict[Key, list[Row]]:
    """Return the rows of the profiles that each key names.

    Keys whose documents exceed `max_characters` in all are absent.
    """
    found: dict[Key, list[Row]] = {}
    for key in keys:
        found[key] = []
    remaining, omitted = list(found), set[Key]()
    while some := remaining[:MAX_STATEMENT_ROWS]:
        del remaining[:MAX_STATEMENT_ROWS]
        # Nulls, which name nothing, extend the keys to one of nine lengths.
        length = 1 << (len(some) - 1).bit_length()
        rows: dict[tuple[int, str], Row] = {}
        values = (*chain.from_iterable(some), *NULL_KEY * (length - len(some)))
        for number, *row in read(_look_up_statement(length), values):
            key = some[number]
            name = key[0], row[0]
            if name not in rows:
                max_characters -= len(row[1])
                if max_characters < 0:
                    omitted.add(key)
                    continue
                rows[name] = tuple(row)
            found[key].append(rows[name])
    return {key: each for key, each in found.items() if key not in omitted} if omitted else found


def find_ledgers(read: Read, database: int, addresses: Iterable[Address]) -> dict[Address, Ledger]:
    """Return the ledgers of addresses; one without facts is absent."""
    rows = read(FIND_LEDGERS, (database, json_text(list(addresses))))
    return {address: ledger_of(text) for address, text in rows}


@cache
def _look_up_statement(count: int) -> str:
    # CROSS JOIN fixes the order of the joins: SQLite searches the tables for the keys, whatever its statistics are.
    return f"""
        WITH wanted (number, database, kind, value) AS (VALUES {", ".join(f"({n}, ?, ?, ?)" for n in range(count))}),
        named (number, database, id) AS (
            SELECT number, database, profile FROM wanted CROSS JOIN identities USING (database, kind, value)
            UNION ALL SELECT number, database, value FROM wanted WHERE kind = 'id')
        SELECT number, id, document, version, created, updated FROM named CROSS JOIN profiles USING (database, id)"""


def _parts(rows: Sequence[Row]) -> Iterator[Sequence[Row]]:
    """Return the rows in parts of 256, 128, ... 2, 1: so few statements are prepared."""
    start = 0
    while rest := len(rows) - start:
        length = min(MAX_STATEMENT_ROWS, 1 << (rest.bit_length() - 1))
        yield rows[start : start + length]
        start += length


@cache
def _write_statement(sql: str, count: int, width: int) -> str:
    """Return a statement over `count` rows of `width` values."""
    row = f"({', '.join('?' * width)})"
    return sql.format(rows=", ".join([row] * count), count=count)


class SqliteGroup:
    """The changes of one transaction. Each finds what the changes before it wrote; `flush` sends the writes."""

    def __init__(self, connection: apsw.Connection, steps: Sequence[Step]) -> None:
        self._connection = connection
        self._has_tombstones: dict[int, bool] = {}
        keys = []
        for step in steps:
            if isinstance(step, Change):
                for kind, value in step.identities:
                    keys.append((step.database, kind, value))
        # A document stays a text until a change finds it: all of them, decoded, exceed a processor's cache.
        self._rows = _rows_by_key(connection.execute, keys, MAX_READ_CHARACTERS) if keys else {}
        self._registry: int | None = None
        self._touched: set[Key] = set()
        self._pending: defaultdict[str, list[Row]] = defaultdict(list)
        self._ledgers: dict[tuple[int, Address], Ledger | None] = {}
        self._has_ledgers: dict[int, bool] = {}
        self._pending_characters = 0

    def run(self, step: Step) -> Any:
        """Return the result of a change, whose writes are pending until `flush`; or the result of a function."""
        if not isinstance(step, Change):
            self.flush()
            self._registry = None
            return step(self._connection)
        if step.registry is not None:
            if self._registry is None:
                [[self._registry]] = self._connection.execute(REGISTRY_VERSION)
            if step.registry != self._registry:
                return RegistryChanged("the registry changed after the request was prepared")
        try:
            if step.once and (stored := self._stored_result(step, step.once)):
                return stored
            database = step.database
            if (has_tombstones := self._has_tombstones.get(database)) is None:
                rows = self._connection.execute(HAS_TOMBSTONES, (database, PREFIX, AFTER_PREFIX)).fetchall()
                has_tombstones = self._has_tombstones[database] = bool(rows)
            # One for each change, since it refers to the group: if the group kept it, this cycle would keep every row
            # that the group read until the garbage collector runs.
            find = Find(
                partial(self._find, database),
                partial(self._find_ledgers, database),
                partial(self._may_have_ledgers, database),
                has_tombstones,
            )
            result = step.edit(find)
            self._add(step, result)
        except Refusal as refusal:
            return refusal.copy()
        return result if step.needs_documents else result_without_documents(result)

    def _add(self, change: Change, result: EditResult) -> None:
        """Add the writes of a result. Raises `Refusal` before the first one if a document is too large."""
        database, writes = change.database, result.writes
        if len(writes) == 1:
            self._add_write(change, writes[0], document_text(writes[0]))
        else:
            documents = [document_text(write) for write in writes]
            for write, document in zip(writes, documents, strict=True):
                self._add_write(change, write, document)
        for address, ledger in result.ledgers.items():
            self._add_ledger(database, address, ledger)
        if once := change.once:
            self._pending[REMOVE_EXPIRED].append((database, change.origin.time))
            self._pending[PUT_ANSWERS].append((database, once.key, once.fingerprint, once.until, answer_text(result)))
        if result.erasure:
            self._erase(database, result.erasure)

    def _erase(self, database: int, erasure: Erasure) -> None:
        self.flush()
        run_statements(self._connection, erase_all(ERASURE_SQL, database, erasure))
        self._has_tombstones[database] = True

    def _stored_result(self, change: Change, once: IdempotencyKey) -> EditResult | None:
        """Return the stored result of the change, if there is one."""
        if PUT_ANSWERS in self._pending:
            self.flush()
        values = change.database, once.key, change.origin.time
        for fingerprint, profile in self._connection.execute(FIND_ANSWER, values):
            return stored_result(once, fingerprint, profile)
        return None

    def flush(self) -> None:
        """Send the pending writes, those of each statement together."""
        pending, self._pending, self._pending_characters = self._pending, defaultdict(list), 0
        for sql, rows in pending.items():
            width = len(rows[0])
            if len(rows) == 1:
                self._connection.execute(_write_statement(sql, 1, width), rows[0])
                continue
            for some in _parts(rows):
                self._connection.execute(_write_statement(sql, len(some), width), tuple(chain.from_iterable(some)))

    def _find(self, database: int, identities: Sequence[Identity]) -> list[Profile]:
        found: dict[str, Profile] = {}
        for kind, value in identities:
            key = (database, kind, value)
            rows = self._rows.get(key)
            if rows is None or key in self._touched:
                return self._find_written(database, identities)
            for id, document, *columns in rows:
                if (database, "id", id) in self._touched:
                    return self._find_written(database, identities)
                if id not in found:
                    found[id] = Profile(id, orjson.loads(document), *columns)
        return list(found.values()) if len(found) < 2 else [found[id] for id in sorted(found)]

    def _find_written(self, database: int, identities: Sequence[Identity]) -> list[Profile]:
        """Search the tables, after what the changes before wrote, or for what was not read in advance."""
        self.flush()
        return find_profiles(self._connection.execute, [(database, kind, value) for kind, value in identities])

    def _find_ledgers(self, database: int, addresses: Sequence[Address]) -> dict[Address, Ledger]:
        written = {each: self._ledgers[database, each] for each in addresses if (database, each) in self._ledgers}
        others = [each for each in addresses if each not in written]
        own = {each: ledger for each, ledger in written.items() if ledger is not None}
        return own | find_ledgers(self._connection.execute, database, others)

    def _may_have_ledgers(self, database: int) -> bool:
        if database not in self._has_ledgers:
            self._has_ledgers[database] = bool(self._connection.execute(HAS_LEDGERS, (database,)).fetchall())
        return self._has_ledgers[database]

    def _add_ledger(self, database: int, address: Address, ledger: Ledger | None) -> None:
        key = database, address
        if key in self._ledgers and (self._ledgers[key] is None) != (ledger is None):
            self.flush()  # the statements that remove and that put have no order
        self._ledgers[key] = ledger
        if ledger is None:
            self._pending[REMOVE_LEDGERS].append(key)
        else:
            self._has_ledgers[database] = True
            self._pending[PUT_LEDGERS].append((*key, ledger_text(ledger)))

    def _add_write(self, change: Change, write: Write, document: str) -> None:
        database, after = change.database, write.after
        id, version = (after.id, after.version) if after else id_and_version(write)
        key = (database, "id", id)
        if key in self._touched or self._pending_characters > MAX_PENDING_CHARACTERS:
            # Each profile is pending once, so that the order of the statements does not matter.
            self.flush()
        self._pending_characters += len(document)
        self._touched.add(key)
        if after:
            self._pending[PUT_PROFILES].append((database, id, document, version, after.created, after.updated))
        else:
            self._pending[REMOVE_PROFILES].append((database, id))
        for identity in write.lost:
            self._pending[REMOVE_IDENTITIES].append((database, *identity, id))
        for identity in write.gained:
            self._touched.add((database, *identity))
            self._pending[ADD_IDENTITIES].append((database, *identity, id))
        if write.members is not None:
            self._pending[ADD_ENTRIES].append(journal_row(change, write, id, version))

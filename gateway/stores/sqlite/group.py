"""A group of changes in one transaction of SQLite: reads and writes in few statements, and the look-up of profiles.

A group reads the profiles that its changes name at once. It collects its writes, to send many rows in one statement:
preparing and stepping through statements would cost more than the rows do. The writer begins and ends the transaction.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache, partial
from itertools import chain, islice
from math import inf
from typing import Any, TypeAlias

import apsw
import orjson

from gateway.core.faults import Refusal
from gateway.core.model import Address, Change, EditResult, Erasure, Find, Identity, Ledger, Profile, Write
from gateway.stores.erasure import JOBS_AFTER, JOBS_PER_READ, UPDATE_JOB, erased_outcomes
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
    replay,
)

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
FIND_LEDGER = "SELECT ledger FROM ledgers WHERE database = ? AND address = ?"
PUT_LEDGERS = "INSERT INTO ledgers VALUES {rows} ON CONFLICT DO UPDATE SET ledger = excluded.ledger"
REMOVE_LEDGERS = "DELETE FROM ledgers WHERE (database, address) IN (VALUES {rows})"
REMOVE_ANSWERS = """DELETE FROM once
    WHERE database = ? AND json_extract(profile, '$[1].id') IN (SELECT value FROM json_each(?))"""
REMOVE_EXPIRED = """DELETE FROM once WHERE rowid IN (SELECT once.rowid FROM (VALUES {rows}) AS kept
    CROSS JOIN once ON database = kept.column1 AND until < kept.column2 LIMIT 2 * {count})"""
"""Runs with each insertion of answers, and removes up to twice as many: so expired answers do not accumulate."""

WRITES = (
    *(REMOVE_PROFILES, PUT_PROFILES, REMOVE_IDENTITIES, ADD_IDENTITIES),
    *(ADD_ENTRIES, REMOVE_EXPIRED, PUT_ANSWERS, PUT_LEDGERS, REMOVE_LEDGERS),
)


def look_up(read: Read, keys: Iterable[Key], max_characters: float = inf) -> dict[Key, list[Profile]]:
    """Return the profiles that each key names, without the keys whose documents exceed `max_characters` in all."""
    found: dict[Key, list[Profile]] = {key: [] for key in keys}
    omitted: set[Key] = set()
    remaining = iter(tuple(found))
    while some := tuple(islice(remaining, MAX_STATEMENT_ROWS)):
        # Nulls, which name nothing, extend the keys to one of nine lengths.
        length = 1 << (len(some) - 1).bit_length()
        profiles: dict[tuple[int, str], Profile] = {}
        values = (*chain(*some), *NULL_KEY * (length - len(some)))
        for number, id, document, *rest in read(_look_up_statement(length), values):
            key = some[number]
            if (profile := profiles.get((key[0], id))) is None:
                max_characters -= len(document)
                if max_characters < 0:
                    omitted.add(key)
                    continue
                profiles[key[0], id] = profile = Profile(id, orjson.loads(document), *rest)
            found[key].append(profile)
    return {key: each for key, each in found.items() if key not in omitted} if omitted else found


def find_ledgers(read: Read, database: int, addresses: Iterable[Address]) -> dict[Address, Ledger]:
    """Return the ledgers of addresses; one without facts is absent."""
    rows = ((address, text) for address in set(addresses) for (text,) in read(FIND_LEDGER, (database, address)))
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


def unique_by_id(profiles: Iterable[Profile]) -> list[Profile]:
    """Return each profile once, by id."""
    unique = {profile.id: profile for profile in profiles}
    return [unique[id] for id in sorted(unique)] if len(unique) > 1 else [*unique.values()]


class SqliteGroup:
    """The changes of one transaction. Each finds what the changes before it wrote; `flush` sends the writes."""

    def __init__(self, connection: apsw.Connection, steps: Sequence[Step]) -> None:
        self._connection = connection
        self._profiles = look_up(connection.execute, _keys_of(steps), MAX_READ_CHARACTERS)
        self._touched: set[Key] = set()
        self._pending: dict[str, list[Row]] = {sql: [] for sql in WRITES}
        self._ledgers: dict[tuple[int, Address], Ledger | None] = {}
        self._pending_characters = 0

    def run(self, step: Step) -> Any:
        """Return the result of a change, whose writes are pending until `flush`; or the result of a function."""
        if not isinstance(step, Change):
            return step(self._connection)
        try:
            return self._replay(step) or self._edit(step)
        except Refusal as refusal:
            return refusal.copy()

    def _edit(self, change: Change) -> EditResult:
        database = change.database
        result = change.edit(Find(partial(self._find, database), partial(self._find_ledgers, database)))
        # Every document before the first write is added: one that is too large must leave nothing of its change.
        documents = [document_text(write) for write in result.writes]
        for write, document in zip(result.writes, documents, strict=True):
            self._add_write(change, write, document)
        for address, ledger in result.ledgers.items():
            self._add_ledger(database, address, ledger)
        if once := change.once:
            row = change.database, once.key, once.fingerprint, once.until, answer_text(result)
            self._pending[REMOVE_EXPIRED].append((change.database, change.origin.time))
            self._pending[PUT_ANSWERS].append(row)
        if result.erasure:
            self.flush()
            _erase(self._connection, database, result.erasure)
        return result

    def _replay(self, change: Change) -> EditResult | None:
        """Return the stored result of the change, if there is one."""
        if (once := change.once) is None:
            return None
        if self._pending[PUT_ANSWERS]:
            self.flush()
        values = change.database, once.key, change.origin.time
        for fingerprint, profile in self._connection.execute(FIND_ANSWER, values):
            return replay(once, fingerprint, profile)
        return None

    def flush(self) -> None:
        """Send the pending writes."""
        for sql, rows in self._pending.items():
            for some in _parts(rows):
                self._connection.execute(_write_statement(sql, len(some), len(some[0])), tuple(chain(*some)))
            rows.clear()
        self._pending_characters = 0

    def _find(self, database: int, identities: Sequence[Identity]) -> list[Profile]:
        keys = [(database, kind, value) for kind, value in identities]
        found = self._profiles
        if not all(map(found.__contains__, keys)) or not self._is_current(keys):
            self.flush()
            found = look_up(self._connection.execute, keys)
        return unique_by_id(chain(*map(found.__getitem__, keys)))

    def _find_ledgers(self, database: int, addresses: Sequence[Address]) -> dict[Address, Ledger]:
        written = {each: self._ledgers[database, each] for each in addresses if (database, each) in self._ledgers}
        others = [each for each in addresses if each not in written]
        own = {each: ledger for each, ledger in written.items() if ledger is not None}
        return own | find_ledgers(self._connection.execute, database, others)

    def _add_ledger(self, database: int, address: Address, ledger: Ledger | None) -> None:
        key = database, address
        if key in self._ledgers and (self._ledgers[key] is None) != (ledger is None):
            self.flush()  # the statements that remove and that put have no order
        self._ledgers[key] = ledger
        if ledger is None:
            self._pending[REMOVE_LEDGERS].append(key)
        else:
            self._pending[PUT_LEDGERS].append((*key, ledger_text(ledger)))

    def _is_current(self, keys: Iterable[Key]) -> bool:
        """Return whether the changes before neither added one of these keys nor wrote a profile that one names."""
        touched = self._touched
        if not touched:
            return True
        named = ((key[0], "id", profile.id) for key in keys for profile in self._profiles[key])
        return touched.isdisjoint(keys) and touched.isdisjoint(named)

    def _add_write(self, change: Change, write: Write, document: str) -> None:
        database, pending = change.database, self._pending
        id, version = id_and_version(write)
        key = (database, "id", id)
        if key in self._touched or self._pending_characters > MAX_PENDING_CHARACTERS:
            # Each profile is pending once, so that the order of the statements does not matter.
            self.flush()
        self._pending_characters += len(document)
        self._touched.add(key)
        self._touched.update((database, *identity) for identity in write.gained)
        if after := write.after:
            pending[PUT_PROFILES].append((database, id, document, version, after.created, after.updated))
        else:
            pending[REMOVE_PROFILES].append((database, id))
        pending[REMOVE_IDENTITIES] += [(database, *identity, id) for identity in write.lost]
        pending[ADD_IDENTITIES] += [(database, *identity, id) for identity in write.gained]
        if write.members is not None:
            pending[ADD_ENTRIES].append(journal_row(change, write, id, version))


def _erase(connection: apsw.Connection, database: int, erasure: Erasure) -> None:
    connection.execute(REMOVE_ANSWERS, (database, json_text(sorted(erasure.ids))))
    after = ""
    while rows := connection.execute(JOBS_AFTER, (database, after, JOBS_PER_READ)).fetchall():
        connection.executemany(UPDATE_JOB, erased_outcomes(database, rows, erasure))
        after = str(rows[-1][0])


def _keys_of(steps: Iterable[Step]) -> Iterator[Key]:
    for step in steps:
        if isinstance(step, Change):
            yield from ((step.database, kind, value) for kind, value in step.identities)

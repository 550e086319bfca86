"""A group of changes in one transaction of PostgreSQL: lock and read their keys, run their edits, write everything.

A group costs four round trips: to lock and read the keys, to lock and read the profiles, to write, and to commit. The
engine retries it where a connection is lost.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from operator import itemgetter
from time import perf_counter
from typing import Any

import orjson

from gateway.core.matching import LISTING_KINDS
from gateway.core.model import Address, Change, EditResult, Erasure, Find, Identity, Ledger, Profile, Write
from gateway.stores.erasure import erase_all
from gateway.stores.observer import StoreObserver
from gateway.stores.postgresql.connections import Connection, commit
from gateway.stores.postgresql.erasure import ERASURE_SQL, run_statements
from gateway.stores.postgresql.journal import ADD_ENTRIES
from gateway.stores.postgresql.locks import ID, LEDGER, ONCE, Key, LockConflict, Locks, columns, table_key
from gateway.stores.postgresql.text_encoding import index_text
from gateway.stores.registry import Statement
from gateway.stores.rows import (
    Row,
    answer_text,
    document_text,
    id_and_version,
    journal_row,
    ledger_of,
    ledger_text,
    profile_of,
    result_without_documents,
    stored_result,
)

REMOVE_PROFILES = """DELETE FROM profiles USING unnest(%b::bigint[], %b::text[]) AS gone (database, id)
    WHERE profiles.database = gone.database AND profiles.id = gone.id"""
PUT_PROFILES = """INSERT INTO profiles
    SELECT * FROM unnest(%b::bigint[], %b::text[], %b::text[], %b::bigint[], %b::bigint[], %b::bigint[])
    ON CONFLICT (database, id) DO UPDATE SET document = excluded.document, version = excluded.version,
        created = excluded.created, updated = excluded.updated"""
REMOVE_IDENTITIES = """DELETE FROM identities
    USING unnest(%b::bigint[], %b::text[], %b::text[], %b::text[]) AS gone (database, kind, value, profile)
    WHERE identities.database = gone.database AND identities.kind = gone.kind AND identities.value = gone.value
        AND identities.profile = gone.profile"""
ADD_IDENTITIES = """INSERT INTO identities SELECT * FROM unnest(%b::bigint[], %b::text[], %b::text[], %b::text[])
    ON CONFLICT DO NOTHING"""
REMOVE_EXPIRED = """DELETE FROM once USING (
        SELECT old.* FROM unnest(%b::bigint[], %b::bigint[], %b::bigint[]) AS kept (database, time, count),
            LATERAL (SELECT database, key FROM once WHERE database = kept.database AND until < time LIMIT 2 * count
                FOR UPDATE SKIP LOCKED) AS old
    ) AS old WHERE once.database = old.database AND once.key = old.key"""
"""Runs with each insertion of answers, and removes up to twice as many: so expired answers do not accumulate."""
PUT_ANSWERS = """INSERT INTO once SELECT * FROM unnest(%b::bigint[], %b::text[], %b::text[], %b::bigint[], %b::text[])
    ON CONFLICT (database, key) DO UPDATE
    SET fingerprint = excluded.fingerprint, until = excluded.until, profile = excluded.profile"""
PUT_LEDGERS = """INSERT INTO ledgers SELECT * FROM unnest(%b::bigint[], %b::text[], %b::text[], %b::text[])
    ON CONFLICT (database, key) DO UPDATE SET ledger = excluded.ledger"""

REMOVE_LEDGERS = """DELETE FROM ledgers USING unnest(%b::bigint[], %b::text[]) AS gone (database, key)
    WHERE ledgers.database = gone.database AND ledgers.key = gone.key"""
MAX_WRITE_CHARACTERS = 16 * 1024 * 1024
"""Characters of documents and journal entries after which a transaction runs no further change."""


async def run_together(connection: Connection, changes: Sequence[Change], observer: StoreObserver | None) -> list[Any]:
    """Run changes in one transaction and commit it. Return the result of each.

    There are fewer results than changes where the first changes write as much as one transaction should.
    """
    keys = {key for change in changes for key in _keys_of(change)}
    while True:
        try:
            return await _run(connection, changes, keys, observer)
        except LockConflict as conflict:
            await connection.execute("ROLLBACK")
            keys = conflict.keys


async def _run(
    connection: Connection, changes: Sequence[Change], keys: set[Key], observer: StoreObserver | None
) -> list[Any]:
    locks = Locks(connection)
    await locks.begin(keys)
    group = PostgresqlGroup(changes, locks)
    while further := group.run():
        await locks.extend(further)
    await locks.write(group.written_keys(), group.statements())
    for database, erasure in group.erasures:
        await run_statements(connection, erase_all(ERASURE_SQL, database, erasure))
    began = perf_counter()
    await commit(connection)
    if observer:
        observer.committed(perf_counter() - began)
    return group.results


class KeysNotLocked(BaseException):
    """An edit needs further keys, and runs again once they are locked. No edit may catch this."""

    def __init__(self, keys: set[Key]) -> None:
        self.keys = keys


class PostgresqlGroup:
    """The changes of one transaction. Each finds what the changes before it wrote; `statements` returns the writes."""

    def __init__(self, changes: Sequence[Change], locks: Locks) -> None:
        self.results: list[Any] = []
        self.erasures: list[tuple[int, Erasure]] = []
        self._changes = changes
        self._locks = locks
        self._profiles: dict[tuple[int, str], Row | None] = {}
        self._identities: dict[Key, dict[str, bool]] = defaultdict(dict)
        self._answers: dict[Key, Row] = {}
        self._ledgers: dict[Key, Ledger | None] = {}
        self._answer_times: dict[int, list[int]] = defaultdict(list)
        self._entries: list[Row] = []
        self._characters = 0

    def run(self) -> set[Key]:
        """Run the changes that have no result. Return the keys that must be locked before that can continue.

        The changes behind one that must wait run too, only to collect their keys.
        """
        further: set[Key] = set()
        for change in self._changes[len(self.results) :]:
            if self._characters >= MAX_WRITE_CHARACTERS:
                break
            try:
                result, add = self._try(change)
            except KeysNotLocked as error:
                further |= error.keys
            else:
                if not further:
                    self.results.append(result)
                    add()
        return further

    def written_keys(self) -> set[Key]:
        """Return the keys of all that is written, except those that only list profiles: many may get one at once."""
        identities = {key for key in self._identities if key[1] not in LISTING_KINDS}
        return {(database, ID, id) for database, id in self._profiles} | identities | set(self._ledgers)

    def statements(self) -> list[Statement]:
        """Return the statements that write everything. Each row is in one of them, so their order does not matter."""
        profiles = sorted(self._profiles.items())
        identities = [
            ((*table_key(key), id), is_added)
            for key, each in sorted(self._identities.items())
            for id, is_added in each.items()
        ]
        ledgers = sorted(self._ledgers.items(), key=itemgetter(0))
        rows: dict[str, list[Row]] = {
            REMOVE_PROFILES: [key for key, row in profiles if row is None],
            PUT_PROFILES: [(*key, *row) for key, row in profiles if row is not None],
            REMOVE_IDENTITIES: [row for row, is_added in identities if not is_added],
            ADD_IDENTITIES: [row for row, is_added in identities if is_added],
            ADD_ENTRIES: self._entries,
            REMOVE_EXPIRED: [(database, min(times), len(times)) for database, times in self._answer_times.items()],
            PUT_LEDGERS: [
                (key[0], index_text(key[2]), key[2], ledger_text(each)) for key, each in ledgers if each is not None
            ],
            REMOVE_LEDGERS: [(key[0], index_text(key[2])) for key, ledger in ledgers if ledger is None],
            PUT_ANSWERS: [(key[0], key[2], *row) for key, row in self._answers.items()],
        }
        return [(sql, columns(each, len(each[0]))) for sql, each in rows.items() if each]

    def _try(self, change: Change) -> tuple[Any, Callable[[], None]]:
        """Return the result of a change, and what adds its writes. A value that JSON lacks fails its change alone."""
        try:
            if result := self._stored_result(change):
                return result, _add_nothing
            database = change.database
            result = change.edit(self._find_of(database))
            texts = [(document_text(write), _entry(change, write)) for write in result.writes]
            profile = answer_text(result) if change.once else ""
            shown = result if change.needs_documents else result_without_documents(result)
            return shown, partial(self._add, change, result, texts, profile)
        except Exception as error:
            return error, _add_nothing

    def _stored_result(self, change: Change) -> EditResult | None:
        """Return the stored result of the change, if there is one."""
        if change.once is None:
            return None
        key = change.database, ONCE, change.once.key
        row = self._answers.get(key) or self._locks.answers[key]
        if row is None or row[1] < change.origin.time or self._is_erased(change.database, row[2]):
            return None
        return stored_result(change.once, row[0], row[2])

    def _is_erased(self, database: int, text: str) -> bool:
        """Return whether a change before erased the profile of a stored answer."""
        ids = {id for at, erasure in self.erasures if at == database for id in erasure.ids}
        profile = profile_of(text) if ids else None
        return profile is not None and profile.id in ids

    def _find_of(self, database: int) -> Find:
        has_tombstones = self._locks.has_tombstones.get(database, True) or any(
            at == database for at, _ in self.erasures
        )
        return Find(
            partial(self._find, database),
            partial(self._find_ledgers, database),
            partial(self._may_have_ledgers, database),
            has_tombstones or self._locks.has_tombstones.get(database, True),
        )

    def _find(self, database: int, identities: Sequence[Identity]) -> list[Profile]:
        keys = [(database, kind, value) for kind, value in identities]
        if further := {key for key in keys if not self._is_locked(key)}:
            raise KeysNotLocked(further)
        ids = set().union(*map(self._profile_ids, keys))
        rows = ((id, self._profile(database, id)) for id in sorted(ids))
        return [Profile(id, orjson.loads(row[0]), *row[1:]) for id, row in rows if row]

    def _find_ledgers(self, database: int, addresses: Sequence[Address]) -> dict[Address, Ledger]:
        keys = {(database, LEDGER, address) for address in addresses}
        if further := {key for key in keys if key not in self._locks.ledgers}:
            raise KeysNotLocked(further)
        stored = {key: ledger_of(text) for key in keys if (text := self._locks.ledgers[key]) is not None}
        current = stored | {key: self._ledgers[key] for key in keys if key in self._ledgers}
        return {key[2]: ledger for key, ledger in current.items() if ledger is not None}

    def _may_have_ledgers(self, database: int) -> bool:
        return bool(self._ledgers) or self._locks.has_ledgers.get(database, True)

    def _is_locked(self, key: Key) -> bool:
        database, kind, value = key
        if kind == ID:
            return (database, value) in self._profiles or (database, value) in self._locks.profiles
        return key in self._locks.profile_ids

    def _profile_ids(self, key: Key) -> set[str]:
        if key[1] == ID:
            return {key[2]}
        changed = self._identities.get(key, {})
        return {id for id in self._locks.profile_ids[key] | set(changed) if changed.get(id, True)}

    def _profile(self, database: int, id: str) -> Row | None:
        own = self._profiles
        return own[database, id] if (database, id) in own else self._locks.profiles[database, id]

    def _add(self, change: Change, result: EditResult, texts: list[tuple[str, Row | None]], profile: str) -> None:
        for write, (document, entry) in zip(result.writes, texts, strict=True):
            self._add_write(change.database, write, document, entry)
        for address, ledger in result.ledgers.items():
            self._ledgers[change.database, LEDGER, address] = ledger
        if result.erasure:
            self.erasures.append((change.database, result.erasure))
        if once := change.once:
            self._answers[change.database, ONCE, once.key] = once.fingerprint, once.until, profile
            self._answer_times[change.database].append(change.origin.time)

    def _add_write(self, database: int, write: Write, document: str, entry: Row | None) -> None:
        id, version = id_and_version(write)
        after = write.after
        self._profiles[database, id] = (document, version, after.created, after.updated) if after else None
        for is_added, identities in ((False, write.lost), (True, write.gained)):
            for identity in identities:
                self._identities[database, *identity][id] = is_added
        if entry is not None:
            self._entries.append(entry)
            self._characters += len(entry[-1])
        self._characters += len(document)


def _entry(change: Change, write: Write) -> Row | None:
    return None if write.members is None else journal_row(change, write, *id_and_version(write))


def _add_nothing() -> None:
    """Add no write."""


def _keys_of(change: Change) -> Iterator[Key]:
    yield from ((change.database, kind, value) for kind, value in change.identities)
    if change.once:
        yield change.database, ONCE, change.once.key

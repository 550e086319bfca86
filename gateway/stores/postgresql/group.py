"""One group of changes in one transaction: what they ask for is locked and read, they are run, and all is written.

A group costs four round trips: to lock and read the keys, to lock and read the profiles, to write, and to commit.
When a connection is lost is not decided here.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import orjson

from gateway.core.model import Change, EditResult, Identity, Profile, Write
from gateway.stores.postgresql.connections import commit
from gateway.stores.postgresql.layout import Connection
from gateway.stores.postgresql.locks import ID, ONCE, Key, Locked, Row, Statement, Taken, columns, spelled
from gateway.stores.rows import document_text, outcome, remembered, repeated

REMOVE = """DELETE FROM profiles USING unnest(%b::bigint[], %b::text[]) AS gone (database, id)
    WHERE profiles.database = gone.database AND profiles.id = gone.id"""
PUT = """INSERT INTO profiles
    SELECT * FROM unnest(%b::bigint[], %b::text[], %b::text[], %b::bigint[], %b::bigint[], %b::bigint[])
    ON CONFLICT (database, id) DO UPDATE SET document = excluded.document, version = excluded.version,
        created = excluded.created, updated = excluded.updated"""
LOSE = """DELETE FROM identities
    USING unnest(%b::bigint[], %b::text[], %b::text[], %b::text[]) AS gone (database, kind, value, profile)
    WHERE identities.database = gone.database AND identities.kind = gone.kind AND identities.value = gone.value
        AND identities.profile = gone.profile"""
GAIN = """INSERT INTO identities SELECT * FROM unnest(%b::bigint[], %b::text[], %b::text[], %b::text[])
    ON CONFLICT DO NOTHING"""
RECORD = """INSERT INTO changes (database, time, profile, version, token, dialect, triggers, patch)
    SELECT * FROM unnest(%b::bigint[], %b::bigint[], %b::text[], %b::bigint[], %b::text[], %b::text[],
        %b::boolean[], %b::text[])"""
EXPIRE = """DELETE FROM once USING (
        SELECT old.* FROM unnest(%b::bigint[], %b::bigint[], %b::bigint[]) AS kept (database, time, count),
            LATERAL (SELECT database, key FROM once WHERE database = kept.database AND until < time LIMIT 2 * count
                FOR UPDATE SKIP LOCKED) AS old
    ) AS old WHERE once.database = old.database AND once.key = old.key"""
"""Twice as many as are kept: so those that expired go faster than new ones come."""
KEEP = """INSERT INTO once SELECT * FROM unnest(%b::bigint[], %b::text[], %b::text[], %b::bigint[], %b::text[])
    ON CONFLICT (database, key) DO UPDATE
    SET fingerprint = excluded.fingerprint, until = excluded.until, profile = excluded.profile"""


LARGEST_WRITE = 16 * 1024 * 1024
"""Characters of documents and patches from which on a transaction takes no further change: all is sent at once."""


async def run_together(connection: Connection, changes: Sequence[Change]) -> list[Any]:
    """Runs changes in one transaction, which it commits, and answers what each came to.

    There are fewer answers than changes where the first of them write as much as one transaction should.
    """
    known = {key for change in changes for key in _foreseeable(change)}
    while True:
        try:
            return await _run(connection, changes, known)
        except Taken as taken:
            await connection.execute("ROLLBACK")
            known = taken.keys


async def _run(connection: Connection, changes: Sequence[Change], known: set[Key]) -> list[Any]:
    locked = Locked(connection)
    await locked.begin(known)
    group = Group(changes, locked)
    while asked := group.run():
        await locked.reach(asked)
    await locked.write(group.written(), group.statements())
    await commit(connection)
    return group.answers


class Unforeseen(BaseException):
    """An edit asks for keys that are not locked yet, and is run again once they are. It must not catch this."""

    def __init__(self, keys: set[Key]) -> None:
        self.keys = keys


class Group:
    """Changes that are run on what is locked, each on top of the ones before it; what they write is held back."""

    def __init__(self, changes: Sequence[Change], locked: Locked) -> None:
        self.answers: list[Any] = []
        self._changes = changes
        self._locked = locked
        self._written: dict[tuple[int, str], Row | None] = {}
        self._given: dict[Key, dict[str, bool]] = defaultdict(dict)
        self._once: dict[Key, Row] = {}
        self._expiring: dict[int, list[int]] = defaultdict(list)
        self._records: list[Row] = []
        self._size = 0

    def run(self) -> set[Key]:
        """Runs what has no answer yet, and tells which keys must be locked before that can go on.

        Behind a change that must wait the others are run only to hear what they will ask.
        """
        asked: set[Key] = set()
        for change in self._changes[len(self.answers) :]:
            if self._size >= LARGEST_WRITE:
                break
            try:
                answer, keep = self._tried(change)
            except Unforeseen as unforeseen:
                asked |= unforeseen.keys
            else:
                if not asked:
                    self.answers.append(answer)
                    keep()
        return asked

    def written(self) -> set[Key]:
        """The keys of all that is written."""
        return {(database, ID, id) for database, id in self._written} | set(self._given)

    def statements(self) -> list[Statement]:
        """What writes it all. Each row is in one of them, so their order does not matter."""
        written = sorted(self._written.items())
        given = [((*spelled(key), id), has) for key, each in sorted(self._given.items()) for id, has in each.items()]
        rows: dict[str, list[Row]] = {
            REMOVE: [key for key, row in written if row is None],
            PUT: [(*key, *row) for key, row in written if row is not None],
            LOSE: [row for row, has in given if not has],
            GAIN: [row for row, has in given if has],
            RECORD: self._records,
            EXPIRE: [(database, min(times), len(times)) for database, times in self._expiring.items()],
            KEEP: [(key[0], key[2], *row) for key, row in self._once.items()],
        }
        return [(sql, columns(each, len(each[0]))) for sql, each in rows.items() if each]

    def _tried(self, change: Change) -> tuple[Any, Callable[[], None]]:
        """What a change comes to, and what keeps it. What JSON cannot hold is the failure of its change alone."""
        try:
            if done := self._done_before(change):
                return done, _nothing
            edited = change.edit(partial(self._find, change.database))
            texts = [(document_text(write), text(write.patch)) for write in edited.writes]
            kept = remembered(edited.profile) if change.once else ""
            return edited, partial(self._keep, change, edited, texts, kept)
        except Exception as error:
            return error, _nothing

    def _done_before(self, change: Change) -> EditResult | None:
        if change.once is None:
            return None
        key = change.database, ONCE, change.once.key
        row = self._once.get(key) or self._locked.once[key]
        if row is None or row[1] < change.origin.time:
            return None
        return repeated(change.once, row[0], row[2])

    def _find(self, database: int, identities: Sequence[Identity]) -> list[Profile]:
        keys = [(database, kind, value) for kind, value in identities]
        if unknown := {key for key in keys if not self._is_known(key)}:
            raise Unforeseen(unknown)
        ids = set().union(*map(self._named_by, keys))
        rows = ((id, self._row(database, id)) for id in sorted(ids))
        return [Profile(id, orjson.loads(row[0]), *row[1:]) for id, row in rows if row]

    def _is_known(self, key: Key) -> bool:
        database, kind, value = key
        if kind == ID:
            return (database, value) in self._written or (database, value) in self._locked.profiles
        return key in self._locked.named

    def _named_by(self, key: Key) -> set[str]:
        if key[1] == ID:
            return {key[2]}
        given = self._given.get(key, {})
        return {id for id in self._locked.named[key] | set(given) if given.get(id, True)}

    def _row(self, database: int, id: str) -> Row | None:
        written = self._written
        return written[database, id] if (database, id) in written else self._locked.profiles[database, id]

    def _keep(self, change: Change, edited: EditResult, texts: list[tuple[str, str]], profile: str) -> None:
        for write, (document, patch) in zip(edited.writes, texts, strict=True):
            self._write(change, write, document, patch)
        if once := change.once:
            self._once[change.database, ONCE, once.key] = once.fingerprint, once.until, profile
            self._expiring[change.database].append(change.origin.time)

    def _write(self, change: Change, write: Write, document: str, patch: str) -> None:
        database, origin, (id, version) = change.database, change.origin, outcome(write)
        after = write.after
        self._written[database, id] = (document, version, after.created, after.updated) if after else None
        for has, identities in ((False, write.lost), (True, write.gained)):
            for identity in identities:
                self._given[database, *identity][id] = has
        if write.patch is not None:
            who = origin.token, origin.dialect, origin.triggers
            self._records.append((database, origin.time, id, version, *who, patch))
        self._size += len(document) + len(patch)


def _nothing() -> None:
    """Keeps nothing of a change."""


def text(tree: Any) -> str:
    """A value as JSON."""
    return orjson.dumps(tree).decode()


def _foreseeable(change: Change) -> Iterator[Key]:
    yield from ((change.database, kind, value) for kind, value in change.identities)
    if change.once:
        yield change.database, ONCE, change.once.key

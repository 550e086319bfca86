"""One group of changes in one transaction: it locks what its changes ask for, reads it, runs them, and writes.

No creation can be raced: what is locked are the keys themselves, since a row that does not exist cannot be. A key is
locked before it is read, and so is each profile that it names; what a change gains, loses and writes is locked with the
writing; all is held until the commit (two-phase locking). The keys known from the start are locked in one order,
and whoever needs a further one that is taken lets go of all and begins anew with that one known: so nobody waits in a
circle. Only SQL lives here; when a connection is lost is not decided here.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from hashlib import blake2b
from typing import Any, TypeAlias

import orjson

from gateway.core.model import Change, Edited, Identity, Profile, Write
from gateway.stores import outcome, repeated
from gateway.stores.postgresql.engine import commit
from gateway.stores.postgresql.layout import Connection, short

Key: TypeAlias = tuple[int, str, str]
"""An identity with its database: a profile's own is of the kind `id`, and a key of `once` of the kind `once`."""

Row: TypeAlias = tuple[Any, ...]
Statement: TypeAlias = "tuple[str, Sequence[Any]]"

ID, ONCE = "id", "once"

LOCK = "SELECT number FROM unnest(%b::bigint[]) AS number WHERE pg_advisory_xact_lock(number) IS NULL"
TRY_TO_LOCK = "SELECT number FROM unnest(%b::bigint[]) AS number WHERE NOT pg_try_advisory_xact_lock(number)"
"""Both answer with what could not be locked: the first waits, so that this is nothing."""

NAMED = """SELECT place, profile FROM unnest(%b::bigint[], %b::bigint[], %b::text[], %b::text[])
    AS wanted (place, database, kind, value) JOIN identities USING (database, kind, value)"""
PROFILES = """SELECT database, id, document, version, created, updated
    FROM unnest(%b::bigint[], %b::text[]) AS wanted (database, id) JOIN profiles USING (database, id)"""
DONE = """SELECT place, fingerprint, until, profile FROM unnest(%b::bigint[], %b::bigint[], %b::text[])
    AS wanted (place, database, key) JOIN once USING (database, key)"""

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


async def run_together(connection: Connection, changes: Sequence[Change]) -> list[Any]:
    """Runs changes in one transaction, which it commits, and answers what each came to."""
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


class Taken(Exception):
    """Another transaction has some of these keys."""

    def __init__(self, keys: set[Key]) -> None:
        self.keys = keys


class Unforeseen(BaseException):
    """An edit asks for keys that are not locked yet, and is run again once they are. It must not catch this."""

    def __init__(self, keys: set[Key]) -> None:
        self.keys = keys


class Locked:
    """What the transaction has locked, and what the database holds there."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._keys: set[Key] = set()
        self.named: dict[Key, set[str]] = {}
        self.profiles: dict[tuple[int, str], Row | None] = {}
        self.once: dict[Key, Row | None] = {}

    async def begin(self, keys: set[Key]) -> None:
        """Waits for the keys, in an order that all others keep too, and reads what they name."""
        await self._read(keys, ("BEGIN", ()), (LOCK, _numbers(keys)))

    async def reach(self, keys: set[Key]) -> None:
        """The same later on, without waiting. Raises `Taken`."""
        await self._read(keys, (TRY_TO_LOCK, _numbers(keys)))

    async def write(self, keys: set[Key], statements: Sequence[Statement]) -> None:
        """Locks what is written and was not read, and writes. Raises `Taken`, and all must be rolled back."""
        if statements:
            further = keys - self._keys
            taken, *_ = await in_one_trip(self._connection, (TRY_TO_LOCK, _numbers(further)), *statements)
            self._settle(further, taken)

    async def _read(self, keys: set[Key], *first: Statement) -> None:
        names = [key for key in keys if key[1] not in (ID, ONCE)]
        done = [key for key in keys if key[1] == ONCE]
        naming = NAMED, _columns([(place, *spelled(key)) for place, key in enumerate(names)], 4)
        doing = DONE, _columns([(place, key[0], short(key[2])) for place, key in enumerate(done)], 3)
        *_, taken, named, kept = await in_one_trip(self._connection, *first, naming, doing)
        self._settle(keys, taken)
        self.named |= {key: set() for key in names}
        for place, id in named:
            self.named[names[place]].add(id)
        self.once |= dict.fromkeys(done) | {done[place]: row for place, *row in kept}
        await self._read_profiles({key for key in keys if key[1] == ID} | {(names[at][0], ID, id) for at, id in named})

    async def _read_profiles(self, keys: set[Key]) -> None:
        """Reads profiles under locks of their own: two keys may name one profile."""
        wanted = [(database, id) for database, _, id in keys if (database, id) not in self.profiles]
        if wanted:
            locking = TRY_TO_LOCK, _numbers(keys - self._keys)
            taken, rows = await in_one_trip(self._connection, locking, (PROFILES, _columns(wanted, 2)))
            self._settle(keys, taken)
            self.profiles |= dict.fromkeys(wanted) | {(database, id): row for database, id, *row in rows}

    def _settle(self, keys: set[Key], taken: list[Row]) -> None:
        self._keys |= keys
        if taken:
            raise Taken(self._keys)


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

    def run(self) -> set[Key]:
        """Runs what has no answer yet, and tells which keys must be locked before that can go on.

        Behind a change that must wait the others are run only to hear what they will ask.
        """
        asked: set[Key] = set()
        for change in self._changes[len(self.answers) :]:
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
            KEEP: [(key[0], short(key[2]), *row) for key, row in self._once.items()],
        }
        return [(sql, _columns(each, len(each[0]))) for sql, each in rows.items() if each]

    def _tried(self, change: Change) -> tuple[Any, Callable[[], None]]:
        """What a change comes to, and what keeps it. What JSON cannot hold is the failure of its change alone."""
        try:
            if done := self._done_before(change):
                return done, _nothing
            edited = change.edit(partial(self._find, change.database))
            texts = [(text(write.after and write.after.document), text(write.patch)) for write in edited.writes]
            return edited, partial(self._keep, change, edited, texts, text(edited.profile) if change.once else "")
        except Exception as error:
            return error, _nothing

    def _done_before(self, change: Change) -> Edited | None:
        if change.once is None:
            return None
        key = change.database, ONCE, change.once.key
        row = self._once.get(key) or self._locked.once[key]
        if row is None or row[1] < change.origin.time:
            return None
        return repeated(change.once, row[0], orjson.loads(row[2]))

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

    def _keep(self, change: Change, edited: Edited, texts: list[tuple[str, str]], profile: str) -> None:
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
        who = origin.token, origin.dialect, origin.triggers
        self._records.append((database, origin.time, id, version, *who, patch))


async def in_one_trip(connection: Connection, *statements: Statement) -> list[list[Row]]:
    """Sends the statements together, and answers with the rows of each."""
    async with connection.pipeline():
        cursors = [await connection.execute(sql, values) for sql, values in statements]
    return [await cursor.fetchall() if cursor.description else [] for cursor in cursors]


def _nothing() -> None:
    """Keeps nothing of a change."""


def text(tree: Any) -> str:
    """A value as JSON."""
    return orjson.dumps(tree).decode()


def spelled(key: Key) -> Key:
    """An identity as the tables have it."""
    database, kind, value = key
    return database, short(kind), short(value)


def _foreseeable(change: Change) -> Iterator[Key]:
    yield from ((change.database, kind, value) for kind, value in change.identities)
    if change.once:
        yield change.database, ONCE, change.once.key


def _numbers(keys: Iterable[Key]) -> list[list[int]]:
    """The keys as the one value of a statement that locks them: in order, whoever asks."""
    return [sorted(map(_number, keys))]


def _number(key: Key) -> int:
    # Two keys of one number would wait for each other, and do no harm.
    return int.from_bytes(blake2b(repr(key).encode(), digest_size=8).digest(), signed=True)


def _columns(rows: Sequence[Row], width: int) -> list[list[Any]]:
    """Rows as the columns that a statement takes."""
    return [list(column) for column in zip(*rows, strict=True)] if rows else [[] for _ in range(width)]

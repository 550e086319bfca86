"""The locks of a transaction: keys are locked before they are read, whether rows with them exist or not.

Two transactions cannot both create a profile of one identity: the keys themselves are locked, since a row that does not
exist cannot be. Each key is locked before it is read, and so is each profile that it names. Keys that are written only
are locked with the writing. All locks are kept until the commit (two-phase locking). The keys that are known at the
start are locked in one order. Where another transaction has a further key, all locks are released and the transaction
starts again with that key among the first: so there are no deadlocks.

A transaction neither writes nor locks a row before it has its last lock: by its first write it gets the id that places
its entries in the journal. So of two transactions that write one profile, the later one has the higher id.
"""

from collections.abc import Iterable, Sequence
from hashlib import blake2b
from typing import TypeAlias

from gateway.core.tombstones import AFTER_PREFIX, PREFIX
from gateway.stores.postgresql.connections import Connection
from gateway.stores.postgresql.text_encoding import index_text
from gateway.stores.registry import Statement
from gateway.stores.rows import Row

Key: TypeAlias = tuple[int, str, str]
"""An identity with its database. An id of a profile has the kind `id`, a key of `once` the kind `once`, an address the
kind `ledger`."""

ID, ONCE, LEDGER = "id", "once", "ledger"

LOCK = "SELECT number FROM unnest(%b::bigint[]) AS number WHERE pg_advisory_xact_lock(number) IS NULL"
TRY_TO_LOCK = "SELECT number FROM unnest(%b::bigint[]) AS number WHERE NOT pg_try_advisory_xact_lock(number)"
"""Both return the keys that could not be locked: the first waits, so it returns none."""

NAMED_PROFILES = """SELECT place, profile FROM unnest(%b::bigint[], %b::bigint[], %b::text[], %b::text[])
    AS wanted (place, database, kind, value) JOIN identities USING (database, kind, value)"""
PROFILES = """SELECT database, id, document, version, created, updated
    FROM unnest(%b::bigint[], %b::text[]) AS wanted (database, id) JOIN profiles USING (database, id)"""
ANSWERS = """SELECT place, fingerprint, until, profile FROM unnest(%b::bigint[], %b::bigint[], %b::text[])
    AS wanted (place, database, key) JOIN once USING (database, key)"""

LEDGERS = """SELECT place, ledger FROM unnest(%b::bigint[], %b::bigint[], %b::text[])
    AS wanted (place, database, key) JOIN ledgers USING (database, key)"""
HAS_LEDGERS = f"""SELECT wanted.database, EXISTS (SELECT FROM ledgers
        WHERE ledgers.database = wanted.database AND key >= '{PREFIX}' AND key < '{AFTER_PREFIX}')
    FROM unnest(%b::bigint[]) AS wanted (database)
    WHERE EXISTS (SELECT FROM ledgers WHERE ledgers.database = wanted.database)"""


class LockConflict(Exception):
    """Another transaction has locked some of these keys."""

    def __init__(self, keys: set[Key]) -> None:
        self.keys = keys


class Locks:
    """The keys that a transaction has locked, and the rows that the database has for them."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._keys: set[Key] = set()
        self.profile_ids: dict[Key, set[str]] = {}
        self.profiles: dict[tuple[int, str], Row | None] = {}
        self.answers: dict[Key, Row | None] = {}
        self.ledgers: dict[Key, str | None] = {}
        self.has_ledgers: dict[int, bool] = {}
        """Whether a database has any ledger: a change may then need that of an address."""
        self.has_tombstones: dict[int, bool] = {}
        """Whether a database has tombstones among its ledgers."""

    async def begin(self, keys: set[Key]) -> None:
        """Begin the transaction. Wait for the keys, in the order that all transactions use, and read their rows."""
        await self._read(keys, ("BEGIN", ()), (LOCK, numbers(keys)))

    async def extend(self, keys: set[Key]) -> None:
        """Lock further keys without waiting, and read their rows. Raises `LockConflict`."""
        await self._read(keys, (TRY_TO_LOCK, numbers(keys)))

    async def write(self, keys: set[Key], statements: Sequence[Statement]) -> None:
        """Lock the keys that were not read, and write. Raises `LockConflict`: all must be rolled back then."""
        if statements:
            further = keys - self._keys
            conflicts, *_ = await execute_in_pipeline(self._connection, (TRY_TO_LOCK, numbers(further)), *statements)
            self._add(further, conflicts)

    async def _read(self, keys: set[Key], *locks: Statement) -> None:
        names = [key for key in keys if key[1] not in (ID, ONCE, LEDGER)]
        once = [key for key in keys if key[1] == ONCE]
        addresses = [key for key in keys if key[1] == LEDGER]
        wanted: dict[str, list[Row]] = {
            NAMED_PROFILES: [(place, *table_key(key)) for place, key in enumerate(names)],
            ANSWERS: [(place, key[0], key[2]) for place, key in enumerate(once)],
            LEDGERS: [(place, key[0], index_text(key[2])) for place, key in enumerate(addresses)],
        }
        queries = [(sql, columns(rows, len(rows[0]))) for sql, rows in wanted.items() if rows]
        results = await self._lock(keys, locks, queries)
        found = dict(zip((sql for sql, _ in queries), results, strict=True))
        self.ledgers |= dict.fromkeys(addresses) | {addresses[place]: text for place, text in found.get(LEDGERS, ())}
        self.answers |= dict.fromkeys(once) | {once[place]: row for place, *row in found.get(ANSWERS, ())}
        self.profile_ids |= {key: set() for key in names}
        ids = {key for key in keys if key[1] == ID}
        for place, id in found.get(NAMED_PROFILES, ()):
            self.profile_ids[names[place]].add(id)
            ids.add((names[place][0], ID, id))
        await self._read_profiles(ids)

    async def _read_profiles(self, keys: set[Key]) -> None:
        """Read profiles under locks of their own: two keys may name one profile."""
        wanted = [(database, id) for database, _, id in keys if (database, id) not in self.profiles]
        if wanted:
            lock = TRY_TO_LOCK, numbers(keys - self._keys)
            [rows] = await self._lock(keys, [lock], [(PROFILES, columns(wanted, 2))])
            self.profiles |= dict.fromkeys(wanted) | {(database, id): row for database, id, *row in rows}

    async def _lock(self, keys: set[Key], locks: Sequence[Statement], queries: Sequence[Statement]) -> list[list[Row]]:
        """Lock the keys by the last of `locks`. Return the rows of the queries, all in one round trip."""
        databases = sorted({key[0] for key in keys})
        # After every lock: whoever had the lock before may have written the first ledger of the database.
        *results, with_ledgers = await execute_in_pipeline(
            self._connection, *locks, *queries, (HAS_LEDGERS, [databases])
        )
        self._add(keys, results[len(locks) - 1])
        self.has_ledgers |= dict.fromkeys(databases, False) | {database: True for database, _ in with_ledgers}
        self.has_tombstones |= dict.fromkeys(databases, False) | dict(with_ledgers)
        return results[len(locks) :]

    def _add(self, keys: set[Key], conflicts: list[Row]) -> None:
        self._keys |= keys
        if conflicts:
            raise LockConflict(self._keys)


async def execute_in_pipeline(connection: Connection, *statements: Statement) -> list[list[Row]]:
    """Send the statements together, without waiting for each result. Return the rows of each."""
    async with connection.pipeline():
        cursors = [await connection.execute(sql, values) for sql, values in statements]
    return [await cursor.fetchall() if cursor.description else [] for cursor in cursors]


def table_key(key: Key) -> Key:
    """Return an identity as the tables have it."""
    database, kind, value = key
    return database, index_text(kind), index_text(value)


def numbers(keys: Iterable[Key]) -> list[list[int]]:
    """Return the keys as the one value of a statement that locks them, always in the same order."""
    return [sorted(map(_number, keys))]


def _number(key: Key) -> int:
    # Two keys of one number would only wait for each other.
    return int.from_bytes(blake2b(repr(key).encode(), digest_size=8).digest(), signed=True)


def columns(rows: Sequence[Row], width: int) -> list[list[object]]:
    """Return rows as columns, the parameters of a statement with `unnest`."""
    return [list(column) for column in zip(*rows, strict=True)] if rows else [[] for _ in range(width)]

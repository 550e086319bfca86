"""What a transaction locks and reads: keys, before it is known whether anybody has them.

No creation can be raced: what is locked are the keys themselves, since a row that does not exist cannot be. A key is
locked before it is read, and so is each profile that it names; what is gained, lost and written is locked with the
writing; all is held until the commit (two-phase locking). The keys known from the start are locked in one order, and
whoever needs a further one that is taken lets go of all and begins anew with that one known: so nobody waits in a
circle.
"""

from collections.abc import Iterable, Sequence
from hashlib import blake2b
from typing import Any, TypeAlias

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


class Taken(Exception):
    """Another transaction has some of these keys."""

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
        await self._read(keys, ("BEGIN", ()), (LOCK, numbers(keys)))

    async def reach(self, keys: set[Key]) -> None:
        """The same later on, without waiting. Raises `Taken`."""
        await self._read(keys, (TRY_TO_LOCK, numbers(keys)))

    async def write(self, keys: set[Key], statements: Sequence[Statement]) -> None:
        """Locks what is written and was not read, and writes. Raises `Taken`, and all must be rolled back."""
        if statements:
            further = keys - self._keys
            taken, *_ = await in_one_trip(self._connection, (TRY_TO_LOCK, numbers(further)), *statements)
            self._settle(further, taken)

    async def _read(self, keys: set[Key], *first: Statement) -> None:
        names = [key for key in keys if key[1] not in (ID, ONCE)]
        done = [key for key in keys if key[1] == ONCE]
        naming = NAMED, columns([(place, *spelled(key)) for place, key in enumerate(names)], 4)
        doing = DONE, columns([(place, key[0], key[2]) for place, key in enumerate(done)], 3)
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
            locking = TRY_TO_LOCK, numbers(keys - self._keys)
            taken, rows = await in_one_trip(self._connection, locking, (PROFILES, columns(wanted, 2)))
            self._settle(keys, taken)
            self.profiles |= dict.fromkeys(wanted) | {(database, id): row for database, id, *row in rows}

    def _settle(self, keys: set[Key], taken: list[Row]) -> None:
        self._keys |= keys
        if taken:
            raise Taken(self._keys)


async def in_one_trip(connection: Connection, *statements: Statement) -> list[list[Row]]:
    """Sends the statements together, and answers with the rows of each."""
    async with connection.pipeline():
        cursors = [await connection.execute(sql, values) for sql, values in statements]
    return [await cursor.fetchall() if cursor.description else [] for cursor in cursors]


def spelled(key: Key) -> Key:
    """An identity as the tables have it."""
    database, kind, value = key
    return database, short(kind), short(value)


def numbers(keys: Iterable[Key]) -> list[list[int]]:
    """The keys as the one value of a statement that locks them: in order, whoever asks."""
    return [sorted(map(_number, keys))]


def _number(key: Key) -> int:
    # Two keys of one number would wait for each other, and do no harm.
    return int.from_bytes(blake2b(repr(key).encode(), digest_size=8).digest(), signed=True)


def columns(rows: Sequence[Row], width: int) -> list[list[Any]]:
    """Rows as the columns that a statement takes."""
    return [list(column) for column in zip(*rows, strict=True)] if rows else [[] for _ in range(width)]

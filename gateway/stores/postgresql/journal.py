"""The journal in PostgreSQL: its statements and positions.

The number of a row is given when it is written, and rows are seen when their transaction commits: by number alone, a
reader would skip the rows of a transaction that commits late. So a position is the transaction's id and the number, and
only rows below the oldest transaction that still runs are read. Every later row has a higher position: the id of its
transaction is not yet given, or is one of those that run.

The rows of one profile are in the order of its versions, because a transaction gets its id with its first write or row
lock, and does neither before it has the lock of every profile that it writes (see `locks`).
"""

from collections.abc import Mapping, Sequence
from typing import Any

from gateway.core.model import JournalEntry, JournalRange, Position, RecordedMerge
from gateway.stores.postgresql.connections import Connection
from gateway.stores.rows import IS_MERGE, IS_UNDONE, JOURNAL_COLUMNS, Row, entry_of

NUMBER_BITS = 64
"""A position is one number: the transaction's id, then the bits of the row's number."""
MAX_POSITION = (1 << 64 + NUMBER_BITS) - 1

COLUMNS = f"transaction::text, number, {JOURNAL_COLUMNS}"
AFTER = "(transaction, number) > (%(transaction)s::text::xid8, %(number)s)"
# Not by `transaction` alone: that is the text in `COLUMNS`, of which 1000 comes before 999.
ORDER = "ORDER BY journal.transaction, journal.number"
NEWEST_FIRST = "ORDER BY journal.transaction DESC, journal.number DESC"
IS_COMPLETE = "transaction < pg_snapshot_xmin(pg_current_snapshot())"

ADD_ENTRIES = f"""INSERT INTO journal ({JOURNAL_COLUMNS})
    SELECT * FROM unnest(%b::bigint[], %b::text[], %b::bigint[], %b::text[], %b::bigint[], %b::bigint[], %b::text[],
        %b::text[], %b::text[], %b::boolean[], %b::text[], %b::text[], %b::text[])"""
ALL_ENTRIES = f"""SELECT {COLUMNS} FROM journal
    WHERE database = ? AND (transaction, number) > (?::text::xid8, ?) {ORDER}"""
READ = (
    f"SELECT {COLUMNS} FROM journal WHERE database = %(database)s AND {AFTER} AND {IS_COMPLETE} {ORDER} LIMIT %(limit)s"
)
READ_PROFILE = f"""SELECT {COLUMNS} FROM journal
    WHERE database = %(database)s AND profile = %(profile)s AND {AFTER} {ORDER} LIMIT %(limit)s"""
READ_REMOVALS = f"""SELECT {COLUMNS} FROM journal
    WHERE database = %(database)s AND kind = 'remove' AND {AFTER} {ORDER} LIMIT %(limit)s"""
READ_MERGE = f"SELECT {COLUMNS} FROM journal WHERE database = %s AND merge = %s {ORDER}"
READ_MERGES = f"""SELECT {COLUMNS}, {IS_UNDONE} FROM journal
    WHERE database = %(database)s AND {IS_MERGE}
        AND (%(transaction)s::text IS NULL OR (transaction, number) < (%(transaction)s::text::xid8, %(number)s))
        AND (%(profile)s::text IS NULL OR merge IN (
            SELECT merge FROM journal AS part WHERE part.database = %(database)s AND part.profile = %(profile)s))
    {NEWEST_FIRST} LIMIT %(limit)s"""
RANGE = f"""SELECT oldest.*, newest.*, pruned.transaction::text, pruned.number FROM (SELECT)
    LEFT JOIN LATERAL (SELECT transaction::text, number FROM journal
        WHERE database = %(database)s AND {IS_COMPLETE} {ORDER} LIMIT 1) AS oldest ON true
    LEFT JOIN LATERAL (SELECT transaction::text, number FROM journal
        WHERE database = %(database)s AND {IS_COMPLETE} {NEWEST_FIRST} LIMIT 1) AS newest ON true
    LEFT JOIN pruned ON pruned.database = %(database)s"""
PRUNE = """WITH old AS (SELECT old.* FROM databases
        LEFT JOIN unnest(%(databases)s::bigint[], %(transactions)s::text[], %(numbers)s::bigint[])
            AS kept (database, transaction, number) ON kept.database = databases.id,
        LATERAL (SELECT database, profile, transaction, number FROM journal
            WHERE database = databases.id AND time < %(before)s AND (kept.database IS NULL
                OR (transaction, number) < (kept.transaction::xid8, kept.number))
            LIMIT %(limit)s FOR UPDATE SKIP LOCKED) AS old LIMIT %(limit)s)
    DELETE FROM journal USING old
    WHERE journal.database = old.database AND journal.profile = old.profile
        AND journal.transaction = old.transaction AND journal.number = old.number
    RETURNING journal.database, journal.transaction::text, journal.number"""
COPY_ENTRIES = f"""WITH wanted AS (
        SELECT DISTINCT database, position, div(position::numeric, {1 << NUMBER_BITS})::text::xid8 AS transaction,
            mod(position::numeric, {1 << NUMBER_BITS})::bigint AS number FROM deliveries WHERE entry IS NULL),
    copied AS (SELECT wanted.database, wanted.position, old.entry FROM wanted, LATERAL (
        SELECT json_build_array({JOURNAL_COLUMNS})::text AS entry FROM journal
            WHERE journal.database = wanted.database AND journal.transaction = wanted.transaction
                AND journal.number = wanted.number AND time < %s FOR UPDATE SKIP LOCKED) AS old)
    UPDATE deliveries SET entry = copied.entry FROM copied
    WHERE deliveries.entry IS NULL AND deliveries.database = copied.database
        AND deliveries.position = copied.position"""
"""Copies old entries into the deliveries that are about them, before they are removed. An erasure waits for it."""
MARK_REMOVED = """INSERT INTO pruned VALUES (%s, %s::text::xid8, %s) ON CONFLICT (database) DO UPDATE
    SET transaction = excluded.transaction, number = excluded.number
    WHERE (pruned.transaction, pruned.number) < (excluded.transaction, excluded.number)"""


def split_position(position: Position) -> tuple[str, int]:
    """Return the transaction's id, as text, and the number of a position; the highest ones if it is beyond them."""
    position = min(position, MAX_POSITION)
    return str(position >> NUMBER_BITS), position & ((1 << NUMBER_BITS) - 1)


def join_position(transaction: str | None, number: int | None) -> Position:
    """Return the position of a transaction's id and a number; 0 for none."""
    return (int(transaction or 0) << NUMBER_BITS) + (number or 0)


def entries_statement(database: int, after: Position, limit: int, profile: str | None) -> tuple[str, dict[str, Any]]:
    """Return the statement that reads entries as `Store.journal` does, and its values.

    A profile's lock orders its transactions: no entry of it comes up behind a later one, so none needs to wait.
    """
    transaction, number = split_position(after)
    values = {"database": database, "transaction": transaction, "number": number, "limit": limit}
    return (READ, values) if profile is None else (READ_PROFILE, {**values, "profile": profile})


def removals_statement(database: int, after: Position, limit: int) -> tuple[str, dict[str, Any]]:
    """Return the statement that reads entries as `Store.removals` does, and its values."""
    transaction, number = split_position(after)
    return READ_REMOVALS, {"database": database, "transaction": transaction, "number": number, "limit": limit}


def merges_statement(
    database: int, before: Position | None, limit: int, profile: str | None
) -> tuple[str, dict[str, Any]]:
    """Return the statement that reads merges as `Store.merges` does, and its values."""
    transaction, number = (None, None) if before is None else split_position(before)
    values = {"transaction": transaction, "number": number, "limit": limit, "profile": profile}
    return READ_MERGES, {"database": database, **values}


def merge_of_row(row: Row) -> RecordedMerge:
    """Return the merge of a row."""
    *entry, is_undone = row
    return RecordedMerge(entry_of_row(tuple(entry)), is_undone)


def entry_of_row(row: Row) -> JournalEntry:
    """Return the entry of a row."""
    transaction, number, *rest = row
    return entry_of(join_position(transaction, number), rest)


def range_of_row(row: Sequence[Any]) -> JournalRange:
    """Return the positions of a database's entries, from a row of `RANGE`."""
    return JournalRange(join_position(*row[:2]), join_position(*row[2:4]), join_position(*row[4:]))


async def prune_journal(connection: Connection, before: int, limit: int, keep_from: Mapping[int, Position]) -> int:
    """Remove entries, as `Store.prune` does. Return how many."""
    kept = [(database, *split_position(position)) for database, position in keep_from.items()]
    names = "databases", "transactions", "numbers"
    values = {name: [row[place] for row in kept] for place, name in enumerate(names)}
    await connection.execute(COPY_ENTRIES, (before,))
    cursor = await connection.execute(PRUNE, {**values, "before": before, "limit": limit})
    highest: dict[int, Position] = {}
    removed = await cursor.fetchall()
    for database, transaction, number in removed:
        highest[database] = max(join_position(transaction, number), highest.get(database, 0))
    for database, position in highest.items():
        await connection.execute(MARK_REMOVED, (database, *split_position(position)))
    return len(removed)

"""The journal in a SQLite file: its statements, but for those of a group."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import apsw

from gateway.core.model import JournalEntry, JournalRange, Position, RecordedMerge
from gateway.stores.rows import IS_MERGE, IS_UNDONE, JOURNAL_COLUMNS, Row, entry_of, json_text

READ = f"SELECT position, {JOURNAL_COLUMNS} FROM journal WHERE database = ? AND position > ? ORDER BY position LIMIT ?"
READ_PROFILE = f"""SELECT position, {JOURNAL_COLUMNS} FROM journal
    WHERE database = ? AND profile = ? AND position > ? ORDER BY position LIMIT ?"""
READ_REMOVALS = f"""SELECT position, {JOURNAL_COLUMNS} FROM journal
    WHERE database = ? AND kind = 'remove' AND position > ? ORDER BY position LIMIT ?"""
READ_MERGE = f"SELECT position, {JOURNAL_COLUMNS} FROM journal WHERE database = ? AND merge = ? ORDER BY position"
READ_MERGES = f"""SELECT position, {JOURNAL_COLUMNS}, {IS_UNDONE} FROM journal
    WHERE database = :database AND {IS_MERGE} AND position < :before AND (:profile IS NULL OR merge IN (
        SELECT merge FROM journal AS part WHERE part.database = :database AND part.profile = :profile))
    ORDER BY position DESC LIMIT :limit"""
MAX_POSITION = 2**63 - 1
"""The highest integer of SQLite, after which there is no entry. A higher one of a client is read as this one."""
RANGE = """SELECT (SELECT min(position) FROM journal WHERE database = :database),
    (SELECT max(position) FROM journal WHERE database = :database),
    (SELECT position FROM pruned WHERE database = :database)"""
PRUNE = """DELETE FROM journal WHERE position IN (
        SELECT position FROM databases CROSS JOIN journal ON database = databases.id
            LEFT JOIN json_each(:keep_from) AS kept ON kept.key = CAST(database AS TEXT)
        WHERE time < :before AND position < coalesce(kept.value, 9223372036854775807) LIMIT :limit)
    RETURNING database, position"""
COPY_ENTRIES = f"""UPDATE deliveries SET entry = copied.entry FROM (
        SELECT position, json_array({JOURNAL_COLUMNS}) AS entry FROM journal
            WHERE position IN (SELECT CAST(position AS INTEGER) FROM deliveries WHERE entry IS NULL) AND time < ?
    ) AS copied WHERE deliveries.entry IS NULL AND CAST(deliveries.position AS INTEGER) = copied.position"""
"""Copies old entries into the deliveries that are about them, before they are removed."""
MARK_REMOVED = "INSERT INTO pruned VALUES (?, ?) ON CONFLICT DO UPDATE SET position = max(position, excluded.position)"


def read_journal(
    read: Callable[[str, Sequence[Any]], list[Row]], database: int, after: Position, limit: int, profile: str | None
) -> list[JournalEntry]:
    """Return entries, as `Store.journal` does. Writers take turns: no position comes up behind a higher one."""
    place = min(after, MAX_POSITION)
    if profile is None:
        rows = read(READ, (database, place, limit))
    else:
        rows = read(READ_PROFILE, (database, profile, place, limit))
    return [entry_of(position, row) for position, *row in rows]


def read_removals(
    read: Callable[[str, Sequence[Any]], list[Row]], database: int, after: Position, limit: int
) -> list[JournalEntry]:
    """Return entries, as `Store.removals` does."""
    return [entry_of(position, row) for position, *row in read(READ_REMOVALS, (database, after, limit))]


def read_merge(read: Callable[[str, Sequence[Any]], list[Row]], database: int, id: str) -> list[JournalEntry]:
    """Return the entries of a merge, as `Store.merge` does."""
    return [entry_of(position, row) for position, *row in read(READ_MERGE, (database, id))]


def read_merges(
    read: Callable[[str, Any], list[Row]], database: int, before: Position | None, limit: int, profile: str | None
) -> list[RecordedMerge]:
    """Return merges, as `Store.merges` does."""
    place = MAX_POSITION if before is None else min(before, MAX_POSITION)
    rows = read(READ_MERGES, {"database": database, "before": place, "limit": limit, "profile": profile})
    return [RecordedMerge(entry_of(position, row), bool(is_undone)) for position, *row, is_undone in rows]


def read_range(read: Callable[[str, Any], list[Row]], database: int) -> JournalRange:
    """Return the positions of a database's entries."""
    [positions] = read(RANGE, {"database": database})
    return JournalRange(*(position or 0 for position in positions))


def prune_journal(connection: apsw.Connection, before: int, limit: int, keep_from: Mapping[int, Position]) -> int:
    """Remove entries, as `Store.prune` does. Return how many."""
    kept = json_text({str(database): position for database, position in keep_from.items()})
    connection.execute(COPY_ENTRIES, (before,))
    removed = list(connection.execute(PRUNE, {"before": before, "limit": limit, "keep_from": kept}))
    highest: dict[int, Position] = {}
    for database, position in removed:
        highest[database] = max(position, highest.get(database, 0))
    connection.executemany(MARK_REMOVED, highest.items())
    return len(removed)

"""Subscribers and their deliveries in SQL: the part that all SQL engines share.

A position is a text of digits with leading zeros: it has the same order as the number, which may exceed 64 bits.
"""

from collections.abc import Sequence
from typing import Any

import orjson

from gateway.core.model import JournalEntry, Position
from gateway.core.subscribers import Delivery, DeliveryResult, Subscriber
from gateway.stores.errors import Missing
from gateway.stores.registry import Statement
from gateway.stores.rows import Row, copied_entry, json_text

POSITION_DIGITS = 40

COLUMNS = "database, id, kind, created, settings, secret, position, state, reason, revision"
SUBSCRIBERS = f"SELECT {COLUMNS} FROM subscribers ORDER BY created, id"
LEASED = f"SELECT {COLUMNS} FROM subscribers WHERE database = ? AND id = ? AND owner = ?"
ADD = f"INSERT INTO subscribers ({COLUMNS}, owner, until) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, '', 0)"
REMOVE_DELIVERIES = "DELETE FROM deliveries WHERE database = ? AND subscriber = ?"
REMOVE_NOTES = "DELETE FROM subscriber_notes WHERE database = ? AND subscriber = ?"
REMOVE = "DELETE FROM subscribers WHERE database = ? AND id = ?"
LEASE = """UPDATE subscribers SET owner = ?, until = ?
    WHERE database = ? AND id = ? AND state = 'active' AND (owner = ? OR until <= ?)"""
SETTLE = "UPDATE subscribers SET position = ?, state = ?, reason = ? WHERE database = ? AND id = ? AND owner = ?"
DELIVERED = "DELETE FROM deliveries WHERE database = ? AND subscriber = ? AND position = ?"
UNDELIVERED = """INSERT INTO deliveries (database, subscriber, position, profile, attempts, since, due, reason, dead)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (database, subscriber, position)
    DO UPDATE SET attempts = excluded.attempts, since = excluded.since, due = excluded.due, reason = excluded.reason,
        dead = excluded.dead"""
DELIVERIES = """SELECT position, profile, attempts, since, due, reason, dead FROM deliveries
    WHERE database = ? AND subscriber = ? AND dead = ? AND position > ? ORDER BY position LIMIT ?"""
NOTE = """INSERT INTO subscriber_notes VALUES (?, ?, ?, ?)
    ON CONFLICT (database, subscriber, name) DO UPDATE SET value = excluded.value"""
FORGET_NOTE = f"{REMOVE_NOTES} AND name = ?"
NOTES = "SELECT name, value FROM subscriber_notes WHERE database = ? AND subscriber = ? AND name = ?"
NOTED = "SELECT name FROM subscriber_notes WHERE database = ? AND subscriber = ? AND value = ? ORDER BY name"
DROP = f"{DELIVERED} AND dead = 1"
RESUME = """UPDATE subscribers SET state = 'active', reason = '', revision = revision + 1
    WHERE database = ? AND id = ?"""
REPLAY = """UPDATE deliveries SET attempts = 0, since = 0, due = 0, dead = 0
    WHERE database = ? AND subscriber = ? AND dead = 1"""
FORGET = """DELETE FROM deliveries WHERE (database, subscriber, position) IN (
    SELECT database, subscriber, position FROM (SELECT database, subscriber, position,
        row_number() OVER (PARTITION BY database, subscriber ORDER BY position DESC) AS place
        FROM deliveries WHERE dead = 1) AS numbered WHERE place > ?)"""
ENTRY_OF_DELIVERY = """SELECT entry FROM deliveries
    WHERE database = ? AND subscriber = ? AND position = ? AND entry IS NOT NULL"""


class SqlSubscribers:
    """The methods of a `Store` for subscribers, over the reads and writes of an engine."""

    async def _read(self, sql: str, values: Sequence[Any] = ()) -> list[Row]:
        """Return the rows of a query, whose parameters are `?`. Raises `Unavailable`."""
        raise NotImplementedError

    async def _register(self, *statements: Statement) -> None:
        """Run statements on the registry. Raises `Duplicate` or `Missing`; also where the last alters no row."""
        raise NotImplementedError

    async def _alter(self, *statements: Statement) -> bool:
        """Run statements in one step. Return false, and run no further one, where the first alters no row."""
        raise NotImplementedError

    async def add_subscriber(self, subscriber: Subscriber) -> None:
        row = subscriber
        await self._register(
            (
                ADD,
                (
                    *(row.database, row.id, row.kind, row.created, json_text(row.settings), row.secret),
                    *(_text(row.position), row.state, row.reason, row.revision),
                ),
            )
        )

    async def remove_subscriber(self, database: int, id: str) -> None:
        key = database, id
        await self._register((REMOVE_DELIVERIES, key), (REMOVE_NOTES, key), (REMOVE, key))

    async def subscribers(self) -> list[Subscriber]:
        return [_subscriber(row) for row in await self._read(SUBSCRIBERS)]

    async def lease_subscriber(self, database: int, id: str, owner: str, now: int, until: int) -> Subscriber | None:
        if not await self._alter((LEASE, (owner, until, database, id, owner, now))):
            return None
        rows = await self._read(LEASED, (database, id, owner))
        return _subscriber(rows[0]) if rows else None

    async def settle(self, result: DeliveryResult, owner: str) -> None:
        row = result.subscriber
        key = row.database, row.id
        done = await self._alter(
            (SETTLE, (_text(row.position), row.state, row.reason, *key, owner)),
            *((DELIVERED, (*key, _text(position))) for position in result.delivered),
            *((UNDELIVERED, (*key, *_delivery_row(each))) for each in result.undelivered),
            *(
                (FORGET_NOTE, (*key, name)) if value is None else (NOTE, (*key, name, value))
                for name, value in result.notes.items()
            ),
        )
        if not done:
            raise Missing("the lease of the subscriber was lost")

    async def deliveries(self, database: int, id: str, is_dead: bool, after: Position, limit: int) -> list[Delivery]:
        rows = await self._read(DELIVERIES, (database, id, int(is_dead), _text(after), limit))
        return [
            Delivery(int(position), profile, attempts, since, due, reason, bool(dead))
            for position, profile, attempts, since, due, reason, dead in rows
        ]

    async def notes(self, database: int, id: str, names: Sequence[str]) -> dict[str, str]:
        found: dict[str, str] = {}
        for name in names:
            found.update((row[0], row[1]) for row in await self._read(NOTES, (database, id, name)))
        return found

    async def noted(self, database: int, id: str, value: str) -> list[str]:
        return [row[0] for row in await self._read(NOTED, (database, id, value))]

    async def drop_deliveries(self, database: int, id: str, positions: Sequence[Position]) -> None:
        for position in positions:
            await self._alter((DROP, (database, id, _text(position))))

    async def resume_subscriber(self, database: int, id: str, positions: Sequence[Position] | None) -> None:
        key = database, id
        if positions is None:
            replays: list[Statement] = [(REPLAY, key)]
        else:
            replays = [(f"{REPLAY} AND position = ?", (*key, _text(each))) for each in positions]
        if not await self._alter((RESUME, key), *replays):
            raise Missing("there is no such subscriber")

    async def forget_deliveries(self, kept: int) -> None:
        await self._alter((FORGET, (kept,)))

    async def entry_of_delivery(self, database: int, id: str, position: Position) -> JournalEntry | None:
        rows = await self._read(ENTRY_OF_DELIVERY, (database, id, _text(position)))
        return copied_entry(position, rows[0][0]) if rows else None


def _text(position: Position) -> str:
    return f"{position:0{POSITION_DIGITS}d}"


def _subscriber(row: Row) -> Subscriber:
    database, id, kind, created, settings, secret, position, *rest = row
    return Subscriber(database, id, kind, created, orjson.loads(settings), secret, int(position), *rest)


def _delivery_row(delivery: Delivery) -> Row:
    each = delivery
    return _text(each.position), each.profile, each.attempts, each.since, each.due, each.reason, int(each.is_dead)

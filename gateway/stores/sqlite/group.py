"""What one group of changes sees and writes inside its transaction, and how profiles are looked up.

A group reads what its changes are known to ask for at once, and holds its writes back to send many rows in one
statement: preparing and stepping through statements would cost more than the rows do.
Only SQL lives here; when a transaction begins or ends is not decided here.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache, partial
from itertools import chain, islice
from math import inf
from typing import Any, TypeAlias

import apsw
import orjson

from gateway.core.faults import Refusal
from gateway.core.model import Change, EditResult, Identity, Profile, Write
from gateway.stores.rows import document_text, outcome, remembered, repeated

Step: TypeAlias = "Change | Callable[[apsw.Connection], Any]"
"""A change, or a piece of housekeeping that is given the connection."""

Key: TypeAlias = "tuple[int, str, str]"
"""An identity with its database."""

Read: TypeAlias = "Callable[[str, tuple[Any, ...]], Iterable[tuple[Any, ...]]]"
"""Runs a query with its values."""

AT_ONCE = 256
"""Keys that are looked up, and rows that are sent, in one statement."""

NOTHING = (None, None, None)

PUT = """INSERT INTO profiles VALUES {rows} ON CONFLICT DO UPDATE
    SET document = excluded.document, version = excluded.version,
        created = excluded.created, updated = excluded.updated"""
REMOVE = "DELETE FROM profiles WHERE (database, id) IN (VALUES {rows})"
LOSE = "DELETE FROM identities WHERE (database, kind, value, profile) IN (VALUES {rows})"
GAIN = "INSERT INTO identities VALUES {rows} ON CONFLICT DO NOTHING"
RECORD = "INSERT INTO changes VALUES {rows}"
DONE = "SELECT fingerprint, profile FROM once WHERE database = ? AND key = ? AND until >= ?"
ONCE = "INSERT OR REPLACE INTO once VALUES {rows}"
EXPIRE = """DELETE FROM once WHERE rowid IN (SELECT once.rowid FROM (VALUES {rows}) AS kept
    CROSS JOIN once ON database = kept.column1 AND until < kept.column2 LIMIT 2 * {count})"""
"""Goes with the keys that are kept: so those that expired go faster than new ones come."""


LARGEST_READ = LARGEST_HELD = 4 * 1024 * 1024
"""Characters of documents that a group reads before they are asked for, and that it holds before it sends them."""


def look_up(read: Read, keys: Iterable[Key], most: float = inf) -> dict[Key, list[Profile]]:
    """The profiles that each key names. A key is left out whose profiles' documents lie past `most` characters."""
    found: dict[Key, list[Profile]] = {key: [] for key in keys}
    left_out: set[Key] = set()
    remaining = iter(tuple(found))
    while some := tuple(islice(remaining, AT_ONCE)):
        # Filled up with nulls, which name nothing, to one of nine lengths.
        room = 1 << (len(some) - 1).bit_length()
        profiles: dict[tuple[int, str], Profile] = {}
        for number, id, document, *rest in read(_named_by(room), (*chain(*some), *NOTHING * (room - len(some)))):
            key = some[number]
            if (profile := profiles.get((key[0], id))) is None:
                most -= len(document)
                if most < 0:
                    left_out.add(key)
                    continue
                profiles[key[0], id] = profile = Profile(id, orjson.loads(document), *rest)
            found[key].append(profile)
    return {key: each for key, each in found.items() if key not in left_out} if left_out else found


@cache
def _named_by(count: int) -> str:
    # CROSS JOIN fixes the order: whatever SQLite believes about the tables, it searches them for the keys it is given.
    return f"""
        WITH wanted (number, database, kind, value) AS (VALUES {", ".join(f"({n}, ?, ?, ?)" for n in range(count))}),
        named (number, database, id) AS (
            SELECT number, database, profile FROM wanted CROSS JOIN identities USING (database, kind, value)
            UNION ALL SELECT number, database, value FROM wanted WHERE kind = 'id')
        SELECT number, id, document, version, created, updated FROM named CROSS JOIN profiles USING (database, id)"""


def _in_few_lengths(rows: Sequence[tuple[Any, ...]]) -> Iterator[Sequence[tuple[Any, ...]]]:
    """The rows in parts of 256, 128, ... 2, 1: so few statements are prepared."""
    start = 0
    while left := len(rows) - start:
        length = min(AT_ONCE, 1 << (left.bit_length() - 1))
        yield rows[start : start + length]
        start += length


@cache
def _for_rows(sql: str, count: int, width: int) -> str:
    """A statement over so many rows of so many values."""
    row = f"({', '.join('?' * width)})"
    return sql.format(rows=", ".join([row] * count), count=count)


def by_id(profiles: Iterable[Profile]) -> list[Profile]:
    """Each profile once, ordered by id."""
    unique = {profile.id: profile for profile in profiles}
    return [unique[id] for id in sorted(unique)] if len(unique) > 1 else [*unique.values()]


class Group:
    """The changes of one transaction: each finds what the ones before it did, all are sent by `flush`."""

    def __init__(self, connection: apsw.Connection, steps: Sequence[Step]) -> None:
        self._connection = connection
        self._foreseen = look_up(connection.execute, _foreseeable(steps), LARGEST_READ)
        self._touched: set[Key] = set()
        self._held: dict[str, list[tuple[Any, ...]]] = {
            sql: [] for sql in (REMOVE, PUT, LOSE, GAIN, RECORD, EXPIRE, ONCE)
        }
        self._size = 0

    def run(self, step: Step) -> Any:
        """A change's outcome, its writes held back; or what the housekeeping answers."""
        if not isinstance(step, Change):
            return step(self._connection)
        try:
            return self._done_before(step) or self._done(step)
        except Refusal as refusal:
            return refusal.anew()

    def _done(self, change: Change) -> EditResult:
        edited = change.edit(partial(self._find, change.database))
        # Every document before any write is held: one that is too large leaves nothing of its change behind.
        documents = [document_text(write) for write in edited.writes]
        for write, document in zip(edited.writes, documents, strict=True):
            self._hold(change, write, document)
        if once := change.once:
            kept = once.key, once.fingerprint, once.until, remembered(edited.profile)
            self._held[EXPIRE].append((change.database, change.origin.time))
            self._held[ONCE].append((change.database, *kept))
        return edited

    def _done_before(self, change: Change) -> EditResult | None:
        if (once := change.once) is None:
            return None
        if self._held[ONCE]:
            self.flush()
        values = change.database, once.key, change.origin.time
        for fingerprint, kept in self._connection.execute(DONE, values):
            return repeated(once, fingerprint, kept)
        return None

    def flush(self) -> None:
        """Sends what is held back."""
        for sql, rows in self._held.items():
            for some in _in_few_lengths(rows):
                self._connection.execute(_for_rows(sql, len(some), len(some[0])), tuple(chain(*some)))
            rows.clear()
        self._size = 0

    def _find(self, database: int, identities: Sequence[Identity]) -> list[Profile]:
        keys = [(database, kind, value) for kind, value in identities]
        found = self._foreseen
        if not all(map(found.__contains__, keys)) or not self._is_as_foreseen(keys):
            self.flush()
            found = look_up(self._connection.execute, keys)
        return by_id(chain(*map(found.__getitem__, keys)))

    def _is_as_foreseen(self, keys: Iterable[Key]) -> bool:
        """Has no change of this group given one of the keys to a profile, or written a profile that one names?"""
        touched = self._touched
        if not touched:
            return True
        named = ((key[0], "id", profile.id) for key in keys for profile in self._foreseen[key])
        return touched.isdisjoint(keys) and touched.isdisjoint(named)

    def _hold(self, change: Change, write: Write, document: str) -> None:
        database, origin, held = change.database, change.origin, self._held
        id, version = outcome(write)
        key = (database, "id", id)
        if key in self._touched or self._size > LARGEST_HELD:
            # Each profile is held once, so that the statements may be sent in any order.
            self.flush()
        self._size += len(document)
        self._touched.add(key)
        self._touched.update((database, *identity) for identity in write.gained)
        if after := write.after:
            held[PUT].append((database, id, document, version, after.created, after.updated))
        else:
            held[REMOVE].append((database, id))
        held[LOSE] += [(database, *identity, id) for identity in write.lost]
        held[GAIN] += [(database, *identity, id) for identity in write.gained]
        if write.patch is not None:
            who = origin.token, origin.dialect, origin.triggers
            held[RECORD].append((database, origin.time, id, version, *who, text(write.patch)))


def _foreseeable(steps: Iterable[Step]) -> Iterator[Key]:
    for step in steps:
        if isinstance(step, Change):
            yield from ((step.database, kind, value) for kind, value in step.identities)


def text(tree: Any) -> str:
    """A value as JSON."""
    return orjson.dumps(tree).decode()

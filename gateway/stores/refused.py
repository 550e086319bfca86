"""Refused requests in SQL: the part that all SQL engines share, and their rows for every engine.

The position of a row is the number of bytes that the rows before it had: so the oldest ones beyond a number of bytes
are found without a sum over all of them.
"""

from base64 import b64decode, b64encode
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import orjson
from msgspec import Struct, convert, to_builtins
from msgspec.structs import replace

from gateway.core.faults import Fault
from gateway.core.model import Erasure, Position
from gateway.core.refused_requests import (
    KEY_LENGTH,
    RefusedCandidate,
    RefusedFilter,
    RefusedRequest,
    keys_of_persons,
)
from gateway.stores.rows import Row, json_text
from gateway.stores.statements import Statements

BASE64 = "base64"

COLUMNS = "database, position, id, time, request, token, dialect, fault, replayed, is_known, encoding, body, content"
ADD = f"INSERT INTO refused ({COLUMNS}, size) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
END = "SELECT position + size FROM refused WHERE database = ? ORDER BY position DESC LIMIT 1"
LAST_ERASURE = "SELECT time FROM erasures WHERE database = ?"
NOTE_ERASURE = """INSERT INTO erasures VALUES (?, ?) ON CONFLICT (database) DO UPDATE SET time = excluded.time
    WHERE erasures.time < excluded.time"""
REMOVE_OLDEST = "DELETE FROM refused WHERE database = ? AND position < ?"
REMOVE_ALL = "DELETE FROM refused WHERE database = ?"
REMOVE_UNKNOWN = "DELETE FROM refused WHERE database = ? AND is_known = 0"
EXISTS = "SELECT 1 FROM refused WHERE database = ? AND id = ?"
FIND = f"SELECT {COLUMNS} FROM refused WHERE database = ? AND id = ?"
LIST = f"""SELECT {COLUMNS} FROM refused WHERE database = ? AND position < ? AND (? = '' OR dialect = ?)
    AND (? = '' OR fault = ?) AND (? = '' OR request = ?) AND (? < 0 OR (replayed > 0) = (? > 0))
    ORDER BY position DESC LIMIT ?"""
MARK_REPLAYED = "UPDATE refused SET replayed = ? WHERE database = ? AND id = ?"
COUNT_OLD = "SELECT count(*) FROM (SELECT 1 FROM refused WHERE database = ? AND time < ? LIMIT ?) AS old"
PRUNE = """DELETE FROM refused WHERE database = ? AND position IN
    (SELECT position FROM refused WHERE database = ? AND time < ? ORDER BY position LIMIT ?)"""
DATABASES = "SELECT id FROM databases"

END_OF_POSITIONS = 2**62
FIRST_POSITION = 1


class RefusedSql(Struct, frozen=True):
    """The statements that engines write differently. Lists of texts are JSON arrays.

    `lock` keeps an erasure and the storage of refused requests apart, where the engine has several writers.
    """

    find_tombstone: str
    """Returns a row if any address of a list has a ledger."""
    add_keys: str
    remove_named: str
    """Removes the requests that have any key of a list."""
    lock: str = ""


class SqlRefused:
    """The methods of a `Store` for refused requests, over the reads and writes of an engine."""

    REFUSED_SQL: RefusedSql

    async def _read(self, sql: str, values: Sequence[Any] = ()) -> list[Row]:
        """Return the rows of a query, whose parameters are `?`. Raises `Unavailable`."""
        raise NotImplementedError

    async def _alter(self, *statements: tuple[str, Sequence[Any]]) -> bool:
        """Run statements in one step. Return false, and run no further one, where the first alters no row."""
        raise NotImplementedError

    async def _run_statements(self, make: Callable[[], Statements]) -> None:
        """Run the statements that `make` returns in one step, maybe several times."""
        raise NotImplementedError

    async def keep_refused(self, database: int, candidates: Sequence[RefusedCandidate], max_bytes: int) -> None:
        await self._run_statements(lambda: _keep(self.REFUSED_SQL, database, candidates, max_bytes))

    async def refused(
        self, database: int, filter: RefusedFilter, before: Position | None, limit: int
    ) -> list[RefusedRequest]:
        state = -1 if filter.is_replayed is None else int(filter.is_replayed)
        texts = (each for each in (filter.dialect, filter.fault, filter.request) for _ in range(2))
        end = END_OF_POSITIONS if before is None else before
        rows = await self._read(LIST, (database, end, *texts, state, state, limit))
        return list(map(request_of_row, rows))

    async def refused_request(self, database: int, id: str) -> RefusedRequest | None:
        rows = await self._read(FIND, (database, id))
        return request_of_row(rows[0]) if rows else None

    async def mark_replayed(self, database: int, id: str, time: int) -> None:
        await self._alter((MARK_REPLAYED, (time, database, id)))

    async def prune_refused(self, before: int, limit: int) -> int:
        count = 0
        for (database,) in await self._read(DATABASES):
            count += await self._prune(database, before, limit)
        return count

    async def _prune(self, database: int, before: int, limit: int) -> int:
        [[count]] = await self._read(COUNT_OLD, (database, before, limit))
        if count:
            await self._alter((PRUNE, (database, database, before, limit)))
        return int(count)


def forget_persons(sql: RefusedSql, database: int, erasure: Erasure) -> Statements:
    """Remove the refused requests that name erased persons, and those of which it is not known whom they name."""
    if sql.lock:
        yield sql.lock, ()
    yield NOTE_ERASURE, (database, erasure.time)
    keys = keys_of_persons(erasure)
    if keys is None:
        yield REMOVE_ALL, (database,)
    else:
        yield REMOVE_UNKNOWN, (database,)
        yield sql.remove_named, (database, database, json_text(sorted(keys)))
    return None


def _keep(sql: RefusedSql, database: int, candidates: Sequence[RefusedCandidate], max_bytes: int) -> Statements:
    if sql.lock:
        yield sql.lock, ()
    erasures = yield LAST_ERASURE, (database,)
    ends = yield END, (database,)
    end = ends[0][0] if ends else FIRST_POSITION
    for each in candidates:
        if is_of_unknown_person(each, erasures[0][0] if erasures else 0):
            continue
        if (yield EXISTS, (database, each.request.id)):  # an engine that lost a connection runs the step again
            continue
        if each.tombstones and (yield sql.find_tombstone, (database, json_text(sorted(each.tombstones)))):
            continue
        row, size = row_of_request(each.request, end)
        yield ADD, (*row, size)
        if each.request.keys:
            yield sql.add_keys, (database, end, json_text(sorted(each.request.keys)))
        end += size
    yield REMOVE_OLDEST, (database, end - max_bytes)
    return None


def is_of_unknown_person(candidate: RefusedCandidate, last_erasure: int) -> bool:
    """Return whether a request may name a person who was erased since it was refused."""
    return candidate.request.keys is None and candidate.request.time <= last_erasure


def row_of_request(request: RefusedRequest, position: Position) -> tuple[Row, int]:
    """Return the row of a request, and its size in bytes, which is 1 at least."""
    encoding, body = _text_of_body(request.body)
    faults = [to_builtins(each) for each in request.faults]
    content = json_text(
        {"call": request.call, "target": request.target, "path": request.path, "headers": request.headers}
        | {"faults": faults}
    )
    keys = request.keys
    size = len(content.encode()) + len(body.encode()) + len(keys or ()) * KEY_LENGTH
    row = (
        *(request.database, position, request.id, request.time, request.request, request.token, request.dialect),
        *(request.faults[0].code, request.replayed, int(keys is not None), encoding, body, content),
    )
    return row, size


def request_of_row(row: Row, keys: Collection[str] = ()) -> RefusedRequest:
    """Return the request of a row. Its keys are not read."""
    database, position, id, time, request, token, dialect, _, replayed, is_known, encoding, body, text = row
    content: Mapping[str, Any] = orjson.loads(text)
    return RefusedRequest(
        database=database,
        id=id,
        time=time,
        request=request,
        token=token,
        dialect=dialect,
        call=content["call"],
        target=content["target"],
        path=content["path"],
        headers=content["headers"],
        body=b64decode(body) if encoding == BASE64 else body.encode(),
        faults=tuple(convert(each, Fault) for each in content["faults"]),
        keys=frozenset(keys) if is_known else None,
        replayed=replayed,
        position=position,
    )


def without_keys(request: RefusedRequest) -> RefusedRequest:
    """Return a request as `request_of_row` returns it."""
    return request if request.keys is None else replace(request, keys=frozenset())


def _text_of_body(body: bytes) -> tuple[str, str]:
    """Return the encoding and the text of a body, which is itself where it is UTF-8."""
    try:
        return "", body.decode()
    except UnicodeDecodeError:
        return BASE64, b64encode(body).decode()

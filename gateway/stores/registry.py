"""The registry of databases, tokens, resources and segments in SQL: the part that all SQL engines share."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any, TypeAlias

import orjson

from gateway.core.model import Database, Resource, Token
from gateway.core.segments import Segment, SegmentId, segment_order
from gateway.stores.rows import Row, json_text

Statement: TypeAlias = "tuple[str, Sequence[Any]]"
"""A statement whose parameters are `?`, and its values."""

DATABASES = "SELECT * FROM databases ORDER BY id"
RESOURCES = "SELECT * FROM resources ORDER BY database, id"
SEGMENTS = "SELECT * FROM segments"
TOKENS = "SELECT * FROM tokens ORDER BY created, id"
ADD_DATABASE = "INSERT INTO databases VALUES (?, ?, ?, ?, ?)"
ADD_RESOURCE = "INSERT INTO resources VALUES (?, ?, ?, ?, ?, ?, ?)"
ADD_SEGMENT = "INSERT INTO segments VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
ADD_TOKEN = "INSERT INTO tokens VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
UPDATE_DATABASE = "UPDATE databases SET name = ?, closed = ?, fields = ?, company_id = ? WHERE id = ?"
UPDATE_RESOURCE = """UPDATE resources SET name = ?, categories = ?, fields = ?, token_hash = ?, public_key = ?
    WHERE database = ? AND id = ?"""
UPDATE_SEGMENT = """UPDATE segments SET name = ?, created = ?, updated = ?, is_double_opt_in = ?, preferences = ?
    WHERE database = ? AND id = ?"""
ARCHIVE_SEGMENT = "UPDATE segments SET archived = ? WHERE database = ? AND id = ?"
REMOVE_RESOURCE = "DELETE FROM resources WHERE database = ? AND id = ?"
REMOVE_SEGMENT = "DELETE FROM segments WHERE database = ? AND id = ?"
RENAME_TOKEN = "UPDATE tokens SET name = ? WHERE id = ?"
REVOKE_TOKEN = "UPDATE tokens SET revoked = true WHERE id = ?"


class SqlRegistry:
    """The registry's methods of a `Store`, over a read and a write of the engine."""

    async def _read(self, sql: str, values: Sequence[Any] = ()) -> list[Row]:
        """Return the rows of a query, whose parameters are `?`. Raises `Unavailable`."""
        raise NotImplementedError

    async def _register(self, *statements: Statement) -> None:
        """Run statements and increment the registry's version, in one step.

        Raises `Duplicate` or `Missing`; also `Missing` where they alter no row.
        """
        raise NotImplementedError

    async def databases(self) -> list[Database]:
        resources: dict[int, dict[int, Resource]] = defaultdict(dict)
        for database, id, name, categories, fields, *secrets in await self._read(RESOURCES):
            resources[database][id] = Resource(
                id, name, tuple(orjson.loads(categories)), orjson.loads(fields), *secrets
            )
        segments: dict[int, dict[SegmentId, Segment]] = defaultdict(dict)
        for each, segment in sorted(map(_segment, await self._read(SEGMENTS)), key=_in_order):
            segments[each][segment.id] = segment
        return [
            Database(id, name, bool(closed), orjson.loads(fields), company_id, resources[id], segments[id])
            for id, name, closed, fields, company_id in await self._read(DATABASES)
        ]

    async def tokens(self) -> list[Token]:
        return [
            Token(id, hash, database, frozenset(rights.split()), created, bool(revoked), name, user)
            for hash, id, database, rights, created, revoked, name, user in await self._read(TOKENS)
        ]

    async def add_database(self, database: Database) -> None:
        await self._register(
            (ADD_DATABASE, (database.id, *_settings(database))),
            *(_add_resource(database.id, resource) for resource in database.resources.values()),
            *(_add_segment(database.id, segment) for segment in database.segments.values()),
        )

    async def update_database(self, database: Database) -> None:
        await self._register((UPDATE_DATABASE, (*_settings(database), database.id)))

    async def add_token(self, token: Token) -> None:
        rights = " ".join(sorted(token.rights))
        values = token.hash, token.id, token.database, rights, token.created, token.revoked, token.name
        await self._register((ADD_TOKEN, (*values, token.user_hash)))

    async def rename_token(self, id: str, name: str) -> None:
        await self._register((RENAME_TOKEN, (name, id)))

    async def revoke_token(self, id: str) -> None:
        await self._register((REVOKE_TOKEN, (id,)))

    async def add_resource(self, database: int, resource: Resource) -> None:
        await self._register(_add_resource(database, resource))

    async def update_resource(self, database: int, resource: Resource) -> None:
        await self._register((UPDATE_RESOURCE, (*_resource_columns(resource), database, resource.id)))

    async def remove_resource(self, database: int, id: int) -> None:
        await self._register((REMOVE_RESOURCE, (database, id)))

    async def add_segment(self, database: int, segment: Segment) -> None:
        await self._register(_add_segment(database, segment))

    async def update_segment(self, database: int, segment: Segment) -> None:
        await self._register((UPDATE_SEGMENT, (*_segment_columns(segment), database, json_text(segment.id))))

    async def archive_segment(self, database: int, id: SegmentId, time: int | None) -> None:
        await self._register((ARCHIVE_SEGMENT, (time, database, json_text(id))))

    async def remove_segment(self, database: int, id: SegmentId) -> None:
        await self._register((REMOVE_SEGMENT, (database, json_text(id))))


def _settings(database: Database) -> Row:
    """Return the columns of a database that can be updated."""
    return database.name, database.closed, json_text(database.fields), database.company_id


def _add_resource(database: int, resource: Resource) -> Statement:
    return ADD_RESOURCE, (database, resource.id, *_resource_columns(resource))


def _resource_columns(resource: Resource) -> Row:
    """Return the columns of a resource that can be updated."""
    categories, fields = json_text(resource.categories), json_text(resource.fields)
    return resource.name, categories, fields, resource.token_hash, resource.public_key


def _add_segment(database: int, segment: Segment) -> Statement:
    return ADD_SEGMENT, (database, json_text(segment.id), *_segment_columns(segment), segment.archived)


def _segment_columns(segment: Segment) -> Row:
    """Return the columns of a segment that can be updated."""
    preferences = json_text(segment.preferences)
    return segment.name, segment.created, segment.updated, segment.is_double_opt_in, preferences


def _segment(row: Row) -> tuple[int, Segment]:
    """Return the database of a row, and its segment. The id is JSON: it is an integer or a text."""
    database, id, name, created, updated, is_double, preferences, archived = row
    read = orjson.loads
    return database, Segment(read(id), name, created, updated, bool(is_double), read(preferences), archived)


def _in_order(row: tuple[int, Segment]) -> Any:
    return segment_order(row[1].id)

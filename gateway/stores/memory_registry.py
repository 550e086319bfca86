"""The registry of databases, tokens, resources and segments in memory."""

from collections.abc import Iterable, Mapping
from copy import deepcopy
from dataclasses import replace
from typing import Any

from gateway.core.model import Database, Resource, Token
from gateway.core.segments import Segment, SegmentId
from gateway.stores.errors import Duplicate, Missing


class MemoryRegistry:
    """The registry's methods of a `Store`, on dictionaries."""

    def __init__(self) -> None:
        self._registry_version = 1
        self._databases: dict[int, Database] = {}
        self._tokens: dict[str, Token] = {}

    def registry_version(self) -> int:
        return self._registry_version

    async def databases(self) -> list[Database]:
        return deepcopy([self._databases[id] for id in sorted(self._databases)])

    async def tokens(self) -> list[Token]:
        return sorted(self._tokens.values(), key=lambda token: (token.created, token.id))

    async def add_database(self, database: Database) -> None:
        if database.id in self._databases:
            raise Duplicate(f"database {database.id} exists already")
        self._put(database)

    async def update_database(self, database: Database) -> None:
        existing = self._database(database.id)
        self._put(replace(database, resources=existing.resources, segments=existing.segments))

    async def add_token(self, token: Token) -> None:
        if token.hash in self._tokens or token.id in {other.id for other in self._tokens.values()}:
            raise Duplicate(f"token {token.id} exists already")
        self._database(token.database)
        self._register(self._tokens, token.hash, token)

    async def rename_token(self, id: str, name: str) -> None:
        token = self._token(id)
        self._register(self._tokens, token.hash, replace(token, name=name))

    async def revoke_token(self, id: str) -> None:
        token = self._token(id)
        self._register(self._tokens, token.hash, replace(token, revoked=True))

    async def add_resource(self, database: int, resource: Resource) -> None:
        if resource.id in self._database(database).resources:
            raise Duplicate(f"database {database} has a resource {resource.id} already")
        self._put_resource(database, resource)

    async def update_resource(self, database: int, resource: Resource) -> None:
        self._require(self._resources(database), resource.id)
        self._put_resource(database, resource)

    async def remove_resource(self, database: int, id: int) -> None:
        existing = self._resources(database)
        self._require(existing, id)
        remaining = {each: resource for each, resource in existing.items() if each != id}
        self._register(self._databases, database, replace(self._database(database), resources=remaining))

    async def add_segment(self, database: int, segment: Segment) -> None:
        if segment.id in self._database(database).segments:
            raise Duplicate(f"database {database} has a segment {segment.id} already")
        self._put_segment(database, segment)

    async def update_segment(self, database: int, segment: Segment) -> None:
        self._require(self._segments(database), segment.id)
        self._put_segment(database, replace(segment, archived=self._segments(database)[segment.id].archived))

    async def archive_segment(self, database: int, id: SegmentId, time: int | None) -> None:
        self._require(self._segments(database), id)
        self._put_segment(database, replace(self._segments(database)[id], archived=time))

    async def remove_segment(self, database: int, id: SegmentId) -> None:
        existing = self._segments(database)
        self._require(existing, id)
        remaining = {each: segment for each, segment in existing.items() if each != id}
        self._register(self._databases, database, replace(self._database(database), segments=remaining))

    def _token(self, id: str) -> Token:
        for token in self._tokens.values():
            if token.id == id:
                return token
        raise Missing(f"there is no token {id}")

    def _put(self, database: Database) -> None:
        companies = {each.company_id for each in self._databases.values() if each.id != database.id} - {None}
        if database.company_id in companies:
            raise Duplicate(f"the company id {database.company_id} is another database's")
        self._require_own_tokens(database.id, database.resources.values())
        self._register(self._databases, database.id, database)

    def _put_resource(self, database: int, resource: Resource) -> None:
        self._require_own_tokens(database, [resource])
        resources = {**self._resources(database), resource.id: resource}
        self._register(self._databases, database, replace(self._database(database), resources=resources))

    def _require_own_tokens(self, database: int, resources: Iterable[Resource]) -> None:
        """Raise `Duplicate` if another resource has a token of these."""
        given = {each.token_hash: (database, each.id) for each in resources if each.token_hash}
        for other in self._databases.values():
            for each in other.resources.values():
                if given.get(each.token_hash or "", (other.id, each.id)) != (other.id, each.id):
                    raise Duplicate(f"the token of resource {each.id} is used already")

    def _put_segment(self, database: int, segment: Segment) -> None:
        segments = {**self._segments(database), segment.id: segment}
        self._register(self._databases, database, replace(self._database(database), segments=segments))

    def _resources(self, database: int) -> Mapping[int, Resource]:
        return self._database(database).resources

    def _segments(self, database: int) -> Mapping[SegmentId, Segment]:
        return self._database(database).segments

    def _require(self, rows: Mapping[Any, Any], id: SegmentId) -> None:
        if id not in rows:
            raise Missing(f"there is no row {id}")

    def _database(self, id: int) -> Database:
        if id not in self._databases:
            raise Missing(f"there is no database {id}")
        return self._databases[id]

    def _register(self, table: dict[Any, Any], key: int | str, row: Database | Token) -> None:
        table[key] = deepcopy(row)
        self._registry_version += 1

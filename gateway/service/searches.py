"""The operations that read profiles: find, list, describe."""

from gateway.core.listing import filter_identities, intersection, parse_query, select_page
from gateway.core.selection import require_profile
from gateway.service.changes import key_of
from gateway.service.prepared_request import Outcome, PreparedRequest
from gateway.stores.protocol import Store


class Searches:
    """Reads profiles."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def find(self, request: PreparedRequest) -> list[Outcome]:
        """Return one profile. Raises `Refusal`: profile_not_found, ambiguous_match."""
        key = key_of(request.command, request)
        return [require_profile(await self._store.find(request.database.id, key), key, request.schema.tables)]

    async def page(self, request: PreparedRequest) -> list[Outcome]:
        """Return a page of profiles."""
        parameters = request.command["query"]
        if "filters" not in parameters:
            return [*await self._store.page(request.database.id, parse_query(parameters))]
        found = [
            await self._store.find(request.database.id, group)
            for group in filter_identities(parameters, request.schema.tables)
        ]
        return [*select_page(intersection(found), parse_query(parameters))]

    async def describe(self, _request: PreparedRequest) -> list[Outcome]:
        """Return nothing: the reply describes the database of the token."""
        return []

"""The operations that read profiles: find, relations, list, describe."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from time import monotonic
from typing import Any

from gateway.core.faults import Fault, Refusal
from gateway.core.listing import (
    filter_identities,
    intersection,
    is_selected,
    listing_key,
    needs_all_profiles,
    needs_effective_documents,
    parse_query,
    select_page,
    sort_value,
)
from gateway.core.matching import identities_by_id
from gateway.core.model import Profile, Query
from gateway.core.relations import related_ids
from gateway.core.selection import require_profile
from gateway.core.tombstones import Pseudonym
from gateway.service.changes import key_of
from gateway.service.effective_consent import with_consent
from gateway.service.prepared_request import Outcome, PreparedRequest
from gateway.stores.protocol import Store

BATCH_SIZE = 500
"""Profiles that a search reads at a time where no index serves it."""

MAX_SCAN_SECONDS = 10


class SearchTimeExceeded(Refusal):
    """The refusal of a search that no index serves, and that would read for too long. `pause` is in seconds."""

    pause = 1

    def __init__(self) -> None:
        super().__init__([Fault("overloaded", f"the search takes longer than {MAX_SCAN_SECONDS} seconds")])


class Searches:
    """Reads profiles. `pseudonym` returns the keyed hash of an address."""

    def __init__(self, store: Store, pseudonym: Pseudonym | None) -> None:
        self._store = store
        self._pseudonym = pseudonym

    async def find(self, request: PreparedRequest) -> list[Outcome]:
        """Return one profile. Raises `Refusal`: profile_not_found, ambiguous_match."""
        key = key_of(request.command, request)
        return [require_profile(await self._store.find(request.database.id, key), key, request.schema.tables)]

    async def relations(self, request: PreparedRequest) -> list[Outcome]:
        """Return one profile, and those that its relations lead from. Raises `Refusal` as `find` does."""
        [profile] = await self.find(request)
        assert isinstance(profile, Profile)
        key = [identity for id in related_ids(profile) for identity in identities_by_id(id)]
        return [profile, *(await self._store.find(request.database.id, key) if key else ())]

    async def page(self, request: PreparedRequest) -> list[Outcome]:
        """Return a page of profiles."""
        parameters = request.command["query"]
        query = parse_query(parameters)
        if needs_effective_documents(parameters):
            return [*await self._scanned_page(request, parameters, query)]
        if "filters" not in parameters:
            return [*await self._store.page(request.database.id, query)]
        return [*select_page(await self._filtered(request, parameters), query)]

    async def _filtered(self, request: PreparedRequest, parameters: Mapping[str, Any]) -> list[Profile]:
        """Return the profiles that all `filters` of a query find."""
        groups = filter_identities(parameters, request.schema.tables)
        return intersection([await self._store.find(request.database.id, group) for group in groups])

    async def _scanned_page(
        self, request: PreparedRequest, parameters: Mapping[str, Any], query: Query
    ) -> list[Profile]:
        """Return a page by conditions that no index serves: it reads the profiles in batches.

        Raises `SearchTimeExceeded`.
        """
        deadline = monotonic() + MAX_SCAN_SECONDS
        originals: dict[str, Profile] = {}
        page: list[Profile] = []
        async for batch in self._batches(request, parameters, query):
            originals |= {each.id: each for each in batch}
            tables = request.schema.tables
            effective = await with_consent(self._store, request.database.id, tables, batch, self._pseudonym)
            found = (each for each in effective if isinstance(each, Profile))
            page = select_page([*page, *(each for each in found if is_selected(each, parameters))], query)
            originals = {each.id: originals[each.id] for each in page}
            if len(page) == query.limit and not needs_all_profiles(query.sort):
                break
            if monotonic() > deadline:
                raise SearchTimeExceeded
        return [originals[each.id] for each in page]

    async def _batches(
        self, request: PreparedRequest, parameters: Mapping[str, Any], query: Query
    ) -> AsyncIterator[list[Profile]]:
        """Yield the profiles that a query may select, in its order. Some orders need all of them."""
        if "filters" in parameters:
            yield await self._filtered(request, parameters)
            return
        batch = Query(BATCH_SIZE) if needs_all_profiles(query.sort) else replace(query, limit=BATCH_SIZE)
        batch = replace(batch, key=listing_key(parameters.get("where", {}), request.schema.tables))
        while profiles := await self._store.page(request.database.id, batch):
            yield profiles
            batch = replace(batch, after=(sort_value(profiles[-1], batch.sort), profiles[-1].id))

    async def describe(self, _request: PreparedRequest) -> list[Outcome]:
        """Return nothing: the reply describes the database of the token."""
        return []

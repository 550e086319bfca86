"""The operations that read the journal: the history of one profile, or of all."""

from collections.abc import Sequence
from time import monotonic

from gateway.core.cursor import format_cursor, split_cursor
from gateway.core.faults import refuse
from gateway.core.journal import REMOVALS
from gateway.core.listing import is_between
from gateway.core.model import JournalEntry, Position, Profile
from gateway.core.tombstones import Pseudonym
from gateway.dialects.protocol import HistoryRow
from gateway.service.effective_consent import with_consent
from gateway.service.prepared_request import Outcome, PreparedRequest
from gateway.service.searches import MAX_SCAN_SECONDS, Searches, SearchTimeExceeded
from gateway.stores.protocol import Store

MAX_ROWS = 10_000
"""Rows of the history of one profile, which has no pages."""

READ_ENTRIES = 500
"""Entries of one read of the store."""

CLOCK_DIFFERENCE = 60 * 60 * 1000
"""By how many milliseconds the clocks of the processes may differ that write to one journal."""


class History:
    """Reads the journal. `pseudonym` returns the keyed hash of an address."""

    def __init__(self, store: Store, searches: Searches, pseudonym: Pseudonym | None) -> None:
        self._store = store
        self._searches = searches
        self._pseudonym = pseudonym

    async def of_profile(self, request: PreparedRequest) -> list[Outcome]:
        """Return the history of one profile.

        Raises `Refusal`: profile_not_found, ambiguous_match; invalid_parameter if it is too long.
        """
        [profile] = await self._searches.find(request)
        assert isinstance(profile, Profile)
        rows = await self._read(request, 0, MAX_ROWS + 1, profile.id)
        if len(rows) > MAX_ROWS:
            raise refuse("invalid_parameter", f"there are more than {MAX_ROWS} changes since then", "/query/time")
        return [*rows]

    async def of_all(self, request: PreparedRequest) -> list[Outcome]:
        """Return a page of the history of all profiles. Raises `Refusal`: invalid_parameter."""
        query = request.command["query"]
        if "cursor" in query:
            position = self._parse_cursor(query["cursor"])
        else:
            position = await position_before(self._store, request.database.id, query["time"]["from"] - CLOCK_DIFFERENCE)
        return [*await self._read(request, position, query["limit"])]

    def _parse_cursor(self, text: str) -> Position:
        found = split_cursor(text)
        if found is None or found[0] != self._store.id:
            raise refuse("invalid_parameter", "it is no place in the history of this database", "/query/cursor")
        return found[1]

    async def _read(
        self, request: PreparedRequest, position: Position, limit: int, profile: str | None = None
    ) -> list[HistoryRow]:
        """Return at most `limit` rows after a position, oldest first, of one profile or of all.

        Raises `SearchTimeExceeded`.
        """
        deadline, rows = monotonic() + MAX_SCAN_SECONDS, list[HistoryRow]()
        times = request.command["query"]["time"]
        start, end = times.get("from"), times.get("to")
        while entries := await self._store.journal(request.database.id, position, READ_ENTRIES, profile):
            rows += await self._rows(request, [each for each in entries if is_between(each.origin.time, (start, end))])
            last = entries[-1]
            if len(rows) >= limit or (end is not None and last.origin.time > end + CLOCK_DIFFERENCE):
                break
            if monotonic() > deadline:
                raise SearchTimeExceeded
            position = last.position
        return rows[:limit]

    async def _rows(self, request: PreparedRequest, entries: Sequence[JournalEntry]) -> list[HistoryRow]:
        """Return the rows of entries whose profiles still exist."""
        ids = dict.fromkeys(each.profile for each in entries if each.kind not in REMOVALS)
        found = await self._store.find(request.database.id, [("id", id) for id in ids]) if ids else []
        tables = request.schema.tables
        effective = await with_consent(self._store, request.database.id, tables, found, self._pseudonym)
        profiles = {each.id: each for each in effective if isinstance(each, Profile)}
        return [
            HistoryRow(each, profiles[each.profile], format_cursor(self._store.id, each.position))
            for each in entries
            if each.profile in profiles and each.kind not in REMOVALS
        ]


async def position_before(store: Store, database: int, time: int) -> Position:
    """Return a position that no entry since a time (ms) comes before, and at most one earlier entry comes after.

    The times of entries must follow their positions. So a binary search finds it, without an index.
    """
    kept = await store.journal_range(database)
    low, high = kept.removed, kept.newest
    while high - low > 1:
        middle = (low + high) // 2
        entries = await store.journal(database, middle, 1)
        if entries and entries[0].origin.time < time:
            low = entries[0].position
        else:
            high = middle
    return low

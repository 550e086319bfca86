"""Refused requests in memory."""

from collections.abc import Mapping, Sequence

from msgspec.structs import replace

from gateway.core.model import Address, Erasure, Position
from gateway.core.refused_requests import RefusedCandidate, RefusedFilter, RefusedRequest, keys_of_persons
from gateway.stores.refused import FIRST_POSITION, is_of_unknown_person, row_of_request, without_keys


class MemoryRefused:
    """The methods of a `Store` for refused requests, on dictionaries."""

    _ledgers: dict[tuple[int, Address], str]

    def __init__(self) -> None:
        self._refused: dict[int, dict[Position, RefusedRequest]] = {}
        self._erasures: dict[int, int] = {}

    async def keep_refused(self, database: int, candidates: Sequence[RefusedCandidate], max_bytes: int) -> None:
        own = self._refused.setdefault(database, {})
        last = max(own, default=None)
        end = FIRST_POSITION if last is None else last + row_of_request(own[last], last)[1]
        for each in candidates:
            is_erased = any((database, address) in self._ledgers for address in each.tombstones)
            is_stored = any(each.request.id == stored.id for stored in own.values())
            if is_erased or is_stored or is_of_unknown_person(each, self._erasures.get(database, 0)):
                continue
            own[end] = replace(each.request, position=end)
            end += row_of_request(each.request, end)[1]
        self._refused[database] = {position: each for position, each in own.items() if position >= end - max_bytes}

    async def refused(
        self, database: int, filter: RefusedFilter, before: Position | None, limit: int
    ) -> list[RefusedRequest]:
        own = sorted(self._of(database).items(), reverse=True)
        found = (each for position, each in own if (before is None or position < before) and filter.selects(each))
        return [without_keys(each) for each in found][:limit]

    async def refused_request(self, database: int, id: str) -> RefusedRequest | None:
        return next((without_keys(each) for each in self._of(database).values() if each.id == id), None)

    async def mark_replayed(self, database: int, id: str, time: int) -> None:
        own = self._refused.get(database, {})
        for position, each in own.items():
            if each.id == id:
                own[position] = replace(each, replayed=time)

    async def prune_refused(self, before: int, limit: int) -> int:
        count = 0
        for own in self._refused.values():
            old = [position for position, each in sorted(own.items()) if each.time < before][:limit]
            for position in old:
                del own[position]
            count += len(old)
        return count

    def _of(self, database: int) -> Mapping[Position, RefusedRequest]:
        return self._refused.get(database, {})

    def _forget_persons(self, database: int, erasure: Erasure) -> None:
        """Remove the refused requests that name erased persons, or may name them."""
        self._erasures[database] = max(erasure.time, self._erasures.get(database, 0))
        keys = keys_of_persons(erasure)
        own = self._of(database).items()
        self._refused[database] = {
            position: each
            for position, each in own
            if keys is not None and each.keys is not None and keys.isdisjoint(each.keys)
        }

"""The part of every engine's contract that is about refused requests."""

from collections.abc import Sequence
from typing import Protocol

from gateway.core.model import Position
from gateway.core.refused_requests import RefusedCandidate, RefusedFilter, RefusedRequest


class RefusedStore(Protocol):
    """Keeps refused requests beside the profiles. Every method may raise `Unavailable`.

    An erasure removes those that have a key of an erased identity, and those without known keys.
    """

    async def keep_refused(self, database: int, candidates: Sequence[RefusedCandidate], max_bytes: int) -> None:
        """Store refused requests in their order, and remove the oldest ones beyond `max_bytes` of the database.

        Leaves out those that have one of the tombstones, and, where no keys are known, those that were refused before
        the last erasure. No erasure happens between this check and the storage.
        """
        ...

    async def refused(
        self, database: int, filter: RefusedFilter, before: Position | None, limit: int
    ) -> list[RefusedRequest]:
        """Return at most `limit` of the selected requests before a position, the newest first, without their keys."""
        ...

    async def refused_request(self, database: int, id: str) -> RefusedRequest | None:
        """Return a refused request without its keys; None if there is none."""
        ...

    async def mark_replayed(self, database: int, id: str, time: int) -> None:
        """Note when a request was accepted after all (ms since 1970). An absent one is no error."""
        ...

    async def prune_refused(self, before: int, limit: int) -> int:
        """Remove at most `limit` refused requests of each database from before a time (ms). Return how many."""
        ...

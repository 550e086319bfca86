"""What a call runs with: the store, the database of its token, and what ends a wait."""

from collections.abc import Awaitable, Callable

from msgspec import Struct

from gateway.core.model import Position
from gateway.feed.watch import JournalWatch
from gateway.stores.protocol import Store

CHECK_SECONDS = 2.0
"""Time after which a call that waits checks its token again."""


class CallContext(Struct, frozen=True):
    """A running call. `authorize` raises `Refusal` once its token is revoked."""

    store: Store
    watch: JournalWatch
    database: int
    authorize: Callable[[], Awaitable[object]]

    async def wait(self, after: Position, seconds: float) -> bool:
        """Wait for an entry after a position, for this time at most and not much longer than `CHECK_SECONDS`.

        Return whether the call may go on. Raises `Refusal` if its token was revoked.
        """
        await self.watch.wait(self.database, after, min(seconds, CHECK_SECONDS))
        if self.watch.is_stopping:
            return False
        await self.authorize()
        return True

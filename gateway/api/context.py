"""What a call runs with: the store, the database of its token, and what ends a wait."""

from collections.abc import Awaitable, Callable, Mapping

from msgspec import Struct

from gateway.core.model import Position
from gateway.core.profile_tables import ProfileTables
from gateway.core.undo import ResolvePatch
from gateway.dialects.protocol import Dialect
from gateway.feed.watch import JournalWatch
from gateway.stores.protocol import Store

NAME = "gateway"
"""The name in the journal, the access log and the metrics, beside those of the dialects."""

CHECK_SECONDS = 2.0
"""Time after which a call that waits checks its token again."""


class Resources(Struct, frozen=True):
    """What all calls share. `now` returns milliseconds since 1970.

    `key` is that of `GATEWAY_SECRET_FILE`, None without one. `allow_private`: webhooks and relays may have private
    addresses. `patches` are the functions of the dialects that read JSON Patches, `dialects` those that relays send in;
    both by the names of the dialects.
    """

    store: Store
    watch: JournalWatch
    now: Callable[[], int]
    key: bytes | None = None
    allow_private: bool = False
    patches: Mapping[str, ResolvePatch] = {}
    dialects: Mapping[str, Dialect] = {}


class CallContext(Struct, frozen=True):
    """A running call. `authorize` raises `Refusal` once its token is revoked. `token` and `request` are ids."""

    resources: Resources
    database: int
    token: str
    authorize: Callable[[], Awaitable[object]]
    tables: ProfileTables
    request: str = ""

    @property
    def store(self) -> Store:
        return self.resources.store

    async def wait(self, after: Position, seconds: float) -> bool:
        """Wait for an entry after a position, for this time at most and not much longer than `CHECK_SECONDS`.

        Return whether the call may go on. Raises `Refusal` if its token was revoked.
        """
        watch = self.resources.watch
        await watch.wait(self.database, after, min(seconds, CHECK_SECONDS))
        if watch.is_stopping:
            return False
        await self.authorize()
        return True

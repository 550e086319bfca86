"""The fair queue: limits the requests that run at once, and alternates between tokens.

Without it a busy token would put all its requests before those of a quiet token. While several tokens have requests,
each of them may run only a few, so that another one's request seldom waits. Requests wait after they are prepared, so a
client that waits for its responses sends no more than are run. Independent of HTTP and of the store.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from math import inf
from time import monotonic

RECENT_SECONDS = 1.0
"""Time for which a token counts as active after its last request."""


class FairQueue:
    """Has `places` for running requests; one token may use `places_per_token` of them while others are active.

    Each `try_enter` that succeeds, and each `enter` that returns, needs a `leave`.
    """

    def __init__(self, places: int, places_per_token: int, now: Callable[[], float] = monotonic) -> None:
        self._free = self._places = places
        self._places_per_token = places_per_token
        self._now = now
        self._running: dict[str, int] = {}
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}
        self._last_token, self._last_change = "", -inf

    def try_enter(self, token: str) -> bool:
        """Occupy a place if one is free for the token. Return whether it was."""
        if token != self._last_token:
            self._last_change = self._now() if self._last_token else -inf
            self._last_token = token
        if self._free <= 0 or token in self._waiting:
            return False
        running = self._running.get(token, 0)
        if running >= self._places_per_token and running >= self._limit():
            return False
        self._free -= 1
        self._running[token] = running + 1
        return True

    async def enter(self, token: str) -> None:
        """Wait for a place, and occupy it."""
        if self.try_enter(token):
            return
        place = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(token, deque()).append(place)
        try:
            await place
        except asyncio.CancelledError:
            if place.done() and not place.cancelled():
                self.leave(token)
            raise

    def leave(self, token: str) -> None:
        """Free a place, and give free places to the tokens that have waited longest."""
        self._free += 1
        self._running[token] -= 1
        if not self._running[token]:
            del self._running[token]
        if not self._waiting:
            return
        limit = self._limit()
        while following := next((each for each in self._waiting if self._may_enter(each, limit)), None):
            queue = self._waiting.pop(following)
            place = queue.popleft()
            if queue:
                self._waiting[following] = queue  # last, behind all other tokens
            if not place.done():
                self._free -= 1
                self._running[following] = self._running.get(following, 0) + 1
                place.set_result(None)

    def _limit(self) -> int:
        """Return the places that one token may use now: all of them if no other token is active."""
        return self._places_per_token if self._now() - self._last_change < RECENT_SECONDS else self._places

    def _may_enter(self, token: str, limit: int) -> bool:
        return self._free > 0 and self._running.get(token, 0) < limit

"""Whose request is carried out next. So many are at once, and where more wait, their tokens take turns.

A token that never rests would else put all its requests before the one of a quiet token. Where several tokens ask, none
has more than a few places: the others' requests then stand behind few, and need not wait for a place at all. They wait
after they were understood, so a client that waits for its answers sends no more than are carried out. Knows no HTTP and
no store.
"""

import asyncio
from collections import Counter, deque
from collections.abc import Callable
from math import inf
from time import monotonic

LATELY = 1.0
"""Seconds for which a token counts as one that asks."""


class FairQueue:
    """So many places, and the few that one token may have beside others. Each `enter` that returns needs a `leave`."""

    def __init__(self, places: int, few: int, now: Callable[[], float] = monotonic) -> None:
        self._free = self._places = places
        self._few = few
        self._now = now
        self._taken: Counter[str] = Counter()
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}
        self._last, self._changed = "", -inf

    async def enter(self, token: str) -> None:
        """Takes a place, now or when it is this token's turn."""
        if token != self._last:
            self._changed = self._now() if self._last else -inf
            self._last = token
        if token not in self._waiting and self._may_enter(token, self._most()):
            return self._take(token)
        place = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(token, deque()).append(place)
        try:
            await place
        except asyncio.CancelledError:
            if place.done() and not place.cancelled():
                self.leave(token)
            raise

    def leave(self, token: str) -> None:
        """Gives the place back, and places to the tokens that have waited longest for a turn."""
        self._free += 1
        self._taken[token] -= 1
        if not self._taken[token]:
            del self._taken[token]
        most = self._most()
        while next_one := next((each for each in self._waiting if self._may_enter(each, most)), None):
            queue = self._waiting.pop(next_one)
            place = queue.popleft()
            if queue:
                self._waiting[next_one] = queue  # behind all others
            if not place.done():
                self._take(next_one)
                place.set_result(None)

    def _most(self) -> int:
        """The places that one token may have now: all, where no other has asked lately."""
        return self._few if self._now() - self._changed < LATELY else self._places

    def _may_enter(self, token: str, most: int) -> bool:
        return self._free > 0 and self._taken[token] < most

    def _take(self, token: str) -> None:
        self._free -= 1
        self._taken[token] += 1

"""Whose request is carried out next. So many are at once, and where more wait, their tokens take turns.

A token that never rests would else put all its requests before the one of a quiet token. They wait after they were
understood, so a client that waits for its answers sends no more than are carried out. Knows no HTTP and no store.
"""

import asyncio
from collections import deque


class Turns:
    """So many places. Each `enter` that returns is followed by one `leave`."""

    def __init__(self, places: int) -> None:
        self._free = places
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}

    async def enter(self, token: str) -> None:
        """Takes a place, now or when it is this token's turn."""
        if self._free:
            self._free -= 1
            return
        place = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(token, deque()).append(place)
        try:
            await place
        except asyncio.CancelledError:
            if place.done() and not place.cancelled():
                self.leave()
            raise

    def leave(self) -> None:
        """Gives the place to the token that has waited longest for a turn, else back."""
        while self._waiting:
            token = next(iter(self._waiting))
            queue = self._waiting.pop(token)
            place = queue.popleft()
            if queue:
                self._waiting[token] = queue  # behind all others
            if not place.done():
                return place.set_result(None)
        self._free += 1
        return None

"""How often a credential may make a call: counted in memory, by each process for itself. No vendor, no HTTP.

A window begins with its first request and lasts a second or a minute; what is refused is not counted.
"""

import time
from collections.abc import Mapping, Sequence
from functools import cache
from math import ceil

from limits import RateLimitItem, parse
from limits.storage import MemoryStorage
from limits.strategies import FixedWindowRateLimiter

from gateway.core.faults import Fault, Refusal


class RateLimitExceeded(Refusal):
    """The refusal of a request that came too early; `pause` is in whole seconds."""

    def __init__(self, pause: int) -> None:
        super().__init__([Fault("rate_limited", f"Expected available in {pause} seconds.")])
        self.pause = pause


class RateLimits:
    """Counts requests. Every rate of a vendor is taken so many times; 0 switches them off.

    `of_token`, such as `100/second`, is what each token may send in all, whatever the call and the dialect.
    """

    def __init__(self, times: float, of_token: str | None = None) -> None:
        self._times = times
        self._of_token = parse(of_token) if of_token else None
        self._limiter = FixedWindowRateLimiter(MemoryStorage())
        self._items = cache(self._parsed)

    def admit(self, token: str) -> None:
        """Counts one request of a token. Raises `RateLimitExceeded`."""
        if self._of_token and not self._limiter.hit(self._of_token, token):
            raise RateLimitExceeded(self._pause(self._of_token, (token,)))

    def spend(self, rates: Sequence[str], *key: str) -> Mapping[str, str]:
        """Counts one request, and tells in headers what is left of the tightest rate. Raises `RateLimitExceeded`."""
        if not rates or not self._times:
            return {}
        items = self._items(tuple(rates))
        for item in items:
            if not self._limiter.test(item, *key):
                raise RateLimitExceeded(self._pause(item, key))
        for item in items:
            self._limiter.hit(item, *key)
        return self._told(items, key)

    def _parsed(self, rates: tuple[str, ...]) -> tuple[RateLimitItem, ...]:
        items = map(parse, rates)
        return tuple(type(item)(int(item.amount * self._times), item.multiples) for item in items)

    def _told(self, items: tuple[RateLimitItem, ...], key: tuple[str, ...]) -> dict[str, str]:
        """As in draft-ietf-httpapi-ratelimit-headers-02: the limit now, then every rate with its window in seconds."""
        left = {item: self._limiter.get_window_stats(item, *key).remaining for item in items}
        tightest = min(items, key=lambda item: left[item])
        windows = ", ".join(f"{item.amount};w={item.get_expiry()}" for item in items)
        return {
            "ratelimit-limit": f"{tightest.amount}, {windows}",
            "ratelimit-remaining": str(left[tightest]),
            "ratelimit-reset": str(self._pause(tightest, key)),
        }

    def _pause(self, item: RateLimitItem, key: tuple[str, ...]) -> int:
        """Whole seconds until the window ends, at least one."""
        return max(1, ceil(self._limiter.get_window_stats(item, *key).reset_time - time.time()))

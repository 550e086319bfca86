"""Rate limits of a credential, counted in memory by each process for itself. Knows no vendor and no HTTP.

A window starts with its first request and lasts a second or a minute. Rejected requests are not counted.
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
    """The refusal of a request over a limit. `pause` is the time to wait, in whole seconds."""

    def __init__(self, pause: int) -> None:
        super().__init__([Fault("rate_limited", f"Expected available in {pause} seconds.")])
        self.pause = pause


class RateLimits:
    """Counts requests. `factor` multiplies the vendors' rates; 0 disables them.

    `token_rate`, such as `100/second`, limits all requests of each token together.
    """

    def __init__(self, factor: float, token_rate: str | None = None) -> None:
        self._factor = factor
        self._token_rate = parse(token_rate) if token_rate else None
        self._limiter = FixedWindowRateLimiter(MemoryStorage())
        self._items = cache(self._parse)

    def admit(self, token: str) -> None:
        """Count a request against `token_rate`. Raises `RateLimitExceeded`."""
        if self._token_rate and not self._limiter.hit(self._token_rate, token):
            raise RateLimitExceeded(self._pause(self._token_rate, (token,)))

    def spend(self, rates: Sequence[str], *key: str) -> Mapping[str, str]:
        """Count a request against a vendor's rates; return the headers. Raises `RateLimitExceeded`."""
        if not rates or not self._factor:
            return {}
        items = self._items(tuple(rates))
        for item in items:
            if not self._limiter.test(item, *key):
                raise RateLimitExceeded(self._pause(item, key))
        for item in items:
            self._limiter.hit(item, *key)
        return self._headers(items, key)

    def _parse(self, rates: tuple[str, ...]) -> tuple[RateLimitItem, ...]:
        items = map(parse, rates)
        return tuple(type(item)(int(item.amount * self._factor), item.multiples) for item in items)

    def _headers(self, items: tuple[RateLimitItem, ...], key: tuple[str, ...]) -> dict[str, str]:
        """As in draft-ietf-httpapi-ratelimit-headers-02: the tightest limit, then every rate with its window."""
        remaining = {item: self._limiter.get_window_stats(item, *key).remaining for item in items}
        tightest = min(items, key=lambda item: remaining[item])
        windows = ", ".join(f"{item.amount};w={item.get_expiry()}" for item in items)
        return {
            "ratelimit-limit": f"{tightest.amount}, {windows}",
            "ratelimit-remaining": str(remaining[tightest]),
            "ratelimit-reset": str(self._pause(tightest, key)),
        }

    def _pause(self, item: RateLimitItem, key: tuple[str, ...]) -> int:
        """Return the whole seconds until the window ends, at least one."""
        return max(1, ceil(self._limiter.get_window_stats(item, *key).reset_time - time.time()))

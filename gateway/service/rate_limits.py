"""Rate limits of a credential, counted in memory by each process for itself. Independent of vendors and of HTTP.

A window starts with its first request and lasts a second, minute, hour or day. Rejected requests are not counted. Time
is monotonic: a clock that is set back or forward changes no window.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from math import ceil
from types import MappingProxyType

from msgspec import Struct

from gateway.core.faults import Fault, Refusal

SECONDS = {"second": 1, "minute": 60, "hour": 3_600, "day": 86_400}

PRUNE_INTERVAL_SECONDS = 60
"""Time between two searches for windows that have ended."""

NO_HEADERS: Mapping[str, str] = MappingProxyType({})


class RateLimitExceeded(Refusal):
    """The refusal of a request over a limit. `pause` is the time to wait, in whole seconds."""

    def __init__(self, pause: int) -> None:
        super().__init__([Fault("rate_limited", f"Expected available in {pause} seconds.")])
        self.pause = pause


class Rate(Struct, frozen=True):
    """A number of requests in a window of some seconds."""

    amount: int
    seconds: int


class Window(Struct):
    """The requests that one key has used of a rate until the window ends."""

    rate: Rate
    end: float
    used: int = 0


class RateLimits:
    """Counts requests. `factor` multiplies the vendors' rates; 0 disables them. Each rate permits `least` requests.

    `token_rate`, such as `100/second`, limits all requests of each token together. `now` returns seconds.
    """

    def __init__(
        self,
        factor: float,
        token_rate: str | None = None,
        now: Callable[[], float] = time.monotonic,
        least: int = 0,
    ) -> None:
        self._least = least
        self.limits_tokens = bool(token_rate)
        self._factor = factor
        self._token_rates = (_parse_rate(token_rate),) if token_rate else ()
        self._now = now
        self._windows: dict[tuple[str, ...], list[Window]] = {}
        self._next_prune = now() + PRUNE_INTERVAL_SECONDS
        self._rates = lru_cache(None)(self._parse)

    def admit(self, token: str) -> None:
        """Count a request against `token_rate`. Raises `RateLimitExceeded`."""
        self._count(self._token_rates, ("", token), self._now())

    def spend(self, rates: Sequence[str], *key: str) -> Mapping[str, str]:
        """Count a request against a vendor's rates; return the headers. Raises `RateLimitExceeded`."""
        if not rates or not self._factor:
            return NO_HEADERS
        now, parsed = self._now(), self._rates(tuple(rates))
        return _headers(parsed, self._count(parsed, (*rates, *key), now), now)

    def _parse(self, texts: tuple[str, ...]) -> tuple[Rate, ...]:
        rates = map(_parse_rate, texts)
        return tuple(Rate(max(self._least, int(rate.amount * self._factor)), rate.seconds) for rate in rates)

    def _count(self, rates: Sequence[Rate], key: tuple[str, ...], now: float) -> list[Window]:
        """Count a request in the window of each rate, or in none. Raises `RateLimitExceeded`."""
        if now >= self._next_prune:
            self._prune(now)
        windows = self._windows.get(key)
        if windows is None:
            windows = self._windows[key] = [Window(rate, now + rate.seconds) for rate in rates]
        for window in windows:
            if window.used >= window.rate.amount and now < window.end:
                raise RateLimitExceeded(_pause(window, now))
        for window in windows:
            if now >= window.end:
                window.end, window.used = now + window.rate.seconds, 0
            window.used += 1
        return windows

    def _prune(self, now: float) -> None:
        self._windows = {
            key: windows for key, windows in self._windows.items() if any(now < window.end for window in windows)
        }
        self._next_prune = now + PRUNE_INTERVAL_SECONDS


def _parse_rate(text: str) -> Rate:
    amount, _, unit = text.partition("/")
    return Rate(int(amount), SECONDS[unit])


def _headers(rates: tuple[Rate, ...], windows: Sequence[Window], now: float) -> dict[str, str]:
    """As in draft-ietf-httpapi-ratelimit-headers-02: the tightest limit, then every rate with its window."""
    tightest = windows[0]
    for window in windows:
        if window.rate.amount - window.used < tightest.rate.amount - tightest.used:
            tightest = window
    return {
        "ratelimit-limit": f"{tightest.rate.amount}, {_policy(rates)}",
        "ratelimit-remaining": str(tightest.rate.amount - tightest.used),
        "ratelimit-reset": str(_pause(tightest, now)),
    }


@lru_cache
def _policy(rates: tuple[Rate, ...]) -> str:
    return ", ".join(f"{rate.amount};w={rate.seconds}" for rate in rates)


def _pause(window: Window, now: float) -> int:
    """Return the whole seconds until the window ends, at least one."""
    return max(1, ceil(window.end - now))

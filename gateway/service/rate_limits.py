"""Rate limits of a credential, counted in memory by each process for itself. Independent of vendors and of HTTP.

A window starts with its first request and lasts a second, minute, hour or day. Rejected requests are not counted. Time
is monotonic: a clock that is set back or forward changes no window.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from math import ceil
from typing import TypeAlias

from gateway.core.faults import Fault, Refusal

SECONDS = {"second": 1, "minute": 60, "hour": 3_600, "day": 86_400}

PRUNE_INTERVAL_SECONDS = 60
"""Time between two searches for windows that have ended."""


class RateLimitExceeded(Refusal):
    """The refusal of a request over a limit. `pause` is the time to wait, in whole seconds."""

    def __init__(self, pause: int) -> None:
        super().__init__([Fault("rate_limited", f"Expected available in {pause} seconds.")])
        self.pause = pause


@dataclass(frozen=True, slots=True)
class Rate:
    """A number of requests in a window."""

    amount: int
    seconds: int


@dataclass(slots=True)
class Window:
    """The requests that one key has used until the window ends."""

    end: float
    used: int = 0


WindowKey: TypeAlias = tuple[Rate, tuple[str, ...]]


class RateLimits:
    """Counts requests. `factor` multiplies the vendors' rates; 0 disables them.

    `token_rate`, such as `100/second`, limits all requests of each token together. `now` returns seconds.
    """

    def __init__(self, factor: float, token_rate: str | None = None, now: Callable[[], float] = time.monotonic) -> None:
        self._factor = factor
        self._token_rates = (_parse_rate(token_rate),) if token_rate else ()
        self._now = now
        self._windows: dict[WindowKey, Window] = {}
        self._next_prune = now() + PRUNE_INTERVAL_SECONDS
        self._rates = cache(self._parse)

    def admit(self, token: str) -> None:
        """Count a request against `token_rate`. Raises `RateLimitExceeded`."""
        self._count(self._token_rates, (token,))

    def spend(self, rates: Sequence[str], *key: str) -> Mapping[str, str]:
        """Count a request against a vendor's rates; return the headers. Raises `RateLimitExceeded`."""
        if not rates or not self._factor:
            return {}
        return _headers(self._count(self._rates(tuple(rates)), key), self._now())

    def _parse(self, texts: tuple[str, ...]) -> tuple[Rate, ...]:
        rates = map(_parse_rate, texts)
        return tuple(Rate(int(rate.amount * self._factor), rate.seconds) for rate in rates)

    def _count(self, rates: tuple[Rate, ...], key: tuple[str, ...]) -> dict[Rate, Window]:
        """Count a request in the window of each rate, or in none. Raises `RateLimitExceeded`."""
        now = self._now()
        self._prune(now)
        windows = {rate: self._window((rate, key), now) for rate in rates}
        for rate, window in windows.items():
            if window.used >= rate.amount:
                raise RateLimitExceeded(_pause(window, now))
        for rate, window in windows.items():
            window.used += 1
            self._windows[rate, key] = window
        return windows

    def _window(self, key: WindowKey, now: float) -> Window:
        """Return the current window, or a new one that starts now."""
        window = self._windows.get(key)
        return window if window and now < window.end else Window(now + key[0].seconds)

    def _prune(self, now: float) -> None:
        if now >= self._next_prune:
            self._windows = {key: window for key, window in self._windows.items() if now < window.end}
            self._next_prune = now + PRUNE_INTERVAL_SECONDS


def _parse_rate(text: str) -> Rate:
    amount, _, unit = text.partition("/")
    return Rate(int(amount), SECONDS[unit])


def _headers(windows: Mapping[Rate, Window], now: float) -> dict[str, str]:
    """As in draft-ietf-httpapi-ratelimit-headers-02: the tightest limit, then every rate with its window."""
    remaining = {rate: rate.amount - window.used for rate, window in windows.items()}
    tightest = min(windows, key=lambda rate: remaining[rate])
    policy = ", ".join(f"{rate.amount};w={rate.seconds}" for rate in windows)
    return {
        "ratelimit-limit": f"{tightest.amount}, {policy}",
        "ratelimit-remaining": str(remaining[tightest]),
        "ratelimit-reset": str(_pause(windows[tightest], now)),
    }


def _pause(window: Window, now: float) -> int:
    """Return the whole seconds until the window ends, at least one."""
    return max(1, ceil(window.end - now))

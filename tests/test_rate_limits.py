"""Rate limits: windows of monotonic time, several rates at once, and clocks that jump."""

import time

import pytest

from gateway.service.rate_limits import RateLimitExceeded, RateLimits

HOURS = 3_600.0


class Clock:
    """Returns the number of seconds that a test sets."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def pause_of(rates: RateLimits, *texts: str, key: str = "key") -> int:
    """Return the seconds to wait, 0 if a request is accepted."""
    try:
        rates.spend(texts, key)
    except RateLimitExceeded as refusal:
        return refusal.pause
    return 0


def test_a_window_starts_with_its_first_request(clock: Clock) -> None:
    rates, pauses = RateLimits(1, now=clock), []
    for now in (1_000.7, 1_001.0, 1_001.2, 1_001.69, 1_001.7, 1_001.8, 1_002.0):
        clock.now = now
        pauses.append(pause_of(rates, "2/second"))
    assert pauses == [0, 0, 1, 1, 0, 0, 1]


def test_the_pause_is_the_rest_of_the_window(clock: Clock) -> None:
    rates = RateLimits(1, now=clock)
    assert pause_of(rates, "1/minute") == 0
    clock.now += 12.5
    assert pause_of(rates, "1/minute") == 48
    clock.now += 47.5
    assert pause_of(rates, "1/minute") == 0


def test_a_refused_request_is_not_counted(clock: Clock) -> None:
    rates = RateLimits(1, now=clock)
    assert [pause_of(rates, "1/second", "3/minute") for _ in range(5)] == [0, 1, 1, 1, 1]
    clock.now += 1
    assert rates.spend(("1/second", "3/minute"), "key")["ratelimit-remaining"] == "0"
    clock.now += 1
    assert rates.spend(("1/second", "3/minute"), "key")["ratelimit-limit"] == "1, 1;w=1, 3;w=60"
    clock.now += 1
    assert pause_of(rates, "1/second", "3/minute") == 57


@pytest.mark.parametrize(("unit", "seconds"), [("second", 1), ("minute", 60), ("hour", 3_600), ("day", 86_400)])
def test_every_unit_has_its_window(clock: Clock, unit: str, seconds: int) -> None:
    rates = RateLimits(0, f"1/{unit}", clock)
    rates.admit("token")
    rates.admit("another")
    with pytest.raises(RateLimitExceeded) as refused:
        rates.admit("token")
    assert refused.value.pause == seconds
    clock.now += seconds
    rates.admit("token")


@pytest.mark.parametrize("jump", [-3 * HOURS, 3 * HOURS])
def test_a_clock_that_is_set_changes_no_window(monkeypatch: pytest.MonkeyPatch, jump: float) -> None:
    now = time.time()
    rates = RateLimits(1, "4/minute")
    rates.admit("token")
    assert pause_of(rates, "2/minute") == 0
    monkeypatch.setattr("time.time", lambda: now + jump)
    monkeypatch.setattr("time.time_ns", lambda: int((now + jump) * 1e9))
    assert pause_of(rates, "2/minute") == 0
    assert 50 < pause_of(rates, "2/minute") <= 60
    assert 50 < int(rates.spend(["2/minute"], "another key")["ratelimit-reset"]) <= 60
    for _ in range(3):
        rates.admit("token")
    with pytest.raises(RateLimitExceeded) as refused:
        rates.admit("token")
    assert 50 < refused.value.pause <= 60


def test_windows_that_have_ended_are_forgotten(clock: Clock) -> None:
    rates = RateLimits(1, now=clock)
    for number in range(1_000):
        rates.spend(["1/second", "1/day"], str(number))
    clock.now += 60
    rates.spend(["1/second"], "key")
    assert len(rates._windows) == 1_001


def test_a_part_of_a_rate_is_one_request_at_least() -> None:
    limits = RateLimits(0.01, now=lambda: 0.0, least=1)
    limits.spend(["3/second"])
    with pytest.raises(RateLimitExceeded):
        limits.spend(["3/second"])

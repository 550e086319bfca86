"""When a delivery is attempted again. Pure functions; times are in milliseconds since 1970."""

from email.utils import parsedate_to_datetime

from msgspec import Struct
from msgspec.structs import replace

from gateway.core.subscribers import Delivery

MAX_AGE = 3 * 24 * 60 * 60 * 1000
"""Time from the first attempt to the last one."""


class Schedule(Struct, frozen=True):
    """The pause after the first attempt, which doubles with each one, and its maximum.

    `jitter` is the part of a pause that is random, so that those that fail together are not tried together.
    """

    first_pause: int
    max_pause: int
    jitter: float


def after_failure(
    delivery: Delivery, schedule: Schedule, now: int, reason: str, retry_after: int, random: float
) -> Delivery:
    """Return a delivery after one more failed attempt. It is dead if it was the last one.

    `retry_after` is the pause that the subscriber asks for, 0 for none; `random` is between 0 and 1.
    """
    attempts, since = delivery.attempts + 1, delivery.since or now
    pause = min(schedule.first_pause * 2 ** min(attempts - 1, 30), schedule.max_pause)
    pause = int(pause * (1 - schedule.jitter + 2 * schedule.jitter * random))
    last = since + MAX_AGE
    due = min(now + max(pause, retry_after), last)
    return replace(delivery, attempts=attempts, since=since, due=due, reason=reason, is_dead=now >= last)


def parse_retry_after(text: str | None, now: int) -> int:
    """Return the pause of a Retry-After header (RFC 9110, 10.2.3); 0 if it is absent or malformed."""
    if text is None:
        return 0
    if text.isascii() and text.isdigit():
        return min(int(text[:9]) * 1000, MAX_AGE)
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return 0
    return max(0, min(int(moment.timestamp() * 1000) - now, MAX_AGE))

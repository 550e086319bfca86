"""Times: milliseconds since 1970 in UTC, and text in ISO 8601. The arithmetic is exact."""

from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


def format_time(milliseconds: int) -> str:
    """Return a time as text in the format of RFC 3339, with milliseconds."""
    moment = _EPOCH + milliseconds * _MILLISECOND
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def parse_time(text: str) -> int:
    """Return the milliseconds of a date or a time. Without an offset it is in UTC. Raises `ValueError`."""
    moment = datetime.fromisoformat(text)
    return ((moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - _EPOCH) // _MILLISECOND

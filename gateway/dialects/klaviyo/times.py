"""Times as the vendor spells them (ISO 8601, to the second) and as the gateway keeps them (milliseconds since 1970)."""

from datetime import UTC, datetime


def shown_time(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds // 1000, UTC).isoformat()


def time_in(text: str) -> int:
    """The milliseconds of a date or a time; one without an offset is in UTC. Raises `ValueError`."""
    moment = datetime.fromisoformat(text)
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return int(moment.timestamp() * 1000)


def day_of(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds // 1000, UTC).date().isoformat()

"""Times in the vendor's format: ISO 8601 in UTC, to the second."""

from datetime import UTC, datetime


def render_time(milliseconds: int) -> str:
    """Return milliseconds since 1970 as text."""
    return datetime.fromtimestamp(milliseconds // 1000, UTC).isoformat()

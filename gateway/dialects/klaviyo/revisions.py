"""The revision header: the date of the API that a client uses.

The vendor's replies depend on the revision. The gateway's replies are the same for all, in the newest form.
"""

import re
from datetime import date, timedelta
from functools import lru_cache

from gateway.core.faults import refuse
from gateway.dialects.protocol import Request

FIRST_REVISION = "2022-10-17"
"""The vendor's first dated revision."""

_REVISION = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})(?:\.[0-9A-Za-z.\-]+)?")
_HEADER = "/parameter/revision"
MILLISECONDS_OF_DAY = 24 * 60 * 60 * 1000


def check_revision(request: Request, first_revision: str, is_lenient: bool) -> None:
    """Raise `Refusal` if the revision of a request is missing, malformed, in the future, or before the call's first.

    A lenient check accepts requests without a revision.
    """
    revision = request.headers.get("revision", "").strip()
    if not revision:
        if is_lenient:
            return
        raise refuse("missing_parameter", "The revision header is required: YYYY-MM-DD[.suffix].", _HEADER)
    day = _parse_day(revision)
    if day is None:
        detail = f"The revision '{revision[:40]}' is not of the form YYYY-MM-DD[.suffix]."
        raise refuse("invalid_parameter", detail, _HEADER)
    if day > _format_day(request.now // MILLISECONDS_OF_DAY):
        raise refuse("unknown_call", "Unable to specify a future revision date", _HEADER)
    if day < first_revision:
        raise refuse("unknown_call", "No valid revisions found for method", _HEADER)


@lru_cache(maxsize=64)
def _parse_day(revision: str) -> str | None:
    match = _REVISION.fullmatch(revision)
    try:
        return date.fromisoformat(match[1]).isoformat() if match else None
    except ValueError:
        return None


@lru_cache(maxsize=2)
def _format_day(day: int) -> str:
    """Return the date of a number of days since 1970."""
    return (date(1970, 1, 1) + timedelta(days=day)).isoformat()

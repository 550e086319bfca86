"""The revision header: the date of the API that a client uses.

The vendor's replies depend on the revision. The gateway's replies are the same for all, in the newest form.
"""

import re
from collections.abc import Callable
from datetime import UTC, date, datetime

from gateway.core.faults import refuse
from gateway.dialects.protocol import ParsedRequest, Request

FIRST_REVISION = "2022-10-17"
"""The vendor's first dated revision."""

_REVISION = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})(?:\.[0-9A-Za-z.\-]+)?")
_HEADER = "/parameter/revision"


def require_revision(
    parse: Callable[[Request], ParsedRequest], first_revision: str, is_lenient: bool
) -> Callable[[Request], ParsedRequest]:
    """Return `parse` with a check of the revision before it. A lenient check accepts requests without a revision."""

    def parse_with_revision(request: Request) -> ParsedRequest:
        revision = request.headers.get("revision", "").strip()
        if revision or not is_lenient:
            _check_revision(revision, first_revision, request.now)
        return parse(request)

    return parse_with_revision


def _check_revision(revision: str, first_revision: str, now: int) -> None:
    if not revision:
        raise refuse("missing_parameter", "The revision header is required: YYYY-MM-DD[.suffix].", _HEADER)
    day = _parse_day(revision)
    if day is None:
        detail = f"The revision '{revision[:40]}' is not of the form YYYY-MM-DD[.suffix]."
        raise refuse("invalid_parameter", detail, _HEADER)
    if day > datetime.fromtimestamp(now // 1000, UTC).date().isoformat():
        raise refuse("unknown_call", "Unable to specify a future revision date", _HEADER)
    if day < first_revision:
        raise refuse("unknown_call", "No valid revisions found for method", _HEADER)


def _parse_day(revision: str) -> str | None:
    match = _REVISION.fullmatch(revision)
    try:
        return date.fromisoformat(match[1]).isoformat() if match else None
    except ValueError:
        return None

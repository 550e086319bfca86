"""The revision header: which shape of the API a client was written for, and whether it knew the call by then.

The vendor answers to each release by the shape of that day; here every revision gets the same, which holds them all.
"""

import re
from collections.abc import Callable
from datetime import date

from gateway.core.faults import refuse
from gateway.dialects.klaviyo.times import day_of
from gateway.dialects.protocol import ParsedRequest, Request

FIRST = "2022-10-17"
"""The vendor's first dated revision."""

_REVISION = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})(?:\.[0-9A-Za-z.\-]+)?")
_HEADER = "/parameter/revision"


def revised(read: Callable[[Request], ParsedRequest], since: str, lenient: bool) -> Callable[[Request], ParsedRequest]:
    """The reading of a call that there is since that day; a `lenient` one takes requests that say no revision."""

    def reading(incoming: Request) -> ParsedRequest:
        given = incoming.headers.get("revision", "").strip()
        if given or not lenient:
            _demand(given, since, day_of(incoming.now))
        return read(incoming)

    return reading


def _demand(given: str, since: str, today: str) -> None:
    if not given:
        raise refuse("missing_parameter", "The revision header is required: YYYY-MM-DD[.suffix].", _HEADER)
    day = _day(given)
    if day is None:
        detail = f"The revision '{given[:40]}' is not of the form YYYY-MM-DD[.suffix]."
        raise refuse("invalid_parameter", detail, _HEADER)
    if day > today:
        raise refuse("unknown_call", "Unable to specify a future revision date", _HEADER)
    if day < since:
        raise refuse("unknown_call", "No valid revisions found for method", _HEADER)


def _day(given: str) -> str | None:
    found = _REVISION.fullmatch(given)
    try:
        return date.fromisoformat(found[1]).isoformat() if found else None
    except ValueError:
        return None

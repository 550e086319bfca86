"""Pages of profiles that meet a condition, and pages of lists. A cursor is the id of the last one of a page."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from gateway.core.faults import refuse
from gateway.core.model import Profile
from gateway.core.segments import SegmentId, segment_of, segment_order
from gateway.dialects.protocol import ParsedCommand, ParsedRequest, Request, Result

PAGE_SIZE = 100
HAS_USER: Mapping[str, Any] = {"path": ["external_id"], "test": "exists", "value": True}
"""Profiles without an external id are no users of Courier."""

_ID = re.compile(r"[0-9A-Za-z]{1,64}")


def parse_page(request: Request, where: Mapping[str, Any], **context: Any) -> ParsedRequest:
    """Return the query of a page of users. It returns one row more if there is a further page."""
    size, cursor = _parse_size(request), request.query.get("cursor")
    query: dict[str, Any] = {"where": {"all": [where, HAS_USER]}, "limit": size + 1}
    if cursor:
        if not _ID.fullmatch(cursor):
            raise refuse("invalid_parameter", "it is not the cursor of a page", "/cursor")
        query["after"] = [cursor, cursor]
    command = {"match": {"mode": "none", "values": {}}, "query": query}
    return ParsedRequest(None, [ParsedCommand(command)], {**context, "size": size, "is_first": not cursor})


def _parse_size(request: Request) -> int:
    text = request.query.get("limit", str(PAGE_SIZE))
    if not re.fullmatch("[1-9][0-9]?|100", text):
        raise refuse("invalid_parameter", "it must be an integer between 1 and 100", "/limit")
    return int(text)


def page_of(result: Result) -> tuple[list[Profile], str]:
    """Return the profiles of a page, and the cursor of the next one, "" if there is none."""
    profiles = [each for each in result.outcomes if isinstance(each, Profile)]
    size = result.context["size"]
    return profiles[:size], profiles[size - 1].id if len(profiles) > size else ""


def segments_after(ids: Iterable[SegmentId], cursor: str | None) -> tuple[list[SegmentId], dict[str, Any]]:
    """Return the page of segments after a cursor, and the `paging` of its reply. The cursor's list may be gone."""
    ordered = sorted(ids, key=segment_order)
    if cursor:
        last = segment_order(segment_of(cursor))
        ordered = [id for id in ordered if segment_order(id) > last]
    page = ordered[:PAGE_SIZE]
    return page, {"cursor": str(page[-1]), "more": True} if len(ordered) > PAGE_SIZE else {"more": False}

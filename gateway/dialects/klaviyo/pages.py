"""Pages of a list, as canonical queries."""

from collections.abc import Mapping
from typing import Any

from gateway.core.listing import SUPPRESSED
from gateway.dialects.klaviyo.jsonapi.cursors import parse_cursor, parse_page_size
from gateway.dialects.klaviyo.jsonapi.links import invalid_parameter
from gateway.dialects.klaviyo.requests import NO_MATCH
from gateway.dialects.protocol import ParsedCommand, ParsedRequest

TIME_SORTS = ("created", "updated", SUPPRESSED)
"""The sorts whose values are integers (milliseconds since 1970)."""

CANONICAL_SORTS = {
    "subscriptions.email.marketing.suppression.timestamp": SUPPRESSED,
    "subscriptions.email.marketing.list_suppressions.timestamp": "id",
}
"""The canonical sorts of those that have other names. No profile is suppressed for a list, so all are equal."""


def parse_page(
    parameters: Mapping[str, str],
    query: Mapping[str, Any],
    context: Mapping[str, Any],
    *sorts: str,
    canonical: Mapping[str, str] = CANONICAL_SORTS,
) -> ParsedRequest:
    """Return the query of a page, sorted by one of `sorts` (the first by default), and its context.

    `canonical` has the canonical sorts of those with other names: a pointer is the sort by a time.

    The query returns one row more than the page has, if there is a further page.
    """
    sort, is_descending = _parse_sort(parameters.get("sort", sorts[0]), sorts, canonical)
    size = parse_page_size(parameters)
    cursor = parse_cursor(parameters, sort, int if sort in TIME_SORTS or sort.startswith("/") else str)
    is_backward = cursor is not None and cursor[0] == "prev"
    order = {"sort": sort, "descending": is_descending != is_backward, "limit": size + 1}
    after = {"after": list(cursor[1:])} if cursor else {}
    page = {"sort": sort, "size": size, "is_backward": is_backward, "is_first": cursor is None}
    return parse_query({**query, **order, **after}, {**context, **page})


def _parse_sort(text: str, sorts: tuple[str, ...], canonical: Mapping[str, str]) -> tuple[str, bool]:
    """Return the field, and whether the order is descending."""
    field = text.removeprefix("-")
    if field not in sorts:
        raise invalid_parameter(
            "sort", f"'{text[:60]}' is not one of {', '.join(sorts)}, each with or without a leading -."
        )
    return canonical.get(field, field), text.startswith("-")


def parse_query(query: Mapping[str, Any], context: Mapping[str, Any]) -> ParsedRequest:
    """Return the request of a query that matches by no identifier."""
    return ParsedRequest(None, [ParsedCommand({"match": NO_MATCH, "query": query})], context)

"""Cursor pagination. A cursor is the base64url of [direction, sort, value, id] in JSON: the position of one row.

A reply's context carries, besides the links' parts, the page: `sort`, `size`, `is_backward`, `is_first`.
"""

import json
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

from gateway.dialects.klaviyo.jsonapi.links import invalid_parameter, self_link
from gateway.dialects.protocol import Reply

CURSOR_PARAMETER, SIZE_PARAMETER = "page[cursor]", "page[size]"
DEFAULT_PAGE_SIZE = 20
MAX_CURSOR_INTEGER = 2**63 - 1
OFFSET = "number"
"""The sort of a list whose rows are counted."""


def parse_page_size(parameters: Mapping[str, str]) -> int:
    """Return the number of rows on a page. Raises `Refusal`: invalid_parameter."""
    text = parameters.get(SIZE_PARAMETER, str(DEFAULT_PAGE_SIZE))
    if not re.fullmatch("[1-9][0-9]?|100", text):
        raise invalid_parameter(SIZE_PARAMETER, "The page size must be an integer between 1 and 100.")
    return int(text)


def parse_cursor(parameters: Mapping[str, str], sort: str, value_type: type) -> tuple[str, Any, str] | None:
    """Return the direction, sort value and id of a cursor, or None for the first page.

    Accepts the link of a page in place of its cursor. Raises `Refusal` (invalid_parameter) if the cursor is malformed,
    or belongs to another sort.
    """
    text = parameters.get(CURSOR_PARAMETER)
    if not text:
        return None
    match _decode_cursor(text):
        case ["next" | "prev" as direction, found, value, str(id)] if found == sort and _is_value(value, value_type):
            return direction, value, id
    raise invalid_parameter(CURSOR_PARAMETER, "The cursor is not valid.")


def _decode_cursor(text: str) -> Any:
    try:
        cursor = parse_qs(urlsplit(text).query).get(CURSOR_PARAMETER, [text])[0]
        padded = cursor.rstrip("=") + "=" * (-len(cursor.rstrip("=")) % 4)
        parts = json.loads(urlsafe_b64decode(padded.encode()))
        json.dumps(parts, ensure_ascii=False).encode()  # rejects lone surrogates
    except (ValueError, RecursionError):
        return None
    return parts


def _is_value(value: Any, value_type: type) -> bool:
    """Return whether a value has exactly the type. An integer must not be negative, and must fit 64 bits."""
    return type(value) is value_type and (not isinstance(value, int) or 0 <= value <= MAX_CURSOR_INTEGER)


def render_page(
    context: Mapping[str, Any],
    rows: Sequence[Any],
    render_row: Callable[[Any], dict[str, Any]],
    sort_value: Callable[[Any, str], Any],
) -> Reply:
    """Render a page with links to its neighbours.

    `rows` has one row more than the page if there is a further page. A backward page has its rows in reverse order.
    """
    is_backward, sort = context["is_backward"], context["sort"]
    page, has_more = rows[: context["size"]], len(rows) > context["size"]
    page = page[::-1] if is_backward else page
    neighbours = {
        "next": page[-1:] if is_backward or has_more else (),
        "prev": page[:1] if (has_more if is_backward else not context["is_first"]) else (),
    }
    links = {
        direction: _page_link(context, direction, sort, sort_value(row, sort), row.id)
        for direction, ends in neighbours.items()
        for row in ends
    }
    return Reply(200, {"data": [render_row(row) for row in page], "links": self_link(context) | links})


def render_slice(context: Mapping[str, Any], rows: Sequence[dict[str, Any]], total: int) -> Reply:
    """Render the rows from `skip` on, at most `size`, of a list whose total is known."""
    links = self_link(context)
    skip, size = context["skip"], context["size"]
    if skip + size < total:
        links["next"] = _page_link(context, "next", OFFSET, skip + size, "")
    if skip:
        links["prev"] = _page_link(context, "prev", OFFSET, max(0, skip - size), "")
    return Reply(200, {"data": list(rows), "links": links})


def _page_link(context: Mapping[str, Any], direction: str, sort: str, value: Any, id: str) -> str:
    """Return the link of the page that follows a row in this direction. It keeps the other parameters."""
    parts = urlsplit(context["target"])
    position = json.dumps([direction, sort, value, id], separators=(",", ":")).encode()
    cursor = urlsafe_b64encode(position).decode().rstrip("=")
    others = [(name, text) for name, text in parse_qsl(parts.query) if name != CURSOR_PARAMETER]
    return f"{context['base']}{parts.path}?{urlencode([*others, (CURSOR_PARAMETER, cursor)])}"

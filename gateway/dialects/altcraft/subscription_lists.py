"""`subscriptions/list_all`: the subscriptions to a resource, of all profiles, page by page."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from gateway.core.conditions import meets
from gateway.core.consent import DELETED, STATUSES
from gateway.core.faults import refuse
from gateway.core.model import Profile
from gateway.core.repeated import Repeated
from gateway.dialects.altcraft.matching import NO_MATCH
from gateway.dialects.altcraft.parameters import parse_integer, parse_parameters, require, strip_text
from gateway.dialects.altcraft.profile_lists import limit_of
from gateway.dialects.altcraft.replies import SUCCESS
from gateway.dialects.altcraft.subscription_views import DEFAULT_STATUS, flat_subscription, hash_id
from gateway.dialects.protocol import ParsedCommand, ParsedRequest, Reply, Request, Result

MAX_LIMIT = 10_000
_CURSOR = re.compile(r"([0-9a-f]{24})\.([0-9a-f]{8})")


def parse_list(request: Request) -> ParsedRequest:
    """Parse `subscriptions/list_all`. A page starts after the subscription `from_id`."""
    parameters, is_typed = parse_parameters(request), request.is_typed
    resource = parse_integer(require(parameters, "resource_id"), "resource_id", is_typed)
    limit = parse_integer(limit_of(parameters), "limit", is_typed)
    if not 1 <= limit <= MAX_LIMIT:
        raise refuse("invalid_parameter", f"it must be between 1 and {MAX_LIMIT}", "/limit")
    condition = {"all": list(_conditions(parameters, resource, is_typed))}
    cursor = _parse_cursor(parameters.get("from_id"))
    # A page begins with the rest of the profile that the page before ended in.
    query: dict[str, Any] = {"limit": min(limit + 1, MAX_LIMIT)}
    query["where"] = {"path": ["subscriptions"], "test": "has_element", "value": condition}
    if cursor and (before := int(cursor[0], 16) - 1) >= 0:
        query["after"] = [f"{before:024x}"] * 2
    context = {"resource": resource, "condition": condition, "cursor": cursor, "limit": limit}
    command = ParsedCommand({"match": NO_MATCH, "query": query})
    return ParsedRequest(parameters.get("db_id"), [command], context, needs_consent=True)


def _conditions(parameters: Mapping[str, Any], resource: int, is_typed: bool) -> Iterator[dict[str, Any]]:
    """Yield the conditions on a subscription. One without a status is subscribed."""
    yield {"path": ["resource_id"], "test": "equals", "value": resource}
    yield {"path": [DELETED], "test": "exists", "value": False}
    if (channel := parameters.get("channel")) is not None:
        if not isinstance(channel, str):
            raise refuse("invalid_parameter", "it must be a word", "/channel")
        yield {"path": ["channel"], "test": "equals", "value": channel}
    if (status := parameters.get("status")) is not None:
        words = _status_forms(status, is_typed)
        conditions: list[dict[str, Any]] = [{"path": ["status"], "test": "is_one_of", "value": words}]
        if DEFAULT_STATUS in words:
            conditions.append({"path": ["status"], "test": "exists", "value": False})
        yield {"any": conditions}


def _status_forms(status: Any, is_typed: bool) -> tuple[str, int]:
    """Return the word and the number of a status, which is given as either."""
    for number, word in enumerate(STATUSES):
        if status == word or (str(status) == str(number) and isinstance(status, int if is_typed else str)):
            return word, number
    raise refuse("invalid_parameter", f"it must be one of {', '.join(STATUSES)}, or its number", "/status")


def _parse_cursor(value: Any) -> tuple[str, str] | None:
    """Return the id of a profile and the `hash_id` of its subscription."""
    text = strip_text(value)
    if text is None or text == "":
        return None
    found = _CURSOR.fullmatch(text) if isinstance(text, str) else None
    if found is None:
        raise refuse("invalid_parameter", "it must be empty, or the next_from_id of a page", "/from_id")
    return found[1], found[2]


def render_list(result: Result) -> Reply:
    """Render a page of subscriptions, by profile and `hash_id`. Raises `Refusal`: unknown_resource."""
    context, database = result.context, result.database
    if database.closed and context["resource"] not in database.resources:
        raise refuse("unknown_resource", f"there is no resource {context['resource']}", "/resource_id")
    rows: list[dict[str, Any]] = []
    for profile in result.outcomes:
        assert isinstance(profile, Profile)
        rows += ({"db_id": database.id, **row} for row in _rows(profile, context["condition"], context["cursor"]))
        if len(rows) >= context["limit"]:
            break
    page = Repeated(rows[: context["limit"]])
    last = f"{page[-1]['profile_id']}.{page[-1]['hash_id']}" if page else ""
    return Reply(200, {"data": page, **SUCCESS, "next_from_id": last, "total_count": len(page)})


def _rows(profile: Profile, condition: Mapping[str, Any], cursor: tuple[str, str] | None) -> list[dict[str, Any]]:
    """Return the rows of the subscriptions that meet a condition and follow the cursor."""
    rows = [
        {"profile_id": profile.id, "_xxh": profile.id, "hash_id": hash_id(each), **flat_subscription(each)}
        for each in profile.document.get("subscriptions", ())
        if meets(each, condition)
    ]
    following = (row for row in rows if cursor is None or (profile.id, row["hash_id"]) > cursor)
    return sorted(following, key=lambda row: str(row["hash_id"]))

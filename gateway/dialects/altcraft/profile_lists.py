"""`profiles/list`: the profiles of a database that meet a query, by id, page by page."""

import re
from collections.abc import Collection, Mapping
from typing import Any

from gateway.core.faults import refuse
from gateway.core.model import Profile
from gateway.core.repeated import Repeated
from gateway.dialects.altcraft.matching import NO_MATCH
from gateway.dialects.altcraft.parameters import is_blank, parse_parameters, strip_text
from gateway.dialects.altcraft.queries import parse_query
from gateway.dialects.altcraft.replies import SUCCESS, render_data
from gateway.dialects.altcraft.requests import common_members
from gateway.dialects.protocol import ParsedCommand, ParsedRequest, Reply, Request, Result

DEFAULT_LIMIT = 1000
_ID = re.compile(r"[0-9A-Fa-f]{24}")


def parse_list(request: Request) -> ParsedRequest:
    """Parse `profiles/list`. A page starts after the profile `from_id`."""
    parameters = parse_parameters(request)
    query: dict[str, Any] = {"limit": limit_of(parameters)}
    if id := _parse_id(parameters.get("from_id")):
        query["after"] = [id, id]
    if where := parse_query(parameters.get("query")):
        query["where"] = where
    command = {**common_members(parameters), "match": NO_MATCH, "query": query}
    names = parse_names(parameters.get("fields"), request.is_typed)
    context = {"fields": None if names is None else {"id", *names}}
    return ParsedRequest(command["database"], [ParsedCommand(command)], context, needs_consent=True)


def limit_of(parameters: Mapping[str, Any]) -> Any:
    """Return the rows of a page. The schema has its bounds."""
    limit = parameters.get("limit")
    return DEFAULT_LIMIT if limit is None else limit


def _parse_id(value: Any) -> str | None:
    text = strip_text(value)
    if text is None or text == "":
        return None
    if not isinstance(text, str) or not _ID.fullmatch(text):
        raise refuse("invalid_parameter", "it must be empty, or the next_from_id of a page", "/from_id")
    return text.lower()


def parse_names(value: Any, is_typed: bool) -> Collection[str] | None:
    """Return the names of `fields`, None without any. One name alone is a list of one in XML. `_id` is `id`."""
    if value is None or (not is_typed and is_blank(value)):
        return None
    names = [value] if isinstance(value, str) and not is_typed else value
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise refuse("invalid_parameter", "it must be a list of names", "/fields")
    return {"id" if name == "_id" else name for name in map(str.strip, names)}


def render_list(result: Result) -> Reply:
    """Render a page of profiles. `next_from_id` is the id of its last one, and empty on a page without any."""
    names = result.context["fields"]
    profiles = [each for each in result.outcomes if isinstance(each, Profile)]
    rows = Repeated(_select(render_data(each, result.database), names) for each in profiles)
    return Reply(200, {"data": rows, **SUCCESS, "next_from_id": profiles[-1].id if profiles else ""})


def _select(row: dict[str, Any], names: Collection[str] | None) -> dict[str, Any]:
    return row if names is None else {name: value for name, value in row.items() if name in names}

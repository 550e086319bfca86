"""Lists and their subscriptions: static segments in the canonical form, and the profiles that are in them.

Source: https://www.courier.com/docs/api-reference/lists. An archived list is shown as one that does not exist.
"""

from collections.abc import Mapping
from typing import Any

from gateway.core.faults import Fault, Refusal, refuse
from gateway.core.model import Database, Profile, Update
from gateway.core.pointer import join_pointer
from gateway.core.segments import segment_of, visible_segments
from gateway.core.times import format_time
from gateway.dialects.courier.pages import page_of, parse_page, segments_after
from gateway.dialects.courier.requests import (
    decode_name,
    match_user,
    membership_members,
    parse_expiration,
    parse_list,
    parsed_request,
    require,
)
from gateway.dialects.protocol import ParsedCommand, ParsedRequest, Reply, Request, Result

MAX_RECIPIENTS = 1000


# --- requests ---


def parse_lists(request: Request) -> ParsedRequest:
    """Parse GET of the declared lists whose ids match a pattern."""
    command = ParsedCommand({"match": {"mode": "none", "values": {}}})
    context = {name: request.query.get(name) for name in ("pattern", "cursor")}
    return ParsedRequest(None, [command], context)


def parse_audiences(_request: Request) -> ParsedRequest:
    """Parse GET of the audiences, which are computed from rules. The gateway has none."""
    return ParsedRequest(None, [ParsedCommand({"match": {"mode": "none", "values": {}}})])


def parse_search(request: Request) -> ParsedRequest:
    """Parse GET of one list, or of a page of its subscriptions."""
    segment = segment_of(decode_name(request, "list_id"))
    return parse_page(request, {"path": ["segments"], "test": "equals", "value": segment}, segment=segment)


def parse_declaration(request: Request) -> ParsedRequest:
    """Parse PUT of a list: its name, and its preferences in place of those that it has."""
    name, preferences = require(request.tree, "name"), request.tree.get("preferences")
    if not isinstance(name, str) or not name.strip():
        raise refuse("invalid_parameter", "it must be a text that is not blank", "/name")
    return _segment_request(request, name=name, preferences={} if preferences is None else preferences)


def parse_archive(request: Request) -> ParsedRequest:
    """Parse DELETE of a list, which `restore` brings back with its recipients."""
    return _segment_request(request, is_archived=True)


def parse_restore(request: Request) -> ParsedRequest:
    """Parse PUT of the restore of a list."""
    return _segment_request(request, is_archived=False)


def _segment_request(request: Request, **members: Any) -> ParsedRequest:
    segment = {"id": segment_of(decode_name(request, "list_id")), **members}
    command = {"match": {"mode": "none", "values": {}}, "segment": segment, "if_absent": "create"}
    return ParsedRequest(None, [ParsedCommand(command)], {}, parse_expiration(request))


def parse_additions(request: Request) -> ParsedRequest:
    """Parse POST of many recipients: all of them are added, or none. A recipient of the list stays as it is."""
    list_id = decode_name(request, "list_id")
    commands = [_addition(list_id, id, row) for id, row in _parse_recipients(request, 1)]
    return ParsedRequest(None, commands, {}, parse_expiration(request))


def parse_replacement(request: Request) -> ParsedRequest:
    """Parse PUT of all recipients: the others leave the list. Preferences replace those that a recipient has."""
    list_id = decode_name(request, "list_id")
    segment = ParsedCommand({"match": {"mode": "none", "values": {}}, "segment": {"id": segment_of(list_id)}})
    additions = [
        ParsedCommand(
            {"match": match_user(id), **membership_members([_membership(list_id, row)]), "if_absent": "create"}
        )
        for id, row in _parse_recipients(request, 0)
    ]
    return ParsedRequest(None, [segment, *additions], {}, parse_expiration(request))


def _parse_recipients(request: Request, least: int) -> list[tuple[str, Mapping[str, Any]]]:
    """Return the id and the row of each recipient. Raises `Refusal`."""
    rows = parse_list(require(request.tree, "recipients"), request.is_typed)
    if not isinstance(rows, list) or not least <= len(rows) <= MAX_RECIPIENTS:
        raise refuse("invalid_parameter", f"it must be a list of {least} to {MAX_RECIPIENTS} recipients", "/recipients")
    ids = [_recipient_id(each, request.is_typed) for each in rows]
    if faults := [
        Fault("invalid_parameter", "it must be the id of a recipient", join_pointer("recipients", index, "recipientId"))
        for index, id in enumerate(ids)
        if not id.strip()
    ]:
        raise Refusal(faults)
    return [*zip(ids, rows, strict=True)]


def _addition(list_id: str, user: str, row: Mapping[str, Any]) -> ParsedCommand:
    members = membership_members([_membership(list_id, row)])
    kept = [*members["timestamps"], join_pointer("memberships", segment_of(list_id), "preferences")]
    return ParsedCommand({"match": match_user(user), **members, "set_once": kept, "if_absent": "create"})


def _membership(list_id: str, row: Mapping[str, Any]) -> dict[str, Any]:
    return {"listId": list_id, "preferences": row.get("preferences")}


def parse_addition(request: Request) -> ParsedRequest:
    """Parse PUT of one recipient, with or without preferences."""
    row = {"listId": decode_name(request, "list_id"), "preferences": request.tree.get("preferences")}
    return parsed_request(request, {**membership_members([row]), "if_absent": "create"})


def parse_removal(request: Request) -> ParsedRequest:
    """Parse DELETE of one recipient, whose profile must exist."""
    return parsed_request(request, _removal(request))


def parse_optional_removal(request: Request) -> ParsedRequest:
    """Parse the DELETE of a browser, whose recipient need not exist."""
    return parsed_request(request, {**_removal(request), "missing_ok": True})


def _removal(request: Request) -> Update:
    return {"segments": {"remove": [segment_of(decode_name(request, "list_id"))]}}


def _recipient_id(row: Any, is_typed: bool) -> str:
    id = row.get("recipientId") if isinstance(row, dict) else None
    return (id if is_typed else id.strip()) if isinstance(id, str) else ""


# --- replies ---


def render_lists(result: Result) -> Reply:
    """Render a page of the declared lists: numbers first, then texts."""
    pattern, declared = result.context["pattern"], result.database.segments
    ids = [id for id in visible_segments(declared, declared) if not pattern or _matches(str(id), pattern)]
    page, paging = segments_after(ids, result.context["cursor"])
    return Reply(200, {"items": [_render_list(id, result.database) for id in page], "paging": paging})


def render_audiences(_result: Result) -> Reply:
    return Reply(200, {"items": [], "paging": {"more": False}})


def _matches(id: str, pattern: str) -> bool:
    """Return whether an id matches a pattern: `*` is one part of it, and `**` at the end any rest."""
    parts, wanted = id.split("."), pattern.split(".")
    if wanted[-1] == "**":
        wanted.pop()
        parts = parts[: len(wanted)]
    return len(parts) == len(wanted) and all(each in ("*", part) for part, each in zip(parts, wanted, strict=True))


def render_list(result: Result) -> Reply:
    """Render one list, which is declared or has a recipient."""
    _require_list(result)
    return Reply(200, _render_list(result.context["segment"], result.database))


def render_subscriptions(result: Result) -> Reply:
    """Render a page of the recipients of a list."""
    _require_list(result)
    page, cursor = page_of(result)
    paging = {"cursor": cursor, "more": True} if cursor else {"more": False}
    items = [_render_subscription(result.context["segment"], each) for each in page]
    return Reply(200, {"items": items, "paging": paging})


def _require_list(result: Result) -> None:
    """Raise `Refusal` (unknown_segment) unless a list exists."""
    segment, declared = result.context["segment"], result.database.segments
    is_absent = result.context["is_first"] and not result.outcomes and segment not in declared
    if is_absent or not visible_segments([segment], declared):
        raise refuse("unknown_segment")


def _render_list(segment: int | str, database: Database) -> dict[str, Any]:
    declared = database.segments.get(segment)
    if declared is None:
        return {"id": str(segment), "name": str(segment)}
    times = {"created": declared.created, "updated": declared.updated}
    known = {name: format_time(time) for name, time in times.items() if time is not None}
    return {"id": str(segment), "name": declared.name, **known}


def _render_subscription(segment: int | str, profile: Profile) -> dict[str, Any]:
    membership = profile.document.get("memberships", {}).get(str(segment), {})
    preferences = {"preferences": membership["preferences"]} if "preferences" in membership else {}
    created = format_time(membership.get("created", profile.created))
    return {"recipientId": profile.document["external_id"], "created": created, **preferences}

"""`subscribers/history_get` and `history_get_all`: the changes of one profile, or of all, from the journal."""

import re
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from typing import Any

from msgspec import UNSET

from gateway.core.consent import DELETED, STATUSES, status_word
from gateway.core.faults import Fault, refuse
from gateway.core.matching import subscription_address
from gateway.core.model import JournalEntry
from gateway.core.repeated import Repeated
from gateway.core.times import format_time, parse_time
from gateway.dialects.altcraft.matching import NO_MATCH, parse_match
from gateway.dialects.altcraft.parameters import parse_parameters, parse_text, require, strip_text
from gateway.dialects.altcraft.profile_lists import limit_of, parse_names
from gateway.dialects.altcraft.replies import SUCCESS, render_data
from gateway.dialects.altcraft.subscription_views import flat_subscription
from gateway.dialects.protocol import HistoryRow, ParsedCommand, ParsedRequest, Reply, Request, Result

POINTERS = {"/database": "/list_id", "/query/cursor": "/from_id", "/query/time": "/date_from"}

_ACTIONS = {"create": "import"}
"""By kind of a journal entry, the vendor's word if it differs."""

_UNSUBSCRIBED = STATUSES[1]
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_DAY_MILLISECONDS = 24 * 60 * 60 * 1000


def parse_one(request: Request) -> ParsedRequest:
    """Parse `history_get`: one profile, by `xxh` or a match."""
    parameters, faults = parse_parameters(request), list[Fault]()
    database = require(parameters, "list_id")
    command = {"match": _parse_match(parameters, faults), "query": {"time": dict(_parse_times(parameters))}}
    return ParsedRequest(database, [ParsedCommand(command, faults)], _context(parameters, request.is_typed))


def parse_all(request: Request) -> ParsedRequest:
    """Parse `history_get_all`: a page of the changes between two days."""
    parameters = parse_parameters(request)
    database = require(parameters, "list_id")
    for name in ("date_from", "date_to"):
        require(parameters, name)
    query: dict[str, Any] = {"limit": limit_of(parameters), "time": dict(_parse_times(parameters))}
    if (place := strip_text(parameters.get("from_id"))) not in (None, ""):
        query["cursor"] = place
    command = ParsedCommand({"match": NO_MATCH, "query": query})
    return ParsedRequest(database, [command], _context(parameters, request.is_typed))


def _context(parameters: Mapping[str, Any], is_typed: bool) -> Mapping[str, Any]:
    return {"fields": parse_names(parameters.get("fields"), is_typed)}


def _parse_match(parameters: Mapping[str, Any], faults: list[Fault]) -> Mapping[str, Any]:
    """Return the match of the parameters. `xxh`, which is an id here, decides alone."""
    xxh = strip_text(parse_text(parameters.get("xxh"), "xxh"))
    if not xxh:
        return parse_match(parameters, {}, faults)
    return {"mode": "profile_id", "values": {"profile_id": xxh}}


def _parse_times(parameters: Mapping[str, Any]) -> Iterator[tuple[str, int]]:
    """Yield the times (ms) before the first day and after the last one, where they are given."""
    first, last = (_parse_day(parameters, name) for name in ("date_from", "date_to"))
    if first is not None and last is not None and last < first:
        raise refuse("invalid_parameter", "it must not be before date_from", "/date_to")
    if first is not None:
        yield "from", first - 1
    if last is not None:
        yield "to", last + _DAY_MILLISECONDS


def _parse_day(parameters: Mapping[str, Any], name: str) -> int | None:
    """Return the beginning of a day in UTC (ms)."""
    text = strip_text(parameters.get(name))
    if text is None or text == "":
        return None
    if isinstance(text, str) and _DAY.fullmatch(text):
        with suppress(ValueError):
            return parse_time(text)
    raise refuse("invalid_parameter", "it must be a day, YYYY-MM-DD", f"/{name}")


# --- replies ---


def render_one(result: Result) -> Reply:
    return Reply(200, {"data": Repeated(_rows(result)), **SUCCESS})


def render_all(result: Result) -> Reply:
    """Render a page of changes. `next_from_id` is the place of its last one, and empty on a page without any."""
    rows, last = Repeated(_rows(result)), result.outcomes[-1] if result.outcomes else None
    return Reply(200, {"data": rows, **SUCCESS, "next_from_id": last.cursor if isinstance(last, HistoryRow) else ""})


def _rows(result: Result) -> Iterator[dict[str, Any]]:
    """Yield the row of each change. It shows its profile as it is now."""
    names = result.context["fields"]
    for each in result.outcomes:
        assert isinstance(each, HistoryRow)
        document = each.profile.document
        row: dict[str, Any] = {"xxh": each.profile.id, "profile_id": each.profile.id}
        if isinstance(email := document.get("email"), str):
            row["email"] = email
        row |= {"list_id": result.database.id, **_event(each.entry)}
        subscriptions = (one for one in document.get("subscriptions", ()) if DELETED not in one)
        row["subscriptions"] = Repeated(map(flat_subscription, subscriptions))
        yield row if names is None else {**row, "fields": _fields(each, result, names)}


def _event(entry: JournalEntry) -> dict[str, Any]:
    is_unsubscription = entry.kind == "update" and _has_unsubscribed(entry)
    return {
        "action": "unsub" if is_unsubscription else _ACTIONS.get(entry.kind, entry.kind),
        "count": 1,
        "datetime": format_time(entry.origin.time),
        "event_id": str(entry.position),
    }


def _has_unsubscribed(entry: JournalEntry) -> bool:
    """Return whether a subscription became unsubscribed. Without the values before, that is not known."""
    for each in entry.members:
        if each.pointer == "/subscriptions" and each.is_before_known:
            return not _unsubscribed(each.after) <= _unsubscribed(each.before)
    return False


def _unsubscribed(subscriptions: Any) -> set[Any]:
    """Return which of the subscriptions are unsubscribed."""
    present = () if subscriptions is UNSET else subscriptions
    return {subscription_address(each) for each in present if status_word(each.get("status")) == _UNSUBSCRIBED}


def _fields(row: HistoryRow, result: Result, names: Collection[str]) -> dict[str, Any]:
    data = render_data(row.profile, result.database)
    return {name: value for name, value in data.items() if name in names}

"""The parameters of each call, from the path and the query of a request. Every function raises `Refusal`."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct

from gateway.core.faults import refuse
from gateway.core.pointer import join_pointer
from gateway.core.times import parse_time
from gateway.dialects.protocol import Request
from gateway.feed.events import Selection
from gateway.feed.webhooks.endpoints import NewWebhook
from gateway.service.idempotency import KEY_HEADER, require_key

DEFAULT_LIMIT, MAX_LIMIT = 100, 1_000
"""Entries or events of a page."""

MAX_WAIT_SECONDS = 300

BOOLEANS = {"true": True, "false": False, "1": True, "0": False}

_INTEGER = re.compile(r"[0-9]{1,9}", re.ASCII)
_SECONDS = re.compile(r"[0-9]{1,9}(\.[0-9]{1,30})?([eE]-?[0-9]{1,3})?", re.ASCII)
_TIME = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
"""RFC 3339, 5.6."""


class ProfileParameters(Struct, frozen=True):
    """A profile's id, and the time (ms since 1970) at which to return it; None is now."""

    profile: str
    at: int | None


class PageParameters(Struct, frozen=True):
    """The id of a profile, webhook or relay, and a page of what it has after a cursor, "" for the oldest."""

    id: str
    after: str
    limit: int


class FeedParameters(Struct, frozen=True):
    """A page of events after a cursor, "" for the oldest. `wait` is the time in seconds to wait for the first one."""

    after: str
    limit: int
    wait: float
    selection: Selection


class LetterParameters(Struct, frozen=True):
    """The id of a webhook or relay, and the ids of the events whose dead letters are meant; None: all of them."""

    id: str
    events: list[str] | None


class MergesParameters(Struct, frozen=True):
    """A page of merges after a cursor, "" for the newest; those with one profile, if its id is given."""

    profile: str | None
    after: str
    limit: int


class UndoParameters(Struct, frozen=True):
    """The id of a merge, and the Idempotency-Key of its undo, if it has one."""

    merge: str
    key: str | None


def parse_profile(request: Request) -> ProfileParameters:
    """Parse the call that returns a profile."""
    text = request.query.get("at")
    return ProfileParameters(request.path["profile"], None if text is None else _parse_time(text))


def parse_erasure(request: Request) -> str:
    """Parse the call that erases a person, which has no parameters. Return the id of the profile."""
    return request.path["profile"]


def parse_history(request: Request) -> PageParameters:
    """Parse the call that returns the entries of a profile."""
    return PageParameters(request.path["profile"], request.query.get("after", ""), page_limit(request.query))


def parse_feed(request: Request) -> FeedParameters:
    """Parse the call of the feed. A client that reconnects to a stream sends Last-Event-ID instead of `after`."""
    query = request.query
    after = request.headers.get("last-event-id") or query.get("after", "")
    selection = Selection(_boolean(query, "values"), _boolean(query, "all"))
    return FeedParameters(after, page_limit(query), _wait(query), selection)


def parse_merges(request: Request) -> MergesParameters:
    """Parse the call that returns merges."""
    query = request.query
    return MergesParameters(query.get("profile") or None, query.get("after", ""), page_limit(query))


def parse_undo(request: Request) -> UndoParameters:
    """Parse the call that undoes a merge."""
    reject_unknown(request, ())
    key = request.headers.get(KEY_HEADER)
    return UndoParameters(request.path["merge"], None if key is None else require_key(key))


def parse_nothing(_request: Request) -> None:
    """Parse a call without parameters."""


def parse_webhook(request: Request) -> str:
    """Parse a call for one webhook: its id."""
    return request.path["webhook"]


def parse_new_webhook(request: Request) -> NewWebhook:
    """Parse the call that creates a webhook."""
    reject_unknown(request, ("url", "types", "members", "values", "secret"))
    url, secret = (read_text(request, name) for name in ("url", "secret"))
    if url is None:
        raise refuse("missing_parameter", "the URL of the endpoint", "/url")
    reject_nulls(request)
    types, members = (read_texts(request, name) for name in ("types", "members"))
    return NewWebhook(url, types or (), members or (), read_flag(request, "values"), secret)


def parse_dead(request: Request) -> PageParameters:
    """Parse the call that returns the dead letters of a webhook."""
    return PageParameters(request.path["webhook"], request.query.get("after", ""), page_limit(request.query))


def parse_replay(request: Request) -> LetterParameters:
    """Parse the call that sends dead letters of a webhook again."""
    return LetterParameters(request.path["webhook"], read_events(request))


def read_events(request: Request) -> list[str] | None:
    """Return the ids of events in a body that has nothing else; None if they are absent."""
    reject_unknown(request, ("events",))
    reject_nulls(request)
    return read_texts(request, "events")


def reject_unknown(request: Request, names: Sequence[str]) -> None:
    """Raise `Refusal` (unknown_field) for the first member with none of these names."""
    for name in request.tree:
        if name not in names:
            raise refuse("unknown_field", f"there are {', '.join(names) or 'none'}", join_pointer(name))


def reject_nulls(request: Request) -> None:
    """Raise `Refusal` (invalid_parameter) for the first member that is null."""
    for name, value in request.tree.items():
        if value is None:
            raise refuse("invalid_parameter", "it must not be null", f"/{name}")


def read_text(request: Request, name: str) -> str | None:
    """Return the text of a member; None if it is absent."""
    value = request.tree.get(name)
    if value is not None and not isinstance(value, str):
        raise refuse("invalid_parameter", "it must be a text", f"/{name}")
    return value


def read_texts(request: Request, name: str) -> list[str] | None:
    """Return the texts of a member; None if it is absent."""
    detail = "it must be a list of texts"
    values = read_list(request, name, detail)
    if values is not None and not all(isinstance(each, str) for each in values):
        raise refuse("invalid_parameter", detail, f"/{name}")
    return values


def read_list(request: Request, name: str, detail: str) -> list[Any] | None:
    """Return the list of a member; None if it is absent. In XML, one element alone is a list of one."""
    value = request.tree.get(name)
    if value is None or isinstance(value, list):
        return value
    if request.is_typed:
        raise refuse("invalid_parameter", detail, f"/{name}")
    return [value]


def read_flag(request: Request, name: str) -> bool:
    """Return the boolean of a member, which is a text in XML; false if it is absent."""
    value = request.tree.get(name, False)
    if isinstance(value, bool):
        return value
    if request.is_typed or not isinstance(value, str):
        raise refuse("invalid_parameter", "it must be a boolean", f"/{name}")
    return _boolean({name: value}, name)


def page_limit(query: Mapping[str, str]) -> int:
    """Return how many elements a page has at most."""
    text = query.get("limit", str(DEFAULT_LIMIT))
    if not _INTEGER.fullmatch(text) or not 1 <= int(text) <= MAX_LIMIT:
        raise refuse("invalid_parameter", f"it must be an integer from 1 to {MAX_LIMIT}", "/limit")
    return int(text)


def _wait(query: Mapping[str, str]) -> float:
    text = query.get("wait", "0")
    if not _SECONDS.fullmatch(text) or float(text) > MAX_WAIT_SECONDS:
        raise refuse("invalid_parameter", f"it must be a number of seconds from 0 to {MAX_WAIT_SECONDS}", "/wait")
    return float(text)


def _boolean(query: Mapping[str, str], name: str) -> bool:
    text = query.get(name, "false")
    if text not in BOOLEANS:
        raise refuse("invalid_parameter", f"it must be one of {', '.join(BOOLEANS)}", f"/{name}")
    return BOOLEANS[text]


def _parse_time(text: str) -> int:
    # In a query, a `+` that is not encoded is a space.
    text = re.sub(r" (?=\d\d:\d\d$)", "+", text)
    try:
        if _TIME.fullmatch(text):
            return parse_time(text.upper())
    except (ValueError, OverflowError):
        pass
    raise refuse("invalid_parameter", "it must be a time with an offset, such as 2026-01-31T12:00:00Z", "/at")

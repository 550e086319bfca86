"""Courier's requests to canonical updates. Leaves stay as the media type gave them: schema/ reads and judges them."""

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from gateway.core.faults import Fault, Refusal, refuse
from gateway.core.model import Update
from gateway.core.pointer import join_pointer, split_pointer
from gateway.dialects.courier.fields import place
from gateway.dialects.protocol import ParsedCommand, ParsedRequest, Request

ID = "recipient_id"
MOST_LISTS = 1000
EXPIRATION = "x-idempotency-expiration"
YEAR = 366 * 24 * 60 * 60 * 1000
OPERATION = ("op", "from", "path", "value")
"""The members of a JSON Patch operation; others are passed over (RFC 6902, 4)."""


def profile(write: Callable[[Mapping[str, Any]], Update]) -> Callable[[Request], ParsedRequest]:
    """Reads POST and PUT: what `write` makes of the body's profile."""

    def read(incoming: Request) -> ParsedRequest:
        given = _demanded(incoming.tree, "profile")
        # What is no object is left for the check to refuse; an empty element of XML is read as an empty one.
        parts = write(given) if isinstance(given, dict) else {**write({}), "profile": given}
        return _asked(incoming, {**parts, "if_absent": "create"})

    return read


def patch(incoming: Request) -> ParsedRequest:
    """Reads PATCH: operations in an object, or bare as an older SDK sends them."""
    bare = isinstance(incoming.tree, list)
    operations = incoming.tree if bare else _demanded(incoming.tree, "patch")
    read = [_operation(each) for each in operations] if isinstance(operations, list) else _operation(operations)
    return _asked(incoming, {"patch": read, "if_absent": "create"})


def search(incoming: Request) -> ParsedRequest:
    """Reads GET of a profile, which must be there."""
    return _asked(incoming, {})


def search_or_none(incoming: Request) -> ParsedRequest:
    """Reads DELETE of a profile and GET of its lists: that there is none is no refusal."""
    return _asked(incoming, {"missing_ok": True}, cursor=incoming.query.get("cursor"))


def subscription(incoming: Request) -> ParsedRequest:
    """Reads POST of lists: each becomes a segment, with what is known of the profile's place in it."""
    given = _demanded(incoming.tree, "lists")
    lists = [given] if isinstance(given, dict) else given
    if not isinstance(lists, list):
        raise refuse("invalid_parameter", "it must be a list", "/lists")
    if faults := list(_faults_of(lists)):
        raise Refusal(faults)
    segments = [segment(each["listId"]) for each in lists]
    begun = [join_pointer("memberships", one, "created") for one in segments]
    parts: Update = {
        "segments": {"add": segments},
        "operations": [_preferences(each) for each in lists if each.get("preferences") is not None],
        "timestamps": [*begun, *(join_pointer("memberships", one, "updated") for one in segments)],
        "set_once": begun,
    }
    written = {part: value for part, value in parts.items() if value and segments}
    return _asked(incoming, {**written, "if_absent": "create"})


def unsubscription(incoming: Request) -> ParsedRequest:
    """Reads DELETE of lists: all of them, where there is such a profile."""
    return _asked(incoming, {"profile": {"segments": None, "memberships": None}, "missing_ok": True})


def segment(name: Any) -> Any:
    """The segment of a list's id: an integer is the same segment that Altcraft knows by it."""
    is_integer = isinstance(name, str) and name.isascii() and name.isdigit() and len(name) < 19
    return int(name) if is_integer and str(int(name)) == name else name


def _asked(incoming: Request, parts: Update, **about: Any) -> ParsedRequest:
    match = {"mode": "external_id", "values": {"external_id": _id(incoming)}}
    return ParsedRequest(None, [ParsedCommand({"match": match, **parts})], about, _until(incoming))


def _id(incoming: Request) -> str:
    """The recipient's id. Bytes that are not UTF-8 came as U+FFFD: many ids would be one."""
    id = incoming.path[ID]
    if "\0" in id or "\ufffd" in id:
        raise refuse("invalid_parameter", "it is not text in UTF-8", "/match")
    return id


def _until(incoming: Request) -> int | None:
    """When the request's Idempotency-Key expires, where it says so."""
    text = incoming.headers.get(EXPIRATION)
    if text is None:
        return None
    until = _milliseconds(text)
    if until is None or not incoming.now < until <= incoming.now + YEAR:
        detail = "it must be a time to come within a year, in milliseconds since 1970 or in ISO 8601"
        raise refuse("invalid_parameter", detail, join_pointer(EXPIRATION))
    return until


def _milliseconds(text: str) -> int | None:
    if text.isascii() and text.isdigit() and len(text) < 19:
        return int(text)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)


def _demanded(tree: Mapping[str, Any], name: str) -> Any:
    if tree.get(name) is None:
        raise refuse("missing_parameter", "it is missing", f"/{name}")
    return tree[name]


def _operation(given: Any) -> Any:
    """One operation, with the canonical place of its value, by whose type the value is read."""
    if not isinstance(given, dict):
        return given
    operation = {name: given[name] for name in OPERATION if name in given}
    if "value" in operation and isinstance(operation.get("path"), str):
        names = split_pointer(operation["path"])
        operation["pointer"] = join_pointer(*place(names[0]), *names[1:]) if names else ""
    return operation


def _faults_of(lists: list[Any]) -> Iterator[Fault]:
    if len(lists) > MOST_LISTS:
        yield Fault("invalid_parameter", f"it has more than {MOST_LISTS} elements", "/lists")
    for index, each in enumerate(lists):
        name = each.get("listId") if isinstance(each, dict) else None
        if not isinstance(name, str) or not name:
            yield Fault("invalid_parameter", "it must be a list's id", join_pointer("lists", index, "listId"))


def _preferences(given: Mapping[str, Any]) -> dict[str, Any]:
    pointer = join_pointer("memberships", segment(given["listId"]), "preferences")
    return {"function": "set", "pointer": pointer, "value": given["preferences"]}

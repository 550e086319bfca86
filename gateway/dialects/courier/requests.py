"""Courier's requests as canonical commands. The leaves keep their types: the schema coerces and validates them."""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from gateway.core.faults import Fault, Refusal, refuse
from gateway.core.model import Update
from gateway.core.pointer import join_pointer, split_pointer
from gateway.core.segments import segment_of
from gateway.core.times import parse_time
from gateway.dialects.courier.fields import (
    ADDRESS_CLAIMS,
    FIELDS,
    NAMESPACE,
    PHONE,
    PHONES,
    STRING_MEMBERS,
    VISIBLE_MEMBERS,
    canonical_path,
)
from gateway.dialects.protocol import ParsedCommand, ParsedRequest, Request

MAX_LISTS = 1000
USER_NAMES = ("recipient_id", "user_id")
"""The names in a path that are the external id of a profile."""

EXPIRATION_HEADER = "x-idempotency-expiration"
MAX_EXPIRATION_MS = 366 * 24 * 60 * 60 * 1000
FIRST_MILLISECONDS = 100_000_000_000
"""The first number of milliseconds since 1970. A smaller one is of seconds: as milliseconds it would be before 1974."""

_UNITS_MS = {"second": 1_000, "minute": 60_000, "hour": 3_600_000, "day": 86_400_000, "week": 604_800_000}
_DURATION = re.compile(rf"([0-9]{{1,9}}) ?({'|'.join(_UNITS_MS)})s?", re.ASCII | re.IGNORECASE)
_PHONES_POINTER = join_pointer(PHONES)
OPERATION_MEMBERS = ("op", "from", "path", "value")
"""The members of a JSON Patch operation. Others are ignored (RFC 6902, section 4)."""


def parse_profile(members: Callable[[Mapping[str, Any]], Update], request: Request) -> ParsedRequest:
    """Parse POST and PUT. `members` returns the members of the command for the body's profile."""
    profile = require(request.tree, "profile")
    # The schema rejects a profile that is not an object, and reads an empty element of XML as an empty object.
    parts = members(profile) if isinstance(profile, dict) else {**members({}), "profile": profile}
    return parsed_request(request, {**parts, "if_absent": "create"})


def parse_patch(request: Request) -> ParsedRequest:
    """Parse PATCH: JSON Patch operations."""
    return parsed_request(request, {"patch": parse_operations(request, canonical_path), "if_absent": "create"})


def parse_search(request: Request) -> ParsedRequest:
    """Parse GET of a profile, which must exist."""
    return parsed_request(request, {})


def parse_optional_search(request: Request) -> ParsedRequest:
    """Parse DELETE of a profile and GET of its lists. Both accept a profile that does not exist."""
    return parsed_request(request, {"missing_ok": True}, cursor=request.query.get("cursor"))


def parse_subscription(request: Request) -> ParsedRequest:
    """Parse POST of lists. Each list is a segment, with its times and preferences under `memberships`."""
    lists = parse_list(require(request.tree, "lists"), request.is_typed)
    if not isinstance(lists, list):
        raise refuse("invalid_parameter", "it must be a list", "/lists")
    if not request.is_typed:
        lists = [_trim_id(each) for each in lists]
    if faults := list(_list_faults(lists)):
        raise Refusal(faults)
    return parsed_request(request, {**membership_members(lists), "if_absent": "create"})


def parse_unsubscription(request: Request) -> ParsedRequest:
    """Parse DELETE of lists: remove the profile, if it exists, from all of them."""
    return parsed_request(request, {"profile": {"segments": None, "memberships": None}, "missing_ok": True})


# --- the members of a command ---


def merge_members(profile: Mapping[str, Any]) -> Update:
    """Return the members of an update that merges a profile into the stored one (RFC 7396).

    A phone number replaces the first one and the others stay. Null removes all of them; otherwise the next one would
    appear in its place.
    """
    patch: dict[str, Any] = {}
    parts: Update = {}
    for name, value in profile.items():
        if name == PHONE and value is not None:
            parts["operations"] = [{"function": "set_first", "pointer": _PHONES_POINTER, "value": [value]}]
        elif name in FIELDS:
            patch[FIELDS[name][0]] = value
            if value is None and name in STRING_MEMBERS:
                parts.setdefault("string_members", []).append(name)
        else:
            patch.setdefault(NAMESPACE, {})[name] = value
    return {"profile": patch, **parts} if patch else parts


def replacement_members(profile: Mapping[str, Any]) -> Update:
    """Return the members of an update that replaces all that Courier returns. A null claim of an address is absent."""
    if isinstance(address := profile.get("address"), dict):
        nulls = [name for name in ADDRESS_CLAIMS if name in address and address[name] is None]
        profile = {**profile, "address": {name: claim for name, claim in address.items() if name not in nulls}}
    parts = merge_members(profile)
    replaced = [name for name in VISIBLE_MEMBERS if name != PHONES or "operations" not in parts]
    return {**parts, "replace": replaced, "string_members": list(STRING_MEMBERS)}


def membership_members(lists: list[dict[str, Any]]) -> Update:
    """Return the members of an update that adds a profile to lists, each given with its `listId` and `preferences`."""
    segments = [segment_of(each["listId"]) for each in lists]
    created = [join_pointer("memberships", segment, "created") for segment in segments]
    parts: Update = {
        "segments": {"add": segments},
        "operations": [_preferences_operation(each) for each in lists if each.get("preferences") is not None],
        "timestamps": [*created, *(join_pointer("memberships", segment, "updated") for segment in segments)],
        "set_once": created,
    }
    return {part: value for part, value in parts.items() if value and segments}


def _preferences_operation(subscription: Mapping[str, Any]) -> dict[str, Any]:
    pointer = join_pointer("memberships", segment_of(subscription["listId"]), "preferences")
    return {"function": "set", "pointer": pointer, "value": subscription["preferences"]}


def parse_list(value: Any, is_typed: bool) -> Any:
    """Return a list. A single object is a list of one, and an empty element of XML is an empty list."""
    if isinstance(value, dict):
        return [value]
    return [] if not is_typed and isinstance(value, str) and not value.strip() else value


def _trim_id(each: Any) -> Any:
    """Return a list of a subscription without the white space around its id, which is formatting in XML."""
    id = each.get("listId") if isinstance(each, dict) else None
    return {**each, "listId": id.strip()} if isinstance(id, str) else each


def _list_faults(lists: list[Any]) -> Iterator[Fault]:
    if len(lists) > MAX_LISTS:
        yield Fault("invalid_parameter", f"it has more than {MAX_LISTS} elements", "/lists")
    for index, each in enumerate(lists):
        id = each.get("listId") if isinstance(each, dict) else None
        if not isinstance(id, str) or not id:
            yield Fault("invalid_parameter", "it must be a list's id", join_pointer("lists", index, "listId"))


def parse_operations(request: Request, path: Callable[..., tuple[str, ...]]) -> Any:
    """Return the JSON Patch of a body: in an object, or a bare list, which older SDKs send.

    `path` returns the canonical path of a member of what is patched.
    """
    bare = isinstance(request.tree, list)
    operations = request.tree if bare else require(request.tree, "patch")
    if not request.is_typed:
        operations = parse_list(operations, request.is_typed)
    return [_parse_operation(each, path) for each in operations] if isinstance(operations, list) else operations


def _parse_operation(value: Any, path: Callable[..., tuple[str, ...]]) -> Any:
    """Return one JSON Patch operation, with the canonical pointer whose type its value has."""
    if not isinstance(value, dict):
        return value
    operation = {name: value[name] for name in OPERATION_MEMBERS if name in value}
    if "value" in operation and isinstance(operation.get("path"), str):
        names = split_pointer(operation["path"])
        operation["pointer"] = join_pointer(*path(names[0]), *names[1:]) if names else ""
    return operation


# --- the rest of a request ---


def parsed_request(request: Request, parts: Update, **context: Any) -> ParsedRequest:
    """Return the request of one command about the profile that the path names."""
    user = decode_name(request, next(name for name in USER_NAMES if name in request.path))
    command = ParsedCommand({"match": match_user(user), **parts})
    return ParsedRequest(None, [command], context, parse_expiration(request))


def path_user(request: Request) -> str:
    """Return the external id of the profile that the path names."""
    return decode_name(request, next(name for name in USER_NAMES if name in request.path))


def match_user(id: str) -> dict[str, Any]:
    """Return the match of the profile with this external id."""
    return {"mode": "external_id", "values": {"external_id": id}}


def decode_name(request: Request, name: str) -> str:
    """Return a name in the path. Raises `Refusal`: invalid_parameter."""
    text = request.path[name]
    # The path decodes bytes that are not UTF-8 to U+FFFD: different ids would become the same one.
    if "\0" in text or "\ufffd" in text:
        pointer = "/match" if name in USER_NAMES else join_pointer(name)
        raise refuse("invalid_parameter", "it is not text in UTF-8", pointer)
    return text


def parse_expiration(request: Request) -> int | None:
    """Return when the Idempotency-Key expires (ms since 1970), if the request sets it."""
    text, now = request.headers.get(EXPIRATION_HEADER), request.now
    if text is None:
        return None
    expires = _parse_expiration_time(text, now)
    if expires is None or not now < expires <= now + MAX_EXPIRATION_MS:
        detail = "it must be a time to come within a year: a duration such as 1 Day, a number since 1970, or ISO 8601"
        raise refuse("invalid_parameter", detail, join_pointer(EXPIRATION_HEADER))
    return expires


def _parse_expiration_time(text: str, now: int) -> int | None:
    """Return the time of a duration, of seconds or milliseconds since 1970, or of ISO 8601. None: it is no time."""
    if text.isascii() and text.isdigit() and len(text) < 19:
        return int(text) * 1000 if int(text) < FIRST_MILLISECONDS else int(text)
    if duration := _DURATION.fullmatch(text):
        return now + int(duration[1]) * _UNITS_MS[duration[2].lower()]
    try:
        return parse_time(text)
    except ValueError:
        return None


def require(tree: Mapping[str, Any], name: str) -> Any:
    """Return the value of a required parameter. Raises `Refusal`: missing_parameter."""
    if tree.get(name) is None:
        raise refuse("missing_parameter", "it is missing", f"/{name}")
    return tree[name]

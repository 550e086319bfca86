"""The parameters of the calls for relays. Every function raises `Refusal`."""

import re
from typing import Any

from msgspec import Struct

from gateway.api.requests import (
    LetterParameters,
    PageParameters,
    page_limit,
    read_events,
    read_flag,
    read_list,
    read_text,
    read_texts,
    reject_nulls,
    reject_unknown,
)
from gateway.core.faults import refuse
from gateway.core.pointer import join_pointer
from gateway.dialects.outgoing import Target
from gateway.dialects.protocol import Request
from gateway.feed.relay.relays import SHARE, NewRelay

MEMBERS = (
    *("to", "url", "credential", "media", "remote_database", "resource", "id_field", "segments", "topics"),
    *("properties", "deletes", "merges", "replaces", "share", "ignored_tokens"),
)
"""The members of a new relay."""

_INTEGER = re.compile(r"[0-9]{1,15}", re.ASCII)
_NUMBER = re.compile(r"[0-9]{1,3}(\.[0-9]{1,30})?([eE]-?[0-9]{1,3})?", re.ASCII)


class RelayParameters(Struct, frozen=True):
    """A new relay, and the credential of its account."""

    relay: NewRelay
    credential: str


def parse_relay(request: Request) -> str:
    """Parse a call for one relay: its id."""
    return request.path["relay"]


def parse_new_relay(request: Request) -> RelayParameters:
    """Parse the call that creates a relay. Its database there is that of the same number unless another is given."""
    reject_unknown(request, MEMBERS)
    dialect, url, credential = (_require_text(request, name) for name in ("to", "url", "credential"))
    reject_nulls(request)
    target = Target(
        _integer(request, "remote_database") or int(request.path["database"]),
        _integer(request, "resource"),
        read_text(request, "id_field"),
        _pairs(request, "segments"),
        _pairs(request, "topics"),
        properties=_pairs(request, "properties"),
        **{name: read_flag(request, name) for name in ("deletes", "merges", "replaces")},
    )
    ignored = read_texts(request, "ignored_tokens") or ()
    media = read_text(request, "media")
    if media is None or _is_empty_element(request, "media"):
        media = "json"
    return RelayParameters(NewRelay(dialect, url, media, target, _share(request), ignored), credential)


def parse_letters(request: Request) -> PageParameters:
    """Parse the call that returns the dead letters of a relay."""
    return PageParameters(request.path["relay"], request.query.get("after", ""), page_limit(request.query))


def parse_replay(request: Request) -> LetterParameters:
    """Parse the call that sends dead letters of a relay again."""
    return LetterParameters(request.path["relay"], read_events(request))


def parse_drop(request: Request) -> LetterParameters:
    """Parse the call that drops dead letters, which it names."""
    found = parse_replay(request)
    if not found.events:
        raise refuse("missing_parameter", "the ids of the events", "/events")
    return found


def _require_text(request: Request, name: str) -> str:
    text = read_text(request, name)
    if not text:
        raise refuse("missing_parameter", "it is missing", f"/{name}")
    return text


def _integer(request: Request, name: str) -> int | None:
    """Return the integer of a member; None if it is absent."""
    value = request.tree.get(name)
    if value is None:
        return None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if not _is_number(value, request) or not _INTEGER.fullmatch(str(value)) or int(value) < 1:
        raise refuse("invalid_parameter", "it must be an integer from 1", f"/{name}")
    return int(value)


def _share(request: Request) -> float:
    value = request.tree.get("share", SHARE)
    if not _is_number(value, request) or not _NUMBER.fullmatch(str(value)):
        raise refuse("invalid_parameter", "it must be a number over 0, and 1 at most", "/share")
    return float(value)


def _is_number(value: Any, request: Request) -> bool:
    """Whether a value may be a number, which is a text in XML."""
    return not isinstance(value, bool) and isinstance(value, int | float if request.is_typed else int | float | str)


def _pairs(request: Request, name: str) -> dict[str, str]:
    """Return the texts of a list of `{"ours": …, "theirs": …}`. An empty element of XML is an empty list."""
    if _is_empty_element(request, name):
        return {}
    pairs = {}
    for index, each in enumerate(read_list(request, name, "it must be a list of pairs") or ()):
        if not isinstance(each, dict) or each.keys() != {"ours", "theirs"} or not all(map(_is_text, each.values())):
            raise refuse("invalid_parameter", "it must have the texts ours and theirs", join_pointer(name, index))
        pairs[str(each["ours"])] = str(each["theirs"])
    return pairs


def _is_empty_element(request: Request, name: str) -> bool:
    return not request.is_typed and request.tree.get(name) == ""


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and value != ""

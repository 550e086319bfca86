"""The parameters of the calls for relays. Every function raises `Refusal`."""

import re
from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from gateway.api.requests import (
    LetterParameters,
    PageParameters,
    page_limit,
    read_flag,
    read_text,
    read_texts,
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
    tree = request.tree
    reject_unknown(tree, MEMBERS)
    dialect, url, credential = (_require_text(tree, name) for name in ("to", "url", "credential"))
    target = Target(
        _integer(tree, "remote_database") or int(request.path["database"]),
        _integer(tree, "resource"),
        read_text(tree, "id_field"),
        _pairs(tree, "segments"),
        _pairs(tree, "topics"),
        properties=_pairs(tree, "properties"),
        **{name: read_flag(tree, name) for name in ("deletes", "merges", "replaces")},
    )
    ignored = read_texts(tree, "ignored_tokens") or ()
    media = read_text(tree, "media") or "json"
    return RelayParameters(NewRelay(dialect, url, media, target, _share(tree), ignored), credential)


def parse_letters(request: Request) -> PageParameters:
    """Parse the call that returns the dead letters of a relay."""
    return PageParameters(request.path["relay"], request.query.get("after", ""), page_limit(request.query))


def parse_replay(request: Request) -> LetterParameters:
    """Parse the call that sends dead letters again."""
    reject_unknown(request.tree, ("events",))
    return LetterParameters(request.path["relay"], read_texts(request.tree, "events"))


def parse_drop(request: Request) -> LetterParameters:
    """Parse the call that drops dead letters, which it names."""
    found = parse_replay(request)
    if not found.events:
        raise refuse("missing_parameter", "the ids of the events", "/events")
    return found


def _require_text(tree: Mapping[str, Any], name: str) -> str:
    text = read_text(tree, name)
    if not text:
        raise refuse("missing_parameter", "it is missing", f"/{name}")
    return text


def _integer(tree: Mapping[str, Any], name: str) -> int | None:
    """Return the integer of a member, which is a text in XML; None if it is absent."""
    value = tree.get(name)
    if value is None:
        return None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not _INTEGER.fullmatch(str(value)) or int(value) < 1:
        raise refuse("invalid_parameter", "it must be an integer from 1", f"/{name}")
    return int(value)


def _share(tree: Mapping[str, Any]) -> float:
    value = tree.get("share", SHARE)
    if isinstance(value, bool) or not _NUMBER.fullmatch(str(value)):
        raise refuse("invalid_parameter", "it must be a number over 0, and 1 at most", "/share")
    return float(value)


def _pairs(tree: Mapping[str, Any], name: str) -> dict[str, str]:
    """Return the texts of a list of `{"ours": …, "theirs": …}`. In XML, one pair may stand for a list of it."""
    value = tree.get(name) or []
    pairs = {}
    for index, each in enumerate(value if isinstance(value, list) else [value]):
        if not isinstance(each, dict) or each.keys() != {"ours", "theirs"} or not all(map(_is_text, each.values())):
            raise refuse("invalid_parameter", "it must have the texts ours and theirs", join_pointer(name, index))
        pairs[str(each["ours"])] = str(each["theirs"])
    return pairs


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and value != ""

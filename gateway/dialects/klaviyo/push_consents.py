"""Consent to push in subscription jobs: the tokens of a profile, which a job registers as a push-token call does."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from gateway.core.faults import Fault
from gateway.core.model import Update
from gateway.core.pointer import join_pointer
from gateway.dialects.klaviyo.devices import parse_device, parse_token
from gateway.dialects.klaviyo.jsonapi.documents import (
    ATTRIBUTES,
    BodyFaults,
    parse_list,
    parse_object,
    parse_text,
    reject_unknown,
)
from gateway.dialects.protocol import Request

PUSH = "push"
ALL_TOKENS = "*"
"""In place of an address: the consent to push of a profile, whatever its tokens."""

FIRST_PUSH_REVISION = "2026-01-15"
"""The first revision in which a job subscribes to push."""

PUSH_MEMBERS = ("marketing", "tokens", "anonymous_id")
PUSH_POINTER = f"{ATTRIBUTES}/subscriptions/{PUSH}"


def accepts_push(request: Request) -> bool:
    """Return whether the revision of a request has consent to push. One without a revision has the newest."""
    revision = request.headers.get("revision", "").strip()
    return not revision or revision[:10] >= FIRST_PUSH_REVISION


class PushConsent(NamedTuple):
    """The consent itself, the registrations of the tokens, and the anonymous id of a profile without an address."""

    marketing: Any
    registrations: list[Update]
    anonymous_id: str


def parse_push(push: Any, faults: BodyFaults) -> PushConsent | None:
    """Return the consent to push of a profile, None where there is none."""
    members = parse_object(push, PUSH_POINTER, faults)
    if not members:
        return None
    reject_unknown(members, PUSH_MEMBERS, PUSH_POINTER, faults)
    marketing = members.get("marketing")
    if faults.is_empty(marketing):
        faults.append(Fault("missing_parameter", "it is missing", f"{PUSH_POINTER}/marketing"))
    own = BodyFaults(faults.is_typed)
    anonymous_id = parse_text(members, "anonymous_id", own)
    faults += _relocate(own, PUSH_POINTER)
    tokens = enumerate(parse_list(members.get("tokens"), faults))
    registrations = [_parse_entry(entry, index, faults) for index, entry in tokens]
    return PushConsent(marketing, [] if faults else registrations, anonymous_id)


def _parse_entry(entry: Any, index: int, faults: BodyFaults) -> Update:
    pointer = PUSH_POINTER + join_pointer("tokens", index)
    members: Mapping[str, Any] = parse_object(entry, pointer, faults)
    own = BodyFaults(faults.is_typed)
    token, device = parse_token(members, own), parse_device(members, own)
    faults += _relocate(own, pointer)
    return token.registration(device)


def _relocate(faults: BodyFaults, pointer: str) -> list[Fault]:
    """Return faults of the attributes of a resource as those of an object at another place."""
    return [replace(fault, pointer=pointer + fault.pointer.removeprefix(ATTRIBUTES)) for fault in faults]

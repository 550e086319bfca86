"""Calls on the subscriptions of a profile: set, list, get, delete, undelete."""

from collections.abc import Sequence
from typing import Any

from gateway.core.consent import DELETED
from gateway.core.faults import Fault, refuse
from gateway.core.matching import subscription_address
from gateway.core.model import Profile
from gateway.core.repeated import Repeated
from gateway.dialects.altcraft.matching import NO_MATCH
from gateway.dialects.altcraft.parameters import parse_parameters, present_members, require
from gateway.dialects.altcraft.replies import SUCCESS
from gateway.dialects.altcraft.requests import common_members
from gateway.dialects.altcraft.subscription_views import flat_subscription
from gateway.dialects.altcraft.subscriptions import parse_subscription
from gateway.dialects.protocol import ParsedCommand, ParsedRequest, Reply, Request, Result

ADDRESS_MEMBERS = (
    *("resource_id", "channel", "email", "email_data", "phone", "phone_data"),
    *("provider", "subscription_id", "push_data", "cc_data", "field_name", "field_value"),
)
SUBSCRIPTION_MEMBERS = (*ADDRESS_MEMBERS, "status", "priority", "custom_fields", "cats", "date", "ip", "url")


# --- requests ---


def parse_set(request: Request) -> ParsedRequest:
    """Parse `subscriptions/set`, whose parameters are a profile's id and the members of a subscription."""
    return _parse_one(request, SUBSCRIPTION_MEMBERS)


def parse_list(request: Request) -> ParsedRequest:
    """Parse `subscriptions/list`: all subscriptions of one profile."""
    parameters = parse_parameters(request)
    command = {"match": _match(parameters), **common_members(parameters)}
    return ParsedRequest(command["database"], [ParsedCommand(command)], needs_consent=True)


def parse_get(request: Request) -> ParsedRequest:
    """Parse `subscriptions/get`: one subscription."""
    return _parse_one(request, ADDRESS_MEMBERS, needs_consent=True)


def parse_status_change(words: tuple[str, str], request: Request) -> ParsedRequest:
    """Parse `subscriptions/suspend_all` and `unsuspend_all`: the subscriptions of a resource, of a channel, or all."""
    parameters = parse_parameters(request)
    rule = {"from": words[0], "to": words[1], **present_members(parameters, ("resource_id", "channel"))}
    command = {**common_members(parameters), "match": NO_MATCH, "status_change": rule}
    return ParsedRequest(command["database"], [ParsedCommand(command)])


def parse_deletion(request: Request, *, is_deleted: bool) -> ParsedRequest:
    """Parse `subscriptions/delete` and `undelete`: one subscription, which must exist."""
    return _parse_one(request, ADDRESS_MEMBERS, {DELETED: is_deleted})


def _match(parameters: Any) -> dict[str, Any]:
    return {"mode": "profile_id", "values": {"profile_id": require(parameters, "profile_id")}}


def _parse_one(
    request: Request, names: Sequence[str], edit: dict[str, Any] | None = None, *, needs_consent: bool = False
) -> ParsedRequest:
    """Parse a call on one subscription of a profile, whose parameters are these members. `edit` is a part of it."""
    faults: list[Fault] = []
    parameters = parse_parameters(request)
    match = _match(parameters)
    require(parameters, "resource_id")
    members = present_members(parameters, names)
    subscription = parse_subscription(members, "/subscriptions/0", faults, request.is_typed)
    command = {**common_members(parameters), "match": match, "subscriptions": [{**subscription, **(edit or {})}]}
    return ParsedRequest(command["database"], [ParsedCommand(command, faults)], needs_consent=needs_consent)


# --- replies ---


def render_list(result: Result) -> Reply:
    """Render the subscriptions of a profile, without deleted ones."""
    rows = Repeated(flat_subscription(each) for each in _subscriptions(result) if DELETED not in each)
    return Reply(200, {"data": rows, **SUCCESS})


def render_one(result: Result) -> Reply:
    """Render the subscription that the request names. Raises `Refusal`: unknown_subscription."""
    (command,) = result.updates
    assert isinstance(command, dict)
    address = subscription_address(command["subscriptions"][0])
    for each in _subscriptions(result):
        if DELETED not in each and subscription_address(each) == address:
            return Reply(200, {"data": flat_subscription(each), **SUCCESS})
    raise refuse("unknown_subscription")


def render_number(result: Result) -> Reply:
    """Render the number of subscriptions that were changed. Raises `Refusal`: unknown_resource."""
    (command,), (number,) = result.updates, result.outcomes
    assert isinstance(command, dict)
    resource = command["status_change"].get("resource_id")
    if resource is not None and result.database.closed and resource not in result.database.resources:
        raise refuse("unknown_resource", f"there is no resource {resource}", "/resource_id")
    return Reply(200, {**SUCCESS, "updated": number})


def _subscriptions(result: Result) -> Sequence[dict[str, Any]]:
    (profile,) = result.outcomes
    assert isinstance(profile, Profile)
    subscriptions: Sequence[dict[str, Any]] = profile.document.get("subscriptions", ())
    return subscriptions

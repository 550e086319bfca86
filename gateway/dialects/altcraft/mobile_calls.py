"""The calls of the vendor's mobile SDKs, in JSON or XML. An app names a profile by a JWT, or by its push token.

Source: the requests and the readers of replies in the SDKs for Android and iOS.
"""

import json
from collections.abc import Mapping
from typing import Any

from gateway.core.consent import DELETED, STATUSES, status_word
from gateway.core.faults import Fault, refuse
from gateway.core.matching import subscription_address
from gateway.core.model import Profile
from gateway.core.subscription_rules import CATEGORIES, MOVE, STATUS
from gateway.dialects.altcraft.data import parse_data
from gateway.dialects.altcraft.matching import NO_MATCH, SEARCH_MODES, mode_faults, parse_match
from gateway.dialects.altcraft.parameters import (
    is_blank,
    parse_parameters,
    parse_text,
    present_members,
    require,
    require_list,
    require_object,
    strip_text,
)
from gateway.dialects.altcraft.requests import CREATE, REQUIRE
from gateway.dialects.altcraft.subscription_views import DEFAULT_STATUS, hash_id
from gateway.dialects.altcraft.subscriptions import parse_subscription
from gateway.dialects.protocol import ParsedCommand, ParsedRequest, Reply, Request, Result

SUCCESS = {"error": 0, "error_text": ""}
PUSH = ("provider", "subscription_id")
STATUS_WORDS = ("subscribed", "suspended", "unsubscribed")
POINTERS = {"/categories/add": "/subscriptions/0/cats", "/categories/remove": "/subscriptions/0/cats"}
NO_SYNC = ("false", "0")
"""The values of `sync` with which the reply has no profile."""


# --- requests ---


def parse_subscribe(request: Request) -> ParsedRequest:
    """Parse `push/subscribe`: the subscription of a device, with fields and categories. A new profile may be created.

    With `replace`, no other profile keeps a subscription of the device.
    """
    faults: list[Fault] = []
    parameters = parse_parameters(request)
    sent = _object(parameters, "subscription", request.is_typed, required=True)
    device = _device(sent, "subscription")
    command: dict[str, Any] = {"match": _match(request, device), **CREATE}
    if command["match"]["mode"] == "profile_id":
        command |= REQUIRE
    command |= parse_data(_object(parameters, "profile_fields", request.is_typed), faults, request.is_typed)
    own: dict[str, Any] = {"resource_id": request.resource, "channel": "push", **device, **_status(sent)}
    if (fields := sent.get("fields")) is not None and (request.is_typed or not is_blank(fields)):
        own["custom_fields"] = require_object(fields, "subscription/fields", request.is_typed)
    subscription = parse_subscription(own, "/subscriptions/0", faults, request.is_typed)
    command["subscriptions"] = [subscription, *_listed(command.get("subscriptions"))]
    if categories := _categories(sent.get("cats"), request.is_typed):
        command[CATEGORIES] = {"resource_id": request.resource, "channel": "push", **device, **categories}
    if _boolean(parameters, "replace", request.is_typed):
        address = {"channel": "push", **device}
        match = {"mode": "push_sub", "values": device}
        command["detach_from_others"] = {"match": match, "remove_subscriptions": [address]}
    return _parsed(request, parameters, command, faults, device)


def parse_token_update(request: Request) -> ParsedRequest:
    """Parse `push/update`: the device has another push token. Status, fields and categories stay."""
    parameters = parse_parameters(request)
    texts = {name: parse_text(parameters.get(f"old_{short}"), f"old_{short}") for name, short in _TOKEN_NAMES}
    old = present_members(texts, PUSH)
    new = _device({name: parameters.get(f"new_{short}") for name, short in _TOKEN_NAMES}, "new_token")
    address = {"resource_id": request.resource, "channel": "push"}
    move: dict[str, Any] = {"from": {**address, **(old if len(old) == len(PUSH) else new)}, "to": {**address, **new}}
    if request.claims is not None:
        move["if_absent"] = "add"
    command = {"match": _match(request, old), **REQUIRE, MOVE: move}
    return _parsed(request, parameters, command, [], new)


_TOKEN_NAMES = (("provider", "provider"), ("subscription_id", "token"))


def parse_status(request: Request) -> ParsedRequest:
    """Parse `push/status`: a subscription of the profile, or its latest one. Without a profile there is none."""
    device = present_members(request.query, PUSH)
    command = {"match": _match(request, device), "missing_ok": True}
    return _parsed(request, {}, command, [], device)


def parse_profile(request: Request) -> ParsedRequest:
    """Parse `profile/update`: fields of the profile, which must exist."""
    faults: list[Fault] = []
    parameters = parse_parameters(request)
    device = present_members(request.query, PUSH)
    command: dict[str, Any] = {"match": _match(request, device), **REQUIRE}
    fields = _object(parameters, "profile_fields", request.is_typed, required=True)
    command |= parse_data(fields, faults, request.is_typed)
    return _parsed(request, parameters, command, faults, device)


def parse_unsuspension(request: Request) -> ParsedRequest:
    """Parse `push/unsuspend`: the device is suspended at other profiles, and no longer at that of the request."""
    parameters = parse_parameters(request)
    device = _device(_object(parameters, "subscription", request.is_typed, required=True), "subscription")
    rule = {"resource_id": request.resource, "channel": "push", **device}
    command: dict[str, Any] = {
        "match": _match(request, device),
        **REQUIRE,
        "missing_ok": True,
        STATUS: {"from": "suspended", "to": "subscribed", **rule},
    }
    if _boolean(parameters, "replace", request.is_typed):
        suspended = {"from": "subscribed", "to": "suspended", **rule}
        match = {"mode": "push_sub", "values": device, "resource_id": request.resource}
        command["detach_from_others"] = {"match": match, STATUS: suspended}
    return _parsed(request, parameters, command, [], device)


def parse_event(request: Request) -> ParsedRequest:
    """Parse `event/post`, a form: the fields and the subscription beside an event are written, the event is not kept.

    The profile is that of the JWT; else that of the push subscription which `ma` or `sn` names.
    """
    faults: list[Fault] = []
    form = parse_parameters(request)
    fields, sent, named = (_json_part(form, name) for name in ("pf", "sn", "ma"))
    command: dict[str, Any] = {"match": _match(request, named or sent), **CREATE}
    if command["match"]["mode"] == "profile_id":
        command |= REQUIRE
    command |= parse_data(fields, faults, True)
    if sent:
        subscription = parse_subscription(sent, "/subscriptions/0", faults, True)
        command["subscriptions"] = [subscription, *_listed(command.get("subscriptions"))]
    return _parsed(request, {}, command, faults, {})


def _json_part(form: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return the object in a part of a form; {} without it. Raises `Refusal`: invalid_parameter."""
    text = form.get(name)
    if text is None or is_blank(text) or text == "null":
        return {}
    try:
        value = json.loads(text) if isinstance(text, str) else None
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise refuse("invalid_parameter", "it must be an object in JSON", f"/{name}")
    return value


def parse_push_event(request: Request) -> ParsedRequest:
    """Parse `event/push/open` and `event/push/delivery`, of which nothing is kept."""
    parse_text(require(parse_parameters(request), "smid"), "smid")
    return ParsedRequest(None, [ParsedCommand({"match": NO_MATCH})])


def _parsed(
    request: Request,
    parameters: Mapping[str, Any],
    command: dict[str, Any],
    faults: list[Fault],
    device: Mapping[str, Any],
) -> ParsedRequest:
    if options := present_members(parameters, ("skip_triggers",)):
        command["options"] = options
    database = _claimed(request).get("db_id") if request.claims is not None else None
    context = {"device": device, "resource": request.resource, "sync": request.query.get("sync") not in NO_SYNC}
    return ParsedRequest(database, [ParsedCommand(command, faults)], context, needs_consent=True)


def _match(request: Request, device: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the match of the JWT, or else of the push token. Raises `Refusal`."""
    if request.claims is None:
        values = {name: require(device, name) for name in PUSH}
        return {"mode": "push_sub", "values": values, "resource_id": request.resource}
    claimed = _claimed(request)
    if found := mode_faults(claimed.get("matching"), SEARCH_MODES):
        raise refuse("invalid_parameter", found[0].detail, "/matching")
    return parse_match(present_members(claimed, _MATCH_NAMES), {}, [])


_MATCH_NAMES = ("matching", "email", "phone", "profile_id", "field_name", "field_value", *PUSH)


def _claimed(request: Request) -> Mapping[str, Any]:
    """Return the claim `matching`, which may be the text of an object in JSON. Raises `Refusal`: unknown_token."""
    value = (request.claims or {}).get("matching")
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            value = None
    if not isinstance(value, dict):
        raise refuse("unknown_token", "the claim matching of the JWT is no object")
    return value


def _object(parameters: Mapping[str, Any], name: str, is_typed: bool, required: bool = False) -> dict[str, Any]:
    value = require(parameters, name) if required else parameters.get(name)
    return {} if value is None else require_object(value, name, is_typed)


def _device(members: Mapping[str, Any], name: str) -> dict[str, str]:
    """Return the provider and the push token. Raises `Refusal`."""
    device = {}
    for member in PUSH:
        value = strip_text(members.get(member))
        if value is None or value == "":
            raise refuse("missing_parameter", f"{member} is missing", f"/{name}")
        if not isinstance(value, str):
            raise refuse("invalid_parameter", f"{member} must be a string", f"/{name}")
        device[member] = value
    return device


def _status(sent: Mapping[str, Any]) -> dict[str, str]:
    status = strip_text(sent.get("status"))
    if status is None or status == "":
        return {}
    if status not in STATUS_WORDS:
        raise refuse("invalid_parameter", f"status must be one of {', '.join(STATUS_WORDS)}", "/subscription")
    return {"status": status}


def _categories(value: Any, is_typed: bool) -> dict[str, list[str]]:
    """Return the names of categories to add and to remove, without those of which there are none."""
    if value is None or (not is_typed and is_blank(value)):
        return {}
    actions: dict[str, list[str]] = {"add": [], "remove": []}
    for index, each in enumerate(require_list(value, "subscription/cats", is_typed)):
        category = require_object(each, f"subscription/cats/{index}", is_typed)
        name = strip_text(category.get("name"))
        if not isinstance(name, str) or not name:
            raise refuse("invalid_parameter", "each needs a name", "/subscription/cats")
        actions["add" if _boolean(category, "active", is_typed) else "remove"].append(name)
    return {action: names for action, names in actions.items() if names}


def _boolean(members: Mapping[str, Any], name: str, is_typed: bool) -> bool:
    """Return a boolean; an absent one is false. Raises `Refusal`: invalid_parameter."""
    value = strip_text(members.get(name))
    if not is_typed and isinstance(value, str):
        value = {"true": True, "1": True, "false": False, "0": False, "": None}.get(value.lower(), value)
    if value is None or isinstance(value, bool):
        return bool(value)
    raise refuse("invalid_parameter", "it must be a boolean", f"/{name}")


def _listed(subscriptions: Any) -> list[Any]:
    return [] if subscriptions is None else subscriptions if isinstance(subscriptions, list) else [subscriptions]


# --- replies ---


def render_profile(result: Result) -> Reply:
    """Render the profile with one push subscription: that of the request, or else the latest one."""
    (profile,) = result.outcomes
    if not isinstance(profile, Profile) or not result.context["sync"]:
        return Reply(200, {**SUCCESS, "profile": None})
    status = status_word(profile.document.get("altcraft", {}).get("_status")) or STATUSES[0]
    tree: dict[str, Any] = {"id": profile.id, "status": status, "is_test": False}
    if (one := _subscription(profile, result.context)) is not None:
        tree["subscription"] = _render_subscription(one)
    return Reply(200, {**SUCCESS, "profile": tree})


def render_done(_result: Result) -> Reply:
    return Reply(200, SUCCESS)


def _subscription(profile: Profile, context: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the subscription of the device in the context; else the latest one, of its provider if that is given."""
    device = context["device"]
    found = [
        each
        for each in profile.document.get("subscriptions", ())
        if each["channel"] == "push" and each.get("resource_id") == context["resource"] and DELETED not in each
    ]
    if len(device) == len(PUSH):
        address = subscription_address({"resource_id": context["resource"], "channel": "push", **device})
        found = [each for each in found if subscription_address(each) == address]
    elif "provider" in device:
        found = [each for each in found if each["provider"] == device["provider"]]
    return found[-1] if found else None


def _render_subscription(subscription: Mapping[str, Any]) -> dict[str, Any]:
    cats = [{"name": name, "title": name, "steady": False, "active": True} for name in subscription.get("cats", ())]
    return {
        "subscription_id": subscription["subscription_id"],
        "hash_id": hash_id(subscription),
        "provider": subscription["provider"],
        "status": status_word(subscription.get("status")) or DEFAULT_STATUS,
        "fields": subscription.get("custom_fields", {}),
        "cats": cats,
    }

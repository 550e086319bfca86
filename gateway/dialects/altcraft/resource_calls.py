"""Calls that name a resource by its token: `profiles/message_unsub` and `push_subscribe`.

Sources: https://guides.altcraft.com/en/developer-guide/profiles/41484441 and
https://guides.altcraft.com/en/developer-guide/application-push-notifications/2196103.
"""

from collections.abc import Mapping
from typing import Any

from gateway.core.faults import Fault, refuse
from gateway.core.subscription_rules import CATEGORIES, EACH
from gateway.dialects.altcraft.matching import mode_faults, parse_match
from gateway.dialects.altcraft.parameters import (
    is_blank,
    parse_integer,
    parse_parameters,
    parse_text,
    present_members,
    require,
    require_list,
    require_object,
    strip_text,
)
from gateway.dialects.altcraft.replies import SUCCESS
from gateway.dialects.altcraft.requests import CREATE, REQUIRE
from gateway.dialects.protocol import (
    Credential,
    ParsedCommand,
    ParsedRequest,
    Reply,
    Request,
    ResourceCredential,
    Result,
)

UNSUBSCRIPTION_TOKEN, SUBSCRIPTION_TOKEN = "rtoken", "resource_token"
"""The parameters that name a resource."""

UNSUBSCRIPTION_POINTERS = {
    "/match": "/smid",
    "profile_not_found": "/smid",
    "/each_subscription/resource_id": "/rtoken",
    "/categories/remove": "/categories",
}
PUSH_MODES = ("custom", "profile_id")
MAX_SUBSCRIPTIONS = 100


# --- the resource ---


def named_resource(name: str, request: Request) -> ResourceCredential:
    """Return what a parameter names: the token of a resource, or its number, beside a secret token only.

    Raises `Refusal`: missing_parameter, invalid_parameter.
    """
    value = strip_text(require(parse_parameters(request), name))
    if isinstance(value, int) and not isinstance(value, bool):
        return ResourceCredential(id=value, pointer=f"/{name}")
    if not isinstance(value, str):
        raise refuse("invalid_parameter", "it must be the token of a resource, or its number", f"/{name}")
    if value.isascii() and value.isdecimal() and len(value) <= 18:
        return ResourceCredential(id=int(value), pointer=f"/{name}")
    return ResourceCredential(token=value, pointer=f"/{name}")


def public_credential(request: Request) -> Credential:
    """Return the credential of the public `push_subscribe`: the token of a resource alone."""
    value = parse_text(require(parse_parameters(request), SUBSCRIPTION_TOKEN), SUBSCRIPTION_TOKEN)
    return Credential(resource=ResourceCredential(token=strip_text(value), pointer=f"/{SUBSCRIPTION_TOKEN}"))


# --- message_unsub ---


def parse_unsubscription(request: Request) -> ParsedRequest:
    """Parse `message_unsub`: the subscriptions of a profile to a resource end, or lose categories.

    The gateway sends no messages: `smid` is the id of a profile.
    """
    parameters = parse_parameters(request)
    match = {"mode": "profile_id", "values": {"profile_id": strip_text(require(parameters, "smid"))}}
    command: dict[str, Any] = {"match": match, **REQUIRE}
    if (categories := _categories(parameters.get("categories"), request.is_typed)) is None:
        command[EACH] = {"resource_id": request.resource, "status": "unsubscribed"}
    else:
        command[CATEGORIES] = {"resource_id": request.resource, "remove": categories}
    return ParsedRequest(parameters.get("db_id"), [ParsedCommand(command)])


def _categories(value: Any, is_typed: bool) -> list[str] | None:
    """Return the categories of a request; None without any. One name alone is a list of one in XML."""
    if value is None or (not is_typed and is_blank(value)) or value == []:
        return None
    names = [value] if isinstance(value, str) and not is_typed else value
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise refuse("invalid_parameter", "it must be a list of names", "/categories")
    return [name.strip() for name in names]


# --- push_subscribe ---


def parse_push(request: Request) -> ParsedRequest:
    """Parse `push_subscribe`: push subscriptions of one profile to the resource begin or end.

    Without a match, the first subscription names the profile. It is created if there is none.
    """
    faults: list[Fault] = []
    parameters = parse_parameters(request)
    subscriptions = [
        _push_subscription(each, f"subscriptions/{index}", request)
        for index, each in enumerate(
            require_list(require(parameters, "subscriptions"), "subscriptions", request.is_typed)
        )
    ]
    if not 0 < len(subscriptions) <= MAX_SUBSCRIPTIONS:
        raise refuse("invalid_parameter", f"it must have 1 to {MAX_SUBSCRIPTIONS} elements", "/subscriptions")
    match = _push_match(parameters, subscriptions[0], faults, request)
    rule = CREATE if match["mode"] != "profile_id" else REQUIRE
    command = {"match": match, **rule, "subscriptions": subscriptions}
    if options := present_members(parameters, ("skip_triggers",)):
        command["options"] = options
    return ParsedRequest(_database(parameters, request), [ParsedCommand(command, faults)])


def render_public_push(_result: Result) -> Reply:
    """Render the reply to a page. It has no profile's id, which would be the answer to any guess."""
    return Reply(200, SUCCESS)


def _push_subscription(element: Any, at: str, request: Request) -> dict[str, Any]:
    members = present_members(
        require_object(element, at, request.is_typed), ("provider", "subscription_id", "unsubscribe")
    )
    ends = members.pop("unsubscribe", False)
    if not request.is_typed and isinstance(ends, str):
        ends = {"true": True, "1": True, "false": False, "0": False, "": False}.get(ends.strip().lower(), ends)
    if not isinstance(ends, bool):
        raise refuse("invalid_parameter", "it must be a boolean", f"/{at}/unsubscribe")
    address = {name: strip_text(value) for name, value in members.items()}
    status = "unsubscribed" if ends else "subscribed"
    return {"resource_id": request.resource, "channel": "push", **address, "status": status}


def _push_match(
    parameters: Mapping[str, Any], first: Mapping[str, Any], faults: list[Fault], request: Request
) -> Mapping[str, Any]:
    """Return the match: `matching`, or else `id`, or else the first subscription."""
    id = strip_text(parameters.get("id"))
    names = present_members(parameters, ("matching", "profile_id", "field_name", "field_value"))
    if "matching" in names:
        if found := mode_faults(names["matching"], PUSH_MODES):
            faults += found
        if request.is_typed and not isinstance(id, str | None):
            faults.append(Fault("invalid_parameter", "it must be a string", "/id"))
        if strip_text(names["matching"]) == "profile_id" and id not in (None, ""):
            names.setdefault("profile_id", id)
        return parse_match(names, {}, [], PUSH_MODES, is_typed=request.is_typed)
    if id not in (None, ""):
        return {"mode": "profile_id", "values": {"profile_id": id}}
    values = {name: first[name] for name in ("provider", "subscription_id") if name in first}
    return {"mode": "push_sub", "values": values, "resource_id": request.resource}


def _database(parameters: Mapping[str, Any], request: Request) -> Any:
    """Return the database of `db_id`, or that of the resource if `db_ids` names it, else the first one."""
    id, ids = parameters.get("db_id"), parameters.get("db_ids")
    if ids is None or ids == [] or (is_blank(ids) and not request.is_typed):
        return id
    if id is not None:
        parse_integer(id, "db_id", request.is_typed)
    numbers = [parse_integer(each, "db_ids", request.is_typed) for each in (ids if isinstance(ids, list) else [ids])]
    return request.database if request.database in numbers else numbers[0]

"""Calls on profiles: create, update, search, list, and what a profile is related to."""

from collections.abc import Callable, Mapping
from typing import Any

from gateway.core.faults import Fault, Refusal
from gateway.core.listing import SUPPRESSED
from gateway.core.times import parse_time
from gateway.dialects.klaviyo.bodies_of_2023 import check_address
from gateway.dialects.klaviyo.consents import SUPPRESSIONS
from gateway.dialects.klaviyo.devices import token_context
from gateway.dialects.klaviyo.fields import IDENTIFIERS
from gateway.dialects.klaviyo.jsonapi.documents import BodyFaults, parse_object, parse_resource
from gateway.dialects.klaviyo.jsonapi.filters import (
    EQUALITY_OPERATORS,
    ORDER_OPERATORS,
    FilterCondition,
    parse_filter,
)
from gateway.dialects.klaviyo.jsonapi.links import (
    invalid_parameter,
    link_context,
    parse_parameters,
    render_collection,
)
from gateway.dialects.klaviyo.lists import render_list_ids, render_lists
from gateway.dialects.klaviyo.pages import CANONICAL_SORTS, parse_page
from gateway.dialects.klaviyo.replies import profile_of
from gateway.dialects.klaviyo.requests import (
    CLIENT_RULES,
    NO_MATCH,
    REJECT_CONFLICTS,
    match_id,
    match_identifiers,
    parse_members,
    parse_profile_attributes,
    parse_upsert,
    profile_context,
    public_attributes,
    reject_empty_identifiers,
    require_identifier,
)
from gateway.dialects.protocol import ParsedCommand, ParsedRequest, Reply, Request, Result

RELATIONSHIPS = ("lists", "segments", "push-tokens", "conversations")
LIST_RELATIONSHIPS = ("push-tokens", "conversations")
"""What one profile, and a page of profiles, may include. The gateway has no segments and no conversations."""

SORTS = ("id", "created", "updated", "email", *CANONICAL_SORTS)
SUPPRESSION, LIST_SUPPRESSIONS = (
    f"subscriptions.email.marketing.{name}" for name in ("suppression", "list_suppressions")
)
OPERATORS = {
    **dict.fromkeys(("id", "email", "phone_number", "external_id"), EQUALITY_OPERATORS),
    "_kx": ("equals",),
    **dict.fromkeys(("created", "updated"), ORDER_OPERATORS),
    **dict.fromkeys((f"{SUPPRESSION}.timestamp", f"{LIST_SUPPRESSIONS}.timestamp"), ORDER_OPERATORS),
    **dict.fromkeys((f"{SUPPRESSION}.reason", f"{LIST_SUPPRESSIONS}.reason"), ("equals",)),
    f"{LIST_SUPPRESSIONS}.list_id": ("equals",),
}
"""The operators that the filter accepts for each field."""

UNSUBSCRIPTION = "UNSUBSCRIBE"
"""A reason of the vendor's that no suppression here has: an unsubscription is consent, and changes no suppression."""

NO_PROFILE: dict[str, list[str]] = {"profile_id": []}
"""The filter that no profile meets: the gateway has no suppressions for one list."""

_BOUNDS: dict[str, tuple[str, int, Callable[[int, int], int]]] = {
    "greater-than": ("from", 0, max),
    "greater-or-equal": ("from", -1, max),
    "less-than": ("to", 0, min),
    "less-or-equal": ("to", 1, min),
}
"""By operator: the end of the canonical span, the offset to its open end, and the choice of the tighter of two."""


# --- requests ---


def parse_creation(request: Request) -> ParsedRequest:
    """Parse `POST /api/profiles`: a new profile, whose identifiers belong to no other profile."""
    data, faults = parse_resource(request, "profile")
    attributes = parse_profile_attributes(data, faults)
    reject_empty_identifiers({}, attributes, faults)
    rules = {"match": NO_MATCH, "if_absent": "create", **REJECT_CONFLICTS}
    update = {**rules, **parse_members(attributes, data, faults)}
    require_identifier(attributes, faults)
    return ParsedRequest(None, [ParsedCommand(update, faults)], profile_context(request))


def parse_update(request: Request) -> ParsedRequest:
    """Parse `PATCH /api/profiles/{id}`. The resource repeats the id of the path."""
    data, faults = parse_resource(request, "profile")
    id = request.path["id"]
    if data.get("id") != id:
        detail = f"it must be {id}, as in the path" if data.get("id") else "it is missing"
        faults.append(Fault("invalid_parameter", detail, "/data/id"))
    attributes = parse_profile_attributes(data, faults)
    reject_empty_identifiers({}, attributes, faults)
    members = parse_members(attributes, data, faults)
    update = {**match_id(id), **REJECT_CONFLICTS, **members}
    return ParsedRequest(None, [ParsedCommand(update, faults)], profile_context(request))


def parse_import(request: Request) -> ParsedRequest:
    """Parse `POST /api/profile-import`: update the profile with any of the identifiers, or create it."""
    data, faults = parse_resource(request, "profile")
    return ParsedRequest(None, [ParsedCommand(parse_upsert(data, faults), faults)], profile_context(request))


def parse_client_profile(request: Request) -> ParsedRequest:
    """Parse `POST /client/profiles`, which needs no secret: it moves and replaces no identifier.

    Bodies of 2022 have the identifiers of the profile in `meta.identifiers`, beside its attributes.
    """
    data, faults = parse_resource(request, "profile")
    identifiers = _parse_identifiers(data, faults) if "meta" in data else {}
    if faults:
        raise Refusal(faults)
    attributes = public_attributes(parse_profile_attributes(data, faults))
    match = match_identifiers({"id": data.get("id"), **attributes, **identifiers}, faults)
    for name, value in identifiers.items():
        if name != "id" and isinstance(attributes.get(name), str | None):  # another type stays, and is a fault
            attributes[name] = value
    update = {**match, **parse_members(attributes, data, faults), **CLIENT_RULES}
    update["match"] = {**update["match"], "on_multiple": "first"}
    return ParsedRequest(None, [ParsedCommand(update, faults)])


def _parse_identifiers(data: Mapping[str, Any], faults: BodyFaults) -> dict[str, Any]:
    meta = parse_object(data["meta"], "/data/meta", faults)
    members = parse_object(meta.get("identifiers"), "/data/meta/identifiers", faults)
    identifiers = {name: value for name, value in members.items() if name in IDENTIFIERS and value not in (None, "")}
    for name in sorted(identifiers.keys() & {"email", "phone_number"}):
        check_address(name, identifiers[name], f"/data/meta/identifiers/{name}", faults)
    return identifiers


def parse_search(request: Request) -> ParsedRequest:
    """Parse `GET /api/profiles/{id}`, which may include what the profile is related to."""
    context = {**profile_context(request, RELATIONSHIPS), **token_context(request)}
    return ParsedRequest(None, [ParsedCommand(match_id(request.path["id"]))], context)


def parse_related(request: Request) -> ParsedRequest:
    """Parse `GET /api/profiles/{id}/…`: what a profile is related to, on one page."""
    return ParsedRequest(None, [ParsedCommand(match_id(request.path["id"]))], link_context(request))


def parse_list(request: Request) -> ParsedRequest:
    """Parse `GET /api/profiles`: filter, sort and page."""
    parameters = parse_parameters(request)
    query: dict[str, Any] = {}
    for condition in parse_filter(parameters.get("filter", ""), OPERATORS):
        _add_condition(query, condition)
    context = {**profile_context(request, LIST_RELATIONSHIPS), **token_context(request)}
    return parse_page(parameters, query, context, *SORTS)


def _add_condition(query: dict[str, Any], condition: FilterCondition) -> None:
    """Restrict a query by one more condition."""
    if condition.field.startswith(LIST_SUPPRESSIONS):
        if condition.field.endswith(".timestamp"):
            _parse_filter_time(condition)
        query.setdefault("filters", []).append(NO_PROFILE)
        return
    if condition.field == f"{SUPPRESSION}.reason" and condition.values == (UNSUBSCRIPTION,):
        query.setdefault("filters", []).append(NO_PROFILE)
        return
    if condition.field == f"{SUPPRESSION}.reason":
        query.setdefault("suppression_reasons", []).append(_parse_reason(condition))
        return
    if condition.operator in EQUALITY_OPERATORS:
        query.setdefault("filters", []).append({IDENTIFIERS[condition.field]: list(condition.values)})
        return
    end, offset, tighter = _BOUNDS[condition.operator]
    time = _parse_filter_time(condition) + offset
    span = query.setdefault(SUPPRESSED if condition.field.startswith(SUPPRESSION) else condition.field, {})
    span[end] = tighter(span.get(end, time), time)


def _parse_reason(condition: FilterCondition) -> str:
    for reason, name in SUPPRESSIONS.items():
        if condition.values == (name,):
            return reason
    raise invalid_parameter("filter", f"{condition.field} is one of {', '.join(SUPPRESSIONS.values())}.")


def _parse_filter_time(condition: FilterCondition) -> int:
    try:
        return parse_time(condition.values[0])
    except (ValueError, IndexError):
        detail = f"{condition.field} must be compared with a date or time (ISO 8601)."
        raise invalid_parameter("filter", detail) from None


# --- replies ---


def render_related_lists(result: Result) -> Reply:
    """Render the lists of a profile."""
    return render_lists(result, profile_of(result).document.get("segments", ()))


def render_related_list_ids(result: Result) -> Reply:
    """Render the resource identifiers of a profile's lists."""
    return render_list_ids(result, profile_of(result).document.get("segments", ()))


def render_no_segments(result: Result) -> Reply:
    """Render the segments of a profile. There are none."""
    return render_collection(result.context, [])

"""Calls on lists and their members. A list is a static segment, which is declared or has members.

Source: the vendor's OpenAPI, revision 2026-07-15.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any
from urllib.parse import quote

from gateway.core.faults import Fault, Refusal, refuse
from gateway.core.listing import sort_value
from gateway.core.model import Database, Profile
from gateway.core.pointer import join_pointer
from gateway.core.segments import Segment, SegmentId, segment_of, segment_order, visible_segments
from gateway.core.times import parse_time
from gateway.dialects.klaviyo.fields import IDENTIFIERS
from gateway.dialects.klaviyo.jsonapi.cursors import (
    OFFSET,
    SIZE_PARAMETER,
    parse_cursor,
    parse_page_size,
    render_page,
    render_slice,
)
from gateway.dialects.klaviyo.jsonapi.documents import BodyFaults, parse_list, type_faults
from gateway.dialects.klaviyo.jsonapi.filters import (
    EQUALITY_OPERATORS,
    ORDER_OPERATORS,
    FilterCondition,
    parse_filter,
)
from gateway.dialects.klaviyo.jsonapi.links import (
    add_included,
    add_linkage,
    invalid_parameter,
    link_context,
    link_relationships,
    parse_field_names,
    parse_include,
    parse_parameters,
    render_resource,
    unknown_field,
)
from gateway.dialects.klaviyo.lists import list_attributes
from gateway.dialects.klaviyo.pages import parse_page, parse_query
from gateway.dialects.klaviyo.replies import profile_resource
from gateway.dialects.klaviyo.requests import NO_MATCH, match_id, profile_context
from gateway.dialects.klaviyo.times import render_time
from gateway.dialects.protocol import ParsedCommand, ParsedRequest, Reply, Request, Result

MAX_MEMBERS = 1000
"""Profiles in a request that adds or removes members."""

MAX_LISTS = 10
"""Lists on a page, which is also the default."""

LIST_FIELDS = ("name", "created", "updated", "opt_in_process")
LIST_RELATIONSHIPS = ("tags", "flow-triggers")
"""What lists may include. The gateway has none of them."""

COUNT, MAX_COUNT = "profile_count", 10_000
LIST_SORTS = ("id", "name", "created", "updated")
LIST_OPERATORS = {
    **dict.fromkeys(("name", "id"), EQUALITY_OPERATORS),
    **dict.fromkeys(("created", "updated"), ("greater-than",)),
}
MEMBER_OPERATORS = {
    **dict.fromkeys(("email", "phone_number", "push_token"), EQUALITY_OPERATORS),
    "_kx": ("equals",),
    "joined_group_at": ORDER_OPERATORS,
}
_COMPARISONS = {
    "greater-than": "greater",
    "greater-or-equal": "greater_or_equal",
    "less-than": "less",
    "less-or-equal": "less_or_equal",
}


# --- requests about lists ---


def parse_lists(request: Request) -> ParsedRequest:
    """Parse `GET /api/lists`: a page of the declared lists."""
    parameters = parse_parameters(request)
    conditions = parse_filter(parameters.get("filter", ""), LIST_OPERATORS)
    for each in conditions:
        if each.field in ("created", "updated"):
            _parse_time(each)
    sort = parameters.get("sort", "id")
    if sort.removeprefix("-") not in LIST_SORTS:
        raise invalid_parameter("sort", f"'{sort[:60]}' is not one of {', '.join(LIST_SORTS)}.")
    size = parse_page_size({SIZE_PARAMETER: str(MAX_LISTS), **parameters})
    if size > MAX_LISTS:
        raise invalid_parameter(SIZE_PARAMETER, f"The page size must be an integer between 1 and {MAX_LISTS}.")
    cursor = parse_cursor(parameters, OFFSET, int)
    page = {"skip": cursor[1] if cursor else 0, "size": size, "sort": sort, "conditions": conditions}
    context = {**_list_context(request, parameters), **page}
    return ParsedRequest(None, [ParsedCommand({"match": NO_MATCH})], context)


def parse_search(request: Request) -> ParsedRequest:
    """Parse `GET /api/lists/{id}`. The number of its members is counted on request only."""
    parameters = parse_parameters(request)
    additional = parse_field_names(parameters, "additional-fields[list]")
    if unknown := [name for name in additional if name != COUNT]:
        raise unknown_field("additional-fields[list]", unknown[0], "list")
    query = {"where": _is_member(request.path["id"]), "limit": MAX_COUNT if additional else 1}
    context = {**_list_context(request, parameters), **_segment(request), "counts": bool(additional)}
    return parse_query(query, context)


def _list_context(request: Request, parameters: Mapping[str, str]) -> dict[str, Any]:
    names = parse_field_names(parameters, "fields[list]")
    if unknown := [name for name in names if name not in LIST_FIELDS]:
        raise unknown_field("fields[list]", unknown[0], "list")
    include = parse_include(parameters, LIST_RELATIONSHIPS)
    return {**link_context(request), "list_fields": names or LIST_FIELDS, "include": include}


def _segment(request: Request) -> dict[str, Any]:
    return {"segment": segment_of(request.path["id"])}


def _is_member(list_id: str) -> dict[str, Any]:
    """Return the condition of the members of a list."""
    return {"path": ["segments"], "test": "equals", "value": segment_of(list_id)}


# --- requests about members ---


def parse_members(request: Request) -> ParsedRequest:
    """Parse `GET /api/lists/{id}/profiles` and its relationships, by the time at which each profile joined."""
    parameters, segment = parse_parameters(request), segment_of(request.path["id"])
    joined = join_pointer("memberships", segment, "created")
    query: dict[str, Any] = {"where": {"all": [_is_member(request.path["id"])]}}
    conditions = parse_filter(parameters.get("filter", ""), MEMBER_OPERATORS)
    for condition in conditions:
        _add_condition(query, condition, str(segment))
    context = {**profile_context(request), **_segment(request), "is_filtered": bool(conditions)}
    return parse_page(parameters, query, context, "joined_group_at", canonical={"joined_group_at": joined})


def _add_condition(query: dict[str, Any], condition: FilterCondition, segment: str) -> None:
    values = list(condition.values)
    if condition.field == "push_token":
        path = ["subscriptions", "subscription_id"]
        query["where"]["all"].append({"path": path, "test": "is_one_of", "value": values})
    elif condition.field == "joined_group_at":
        query["where"]["all"].append(_joined(condition, segment))
    else:
        query.setdefault("filters", []).append({IDENTIFIERS[condition.field]: values})


def _joined(condition: FilterCondition, segment: str) -> dict[str, Any]:
    """Return the condition on the time of joining: the profile's creation where none is known."""
    time = _parse_time(condition)
    test = {"test": _COMPARISONS[condition.operator], "value": time}
    place = ["memberships", segment, "created"]
    unknown = {"path": place, "test": "exists", "value": False}
    return {"any": [{"path": place, **test}, {"all": [unknown, {"path": ["$profile", "created"], **test}]}]}


def _parse_time(condition: FilterCondition) -> int:
    try:
        return parse_time(condition.values[0])
    except (ValueError, IndexError):
        raise invalid_parameter("filter", f"{condition.field} must be compared with a time (ISO 8601).") from None


def _parse_change(request: Request, action: str) -> ParsedRequest:
    """Parse POST and DELETE of members: all of them, or none."""
    faults = BodyFaults(request.is_typed)
    elements = parse_list(request.tree.get("data"), faults)
    if not 0 < len(elements) <= MAX_MEMBERS:
        raise refuse("invalid_parameter", f"it must hold 1 to {MAX_MEMBERS} profiles", "/data")
    ids = [_parse_id(element, join_pointer("data", index), faults) for index, element in enumerate(elements)]
    if faults:
        raise Refusal(faults)
    members = _change_members(segment_of(request.path["id"]), action)
    return ParsedRequest(None, [ParsedCommand({**match_id(id), **members}) for id in dict.fromkeys(ids)])


parse_additions = partial(_parse_change, action="add")
parse_removals = partial(_parse_change, action="remove")


def _parse_id(element: Any, pointer: str, faults: BodyFaults) -> str:
    if not isinstance(element, dict):
        faults.append(Fault("invalid_parameter", "it must be an object", pointer))
        return ""
    faults += type_faults(element, "profile", pointer)
    id = element.get("id")
    text = (id if faults.is_typed else id.strip()) if isinstance(id, str) else ""
    if not text:
        faults.append(Fault("missing_parameter", "it must be the id of a profile", f"{pointer}/id"))
    return text


def _change_members(segment: SegmentId, action: str) -> dict[str, Any]:
    """Return the part of an update that adds a profile, with the time of joining, or removes it."""
    parts: dict[str, Any] = {"segments": {action: [segment]}}
    if action == "remove":
        return parts
    places = [join_pointer("memberships", segment, name) for name in ("created", "updated")]
    return {**parts, "timestamps": places, "set_once": places}


# --- replies ---


def render_lists(result: Result) -> Reply:
    """Render a page of the declared lists."""
    context, database = result.context, result.database
    visible = visible_segments(database.segments, database.segments)
    ids = [id for id in visible if all(_meets(id, database, each) for each in context["conditions"])]
    ids.sort(key=partial(_sort_key, database=database, name=context["sort"].removeprefix("-")))
    if context["sort"].startswith("-"):
        ids.reverse()
    page = ids[context["skip"] :][: context["size"]]
    reply = render_slice(context, [_resource(id, database, context) for id in page], len(ids))
    return add_included(reply, ()) if context["include"] else reply


def _sort_key(id: SegmentId, database: Database, name: str) -> tuple[Any, ...]:
    if name == "id":
        return segment_order(id)
    return getattr(database.segments[id], name) or ("" if name == "name" else 0), segment_order(id)


def _meets(id: SegmentId, database: Database, condition: FilterCondition) -> bool:
    """Return whether a declared list meets a condition. One that the operator declared has no times."""
    segment = database.segments[id]
    if condition.field in ("created", "updated"):
        time = getattr(segment, condition.field)
        return time is not None and time > parse_time(condition.values[0])
    return {"id": str(id), "name": segment.name}[condition.field] in condition.values


def render_list(result: Result) -> Reply:
    """Render one list. Raises `Refusal`: unknown_segment."""
    _require_list(result)
    resource = _resource(result.context["segment"], result.database, result.context)
    if result.context["counts"]:
        resource["attributes"][COUNT] = len(result.outcomes)
    reply = render_resource(resource)
    return add_included(reply, ()) if result.context["include"] else reply


def render_members(result: Result) -> Reply:
    """Render a page of the members of a list, each with the time at which it joined."""
    context = result.context

    def render_row(profile: Profile) -> dict[str, Any]:
        resource = profile_resource(profile, context)
        joined = render_time(sort_value(profile, context["sort"]))
        return {**resource, "attributes": {**resource["attributes"], "joined_group_at": joined}}

    return _render_members(result, render_row)


def render_member_ids(result: Result) -> Reply:
    """Render a page of the resource identifiers of the members of a list."""
    return _render_members(result, lambda profile: {"type": "profile", "id": profile.id})


def _render_members(result: Result, render_row: Callable[[Profile], dict[str, Any]]) -> Reply:
    _require_list(result, is_part=not result.context["is_first"] or result.context["is_filtered"])
    profiles = [each for each in result.outcomes if isinstance(each, Profile)]
    return render_page(result.context, profiles, render_row, sort_value)


def _require_list(result: Result, is_part: bool = False) -> None:
    """Raise `Refusal` (unknown_segment) unless the list is declared or has members, and is not archived.

    `is_part`: whether it may have other members than those found.
    """
    segment, declared = result.context["segment"], result.database.segments
    if not (is_part or result.outcomes or segment in declared) or not visible_segments([segment], declared):
        raise Refusal([Fault("unknown_segment", segment=str(segment))])


def _resource(segment: SegmentId, database: Database, context: Mapping[str, Any]) -> dict[str, Any]:
    return list_resource(segment, database.segments.get(segment), context)


def list_resource(segment: SegmentId, declared: Segment | None, context: Mapping[str, Any]) -> dict[str, Any]:
    """Return a list as a resource."""
    attributes = list_attributes(segment, declared)
    link = f"{context['base']}/api/lists/{quote(str(segment), safe='')}"
    resource = {
        "type": "list",
        "id": str(segment),
        "attributes": {name: value for name, value in attributes.items() if name in context["list_fields"]},
        "relationships": link_relationships(link, ("profiles", *LIST_RELATIONSHIPS)),
        "links": {"self": link},
    }
    return add_linkage(resource, dict.fromkeys(context["include"], ()))

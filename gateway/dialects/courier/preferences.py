"""Preferences of a user: by topic, whether messages are wanted, and by which channels.

Topics are settings of the vendor's workspace. The gateway has none of them: it accepts any topic, and its default is
OPTED_IN. A topic is no consent of a channel. Source: https://www.courier.com/docs/api-reference/user-preferences.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from gateway.core.faults import Fault, Refusal, refuse
from gateway.core.model import Document, Profile, Update
from gateway.core.pointer import join_pointer, value_at
from gateway.dialects.courier.fields import USERS
from gateway.dialects.courier.requests import decode_name, parse_list, parsed_request, require
from gateway.dialects.protocol import ParsedRequest, Reply, Request, Result

MAX_TOPICS = 50
STATUSES = ("OPTED_IN", "OPTED_OUT")
CHANNELS = ("direct_message", "email", "push", "sms", "webhook", "inbox")
CHOICE = ("status", "has_custom_routing", "custom_routing")
DIGEST = "digest"
"""The member of a choice that these calls do not have."""

DEFAULT: Mapping[str, Any] = {"status": STATUSES[0]}

_TOPICS, _TENANT_TOPICS = "topics", "tenant_topics"


# --- requests ---


def parse_list_of_topics(request: Request) -> ParsedRequest:
    """Parse GET of all preferences. A user who is not known has none."""
    return parsed_request(request, {"missing_ok": True}, tenant=_tenant(request))


def parse_search(request: Request) -> ParsedRequest:
    """Parse GET of one topic."""
    return parsed_request(request, {}, tenant=_tenant(request), topic=decode_name(request, "topic_id"))


def parse_replacement(request: Request) -> ParsedRequest:
    """Parse PUT of all preferences: topics that are not named are reset."""
    rows = _rows(request, 0)
    if faults := [
        fault for index, row in enumerate(rows) for fault in row_faults(row, f"/topics/{index}", request.is_typed)
    ]:
        raise Refusal(faults)
    tenant = _tenant(request)
    chosen = {_topic_id(row, request.is_typed): choice_of(row) for row in rows}
    patch = [{"op": "replace", "path": "", "value": chosen, "pointer": join_pointer(*_place(tenant))}]
    parts = {"patch": patch, "patch_target": [_TOPICS, *tenant], "if_absent": "create"}
    return parsed_request(request, parts, tenant=tenant, topics=list(chosen))


def resolve_replacement(document: Document, tenant: list[str], apply: Callable[[Any], Any]) -> Update:
    """Return what the replacement of all preferences writes, and which topics it resets."""
    place = _place(tenant)
    before = value_at(document, place) or {}
    after = apply(before)
    reset = [topic for topic in before if topic not in after]
    values = ((place, after or None), ((USERS, "reset"), reset or None))
    return {
        "operations": [{"function": "set", "pointer": join_pointer(*path), "value": value} for path, value in values]
    }


def parse_choices(request: Request) -> ParsedRequest:
    """Parse POST of preferences: valid topics are set, and the others are errors of the reply."""
    rows = _rows(request, 1)
    faults = [list(row_faults(row, f"/topics/{index}", request.is_typed)) for index, row in enumerate(rows)]
    ids = [_topic_id(row, request.is_typed) for row in rows]
    chosen = {id: choice_of(row) for id, row, found in zip(ids, rows, faults, strict=True) if not found}
    if not chosen:
        raise Refusal([fault for found in faults for fault in found])
    errors = [
        {"topic_id": id, "reason": "; ".join(_reason(fault) for fault in found)}
        for id, found in zip(ids, faults, strict=True)
        if found
    ]
    return _parse_operations(request, chosen, errors=errors)


def parse_choice(request: Request) -> ParsedRequest:
    """Parse PUT of one topic."""
    topic = decode_name(request, "topic_id")
    row = require(request.tree, "topic")
    row = {**row, "topic_id": topic} if isinstance(row, dict) else row
    if faults := list(row_faults(row, "/topic", request.is_typed)):
        raise Refusal(faults)
    return _parse_operations(request, {topic: choice_of(row)})


def parse_reset(request: Request) -> ParsedRequest:
    """Parse DELETE of one topic: its default applies again."""
    place = join_pointer(*_place(_tenant(request)), decode_name(request, "topic_id"))
    operation = {"function": "set", "pointer": place, "value": None}
    return parsed_request(request, {"operations": [operation], "missing_ok": True})


def _parse_operations(request: Request, chosen: Mapping[str, Any], **context: Any) -> ParsedRequest:
    tenant = _tenant(request)
    operations = [choice_operation(tenant, topic, choice) for topic, choice in chosen.items()]
    parts = {"operations": operations, "if_absent": "create"}
    return parsed_request(request, parts, tenant=tenant, topics=list(chosen), **context)


def choice_operation(tenant: Sequence[str], topic: str, choice: Mapping[str, Any]) -> dict[str, Any]:
    """Return the operation that sets the choice for one topic, and replaces the one before."""
    return {"function": "set", "pointer": join_pointer(*_place(tenant), topic), "value": choice}


def _tenant(request: Request) -> list[str]:
    """Return the path of a tenant: its id, if the query names one."""
    id = request.query.get("tenant_id")
    return [id] if id else []


def _place(tenant: Sequence[str]) -> tuple[str, ...]:
    """Return the place of the topics in a document."""
    return (USERS, _TENANT_TOPICS, *tenant) if tenant else (USERS, _TOPICS)


def _rows(request: Request, minimum: int) -> list[Any]:
    rows = parse_list(require(request.tree, "topics"), request.is_typed)
    if not isinstance(rows, list) or not minimum <= len(rows) <= MAX_TOPICS:
        raise refuse("invalid_parameter", f"it must be a list of {minimum} to {MAX_TOPICS} topics", "/topics")
    return rows


def row_faults(row: Any, pointer: str, is_typed: bool) -> Iterable[Fault]:
    """Yield what is wrong with the choice for one topic. In XML, white space around a word is formatting."""
    if not isinstance(row, dict):
        yield Fault("invalid_parameter", "it must be an object", pointer)
        return
    if not _topic_id(row, is_typed).strip():
        yield Fault("invalid_parameter", "it must be the id of a topic", f"{pointer}/topic_id")
    if _trim(row.get("status"), is_typed) not in STATUSES:
        yield Fault("invalid_parameter", f"it must be {' or '.join(STATUSES)}", f"{pointer}/status")
    routing = row.get("has_custom_routing")
    if not isinstance(routing, bool | None) and (is_typed or _trim(routing) not in ("true", "false", "")):
        yield Fault("invalid_parameter", "it must be true or false", f"{pointer}/has_custom_routing")
    channels = row.get("custom_routing")
    if not is_typed and isinstance(channels, str):
        channels = [channels] if channels else []
    if channels is not None and not _are_channels(channels, is_typed):
        yield Fault("invalid_parameter", f"it must be a list of {', '.join(CHANNELS)}", f"{pointer}/custom_routing")


def _are_channels(value: Any, is_typed: bool) -> bool:
    return isinstance(value, list) and all(_trim(each, is_typed) in CHANNELS for each in value)


def _reason(fault: Fault) -> str:
    return f"{fault.pointer.rpartition('/')[2]}: {fault.text}"


def _topic_id(row: Any, is_typed: bool) -> str:
    id = _trim(row.get("topic_id"), is_typed) if isinstance(row, dict) else None
    return id if isinstance(id, str) else ""


def _trim(value: Any, is_typed: bool = False) -> Any:
    return value.strip() if isinstance(value, str) and not is_typed else value


def choice_of(row: Mapping[str, Any], names: Sequence[str] = CHOICE) -> dict[str, Any]:
    """Return what is stored of a row."""
    return {name: row[name] for name in names if row.get(name) is not None and row[name] != ""}


# --- replies ---


def render_topics(result: Result) -> Reply:
    """Render the topics that the user chose for."""
    return Reply(200, {"items": [render_row(*each) for each in _chosen(result).items()], "paging": {"more": False}})


def render_topic(result: Result) -> Reply:
    """Render one topic, with its default if the user did not choose."""
    topic = result.context["topic"]
    return Reply(200, {"topic": render_row(topic, _chosen(result).get(topic, DEFAULT))})


def render_replacement(result: Result) -> Reply:
    """Render the topics that a request set, and those that it reset."""
    return Reply(200, {"items": _set_topics(result), "deleted": value_at(document_of(result), (USERS, "reset")) or []})


def render_choices(result: Result) -> Reply:
    """Render the topics that a request set, and why it did not set the others."""
    return Reply(200, {"items": _set_topics(result), "errors": result.context["errors"]})


def render_message(_result: Result) -> Reply:
    """Render that one topic is set."""
    return Reply(200, {"message": "success"})


def document_of(result: Result) -> Document:
    """Return the document of a user, {} if there is none."""
    (profile,) = result.outcomes
    return profile.document if isinstance(profile, Profile) else {}


def _chosen(result: Result) -> dict[str, Any]:
    return chosen_topics(document_of(result), result.context["tenant"])


def chosen_topics(document: Document, tenant: Sequence[str]) -> dict[str, Any]:
    """Return the choices by topic. Those for a tenant come before those for all messages."""
    general = value_at(document, _place([])) or {}
    return {**general, **(value_at(document, _place(tenant)) or {})} if tenant else general


def _set_topics(result: Result) -> list[dict[str, Any]]:
    chosen = _chosen(result)
    return [{"topic_id": topic, **_render_choice(chosen[topic])} for topic in result.context["topics"]]


def _render_choice(choice: Mapping[str, Any]) -> dict[str, Any]:
    """Return a choice. Its channels are hidden, and kept, while there is no custom routing."""
    has_routing = choice.get("has_custom_routing", False)
    routing = choice.get("custom_routing", []) if has_routing else []
    return {"status": choice["status"], "has_custom_routing": has_routing, "custom_routing": routing}


def render_row(topic: str, choice: Mapping[str, Any]) -> dict[str, Any]:
    """Return a topic with its names, its default and the choice."""
    names = {"topic_id": topic, "topic_name": topic, "section_id": "default", "section_name": "Default"}
    return {**names, "default_status": DEFAULT["status"], **_render_choice(choice)}

"""Preferences of a user by GraphQL, as the vendor's library for browsers reads and sets them.

Source: npm `@trycourier/courier-js` 3.4.0. A topic is its `template`, a tenant its `account`. What the gateway does not
have, such as pages and brands, is null; anything else is an error in GraphQL's form, with the status 200.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from gateway.core.faults import Fault, Refusal, refuse
from gateway.core.model import Document
from gateway.core.pointer import join_pointer
from gateway.dialects.courier import errors, preferences
from gateway.dialects.courier.graphql_document import Field, first_word, invalid, parse_fields
from gateway.dialects.courier.requests import match_user, parse_expiration, require
from gateway.dialects.protocol import ParsedCommand, ParsedRequest, Reply, Request, Result

USER_HEADER = "x-courier-user-id"
MAX_BODY = 65_536
"""Bytes of a body. The longest document of the library has 1,300."""

UPDATE = "updatePreferenceV2"
ONE, ALL = "recipientPreference", "recipientPreferences"
WITHOUT_VALUE: Mapping[str, Any] = {"preferencePage": None, "digestSchedulesForTopic": [], "brand": None}
"""The fields of what the gateway does not have, and their values."""

MEMBERS: Mapping[str, str] = {
    "templateId": "topic_id",
    "templateName": "topic_name",
    "sectionId": "section_id",
    "sectionName": "section_name",
    "defaultStatus": "default_status",
    "status": "status",
    "hasCustomRouting": "has_custom_routing",
    "routingPreferences": "custom_routing",
    "digestSchedule": preferences.DIGEST,
}
"""The fields of a preference, and the members of a topic."""

CHOICE = ("status", "hasCustomRouting", "routingPreferences", "digestSchedule")
"""Those that a mutation sets."""

_NAMES = {member: name for name, member in MEMBERS.items()}


# --- requests ---


def parse_user(request: Request) -> str:
    """Return the external id of the user whom a request is about. Raises `Refusal`: missing_ or invalid_parameter."""
    text = request.headers.get(USER_HEADER)
    if not text:
        raise refuse("missing_parameter", "it is missing", join_pointer(USER_HEADER))
    try:
        return text.encode("latin-1").decode()
    except UnicodeDecodeError:
        raise refuse("invalid_parameter", "it is not text in UTF-8", join_pointer(USER_HEADER)) from None


def is_query(request: Request) -> bool:
    """Return whether a request only reads. What is not the one or the other is refused as a query."""
    try:
        return first_word(_document(request)) != "mutation"
    except Refusal:
        return True


def parse_query(request: Request) -> ParsedRequest:
    """Parse a query. A user who is not known made no choice."""
    fields = _parse_fields(request, "query")
    for field in fields:
        _check_query(field)
    command = ParsedCommand({"match": match_user(parse_user(request)), "missing_ok": True})
    return ParsedRequest(None, [command], {"fields": fields}, parse_expiration(request))


def parse_mutation(request: Request) -> ParsedRequest:
    """Parse a mutation: all choices of it are set, or none. It creates the profile."""
    fields = _parse_fields(request, "mutation")
    operations = [_parse_update(field, request.is_typed) for field in fields]
    update = {"match": match_user(parse_user(request)), "operations": operations, "if_absent": "create"}
    return ParsedRequest(None, [ParsedCommand(update)], {"fields": fields}, parse_expiration(request))


def _document(request: Request) -> str:
    text = require(request.tree, "query")
    if not isinstance(text, str):
        raise refuse("invalid_parameter", "it must be a text", "/query")
    return text


def _parse_fields(request: Request, operation: str) -> list[Field]:
    variables = request.tree.get("variables")
    is_empty = variables is None or (not request.is_typed and isinstance(variables, str) and not variables.strip())
    if not is_empty and not isinstance(variables, dict):
        raise refuse("invalid_parameter", "it must be an object", "/variables")
    name = request.tree.get("operationName")
    return parse_fields(_document(request), operation, name, {} if is_empty else variables)


def _check_query(field: Field) -> None:
    if field.name in WITHOUT_VALUE:
        return
    if field.name == ONE:
        _check_arguments(field, ("templateId", "accountId"))
        _text(field, "templateId")
        _tenant(field)
        _check_members(field)
    elif field.name == ALL:
        _check_arguments(field, ("accountId",))
        _tenant(field)
        if not field.fields or any(each.name != "nodes" for each in field.fields):
            raise invalid(f"{ALL} has nodes, and nothing else")
        for nodes in field.fields:
            _check_arguments(nodes, ())
            _check_members(nodes)
    else:
        raise invalid(f"there is no query {field.name}")


def _parse_update(field: Field, is_typed: bool) -> dict[str, Any]:
    """Return the operation that sets the choice of one topic."""
    if field.name != UPDATE:
        raise invalid(f"there is no mutation {field.name}")
    _check_arguments(field, ("templateId", "preferences", "accountId"))
    _check_members(field)
    topic, given = _text(field, "templateId"), field.arguments.get("preferences")
    if not isinstance(given, dict) or not given.keys() <= {*CHOICE}:
        raise _invalid_argument("preferences", f"it must be an object of {', '.join(CHOICE)}")
    row = {MEMBERS[name]: value for name, value in given.items()}
    if faults := [*preferences.row_faults({**row, "topic_id": topic}, "", is_typed), *_digest_faults(row)]:
        raise Refusal([_argument_fault(fault) for fault in faults])
    choice = preferences.choice_of(row, (*preferences.CHOICE, preferences.DIGEST))
    return preferences.choice_operation(_tenant(field), topic, choice)


def _digest_faults(row: Mapping[str, Any]) -> list[Fault]:
    is_text = isinstance(row.get(preferences.DIGEST, ""), str | None)
    return [] if is_text else [Fault("invalid_parameter", "it must be a text", f"/{preferences.DIGEST}")]


def _argument_fault(fault: Fault) -> Fault:
    """Return a fault of a row with the name that the argument has here."""
    name = _NAMES[fault.pointer.rpartition("/")[2]]
    return Fault("invalid_query", fault.detail, join_pointer("preferences", name))


def _invalid_argument(name: str, detail: str) -> Refusal:
    return invalid(detail, join_pointer(name))


def _check_arguments(field: Field, names: Sequence[str]) -> None:
    for name in field.arguments:
        if name not in names:
            raise invalid(f"{field.name} has no argument {name}")


def _check_members(field: Field) -> None:
    """Raise `Refusal` unless the fields of a preference are asked for."""
    if not field.fields:
        raise invalid(f"{field.name} needs the fields that are asked for")
    for each in field.fields:
        if each.name not in MEMBERS or each.fields or each.arguments:
            raise invalid(f"a preference has no such field {each.name}")


def _text(field: Field, name: str) -> str:
    """Return an argument that must be there."""
    value = field.arguments.get(name)
    if not isinstance(value, str) or not value.strip():
        raise _invalid_argument(name, "it must be a text that is not empty")
    return value


def _tenant(field: Field) -> list[str]:
    return [] if field.arguments.get("accountId") in (None, "") else [_text(field, "accountId")]


# --- replies ---


def render_query(result: Result) -> Reply:
    """Render what each field asks for."""
    return _render(result, lambda field, document: _RENDERED[field.name](field, document))


def render_mutation(result: Result) -> Reply:
    """Render the topics that were set."""
    return _render(result, _render_one)


def render_faults(faults: Sequence[Fault]) -> Reply:
    """Render the faults of a document as errors of GraphQL, and others as those of any call."""
    reply = errors.render_faults(faults)
    return Reply(200, {"errors": [{"message": reply.tree["message"]}]}) if faults[0].code == "invalid_query" else reply


def _render(result: Result, render: Callable[[Field, Document], Any]) -> Reply:
    document = preferences.document_of(result)
    return Reply(200, {"data": {field.key: render(field, document) for field in result.context["fields"]}})


def _render_all(field: Field, document: Document) -> dict[str, Any]:
    chosen = preferences.chosen_topics(document, _tenant(field))
    return {each.key: [_render_node(each, *topic) for topic in chosen.items()] for each in field.fields}


def _render_one(field: Field, document: Document) -> dict[str, Any]:
    topic = field.arguments["templateId"]
    chosen = preferences.chosen_topics(document, _tenant(field))
    return _render_node(field, topic, chosen.get(topic, preferences.DEFAULT))


def _render_node(field: Field, topic: str, choice: Mapping[str, Any]) -> dict[str, Any]:
    row = {preferences.DIGEST: choice.get(preferences.DIGEST), **preferences.render_row(topic, choice)}
    return {each.key: row[MEMBERS[each.name]] for each in field.fields}


def _render_nothing(field: Field, _document: Document) -> Any:
    return WITHOUT_VALUE[field.name]


_RENDERED: Mapping[str, Callable[[Field, Document], Any]] = {
    ONE: _render_one,
    ALL: _render_all,
    **dict.fromkeys(WITHOUT_VALUE, _render_nothing),
}

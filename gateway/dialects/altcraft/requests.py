"""Altcraft's requests to canonical updates. Leaves stay as the media type gave them: schema/ reads and judges them."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from gateway.core.faults import Refusal
from gateway.core.model import Update
from gateway.dialects.altcraft.data import edit_of, writing_of
from gateway.dialects.altcraft.matching import SEARCHING, match_of, misnamed
from gateway.dialects.altcraft.parameters import demanded, given, list_, object_, parameters_of
from gateway.dialects.protocol import ParsedCommand, ParsedRequest, Request

DELETE_MODES = ("email", "phone", "profile_id", "custom")
SUBSCRIPTION_MEMBERS = (
    *(
        "resource_id",
        "channel",
        "status",
        "priority",
        "custom_fields",
        "cats",
        "date",
        "ip",
        "url",
        "email",
        "email_data",
    ),
    *("phone", "phone_data", "provider", "subscription_id", "cc_data", "field_name", "field_value"),
)
ON_CONFLICT = {"email": "reject", "custom": "reject"}
OPTIONS = ("skip_triggers", "skip_invalid_subscriptions", "detect_geo")
SEGMENTS = {"add": "add_to_segments", "remove": "remove_from_segments"}


def one(create: bool, search: bool = True) -> Callable[[Request], ParsedRequest]:
    """Reads `update`, `import` (create) and `add` (create, nothing searched)."""

    def read(incoming: Request) -> ParsedRequest:
        top = parameters_of(incoming)
        data = object_(demanded(top, "data"), "data", incoming.is_typed)
        common = _common_to_writes(top, create)
        given_here = {**_picked(data, OWN_MATCH_FIELDS), **top}
        return ParsedRequest(common["database"], [_update(common, given_here, data, search, OWN_MATCH_FIELDS)])

    return read


def many(create: bool, search: bool = True) -> Callable[[Request], ParsedRequest]:
    """Reads the batches of them; each element of `data` brings its own match value, in its fields or beside them."""

    def read(incoming: Request) -> ParsedRequest:
        top = {name: value for name, value in parameters_of(incoming).items() if name not in MATCH_VALUES}
        elements = list_(demanded(top, "data"), "data", incoming.is_typed)
        if search and (faults := misnamed(top, SEARCHING)):
            raise Refusal(faults)
        common = _common_to_writes(top, create)
        reads = [_element(common, top, element, search, incoming.is_typed) for element in elements]
        return ParsedRequest(common["database"], reads)

    return read


def search(modes: Iterable[str] = SEARCHING) -> Callable[[Request], ParsedRequest]:
    """Reads `get` and `delete`: which profile, among these modes."""

    def read(incoming: Request) -> ParsedRequest:
        top = parameters_of(incoming)
        match, faults = match_of(top, {}, modes)
        update = {**_common(top), "match": match}
        return ParsedRequest(update["database"], [ParsedCommand(update, faults)])

    return read


def segment(action: str) -> Callable[[Request], ParsedRequest]:
    """Reads `segstatic/add` and `/remove`: one profile, one segment."""

    def read(incoming: Request) -> ParsedRequest:
        top = parameters_of(incoming)
        match, faults = match_of(top, {}, default="profile_id")
        update = {**_common(top), "match": match, "segments": {action: [demanded(top, "segment_id")]}}
        return ParsedRequest(update["database"], [ParsedCommand(update, faults)])

    return read


def subscription(incoming: Request) -> ParsedRequest:
    """Reads `subscriptions/set`: the subscription's members stand at the top level, beside the profile's id."""
    top = parameters_of(incoming)
    match = {"mode": "profile_id", "values": {"profile_id": demanded(top, "profile_id")}}
    demanded(top, "resource_id")
    members = {name: top[name] for name in SUBSCRIPTION_MEMBERS if given(top, name)}
    edit, faults = edit_of(members, "/subscriptions/0")
    update = {**_common(top), "match": match, "subscriptions": [edit]}
    return ParsedRequest(update["database"], [ParsedCommand(update, faults)])


def description(incoming: Request) -> ParsedRequest:
    """Reads `databases/list`, `databases/fields_get` and `resources/fields_get`."""
    top = parameters_of(incoming)
    resource = next((top[name] for name in ("id", "resource_id") if given(top, name)), None)
    narrowed = {} if resource is None else {"resource_id": resource}
    database = top["db_id"] if given(top, "db_id") else None
    return ParsedRequest(database, [ParsedCommand({"match": {"mode": "none", "values": {}, **narrowed}})])


# --- what the calls share ---


def _common(top: Mapping[str, Any]) -> Update:
    update: Update = {"database": demanded(top, "db_id")}
    if options := {name: top[name] for name in OPTIONS if given(top, name)}:
        update["options"] = options
    return update


def _common_to_writes(top: Mapping[str, Any], create: bool) -> Update:
    """What every update of a request has from its parameters; `create` says whether one may make a profile."""
    update = {**_common(top), "on_conflict": ON_CONFLICT, "if_absent": "create" if create else "reject"}
    if segments := {action: top[name] for action, name in SEGMENTS.items() if given(top, name)}:
        update["segments"] = segments
    return update


# --- the profile of one update ---

OWN_MATCH_FIELDS = ("profile_id",)
"""Match fields that may stand in `data` and are never a field of the profile."""

ELEMENT_MATCH_FIELDS = (*OWN_MATCH_FIELDS, "phone", "provider", "subscription_id", "field_name", "field_value")
"""The same for an element of a batch, where its mode asks for them."""

MATCH_VALUES = ("email", "phone", "profile_id", "subscription_id", "field_value")
"""Match fields that say which one profile is meant: beside a batch they say nothing."""


def _element(common: Update, top: Mapping[str, Any], element: Any, search: bool, typed: bool) -> ParsedCommand:
    try:
        data = object_(element, "data", typed)
    except Refusal as refusal:
        return ParsedCommand(None, refusal.faults)
    return _update(common, {**top, **_picked(data, ELEMENT_MATCH_FIELDS)}, data, search, ELEMENT_MATCH_FIELDS)


def _picked(data: Mapping[str, Any], match_fields: tuple[str, ...]) -> dict[str, Any]:
    """The match fields that stand inside `data`, to be read as if they stood beside it."""
    return {name: data[name] for name in match_fields if given(data, name)}


def _update(
    common: Update, top: Mapping[str, Any], data: dict[str, Any], search: bool, match_fields: tuple[str, ...]
) -> ParsedCommand:
    match, faults = match_of(top, data) if search else ({"mode": "none", "values": {}}, [])
    taken = {name for name in match_fields if name in match["values"] or name in OWN_MATCH_FIELDS}
    written = {name: value for name, value in data.items() if name not in taken}
    update = {**common, "match": match, **writing_of(written, faults)}
    if match["mode"] == "profile_id":
        # Ids are the gateway's to give: by an unknown one nothing is made.
        update["if_absent"] = "reject"
    return ParsedCommand(update, faults)

"""Events: the profile of each is created or updated. Of the event itself only the time is kept, of the latest one.

Source: the vendor's OpenAPI, revision 2026-07-15, and the requests of its mobile SDKs.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from gateway.core.faults import Fault, Refusal
from gateway.core.fingerprint import fingerprint
from gateway.core.model import Update
from gateway.core.pointer import join_pointer
from gateway.core.times import parse_time
from gateway.dialects.klaviyo.fields import NAMESPACE
from gateway.dialects.klaviyo.imports import without_nulls
from gateway.dialects.klaviyo.jsonapi.documents import (
    ATTRIBUTES,
    BodyFaults,
    parse_attributes,
    parse_boolean,
    parse_list,
    parse_object,
    parse_resource,
    type_faults,
)
from gateway.dialects.klaviyo.requests import CLIENT_RULES, KEEP_OWNERS, NO_MATCH, parse_nested_profile
from gateway.dialects.protocol import ParsedCommand, ParsedRequest, Request

MAX_EVENTS = 1000
"""Events of a request, over all profiles."""

MAX_METRIC_CHARACTERS = 127
MAX_PROPERTIES = 400
EARLIEST = parse_time("1990-01-01T00:00:00Z")
LATEST_AFTER_NOW = 366 * 24 * 60 * 60 * 1000
DATE = join_pointer(NAMESPACE, "last_event_date")

EVENTS = f"{ATTRIBUTES}/events/data"
BATCHES = f"{ATTRIBUTES}/events-bulk-create/data"


# --- calls ---


def parse_event(request: Request) -> ParsedRequest:
    """Parse `POST /api/events`. It imports the profile; of several profiles, the first by priority."""
    return _parse_event(request, is_public=False)


def parse_client_event(request: Request) -> ParsedRequest:
    """Parse `POST /client/events`: the same, but it moves and replaces no identifier."""
    return _parse_event(request, is_public=True)


def parse_client_events(request: Request) -> ParsedRequest:
    """Parse `POST /client/event-bulk-create`: many events of one profile."""
    data, faults = parse_resource(request, "event-bulk-create")
    command, elements = _parse_batch(data, faults, request.now, is_public=True, most=MAX_EVENTS)
    if faults:
        raise Refusal(faults)
    return ParsedRequest(None, [ParsedCommand(command)], repeat_key=_repeat_key(command, elements))


def parse_job(request: Request) -> ParsedRequest:
    """Parse `POST /api/event-bulk-create-jobs`: events of many profiles, all or none. null clears no attribute."""
    data, faults = parse_resource(request, "event-bulk-create-job")
    attributes = parse_attributes(data, faults)
    bulk = parse_object(attributes.get("events-bulk-create"), f"{ATTRIBUTES}/events-bulk-create", faults)
    elements = parse_list(bulk.get("data"), faults)
    if not elements:
        faults.append(Fault("missing_parameter", "it must hold events", BATCHES))
    batches, rest = list[tuple[Update, list[Any]]](), MAX_EVENTS
    for index, element in enumerate(elements):
        pointer = join_pointer("data", "attributes", "events-bulk-create", "data", index)
        nested = BodyFaults(faults.is_typed)
        resource = parse_object(element, "/data", nested)
        nested += type_faults(resource, "event-bulk-create", "/data")
        command, events = _parse_batch(resource, nested, request.now, is_public=False, most=rest)
        batches.append((command, events))
        rest -= len(events)
        faults += [_moved(fault, pointer) for fault in nested]
    if faults:
        raise Refusal(faults)
    commands = [ParsedCommand(command) for command, _ in batches]
    return ParsedRequest(None, commands, repeat_key=_repeat_key(*batches[0]) if len(batches) == 1 else None)


def parse_analytics(_request: Request) -> ParsedRequest:
    """Parse `POST /onsite/track-analytics`, which the vendor does not document: nothing of it is kept."""
    return ParsedRequest(None, [ParsedCommand({"match": NO_MATCH})])


def _moved(fault: Fault, pointer: str) -> Fault:
    """Return the fault of a resource that is at a pointer of the body."""
    return Fault(fault.code, fault.detail, pointer + fault.pointer.removeprefix("/data"), fault.profile)


def _parse_event(request: Request, *, is_public: bool) -> ParsedRequest:
    data, faults = parse_resource(request, "event")
    attributes = parse_attributes(data, faults)
    time = _parse_attributes(attributes, ATTRIBUTES, faults, request.now)
    profile = parse_profile(_with_meta_beside(attributes), faults, is_public=is_public)
    is_backfill = parse_boolean(attributes, "backfill", faults)
    if faults:
        raise Refusal(faults)
    command = _with_date(profile, [time], is_backfill)
    return ParsedRequest(None, [ParsedCommand(command)], repeat_key=_repeat_key(profile, [data]))


def _with_meta_beside(attributes: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the attributes of an event, in which the `meta` of the profile is beside its attributes.

    The vendor documents it among the attributes for single events, and beside them everywhere else. Where it is in both
    places, that among the attributes stays there, and is refused as unknown.
    """
    profile = attributes.get("profile")
    data = profile.get("data") if isinstance(profile, dict) else None
    own = data.get("attributes") if isinstance(data, dict) else None
    if not isinstance(data, dict) or not isinstance(own, dict) or "meta" not in own:
        return attributes
    metas = [each for each in (data.get("meta"), own["meta"]) if each is not None]
    if len(metas) > 1:
        return attributes
    others = {name: value for name, value in own.items() if name != "meta"}
    meta = metas[0] if metas else None
    return {**attributes, "profile": {"data": {**data, "meta": meta, "attributes": others}}}


def parse_profile(attributes: Mapping[str, Any], faults: BodyFaults, *, is_public: bool) -> Update:
    """Return the update of the profile in an event. Identifiers of several profiles mean the first by priority."""
    rules = CLIENT_RULES if is_public else KEEP_OWNERS
    update = parse_nested_profile(attributes, rules, faults, is_public=is_public)
    return {**update, "match": {**update["match"], "on_multiple": "first"}}


def _parse_batch(
    data: Mapping[str, Any], faults: BodyFaults, now: int, *, is_public: bool, most: int
) -> tuple[Update, list[Any]]:
    """Return the update of the profile of a batch, and its events. They may be at most `most`."""
    attributes = parse_attributes(data, faults)
    elements = parse_list(parse_object(attributes.get("events"), f"{ATTRIBUTES}/events", faults).get("data"), faults)
    if not 0 < len(elements) <= most:
        faults.append(Fault("invalid_parameter", f"a request must hold 1 to {MAX_EVENTS} events", EVENTS))
    times = [_parse_element(element, f"{EVENTS}/{index}", faults, now) for index, element in enumerate(elements)]
    profile = parse_profile(attributes if is_public else _without_nulls(attributes), faults, is_public=is_public)
    return _with_date(profile, times, parse_boolean(attributes, "backfill", faults)), elements


def _repeat_key(update: Update, events: Sequence[Any]) -> str | None:
    """Return what identifies valid events of one profile: it, and metric and `unique_id` of each. None without ids."""
    attributes = [each["attributes"] for each in events]
    ids = [each.get("unique_id") for each in attributes]
    if not all(isinstance(id, str) and id for id in ids):
        return None
    metrics = [each["metric"]["data"]["attributes"]["name"].strip() for each in attributes]
    # A value that is no JSON, such as a number that cannot be represented, is refused later.
    return fingerprint(json.dumps([update["match"]["values"], metrics, ids], sort_keys=True, default=str))


def _parse_element(element: Any, pointer: str, faults: BodyFaults, now: int) -> int | None:
    event = parse_object(element, pointer, faults)
    faults += type_faults(event, "event", pointer)
    return _parse_attributes(
        parse_object(event.get("attributes"), f"{pointer}/attributes", faults), f"{pointer}/attributes", faults, now
    )


def _without_nulls(attributes: Mapping[str, Any]) -> Mapping[str, Any]:
    profile = attributes.get("profile")
    data = profile.get("data") if isinstance(profile, dict) else None
    if not isinstance(data, dict):
        return attributes
    return {**attributes, "profile": {"data": {**data, "attributes": without_nulls(data.get("attributes"))}}}


# --- attributes ---


def _parse_attributes(attributes: Mapping[str, Any], pointer: str, faults: BodyFaults, now: int) -> int | None:
    """Add the faults of an event. Return its time (ms since 1970), None for one that is not past: it counts as now."""
    _check_metric(attributes.get("metric"), f"{pointer}/metric", faults)
    if "properties" not in attributes:
        faults.append(Fault("missing_parameter", "it is missing", f"{pointer}/properties"))
    properties = parse_object(attributes.get("properties"), f"{pointer}/properties", faults)
    if len(properties) > MAX_PROPERTIES:
        detail = f"it must have at most {MAX_PROPERTIES} members"
        faults.append(Fault("invalid_parameter", detail, f"{pointer}/properties"))
    if isinstance(attributes.get("value"), (dict, list, bool)):
        faults.append(Fault("invalid_parameter", "it must be a number or a text", f"{pointer}/value"))
    _check_texts(attributes, ("value_currency", "unique_id"), pointer, faults)
    return _parse_time(attributes.get("time"), f"{pointer}/time", faults, now)


def _check_metric(metric: Any, pointer: str, faults: BodyFaults) -> None:
    data = parse_object(parse_object(metric, pointer, faults).get("data"), f"{pointer}/data", faults)
    faults += type_faults(data, "metric", f"{pointer}/data")
    attributes = parse_object(data.get("attributes"), f"{pointer}/data/attributes", faults)
    name = attributes.get("name")
    if not isinstance(name, str) or not 0 < len(name.strip()) <= MAX_METRIC_CHARACTERS:
        detail = f"it must be a text of 1 to {MAX_METRIC_CHARACTERS} characters"
        code = "missing_parameter" if name is None else "invalid_parameter"
        faults.append(Fault(code, detail, f"{pointer}/data/attributes/name"))
    _check_texts(attributes, ("service",), f"{pointer}/data/attributes", faults)


def _check_texts(members: Mapping[str, Any], names: Sequence[str], pointer: str, faults: BodyFaults) -> None:
    for name in names:
        value = members.get(name)
        if not faults.is_empty(value) and not isinstance(value, str):
            faults.append(Fault("invalid_parameter", "it must be a text", f"{pointer}/{name}"))


def _parse_time(value: Any, pointer: str, faults: BodyFaults, now: int) -> int | None:
    if faults.is_empty(value):
        return None
    try:
        time = parse_time(value.strip()) if isinstance(value, str) else -1
    except ValueError:
        time = -1
    if not EARLIEST <= time <= now + LATEST_AFTER_NOW:
        detail = "it must be a time (ISO 8601) from 1990 on, at most a year ahead"
        faults.append(Fault("invalid_parameter", detail, pointer))
    return time // 1000 * 1000 if time <= now else None


def _with_date(update: Update, times: Sequence[int | None], is_backfill: bool) -> Update:
    """Return the update of a profile that also keeps the latest of the times."""
    past = [time for time in times if time is not None]
    options = {"options": {"skip_triggers": True}} if is_backfill else {}
    if not past or len(past) < len(times):
        return {**update, "timestamps": [DATE], **options}
    operation = {"function": "max", "pointer": DATE, "value": max(past)}
    return {**update, "operations": [*update.get("operations", ()), operation], "observed": max(past), **options}

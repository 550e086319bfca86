"""Results as Altcraft's replies."""

from collections.abc import Mapping, Sequence
from typing import Any

from gateway.core.faults import Refusal, refuse
from gateway.core.model import Database, Profile
from gateway.core.times import format_time
from gateway.dialects.altcraft.errors import render_errors
from gateway.dialects.altcraft.fields import (
    COMPUTED_FIELDS,
    DATA_NAMES,
    FIELD_TYPES,
    FIELDS,
    FLAG_FIELDS,
    SUBSCRIPTION_FIELD_TYPES,
    type_name,
)
from gateway.dialects.altcraft.subscription_views import email_domain, email_hash, full_subscription
from gateway.dialects.protocol import Reply, Result

_NO_MEMBERS: Mapping[str, Any] = {}
_FLAGS = dict.fromkeys(FLAG_FIELDS, False)

SUCCESS = {"error": 0, "error_text": "Successful operation"}

_PLACES = tuple((name, path[:-1], path[-1]) for name, path in {**FIELDS, **COMPUTED_FIELDS}.items())
"""The name of each field of `data`, the path of the object of a document that has it, and its member there."""


def render_success(_result: Result) -> Reply:
    return Reply(200, SUCCESS)


def render_profile_id(result: Result) -> Reply:
    (profile,) = result.outcomes
    assert isinstance(profile, Profile)
    return Reply(200, {**SUCCESS, "profile_id": profile.id})


def render_batch(result: Result) -> Reply:
    return Reply(200, {**SUCCESS, "result": _render_outcomes(result)})


def _render_outcomes(result: Result) -> list[dict[str, Any]]:
    outcomes: Sequence[Any] = result.outcomes
    return [
        {**SUCCESS, "profile_id": outcome.id} if isinstance(outcome, Profile) else render_errors(outcome)
        for outcome in outcomes
    ]


def render_profile(result: Result) -> Reply:
    (profile,) = result.outcomes
    assert isinstance(profile, Profile)
    return Reply(200, {"data": render_data(profile, result.database), **SUCCESS})


def render_removal(result: Result) -> Reply:
    """Render a removal. The repeated answer to an erasure has no id: the store does not keep it."""
    (profile,) = result.outcomes
    if profile is None:
        return Reply(200, SUCCESS)
    assert isinstance(profile, Profile)
    return Reply(200, {"data": {"profile_id": profile.id}, **SUCCESS})


def render_databases(result: Result) -> Reply:
    """Render the database of the token. A token has access to one database."""
    database = {"id": result.database.id, "name": result.database.name}
    return Reply(200, {"data": [database], **SUCCESS, "total_count": 1})


def render_fields(result: Result) -> Reply:
    custom = _render_custom_fields(result.database.fields)
    return Reply(200, {"data": [*_render_system_fields(FIELD_TYPES), *custom], **SUCCESS})


def render_resource_fields(result: Result) -> Reply:
    """Render the fields of a resource's subscriptions. Raises `Refusal`: missing_parameter, unknown_resource."""
    (update,) = result.updates
    if isinstance(update, Refusal):
        raise update.copy()
    id = update["match"].get("resource_id")
    if id is None:
        raise refuse("missing_parameter", "it is missing", "/id")
    resource = result.database.resources.get(id)
    if resource is None and result.database.closed:
        raise refuse("unknown_resource", f"there is no resource {id}", "/id")
    custom = _render_custom_fields(resource.fields if resource else {})
    return Reply(200, {"data": [*_render_system_fields(SUBSCRIPTION_FIELD_TYPES), *custom], **SUCCESS})


def render_data(profile: Profile, database: Database) -> dict[str, Any]:
    """Return `data` of a profile. An own field whose name the vendor's data has is left out."""
    document = profile.document
    created = format_time(profile.created)
    system = {"id": profile.id, "db_id": database.id, "_createtime": created}
    for name, group, member in _PLACES:
        holder = document.get(group[0], _NO_MEMBERS) if group else document
        if (value := holder.get(member)) is not None:
            system[name] = value
    system.setdefault("_status", 0)
    if isinstance(email := document.get("email"), str):
        system |= {"_emaildomain": email_domain(email), "_md5": email_hash(email)}
    system |= _FLAGS
    subscriptions = [full_subscription(each, created) for each in document.get("subscriptions", ())]
    own = document.get("custom", _NO_MEMBERS)
    if not DATA_NAMES.isdisjoint(own):
        own = {name: value for name, value in own.items() if name not in DATA_NAMES}
    return {**own, **system, "subscriptions": subscriptions}


def _render_system_fields(types: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"name": name, "type": type, "category": "system"} for name, type in types.items()]


def _render_custom_fields(schema: Mapping[str, Any]) -> list[dict[str, str]]:
    properties = schema.get("properties", {})
    return [{"name": name, "type": type_name(each), "category": "custom"} for name, each in properties.items()]

"""Rules of a database as JSON Schemas of commands: what a match needs, what a closed database declares, its archive."""

from collections.abc import Callable, Collection, Mapping
from typing import Any

from gateway.core import matching
from gateway.core.model import Database, Resource
from gateway.core.profile_tables import ProfileTables
from gateway.core.segments import SegmentId
from gateway.schema.operands import OperandTarget
from gateway.schema.validation import JSONSchema


def match_rules(tables: ProfileTables) -> JSONSchema:
    """Return the schema of commands whose match has the values that its mode needs."""
    rules = []
    for mode in matching.MODES:
        groups = matching.value_groups(mode, tables)
        choices = [{"required": list(group)} for group in groups]
        values: JSONSchema = {} if not choices else choices[0] if len(choices) == 1 else {"anyOf": choices}
        if mode == matching.CUSTOM:
            values = {**values, "properties": {"field_name": _one_of(tables.identifiers)}}
        condition = {"properties": {"mode": {"const": mode}}, "required": ["mode"]}
        rules.append({"if": condition, "then": {"properties": {"values": values}}})
    return {"properties": {"match": {"allOf": rules}}}


def closed_rules(database: Database) -> JSONSchema:
    """Return the schema of updates with the names and ids that a closed database declares. Nulls are names, too."""
    declared = database.fields.get("properties", {})
    custom = {"properties": dict.fromkeys(declared, True), "additionalProperties": False}
    segments = {"additionalProperties": {"items": _one_of(database.segments)}}
    resources = database.resources.values()
    subscription = {
        "if": {"properties": {"resource_id": {"enum": [*database.resources]}}},
        "else": {"properties": {"resource_id": {"type": "null"}}},
        "allOf": [_resource_rule(resource) for resource in resources],
    }
    categories = {"allOf": [_category_rule(resource) for resource in resources]}
    members = {"profile": {"properties": {"custom": custom}}, "segments": segments, "categories": categories}
    return {"properties": {**members, "subscriptions": {"items": subscription}}}


def archive_rules(archived: Collection[SegmentId]) -> JSONSchema:
    """Return the schema of updates that add a profile to none of these segments."""
    joined = {"items": {"not": {"enum": list(archived)}}}
    return {"properties": {"segments": {"properties": {"add": joined}}}}


def _resource_rule(resource: Resource) -> JSONSchema:
    declared = resource.fields.get("properties", {})
    fields = {"properties": dict.fromkeys(declared, True), "patternProperties": {"^_": True}}
    members = {
        "cats": {"items": _one_of(resource.categories)},
        "custom_fields": {**fields, "additionalProperties": False},
    }
    condition = {"properties": {"resource_id": {"const": resource.id}}, "required": ["resource_id"]}
    return {"if": condition, "then": {"properties": members}}


def _category_rule(resource: Resource) -> JSONSchema:
    """Return the schema of a change of categories: it names declared ones."""
    condition = {"properties": {"resource_id": {"const": resource.id}}, "required": ["resource_id"]}
    items = {"items": _one_of(resource.categories)}
    return {"if": condition, "then": {"properties": {"add": items, "remove": items}}}


def is_open_to(target: OperandTarget, database: Database) -> Callable[[list[str]], bool]:
    """Return the function that says whether the database declares the field with these names of a pointer."""
    if not database.closed:
        return bool
    if target.is_subscription:
        resource = database.resources.get(target.known.get("resource_id", -1))
        if resource is None:
            return bool  # its id is rejected
        own: Mapping[str, Any] = resource.fields.get("properties", {})
        return lambda names: names[-1] in own or names[-1].startswith("_")
    declared = database.fields.get("properties", {})
    return lambda names: names[0] != "custom" or len(names) < 2 or names[1] in declared


def _one_of(values: Collection[Any]) -> JSONSchema | bool:
    return {"enum": list(values)} if values else False

"""The compiled schemas of one database: they coerce the untyped leaves of a command and validate it.

A leaf that cannot be coerced stays as it is, and is rejected by validation.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from gateway.core import matching
from gateway.core.faults import Fault
from gateway.core.model import Command, CommandType, Database, Document, Update
from gateway.core.pointer import join_pointer, split_pointer
from gateway.schema.coercion import leaf_coercer
from gateway.schema.command_coercion import CommandCoercer
from gateway.schema.declarations import (
    COMMAND,
    IN_PROFILE,
    PROFILE,
    SUBSCRIPTION,
    Declarations,
    command_uri,
    merge_schemas,
)
from gateway.schema.files import load_schema
from gateway.schema.function_types import mismatch
from gateway.schema.profile_annotations import profile_tables
from gateway.schema.undeclared import undeclared_faults
from gateway.schema.validation import MAX_FAULTS, JSONSchema, Validator
from gateway.schema.validation_view import merge_operations, point_to_field, without_nulls

PARTIAL_PROFILE = f"{PROFILE}:partial"


class CompiledSchema:
    """The canonical form in one database, with one dialect's constraints (a JSON Schema of commands, or {})."""

    def __init__(self, database: Database, constraints: JSONSchema) -> None:
        self._database = database
        own = _own_fields(database)
        profile = merge_schemas(load_schema("profile"), {"properties": {"custom": own}})
        partial = {**merge_schemas(profile, {"properties": {"custom": {"required": []}}}), "$id": PARTIAL_PROFILE}
        self._schemas = {
            **{command_uri(type): load_schema(type) for type in CommandType},
            COMMAND: load_schema("command"),
            SUBSCRIPTION: _subscription(database),
            PROFILE: profile,
            PARTIAL_PROFILE: partial,
        }
        self._validators: dict[CommandType, Validator] = {}
        self._coercers: dict[CommandType, CommandCoercer] = {}
        self._empty_object = constraints.get("x-empty-object")
        self._constraints = Validator(constraints, self._schemas)
        self._profile = Validator(IN_PROFILE, self._schemas)
        constrained = merge_schemas(profile, constraints.get("properties", {}).get("profile", {}))
        declared = {**self._schemas, SUBSCRIPTION: load_schema("subscription"), PROFILE: constrained}
        self._declarations = Declarations(declared, database.resources)
        self.tables = profile_tables(load_schema("profile"), own["properties"])

    def coerce(self, command: Command, type: CommandType) -> Command:
        """Return a command from XML, whose leaves are all strings, with each leaf coerced to its declared type.

        Undeclared leaves stay strings.
        """
        return self._coercer(type).coerce(command)

    def validate(self, command: Command, type: CommandType, limit: int = MAX_FAULTS) -> list[Fault]:
        """Return the faults of a typed command; pointers are into the command. A null is not checked as a value.

        Return at most `limit` faults of each kind of rules.
        """
        plain, canonical = merge_operations(command, "set"), self._canonical(type)
        if plain is command and canonical.accepts(command) and self._constraints.accepts(command):
            # Most commands are valid and have no functions.
            faults = matching.match_faults(command["match"], self.tables)
        else:
            faults = self._faults(command, plain, canonical, limit)
        return [*faults, *(undeclared_faults(command, self._database) if self._database.closed else ())]

    def accepts_subscription(self, subscription: Any) -> bool:
        """Whether a subscription is valid. It finds no faults, which takes five times as long."""
        update: Update = {"match": {"mode": "none", "values": {}}, "subscriptions": [subscription]}
        is_valid = self._canonical(CommandType.UPDATE).accepts(without_nulls(merge_operations(update, "set")))
        return is_valid and not self.validate(update, CommandType.UPDATE, 1)

    def _canonical(self, type: CommandType) -> Validator:
        """Return the validator of a type of command. It is compiled with the first such command."""
        if type not in self._validators:
            self._validators[type] = Validator(_command(type, PARTIAL_PROFILE), self._schemas)
        return self._validators[type]

    def _coercer(self, type: CommandType) -> CommandCoercer:
        if type not in self._coercers:
            self._coercers[type] = CommandCoercer(self._declarations, _command(type, PROFILE), self._empty_object)
        return self._coercers[type]

    def _faults(self, update: Command, plain: Command, canonical: Validator, limit: int) -> list[Fault]:
        faults = canonical.faults(without_nulls(plain), limit=limit)
        pointers = {fault.pointer for fault in faults}
        further = self._constraints.faults(merge_operations(update, "set", "add", "set_first"), limit=limit)
        faults += [fault for fault in further if fault.pointer not in pointers]
        function_faults = list(self._function_faults(update))
        rejected = {fault.pointer for fault in function_faults}
        faults = [*(fault for fault in faults if fault.pointer not in rejected), *function_faults]
        if not any(fault.pointer.startswith("/match") for fault in faults):
            faults += matching.match_faults(update["match"], self.tables)
        return [point_to_field(fault, update) for fault in faults]

    def validate_profile(self, document: Document, before: Document) -> list[Fault]:
        """Return the faults of a document that will replace `before`. Pointers start with `/profile`.

        Members that both documents share (`is`) are accepted as they are: no rule of a profile spans two members. Own
        fields, too: a new declaration may have made them invalid.
        """
        changed = {name: value for name, value in document.items() if value is not before.get(name)}
        if "custom" not in document or "custom" in changed:
            # Required own fields are missing, too, if there are no own fields at all.
            changed.setdefault("custom", {})
        faults = self._profile.faults(changed, "/profile")
        return [fault for fault in faults if not _is_unchanged(fault, document, before)] if faults else []

    def _function_faults(self, update: Update) -> Iterable[Fault]:
        """Yield the faults of functions that do not fit the declared type of their field."""
        yield from self._mismatches(update, IN_PROFILE, "/profile")
        edits = update.get("subscriptions")
        for index, subscription in enumerate(edits if isinstance(edits, list) else ()):
            if isinstance(subscription, dict) and "operations" in subscription:
                declared = {"properties": {"custom_fields": self._declarations.subscription_fields(subscription)}}
                yield from self._mismatches(subscription, declared, join_pointer("subscriptions", index))

    def _mismatches(self, holder: Mapping[str, Any], declared: JSONSchema, at: str) -> Iterable[Fault]:
        for operation in holder.get("operations", ()):
            field = self._declarations.field(operation, declared)
            if reason := mismatch(operation, field, self._declarations.resolve(field.get("items", {}))):
                yield Fault("invalid_function", reason, at + operation["pointer"])


coerce_integer = leaf_coercer(("integer",), plain=False)
"""Coerces the id of the database, which is needed before the schema is found."""


def _command(type: CommandType, profile: str) -> JSONSchema:
    """Return the schema of a command. `profile` is the URI of the schema of an update's `profile`."""
    schema = {"$ref": command_uri(type)}
    return {**schema, "properties": {"profile": {"$ref": profile}}} if type is CommandType.UPDATE else schema


def _own_fields(database: Database) -> dict[str, Any]:
    own = {"type": "object", "properties": {}, **database.fields}
    return {**own, "additionalProperties": False} if database.closed else own


def _subscription(database: Database) -> dict[str, Any]:
    """Return the schema of a subscription, with the own fields of each resource."""
    declared = [
        {
            "if": {"properties": {"resource_id": {"const": resource.id}}, "required": ["resource_id"]},
            "then": {"properties": {"custom_fields": {"properties": resource.fields.get("properties", {})}}},
        }
        for resource in database.resources.values()
    ]
    base = load_schema("subscription")
    base = base if database.closed else with_any_channel(base)
    return {**base, "allOf": [*base["allOf"], *declared]}


def with_any_channel(subscription: dict[str, Any]) -> dict[str, Any]:
    """Return the schema with further channels, whose address is any object in `cc_data`."""
    properties = subscription["properties"]
    channel, address = {"channel": properties["channel"]}, {"cc_data": properties["cc_data"]}
    further = {"properties": {"channel": {"type": "string", "minLength": 1}}, "required": ["cc_data"]}
    rules = [
        {"if": further, "else": {"properties": channel}},
        {
            "if": {"properties": channel},
            "then": {"properties": address},
            "else": {"properties": {"cc_data": {"type": "object", "minProperties": 1}}},
        },
    ]
    open_properties = {**properties, "channel": True, "cc_data": True}
    return {**subscription, "properties": open_properties, "allOf": [*subscription["allOf"], *rules]}


def _is_unchanged(fault: Fault, document: Document, before: Document) -> bool:
    """Return whether a fault is in an own field that both documents share."""
    match split_pointer(fault.pointer):
        case ["profile", "custom", name, *_]:
            own, old = document.get("custom", {}), before.get("custom", {})
            return name in old and own.get(name) is old[name]
    return False

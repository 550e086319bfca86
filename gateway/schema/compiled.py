"""The canonical form of one database: reads untyped leaves by their declared type, then checks.

`schemas/` is its one description. This room changes no meaning: what cannot be read stays as it is and is refused.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from gateway.core import matching
from gateway.core.faults import Fault
from gateway.core.model import Command, CommandType, Database, Document, Update
from gateway.core.pointer import join_pointer
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
from gateway.schema.profile_tables import profile_tables
from gateway.schema.undeclared import undeclared_faults
from gateway.schema.validation import MAX_FAULTS, JSONSchema, Validator
from gateway.schema.validation_view import merge_operations, point_to_field, without_nulls

PARTIAL_PROFILE = f"{PROFILE}:partial"


class CompiledSchema:
    """The canonical form in one database, under one dialect's constraints (a JSON Schema over updates, or {})."""

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
        self._readers: dict[CommandType, CommandCoercer] = {}
        self._constraints = Validator(constraints, self._schemas)
        self._profile = Validator(IN_PROFILE, self._schemas)
        constrained = merge_schemas(profile, constraints.get("properties", {}).get("profile", {}))
        self._declared = Declarations({**self._schemas, PROFILE: constrained}, database.resources)
        self.tables = profile_tables(load_schema("profile"), own["properties"])

    def coerce(self, command: Command, type: CommandType) -> Command:
        """Return a command from XML, whose leaves are all strings, with each leaf coerced to its declared type.

        Undeclared leaves stay strings.
        """
        return self._reader(type).read(command)

    def validate(self, command: Command, type: CommandType, most: int = MAX_FAULTS) -> list[Fault]:
        """Return the faults of a typed command; pointers are into the command. A null is not checked as a value.

        Return at most `most` faults of each kind of rules.
        """
        plain, canonical = merge_operations(command, "set"), self._canonical(type)
        if plain is command and canonical.accepts(command) and self._constraints.accepts(command):
            # Most commands: without functions, and valid.
            faults = matching.match_faults(command["match"], self.tables)
        else:
            faults = self._faults(command, plain, canonical, most)
        return [*faults, *(undeclared_faults(command, self._database) if self._database.closed else ())]

    def accepts_subscription(self, one: Any) -> bool:
        """Whether a subscription is right. Of one that is not, the verdict alone: words take five times as long."""
        update: Update = {"match": {"mode": "none", "values": {}}, "subscriptions": [one]}
        is_valid = self._canonical(CommandType.UPDATE).accepts(without_nulls(merge_operations(update, "set")))
        return is_valid and not self.validate(update, CommandType.UPDATE, 1)

    def _canonical(self, type: CommandType) -> Validator:
        """The validator of a command's type, compiled when the first such command comes."""
        if type not in self._validators:
            self._validators[type] = Validator(_command(type, PARTIAL_PROFILE), self._schemas)
        return self._validators[type]

    def _reader(self, type: CommandType) -> CommandCoercer:
        if type not in self._readers:
            self._readers[type] = CommandCoercer(self._declared, _command(type, PROFILE))
        return self._readers[type]

    def _faults(self, update: Command, plain: Command, canonical: Validator, most: int) -> list[Fault]:
        faults = canonical.faults(without_nulls(plain), most=most)
        told = {fault.pointer for fault in faults}
        further = self._constraints.faults(merge_operations(update, "set", "add", "set_first"), most=most)
        faults += [fault for fault in further if fault.pointer not in told]
        faults += self._misfits(update)
        if not any(fault.pointer.startswith("/match") for fault in faults):
            faults += matching.match_faults(update["match"], self.tables)
        return [point_to_field(fault, update) for fault in faults]

    def validate_profile(self, document: Document, before: Document) -> list[Fault]:
        """Every fault of a document about to be stored; pointers are as if it stood at an update's `/profile`.

        What it shares (`is`) with the document before was checked then: no rule of a profile spans two members.
        """
        changed = {name: value for name, value in document.items() if value is not before.get(name)}
        if "custom" not in document or "custom" in changed:
            # Own fields that are required are missing too where there is no own field at all.
            changed.setdefault("custom", {})
        return self._profile.faults(changed, "/profile")

    def _misfits(self, update: Update) -> Iterable[Fault]:
        """The functions that the declared type of their field has no use for."""
        yield from self._misfits_of(update, IN_PROFILE, "/profile")
        edits = update.get("subscriptions")
        for index, subscription in enumerate(edits if isinstance(edits, list) else ()):
            if isinstance(subscription, dict) and "operations" in subscription:
                declared = {"properties": {"custom_fields": self._declared.fields_of(subscription)}}
                yield from self._misfits_of(subscription, declared, join_pointer("subscriptions", index))

    def _misfits_of(self, holder: Mapping[str, Any], declared: JSONSchema, at: str) -> Iterable[Fault]:
        for operation in holder.get("operations", ()):
            field = self._declared.field(operation, declared)
            if reason := mismatch(operation["function"], field, self._declared.flat(field.get("items", {}))):
                yield Fault("invalid_function", reason, at + operation["pointer"])


coerce_integer = leaf_coercer(("integer",), plain=False)
"""Reads a leaf that is an integer wherever it stands, such as the id of the database that declares the others."""


def _command(type: CommandType, profile: str) -> JSONSchema:
    """The schema of a command; an update's patch has the schema at the URI `profile`."""
    schema = {"$ref": command_uri(type)}
    return {**schema, "properties": {"profile": {"$ref": profile}}} if type is CommandType.UPDATE else schema


def _own_fields(database: Database) -> dict[str, Any]:
    own = {"type": "object", "properties": {}, **database.fields}
    return {**own, "additionalProperties": False} if database.closed else own


def _subscription(database: Database) -> dict[str, Any]:
    """The schema of a subscription, with the types that each resource declares for its own fields."""
    declared = [
        {
            "if": {"properties": {"resource_id": {"const": resource.id}}, "required": ["resource_id"]},
            "then": {"properties": {"custom_fields": {"properties": resource.fields.get("properties", {})}}},
        }
        for resource in database.resources.values()
    ]
    base = load_schema("subscription")
    return {**base, "allOf": [*base["allOf"], *declared]}

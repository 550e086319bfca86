"""Reads an update whose leaves are all text: each leaf by the type that is declared of its place.

It works on the update that it is given, and judges nothing: what cannot be read stays text.
"""

import functools
from collections.abc import Mapping
from typing import Any

from gateway.core.model import Command
from gateway.core.pointer import split_pointer
from gateway.schema.coercion import Coercer, array_coercer, enum_coercer, leaf_coercer, object_coercer
from gateway.schema.declarations import IN_PROFILE, Declarations
from gateway.schema.validation import JSONSchema


class CommandCoercer:
    """Reads the commands of one type in one database."""

    def __init__(self, declared: Declarations, schema: JSONSchema) -> None:
        self._declared = declared
        self._read = self._reader(schema)

    def read(self, command: Command) -> Command:
        """The command with its leaves typed; undeclared ones stay strings."""
        typed: Command = self._read(command)
        self._read_match(typed.get("match", {}))
        profile = typed.pop("profile", None) or {}
        self._read_operations(typed, profile, IN_PROFILE)
        for operation in typed.get("patch") or ():
            self._read_patch(operation)
        for subscription in typed.get("subscriptions") or ():
            self._read_subscription(subscription)
        return {**typed, "profile": profile} if profile else typed

    def _read_match(self, match: dict[str, Any]) -> None:
        """A match by an own field has that field's type."""
        values = match.get("values", {})
        if match.get("mode") == "custom" and "field_value" in values:
            declared = self._declared.member(self._declared.member(IN_PROFILE, "custom"), str(values.get("field_name")))
            values["field_value"] = self._reader(declared)(values["field_value"])

    def _read_patch(self, operation: Any) -> None:
        """A JSON Patch's value has the type of its place in canonical form."""
        if isinstance(operation, dict) and "pointer" in operation:
            operation["value"] = self._reader(self._declared.field(operation, IN_PROFILE))(operation["value"])

    def _read_subscription(self, subscription: Any) -> None:
        if not isinstance(subscription, dict):
            return
        fields = self._declared.fields_of(subscription)
        if "custom_fields" in subscription:
            subscription["custom_fields"] = self._reader({"type": "object", **fields})(subscription["custom_fields"])
        if "operations" in subscription:
            self._read_operations(subscription, subscription, {"properties": {"custom_fields": fields}})

    def _read_operations(self, holder: dict[str, Any], patch: dict[str, Any], declared: JSONSchema) -> None:
        """Reads each operation's value; what turns out to set no object belongs to the merge patch.

        A list's single element looks like an object until its field's type is known.
        """
        operations = holder.pop("operations", ())
        for operation in operations:
            operation["value"] = self._operand_reader(operation, declared)(operation["value"])
        plain = [each for each in operations if each["function"] == "set" and not isinstance(each["value"], dict)]
        for operation in plain:
            *path, name = split_pointer(operation["pointer"])
            functools.reduce(lambda inner, step: inner.setdefault(step, {}), path, patch)[name] = operation["value"]
        if kept := [operation for operation in operations if operation not in plain]:
            holder["operations"] = kept

    def _operand_reader(self, operation: Mapping[str, Any], declared: JSONSchema) -> Coercer:
        declared = self._declared.field(operation, declared)
        match operation["function"]:
            case "incr":
                declared = {"type": "number"}
            case "add" | "delete" | "set_first":
                declared = {"type": "array", **declared}
            case "upsert" if "items" in declared and isinstance(operation["value"], dict):
                declared = declared["items"]
            case "upsert":
                declared = self._at_submatch(declared, operation.get("submatch", ""))
        return self._reader(declared)

    def _at_submatch(self, declared: JSONSchema, submatch: str) -> JSONSchema:
        declared = declared.get("items", declared)
        for name in submatch.split("."):
            declared = self._declared.member(declared, name)
        return declared

    def _reader(self, schema: JSONSchema | bool) -> Coercer:
        schema = self._declared.flat(schema)
        if "enum" in schema:
            return enum_coercer(schema["enum"])
        types = schema.get("type", ())
        types = [name for name in ([types] if isinstance(types, str) else types) if name != "null"]
        if types[:1] == ["object"]:
            members = {name: self._reader(member) for name, member in schema.get("properties", {}).items()}
            return object_coercer(members, self._reader(schema.get("additionalProperties", True)))
        if types[:1] == ["array"]:
            return array_coercer(self._reader(schema.get("items", True)))
        return leaf_coercer(tuple(types), plain="format" not in schema)

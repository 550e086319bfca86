"""Coerces a command whose leaves are all text: each leaf to the declared type of its place.

It changes the command in place. A leaf that cannot be coerced stays text.
"""

import functools
from collections.abc import Mapping
from typing import Any

from gateway.core.model import Command
from gateway.core.pointer import split_pointer
from gateway.schema.coercion import (
    Coercer,
    array_coercer,
    enum_coercer,
    leaf_coercer,
    object_coercer,
    unchanged,
    undeclared_value,
)
from gateway.schema.declarations import IN_PROFILE, Declarations
from gateway.schema.validation import JSONSchema

_TRIMMED = frozenset({"x-identifier", "x-address"})
"""The annotations of values that name a profile or a subscription. White space around them is formatting."""


class CommandCoercer:
    """Coerces commands of one type in one database. `empty_object` is what an empty element of an object becomes."""

    def __init__(
        self, declarations: Declarations, schema: JSONSchema, empty_object: Mapping[str, Any] | None = None
    ) -> None:
        self._declarations = declarations
        self._empty_object = empty_object
        self._coerce = self._coercer(schema)

    def coerce(self, command: Command) -> Command:
        """Return the command with typed leaves; undeclared leaves stay strings."""
        typed: Command = self._coerce(command)
        self._coerce_match(typed.get("match", {}))
        profile = typed.pop("profile", None) or {}
        self._coerce_operations(typed, profile, IN_PROFILE)
        for operation in typed.get("patch") or ():
            self._coerce_patch(operation)
        for subscription in typed.get("subscriptions") or ():
            self._coerce_subscription(subscription)
        coerced: Command = undeclared_value({**typed, "profile": profile} if profile else typed)
        return coerced

    def _coerce_match(self, match: dict[str, Any]) -> None:
        """Coerce the value of a match by an own field to the type of that field."""
        values = match.get("values", {})
        if match.get("mode") == "custom" and "field_value" in values:
            declared = self._declarations.member(
                self._declarations.member(IN_PROFILE, "custom"), str(values.get("field_name"))
            )
            if declared.get("type") != "array":  # tags are one text, separated by commas
                values["field_value"] = self._coercer(declared)(values["field_value"])

    def _coerce_patch(self, operation: Any) -> None:
        """Coerce the value of a JSON Patch operation to the type of its place in the canonical form."""
        if isinstance(operation, dict) and "pointer" in operation:
            operation["value"] = self._coercer(self._declarations.field(operation, IN_PROFILE))(operation["value"])

    def _coerce_subscription(self, subscription: Any) -> None:
        if not isinstance(subscription, dict):
            return
        fields = self._declarations.subscription_fields(subscription)
        if "custom_fields" in subscription:
            subscription["custom_fields"] = self._coercer({"type": "object", **fields})(subscription["custom_fields"])
        if "operations" in subscription:
            self._coerce_operations(subscription, subscription, {"properties": {"custom_fields": fields}})

    def _coerce_operations(self, holder: dict[str, Any], patch: dict[str, Any], declared: JSONSchema) -> None:
        """Coerce the values of operations. A `set` whose value is no object moves into the merge patch.

        The single element of a list looks like an object. Only the type of its field distinguishes them.
        """
        operations = holder.pop("operations", ())
        for operation in operations:
            operation["value"] = self._operand_coercer(operation, declared)(operation["value"])
        plain = [each for each in operations if each["function"] == "set" and not isinstance(each["value"], dict)]
        for operation in plain:
            *path, name = split_pointer(operation["pointer"])
            functools.reduce(lambda inner, step: inner.setdefault(step, {}), path, patch)[name] = operation["value"]
        if kept := [operation for operation in operations if operation not in plain]:
            holder["operations"] = kept

    def _operand_coercer(self, operation: Mapping[str, Any], declared: JSONSchema) -> Coercer:
        declared = self._declarations.field(operation, declared)
        match operation["function"]:
            case "incr":
                declared = {"type": "number"}
            case "add" | "delete" | "set_first":
                declared = {"type": "array", **declared}
            case "upsert" if "items" in declared and isinstance(operation["value"], dict):
                declared = declared["items"]
            case "upsert":
                declared = self._at_submatch(declared, operation.get("submatch", ""))
            case "set" if "object_only" in operation and declared.get("type") == "array":
                return unchanged  # No list with one element: validation rejects it.
        return self._coercer(declared)

    def _at_submatch(self, declared: JSONSchema, submatch: str) -> JSONSchema:
        declared = declared.get("items", declared)
        for name in submatch.split("."):
            declared = self._declarations.member(declared, name)
        return declared

    def _coercer(self, schema: JSONSchema | bool) -> Coercer:
        schema = self._declarations.resolve(schema)
        if "enum" in schema:
            return enum_coercer(schema["enum"])
        types = schema.get("type", ())
        types = [name for name in ([types] if isinstance(types, str) else types) if name != "null"]
        if types[:1] == ["object"]:
            members = {name: self._coercer(member) for name, member in schema.get("properties", {}).items()}
            return object_coercer(members, self._coercer(schema.get("additionalProperties", True)), self._empty_object)
        if types[:1] == ["array"]:
            return array_coercer(self._coercer(schema.get("items", True)))
        return leaf_coercer(tuple(types), "format" not in schema, not _TRIMMED.isdisjoint(schema))

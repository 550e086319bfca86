"""The canonical form of one database: reads untyped leaves by their declared type, then checks.

`schemas/` is its one description. This room changes no meaning: what cannot be read stays as it is and is refused.
"""

import functools
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from importlib.resources import files
from typing import Any

from gateway.core import matching
from gateway.core.faults import Fault
from gateway.core.model import Database, Document, Update
from gateway.core.pointer import names_in, pointer_to
from gateway.schema.checking import Checker, JSONSchema
from gateway.schema.fitting import misfit
from gateway.schema.reading import Reader, array_reader, enum_reader, leaf_reader, object_reader

UPDATE, PROFILE, SUBSCRIPTION = (f"urn:profile-gateway:{name}" for name in ("update", "profile", "subscription"))


@functools.cache
def published(name: str) -> dict[str, Any]:
    """The schema of that name in `schemas/`; not to be changed."""
    found: dict[str, Any] = json.loads((files("gateway") / "schemas" / f"{name}.schema.json").read_text())
    return found


class Form:
    """The canonical form in one database, under one dialect's constraints (a JSON Schema over updates, or {})."""

    def __init__(self, database: Database, constraints: JSONSchema) -> None:
        self._database = database
        own = _own_fields(database)
        profile = _laid_over(published("profile"), {"properties": {"custom": own}})
        partial = {**_laid_over(profile, {"properties": {"custom": {"required": []}}}), "$id": f"{PROFILE}:partial"}
        self._schemas = {UPDATE: published("update"), SUBSCRIPTION: _subscription(database), PROFILE: profile}
        known = {**self._schemas, f"{PROFILE}:partial": partial}
        self._canonical = Checker({"$ref": UPDATE, "properties": {"profile": {"$ref": f"{PROFILE}:partial"}}}, known)
        self._constraints = Checker(constraints, known)
        self._profile = Checker({"$ref": PROFILE}, known)
        self._schemas[PROFILE] = _laid_over(profile, constraints.get("properties", {}).get("profile", {}))
        self._read = self._reader({"$ref": UPDATE, "properties": {"profile": {"$ref": PROFILE}}})
        self.identifiers = tuple(name for name, field in own["properties"].items() if _identifies(field))

    def read(self, update: Update) -> Update:
        """An update whose leaves are all strings (from XML), each read by its declared type; undeclared ones stay."""
        typed: Update = self._read(update)
        self._read_match(typed.get("match", {}))
        profile = typed.pop("profile", None) or {}
        self._read_operations(typed, profile, {"$ref": PROFILE})
        for operation in _list(typed.get("patch")):
            self._read_patch(operation)
        for subscription in typed.get("subscriptions") or ():
            self._read_subscription(subscription)
        return {**typed, "profile": profile} if profile else typed

    def check(self, update: Update) -> list[Fault]:
        """Every fault of a typed update; pointers are into the update. What a null clears is not judged as a value."""
        faults = self._canonical.faults(_present_in(_written_plainly(update, "set")))
        faults += self._constraints.faults(_written_plainly(update, "set", "add", "lead"))
        faults += self._misfits(update)
        if not any(fault.pointer.startswith("/match") for fault in faults):
            faults += matching.faults(update["match"], self.identifiers)
        faults = [_where_it_works(fault, update) for fault in faults]
        return [*faults, *(self._unknown_references(update) if self._database.closed else ())]

    def check_profile(self, document: Document) -> list[Fault]:
        """Every fault of a document about to be stored; pointers are as if it stood at an update's `/profile`."""
        # Own fields that are required are missing too where there is no own field at all.
        return self._profile.faults({"custom": {}, **document}, "/profile")

    def _misfits(self, update: Update) -> Iterable[Fault]:
        """The functions that the declared type of their field has no use for."""
        yield from self._misfits_of(update, {"$ref": PROFILE}, "/profile")
        for index, subscription in enumerate(_list(update.get("subscriptions"))):
            if isinstance(subscription, dict) and "operations" in subscription:
                declared = {"properties": {"custom_fields": self._fields_of(subscription)}}
                yield from self._misfits_of(subscription, declared, pointer_to("subscriptions", index))

    def _misfits_of(self, holder: Mapping[str, Any], declared: JSONSchema, at: str) -> Iterable[Fault]:
        for operation in holder.get("operations", ()):
            field = self._field(operation, declared)
            if operation["function"] != "set" and self._is_unknown(names_in(operation["pointer"])):
                yield Fault("unknown_field", pointer=at + operation["pointer"])
            if reason := misfit(operation["function"], field, self._flat(field.get("items", {}))):
                yield Fault("invalid_function", reason, at + operation["pointer"])

    # --- what a closed database does not declare ---

    def _is_unknown(self, names: list[str]) -> bool:
        own = self._database.fields.get("properties", {})
        return self._database.closed and names[:1] == ["custom"] and any(name not in own for name in names[1:2])

    def _unknown_references(self, update: Update) -> Iterable[Fault]:
        custom = update.get("profile", {}).get("custom")
        for name, value in custom.items() if isinstance(custom, dict) else ():
            # The check sees every other value, but not what a null clears.
            if value is None and self._is_unknown(["custom", name]):
                yield Fault("unknown_field", pointer=pointer_to("profile", "custom", name))
        for action, ids in update.get("segments", {}).items():
            for index, id in enumerate(_list(ids)):
                if isinstance(id, int | str) and id not in self._database.segments:
                    yield Fault("unknown_segment", f"there is no segment {id}", pointer_to("segments", action, index))
        for index, subscription in enumerate(_list(update.get("subscriptions"))):
            if isinstance(subscription, dict) and isinstance(subscription.get("resource_id"), int):
                yield from self._unknown_in(subscription, pointer_to("subscriptions", index))

    def _unknown_in(self, subscription: Mapping[str, Any], at: str) -> Iterable[Fault]:
        resource = self._database.resources.get(subscription["resource_id"])
        if resource is None:
            yield Fault("unknown_resource", f"there is no resource {subscription['resource_id']}", f"{at}/resource_id")
            return
        if any(category not in resource.categories for category in _list(subscription.get("cats"))):
            yield Fault("unknown_category", pointer=f"{at}/cats")
        declared = resource.fields.get("properties", {})
        operations = (names_in(operation["pointer"])[-1] for operation in subscription.get("operations", ()))
        written = subscription.get("custom_fields")
        for name in (*(written if isinstance(written, dict) else ()), *operations):
            if name not in declared and not name.startswith("_"):
                yield Fault("unknown_field", pointer=f"{at}/custom_fields{pointer_to(name)}")

    # --- reading by declared type ---

    def _read_match(self, match: dict[str, Any]) -> None:
        """A match by an own field has that field's type."""
        values = match.get("values", {})
        if match.get("mode") == "custom" and "field_value" in values:
            declared = self._member(self._member({"$ref": PROFILE}, "custom"), str(values.get("field_name")))
            values["field_value"] = self._reader(declared)(values["field_value"])

    def _read_patch(self, operation: Any) -> None:
        """A JSON Patch's value has the type of its place in canonical form."""
        if isinstance(operation, dict) and "pointer" in operation:
            operation["value"] = self._reader(self._field(operation, {"$ref": PROFILE}))(operation["value"])

    def _read_subscription(self, subscription: Any) -> None:
        if not isinstance(subscription, dict):
            return
        fields = self._fields_of(subscription)
        if "custom_fields" in subscription:
            subscription["custom_fields"] = self._reader({"type": "object", **fields})(subscription["custom_fields"])
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
            *path, name = names_in(operation["pointer"])
            functools.reduce(lambda inner, step: inner.setdefault(step, {}), path, patch)[name] = operation["value"]
        if kept := [operation for operation in operations if operation not in plain]:
            holder["operations"] = kept

    def _operand_reader(self, operation: Mapping[str, Any], declared: JSONSchema) -> Reader:
        declared = self._field(operation, declared)
        match operation["function"]:
            case "incr":
                declared = {"type": "number"}
            case "add" | "delete" | "lead":
                declared = {"type": "array", **declared}
            case "upsert" if "items" in declared and isinstance(operation["value"], dict):
                declared = declared["items"]
            case "upsert":
                declared = self._at_submatch(declared, operation.get("submatch", ""))
        return self._reader(declared)

    def _at_submatch(self, declared: JSONSchema, submatch: str) -> JSONSchema:
        declared = declared.get("items", declared)
        for name in submatch.split("."):
            declared = self._member(declared, name)
        return declared

    def _field(self, operation: Mapping[str, Any], declared: JSONSchema) -> JSONSchema:
        """What is declared of the field that an operation is for."""
        for name in names_in(operation["pointer"]):
            declared = self._member(declared, name)
        return self._flat(declared)

    def _fields_of(self, subscription: Mapping[str, Any]) -> JSONSchema:
        """What the resource of a subscription declares of its own fields."""
        id = subscription.get("resource_id")
        resource = self._database.resources.get(id) if isinstance(id, int) else None
        return dict(resource.fields) if resource else {}

    def _member(self, schema: JSONSchema, name: str) -> JSONSchema:
        declared = self._flat(schema)
        others = declared.get("additionalProperties", declared.get("items", {}))
        return self._flat(declared.get("properties", {}).get(name, others))

    def _flat(self, schema: JSONSchema | bool) -> JSONSchema:
        """A schema with what it refers to laid under it; a boolean schema declares no type."""
        if isinstance(schema, bool):
            return {}
        if "$ref" not in schema:
            return schema
        own = {key: value for key, value in schema.items() if key != "$ref"}
        return _laid_over(self._flat(self._referred(schema["$ref"])), own)

    def _referred(self, reference: str) -> JSONSchema:
        uri, _, fragment = reference.partition("#")
        found: Any = self._schemas[uri or UPDATE]
        for name in names_in(fragment):
            found = found[name]
        referred: JSONSchema = found
        return referred

    def _reader(self, schema: JSONSchema | bool) -> Reader:
        schema = self._flat(schema)
        if "enum" in schema:
            return enum_reader(schema["enum"])
        types = schema.get("type", ())
        types = [name for name in ([types] if isinstance(types, str) else types) if name != "null"]
        if types[:1] == ["object"]:
            members = {name: self._reader(member) for name, member in schema.get("properties", {}).items()}
            return object_reader(members, self._reader(schema.get("additionalProperties", True)))
        if types[:1] == ["array"]:
            return array_reader(self._reader(schema.get("items", True)))
        return leaf_reader(tuple(types), plain="format" not in schema)


integer = leaf_reader(("integer",), plain=False)
"""Reads a leaf that is an integer wherever it stands, such as the id of the database that declares the others."""


def _identifies(field: JSONSchema | bool) -> bool:
    return isinstance(field, dict) and field.get("x-identifier") is True


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
    base = published("subscription")
    return {**base, "allOf": [*base["allOf"], *declared]}


def _laid_over(base: JSONSchema, over: JSONSchema) -> dict[str, Any]:
    """A schema with another's keywords over it, member by member."""
    merged = dict(base)
    for key, value in over.items():
        below = merged.get(key)
        merged[key] = _laid_over(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return merged


def _where_it_works(fault: Fault, update: Update) -> Fault:
    """A fault of an operation, told of the field that the operation is for."""
    names = names_in(fault.pointer)
    if "operations" not in names[:3:2] or len(names) < 2:
        return fault
    *before, _, index = names[: names.index("operations") + 2]
    holder = update["subscriptions"][int(before[1])] if before else update
    operation = holder["operations"][int(index)]
    base = pointer_to(*before) if before else "/profile"
    return replace(fault, code="invalid_function", pointer=base + str(operation.get("pointer", "")))


def _written_plainly(update: Update, *functions: str) -> Update:
    """An update whose merge patches also hold what these functions bring, so that it is judged like a plain value."""
    judged = {**update, "profile": _with_brought(update.get("profile", {}), update, functions)}
    if isinstance(edits := update.get("subscriptions"), list):
        judged["subscriptions"] = [
            _with_brought(edit, edit, functions) if isinstance(edit, dict) else edit for edit in edits
        ]
    return judged


def _with_brought(patch: Any, holder: Mapping[str, Any], functions: Sequence[str]) -> Any:
    for operation in holder.get("operations", ()):
        if operation["function"] in functions:
            way_up = reversed(names_in(operation["pointer"]))
            patch = _laid_over(patch, functools.reduce(lambda inner, name: {name: inner}, way_up, operation["value"]))
    return patch


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _present_in(update: Update) -> Update:
    """An update whose merge patches (RFC 7396) have lost the members that they clear."""
    judged = dict(update)
    if isinstance(profile := update.get("profile"), dict):
        judged["profile"] = _present(profile)
    if isinstance(subscriptions := update.get("subscriptions"), list):
        judged["subscriptions"] = [_present(one) for one in subscriptions]
    return judged


def _present(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    if None in value.values():
        value = {name: member for name, member in value.items() if member is not None}
    inner = {name: _present(member) for name, member in value.items() if isinstance(member, dict)}
    return {**value, **inner} if inner else value

"""The canonical form of one database: reads untyped leaves by their declared type, then checks.

`schemas/` is its one description. This room changes no meaning: what cannot be read stays as it is and is refused.
"""

import functools
import json
from collections.abc import Iterable, Mapping
from importlib.resources import files
from typing import Any

from gateway.core import matching
from gateway.core.faults import Fault
from gateway.core.model import Database, Document, Update
from gateway.core.pointer import join_pointer
from gateway.schema.coercion import leaf_reader
from gateway.schema.declarations import IN_PROFILE, PROFILE, SUBSCRIPTION, UPDATE, Declared, laid_over
from gateway.schema.function_types import misfit
from gateway.schema.undeclared import unknown
from gateway.schema.update_coercion import UpdateReader
from gateway.schema.validation import MOST_FAULTS, JSONSchema, Validator
from gateway.schema.validation_view import present_in, where_it_works, written_plainly

PARTIAL = f"{PROFILE}:partial"


@functools.cache
def published(name: str) -> dict[str, Any]:
    """The schema of that name in `schemas/`; not to be changed."""
    found: dict[str, Any] = json.loads((files("gateway") / "schemas" / f"{name}.schema.json").read_text())
    return found


class CompiledSchema:
    """The canonical form in one database, under one dialect's constraints (a JSON Schema over updates, or {})."""

    def __init__(self, database: Database, constraints: JSONSchema) -> None:
        self._database = database
        own = _own_fields(database)
        profile = laid_over(published("profile"), {"properties": {"custom": own}})
        partial = {**laid_over(profile, {"properties": {"custom": {"required": []}}}), "$id": PARTIAL}
        known = {UPDATE: published("update"), SUBSCRIPTION: _subscription(database), PROFILE: profile, PARTIAL: partial}
        self._canonical = Validator({"$ref": UPDATE, "properties": {"profile": {"$ref": PARTIAL}}}, known)
        self._constraints = Validator(constraints, known)
        self._profile = Validator(IN_PROFILE, known)
        constrained = laid_over(profile, constraints.get("properties", {}).get("profile", {}))
        self._declared = Declared({**known, PROFILE: constrained}, database.resources)
        self._reader = UpdateReader(self._declared)
        self.identifiers = tuple(name for name, field in own["properties"].items() if _identifies(field))

    def read(self, update: Update) -> Update:
        """An update whose leaves are all strings (from XML), each read by its declared type; undeclared ones stay."""
        return self._reader.read(update)

    def check(self, update: Update, most: int = MOST_FAULTS) -> list[Fault]:
        """The faults of a typed update; pointers are into the update. What a null clears is not judged as a value.

        Of each kind of rules, so many are told at most.
        """
        plain = written_plainly(update, "set")
        if plain is update and self._canonical.accepts(update) and self._constraints.accepts(update):
            # What most are: without functions, and well as it stands.
            faults = matching.faults(update["match"], self.identifiers)
        else:
            faults = self._faults(update, plain, most)
        return [*faults, *(unknown(update, self._database) if self._database.closed else ())]

    def accepts_subscription(self, one: Any) -> bool:
        """Whether a subscription is right. Of one that is not, the verdict alone: words take five times as long."""
        update: Update = {"match": {"mode": "none", "values": {}}, "subscriptions": [one]}
        return self._canonical.accepts(present_in(written_plainly(update, "set"))) and not self.check(update, 1)

    def _faults(self, update: Update, plain: Update, most: int) -> list[Fault]:
        faults = self._canonical.faults(present_in(plain), most=most)
        told = {fault.pointer for fault in faults}
        further = self._constraints.faults(written_plainly(update, "set", "add", "set_first"), most=most)
        faults += [fault for fault in further if fault.pointer not in told]
        faults += self._misfits(update)
        if not any(fault.pointer.startswith("/match") for fault in faults):
            faults += matching.faults(update["match"], self.identifiers)
        return [where_it_works(fault, update) for fault in faults]

    def check_profile(self, document: Document, before: Document) -> list[Fault]:
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
            if reason := misfit(operation["function"], field, self._declared.flat(field.get("items", {}))):
                yield Fault("invalid_function", reason, at + operation["pointer"])


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

"""The faults of a command that its table does not accept: their words, their pointers and their order."""

from collections.abc import Iterable, Mapping
from typing import Any

from gateway.core import matching
from gateway.core.faults import Fault
from gateway.core.model import Command, Database, Update
from gateway.core.pointer import join_pointer
from gateway.core.profile_tables import ProfileTables
from gateway.core.segments import archived_segments
from gateway.schema.declarations import IN_PROFILE, Declarations
from gateway.schema.function_types import mismatch
from gateway.schema.undeclared import archived_faults, undeclared_faults
from gateway.schema.validation import JSONSchema, Validator
from gateway.schema.validation_view import merge_operations, point_to_field, without_nulls


class Explanation:
    """Explains refusals. `canonical` and `constraints` are the validators of the commands of one type."""

    def __init__(
        self,
        canonical: Validator,
        constraints: Validator,
        declarations: Declarations,
        tables: ProfileTables,
        database: Database,
    ) -> None:
        self._canonical = canonical
        self._constraints = constraints
        self._declarations = declarations
        self._tables = tables
        self._database = database

    def faults(self, command: Command, limit: int) -> list[Fault]:
        """Return the faults of a typed command; pointers are into the command. A null is not checked as a value.

        Return at most `limit` faults of each kind of rules.
        """
        plain = merge_operations(command, "set")
        if plain is command and self._canonical.accepts(command) and self._constraints.accepts(command):
            faults = matching.match_faults(command["match"], self._tables)
        else:
            faults = self._faults(command, plain, limit)
        faults += undeclared_faults(command, self._database) if self._database.closed else ()
        return [*faults, *archived_faults(command, archived_segments(self._database.segments))]

    def accepts(self, update: Update) -> bool:
        """Whether an update is valid. It finds no faults by the canonical form, which takes five times as long."""
        is_canonical = self._canonical.accepts(without_nulls(merge_operations(update, "set")))
        return is_canonical and not self.faults(update, 1)

    def _faults(self, update: Command, plain: Command, limit: int) -> list[Fault]:
        faults = self._canonical.faults(without_nulls(plain), limit=limit)
        pointers = {fault.pointer for fault in faults}
        further = self._constraints.faults(merge_operations(update, "set", "add", "set_first"), limit=limit)
        faults += [fault for fault in further if fault.pointer not in pointers]
        function_faults = list(self._function_faults(update))
        rejected = {fault.pointer for fault in function_faults}
        faults = [*(fault for fault in faults if fault.pointer not in rejected), *function_faults]
        if not any(fault.pointer.startswith("/match") for fault in faults):
            faults += matching.match_faults(update["match"], self._tables)
        return [point_to_field(fault, update) for fault in faults]

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

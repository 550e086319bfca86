"""The profiles of a database as rows of a file, in a dialect. One export is one snapshot."""

import json
from collections.abc import AsyncIterator, Callable, Collection, Iterable
from typing import Any

from gateway.core.faults import Refusal
from gateway.core.model import CommandType, Database, Position, Profile
from gateway.core.tombstones import Pseudonym
from gateway.dialects.protocol import FileRows
from gateway.dialects.row_members import flatten
from gateway.schema.compiled import CompiledSchema
from gateway.service.command_validation import validate_command
from gateway.service.effective_consent import with_consent
from gateway.stores.protocol import Snapshot, Store
from gateway.transfer.formats.csv import JSON_SUFFIX

GROUP_PROFILES = 500
"""Profiles whose facts about addresses are read at once."""

JOURNAL_PAGE = 1_000
"""Entries of the journal that are read at once."""

WHITE_SPACE = " \t\r\n"


async def changed_profiles(store: Store, database: int, after: Position, until: Position) -> set[str]:
    """Return the ids of the profiles that changed after a position of the journal, up to another one."""
    ids: set[str] = set()
    while entries := await store.journal(database, after, JOURNAL_PAGE):
        ids.update(entry.profile for entry in entries if entry.position <= until)
        after = entries[-1].position
        if after >= until:
            break
    return ids


class FileExport:
    """One export.

    `segment` is the static segment that its profiles belong to, `ids` are their ids; None: every profile. If
    `is_flat`, the members of objects are members of the rows.
    """

    def __init__(
        self,
        store: Store,
        snapshot: Snapshot,
        database: Database,
        rows: FileRows,
        schema: CompiledSchema,
        pseudonym: Pseudonym | None,
        segment: int | None = None,
        ids: Collection[str] | None = None,
        *,
        is_flat: bool = False,
    ) -> None:
        self._store = store
        self._snapshot = snapshot
        self._database = database
        self._rows = rows
        self._schema = schema
        self._pseudonym = pseudonym
        self._segment = segment
        self._ids = ids
        self._objects = rows.objects if is_flat else ()

    async def rows(self) -> AsyncIterator[tuple[str, dict[str, Any]]]:
        """Return the id and the row of each profile, by id.

        A subscription has the strictest status that applies to its address, so that no import lifts an opt-out.
        """
        group: list[Profile] = []
        async for profile in self._snapshot.profiles(self._database.id):
            if self._is_selected(profile):
                group.append(profile)
            if len(group) == GROUP_PROFILES:
                for row in await self._render(group):
                    yield row
                group = []
        for row in await self._render(group):
            yield row

    async def columns(self, progress: Callable[[int], object]) -> list[str]:
        """Return the columns of a CSV file: those of texts and of values that their field's type makes of a text.

        The others have JSON. They depend on all rows.
        """
        scan = _ColumnScan(self._rows, self._database, self._schema)
        async for _, row in self.rows():
            scan.add(row)
            progress(1)
        return scan.columns()

    def _is_selected(self, profile: Profile) -> bool:
        if self._ids is not None and profile.id not in self._ids:
            return False
        return self._segment is None or self._segment in profile.document.get("segments", ())

    async def _render(self, group: list[Profile]) -> Iterable[tuple[str, dict[str, Any]]]:
        profiles = await with_consent(self._store, self._database.id, self._schema.tables, group, self._pseudonym)
        return [(each.id, self._row(each)) for each in profiles if isinstance(each, Profile)]

    def _row(self, profile: Profile) -> dict[str, Any]:
        return flatten(self._rows.render(profile, self._database), self._objects)


def _exact_text(command: Any) -> str:
    """Return a text in which 1, 1.0 and true differ, and the order of members does not count."""
    return json.dumps(command, sort_keys=True, default=repr)


class _ColumnScan:
    """Finds the columns that have a text for each value, from which an import makes the same value."""

    def __init__(self, rows: FileRows, database: Database, schema: CompiledSchema) -> None:
        self._rows = rows
        self._database = database
        self._schema = schema
        self._is_plain: dict[str, bool] = {}
        self._types: dict[tuple[str, type], bool] = {}

    def add(self, row: dict[str, Any]) -> None:
        for name, value in row.items():
            self._is_plain[name] = self._is_plain.get(name, True) and self._is_exact(name, value)

    def columns(self) -> list[str]:
        # A name that ends as those of JSON columns do is one itself.
        vendors = [name for name in self._rows.names if name in self._is_plain]
        own = sorted(self._is_plain.keys() - vendors)
        return [
            name if self._is_plain[name] and not name.endswith(JSON_SUFFIX) else f"{name}{JSON_SUFFIX}"
            for name in (*vendors, *own)
        ]

    def _is_exact(self, name: str, value: Any) -> bool:
        if isinstance(value, str):
            return (value != "" and value == value.strip(WHITE_SPACE)) or self._is_same(name, value, value)
        if isinstance(value, list) and len(value) == 1 and isinstance(value[0], str):
            return self._is_same(name, value[0], value)
        if isinstance(value, dict | list) or value is None:
            return False
        key = name, type(value)
        if key not in self._types:
            text = str(value).lower() if isinstance(value, bool) else repr(value)
            self._types[key] = self._is_same(name, text, value)
        return self._types[key]

    def _is_same(self, name: str, text: str, value: Any) -> bool:
        """Whether a field gets the same value from a text and from the value itself."""
        untyped, typed = self._command({name: text}, False), self._command({name: value}, True)
        return not isinstance(typed, Refusal) and _exact_text(untyped) == _exact_text(typed)

    def _command(self, row: dict[str, Any], is_typed: bool) -> Any:
        rows = self._rows
        request = rows.request({**rows.smallest, **row}, {"db_id": self._database.id}, is_typed)
        [parsed] = rows.calls.get("add", rows.calls["import"]).parse(request).commands
        return validate_command(self._schema, parsed, CommandType.UPDATE, is_typed)

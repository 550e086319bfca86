"""Lines into a store, in groups. Each group is stored whole or not at all. A second load of a dump alters nothing.

A row that exists is ignored. A profile that exists and differs is rejected, kept or replaced, as the caller chooses.
The registry is never overwritten: the store itself decides what a token permits and what a field means.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from enum import StrEnum
from functools import partial

import orjson
from msgspec.structs import asdict

from gateway.core.faults import Refusal
from gateway.core.matching import ID, identity_changes
from gateway.core.model import (
    Address,
    AddressLedger,
    Change,
    Database,
    EditResult,
    Find,
    Identity,
    Ledger,
    Origin,
    Profile,
    Token,
    Write,
)
from gateway.core.profile_tables import ProfileTables
from gateway.core.restoring import restored_profile, united_ledger
from gateway.core.tombstones import Pseudonym
from gateway.schema.compiled import CompiledSchema
from gateway.schema.field_declarations import declaration_problems
from gateway.stores.consent_migration import ledgers_of_profiles
from gateway.stores.errors import Duplicate
from gateway.stores.protocol import Record, Store
from gateway.transfer.erased_rows import ErasedRows
from gateway.transfer.lines import AnyLine, DatabaseLine, DumpLine, DumpRow, EndLine, InvalidLine, parse_line, row_of

LEDGERS_FORMAT = 2
"""The format that has ledgers. For an older one they are derived from the profiles."""

MAX_GROUP_LINES, MAX_GROUP_BYTES = 200, 1 << 20
"""The size of a group: a load has no more lines in memory."""

NO_ORIGIN = Origin("", "", 0)
"""A load has no entries in the journal of its own: the dump contains them."""


class ExistingProfiles(StrEnum):
    """What happens to a profile that exists and differs."""

    REFUSE = "refuse"
    KEEP = "keep"
    REPLACE = "replace"


class RowConflict(Exception):
    """The store has another row with the same key."""


class Loader:
    """One load. `lines` is how many it has read, `new` is how many of them altered the store.

    `pseudonym` finds the tombstones of erased persons: rows of before their erasure are left out. `force` accepts own
    fields that do not conform to their declarations, as `database update --force` leaves them.
    """

    def __init__(
        self, store: Store, existing: ExistingProfiles, pseudonym: Pseudonym | None = None, *, force: bool = False
    ) -> None:
        self._pseudonym = pseudonym
        self.lines, self.new = 0, 0
        self._store = store
        self._existing, self._force = existing, force
        self._database: Database | None = None
        self._profiles: dict[int, Profile] = {}
        self._records: list[Record | AddressLedger] = []
        self._has_ledgers = True
        self._is_complete = False

    async def load(self, lines: Iterable[bytes], progress: Callable[[int], object]) -> None:
        """Store the lines. Call `progress` with the number of bytes of each group that is stored.

        Raises `InvalidLine` or `RowConflict`, whose message names the line. The groups before it are stored.
        """
        size = 0
        for self.lines, text in enumerate(lines, 1):
            await self._load_line(text)
            size += len(text)
            if len(self._profiles) + len(self._records) >= MAX_GROUP_LINES or size >= MAX_GROUP_BYTES:
                await self._flush()
                progress(size)
                size = 0
        await self._flush()
        progress(size)
        if not self._is_complete:
            raise InvalidLine(f"line {self.lines + 1}: it is missing, the dump was interrupted here")

    async def _load_line(self, text: bytes) -> None:
        with self._line_in_errors():
            line = parse_line(text)
        if isinstance(line, DatabaseLine):
            await self._flush()
        with self._line_in_errors():
            await self._add(line)

    @contextmanager
    def _line_in_errors(self) -> Iterator[None]:
        """Add the line's number to errors."""
        try:
            yield
        except (InvalidLine, RowConflict) as reason:
            raise type(reason)(f"line {self.lines}: {reason}") from None

    async def _add(self, line: AnyLine) -> None:
        """Check a line. Store a row of the registry; add any other row to the group."""
        if self._is_complete:
            raise InvalidLine("the dump has ended before it")
        if (self.lines == 1) != isinstance(line, DumpLine):
            raise InvalidLine("the first line of a dump, and no other, is of the kind dump")
        if isinstance(line, EndLine):
            self._end(line)
        elif isinstance(line, DumpLine):
            self._has_ledgers = line.format >= LEDGERS_FORMAT
        else:
            await self._add_row(line.database, row_of(line))

    def _end(self, line: EndLine) -> None:
        if line.lines != self.lines - 1:
            raise InvalidLine(f"{line.lines} lines were dumped, and {self.lines - 1} are before it")
        self._is_complete = True

    async def _add_row(self, database: int, row: DumpRow) -> None:
        if isinstance(row, Database):
            await self._begin(row)
        elif self._database is None or self._database.id != database:
            raise InvalidLine(f"it is not among the lines of database {database}")
        elif isinstance(row, Token):
            self.new += await self._add_token(row)
        elif isinstance(row, Profile):
            self._profiles[self.lines] = row
        else:
            self._records.append(row)

    # --- the registry ---

    async def _begin(self, database: Database) -> None:
        """Add a database where it does not exist. The next lines belong to it."""
        _check_fields(database)
        self.new += await self._add_database(database)
        self._database, self._schema = database, CompiledSchema(database, {})
        self._erased = ErasedRows(self._store, database.id, self._pseudonym, self._schema.tables)

    async def _add_database(self, database: Database) -> bool:
        try:
            await self._store.add_database(database)
        except Duplicate:
            existing = {each.id: each for each in await self._store.databases()}
            if database.id not in existing:
                raise RowConflict(f"the company id {database.company_id} is another database's") from None
            await self._add_parts(existing[database.id], database)
            return False
        return True

    async def _add_parts(self, existing: Database, database: Database) -> None:
        """Add the resources and segments that a database lacks. Raises `RowConflict` where it differs otherwise."""
        resources = {**database.resources, **existing.resources}
        segments = {**database.segments, **existing.segments}
        if database != replace(existing, resources=database.resources, segments=database.segments):
            raise RowConflict(f"database {database.id} is there already, and differs")
        if (resources, segments) != ({**resources, **database.resources}, {**segments, **database.segments}):
            raise RowConflict(f"a resource or segment of database {database.id} is there already, and differs")
        for resource in resources.keys() - existing.resources.keys():
            await self._store.add_resource(database.id, resources[resource])
        for segment in segments.keys() - existing.segments.keys():
            await self._store.add_segment(database.id, segments[segment])

    async def _add_token(self, token: Token) -> bool:
        """Add a token. A token that is revoked in the dump or in the store is revoked; the store's name stays."""
        try:
            await self._store.add_token(token)
        except Duplicate:
            existing = {each.hash: each for each in await self._store.tokens()}.get(token.hash)
            if existing is None or replace(existing, revoked=token.revoked, name=token.name) != token:
                raise RowConflict(f"token {token.id} is there already, and differs") from None
            if token.revoked and not existing.revoked:
                await self._store.revoke_token(token.id)
            return False
        return True

    # --- the content of a database ---

    async def _flush(self) -> None:
        """Store the group: first the ledgers, which the subscriptions of its profiles refer to."""
        if not (self._database and (self._profiles or self._records)):
            return
        database = self._database.id
        found = await self._erased.without_erased_records(self._records)
        ledgers = {each.address: each.ledger for each in found if isinstance(each, AddressLedger)}
        self.new += await self._put_ledgers(database, ledgers) if ledgers else 0
        new = await self._without_same(database, self._profiles)
        for line, profile in new.items():
            self._check(line, profile)
        new = await self._erased.without_erased_profiles(new)
        self.new += await self._put(database, new) if new else 0
        records = [each for each in found if not isinstance(each, AddressLedger)]
        self.new += await self._store.restore(database, records) if records else 0
        self._profiles, self._records = {}, []

    async def _put_ledgers(self, database: int, ledgers: Mapping[Address, Ledger]) -> int:
        """Unite ledgers with those of the store. Return how many that alters."""
        edit = partial(_put_ledgers, ledgers)
        [result] = await self._store.change([Change(database, (), edit, NO_ORIGIN)])
        assert isinstance(result, EditResult)
        return len(result.ledgers)

    async def _without_same(self, database: int, profiles: Mapping[int, Profile]) -> dict[int, Profile]:
        """Return the profiles that are missing or differ: only these are validated, which costs most of the time."""
        existing = {each.id: each for each in await self._store.find(database, _ids(profiles))}
        return {line: each for line, each in profiles.items() if not _is_same(existing.get(each.id), each)}

    def _check(self, line: int, profile: Profile) -> None:
        faults = self._schema.validate_profile(profile.document, {})
        if self._force:
            faults = [fault for fault in faults if not fault.pointer.startswith("/profile/custom/")]
        if faults:
            reasons = (f"{fault.pointer.removeprefix('/profile')}: {fault.detail}" for fault in faults)
            raise InvalidLine(f"line {line}: {'; '.join(reasons)}")

    async def _put(self, database: int, profiles: Mapping[int, Profile]) -> int:
        edit = partial(_put_profiles, profiles, self._has_ledgers, self._schema.tables, self._existing)
        [result] = await self._store.change([Change(database, _ids(profiles), edit, NO_ORIGIN)])
        if isinstance(result, Refusal):
            raise InvalidLine(f"lines {min(profiles)} to {max(profiles)}: {result}")
        return len(result.writes)


def _put_profiles(
    profiles: Mapping[int, Profile], has_ledgers: bool, tables: ProfileTables, existing: ExistingProfiles, find: Find
) -> EditResult:
    """The edit that writes profiles, by their lines, where they are missing or differ. Raises `RowConflict`."""
    stored = {each.id: each for each in find(_ids(profiles))}
    writes = []
    for line, profile in profiles.items():
        before = stored.get(profile.id)
        if before and (existing is ExistingProfiles.KEEP or _is_same(before, profile)):
            continue
        if before and existing is ExistingProfiles.REFUSE:
            raise RowConflict(f"line {line}: profile {profile.id} is there already, and differs")
        after = restored_profile(before, profile, tables) if before else profile
        if _is_same(before, after):
            continue
        gained, lost = identity_changes(before.document if before else {}, after.document, tables)
        writes.append(Write(before, after, gained, lost, members=None))
        stored[profile.id] = after
    loaded = [] if has_ledgers else [write.after for write in writes if write.after]
    return EditResult(None, tuple(writes), ledgers=ledgers_of_profiles(loaded, find.ledgers))


def _put_ledgers(ledgers: Mapping[Address, Ledger], find: Find) -> EditResult:
    """The edit that unites ledgers with those of the store."""
    stored = find.ledgers([*ledgers])
    united = {address: united_ledger(stored.get(address, Ledger()), each) for address, each in ledgers.items()}
    return EditResult(None, ledgers={key: each for key, each in united.items() if each != stored.get(key)})


def _ids(profiles: Mapping[int, Profile]) -> tuple[Identity, ...]:
    return tuple((ID, profile.id) for profile in profiles.values())


def _is_same(existing: Profile | None, profile: Profile) -> bool:
    """Compare two profiles byte by byte: in Python, 1 equals true."""
    return existing is not None and orjson.dumps(asdict(existing)) == orjson.dumps(asdict(profile))


def _check_fields(database: Database) -> None:
    fields = {"": database.fields, **{f"resource {it.id}: ": it.fields for it in database.resources.values()}}
    problems = [place + problem for place, each in fields.items() if each for problem in declaration_problems(each)]
    if problems:
        raise InvalidLine("; ".join(problems))

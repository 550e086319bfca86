"""From lines to a store, in groups: each group is kept whole or not at all, and loading again does no harm.

A row that is there already is passed over. A profile that is there and differs is refused, kept or replaced, as it was
asked for; the registry is never overwritten: what a token may do and what a field means is decided where the store is.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from enum import StrEnum
from functools import partial

import orjson
from msgspec.structs import asdict

from gateway.core.faults import Refusal
from gateway.core.matching import ID, identities
from gateway.core.model import Change, Database, EditResult, Find, Identity, Origin, Profile, Token, Write
from gateway.schema.compiled import CompiledSchema
from gateway.schema.field_declarations import problems_of
from gateway.stores.errors import Duplicate
from gateway.stores.protocol import Past, Store
from gateway.transfer.lines import AnyLine, BadLine, DatabaseLine, DumpLine, EndLine, Row, read, row_of

LARGEST_GROUP, LARGEST_GROUP_BYTES = 200, 1 << 20
"""How many lines go into one step, and how long they may be together: a load holds no more than these in memory."""

UNRECORDED = Origin("", "", 0)
"""Who loads is in no record: what is loaded brings its own."""


class Existing(StrEnum):
    """What becomes of a profile that is there already and differs."""

    REFUSE = "refuse"
    KEEP = "keep"
    REPLACE = "replace"


class Differs(Exception):
    """The store has another row in the place of one that is loaded."""


class Loading:
    """One load: how many lines it has read, and how many of them brought something new."""

    def __init__(self, store: Store, existing: Existing) -> None:
        self.lines, self.new = 0, 0
        self._store = store
        self._existing = existing
        self._database: Database | None = None
        self._profiles: dict[int, Profile] = {}
        self._past: list[Past] = []
        self._is_whole = False

    async def load(self, lines: Iterable[bytes], progress: Callable[[int], object]) -> None:
        """Keeps what the lines hold, and tells `progress` of the bytes of each group that is kept.

        Raises `BadLine` or `Differs`, which name the line; of those before it, whole groups are kept.
        """
        size = 0
        for self.lines, text in enumerate(lines, 1):
            with self._named():
                line = read(text)
            if isinstance(line, DatabaseLine):
                await self._keep()
            with self._named():
                await self._take(line)
            size += len(text)
            if len(self._profiles) + len(self._past) >= LARGEST_GROUP or size >= LARGEST_GROUP_BYTES:
                await self._keep()
                progress(size)
                size = 0
        await self._keep()
        progress(size)
        if not self._is_whole:
            raise BadLine(f"line {self.lines + 1}: it is missing, the dump was interrupted here")

    @contextmanager
    def _named(self) -> Iterator[None]:
        """Says of which line something is."""
        try:
            yield
        except (BadLine, Differs) as reason:
            raise type(reason)(f"line {self.lines}: {reason}") from None

    async def _take(self, line: AnyLine) -> None:
        """Judges a line; keeps what it says of the registry, and holds back the rest for its group."""
        if self._is_whole:
            raise BadLine("the dump has ended before it")
        if (self.lines == 1) != isinstance(line, DumpLine):
            raise BadLine("the first line of a dump, and no other, is of the kind dump")
        if isinstance(line, EndLine):
            self._end(line)
        elif not isinstance(line, DumpLine):
            await self._take_row(line.database, row_of(line))

    def _end(self, line: EndLine) -> None:
        if line.lines != self.lines - 1:
            raise BadLine(f"{line.lines} lines were dumped, and {self.lines - 1} are before it")
        self._is_whole = True

    async def _take_row(self, database: int, row: Row) -> None:
        if isinstance(row, Database):
            await self._begin(row)
        elif self._database is None or self._database.id != database:
            raise BadLine(f"it is not among the lines of database {database}")
        elif isinstance(row, Token):
            self.new += await self._add_token(row)
        elif isinstance(row, Profile):
            self._profiles[self.lines] = row
        else:
            self._past.append(row)

    # --- the registry ---

    async def _begin(self, database: Database) -> None:
        """Sees to it that a database is there; all lines up to the next one's are its own."""
        _check_fields(database)
        self.new += await self._add_database(database)
        self._database, self._form = database, CompiledSchema(database, {})

    async def _add_database(self, database: Database) -> bool:
        try:
            await self._store.add_database(database)
        except Duplicate:
            there = {each.id: each for each in await self._store.databases()}
            if database.id not in there:
                raise Differs(f"the company id {database.company_id} is another database's") from None
            await self._add_parts(there[database.id], database)
            return False
        return True

    async def _add_parts(self, there: Database, database: Database) -> None:
        """Adds the resources and segments that a database has not. Raises `Differs` where it is another one."""
        resources, segments = {**database.resources, **there.resources}, {**database.segments, **there.segments}
        if database != replace(there, resources=database.resources, segments=database.segments):
            raise Differs(f"database {database.id} is there already, and differs")
        if (resources, segments) != ({**resources, **database.resources}, {**segments, **database.segments}):
            raise Differs(f"a resource or segment of database {database.id} is there already, and differs")
        for resource in resources.keys() - there.resources.keys():
            await self._store.add_resource(database.id, resources[resource])
        for segment in segments.keys() - there.segments.keys():
            await self._store.add_segment(database.id, segments[segment])

    async def _add_token(self, token: Token) -> bool:
        """A token that is revoked here or there is revoked."""
        try:
            await self._store.add_token(token)
        except Duplicate:
            there = {each.hash: each for each in await self._store.tokens()}.get(token.hash)
            if there is None or replace(there, revoked=token.revoked) != token:
                raise Differs(f"token {token.id} is there already, and differs") from None
            if token.revoked and not there.revoked:
                await self._store.revoke_token(token.id)
            return False
        return True

    # --- what databases hold ---

    async def _keep(self) -> None:
        """Keeps what is held back."""
        if self._database and self._profiles:
            new = await self._unlike(self._database.id, self._profiles)
            for line, profile in new.items():
                self._check(line, profile)
            self.new += await self._put(self._database.id, new) if new else 0
        if self._database and self._past:
            self.new += await self._store.restore(self._database.id, self._past)
        self._profiles, self._past = {}, []

    async def _unlike(self, database: int, profiles: Mapping[int, Profile]) -> dict[int, Profile]:
        """The profiles that are not there, or differ: only these need to be judged, which takes most of the time."""
        there = {each.id: each for each in await self._store.find(database, _ids(profiles))}
        return {line: each for line, each in profiles.items() if not _is_same(there.get(each.id), each)}

    def _check(self, line: int, profile: Profile) -> None:
        if faults := self._form.check_profile(profile.document, {}):
            reasons = (f"{fault.pointer.removeprefix('/profile')}: {fault.detail}" for fault in faults)
            raise BadLine(f"line {line}: {'; '.join(reasons)}")

    async def _put(self, database: int, profiles: Mapping[int, Profile]) -> int:
        edit = partial(_putting, profiles, self._form.identifiers, self._existing)
        [edited] = await self._store.change([Change(database, _ids(profiles), edit, UNRECORDED)])
        if isinstance(edited, Refusal):
            raise BadLine(f"lines {min(profiles)} to {max(profiles)}: {edited}")
        return len(edited.writes)


def _putting(
    profiles: Mapping[int, Profile], identifiers: tuple[str, ...], existing: Existing, find: Find
) -> EditResult:
    """The edit that puts profiles, by their lines, where they are not yet. Raises `Differs`."""
    there = {each.id: each for each in find(_ids(profiles))}
    writes = []
    for line, profile in profiles.items():
        before = there.get(profile.id)
        if before and (existing is Existing.KEEP or _is_same(before, profile)):
            continue
        if before and existing is Existing.REFUSE:
            raise Differs(f"line {line}: profile {profile.id} is there already, and differs")
        has = identities(profile.document, identifiers)
        had = identities(before.document, identifiers) if before else frozenset()
        writes.append(Write(before, profile, has - had, had - has, patch=None))
        there[profile.id] = profile
    return EditResult(None, tuple(writes))


def _ids(profiles: Mapping[int, Profile]) -> tuple[Identity, ...]:
    return tuple((ID, profile.id) for profile in profiles.values())


def _is_same(there: Profile | None, profile: Profile) -> bool:
    """Are they the same to the byte? To Python, 1 and true would be."""
    return there is not None and orjson.dumps(asdict(there)) == orjson.dumps(asdict(profile))


def _check_fields(database: Database) -> None:
    declared = {"": database.fields, **{f"resource {it.id}: ": it.fields for it in database.resources.values()}}
    problems = [place + problem for place, fields in declared.items() if fields for problem in problems_of(fields)]
    if problems:
        raise BadLine("; ".join(problems))

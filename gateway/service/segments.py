"""The operations on static segments themselves: they are declared, changed, archived and removed by requests."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any

from msgspec.structs import replace as replace_commands

from gateway.core.faults import Fault, Refusal, refuse
from gateway.core.matching import SEGMENT
from gateway.core.model import Database, IdempotencyKey, Profile, Query, Update
from gateway.core.segments import MAX_ID_CHARACTERS, Segment, SegmentId, visible_segments
from gateway.service.changes import GROUP_SIZE, ChangeBuilder
from gateway.service.prepared_request import Outcome, PreparedRequest
from gateway.service.updates import apply
from gateway.stores.errors import Duplicate, Missing
from gateway.stores.protocol import Store


class Segments:
    """Writes segments. `now` returns milliseconds since 1970."""

    def __init__(self, store: Store, changes: ChangeBuilder, now: Callable[[], int]) -> None:
        self._store = store
        self._changes = changes
        self._now = now

    async def declare(self, request: PreparedRequest) -> list[Outcome]:
        """Declare a segment, or change or archive one that is declared or has members.

        A new one without an id gets the next free number. Raises `Refusal`: unknown_segment, archived_segment,
        invalid_parameter, idempotency_conflict.
        """
        given = request.command["segment"]
        if "is_archived" in given:
            return [await self._archive(request.database, given["id"], is_archived=given["is_archived"])]
        if "id" in given:
            return [await self._change(request.database, given, request.command.get("if_absent") == "create")]
        created = await self._create(request.database, given)
        key = request.idempotency_key
        return [await self._first_under(key, created, request) if key else created]

    async def replace_members(self, request: PreparedRequest) -> list[Outcome]:
        """Add profiles to a segment, all or none, by the commands after the first; then all other users leave it.

        A user is a profile with an external id. To repeat it completes it. Raises `Refusal`: archived_segment,
        unknown_segment, and as the additions do.
        """
        first, *additions = request.commands
        if isinstance(first, Refusal):
            raise first.copy()
        database, id = request.database, first["segment"]["id"]
        _require_not_archived(database, id)
        if additions:
            await apply(self._store, self._changes.atomic(replace_commands(request, commands=additions)))
        elif database.closed and id not in database.segments:
            raise _unknown(id)
        users = {each["match"]["values"]["external_id"] for each in additions if isinstance(each, dict)}
        await self._remove_members(request, id, lambda each: each.document.get("external_id") not in {None, *users})
        return []

    async def remove(self, request: PreparedRequest) -> list[Outcome]:
        """Remove a segment after its members left it, each in a step of its own: to repeat it completes it.

        Raises `Refusal`: unknown_segment.
        """
        id = request.command["segment"]["id"]
        has_members = await self._remove_members(request, id, lambda _: True)
        try:
            await self._store.remove_segment(request.database.id, id)
        except Missing:
            if not has_members:
                raise _unknown(id) from None
        return []

    async def _remove_members(self, request: PreparedRequest, id: SegmentId, leaves: Callable[[Profile], bool]) -> bool:
        """Remove the members of a segment that leave it, page by page. Return whether it had any."""
        has_members, query = False, Query(GROUP_SIZE, key=(SEGMENT, str(id)))
        while profiles := await self._store.page(request.database.id, query):
            has_members = True
            updates = [_removal(each, id) for each in profiles if leaves(each)]
            changes = [self._changes.change(each, request, None) for each in updates]
            await self._store.change(changes)
            query = replace(query, after=(profiles[-1].id, profiles[-1].id))
        return has_members

    async def _create(self, database: Database, given: Mapping[str, Any]) -> Segment:
        numbers, now = (id for id in database.segments if isinstance(id, int)), self._now()
        number = max(numbers, default=0)
        while True:
            number += 1
            if await self._has_members(database, number):
                continue
            segment = Segment(number, given["name"], now, now, given.get("is_double_opt_in", False))
            try:
                await self._store.add_segment(database.id, segment)
            except Duplicate:
                continue
            return segment

    async def _first_under(self, key: IdempotencyKey, created: Segment, request: PreparedRequest) -> Segment:
        """Return the segment that the first request under a key created. Raises `Refusal`: idempotency_conflict."""
        database = request.database.id
        try:
            first = (await apply(self._store, self._changes.new_name(request, key, str(created.id)))).profile
        except Refusal:
            await self._store.remove_segment(database, created.id)
            raise
        if first is None or first.id == str(created.id):
            return created
        await self._store.remove_segment(database, created.id)
        declared = {each.id: each for each in await self._store.databases()}[database].segments
        if int(first.id) not in declared:
            raise _unknown(int(first.id))
        return declared[int(first.id)]

    async def _change(self, database: Database, given: Mapping[str, Any], creates: bool) -> Segment:
        """Change a segment. `creates`: declare one that does not exist, unless the database is closed."""
        id, now = given["id"], self._now()
        _require_not_archived(database, id)
        is_declared = id in database.segments
        if not creates:
            await self._require_known(database, id)
        elif database.closed and not is_declared:
            raise refuse("invalid_parameter", "the database is closed, and does not declare it", "/segment/id")
        segment = replace(_row(database, id, now), **given, updated=now)
        await _written((self._store.update_segment if is_declared else self._store.add_segment)(database.id, segment))
        return segment

    async def _archive(self, database: Database, id: SegmentId, is_archived: bool) -> Segment:
        """Archive a segment, or end that. One that is so already stays as it is."""
        await self._require_known(database, id)
        segment = _row(database, id, None)
        if (segment.archived is not None) == is_archived:
            return segment
        segment = replace(segment, archived=self._now() if is_archived else None)
        if id in database.segments:
            await _written(self._store.archive_segment(database.id, id, segment.archived))
        else:
            await _written(self._store.add_segment(database.id, segment))
        return segment

    async def _require_known(self, database: Database, id: SegmentId) -> None:
        """Raise `Refusal` (unknown_segment) unless a segment is declared or has members."""
        if id not in database.segments and not await self._has_members(database, id):
            raise _unknown(id)

    async def _has_members(self, database: Database, id: SegmentId) -> bool:
        return bool(await self._store.page(database.id, Query(1, key=(SEGMENT, str(id)))))


def _removal(profile: Profile, id: SegmentId) -> Update:
    return {"match": {"mode": "profile_id", "values": {"profile_id": profile.id}}, "segments": {"remove": [id]}}


def _row(database: Database, id: SegmentId, created: int | None) -> Segment:
    """Return the row of a segment, or a new one. Raises `Refusal`: invalid_parameter."""
    if id in database.segments:
        return database.segments[id]
    if isinstance(id, str) and len(id) > MAX_ID_CHARACTERS:
        raise refuse("invalid_parameter", f"it has more than {MAX_ID_CHARACTERS} characters", "/segment/id")
    return Segment(id, str(id), created)


async def _written(write: Awaitable[None]) -> None:
    """Wait for a write of a row. Raises `Refusal` (overloaded) where another request changed whether there is one."""
    try:
        await write
    except (Missing, Duplicate):
        raise refuse("overloaded", "the list was changed by another request, try again") from None


def _require_not_archived(database: Database, id: SegmentId) -> None:
    """Raise `Refusal`: archived_segment."""
    if not visible_segments([id], database.segments):
        raise refuse("archived_segment", f"segment {id} is archived", "/segment/id")


def _unknown(id: SegmentId) -> Refusal:
    return Refusal([Fault("unknown_segment", segment=str(id))])

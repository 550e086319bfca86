"""Two stores: in one profiles are merged, and in the other the merge never happens."""

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from gateway.core.consent import STRICTNESS, address_of, addresses_of, effective_document, resource_key, status_word
from gateway.core.edit import EditContext, UpdateEdit
from gateway.core.faults import Refusal
from gateway.core.journal import stored_members
from gateway.core.matching import ID, match_identities
from gateway.core.merging import MergeEdit
from gateway.core.model import Change, Document, Edit, EditResult, Identity, Origin, Profile, RecordedMerge, Update
from gateway.core.selection import select_profile
from gateway.dialects import courier
from gateway.schema.compiled import CompiledSchema
from gateway.service.undo import Undo
from gateway.stores.memory import MemoryStore
from gateway.stores.protocol import Store
from tests.cases import database_from_case

SCHEMA = CompiledSchema(database_from_case({}), {})
TABLES = SCHEMA.tables
DATABASE = 1
DIALECT = "courier"
PATCHES = {DIALECT: courier.dialect({}).resolve_patch}
"""The function that resolves a JSON Patch, by its dialect."""


class World:
    """A store with the profiles p0, p1 …"""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.time = 1_000

    async def fill(self, documents: Sequence[Document]) -> None:
        """Create a profile of each document."""
        for number, document in enumerate(documents):
            update: Update = {"match": {"mode": "none", "values": {}}, "profile": document, "if_absent": "create"}
            update["segments"] = {"add": document.get("segments", [])}
            update["profile"] = {name: value for name, value in document.items() if name != "segments"}
            result = await self.run(UpdateEdit(update, (), self._context(f"p{number}")))
            assert isinstance(result, EditResult), result.faults

    async def run(self, edit: Edit, key: Sequence[Identity] = ()) -> EditResult | Refusal:
        """Carry out an edit."""
        [result] = await self.store.change([Change(DATABASE, tuple(key), edit, Origin("t1", DIALECT, self.time))])
        return result

    async def update(self, update: Update, owner: str | None = None) -> EditResult | Refusal:
        """Carry out an update on the profile that it means, or on the `owner`."""
        key = ((ID, owner),) if owner else match_identities(update["match"], TABLES)
        others = update.get("detach_from_others")
        detached = match_identities(others["match"], TABLES) if others else ()
        return await self.run(UpdateEdit(update, key, self._context(), detached), (*key, *detached))

    async def merge(self, destination: int, sources: Sequence[int], options: Mapping[str, Any]) -> EditResult | Refusal:
        """Merge profiles."""
        matches = [{"mode": "profile_id", "values": {"profile_id": f"p{number}"}} for number in (destination, *sources)]
        key, *keys = (match_identities(match, TABLES) for match in matches)
        merge = {"match": matches[0], "sources": matches[1:], **options}
        return await self.run(MergeEdit(merge, key, tuple(keys), self._context()))

    async def undo(self, merge: str) -> RecordedMerge:
        """Undo a merge. Raises `Refusal`."""
        origin = Origin("t1", "gateway", self.time)
        return await Undo(self.store, DATABASE, TABLES, PATCHES).run(merge, origin, None)

    async def last_merge(self) -> str:
        """Return the id of the newest merge that is not undone."""
        merges = await self.store.merges(DATABASE, None, 10)
        return next(each.entry.merge for each in merges if not each.is_undone and each.entry.merge)

    async def participants(self, merge: str) -> set[str]:
        """Return the ids of the profiles of a merge."""
        return {entry.profile for entry in await self.store.merge(DATABASE, merge)}

    async def owner(self, update: Update, participants: frozenset[str]) -> str | None:
        """Return which of some profiles an update means; None where that is none or not clear."""
        key = match_identities(update["match"], TABLES)
        found = [each for each in await self.store.find(DATABASE, key) if each.id in participants]
        try:
            owner = select_profile(found, key, TABLES)
        except Refusal:
            return None
        return owner and owner.id

    async def profiles(self, ids: Sequence[str]) -> dict[str, Profile]:
        """Return profiles by id."""
        return {each.id: each for each in await self.store.find(DATABASE, [(ID, id) for id in ids])}

    async def documents(self, ids: Sequence[str]) -> dict[str, bytes]:
        """Return the documents of profiles, byte for byte."""
        return {id: orjson.dumps(each.document) for id, each in (await self.profiles(ids)).items()}

    async def found_by(self, ids: Sequence[str], names: Sequence[Identity]) -> dict[Identity, list[str]]:
        """Return, for each identity, which of some profiles it finds."""
        found = {name: await self.store.find(DATABASE, [name]) for name in names}
        return {name: [each.id for each in profiles if each.id in ids] for name, profiles in found.items()}

    async def statuses(self, ids: Sequence[str]) -> dict[tuple[str, str, str], int]:
        """Return how strict each subscription is as clients see it, by profile, address and resource."""
        strictness: dict[tuple[str, str, str], int] = {}
        for id, profile in (await self.profiles(ids)).items():
            ledgers = await self.store.ledgers(DATABASE, addresses_of(profile.document, TABLES))
            for one in effective_document(profile.document, TABLES, ledgers).get("subscriptions", ()):
                word = status_word(one.get("status"))
                place = id, address_of(one), resource_key(one)
                strictness[place] = STRICTNESS.index(word) if word else 0
        return strictness

    def _context(self, new_id: str = "") -> EditContext:
        return EditContext(
            TABLES, SCHEMA.validate_profile, PATCHES[DIALECT], new_id, self.time, lambda find: find.ledgers
        )


def worlds(count: int) -> list[World]:
    """Return worlds without profiles."""
    return [World(MemoryStore()) for _ in range(count)]


async def repeat(update: Update, result: EditResult, participants: frozenset[str], unmerged: World) -> Refusal | None:
    """Do in the world without a merge what a write did: on the profile that it belongs to.

    Return the refusal of a write that a profile of the merge does not accept there.
    """
    target = result.profile.id if result.profile else None
    if target in participants:
        done = await unmerged.update(update, await unmerged.owner(update, participants) or target)
        return done if isinstance(done, Refusal) else None
    written = (write.after for write in result.writes if stored_members(write.members or ()))
    if not any(after and after.id in participants for after in written):
        update = {name: value for name, value in update.items() if name != "detach_from_others"}
    await unmerged.update(update, target)
    return None

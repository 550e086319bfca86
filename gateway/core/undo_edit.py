"""The edit that stores the profiles of a merge as they are without it."""

from collections.abc import Iterable, Mapping

from msgspec import Struct

from gateway.core.difference import member_changes
from gateway.core.faults import Fault, Refusal
from gateway.core.journal import creation, removal
from gateway.core.matching import ID, identities, identity_changes
from gateway.core.model import Document, EditResult, Find, Identity, Profile, Write
from gateway.core.moves import is_unique
from gateway.core.profile_tables import ProfileTables


class ProfileMoved(Exception):
    """A profile was written after the undo was prepared."""


class Unmerged(Struct, frozen=True):
    """One profile of a merge that is undone.

    `version` is that of its last entry in the journal. `document` is None if the profile is removed, since the merge
    created it. `created` is when a profile was created that the merge removed (ms since 1970), else None.
    """

    id: str
    version: int
    document: Document | None
    created: int | None = None


class UndoEdit(Struct, frozen=True):
    """The edit of an undo. The first one of `profiles` is the destination of the merge, which the result returns.

    It raises `Refusal` (identifier_taken) where another profile has an identifier that would return to its owner, and
    `ProfileMoved`.
    """

    merge: str
    profiles: tuple[Unmerged, ...]
    tables: ProfileTables
    now: int

    def __call__(self, find: Find) -> EditResult:
        present = {each.id: each for each in find.profiles([(ID, each.id) for each in self.profiles])}
        for each in self.profiles:
            version = present[each.id].version if each.id in present else None
            if version != (each.version if each.created is None else None):
                raise ProfileMoved(each.id)
        self._require_free(find, present)
        writes = [self._write(each, present.get(each.id)) for each in self.profiles]
        return EditResult(writes[0].after or writes[0].before, tuple(writes))

    def _require_free(self, find: Find, present: Mapping[str, Profile]) -> None:
        """Raise `Refusal` where a profile would gain an identifier that has another owner by now."""
        had = self._identities(profile.document for profile in present.values())
        gained = self._identities(each.document for each in self.profiles if each.document is not None) - had
        own = {each.id for each in self.profiles}
        for identity in sorted(each for each in gained if is_unique(each, self.tables)):
            for other in find.profiles([identity]):
                if other.id not in own:
                    detail = f"an identifier of the kind {identity[0]} belongs to another profile now"
                    raise Refusal([Fault("identifier_taken", detail, profile=other.id)])

    def _identities(self, documents: Iterable[Document]) -> frozenset[Identity]:
        return frozenset[Identity]().union(*(identities(each, self.tables) for each in documents))

    def _write(self, unmerged: Unmerged, before: Profile | None) -> Write:
        id, document, version = unmerged.id, unmerged.document, unmerged.version + 1
        if document is None:
            assert before is not None
            _, lost = identity_changes(before.document, {}, self.tables)
            return Write(before, None, lost=lost, members=removal(before.document), kind="remove", merge=self.merge)
        created = before.created if before else unmerged.created
        assert created is not None
        after = Profile(id, document, version, created, self.now)
        gained, lost = identity_changes(before.document if before else {}, document, self.tables)
        changes = member_changes(before.document, document) if before else creation(document)
        return Write(before, after, gained, lost, tuple(changes), "split", self.merge)

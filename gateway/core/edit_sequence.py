"""Edits in turn, in one step of a store: each finds what those before it wrote. What is kept is not decided here."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from msgspec import field

from gateway.core.faults import Fault, Refusal
from gateway.core.matching import ID
from gateway.core.model import Edit, EditResult, Find, Identity, Profile, Write
from gateway.core.pointer import join_pointer


class Overlay:
    """What edits wrote so far, over what a store finds."""

    def __init__(self) -> None:
        self._profiles: dict[str, Profile | None] = {}
        self._named: defaultdict[Identity, dict[str, bool]] = defaultdict(dict)

    def copy(self) -> "Overlay":
        """An overlay of the same writes, which those to come do not reach."""
        other = Overlay()
        other._profiles = dict(self._profiles)
        other._named.update({identity: dict(ids) for identity, ids in self._named.items()})
        return other

    def over(self, find: Find) -> Find:
        """The same search, which also sees what was written."""

        def found(identities: Sequence[Identity]) -> list[Profile]:
            profiles = {id: profile for identity in identities for id, profile in self._found(find, identity).items()}
            return [profiles[id] for id in sorted(profiles)]

        return found

    def take(self, writes: Iterable[Write]) -> None:
        """Lays further writes over those that are known."""
        for write in writes:
            profile = write.after or write.before
            assert profile is not None
            self._profiles[profile.id] = write.after and _met_again(write.after)
            for has, identities in ((False, write.lost), (True, write.gained)):
                for identity in identities:
                    self._named[identity][profile.id] = has

    def _found(self, find: Find, identity: Identity) -> dict[str, Profile]:
        stored = {profile.id: profile for profile in find([identity])}
        named = {identity[1]: True} if identity[0] == ID else self._named.get(identity, {})
        ids = [id for id in {**stored, **named} if named.get(id, True)]
        profiles = {id: self._profiles.get(id, stored.get(id)) for id in ids}
        return {id: profile for id, profile in profiles.items() if profile is not None}


def _met_again(profile: Profile) -> Profile:
    """A profile as it is found: only the change that makes it answers `Created`."""
    return Profile(profile.id, profile.document, profile.version, profile.created, profile.updated)


class DryRunResult(EditResult, frozen=True):
    """What edits would have come to, in their order, and what they would have written; nothing of it is to be kept."""

    outcomes: Sequence[EditResult | Refusal] = ()
    overlay: Overlay = field(default_factory=Overlay)


def dry_run_edit(edits: Sequence[Edit], before: Overlay, keepable: Callable[[Write], object]) -> Edit:
    """The edit that runs others in turn, over what was written before, and writes nothing: it answers `DryRunResult`.

    `keepable` raises `Refusal` where a store would not keep such a write.
    """

    def edit(find: Find) -> DryRunResult:
        overlay = before.copy()
        return DryRunResult(None, outcomes=[_outcome(each, find, overlay, keepable) for each in edits], overlay=overlay)

    return edit


def atomic_edit(edits: Sequence[Edit]) -> Edit:
    """The edit that runs others in turn and writes all that they write; where one is refused, all are.

    It answers with the first one's profile.
    """

    def edit(find: Find) -> EditResult:
        overlay = Overlay()
        outcomes = [_outcome(each, find, overlay, lambda _write: None) for each in edits]
        if faults := collect_faults(outcomes):
            raise Refusal(faults)
        done = [each for each in outcomes if isinstance(each, EditResult)]
        return EditResult(done[0].profile, tuple(write for each in done for write in each.writes))

    return edit


def collect_faults(outcomes: Iterable[object]) -> list[Fault]:
    """Every fault of the refusals among the outcomes of updates, each told of its update (`/updates/{index}`)."""
    refusals = ((index, each) for index, each in enumerate(outcomes) if isinstance(each, Refusal))
    return [
        replace(fault, pointer=join_pointer("updates", index) + fault.pointer)
        for index, refusal in refusals
        for fault in refusal.faults
    ]


def _outcome(edit: Edit, find: Find, overlay: Overlay, keepable: Callable[[Write], object]) -> EditResult | Refusal:
    try:
        edited = edit(overlay.over(find))
        for write in edited.writes:
            keepable(write)
    except Refusal as refusal:
        return refusal.copy()
    overlay.take(edited.writes)
    return edited

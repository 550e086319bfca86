"""Edits that run one after another in one step of a store: each finds what the edits before it wrote."""

from collections import defaultdict
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import replace

from msgspec import field, structs

from gateway.core.faults import Fault, Refusal
from gateway.core.matching import ID
from gateway.core.model import Address, Edit, EditResult, Find, Identity, Ledger, Profile, Write
from gateway.core.pointer import join_pointer


class Overlay:
    """The writes of edits so far, over the profiles of a store."""

    def __init__(self) -> None:
        self._profiles: dict[str, Profile | None] = {}
        self._identities: defaultdict[Identity, dict[str, bool]] = defaultdict(dict)
        self._ledgers: dict[Address, Ledger | None] = {}

    def __len__(self) -> int:
        """Return the number of profiles that were written."""
        return len(self._profiles)

    def copy(self) -> "Overlay":
        """Return an independent overlay of the same writes."""
        other = Overlay()
        other._profiles = dict(self._profiles)
        other._identities.update({identity: dict(ids) for identity, ids in self._identities.items()})
        other._ledgers = dict(self._ledgers)
        return other

    def over(self, find: Find) -> Find:
        """Return a search that also finds what was written."""

        def find_over(identities: Sequence[Identity]) -> list[Profile]:
            profiles = {id: profile for identity in identities for id, profile in self._find(find, identity).items()}
            return [profiles[id] for id in sorted(profiles)]

        def find_ledgers(addresses: Sequence[Address]) -> dict[Address, Ledger]:
            stored = find.ledgers([each for each in addresses if each not in self._ledgers])
            written = {each: ledger for each in addresses if (ledger := self._ledgers.get(each)) is not None}
            return stored | written

        return Find(find_over, find_ledgers, lambda: bool(self._ledgers) or find.has_ledgers(), find.has_tombstones)

    def add(self, writes: Iterable[Write]) -> None:
        """Add further writes."""
        for write in writes:
            profile = write.after or write.before
            assert profile is not None
            self._profiles[profile.id] = write.after and _as_stored(write.after)
            for has, identities in ((False, write.lost), (True, write.gained)):
                for identity in identities:
                    self._identities[identity][profile.id] = has

    def add_ledgers(self, ledgers: Mapping[Address, Ledger | None]) -> None:
        """Add further ledgers."""
        self._ledgers |= ledgers

    def _find(self, find: Find, identity: Identity) -> dict[str, Profile]:
        stored = {profile.id: profile for profile in find([identity])}
        written = {identity[1]: True} if identity[0] == ID else self._identities.get(identity, {})
        ids = [id for id in {**stored, **written} if written.get(id, True)]
        profiles = {id: self._profiles.get(id, stored.get(id)) for id in ids}
        return {id: profile for id, profile in profiles.items() if profile is not None}


def _as_stored(profile: Profile) -> Profile:
    """Return the profile as a search finds it: only the change that creates it returns `Created`."""
    return Profile(profile.id, profile.document, profile.version, profile.created, profile.updated)


class DryRunResult(EditResult, frozen=True):
    """The results of edits in their order, and what they would write. Nothing of it is stored."""

    outcomes: Sequence[EditResult | Refusal] = ()
    overlay: Overlay = field(default_factory=Overlay)


def dry_run_edit(edits: Sequence[Edit], before: Overlay, validate_write: Callable[[Write], object]) -> Edit:
    """Return the edit that runs others one after another over earlier writes, and writes nothing.

    It returns a `DryRunResult`. `validate_write` raises `Refusal` for a write that a store would reject.
    """

    def edit(find: Find) -> DryRunResult:
        overlay = before.copy()
        return DryRunResult(
            None, outcomes=[_outcome(each, find, overlay, validate_write) for each in edits], overlay=overlay
        )

    return edit


def atomic_edit(edits: Sequence[Edit], creating: Container[int] = ()) -> Edit:
    """Return the edit that runs others one after another and writes all of their writes, or none.

    It returns the first one's profile. It raises `Refusal` with the faults of all edits. Those at the places `creating`
    create an absent profile: where such a one finds none, its person was erased, and it is left out, but not all are.
    """

    def edit(find: Find) -> EditResult:
        overlay = Overlay()
        outcomes = [_outcome(each, find, overlay, lambda _write: None) for each in edits]
        erased = [place in creating and _finds_none(each) for place, each in enumerate(outcomes)]
        if not all(erased):
            outcomes = [EditResult(None) if out else each for out, each in zip(erased, outcomes, strict=True)]
        if faults := collect_faults(outcomes):
            raise Refusal(faults)
        done = [each for each in outcomes if isinstance(each, EditResult)]
        ledgers = {address: ledger for each in done for address, ledger in each.ledgers.items()}
        return EditResult(done[0].profile, tuple(write for each in done for write in each.writes), ledgers=ledgers)

    return edit


def observed_edit(edit: Edit, observed: int | None) -> Edit:
    """Return an edit whose writes were observed at a time of their own (ms since 1970), if there is one."""

    def edit_with_time(find: Find) -> EditResult:
        result = edit(find)
        return structs.replace(result, writes=tuple(structs.replace(each, observed=observed) for each in result.writes))

    return edit if observed is None else edit_with_time


def sequence_edit(
    edits: Sequence[Edit],
    validate_write: Callable[[Write], object],
    summarize: Callable[[Sequence[EditResult | Refusal]], Profile],
) -> Edit:
    """Return the edit that runs others one after another, and writes what those that are not refused write.

    Its result's profile, which is not stored, is what `summarize` returns for the outcomes. `validate_write`: see
    `dry_run_edit`.
    """

    def edit(find: Find) -> EditResult:
        overlay = Overlay()
        outcomes = [_outcome(each, find, overlay, validate_write) for each in edits]
        done = [each for each in outcomes if isinstance(each, EditResult)]
        ledgers = {address: ledger for each in done for address, ledger in each.ledgers.items()}
        writes = tuple(write for each in done for write in each.writes)
        return EditResult(summarize(outcomes), writes, ledgers=ledgers)

    return edit


def collect_faults(outcomes: Iterable[object]) -> list[Fault]:
    """Return the faults of the refusals among outcomes. Each pointer starts with the update's, `/updates/{index}`."""
    refusals = ((index, each) for index, each in enumerate(outcomes) if isinstance(each, Refusal))
    return [
        replace(fault, pointer=join_pointer("updates", index) + fault.pointer)
        for index, refusal in refusals
        for fault in refusal.faults
    ]


def _finds_none(outcome: EditResult | Refusal) -> bool:
    return isinstance(outcome, Refusal) and outcome.faults[0].code == "profile_not_found"


def _outcome(
    edit: Edit, find: Find, overlay: Overlay, validate_write: Callable[[Write], object]
) -> EditResult | Refusal:
    try:
        result = edit(overlay.over(find))
        for write in result.writes:
            validate_write(write)
    except Refusal as refusal:
        return refusal.copy()
    overlay.add(result.writes)
    overlay.add_ledgers(result.ledgers)
    return result

"""What a dry run tells of each update: whom it means, by what, what would change, and why it would be refused.

One shape for every dialect. It is made of what the update's own edit answered, and decides nothing itself.
"""

from collections.abc import Collection, Sequence
from typing import TypeAlias

from gateway.core.faults import Fault, Refusal
from gateway.core.matching import ID, identities
from gateway.core.model import Created, EditResult, Identity, Profile, Tree, Write
from gateway.core.profile_tables import ProfileTables

PROFILE_NOT_FOUND = "profile_not_found"

DryRunOutcome: TypeAlias = "tuple[EditResult | Refusal, Sequence[Identity]]"
"""What an update would come to, and the identities that its profile was searched by."""


def render_dry_run(outcomes: Sequence[DryRunOutcome], tables: ProfileTables, ignores_absence: bool) -> Tree:
    """The body of the answer to a dry run: one row for each update, in order.

    `tables` are those of the database. Where the request `ignores_absence`, it is no fault
    that there is no such profile.
    """
    made = {
        each.profile.id for each, _ in outcomes if isinstance(each, EditResult) and isinstance(each.profile, Created)
    }
    rows = [_told(outcome, key, tables, ignores_absence) for outcome, key in outcomes]
    return {"dry_run": True, "results": [_nameless(row, made) for row in rows]}


def _nameless(row: Tree, made: Collection[str]) -> Tree:
    """A row without the ids of profiles that the dry run itself would have made: no other request ever meets them."""
    inner = {name: [_without(each, made) for each in row[name]] for name in ("changes", "faults")}
    return _without({**row, **inner}, made)


def _without(named: Tree, made: Collection[str]) -> Tree:
    return {**named, "profile": None} if named["profile"] in made else named


def _told(outcome: EditResult | Refusal, key: Sequence[Identity], tables: ProfileTables, ignores_absence: bool) -> Tree:
    if isinstance(outcome, Refusal):
        ignored = ignores_absence and outcome.faults[0].code == PROFILE_NOT_FOUND
        return _row("absent") if ignored else _row("refused", faults=outcome.faults)
    profile = _met(outcome)
    return _row(_word(outcome), profile, _named_by(profile, key, tables), outcome.writes)


def _row(
    outcome: str,
    profile: Profile | None = None,
    identity: Identity | None = None,
    writes: Sequence[Write] = (),
    faults: Sequence[Fault] = (),
) -> Tree:
    return {
        "outcome": outcome,
        "profile": profile.id if profile else None,
        "matched_by": {"kind": identity[0], "value": identity[1]} if identity else None,
        "changes": [{"profile": _id(write), "patch": list(write.patch or ())} for write in writes],
        "faults": [_fault(fault) for fault in faults],
    }


def _word(edited: EditResult) -> str:
    """What would become of the profile that the update is about."""
    if isinstance(edited.profile, Created):
        return "created"
    if edited.profile is None:
        return "absent"
    if any(write.after is None and _id(write) == edited.profile.id for write in edited.writes):
        return "removed"
    return "updated" if edited.writes else "unchanged"


def _met(edited: EditResult) -> Profile | None:
    """The profile as it was found; of one that would be made there is none."""
    if isinstance(edited.profile, Created) or edited.profile is None:
        return None
    before = (write.before for write in edited.writes if _id(write) == edited.profile.id)
    return next(before, edited.profile)


def _named_by(profile: Profile | None, key: Sequence[Identity], tables: ProfileTables) -> Identity | None:
    """The first identity of the key that names the profile."""
    if profile is None:
        return None
    own = identities(profile.document, tables) | {(ID, profile.id)}
    return next((identity for identity in key if identity in own), None)


def _id(write: Write) -> str | None:
    """The id of a profile that there is; that of one to be made is not known before."""
    return write.before.id if write.before else None


def _fault(fault: Fault) -> Tree:
    described = {"name": fault.code, "status": fault.row.status, "detail": fault.text, "pointer": fault.pointer}
    return {**described, "profile": fault.profile or None}

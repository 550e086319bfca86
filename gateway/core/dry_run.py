"""Renders the result of a dry run: for each update its profile, its changes and its faults.

Every dialect has the same form, described by `schemas/dry-run.schema.json`.
"""

from collections.abc import Collection, Sequence
from typing import TypeAlias

from gateway.core.difference import difference
from gateway.core.faults import Fault, Refusal
from gateway.core.journal import stored_members
from gateway.core.matching import ID, identities
from gateway.core.model import Created, EditResult, Identity, Profile, Tree, Write
from gateway.core.profile_tables import ProfileTables
from gateway.core.visible_values import visible_document

PROFILE_NOT_FOUND = "profile_not_found"

DryRunOutcome: TypeAlias = "tuple[EditResult | Refusal, Sequence[Identity]]"
"""The result of an edit, and the identities of its search."""


def render_dry_run(outcomes: Sequence[DryRunOutcome], tables: ProfileTables, missing_ok: bool) -> Tree:
    """Return the body of the reply: one row for each update, in order.

    With `missing_ok`, a profile that does not exist is no fault.
    """
    created = {
        each.profile.id for each, _ in outcomes if isinstance(each, EditResult) and isinstance(each.profile, Created)
    }
    rows = [_render_outcome(outcome, key, tables, missing_ok) for outcome, key in outcomes]
    return {"dry_run": True, "results": [_without_created_ids(row, created) for row in rows]}


def _without_created_ids(row: Tree, created: Collection[str]) -> Tree:
    """Return a row without the ids of profiles that would be created: no later request has the same id."""
    inner = {name: [_without_id(each, created) for each in row[name]] for name in ("changes", "faults")}
    return _without_id({**row, **inner}, created)


def _without_id(member: Tree, created: Collection[str]) -> Tree:
    return {**member, "profile": None} if member["profile"] in created else member


def _render_outcome(
    outcome: EditResult | Refusal, key: Sequence[Identity], tables: ProfileTables, missing_ok: bool
) -> Tree:
    if isinstance(outcome, Refusal):
        is_ignored = missing_ok and outcome.faults[0].code == PROFILE_NOT_FOUND
        return _row("absent") if is_ignored else _row("refused", faults=outcome.faults)
    profile = _profile_before(outcome)
    return _row(_outcome_name(outcome), profile, _matched_identity(profile, key, tables), outcome.writes)


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
        "changes": [{"profile": _id(write), "patch": patch} for write in writes if (patch := patch_of(write))],
        "faults": [_render_fault(fault) for fault in faults],
    }


def patch_of(write: Write) -> list[Tree]:
    """Return the JSON Patch (RFC 6902) of a write, as a client sees it; [] if it changes nothing visible."""
    if write.before is None or write.after is None:
        return (
            [{"op": "add", "path": "", "value": visible_document(write.after.document)}] if write.after else [_REMOVAL]
        )
    return difference(visible_document(write.before.document), visible_document(write.after.document))


_REMOVAL = {"op": "remove", "path": ""}


def _outcome_name(result: EditResult) -> str:
    if isinstance(result.profile, Created):
        return "created"
    if result.profile is None:
        return "absent"
    if any(write.after is None and _id(write) == result.profile.id for write in result.writes):
        return "removed"
    return "updated" if any(map(_changes_document, result.writes)) else "unchanged"


def _changes_document(write: Write) -> bool:
    return bool(stored_members(write.members or ()))


def _profile_before(result: EditResult) -> Profile | None:
    """Return the profile as it was found; None if it would be created."""
    if isinstance(result.profile, Created) or result.profile is None:
        return None
    before = (write.before for write in result.writes if _id(write) == result.profile.id)
    return next(before, result.profile)


def _matched_identity(profile: Profile | None, key: Sequence[Identity], tables: ProfileTables) -> Identity | None:
    """Return the first identity of the search that the profile has."""
    if profile is None:
        return None
    own = identities(profile.document, tables) | {(ID, profile.id)}
    return next((identity for identity in key if identity in own), None)


def _id(write: Write) -> str | None:
    """Return the id of a profile that exists; None for one that would be created."""
    return write.before.id if write.before else None


def _render_fault(fault: Fault) -> Tree:
    return {
        "name": fault.code,
        "status": fault.status,
        "detail": fault.text,
        "pointer": fault.pointer,
        "profile": fault.profile or None,
    }

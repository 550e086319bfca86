"""Conflicts of identities, between profiles and within one.

An identity that a profile gains belongs to another profile: reject it (409), or keep the old value. An identity that a
profile would lose to another one of its own stays in a list.
"""

from collections.abc import Iterable
from typing import Any

from gateway.core.apply import apply_update
from gateway.core.faults import Fault, Refusal, refuse
from gateway.core.matching import identities, single_identities
from gateway.core.model import Document, Find, Identity, Profile, Update
from gateway.core.pointer import join_pointer
from gateway.core.profile_tables import ProfileTables


def require_findable(key: tuple[Identity, ...], after: frozenset[Identity], mode: str, unique: frozenset[str]) -> None:
    """Reject a new profile that its own match does not find: each call would create another one.

    A unique identity needs no such check: the second call fails because the identity is taken.
    """
    if key and not any(_family(kind) in unique for kind, _ in key) and not after.intersection(key):
        raise refuse("match_not_in_data", f"a new profile must bring what matching {mode} searches", "/profile")


def kept_places(
    find: Find, gained: Iterable[Identity], update: Update, profile: Profile | None, tables: ProfileTables
) -> list[tuple[str, ...]]:
    """Return the places that keep their value: another profile has their identity, and the rule is `keep`.

    Raises `Refusal` (identifier_taken) where the rule is `reject`.
    """
    rules = update.get("on_conflict", {})
    kept, faults = [], []
    for kind, value in sorted(gained):
        rule = rules.get(_family(kind))
        other = rule and next(
            (each for each in find([(kind, value)]) if profile is None or each.id != profile.id), None
        )
        if not other:
            continue
        if rule == "keep":
            kept.append(tables.places[kind])
        else:
            pointer = join_pointer("profile", *kind.split("/", 1))
            faults.append(Fault("identifier_taken", "the value belongs to another profile", pointer, other.id))
    if faults:
        raise Refusal(faults)
    return kept


def other_owners(
    find: Find, profile: str, gained: frozenset[Identity], update: Update, tables: ProfileTables
) -> list[tuple[str, str, str]]:
    """Return the kind and the value of each identity that the update has a rule for, with the id of each other owner.

    Without a merge, the profile might gain all that the update writes, and not only what it gained.
    """
    rules = update.get("on_conflict", {})
    wanted = gained | identities(apply_update({}, update)[0], tables) if rules else ()
    ruled = sorted(each for each in wanted if _family(each[0]) in rules)
    return [(*identity, other.id) for identity in ruled for other in find([identity]) if other.id != profile]


def _family(kind: str) -> str:
    return kind.partition("/")[0]


def former_values(
    before: Document, document: Document, lost: frozenset[Identity], tables: ProfileTables
) -> list[tuple[tuple[str, ...], Any]]:
    """Return the lost values that stay identities, with the places of their lists.

    A value that gives way to another identity of the same profile stays one. Otherwise two clients that name a merged
    profile by its two addresses would each remove the address of the other.
    """
    present = identities(before, tables)
    kinds = {kind for kind, _, own in single_identities(document, tables) if own in present}
    kinds.intersection_update(tables.list_places)
    values = (each for each in single_identities(before, tables) if each[2] in lost)
    return [(tables.list_places[kind], value) for kind, value, _ in values if kind in kinds]

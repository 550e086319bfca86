"""Selection: which one of the profiles that a search finds is meant.

An id decides alone. Of several other identifiers, the one profile that has all of them is meant. A profile's own e-mail
or phone outranks a subscription to the same address, which may be left over from an earlier owner.
"""

from collections.abc import Mapping, Sequence

from gateway.core.faults import Fault, Refusal
from gateway.core.matching import ALIAS, EMAIL, EMAIL_SUB, ID, PHONE, PHONE_SUB, TAGS, identities
from gateway.core.model import Identity, Profile
from gateway.core.profile_tables import ProfileTables

_OWN_KIND = {EMAIL_SUB: EMAIL, PHONE_SUB: PHONE}
"""By the kind of a subscription's address, the kind of the same address as a profile's own."""


def select_profile(found: Sequence[Profile], key: Sequence[Identity], tables: ProfileTables) -> Profile | None:
    """Return the profile that a key means among those that it finds; None if it finds none.

    Raises `Refusal` (ambiguous_match). Its fault names a profile other than that of the first identifier.
    """
    found = _with_all_tags(found, key, tables)
    if len(found) < 2:
        return next(iter(found), None)
    owners = _owners(found, key, tables)
    by_id = [ids for (kind, _), ids in owners.items() if kind in (ID, ALIAS)]
    common = by_id[0] if by_id else _common(owners)
    if len(common) != 1:
        raise Refusal([Fault("ambiguous_match", f"{len(found)} profiles match", profile=_other(found, owners))])
    return next(each for each in found if each.id in common)


def _with_all_tags(found: Sequence[Profile], key: Sequence[Identity], tables: ProfileTables) -> Sequence[Profile]:
    """Return the profiles that have every tag of the key; all of them if it has none."""
    tags = {identity for identity in key if identity[0].startswith(f"{TAGS}/")}
    return [each for each in found if tags <= identities(each.document, tables)] if tags else found


def select_first(found: Sequence[Profile], key: Sequence[Identity], tables: ProfileTables) -> Profile:
    """Return the profile that a key means; if it is ambiguous, the first one that has the first identifier."""
    owners = _owners(found, key, tables)
    meant = _common(owners) or next(iter(owners.values()))
    return next(each for each in found if each.id in meant)


def require_profile(found: Sequence[Profile], key: Sequence[Identity], tables: ProfileTables) -> Profile:
    """Return the profile that a key means. Raises `Refusal`: profile_not_found, ambiguous_match."""
    profile = select_profile(found, key, tables)
    if profile is None:
        raise not_found(key)
    return profile


def not_found(key: Sequence[Identity], pointer: str = "") -> Refusal:
    """Return the refusal of a search without result. It names the id if the search was by id."""
    id = next((value for kind, value in key if kind == ID), "")
    return Refusal([Fault("profile_not_found", pointer=pointer, profile=id)])


def _owners(found: Sequence[Profile], key: Sequence[Identity], tables: ProfileTables) -> dict[Identity, set[str]]:
    """Return, for each identifier of the key, the ids of the profiles that have it. A key has own addresses first."""
    names = {each.id: identities(each.document, tables) | {(ID, each.id)} for each in found}
    owners: dict[Identity, set[str]] = {}
    for identity in key:
        kind, value = identity
        address = _OWN_KIND.get(kind.partition("@")[0], kind), value
        if not owners.get(address):
            owners[address] = {id for id, own in names.items() if identity in own}
    return {address: ids for address, ids in owners.items() if ids}


def _common(owners: Mapping[Identity, set[str]]) -> set[str]:
    return set.intersection(*owners.values())


def _other(found: Sequence[Profile], owners: Mapping[Identity, set[str]]) -> str:
    first = next(iter(owners.values()))
    return next((each.id for each in found if each.id not in first), found[1].id)

"""Changes of consent that no document has: those by the facts about addresses (`core.consent`).

Each profile whose consent changes so gets an entry in the journal, or a further member in the entry that it has anyway:
its subscriptions in effect before and after. A chat is no identity: of the profiles that share one, only those that are
written get it.
"""

from collections.abc import Collection, Iterator, Mapping
from itertools import chain
from typing import Any

from msgspec import UNSET
from msgspec.structs import replace

from gateway.core.consent import (
    CHANNELS_OF_IDENTITY,
    DELETED,
    REASONS,
    ReadLedgers,
    address_of,
    addresses_of,
    effective_document,
    resource_key,
)
from gateway.core.matching import SUBSCRIPTIONS, channel_address, identities_of_subscription
from gateway.core.model import (
    Address,
    Command,
    EditResult,
    Find,
    Identity,
    Ledger,
    MemberChange,
    Profile,
    Write,
)
from gateway.core.profile_tables import ProfileTables

_POINTER = f"/{SUBSCRIPTIONS}"


def with_consent_changes(
    result: EditResult,
    ledgers: Mapping[Address, Ledger],
    command: Command,
    find: Find,
    read: ReadLedgers,
    tables: ProfileTables,
) -> EditResult:
    """Return the result with an entry for each profile whose consent the new `ledgers` of addresses change.

    `command` names these addresses in its subscriptions and suppressions. `read` returns the ledgers before.
    """
    own = {_id(write): write for write in result.writes}
    owners = find.profiles(tuple(_owner_identities(command, ledgers)))
    writes = {**{owner.id: Write(owner, owner) for owner in owners}, **own}
    before = read(list({address: None for write in writes.values() for address in _addresses(write, tables)}))
    after = {**before, **ledgers}
    for id, write in writes.items():
        then, now = _in_effect(write.before, before, tables), _in_effect(write.after, after, tables)
        if write.after and _statuses(then) != _statuses(now) and not _names_subscriptions(write):
            own[id] = _with_member(write, write.after, MemberChange(_POINTER, then, now, is_stored=False))
    profile = result.profile
    if profile and profile.id in own and (written := own[profile.id].after):
        profile = replace(profile, version=written.version)
    return replace(result, profile=profile, writes=tuple(own.values()))


def _id(write: Write) -> str:
    profile = write.after or write.before
    assert profile is not None
    return profile.id


def _owner_identities(command: Command, addresses: Collection[Address]) -> Iterator[Identity]:
    """Yield the identities of the profiles that may have those of some addresses that a command names."""
    for one in chain(command.get(SUBSCRIPTIONS, ()), *command.get("suppressions", {}).values()):
        if address_of(one) in addresses:
            yield from identities_of_subscription(one)[:1]
            value = channel_address(one)[1]
            if value is not None:
                yield from ((kind, value) for kind, of in CHANNELS_OF_IDENTITY.items() if one["channel"] in of)


def _addresses(write: Write, tables: ProfileTables) -> Iterator[Address]:
    for profile in (write.before, write.after):
        if profile:
            yield from addresses_of(profile.document, tables)


def _in_effect(profile: Profile | None, ledgers: Mapping[Address, Ledger], tables: ProfileTables) -> Any:
    """Return the subscriptions of a profile in effect; `UNSET` if it has none."""
    return effective_document(profile.document, tables, ledgers).get(SUBSCRIPTIONS, UNSET) if profile else UNSET


def _statuses(subscriptions: Any) -> dict[Any, Any]:
    """Return the status of each subscription that gives or refuses consent, and why it is refused."""
    return {
        (address_of(one), resource_key(one)): (one.get("status"), set(one.get(REASONS, ())))
        for one in (() if subscriptions is UNSET else subscriptions)
        if DELETED not in one
    }


def _names_subscriptions(write: Write) -> bool:
    """Return whether an entry has the subscriptions already, or there is no entry."""
    return write.members is None or any(
        each.pointer == _POINTER or (not each.pointer and SUBSCRIPTIONS in each.after) for each in write.members
    )


def _with_member(write: Write, after: Profile, member: MemberChange) -> Write:
    """Return the write with a further member; as the next version, if nothing else of the profile is written."""
    if after is write.before:
        after = replace(after, version=after.version + 1)
    return replace(write, after=after, members=(*(write.members or ()), member))

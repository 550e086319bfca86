"""Every change of consent that a client can see has an entry in the journal of its profile, and no entry is idle."""

from collections.abc import Iterable, Mapping
from typing import Any

from msgspec import UNSET

from gateway.core.consent import DELETED, REASONS, address_of, resource_key
from gateway.core.model import JournalEntry
from gateway.stores.protocol import Store

ENTRIES = 10_000
NAMING = ("", "/subscriptions", "/email", "/phone_numbers", "/klaviyo", "/klaviyo/emails")
"""The members that say of an entry that consent may have changed: of these addresses, or of others from now on."""

Consents = Mapping[str, Any]
"""What the views show of the consent of each profile, by its id."""


class JournalCheck:
    """Compares what the views show with the entries since the last comparison."""

    def __init__(self) -> None:
        self._position = 0
        self._before: Consents = {}

    async def compare(self, store: Store, now: Consents) -> None:
        entries = await store.journal(1, self._position, ENTRIES)
        named = {each.profile for each in entries if any(member.pointer in NAMING for member in each.members)}
        changed = {id for id, consents in now.items() if consents != self._before.get(id, consents)}
        assert changed <= named, f"consent changed without an entry: {sorted(changed - named)}"
        idle = [each for each in entries if is_idle(each)]
        assert not idle, f"entries of consent that did not change: {idle}"
        self._position, self._before = (await store.journal_range(1)).newest, now


def is_idle(entry: JournalEntry) -> bool:
    """Return whether an entry has consent in effect that is the same before and after."""
    members = [each for each in entry.members if not each.is_stored]
    return any(statuses(each.before) == statuses(each.after) for each in members)


def statuses(subscriptions: Iterable[Mapping[str, Any]] | Any) -> set[Any]:
    """Return address, resource, status and reasons of each subscription that counts."""
    return {
        (address_of(one), resource_key(one), one.get("status"), *sorted(one.get(REASONS, ())))
        for one in (() if subscriptions is UNSET else subscriptions)
        if DELETED not in one
    }

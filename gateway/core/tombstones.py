"""Tombstones: what remains of an erased person for some days, so that old traffic does not create the person again.

A tombstone is a ledger under the keyed hash of an identity, of an Idempotency-Key or of a request id, with the time of
the erasure. It says that the person was erased, and not who that was.
"""

from collections.abc import Callable, Sequence
from typing import TypeAlias

from msgspec import Struct

from gateway.core.faults import refuse
from gateway.core.model import Address, Command, Fact, Find, Identity, Ledger
from gateway.core.times import parse_time

Pseudonym: TypeAlias = Callable[[Address], Address]
"""Returns the keyed hash that replaces an address, `channel:algorithm:hash`."""

PREFIX = "erased:"
"""Begins the address of every tombstone."""

AFTER_PREFIX = "erased;"
"""The first text after all that begin with the prefix."""

IDEMPOTENCY_KEY, REQUEST = "key", "request"
"""The kinds of tombstones that are not those of identities."""

_ERASED = "erased"


def tombstone_address(pseudonym: Pseudonym, kind: str, value: str) -> Address:
    """Return the address of the tombstone of an identity, or of another value of a kind."""
    return pseudonym(f"{PREFIX}{kind}={value}")


def tombstone(time: int) -> Ledger:
    """Return a tombstone of a time (ms since 1970)."""
    return Ledger(1, {_ERASED: {_ERASED: Fact(time, 1)}})


def erasure_time(tombstone: Ledger) -> int:
    """Return the time of a tombstone."""
    return tombstone.facts[_ERASED][_ERASED].time


class TombstoneCheck(Struct, frozen=True):
    """How a request is compared with tombstones.

    `key` is its Idempotency-Key, `request` its id. `is_bulk`: it is a row of a job or a file, and not of a person who
    came back.
    """

    pseudonym: Pseudonym
    key: str | None = None
    request: str = ""
    is_bulk: bool = False

    def require_new(
        self, find: Find, identities: Sequence[Identity], command: Command, created: int | None = None
    ) -> None:
        """Raise `Refusal` (profile_not_found) if the request is older than an erasure of one of the identities.

        It is, if its key or its id was used before the erasure, if its own time lies before it, or if it is bulk.
        `created` is the time of the profile that it updates: an erasure after that was of another person.
        """
        names = [tombstone_address(self.pseudonym, *identity) for identity in identities]
        key = tombstone_address(self.pseudonym, IDEMPOTENCY_KEY, self.key or "")
        request = tombstone_address(self.pseudonym, REQUEST, self.request)
        found = find.ledgers([*names, key, request])
        if self.key and key in found:
            raise refuse("profile_not_found")
        times = [erasure_time(found[name]) for name in names if name in found]
        erased = max((time for time in times if created is None or created >= time), default=None)
        if erased is None:
            return
        if self.is_bulk or (self.request and request in found) or own_time(command, erased) < erased:
            raise refuse("profile_not_found")


def own_time(command: Command, default: int) -> int:
    """Return the time of a command (ms since 1970): its own, or that of its latest consent; the default if none."""
    if "observed" in command:
        return int(command["observed"])
    dates = [each.get("date") for each in command.get("subscriptions", ())]
    times = [parse_time(each) if isinstance(each, str) else each for each in dates]
    return default if None in times else max(times, default=default)

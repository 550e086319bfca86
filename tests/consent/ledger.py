"""The model: the last word on each address. It reads no code of the gateway.

A key is a channel, an address in normal form, and a resource or None. An opt-out, a complaint or a suppression is a
fact of the key, for every profile. A subscription lifts it for one profile. Nothing lifts a bounce or an invalid
address.
"""

from collections.abc import Iterable
from typing import Any, TypeAlias

Key: TypeAlias = tuple[str, str, int | None]

UNCHANGED = ("absent", None, -1)
SUBSCRIBED = ("subscribed", 0, "0")
FACTS = {"unsubscribed": "unsubscribed", 1: "unsubscribed", "complained": "complained", 2: "complained"}
PERMANENT = ("hardbounced", 3, "invalid", 6)
KINDS = ("unsubscribed", "complained", "suppressed")
"""The facts that a subscription lifts."""


def key_of(channel: str, address: str, resource: int | None = None) -> Key:
    """Return the key of an address. The addresses of these tests are ASCII, and the phones are international."""
    if channel == "email":
        return channel, address.strip().lower(), resource
    return channel, "+" + "".join(sign for sign in address if sign.isdigit()), resource


class Ledger:
    """The facts of all keys, and for which profiles they are lifted. `subscribed`: the explicit ones of this step."""

    def __init__(self) -> None:
        self.subscribed: set[tuple[str, Key]] = set()
        self._permanent: set[Key] = set()
        self._facts: set[tuple[str, Key]] = set()
        self._lifts: set[tuple[str, Key, str]] = set()

    def forbids(self, profile: str, key: Key) -> bool:
        """Whether no view may show this key of this profile as mailable."""
        return key in self._permanent or any(self.is_in_force(kind, profile, key) for kind in KINDS)

    def is_in_force(self, kind: str, profile: str, key: Key) -> bool:
        """Whether a fact of this kind concerns this profile."""
        return (kind, key) in self._facts and (profile, key, kind) not in self._lifts

    def write(self, profile: str, key: Key, status: Any) -> None:
        """A status that a request sets. Null, -1, none and every other status lift nothing."""
        if status in UNCHANGED:
            return
        self.subscribed.discard((profile, key))
        if status in PERMANENT:
            self._permanent.add(key)
        elif status in FACTS:
            self.add(FACTS[status], key)
        elif status in SUBSCRIBED:
            self.subscribe([profile], key)

    def add(self, kind: str, key: Key) -> None:
        """A fact of a key. It ends what earlier subscriptions lifted."""
        self._facts.add((kind, key))
        self._lifts = {lift for lift in self._lifts if lift[1:] != (key, kind)}

    def unsuppress(self, key: Key) -> None:
        self._facts.discard(("suppressed", key))

    def subscribe(self, profiles: Iterable[str], key: Key) -> None:
        """An explicit subscription, of one of these profiles: which of several it was is not known."""
        named = list(profiles)
        self._lifts |= {(profile, key, kind) for profile in named for kind in KINDS}
        if len(named) == 1:
            self.subscribed.add((named[0], key))

    def merge(self, destination: str, sources: Iterable[str], rows: set[tuple[str, Key]]) -> None:
        """Give the survivor the subscriptions of all. Where one of them has a row that is opted out, that one wins."""
        merged = [destination, *sources]
        lifts = {(key, kind) for profile, key, kind in self._lifts if profile in merged}
        stricter = {
            (key, kind)
            for profile, key in rows
            for kind in KINDS
            if profile in merged and self.is_in_force(kind, profile, key)
        }
        self._lifts = {lift for lift in self._lifts if lift[0] != destination}
        self._lifts |= {(destination, key, kind) for key, kind in lifts - stricter}

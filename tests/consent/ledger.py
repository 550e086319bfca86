"""The model: the last word on each address. It reads no code of the gateway.

A key is a channel, an address in normal form, and a resource or None. An opt-out, a complaint or a suppression is a
fact of the key, for every profile. A subscription lifts it for one profile. Nothing lifts a bounce or an invalid
address.
"""

from collections.abc import Iterable
from typing import Any, TypeAlias

Key: TypeAlias = tuple[str, str, int | None]

SUBSCRIBED = ("subscribed", 0, "0")
OPTED_OUT = ("unsubscribed", 1, "1", "complained", 2, "2")
PERMANENT = ("hardbounced", 3, "3", "invalid", 6, "6")


def key_of(channel: str, address: str, resource: int | None = None) -> Key:
    """Return the key of an address. The addresses of these tests are ASCII, and the phones are international."""
    if channel == "email":
        return channel, address.strip().lower(), resource
    return channel, "+" + "".join(sign for sign in address if sign.isdigit()), resource


class Ledger:
    """The facts of all keys, and for which profiles they are lifted. `subscribed`: the explicit ones of this step."""

    def __init__(self) -> None:
        self.subscribed: dict[tuple[str, Key], bool] = {}
        self._permanent: set[Key] = set()
        self._opted_out: set[Key] = set()
        self._suppressed: set[Key] = set()
        self._lifted_opt_outs: set[tuple[str, Key]] = set()
        self._lifted_suppressions: set[tuple[str, Key]] = set()

    def forbids(self, profile: str, key: Key) -> bool:
        """Whether no view may show this key of this profile as mailable."""
        return (
            key in self._permanent
            or (key in self._opted_out and (profile, key) not in self._lifted_opt_outs)
            or (key in self._suppressed and (profile, key) not in self._lifted_suppressions)
        )

    def write(self, profile: str, key: Key, status: Any) -> None:
        """A status that a request sets. Null, -1, none and every other status lift nothing."""
        if status in (None, "absent", -1):
            return
        self.subscribed.pop((profile, key), None)
        if status in PERMANENT:
            self._permanent.add(key)
        elif status in OPTED_OUT:
            self.opt_out(key)
        elif status in SUBSCRIBED:
            self.subscribe([profile], key)

    def opt_out(self, key: Key) -> None:
        self._opted_out.add(key)
        self._lifted_opt_outs = {lift for lift in self._lifted_opt_outs if lift[1] != key}

    def suppress(self, key: Key) -> None:
        self._suppressed.add(key)
        self._lifted_suppressions = {lift for lift in self._lifted_suppressions if lift[1] != key}

    def unsuppress(self, key: Key) -> None:
        self._suppressed.discard(key)

    def subscribe(self, profiles: Iterable[str], key: Key) -> None:
        """An explicit subscription, of one of these profiles: which of several it was is not known."""
        lifts = {(profile, key) for profile in profiles}
        self._lifted_opt_outs |= lifts
        self._lifted_suppressions |= lifts
        if len(lifts) == 1:
            self.subscribed |= dict.fromkeys(lifts, True)

    def merge(self, destination: str, sources: Iterable[str], rows: set[tuple[str, Key]]) -> None:
        """Give the survivor the subscriptions of all. Where one of them has a row that is opted out, that one wins."""
        merged = [destination, *sources]
        stricter = {key for profile, key in rows if profile in merged and self.forbids(profile, key)}
        for lifts in (self._lifted_opt_outs, self._lifted_suppressions):
            keys = {key for profile, key in lifts if profile in merged}
            lifts |= {(destination, key) for key in keys - stricter}
            lifts -= {(destination, key) for key in stricter}

"""Subscribers of the journal, and their deliveries that are not done."""

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct

from gateway.core.model import Position

ACTIVE, DISABLED = "active", "disabled"
"""The states of a subscriber. A disabled one gets nothing."""


class Subscriber(Struct, frozen=True):
    """Somebody who gets the events of a database after a position.

    `settings` are those of its kind. `secret` is encrypted. `revision` counts how often it was resumed. `created` is in
    milliseconds since 1970.
    """

    database: int
    id: str
    kind: str
    created: int
    settings: Mapping[str, Any]
    secret: str
    position: Position
    state: str = ACTIVE
    reason: str = ""
    """Why it is disabled, or what failed last; it contains no personal data."""
    revision: int = 0


class Delivery(Struct, frozen=True):
    """The event at a position that a subscriber did not get yet.

    Of one profile only the first is attempted. `since` is the time of the first attempt, `due` that of the next one, in
    milliseconds since 1970; 0 before the first. A dead one is not attempted again.
    """

    position: Position
    profile: str
    attempts: int = 0
    since: int = 0
    due: int = 0
    reason: str = ""
    is_dead: bool = False


class DeliveryResult(Struct, frozen=True):
    """What came of some deliveries: the subscriber afterwards, the positions that it got, and what is not done.

    `notes` are texts by name that the store keeps for the subscriber; None removes one.
    """

    subscriber: Subscriber
    delivered: Sequence[Position] = ()
    undelivered: Sequence[Delivery] = ()
    notes: Mapping[str, str | None] = {}

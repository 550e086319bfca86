"""Subscribers and their deliveries in memory."""

from collections.abc import Collection, Sequence

from msgspec.structs import replace

from gateway.core.model import JournalEntry, Position
from gateway.core.subscribers import ACTIVE, Delivery, DeliveryResult, Subscriber
from gateway.stores.errors import Duplicate, Missing
from gateway.stores.rows import Row, entry_of

Key = tuple[int, str]
"""A database and the id of a subscriber."""


class MemorySubscribers:
    """The methods of a `Store` for subscribers, on dictionaries."""

    def __init__(self) -> None:
        self._subscribers: dict[Key, Subscriber] = {}
        self._leases: dict[Key, tuple[str, int]] = {}
        self._deliveries: dict[Key, dict[Position, Delivery]] = {}
        self._entry_copies: dict[Key, dict[Position, Row]] = {}
        """By delivery, the entry that is no longer in the journal."""
        self._notes: dict[Key, dict[str, str]] = {}

    async def add_subscriber(self, subscriber: Subscriber) -> None:
        key = subscriber.database, subscriber.id
        if key in self._subscribers:
            raise Duplicate(f"subscriber {subscriber.id} exists already")
        self._require_database(subscriber.database)
        self._subscribers[key], self._deliveries[key] = subscriber, {}

    async def remove_subscriber(self, database: int, id: str) -> None:
        self._subscriber(database, id)
        for table in (self._subscribers, self._leases, self._deliveries, self._entry_copies, self._notes):
            table.pop((database, id), None)

    async def subscribers(self) -> list[Subscriber]:
        return sorted(self._subscribers.values(), key=lambda each: (each.created, each.id))

    async def lease_subscriber(self, database: int, id: str, owner: str, now: int, until: int) -> Subscriber | None:
        key = database, id
        found, (holder, end) = self._subscribers.get(key), self._leases.get(key, ("", 0))
        if found is None or found.state != ACTIVE or (holder != owner and end > now):
            return None
        self._leases[key] = owner, until
        return found

    async def settle(self, result: DeliveryResult, owner: str) -> None:
        done = result.subscriber
        key = done.database, done.id
        if self._leases.get(key, ("",))[0] != owner:
            raise Missing("the lease of the subscriber was lost")
        current = self._subscribers[key]
        self._subscribers[key] = replace(current, position=done.position, state=done.state, reason=done.reason)
        for position in result.delivered:
            self._remove_delivery(key, position)
        self._deliveries[key].update({each.position: each for each in result.undelivered})
        notes = {**self._notes.get(key, {}), **result.notes}
        self._notes[key] = {name: value for name, value in notes.items() if value is not None}

    async def deliveries(self, database: int, id: str, is_dead: bool, after: Position, limit: int) -> list[Delivery]:
        own = sorted(self._deliveries.get((database, id), {}).items())
        return [each for position, each in own if each.is_dead == is_dead and position > after][:limit]

    async def notes(self, database: int, id: str, names: Sequence[str]) -> dict[str, str]:
        own = self._notes.get((database, id), {})
        return {name: own[name] for name in names if name in own}

    async def noted(self, database: int, id: str, value: str) -> list[str]:
        return sorted(name for name, each in self._notes.get((database, id), {}).items() if each == value)

    async def drop_deliveries(self, database: int, id: str, positions: Sequence[Position]) -> None:
        own = self._deliveries.get((database, id), {})
        for position in positions:
            if position in own and own[position].is_dead:
                self._remove_delivery((database, id), position)

    async def resume_subscriber(self, database: int, id: str, positions: Sequence[Position] | None) -> None:
        found, own = self._subscriber(database, id), self._deliveries[database, id]
        self._subscribers[database, id] = replace(found, state=ACTIVE, reason="", revision=found.revision + 1)
        for position, each in own.items():
            if each.is_dead and (positions is None or position in positions):
                own[position] = replace(each, attempts=0, since=0, due=0, is_dead=False)

    async def forget_deliveries(self, kept: int) -> None:
        for key, own in self._deliveries.items():
            dead = sorted((position for position, each in own.items() if each.is_dead), reverse=True)
            for position in dead[kept:]:
                self._remove_delivery(key, position)

    async def entry_of_delivery(self, database: int, id: str, position: Position) -> JournalEntry | None:
        row = self._entry_copies.get((database, id), {}).get(position)
        return entry_of(position, row) if row else None

    def _copy_entry(self, position: Position, row: Row) -> None:
        """Keep an entry for the deliveries that are about it."""
        for key, own in self._deliveries.items():
            if key[0] == row[0] and position in own:
                self._entry_copies.setdefault(key, {})[position] = row

    def _release_entries(self, database: int, profiles: Collection[str]) -> None:
        """Remove the entries of erased profiles that deliveries hold."""
        for (at, _), own in self._entry_copies.items():
            for position in [position for position, row in own.items() if at == database and row[1] in profiles]:
                del own[position]

    def _remove_delivery(self, key: Key, position: Position) -> None:
        self._deliveries[key].pop(position, None)
        self._entry_copies.get(key, {}).pop(position, None)

    def _forget_deliveries_of(self, database: int, profiles: Collection[str]) -> None:
        """Remove the deliveries of erased profiles."""
        for key, own in self._deliveries.items():
            for position in [position for position, each in own.items() if each.profile in profiles]:
                if key[0] == database:
                    self._remove_delivery(key, position)

    def _subscriber(self, database: int, id: str) -> Subscriber:
        if (database, id) not in self._subscribers:
            raise Missing(f"there is no subscriber {id}")
        return self._subscribers[database, id]

    def _require_database(self, id: int) -> None:
        """Raise `Missing` where there is no such database."""
        raise NotImplementedError

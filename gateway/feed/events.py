"""The events of the feed: CloudEvents 1.0 (https://github.com/cloudevents/spec), and which entries have one."""

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from msgspec import UNSET, Struct

from gateway.core.cursor import format_cursor
from gateway.core.journal import UNKNOWN_VALUES, started
from gateway.core.model import JournalEntry, JournalKind, MemberChange
from gateway.core.pointer import join_pointer, split_pointer, value_at
from gateway.core.times import format_time
from gateway.core.visible_values import visible_change

Event: TypeAlias = dict[str, Any]

ERASED = (UNKNOWN_VALUES,)
"""The members of an entry of an erased person."""

EVENT_TYPES: dict[JournalKind, str] = {
    "create": "profile.created",
    "update": "profile.updated",
    "remove": "profile.removed",
    "merge": "profile.merged",
    "split": "profile.split",
    "erase": "profile.erased",
}
"""The type of an event by the kind of its entry."""


class Selection(Struct, frozen=True):
    """Which entries have an event, and whether it has the values before and after.

    `types` and `members` (JSON Pointers) select events; empty: all of them. With `all`, entries have one too that a
    client wrote with `skip_triggers`. What starts an automation has one in any case.
    """

    values: bool = False
    all: bool = False
    types: frozenset[str] = frozenset()
    members: tuple[str, ...] = ()

    def selects(self, entry: JournalEntry) -> bool:
        """Return whether an entry has an event. A write that changed nothing has none, nor has one of an erased person.

        The erasure itself has one, whatever the members are that it is selected by.
        """
        if entry.kind == "erase":
            return not self.types or EVENT_TYPES["erase"] in self.types
        if not entry.members or entry.members == ERASED:
            return False
        if not (entry.origin.triggers or self.all or started(entry)):
            return False
        if self.types and EVENT_TYPES[entry.kind] not in self.types:
            return False
        return not self.members or any(_touches(each, wanted) for each in entry.members for wanted in self.members)


def event_renderer(store: str, database: int, selection: Selection) -> Callable[[JournalEntry], Event]:
    """Return the function from an entry to its event. The id of an event is also the cursor after it."""
    source, has_values = f"/gateway/v1/databases/{database}", selection.values

    def render(entry: JournalEntry) -> Event:
        origin, members = entry.origin, () if entry.members == ERASED else entry.members
        data: Event = {
            "version": entry.version,
            "changed": _changed(members),
            "dialect": origin.dialect,
            "request": origin.request,
        }
        if has_values:
            data["values"] = [render_values(each) for each in members]
        return {
            "specversion": "1.0",
            "id": format_cursor(store, entry.position),
            "source": source,
            "type": EVENT_TYPES[entry.kind],
            "subject": entry.profile,
            "time": format_time(origin.time),
            "datacontenttype": "application/json",
            "data": data,
        }

    return render


def _changed(members: Sequence[MemberChange]) -> list[str]:
    """Return the pointers of what changed. A whole document is listed by its members."""
    pointers: list[str] = []
    for each in members:
        if each.pointer:
            pointers.append(each.pointer)
        else:
            pointers += map(join_pointer, each.before if each.after is UNSET else each.after)
    return pointers


def render_values(change: MemberChange) -> dict[str, Any]:
    """Return the pointer with the values before and after. A value that is absent, or unknown, has no member."""
    change = visible_change(change)
    values = {"path": change.pointer}
    if change.before is not UNSET:
        values["before"] = change.before
    if change.after is not UNSET:
        values["after"] = change.after
    return values


def _touches(change: MemberChange, wanted: str) -> bool:
    """Return whether a change alters the member at a pointer, one inside it, or one around it."""
    pointer = change.pointer
    if pointer == wanted or pointer.startswith(f"{wanted}/"):
        return True
    if not wanted.startswith(f"{pointer}/"):
        return False
    path = split_pointer(wanted.removeprefix(pointer))
    before, after = (None if each is UNSET else value_at(each, path) for each in (change.before, change.after))
    return bool(before != after)

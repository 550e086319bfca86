"""What a client of the gateway's own API, of the feed and of the console sees of stored values: all but some numbers.

A subscription stores the highest number of a fact that it lifts (`core.consent`). It means something to one store only.
The journal keeps it, because an undo needs it.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from msgspec import UNSET
from msgspec.structs import replace

from gateway.core.consent import LIFTS
from gateway.core.matching import SUBSCRIPTIONS
from gateway.core.model import Document, MemberChange

_POINTER = f"/{SUBSCRIPTIONS}"


def visible_document(document: Document) -> Document:
    """Return the document whose subscriptions do not show what they lift."""
    before = document.get(SUBSCRIPTIONS, ())
    if not any(LIFTS in one for one in before):
        return document
    return {**document, SUBSCRIPTIONS: _visible_subscriptions(before)}


def visible_change(change: MemberChange) -> MemberChange:
    """Return the change with visible values. No pointer of the journal leads into the list of subscriptions."""
    if change.pointer not in ("", _POINTER):
        return change
    of = _visible_subscriptions if change.pointer else visible_document
    before, after = (value if value is UNSET else of(value) for value in (change.before, change.after))
    return replace(change, before=before, after=after)


def _visible_subscriptions(subscriptions: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    return [{name: value for name, value in one.items() if name != LIFTS} for one in subscriptions]

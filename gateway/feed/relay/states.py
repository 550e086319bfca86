"""What some entries of the journal touched: the members to send, and their former values."""

from collections.abc import Iterable, Iterator
from typing import Any

from msgspec import UNSET

from gateway.core.journal import LAST_STARTS
from gateway.core.model import Document, MemberChange
from gateway.core.pointer import split_pointer
from gateway.dialects.outgoing import Path

INTERNAL = ("merged",)
"""Members of a document that no vendor gets."""


def touched_members(changes: Iterable[MemberChange]) -> dict[Path, list[Any]]:
    """Return the former values of each member that the changes touch, None where there was none, in their order."""
    touched: dict[Path, list[Any]] = {}
    for change in changes:
        path = tuple(split_pointer(change.pointer))
        for place, before in _places(path, _value(change.before), _value(change.after)):
            if place[0] not in INTERNAL:
                touched.setdefault(place, []).append(before)
    return touched


def all_members(document: Document) -> dict[Path, list[Any]]:
    """Return every member of a document as if it had been absent before, without what was started: once is enough."""
    members = {name: value for name, value in document.items() if name != LAST_STARTS}
    return touched_members([MemberChange("", after=members)])


def nested(pointer: str, value: Any) -> Document:
    """Return a document with a value, unless it is UNSET, at a pointer."""
    found: Document = {} if value is UNSET else _nested(tuple(split_pointer(pointer)), value)
    return found


def _value(value: Any) -> Any:
    return None if value is UNSET else value


def _places(path: Path, before: Any, after: Any) -> Iterator[tuple[Path, Any]]:
    """Yield each member at a path or inside it, with its former value. What is inside a member stands for it."""
    if len(path) > 2:
        yield path[:2], _nested(path[2:], _completed(before, after))
    elif len(path) < 2 and (isinstance(before, dict) or isinstance(after, dict)):
        olds, news = (each if isinstance(each, dict) else {} for each in (before, after))
        for name in {**olds, **news}:
            yield from _places((*path, name), olds.get(name), news.get(name))
    else:
        yield path, _completed(before, after)


def _completed(before: Any, after: Any) -> Any:
    """Return a former value of an object with None for what it did not have, so that it names all that was touched."""
    if not isinstance(before, dict) or not isinstance(after, dict):
        return before
    return {name: _completed(before.get(name), after.get(name)) for name in {**before, **after}}


def _nested(path: Path, value: Any) -> Any:
    for name in reversed(path):
        value = {name: value}
    return value

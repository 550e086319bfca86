"""What a profile is related to: lists, which are static segments here, and segments, of which it has none.

A Klaviyo segment is computed; only a list is kept by hand, as a static segment is.
"""

from collections.abc import Callable, Sequence
from typing import Any

from gateway.core.model import Database, Profile
from gateway.dialects.protocol import Reply, Result

TYPES = {"lists": "list", "segments": "segment"}


def related(name: str) -> Callable[[Result], Reply]:
    """Writes the resources that a profile is related to by this name."""

    def write(answer: Result) -> Reply:
        base = answer.context["base"]
        return _page(answer, [_resource(each, answer.database, f"{base}/api/{name}") for each in _ids(answer, name)])

    return write


def identified(name: str) -> Callable[[Result], Reply]:
    """Writes their identifiers alone."""

    def write(answer: Result) -> Reply:
        return _page(answer, [{"type": TYPES[name], "id": str(each)} for each in _ids(answer, name)])

    return write


def lists_of(answer: Result, segments: Sequence[int | str]) -> Reply:
    """Writes lists as resources."""
    base = answer.context["base"]
    return _page(answer, [_resource(each, answer.database, f"{base}/api/lists") for each in segments])


def identifiers_of_lists(answer: Result, segments: Sequence[int | str]) -> Reply:
    """Writes the identifiers of lists alone."""
    return _page(answer, [{"type": "list", "id": str(each)} for each in segments])


def _ids(answer: Result, name: str) -> list[int | str]:
    (profile,) = answer.outcomes
    assert isinstance(profile, Profile)
    return list(profile.document.get("segments", ())) if name == "lists" else []


def _resource(segment: int | str, database: Database, at: str) -> dict[str, Any]:
    declared = database.segments.get(segment) if isinstance(segment, int) else None
    attributes = {"name": declared.name if declared else str(segment), "created": None, "updated": None}
    return {"type": "list", "id": str(segment), "attributes": attributes, "links": {"self": f"{at}/{segment}"}}


def _page(answer: Result, rows: list[dict[str, Any]]) -> Reply:
    return Reply(200, {"data": rows, "links": {"self": answer.context["base"] + answer.context["target"]}})

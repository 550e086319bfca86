"""Static segments: lists of profiles that only requests change, as the registry has them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

SegmentId: TypeAlias = int | str
"""A number or a text: some vendors have numbers only."""

MAX_ID_CHARACTERS = 300
"""Characters of the id of a declared segment, if it is a text: an index holds it in every engine."""


@dataclass(frozen=True, slots=True)
class Segment:
    """A declared segment. Times are in milliseconds since 1970.

    `preferences` are kept as they were given. `archived` is when it was archived, None: it is not. The profiles of
    an archived one stay in it; no dialect shows it or who is in it, and no profile joins it.
    """

    id: SegmentId
    name: str
    created: int | None = None
    updated: int | None = None
    is_double_opt_in: bool = False
    preferences: Mapping[str, Any] = field(default_factory=dict)
    archived: int | None = None


def segment_of(text: Any) -> Any:
    """Return the id that a text means: a number if the text is its decimal form. Another value stays as it is."""
    is_integer = isinstance(text, str) and text.isascii() and text.isdigit() and len(text) < 19
    return int(text) if is_integer and str(int(text)) == text else text


def segment_order(id: SegmentId) -> tuple[bool, Any]:
    """Return the key by which segments are sorted: numbers first, then texts."""
    return isinstance(id, str), id


def archived_segments(declared: Mapping[SegmentId, Segment]) -> frozenset[SegmentId]:
    """Return the ids of the archived ones."""
    return frozenset(id for id, each in declared.items() if each.archived is not None)


def visible_segments(ids: Iterable[SegmentId], declared: Mapping[SegmentId, Segment]) -> list[SegmentId]:
    """Return the ids that are not those of archived segments, in the same order."""
    return [id for id in ids if id not in declared or declared[id].archived is None]

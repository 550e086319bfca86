"""Listing: which profiles a query lets through, and in which order. What every store answers, said once."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from gateway.core import matching
from gateway.core.model import Identity, Profile, Query
from gateway.core.profile_tables import ProfileTables

SORTED_LAST = "\U0010ffff"
"""Stands for a value that a profile has not: it is sorted behind every other."""


def parse_query(asked: Mapping[str, Any]) -> Query:
    """The query of a canonical update's `query`."""
    spans = {name: (asked[name].get("from"), asked[name].get("to")) for name in ("created", "updated") if name in asked}
    after = tuple(asked["after"]) if "after" in asked else None
    return Query(asked["limit"], asked.get("sort", "id"), asked.get("descending", False), after, **spans)


def filter_identities(asked: Mapping[str, Any], tables: ProfileTables) -> Iterator[list[Identity]]:
    """For each condition of `filters`, the identities of which a profile must have one."""
    for condition in asked.get("filters", ()):
        each = ({name: value} for name, values in condition.items() for value in values)
        matches = ({"mode": matching.IDENTIFIERS, "values": values} for values in each)
        yield [identity for match in matches for identity in matching.match_identities(match, tables)]


def sort_value(profile: Profile, sort: str) -> Any:
    """What a query sorts a profile by."""
    own = {"id": profile.id, "created": profile.created, "updated": profile.updated}
    return own[sort] if sort in own else profile.document.get(sort, SORTED_LAST)


def select_page(profiles: Iterable[Profile], query: Query) -> list[Profile]:
    """A page of these profiles, as a query asks for it."""

    def place(profile: Profile) -> tuple[Any, str]:
        return sort_value(profile, query.sort), profile.id

    let_through = [each for each in profiles if _is_between(each.created, query.created)]
    let_through = [each for each in let_through if _is_between(each.updated, query.updated)]
    let_through = [each for each in let_through if is_after(place(each), query)]
    return sorted(let_through, key=place, reverse=query.descending)[: query.limit]


def intersection(found: Sequence[Sequence[Profile]]) -> list[Profile]:
    """The profiles that all of these searches found."""
    ids = set.intersection(*({each.id for each in profiles} for profiles in found))
    return [each for each in found[0] if each.id in ids]


def _is_between(time: int, span: tuple[int | None, int | None]) -> bool:
    start, end = span
    return (start is None or time > start) and (end is None or time < end)


def is_after(place: tuple[Any, str], query: Query) -> bool:
    """Whether a sorted value and an id come after where the page begins."""
    if query.after is None:
        return True
    return place < query.after if query.descending else place > query.after

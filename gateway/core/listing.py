"""Listing: the profiles that a query selects, and their order. Every store gives the same results."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from gateway.core import matching
from gateway.core.conditions import Condition, meets, profile_view
from gateway.core.consent import suppressions_of
from gateway.core.model import Document, Identity, Profile, Query
from gateway.core.pointer import split_pointer, value_at
from gateway.core.profile_tables import ProfileTables

SORTED_LAST = "\U0010ffff"
"""The sort value of a profile without the member: it follows every other value."""

SUPPRESSED = "suppressed"
"""The sort by the time of the latest suppression of the e-mail address. Without one it is 0, before every other."""


def parse_query(parameters: Mapping[str, Any]) -> Query:
    """Return the query of a search's `query`."""
    spans = {
        name: (parameters[name].get("from"), parameters[name].get("to"))
        for name in ("created", "updated")
        if name in parameters
    }
    after = tuple(parameters["after"]) if "after" in parameters else None
    sort, descending = parameters.get("sort", "id"), parameters.get("descending", False)
    return Query(parameters["limit"], sort, descending, after, **spans)


def filter_identities(parameters: Mapping[str, Any], tables: ProfileTables) -> Iterator[list[Identity]]:
    """Yield, for each of the `filters`, the identities of which a profile must have one."""
    for condition in parameters.get("filters", ()):
        each = ({name: value} for name, values in condition.items() for value in values)
        matches = ({"mode": matching.IDENTIFIERS, "values": values} for values in each)
        yield [identity for match in matches for identity in matching.match_identities(match, tables)]


def needs_effective_documents(parameters: Mapping[str, Any]) -> bool:
    """Return whether a search's `query` depends on the facts about addresses, which no profile stores."""
    return (
        SUPPRESSED in parameters
        or "suppression_reasons" in parameters
        or parameters.get("sort") == SUPPRESSED
        or "where" in parameters
    )


def needs_all_profiles(sort: str) -> bool:
    """Return whether no store keeps profiles in this order, so that a page needs all of them."""
    return sort == SUPPRESSED or sort.startswith("/")


def listing_key(condition: Condition, tables: ProfileTables) -> Identity | None:
    """Return a key that every profile has which meets a condition; None if no index serves it."""
    for each in condition.get("all", (condition,)):
        if each.get("test") == "equals" and type(each["value"]) in (int, str) and len(each["path"]) == 1:
            source = tables.listed.get(each["path"][0])
            keys = matching.source_identities(source, [each["value"]]) if source else []
            if keys:
                return keys[0]
    return None


def is_selected(profile: Profile, parameters: Mapping[str, Any]) -> bool:
    """Return whether a profile with its effective document meets the conditions that no index serves."""
    if "where" in parameters and not meets(profile_view(profile), parameters["where"]):
        return False
    return is_suppressed_as(profile.document, parameters)


def is_suppressed_as(document: Document, parameters: Mapping[str, Any]) -> bool:
    """Return whether an effective document has one suppression that matches all conditions of a search's `query`."""
    wanted, span = parameters.get("suppression_reasons", ()), parameters.get(SUPPRESSED)
    if not wanted and span is None:
        return True
    limits = (span or {}).get("from"), (span or {}).get("to")
    suppressions = suppressions_of(document).items()
    return any(all(reason == each for each in wanted) and is_between(time, limits) for reason, time in suppressions)


def sort_value(profile: Profile, sort: str) -> Any:
    """Return the value that a profile is sorted by. The sort `suppressed` needs its effective document.

    A pointer is the sort by a time in the document, and by the profile's creation where it is absent.
    """
    if sort == SUPPRESSED:
        return max(suppressions_of(profile.document).values(), default=0)
    if sort.startswith("/"):
        time = value_at(profile.document, split_pointer(sort))
        return profile.created if time is None else time
    own = {"id": profile.id, "created": profile.created, "updated": profile.updated}
    return own[sort] if sort in own else profile.document.get(sort, SORTED_LAST)


def select_page(profiles: Iterable[Profile], query: Query) -> list[Profile]:
    """Return the page of these profiles that a query selects."""

    def place(profile: Profile) -> tuple[Any, str]:
        return sort_value(profile, query.sort), profile.id

    selected = [each for each in profiles if is_between(each.created, query.created)]
    selected = [each for each in selected if is_between(each.updated, query.updated)]
    selected = [each for each in selected if is_after(place(each), query)]
    return sorted(selected, key=place, reverse=query.descending)[: query.limit]


def intersection(results: Sequence[Sequence[Profile]]) -> list[Profile]:
    """Return the profiles that all of these searches found."""
    ids = set.intersection(*({each.id for each in profiles} for profiles in results))
    return [each for each in results[0] if each.id in ids]


def is_between(time: int, span: tuple[int | None, int | None]) -> bool:
    """Return whether a time is between two others, neither of them included; None is no limit."""
    start, end = span
    return (start is None or time > start) and (end is None or time < end)


def is_after(place: tuple[Any, str], query: Query) -> bool:
    """Whether a sort value and id belong to the page, which starts after the query's `after`."""
    if query.after is None:
        return True
    return place < query.after if query.descending else place > query.after

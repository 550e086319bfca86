"""The pages of people: a search, and everything about one profile."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from msgspec import UNSET, Struct

from gateway.console.masking import MASK, mask, masked_patch
from gateway.console.pages import HtmlPage, PageError, PageResult, Visit
from gateway.console.vendor_views import render_views
from gateway.core import matching, normalization
from gateway.core.consent import OWN_STATUS, REASONS, status_word
from gateway.core.consent import address_of as consent_address
from gateway.core.cursor import format_cursor
from gateway.core.faults import Refusal
from gateway.core.model import Document, Identity, JournalEntry, Origin, Profile, Query, RecordedMerge
from gateway.core.profile_tables import ProfileTables
from gateway.core.rights import DELETE, WRITE
from gateway.core.times import parse_time
from gateway.core.visible_values import visible_document
from gateway.feed.cursors import parse_cursor
from gateway.feed.history import document_at, find_profile, read_history, render_entry
from gateway.service.effective_consent import with_consent

MAX_FOUND = 50
MAX_MERGES = 50
HISTORY_PAGE = 50
MAX_ORIGIN_ENTRIES = 1_000
"""Entries of a profile that are searched for the origins of its subscriptions. With more, these are not known."""


class ConsentRow(Struct, frozen=True):
    """One subscription as clients see it, and the write that gave it its own state."""

    channel: str
    address: str
    resource: str
    status: str
    own_status: str
    reasons: Mapping[str, int]
    origin: Origin | None
    token: str


async def list_people(visit: Visit) -> PageResult:
    """Return the profiles that were updated last."""
    found = await visit.context.store.page(visit.database.id, Query(MAX_FOUND, "updated", True))
    return _people_page(visit, "", found)


async def find_people(visit: Visit) -> PageResult:
    """Find profiles by any of their identities. The text is in no address of a page, which proxies log."""
    text = visit.form.text("q")
    return _people_page(visit, text, await find_profiles(visit, text))


async def find_profiles(visit: Visit, text: str) -> list[Profile]:
    """Return the profiles that have an identity which the text may be."""
    return await visit.context.store.find(visit.database.id, search_identities(text, _tables(visit)))


def profile_rows(visit: Visit, found: Sequence[Profile]) -> list[dict[str, Any]]:
    """Return the rows of a list of profiles."""
    return [
        {"id": each.id, "version": each.version, "updated": each.updated, "names": _names(visit, each.document)}
        for each in found[:MAX_FOUND]
    ]


def _people_page(visit: Visit, text: str, found: Sequence[Profile]) -> HtmlPage:
    return HtmlPage("people", {"q": text, "rows": profile_rows(visit, found), "more": len(found) > MAX_FOUND})


def search_identities(text: str, tables: ProfileTables) -> list[Identity]:
    """Return the identities of every kind that a text may be, in normal form."""
    kinds = [*tables.match_kinds.values(), *(f"{matching.CUSTOM}/{name}" for name in tables.identifiers)]
    found = [*matching.identities_by_id(text), *((kind, text) for kind in kinds)]
    found += [(f"{matching.TAGS}/{name}", text) for name in tables.tag_fields]
    for own, sub, form in (
        (matching.EMAIL, matching.EMAIL_SUB, normalization.email),
        (matching.PHONE, matching.PHONE_SUB, normalization.phone),
    ):
        if (value := form(text)) is not None:
            found += [(own, value), (sub, value)]
    return list(dict.fromkeys(found))


async def show_person(visit: Visit) -> PageResult:
    """Return everything about a profile: as it is now, or as it was at a time."""
    id, at = visit.form.text("id"), visit.form.text("at")
    store, database = visit.context.store, visit.database
    profile = await find_profile(store, database.id, id)
    after = await parse_cursor(visit.form.text("after"), store, database.id)
    entries = await read_history(store, database.id, id, after, HISTORY_PAGE + 1)
    page = entries[:HISTORY_PAGE]
    values: dict[str, Any] = {
        "id": id,
        "profile": profile,
        "at": at,
        "earlier": await _earlier(visit, id, at) if at else None,
        "entries": [_entry(visit, each) for each in page],
        "next": format_cursor(store.id, page[-1].position) if len(entries) > HISTORY_PAGE else "",
        "masked": not visit.may_read,
        "may_delete": DELETE in visit.token.rights,
        "may_merge": {WRITE, DELETE} <= visit.token.rights,
        "merges": [_merge(visit, each) for each in await store.merges(database.id, None, MAX_MERGES, id)],
    }
    if profile is not None:
        document = _visible(visit, profile.document)
        values |= {
            "document": document,
            "identities": _identities(visit, profile.document),
            "consents": await _consents(visit, profile),
            "views": await render_views(visit, profile),
        }
    return HtmlPage("person", values)


def _tables(visit: Visit) -> ProfileTables:
    return visit.context.catalog.grant_of_token(visit.token, visit.context.dialects[0]).schema.tables


def _visible(visit: Visit, document: Document) -> Any:
    document = visible_document(document)
    return document if visit.may_read else mask(document)


def _identities(visit: Visit, document: Document) -> list[Identity]:
    found = sorted(matching.identities(document, _tables(visit)))
    return found if visit.may_read else [(kind, MASK) for kind, _ in found]


def _names(visit: Visit, document: Document) -> str:
    """Return some identities of a profile, for a list of several."""
    return ", ".join(value for _, value in _identities(visit, document)[:3])


async def _earlier(visit: Visit, id: str, at: str) -> dict[str, Any]:
    """Return what a profile was at a time, or why that is not known."""
    try:
        time = parse_time(at)
    except (ValueError, OverflowError):
        raise PageError(400, "The time must be like 2026-01-31T12:00:00Z.") from None
    try:
        version, document = await document_at(visit.context.store, visit.database.id, id, time)
    except Refusal as refusal:
        return {"reason": refusal.faults[0].text}
    return {"version": version, "document": _visible(visit, document), "reason": ""}


def _entry(visit: Visit, entry: JournalEntry) -> dict[str, Any]:
    """Return an entry of the history with the name of its token and with visible patches."""
    row = render_entry(entry)
    if not visit.may_read:
        row |= {name: row[name] and masked_patch(row[name]) for name in ("forward", "backward")}
    return {**row, "token_name": _token_name(visit, entry.origin.token)}


def _merge(visit: Visit, merge: RecordedMerge) -> dict[str, Any]:
    entry = merge.entry
    return {
        "id": entry.merge,
        "time": entry.origin.time,
        "destination": entry.profile,
        "sources": (entry.replay or {}).get("sources", ()),
        "token_name": _token_name(visit, entry.origin.token),
        "is_undone": merge.is_undone,
    }


def _token_name(visit: Visit, id: str) -> str:
    token = visit.context.catalog.token_by_id(id)
    return (token.name if token else "") or id


async def _consents(visit: Visit, profile: Profile) -> list[ConsentRow]:
    """Return the subscriptions with the strictest status that applies, each with the last write that changed it."""
    context, database = visit.context, visit.database
    [effective] = await with_consent(context.store, database.id, _tables(visit), [profile], context.pseudonym)
    assert isinstance(effective, Profile)
    history = await context.store.journal(database.id, 0, MAX_ORIGIN_ENTRIES, profile.id)
    origins = subscription_origins(history) if len(history) < MAX_ORIGIN_ENTRIES else {}
    return [_consent(visit, each, origins) for each in effective.document.get(matching.SUBSCRIPTIONS, ())]


def _consent(visit: Visit, subscription: Mapping[str, Any], origins: Mapping[Any, Origin]) -> ConsentRow:
    origin = origins.get(matching.subscription_address(subscription))
    resource = visit.database.resources.get(subscription.get("resource_id", -1))
    address = consent_address(subscription).partition(":")[2]
    return ConsentRow(
        subscription["channel"],
        address if visit.may_read else MASK,
        resource.name if resource else str(subscription.get("resource_id", "")),
        "deleted" if "deleted" in subscription else status_word(subscription.get("status")) or "",
        status_word(subscription.get(OWN_STATUS)) or "",
        subscription.get(REASONS, {}),
        origin,
        _token_name(visit, origin.token) if origin else "",
    )


def subscription_origins(entries: Iterable[JournalEntry]) -> dict[Any, Origin]:
    """Return, by address of a subscription, the origin of the last entry that changed it. Entries are oldest first."""
    origins: dict[Any, Origin] = {}
    for entry in entries:
        before = _subscriptions((each.pointer, each.before) for each in entry.members)
        after = _subscriptions((each.pointer, each.after) for each in entry.members)
        origins |= {address: entry.origin for address, each in after.items() if before.get(address) != each}
    return origins


def _subscriptions(values: Iterable[tuple[str, Any]]) -> dict[Any, Any]:
    """Return the subscriptions among journalled values, by address. No pointer of the journal leads into the list."""
    found = {}
    for pointer, value in values:
        if value is not UNSET and pointer in ("", _SUBSCRIPTIONS):
            for each in value if pointer else value.get(matching.SUBSCRIPTIONS, ()):
                found[matching.subscription_address(each)] = each
    return found


_SUBSCRIPTIONS = f"/{matching.SUBSCRIPTIONS}"

"""Profiles as clients see them: with the facts about their addresses."""

from collections.abc import Collection, Iterable, Mapping

from msgspec.structs import replace

from gateway.core.consent import addresses_of, effective_document
from gateway.core.erasure import resolve_pseudonyms
from gateway.core.model import Address, Ledger, Profile
from gateway.core.profile_tables import ProfileTables
from gateway.core.tombstones import Pseudonym
from gateway.service.prepared_request import Outcome
from gateway.stores.protocol import Store


async def with_consent(
    store: Store, database: int, tables: ProfileTables, outcomes: Iterable[Outcome], pseudonym: Pseudonym | None
) -> list[Outcome]:
    """Return the outcomes, in whose profiles each subscription has the strictest status that applies."""
    outcomes = list(outcomes)
    addresses: dict[Address, None] = {}
    for each in outcomes:
        if isinstance(each, Profile):
            addresses.update(dict.fromkeys(addresses_of(each.document, tables)))
    ledgers = await _read_ledgers(store, database, addresses, pseudonym)
    if not ledgers:
        return outcomes
    return [
        replace(each, document=effective_document(each.document, tables, ledgers))
        if isinstance(each, Profile)
        else each
        for each in outcomes
    ]


async def _read_ledgers(
    store: Store, database: int, addresses: Collection[Address], pseudonym: Pseudonym | None
) -> Mapping[Address, Ledger]:
    if pseudonym is None:
        return await store.ledgers(database, [*addresses])
    names = dict(zip(addresses, map(pseudonym, addresses), strict=True))
    ledgers = await store.ledgers(database, [*names, *names.values()])
    return resolve_pseudonyms(ledgers, names) if ledgers else ledgers

"""Profiles as clients see them: with the facts about their addresses."""

from collections.abc import Iterable, Mapping, Sequence

from msgspec.structs import replace

from gateway.core.consent import addresses_of, effective_document
from gateway.core.erasure import Pseudonym, resolve_pseudonyms
from gateway.core.matching import identities
from gateway.core.model import Address, Ledger, Profile
from gateway.core.profile_tables import ProfileTables
from gateway.service.prepared_request import Outcome
from gateway.stores.protocol import Store


async def with_consent(
    store: Store, database: int, tables: ProfileTables, outcomes: Iterable[Outcome], pseudonym: Pseudonym | None
) -> list[Outcome]:
    """Return the outcomes, in whose profiles each subscription has the strictest status that applies."""
    outcomes = list(outcomes)
    named = {each.id: identities(each.document, tables) for each in outcomes if isinstance(each, Profile)}
    addresses = {
        address: None
        for each in outcomes
        if isinstance(each, Profile)
        for address in addresses_of(each.document, named[each.id])
    }
    ledgers = await _read_ledgers(store, database, list(addresses), pseudonym)
    return [
        replace(each, document=effective_document(each.document, named[each.id], ledgers))
        if isinstance(each, Profile)
        else each
        for each in outcomes
    ]


async def _read_ledgers(
    store: Store, database: int, addresses: Sequence[Address], pseudonym: Pseudonym | None
) -> Mapping[Address, Ledger]:
    if pseudonym is None:
        return await store.ledgers(database, addresses)
    names = {address: pseudonym(address) for address in addresses}
    return resolve_pseudonyms(await store.ledgers(database, [*names, *names.values()]), names)

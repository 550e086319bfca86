"""Profiles as clients see them: with the facts about their addresses."""

from collections.abc import Iterable

from msgspec.structs import replace

from gateway.core.consent import addresses_of, effective_document
from gateway.core.matching import identities
from gateway.core.model import Profile
from gateway.core.profile_tables import ProfileTables
from gateway.service.prepared_request import Outcome
from gateway.stores.protocol import Store


async def with_consent(
    store: Store, database: int, tables: ProfileTables, outcomes: Iterable[Outcome]
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
    ledgers = await store.ledgers(database, list(addresses))
    return [
        replace(each, document=effective_document(each.document, named[each.id], ledgers))
        if isinstance(each, Profile)
        else each
        for each in outcomes
    ]

"""The ledgers of profiles that were stored before there were any: derived from their documents."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import orjson
from msgspec import structs

from gateway.core.consent import (
    FACT_STATUSES,
    SUPPRESSED,
    ReadLedgers,
    address_of,
    record,
    resource_key,
    status_word,
)
from gateway.core.model import Address, Ledger, Profile
from gateway.core.normalization import email
from gateway.stores.rows import Row, ledger_text


def ledger_rows_of_profiles(profiles: Iterable[tuple[int, str, int]]) -> list[Row]:
    """Return rows of database, address and ledger, from rows of database, document and time of the last update."""
    ledgers: dict[tuple[int, Address], Ledger] = {}
    for database, text, updated in profiles:
        for address, resource, reason, time in _facts(orjson.loads(text), updated):
            ledger = ledgers.get((database, address), Ledger())
            ledgers[database, address] = _record_earliest(ledger, resource, reason, time)
    return [(*key, ledger_text(ledger)) for key, ledger in ledgers.items()]


def ledgers_of_profiles(profiles: Iterable[Profile], read: ReadLedgers) -> dict[Address, Ledger]:
    """Return the ledgers of a database after the facts in these profiles."""
    facts = [fact for profile in profiles for fact in _facts(profile.document, profile.updated)]
    ledgers = dict(read([address for address, *_ in facts])) if facts else {}
    for address, resource, reason, time in facts:
        ledgers[address] = _record_earliest(ledgers.get(address, Ledger()), resource, reason, time)
    return ledgers


def _record_earliest(ledger: Ledger, resource: str, reason: str, time: int) -> Ledger:
    """Return the ledger with a fact. Its time is the earliest: profiles are not read in the order of their times."""
    ledger = record(ledger, resource, reason, time)
    facts = ledger.facts[resource]
    if facts[reason].time <= time:
        return ledger
    earlier = {**facts, reason: structs.replace(facts[reason], time=time)}
    return Ledger(ledger.number, {**ledger.facts, resource: earlier})


def _facts(document: Mapping[str, Any], updated: int) -> Iterator[tuple[Address, str, str, int]]:
    """Yield address, resource, reason and time of each fact of a document that forbids messages."""
    for subscription in document.get("subscriptions", ()):
        word = status_word(subscription.get("status"))
        if word in FACT_STATUSES:
            yield address_of(subscription), resource_key(subscription), word, updated
    # Earlier versions stored a suppression in the profile.
    suppression = document.get("klaviyo", {}).get("suppression")
    if suppression and (address := email(document.get("email", ""))):
        yield f"email:{address}", "", SUPPRESSED, suppression.get("timestamp", updated)

"""The rows of a dump that are older than an erasure: a load leaves them out, so that it brings no person back."""

from collections.abc import Mapping, Sequence
from typing import TypeAlias, TypeVar

from gateway.core.consent import CHANNELS_OF_IDENTITY
from gateway.core.erasure import erase_from_job, possible_identities
from gateway.core.matching import ID, identities
from gateway.core.model import AddressLedger, Erasure, Identity, Job, JournalEntry, Profile, StoredAnswer
from gateway.core.profile_tables import ProfileTables
from gateway.core.tombstones import IDEMPOTENCY_KEY, Pseudonym
from gateway.service.erasures import erasure_times
from gateway.stores.protocol import Record, Store

K = TypeVar("K")

Row: TypeAlias = Record | AddressLedger
"""What a dump has beside profiles."""

KINDS_BY_CHANNEL = {channel: kind for kind, channels in CHANNELS_OF_IDENTITY.items() for channel in channels}


class ErasedRows:
    """Finds the rows about persons whom a database erased after the rows were written."""

    def __init__(self, store: Store, database: int, pseudonym: Pseudonym | None, tables: ProfileTables) -> None:
        self._store, self._database = store, database
        self._pseudonym, self._tables = pseudonym, tables

    async def without_erased_profiles(self, profiles: Mapping[K, Profile]) -> dict[K, Profile]:
        """Return the profiles without those of erased persons."""
        named = {key: self._profile_identities(each) for key, each in profiles.items()}
        times = await self._times(*named.values())
        return {key: each for key, each in profiles.items() if not _is_older(named[key], each.created, times)}

    async def without_erased_records(self, records: Sequence[Row]) -> list[Row]:
        """Return the records without those of erased persons, and jobs without what they say of them."""
        named = [_record_identities(each) for each in records]
        times = await self._times(*named)
        if not times:
            return [*records]
        kept: list[Row] = []
        for each, own in zip(records, named, strict=True):
            if isinstance(each, Job):
                kept.append(_job_without(each, own, times))
            elif not _is_older(own, _time_of(each), times):
                kept.append(each)
        return kept

    async def _times(self, *named: set[Identity]) -> dict[Identity, int]:
        return await erasure_times(self._store, self._database, self._pseudonym, set().union(*named))

    def _profile_identities(self, profile: Profile) -> set[Identity]:
        return {(ID, profile.id), *identities(profile.document, self._tables)}


def _is_older(named: set[Identity], time: int, times: Mapping[Identity, int]) -> bool:
    return any(time < times[identity] for identity in named if identity in times)


def _record_identities(record: Row) -> set[Identity]:
    match record:
        case JournalEntry():
            return {(ID, record.profile)}
        case StoredAnswer(once, profile):
            return {(IDEMPOTENCY_KEY, once.key), *([(ID, profile.id)] if profile else [])}
        case AddressLedger(address, _):
            channel, _, value = address.partition(":")
            return {(KINDS_BY_CHANNEL[channel], value)} if channel in KINDS_BY_CHANNEL else set()
        case Job():
            sent = possible_identities([each["sent"] for each in record.failures])
            return sent | {(ID, id) for id in record.profiles}


def _time_of(record: JournalEntry | StoredAnswer | AddressLedger) -> int:
    """Return when a record was written, as far as it says so (ms since 1970)."""
    match record:
        case JournalEntry():
            return record.origin.time
        case StoredAnswer(_, profile):
            return profile.updated if profile else 0
        case AddressLedger(_, ledger):
            return max((fact.time for facts in ledger.facts.values() for fact in facts.values()), default=0)


def _job_without(job: Job, named: set[Identity], times: Mapping[Identity, int]) -> Job:
    erased = frozenset(identity for identity in named if job.created < times.get(identity, 0))
    return erase_from_job(job, Erasure(frozenset(value for kind, value in erased if kind == ID), erased))

"""The operations that write profiles: update, batch, atomic, change_statuses, remove, merge, relate, split."""

import asyncio
import logging
from collections.abc import Awaitable, Sequence

from msgspec.structs import replace

from gateway.core.erasure import ErasureEdit
from gateway.core.faults import Refusal, refuse
from gateway.core.matching import ID
from gateway.core.model import Change, EditResult, Query
from gateway.core.splitting import DESTINATIONS
from gateway.core.status_change import changed_subscriptions
from gateway.core.subscription_rules import change_statuses
from gateway.service.changes import GROUP_SIZE, ChangeBuilder
from gateway.service.erasures import erase
from gateway.service.prepared_request import Outcome, PreparedRequest
from gateway.stores.protocol import Store

log = logging.getLogger("gateway")


class Updates:
    """Writes profiles."""

    def __init__(self, store: Store, changes: ChangeBuilder) -> None:
        self._store = store
        self._changes = changes

    async def update(self, request: PreparedRequest) -> list[Outcome]:
        """Update one profile. The outcome of a public call may be the faults that its reply must not report."""
        change = self._changes.change(request.commands[0], request, request.idempotency_key)
        [result] = await self._store.change([change])
        if isinstance(result, Refusal):
            code = result.faults[0].code
            # Public calls have a key space of their own, so that a conflict reveals nothing.
            if not request.is_public or code == "idempotency_conflict":
                raise result.copy()
            message = "a call that is open to any page was not carried out: %s"
            log.warning(message, code, extra={"request_id": request.request_id})
            return [result.faults]
        if result.profile and result.others:
            others = ", ".join(result.others)
            message = "a call named several profiles: %s was updated, and not %s"
            log.warning(message, result.profile.id, others, extra={"request_id": request.request_id})
        return [result.profile]

    async def batch(self, request: PreparedRequest) -> list[Outcome]:
        """Update many profiles, each by itself.

        One group at a time is stored, so that other requests run in between. While it is committed, the next one is
        prepared.
        """
        outcomes: list[Outcome] = []
        planned: Sequence[Change | Refusal] = ()
        storing: Awaitable[Sequence[EditResult | Refusal]] = asyncio.sleep(0, ())
        for start in range(0, len(request.commands), GROUP_SIZE):
            group = self._changes.group(request, start)
            outcomes += _outcomes(planned, await storing)
            planned = group
            storing = asyncio.ensure_future(self._store.change([each for each in group if isinstance(each, Change)]))
            await asyncio.sleep(0)  # the store runs the group up to its commit
        return outcomes + _outcomes(planned, await storing)

    async def atomic(self, request: PreparedRequest) -> list[Outcome]:
        """Update many profiles in one step, all or none."""
        return [(await apply(self._store, self._changes.atomic(request))).profile]

    async def change_statuses(self, request: PreparedRequest) -> list[Outcome]:
        """Change the subscriptions of all profiles, each profile by itself. To repeat it is harmless."""
        rule, count = request.command["status_change"], 0
        query = Query(GROUP_SIZE)
        while profiles := await self._store.page(request.database.id, query):
            ids = [each.id for each in profiles if change_statuses(each.document, rule) is not each.document]
            results = await self._store.change([self._changes.status_change(request, id) for id in ids]) if ids else []
            count += sum(changed_subscriptions(each.writes) for each in results if isinstance(each, EditResult))
            query = Query(GROUP_SIZE, after=(profiles[-1].id, profiles[-1].id))
        return [count]

    async def remove(self, request: PreparedRequest) -> list[Outcome]:
        """Remove one profile, or erase a person."""
        change = self._changes.removal(request)
        run = erase if isinstance(change.edit, ErasureEdit) else apply
        return [(await run(self._store, change)).profile]

    async def merge(self, request: PreparedRequest) -> list[Outcome]:
        """Merge several profiles into one."""
        return [(await apply(self._store, self._changes.merge(request))).profile]

    async def relate(self, request: PreparedRequest) -> list[Outcome]:
        """Change a relation of two profiles."""
        return [(await apply(self._store, self._changes.relation(request))).profile]

    async def split(self, request: PreparedRequest) -> list[Outcome]:
        """Split one profile. The outcomes are it and the destinations, these without their documents.

        Raises `Refusal` (profile_not_found) where a destination was removed before the request was repeated.
        """
        source = (await apply(self._store, self._changes.split(request))).profile
        assert source is not None
        ids = source.document[DESTINATIONS]
        found = {each.id: each for each in await self._store.find(request.database.id, [(ID, id) for id in ids])}
        if len(found) < len(ids):
            raise refuse("profile_not_found")
        return [source, *(replace(found[id], document={}) for id in ids)]


async def apply(store: Store, change: Change) -> EditResult:
    """Carry out one change. Raises its `Refusal`."""
    (result,) = await store.change([change])
    if isinstance(result, Refusal):
        raise result.copy()
    return result


def _outcomes(planned: Sequence[Change | Refusal], stored: Sequence[EditResult | Refusal]) -> list[Outcome]:
    """Return the outcome of each planned change, or its refusal."""
    results = iter(stored)
    return [_summary(next(results) if isinstance(each, Change) else each) for each in planned]


def _summary(result: EditResult | Refusal) -> Outcome:
    """Return the faults, or the profile without its document: the replies to a batch contain no documents."""
    if isinstance(result, Refusal):
        return result.faults
    return result.profile and replace(result.profile, document={})

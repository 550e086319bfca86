"""Dry runs: an operation is run in the store and discarded, and its outcome is described."""

import asyncio
from collections.abc import Callable, Mapping, Sequence

from gateway.core.dry_run import render_dry_run
from gateway.core.edit_sequence import DryRunResult, Overlay, dry_run_edit
from gateway.core.faults import Refusal
from gateway.core.model import Change, EditResult, Tree
from gateway.dialects.protocol import ATOMIC, BATCH, IMPORT, MERGE, RELATE, REMOVE, SPLIT, UPDATE
from gateway.service.changes import GROUP_SIZE, ChangeBuilder
from gateway.service.prepared_request import PreparedRequest
from gateway.service.updates import apply
from gateway.stores.protocol import Store
from gateway.stores.rows import document_text

STEP_SIZE = 64
"""Updates of one step of the store: a batch of 10,000 must not block other requests."""


async def dry_run(store: Store, change: Change) -> EditResult:
    """Return the result of one change that has no effect. Raises its `Refusal`."""
    edit = dry_run_edit([change.edit], Overlay(), document_text)
    result = await apply(store, Change(change.database, change.identities, edit, change.origin))
    assert isinstance(result, DryRunResult)
    [outcome] = result.outcomes
    if isinstance(outcome, Refusal):
        raise outcome.copy()
    return outcome


class DryRuns:
    """Runs operations without effect. An Idempotency-Key is ignored."""

    def __init__(self, store: Store, changes: ChangeBuilder) -> None:
        self._store = store
        self._changes = changes
        self._single: Mapping[str, Callable[[PreparedRequest], Change]] = {
            UPDATE: changes.update,
            REMOVE: changes.removal,
            MERGE: changes.merge,
            SPLIT: changes.split,
            RELATE: changes.relation,
            ATOMIC: changes.atomic,
        }

    async def run(self, operation: str, request: PreparedRequest) -> Tree:
        """Return the description of what the operation would do."""
        planned = await self._plan(operation, request)
        changes = [each for each in planned if isinstance(each, Change)]
        results: list[EditResult | Refusal] = []
        overlay = Overlay()
        while step := changes[len(results) :][:STEP_SIZE]:
            result = await self._run_step(step, overlay)
            results += result.outcomes
            overlay = result.overlay
        pairs = zip(results, (change.identities for change in changes), strict=True)
        outcomes = [next(pairs) if isinstance(each, Change) else (each, ()) for each in planned]
        return render_dry_run(outcomes, request.schema.tables, request.ignores_absence)

    async def _run_step(self, changes: Sequence[Change], overlay: Overlay) -> DryRunResult:
        identities = tuple(dict.fromkeys(identity for change in changes for identity in change.identities))
        edit = dry_run_edit([change.edit for change in changes], overlay, document_text)
        result = await apply(self._store, Change(changes[0].database, identities, edit, changes[0].origin))
        assert isinstance(result, DryRunResult)
        return result

    async def _plan(self, operation: str, request: PreparedRequest) -> list[Change | Refusal]:
        """Return the changes of a request, with a refusal in the place of an invalid one."""
        if operation in (BATCH, IMPORT):
            return await self._plan_batch(request)
        try:
            return [self._single[operation](request)]
        except Refusal as refusal:
            return [refusal.copy()]

    async def _plan_batch(self, request: PreparedRequest) -> list[Change | Refusal]:
        planned: list[Change | Refusal] = []
        for start in range(0, len(request.commands), GROUP_SIZE):
            await asyncio.sleep(0)  # lets other requests run
            planned += self._changes.group(request, start)
        return planned

"""The operations by name: what they do is in `updates`, `segments`, `searches`, `history`, `jobs` and `dry_runs`."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from gateway.core.faults import Refusal
from gateway.core.tombstones import Pseudonym
from gateway.dialects.protocol import (
    ATOMIC,
    BATCH,
    CHANGE_STATUSES,
    DECLARE_SEGMENT,
    DESCRIBE,
    FIND,
    HISTORY,
    IMPORT,
    JOB,
    JOB_PROFILES,
    JOBS,
    JOURNAL,
    LIST,
    MERGE,
    RELATE,
    RELATIONS,
    REMOVE,
    REMOVE_SEGMENT,
    REPLACE_MEMBERS,
    SPLIT,
    UPDATE,
)
from gateway.service.changes import ChangeBuilder
from gateway.service.dry_runs import DryRuns
from gateway.service.effective_consent import with_consent
from gateway.service.history import History
from gateway.service.jobs import Jobs
from gateway.service.prepared_request import Outcome, PreparedRequest
from gateway.service.searches import Searches
from gateway.service.segments import Segments
from gateway.service.updates import Updates
from gateway.stores.protocol import Store


class Operations:
    """Runs prepared requests. `now` returns milliseconds since 1970, `new_id` the id of a new job.

    `pseudonym` returns the keyed hash of an address, under which a privacy deletion keeps its opt-outs.
    """

    def __init__(
        self,
        store: Store,
        changes: ChangeBuilder,
        now: Callable[[], int],
        new_id: Callable[[], str],
        pseudonym: Pseudonym | None = None,
    ) -> None:
        updates, searches = Updates(store, changes), Searches(store, pseudonym)
        segments = Segments(store, changes, now)
        history = History(store, searches, pseudonym)
        jobs = Jobs(store, changes, updates, now, new_id, pseudonym)
        self._store = store
        self._pseudonym = pseudonym
        self._dry_runs = DryRuns(store, changes)
        self._by_name: Mapping[str, Callable[[PreparedRequest], Awaitable[list[Outcome]]]] = {
            UPDATE: updates.update,
            BATCH: updates.batch,
            ATOMIC: updates.atomic,
            CHANGE_STATUSES: updates.change_statuses,
            DECLARE_SEGMENT: segments.declare,
            REMOVE_SEGMENT: segments.remove,
            REPLACE_MEMBERS: segments.replace_members,
            REMOVE: updates.remove,
            MERGE: updates.merge,
            SPLIT: updates.split,
            RELATE: updates.relate,
            FIND: searches.find,
            RELATIONS: searches.relations,
            LIST: searches.page,
            HISTORY: history.of_profile,
            JOURNAL: history.of_all,
            DESCRIBE: searches.describe,
            IMPORT: jobs.run_import,
            JOB: jobs.job,
            JOBS: jobs.jobs,
            JOB_PROFILES: jobs.profiles,
        }

    def run(self, operation: str, request: PreparedRequest) -> Awaitable[Any]:
        """Return one outcome for each update, or the tree of a dry run.

        Raises `Refusal` if the request as a whole is rejected.
        """
        if request.is_dry_run:
            return self._dry_runs.run(operation, request)
        outcomes = self._by_name[operation](request)
        first = request.commands[0] if request.commands else None
        if request.needs_consent or (type(first) is dict and "missing_ok" in first):
            return self._further(outcomes, request)
        return outcomes

    async def _further(self, running: Awaitable[list[Outcome]], request: PreparedRequest) -> list[Outcome]:
        """Return the outcomes with the facts about addresses where needed, and None for an optional profile."""
        try:
            outcomes = await running
        except Refusal as refusal:
            if request.ignores_absence and refusal.faults[0].code == "profile_not_found":
                return [None]
            raise
        if not request.needs_consent:
            return outcomes
        tables = request.schema.tables
        return await with_consent(self._store, request.database.id, tables, outcomes, self._pseudonym)

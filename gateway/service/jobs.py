"""The operations on jobs: import, job, jobs, job_profiles."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from msgspec.structs import replace

from gateway.core import matching
from gateway.core.erasure import possible_identities, without_person
from gateway.core.faults import refuse
from gateway.core.listing import parse_query
from gateway.core.model import IdempotencyKey, Job, Profile, Tree
from gateway.core.tombstones import Pseudonym
from gateway.service.changes import ChangeBuilder
from gateway.service.erasures import erasure_times
from gateway.service.prepared_request import Outcome, PreparedRequest
from gateway.service.updates import Updates, apply
from gateway.stores.protocol import Store

IMPORT_KIND = "import"
"""The kind of a job where the request names none."""


class Jobs:
    """Runs imports, and reads the jobs that they leave."""

    def __init__(
        self,
        store: Store,
        changes: ChangeBuilder,
        updates: Updates,
        now: Callable[[], int],
        new_id: Callable[[], str],
        pseudonym: Pseudonym | None = None,
    ) -> None:
        self._pseudonym = pseudonym
        self._store = store
        self._changes = changes
        self._updates = updates
        self._now = now
        self._new_id = new_id

    async def run_import(self, request: PreparedRequest) -> list[Outcome]:
        """Run a batch, and store its outcomes as a job.

        Under an Idempotency-Key the id of the job is stored first. A repeated request finds the job, or continues it.
        """
        if request.idempotency_key is None:
            return [await self._run(request, self._new_id)]
        id = await self._id_under(request.idempotency_key, request)
        if job := await self._store.job(request.database.id, id):
            return [job]
        await self._run(request, lambda: id)
        return [await self._store.job(request.database.id, id)]

    async def job(self, request: PreparedRequest) -> list[Outcome]:
        """Return one job. Raises `Refusal`: unknown_job."""
        return [await self._find(request)]

    async def jobs(self, request: PreparedRequest) -> list[Outcome]:
        """Return a page of jobs."""
        parameters = request.command["query"]
        kind = parameters.get("kind", IMPORT_KIND)
        return [*await self._store.jobs(request.database.id, kind, parse_query(parameters))]

    async def profiles(self, request: PreparedRequest) -> list[Outcome]:
        """Return a job, followed by a page of its profiles. Raises `Refusal`: unknown_job."""
        job = await self._find(request)
        parameters = request.command["query"]
        ids = job.profiles[parameters["offset"] :][: parameters["limit"]]
        identities = [identity for id in ids for identity in matching.identities_by_id(id)]
        return [job, *await self._store.find(request.database.id, identities)]

    async def _find(self, request: PreparedRequest) -> Job:
        parameters = request.command["query"]
        job = await self._store.job(request.database.id, parameters["job"])
        if job is None or job.kind != parameters.get("kind", IMPORT_KIND):
            raise refuse("unknown_job")
        return job

    async def _run(self, request: PreparedRequest, new_id: Callable[[], str]) -> Job:
        outcomes = await self._updates.batch(replace(request, is_bulk=True))
        profiles = tuple(dict.fromkeys(each.id for each in outcomes if isinstance(each, Profile)))
        failures = await self._without_erased(request.database.id, tuple(_failures(outcomes, request.sources)))
        job = Job(new_id(), self._now(), len(outcomes), len(failures), profiles, failures, **request.job)
        await self._store.add_job(request.database.id, job)
        return job

    async def _without_erased(
        self, database: int, failures: tuple[Mapping[str, Any], ...]
    ) -> tuple[Mapping[str, Any], ...]:
        """Return failures without what was sent about erased persons."""
        named = [possible_identities(each["sent"]) for each in failures]
        erased = await erasure_times(self._store, database, self._pseudonym, set().union(*named))
        if not erased:
            return failures
        return tuple(
            each if own.isdisjoint(erased) else without_person(each) for each, own in zip(failures, named, strict=True)
        )

    async def _id_under(self, key: IdempotencyKey, request: PreparedRequest) -> str:
        """Return the id that the first request under the key got. Raises `Refusal`: idempotency_conflict."""
        result = await apply(self._store, self._changes.new_name(request, key))
        if result.profile is None:  # the key has the answer of a removal
            raise refuse("idempotency_conflict")
        return result.profile.id


def _failures(outcomes: Sequence[Outcome], sources: Sequence[Tree]) -> Iterator[dict[str, Any]]:
    """Yield what a job keeps of each rejected update."""
    for index, outcome in enumerate(outcomes):
        if isinstance(outcome, Sequence):
            yield {"index": index, "faults": [asdict(fault) for fault in outcome], "sent": sources[index]}

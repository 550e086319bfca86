"""What each canonical request does: a verb, a step of the store. Requests come checked, outcomes leave unrendered."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any, TypeAlias

from msgspec import Struct, field
from msgspec.structs import replace

from gateway.core import matching
from gateway.core.dry_run import told
from gateway.core.edit import EditContext, merging, naming, removing, the_one, updating
from gateway.core.edit_sequence import DryRunResult, Overlay, faults_among, rehearsing, together
from gateway.core.faults import Fault, Refusal, refuse
from gateway.core.listing import groups, in_each, listed, query
from gateway.core.model import (
    Change,
    Database,
    EditResult,
    IdempotencyKey,
    Identity,
    Job,
    Origin,
    Profile,
    Token,
    Tree,
    Update,
)
from gateway.dialects.protocol import (
    ATOMIC,
    BATCH,
    DESCRIBE,
    FIND,
    IMPORT,
    JOB,
    JOB_PROFILES,
    JOBS,
    LIST,
    MERGE,
    REMOVE,
    UPDATE,
    Dialect,
)
from gateway.schema.compiled import CompiledSchema
from gateway.service.geolocation import Geolocator
from gateway.stores.protocol import Store
from gateway.stores.rows import document_text

log = logging.getLogger("gateway")

AT_ONCE = 64
"""As many updates of a dry run as are one step of the store: a batch of 10,000 holds up nobody for long."""

Outcome: TypeAlias = Profile | Job | Sequence[Fault] | None
"""A profile or a job, None where there is none to speak of, or the faults of one element of a batch."""


SLICE = 128
"""As many updates of a batch are prepared in one turn of the event loop, and carried out before the next ones are."""


class PreparedRequest(Struct, frozen=True):
    """A request that may be carried out: who asks, where, and each update checked or refused."""

    dialect: Dialect
    token: Token
    database: Database
    form: CompiledSchema
    updates: Sequence[Update | Refusal]
    sent: Sequence[Tree] = ()
    """What each update was read from, where its dialect says so."""
    once: IdempotencyKey | None = None
    """What makes the request happen once, where it asks for that."""
    job: Mapping[str, Any] = field(default_factory=dict)
    """What a job is remembered with, besides what came of it."""
    rehearsal: bool = False
    """Whether it is only asked what would come of it."""
    is_open: bool = False
    """Whether anybody may ask for it, so that what came of it must tell nothing of what is stored."""

    @property
    def update(self) -> Update:
        """The only update. Raises the `Refusal` that stands in its place."""
        (update,) = self.updates
        if isinstance(update, Refusal):
            raise update.anew()
        return update

    @property
    def ignores_absence(self) -> bool:
        """Whether it is no refusal that there is no such profile."""
        return any(isinstance(update, dict) and update.get("missing_ok") is True for update in self.updates)


class Operations:
    """Carries out canonical requests. `now` gives milliseconds since 1970, `new_id` the id of a new profile."""

    def __init__(self, store: Store, locator: Geolocator, now: Callable[[], int], new_id: Callable[[], str]) -> None:
        self._store = store
        self._locator = locator
        self._now = now
        self._new_id = new_id
        self._by_name: Mapping[str, Callable[[PreparedRequest], Awaitable[list[Outcome]]]] = {
            UPDATE: self._change_one,
            BATCH: self._change_many,
            FIND: self._find,
            REMOVE: self._remove,
            DESCRIBE: self._describe,
            LIST: self._list,
            MERGE: self._merge,
            IMPORT: self._import,
            ATOMIC: self._change_together,
            JOB: self._job,
            JOBS: self._jobs,
            JOB_PROFILES: self._members,
        }

    async def carry_out(self, verb: str, work: PreparedRequest) -> list[Outcome]:
        """One outcome for each update. Raises `Refusal` where the request as a whole is refused."""
        try:
            return await self._by_name[verb](work)
        except Refusal as refusal:
            if work.ignores_absence and refusal.faults[0].code == "profile_not_found":
                return [None]
            raise

    async def rehearse(self, verb: str, work: PreparedRequest) -> Tree:
        """What `carry_out` would come to, as a tree; nothing is kept of it. An Idempotency-Key is passed over."""
        planned = await self._planned(verb, work)
        changes = [each for each in planned if isinstance(each, Change)]
        answers: list[EditResult | Refusal] = []
        overlay = Overlay()
        while some := changes[len(answers) :][:AT_ONCE]:
            rehearsed = await self._rehearsed(some, overlay)
            answers += rehearsed.outcomes
            overlay = rehearsed.overlay
        found = zip(answers, (change.identities for change in changes), strict=True)
        outcomes = [next(found) if isinstance(each, Change) else (each, ()) for each in planned]
        return told(outcomes, work.form.identifiers, work.ignores_absence)

    async def _rehearsed(self, changes: Sequence[Change], before: Overlay) -> DryRunResult:
        identities = tuple(dict.fromkeys(identity for change in changes for identity in change.identities))
        edit = rehearsing([change.edit for change in changes], before, document_text)
        answer = await self._changed(Change(changes[0].database, identities, edit, changes[0].origin))
        assert isinstance(answer, DryRunResult)
        return answer

    async def _planned(self, verb: str, work: PreparedRequest) -> list[Change | Refusal]:
        """The changes that a request asks for, or the refusals that stand in their place."""
        if verb in (BATCH, IMPORT):
            return await self._updates(work)
        plan = {UPDATE: self._update, REMOVE: self._removal, MERGE: self._merger, ATOMIC: self._joint}[verb]
        try:
            return [plan(work)]
        except Refusal as refusal:
            return [refusal.anew()]

    async def _change_one(self, work: PreparedRequest) -> list[Outcome]:
        edited = await self._changed_untold(work) if work.is_open else await self._changed(self._update(work))
        if edited.profile and edited.others:
            others = ", ".join(edited.others)
            log.warning("a call named several profiles: %s was updated, and not %s", edited.profile.id, others)
        return [edited.profile]

    async def _change_many(self, work: PreparedRequest) -> list[Outcome]:
        """Each on its own: what was refused before is answered beside what the store says of the rest.

        Some at a time, so that others have their turn, and no more documents are held than these have.
        """
        outcomes: list[Outcome] = []
        for start in range(0, len(work.updates), SLICE):
            prepared = self._slice(work, start)
            answers = iter(await self._store.change([each for each in prepared if isinstance(each, Change)]))
            outcomes += [_briefly(next(answers) if isinstance(each, Change) else each) for each in prepared]
        return outcomes

    async def _change_together(self, work: PreparedRequest) -> list[Outcome]:
        return [(await self._changed(self._joint(work))).profile]

    async def _find(self, work: PreparedRequest) -> list[Outcome]:
        key = _key(work.update, work)
        return [the_one(await self._store.find(work.database.id, key), key)]

    async def _remove(self, work: PreparedRequest) -> list[Outcome]:
        return [(await self._changed(self._removal(work))).profile]

    async def _describe(self, _work: PreparedRequest) -> list[Outcome]:
        return []

    async def _list(self, work: PreparedRequest) -> list[Outcome]:
        asked = work.update["query"]
        if "filters" not in asked:
            return [*await self._store.page(work.database.id, query(asked))]
        found = [await self._store.find(work.database.id, group) for group in groups(asked)]
        return [*listed(in_each(found), query(asked))]

    async def _merge(self, work: PreparedRequest) -> list[Outcome]:
        return [(await self._changed(self._merger(work))).profile]

    # --- jobs ---

    async def _import(self, work: PreparedRequest) -> list[Outcome]:
        """A batch, done at once and then remembered with what came of each of its updates.

        Under an Idempotency-Key the id comes first. Whoever asks again finds the job, or does what is left of it.
        """
        if work.once is None:
            return [await self._imported(work)]
        id = await self._once_named(work, work.once)
        if job := await self._store.job(work.database.id, id):
            return [job]
        await self._imported(work, id)
        return [await self._store.job(work.database.id, id)]

    async def _imported(self, work: PreparedRequest, id: str = "") -> Job:
        outcomes = await self._change_many(work)
        profiles = tuple(dict.fromkeys(each.id for each in outcomes if isinstance(each, Profile)))
        failures = tuple(_failures(outcomes, work.sent))
        job = Job(id or self._new_id(), self._now(), len(outcomes), len(failures), profiles, failures, **work.job)
        await self._store.add_job(work.database.id, job)
        return job

    async def _once_named(self, work: PreparedRequest, once: IdempotencyKey) -> str:
        """The id that the first request under this key was given. Raises `Refusal`: idempotency_conflict."""
        origin = self._origin({}, work)
        named = await self._changed(Change(work.database.id, (), naming(self._new_id(), origin.time), origin, once))
        assert named.profile is not None
        return named.profile.id

    async def _job(self, work: PreparedRequest) -> list[Outcome]:
        asked = work.update["query"]
        job = await self._store.job(work.database.id, asked["job"])
        if job is None or job.kind != asked.get("kind", "import"):
            raise refuse("unknown_job")
        return [job]

    async def _jobs(self, work: PreparedRequest) -> list[Outcome]:
        asked = work.update["query"]
        return [*await self._store.jobs(work.database.id, asked.get("kind", "import"), query(asked))]

    async def _members(self, work: PreparedRequest) -> list[Outcome]:
        [job] = await self._job(work)
        assert isinstance(job, Job)
        asked = work.update["query"]
        ids = job.profiles[asked["offset"] :][: asked["limit"]]
        return [job, *await self._store.find(work.database.id, [(matching.ID, id) for id in ids])]

    # --- changes ---

    async def _changed(self, change: Change) -> EditResult:
        (outcome,) = await self._store.change([change])
        if isinstance(outcome, Refusal):
            raise outcome.anew()
        return outcome

    async def _changed_untold(self, work: PreparedRequest) -> EditResult:
        """A change whose refusal is told to the operator alone: what is stored has a part in it."""
        change = self._update(work)
        try:
            return await self._changed(change)
        except Refusal as refusal:
            code = refusal.faults[0].code
            if code == "idempotency_conflict":  # these calls have keys of their own
                raise
            log.warning("a call that is open to any page was not carried out: %s", code)
            return EditResult(None)

    def _update(self, work: PreparedRequest) -> Change:
        return self._updating(work.update, work, work.once)

    async def _updates(self, work: PreparedRequest) -> list[Change | Refusal]:
        prepared: list[Change | Refusal] = []
        for start in range(0, len(work.updates), SLICE):
            await asyncio.sleep(0)  # others take their turn of the event loop
            prepared += self._slice(work, start)
        return prepared

    def _slice(self, work: PreparedRequest, start: int) -> list[Change | Refusal]:
        some = enumerate(work.updates[start : start + SLICE], start)
        return [self._prepared(update, work, _nth(work.once, index)) for index, update in some]

    def _joint(self, work: PreparedRequest) -> Change:
        """One change of all updates. Raises `Refusal` with every fault of any of them."""
        planned = [self._prepared(update, work, None) for update in work.updates]
        if faults := faults_among(planned):
            raise Refusal(faults)
        changes = [each for each in planned if isinstance(each, Change)]
        identities = tuple(dict.fromkeys(identity for change in changes for identity in change.identities))
        edit = together([change.edit for change in changes])
        return Change(work.database.id, identities, edit, changes[0].origin, work.once)

    def _removal(self, work: PreparedRequest) -> Change:
        key, on_multiple = _key(work.update, work), work.update["match"].get("on_multiple")
        edit = removing(key, work.form.identifiers, on_multiple)
        return Change(work.database.id, key, edit, self._origin(work.update, work), work.once)

    def _merger(self, work: PreparedRequest) -> Change:
        """One change over all of them: nobody ever sees a part of it."""
        [destination] = _key(work.update, work)
        sources = [(matching.ID, id) for id in work.update["sources"]]
        origin = self._origin(work.update, work)
        edit = merging(destination, sources, self._rules(work, "", origin.time))
        return Change(work.database.id, (destination, *sources), edit, origin, work.once)

    def _prepared(
        self, update: Update | Refusal, work: PreparedRequest, once: IdempotencyKey | None
    ) -> Change | Refusal:
        try:
            return update if isinstance(update, Refusal) else self._updating(update, work, once)
        except Refusal as refusal:
            return refusal.anew()

    def _updating(self, update: Update, work: PreparedRequest, once: IdempotencyKey | None) -> Change:
        key, origin = _key(update, work), self._origin(update, work)
        if update.get("options", {}).get("detect_geo"):
            update = self._locator.located(update)
        new_id = self._new_id() if update.get("if_absent") == "create" else ""
        released = matching.key(update["detach_from_others"]["match"], ()) if "detach_from_others" in update else ()
        edit = updating(update, key, self._rules(work, new_id, origin.time), released)
        return Change(work.database.id, (*key, *released), edit, origin, once)

    def _rules(self, work: PreparedRequest, new_id: str, now: int) -> EditContext:
        return EditContext(work.form.identifiers, work.form.check_profile, work.dialect.apply_patch, new_id, now)

    def _origin(self, update: Update, work: PreparedRequest) -> Origin:
        triggers = not update.get("options", {}).get("skip_triggers", False)
        return Origin(work.token.id, work.dialect.name, self._now(), triggers)


def _briefly(answer: EditResult | Refusal) -> Outcome:
    """What came of one update of many: the faults, or the profile without its document, of which none is told."""
    if isinstance(answer, Refusal):
        return answer.faults
    return answer.profile and replace(answer.profile, document={})


def _failures(outcomes: Sequence[Outcome], sent: Sequence[Tree]) -> Iterator[dict[str, Any]]:
    """What a job remembers of the updates that were refused."""
    for index, outcome in enumerate(outcomes):
        if isinstance(outcome, Sequence):
            yield {"index": index, "faults": [asdict(fault) for fault in outcome], "sent": sent[index]}


def _nth(once: IdempotencyKey | None, index: int) -> IdempotencyKey | None:
    """Each element of a batch happens once, under a key of its own that no request's can be."""
    return once and replace(once, key=f"{index}/{once.key}")


def _key(update: Update, work: PreparedRequest) -> tuple[Identity, ...]:
    return matching.key(update["match"], work.form.identifiers)

"""What each canonical request does: one verb, one step of the store. Requests come checked; outcomes leave unrendered."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from gateway.core import matching
from gateway.core.edit import Rules, removing, the_one, updating
from gateway.core.faults import Fault, Refusal
from gateway.core.model import Change, Database, Edited, Identity, Origin, Profile, Token, Update
from gateway.dialects import BATCH, DESCRIBE, FIND, REMOVE, UPDATE, Dialect
from gateway.geo import Locator
from gateway.schema import Form
from gateway.stores import Store

Outcome: TypeAlias = Profile | Sequence[Fault] | None
"""A profile, None where there is none to speak of, or the faults of one element of a batch."""


@dataclass(frozen=True, slots=True)
class Work:
    """A request that may be carried out: who asks, where, and each update checked or refused."""

    dialect: Dialect
    token: Token
    database: Database
    form: Form
    updates: Sequence[Update | Refusal]

    @property
    def update(self) -> Update:
        """The only update. Raises the `Refusal` that stands in its place."""
        (update,) = self.updates
        if isinstance(update, Refusal):
            raise update
        return update


class Verbs:
    """Carries out canonical requests. `now` gives milliseconds since 1970, `new_id` the id of a new profile."""

    def __init__(self, store: Store, locator: Locator, now: Callable[[], int], new_id: Callable[[], str]) -> None:
        self._store = store
        self._locator = locator
        self._now = now
        self._new_id = new_id
        self._by_name: Mapping[str, Callable[[Work], Awaitable[list[Outcome]]]] = {
            UPDATE: self._change_one,
            BATCH: self._change_many,
            FIND: self._find,
            REMOVE: self._remove,
            DESCRIBE: self._describe,
        }

    async def carry_out(self, verb: str, work: Work) -> list[Outcome]:
        """One outcome for each update. Raises `Refusal` where the request as a whole is refused."""
        return await self._by_name[verb](work)

    async def _change_one(self, work: Work) -> list[Outcome]:
        return [(await self._changed(self._updating(work.update, work))).profile]

    async def _change_many(self, work: Work) -> list[Outcome]:
        """Each on its own: what was refused before is answered beside what the store says of the rest."""
        prepared = [self._prepared(update, work) for update in work.updates]
        answers = iter(await self._store.change([each for each in prepared if isinstance(each, Change)]))
        outcomes = [next(answers) if isinstance(each, Change) else each for each in prepared]
        return [each.faults if isinstance(each, Refusal) else each.profile for each in outcomes]

    async def _find(self, work: Work) -> list[Outcome]:
        return [the_one(await self._store.find(work.database.id, _key(work.update, work)))]

    async def _remove(self, work: Work) -> list[Outcome]:
        key = _key(work.update, work)
        change = Change(work.database.id, key, removing(key, work.form.identifiers), self._origin(work.update, work))
        return [(await self._changed(change)).profile]

    async def _describe(self, _work: Work) -> list[Outcome]:
        return []

    async def _changed(self, change: Change) -> Edited:
        (outcome,) = await self._store.change([change])
        if isinstance(outcome, Refusal):
            raise outcome
        return outcome

    def _prepared(self, update: Update | Refusal, work: Work) -> Change | Refusal:
        try:
            return update if isinstance(update, Refusal) else self._updating(update, work)
        except Refusal as refusal:
            return refusal

    def _updating(self, update: Update, work: Work) -> Change:
        key, form, origin = _key(update, work), work.form, self._origin(update, work)
        if update.get("options", {}).get("detect_geo"):
            update = self._locator.located(update)
        new_id = self._new_id() if update.get("create") else ""
        rules = Rules(form.identifiers, form.check_profile, work.dialect.patched, new_id, origin.time)
        return Change(work.database.id, key, updating(update, key, rules), origin)

    def _origin(self, update: Update, work: Work) -> Origin:
        triggers = not update.get("options", {}).get("skip_triggers", False)
        return Origin(work.token.id, work.dialect.name, self._now(), triggers)


def _key(update: Update, work: Work) -> tuple[Identity, ...]:
    return matching.key(update["match"], work.form.identifiers)

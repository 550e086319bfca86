"""What an import has done, kept in the store with what it did: each group of rows happens once.

A group is one change under a key of its own: `import/{file}/{run}/{group}`. Its stored answer says which of its rows
were refused. After an interruption the last group is found by its key, and repeated: the store returns its answer.
"""

from collections.abc import Awaitable, Callable

from msgspec import Struct, convert, to_builtins

from gateway.core.model import EditResult, IdempotencyKey, Profile
from gateway.service.idempotency import stored_answer
from gateway.stores.protocol import Store

LIFETIME = 30 * 24 * 60 * 60 * 1000
"""Milliseconds for which an interrupted import can be resumed."""

_ANSWER_ID = "import"
_FINGERPRINT = "1:import"


class GroupAnswer(Struct, frozen=True, omit_defaults=True):
    """What a group resulted in. `rows` of the file were before it, `refused` of them; `size` is that of their file.

    `faults` are the codes of its refused rows, by their index. They have no details, which may be personal. `is_end`:
    the file has no further group.
    """

    rows: int
    refused: int
    size: int
    faults: dict[int, str] = {}
    is_end: bool = False

    def as_profile(self, now: int) -> Profile:
        """Return it in the form in which a store keeps an answer."""
        return Profile(_ANSWER_ID, to_builtins(self, str_keys=True), 1, now, now)


def answer_of(result: EditResult) -> GroupAnswer:
    """Return what a change of a group resulted in, now or before."""
    assert result.profile is not None
    return convert(result.profile.document, GroupAnswer, strict=False)


class ImportLog:
    """The runs of the import of one file. `digest` identifies the file and how it is imported."""

    def __init__(self, store: Store, database: int, digest: str, now: Callable[[], int]) -> None:
        self._store = store
        self._database = database
        self._digest = digest
        self._now = now
        self._run = 0

    async def begin(self, *, resume: bool) -> tuple[int, GroupAnswer] | None:
        """Continue the latest run, or begin another one. Return the last group of a run that is continued."""
        last = await _last(lambda run: self._has(run, 0))
        self._run = last if resume and last >= 0 else last + 1
        if not resume or last < 0:
            return None
        group = await _last(lambda group: self._has(self._run, group))
        answer = await self._answer(self._run, group)
        assert answer is not None
        return group, answer

    def key(self, group: int) -> IdempotencyKey:
        """Return the key of a group of this run."""
        return self._key(self._run, group)

    def _key(self, run: int, group: int) -> IdempotencyKey:
        return IdempotencyKey(f"import/{self._digest}/{run}/{group}", _FINGERPRINT, self._now() + LIFETIME)

    async def _has(self, run: int, group: int) -> bool:
        return await self._answer(run, group) is not None

    async def _answer(self, run: int, group: int) -> GroupAnswer | None:
        """Return the answer of a group; None if it has not happened."""
        found = await stored_answer(self._store, self._database, self._key(run, group), self._now())
        return None if found is None else answer_of(found)


async def _last(has: Callable[[int], Awaitable[bool]]) -> int:
    """Return the last number, of those from 0 on without a gap, that there is; -1 if there is none."""
    low, high = -1, 0
    while await has(high):
        low, high = high, 2 * high + 1
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if await has(middle) else (low, middle)
    return low

"""A file of profiles into a store, in groups of rows. Each group is one change: with its result, it happens once."""

import asyncio
from asyncio import Future
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import islice

from msgspec import Struct
from msgspec.structs import replace

from gateway.core.edit_sequence import DryRunResult, Overlay, dry_run_edit, sequence_edit
from gateway.core.faults import Fault, Refusal
from gateway.core.model import Change, EditResult, Origin, Profile
from gateway.service.changes import GROUP_SIZE, ChangeBuilder
from gateway.stores.protocol import Store
from gateway.stores.rows import document_text
from gateway.transfer.formats.protocol import InvalidFile, Row, RowReader
from gateway.transfer.import_log import GroupAnswer, ImportLog, answer_of
from gateway.transfer.refused_file import RefusedFile
from gateway.transfer.row_parser import TOKEN_ID, RowParser
from gateway.transfer.sources import READ_ERRORS

MAX_GROUP_BYTES = 1 << 20
"""Bytes of rows after which a group ends: with `GROUP_SIZE`, it bounds the memory."""

DRY_RUN_PROFILES = 5_000
"""Profiles that a dry run remembers as it would have written them."""


def group_limits() -> tuple[int, int]:
    """Return what decides which rows are a group. An import with other limits cannot be resumed."""
    return GROUP_SIZE, MAX_GROUP_BYTES


class AlreadyImported(Exception):
    """The import that is resumed was complete."""


class FileImport:
    """One import: `rows` of the file are done, `refused` of them refused; `is_complete` once it read the whole file.

    `log` is None where the import cannot be resumed, and in a dry run, which stores nothing. `report` is called with
    the line and the reason of each refusal, `progress` with the rows of each group that is done.
    """

    def __init__(
        self,
        store: Store,
        database: int,
        changes: ChangeBuilder,
        parser: RowParser,
        reader: RowReader,
        refused: RefusedFile,
        log: ImportLog | None,
        report: Callable[[int, str], object],
        progress: Callable[[int], object],
        now: Callable[[], int],
        *,
        is_dry_run: bool = False,
    ) -> None:
        self.rows, self.refused, self.is_complete = 0, 0, False
        self._store = store
        self._database = database
        self._changes = changes
        self._parser = parser
        self._reader = reader
        self._refused_file = refused
        self._log = log
        self._report = report
        self._progress = progress
        self._now = now
        self._is_dry_run = is_dry_run
        self._overlay = Overlay()

    async def run(self, skip: int = 0, *, resume: bool = False) -> None:
        """Import the rows, but for the first `skip` of them.

        Raises `InvalidFile` and the source's errors: the rows before them are imported. Raises `AlreadyImported`,
        `UnusableRefusedFile` and `Unavailable`: the import can be resumed.
        """
        first = await self._begin(resume=resume)
        number, waiting = -1, None
        try:
            for number, rows in enumerate(_groups(self._reader.rows(), skip)):
                if number < first:
                    self._progress(len(rows))
                    continue
                # The next group is prepared while the store writes this one.
                group = self._prepare(rows)
                before, waiting = waiting, None
                await self._finish(before)
                waiting = self._start(number, group)
                await asyncio.sleep(0)
        finally:
            await self._finish(waiting)
            self._refused_file.close()
        await self._end(number + 1)

    async def _begin(self, *, resume: bool) -> int:
        """Return the number of the first group to carry out."""
        found = await self._log.begin(resume=resume) if self._log else None
        if found is None:
            return 0
        number, answer = found
        self.rows, self.refused = answer.rows, answer.refused
        if answer.is_end:
            self.is_complete = True
            raise AlreadyImported
        self._refused_file.resume(answer.size)
        return number

    def _prepare(self, rows: Sequence[Row]) -> "_Group":
        return _Group(rows, self._changes.group(self._parser.request(self._reader, rows), 0))

    def _start(self, number: int, group: "_Group") -> "_Waiting":
        """Hand a group to the store."""
        before = GroupAnswer(self.rows, self.refused, self._refused_file.size)
        self._refused_file.sync()  # the size in the answer must be true after a power failure, too
        outcomes: list[EditResult | Refusal] = []
        change = self._change(group, before, outcomes)
        if self._log and not self._is_dry_run:
            change = replace(change, once=self._log.key(number))
        return _Waiting(group, before, outcomes, asyncio.ensure_future(self._store.change([change])))

    def _change(self, group: "_Group", before: GroupAnswer, outcomes: list[EditResult | Refusal]) -> Change:
        """Return the one change of a group. `outcomes` receives those of its changes when its edit runs."""
        changes = [each for each in group.planned if isinstance(each, Change)]
        identities = tuple(dict.fromkeys(identity for change in changes for identity in change.identities))
        edits = [change.edit for change in changes]
        if self._is_dry_run:
            edit = dry_run_edit(edits, self._overlay, document_text)
        else:
            edit = sequence_edit(edits, document_text, partial(self._summarize, group, before, outcomes))
        origin = changes[0].origin if changes else Origin(TOKEN_ID, "", self._now())
        return Change(self._database, identities, edit, origin)

    def _summarize(
        self,
        group: "_Group",
        before: GroupAnswer,
        outcomes: list[EditResult | Refusal],
        found: Sequence[EditResult | Refusal],
    ) -> Profile:
        outcomes[:] = found
        refusals = _refusals(group.planned, found)
        faults = {index: refusal.faults[0].code for index, refusal in refusals.items()}
        return replace(before, faults=faults).as_profile(self._now())

    async def _finish(self, waiting: "_Waiting | None") -> None:
        """Wait for a group, and report its refusals."""
        if waiting is None:
            return
        group = waiting.group
        [result] = await waiting.results
        for index, refusal in self._refusals_of(result, waiting).items():
            row, reason = group.rows[index], self._parser.describe(refusal.faults)
            self._refused_file.write(row, reason)
            self._report(row.line, reason)
            self.refused += 1
        self.rows += len(group.rows)
        self._progress(len(group.rows))

    def _refusals_of(self, result: EditResult | Refusal, waiting: "_Waiting") -> dict[int, Refusal]:
        """Return the refusals of a group by the index of their rows."""
        planned = waiting.group.planned
        if isinstance(result, Refusal):  # the store cannot write the group
            return dict.fromkeys(range(len(planned)), result)
        if isinstance(result, DryRunResult):
            self._overlay = result.overlay if len(result.overlay) < DRY_RUN_PROFILES else Overlay()
            return _refusals(planned, result.outcomes)
        # Without outcomes, the answer is of a run that was interrupted.
        found = _refusals(planned, waiting.outcomes) if waiting.outcomes else _refusals_before(planned)
        codes = answer_of(result).faults
        return {index: found.get(index) or Refusal([Fault(code)]) for index, code in codes.items()}

    async def _end(self, number: int) -> None:
        """Store that the import is complete."""
        self.is_complete = True
        if self._log and not self._is_dry_run:
            answer = GroupAnswer(self.rows, self.refused, self._refused_file.size, is_end=True)
            edit = sequence_edit([], document_text, lambda _: answer.as_profile(self._now()))
            origin = Origin(TOKEN_ID, "", self._now())
            await self._store.change([Change(self._database, (), edit, origin, self._log.key(number))])


class _Group(Struct, frozen=True):
    """Rows, and for each of them its change or its refusal."""

    rows: Sequence[Row]
    planned: Sequence[Change | Refusal]


class _Waiting(Struct, frozen=True):
    """A group that the store is writing. `before` is the state before it; `outcomes` those of its changes."""

    group: _Group
    before: GroupAnswer
    outcomes: list[EditResult | Refusal]
    results: Future[list[EditResult | Refusal]]


def _groups(rows: Iterator[Row], skip: int) -> Iterator[list[Row]]:
    """Return groups of `GROUP_SIZE` rows, or fewer where they are large. They depend on the file alone."""
    group: list[Row] = []
    size = 0
    try:
        for row in islice(rows, skip, None):
            group.append(row)
            size += row.size
            if len(group) == GROUP_SIZE or size >= MAX_GROUP_BYTES:
                yield group
                group, size = [], 0
    except (InvalidFile, *READ_ERRORS):
        if group:
            yield group
        raise
    if group:
        yield group


def _refusals(planned: Sequence[Change | Refusal], outcomes: Sequence[EditResult | Refusal]) -> dict[int, Refusal]:
    """Return the refusals by the index of their rows: of parsing, and of the changes, whose outcomes are given."""
    results = iter(outcomes)
    all_outcomes = (each if isinstance(each, Refusal) else next(results) for each in planned)
    return {index: each for index, each in enumerate(all_outcomes) if isinstance(each, Refusal)}


def _refusals_before(planned: Sequence[Change | Refusal]) -> dict[int, Refusal]:
    return {index: each for index, each in enumerate(planned) if isinstance(each, Refusal)}

"""Documents, ledgers, journal entries, jobs and stored answers as rows of the layout, and back, for every engine."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import msgspec
import orjson
from msgspec.structs import asdict, replace

from gateway.core.faults import refuse
from gateway.core.journal import UNKNOWN_VALUES
from gateway.core.model import (
    Change,
    Created,
    EditResult,
    IdempotencyKey,
    Job,
    JournalEntry,
    Ledger,
    MemberChange,
    Origin,
    Position,
    Profile,
    StoredAnswer,
    Write,
)

Row: TypeAlias = tuple[Any, ...]

MAX_DOCUMENT_BYTES = 4 * 1024 * 1024
"""Bytes of a document as JSON: a profile cannot grow without end by updates that each add a little."""

JOB_RESULT_MEMBERS = ("profiles", "failures", "lists")
"""The members of a job that are one JSON value in its row."""


def id_and_version(write: Write) -> tuple[str, int]:
    """Return the profile's id, and its version after the write: a deletion counts as one more."""
    if write.after:
        return write.after.id, write.after.version
    if write.before:
        return write.before.id, write.before.version + 1
    raise ValueError("a write has neither a profile before nor one after it")


def json_text(tree: Any) -> str:
    """Return a value as JSON."""
    return orjson.dumps(tree).decode()


def document_text(write: Write) -> str:
    """Return the document after a write as JSON, "" where it removes. Raises `Refusal`: profile_too_large."""
    if write.after is None:
        return ""
    try:
        text = orjson.dumps(write.after.document)
    except orjson.JSONEncodeError as error:
        if "Recursion" not in str(error):
            raise
        raise refuse("profile_too_large", "the profile would be nested too deeply") from None
    if len(text) > MAX_DOCUMENT_BYTES:
        raise refuse("profile_too_large", f"a profile may have at most {MAX_DOCUMENT_BYTES} bytes")
    return text.decode()


def profile_text(profile: Profile | None) -> str:
    """Return the profile of a stored answer as JSON, with whether the change created it."""
    return json_text([isinstance(profile, Created), profile and asdict(profile)])


def answer_text(result: EditResult) -> str:
    """Return the profile of a result as its stored answer has it: without a profile if it was erased."""
    return profile_text(None if result.erasure else result.profile)


def result_without_documents(result: EditResult) -> EditResult:
    """Return what the caller of a change without `needs_documents` gets."""
    profile = result.profile
    return EditResult(profile and replace(profile, document={}), others=result.others)


def profile_of(text: str) -> Profile | None:
    """Return the profile of a stored answer."""
    created, profile = orjson.loads(text)
    return (Created if created else Profile)(**profile) if profile else None


def stored_result(once: IdempotencyKey, fingerprint: str, profile: str) -> EditResult:
    """Return the stored result of an earlier change with this key. Raises `Refusal`: idempotency_conflict.

    Fingerprints of two versions cannot be compared. The request then counts as the same one: a retry across an upgrade
    must return the stored result.
    """
    is_comparable = _version_of(fingerprint) == _version_of(once.fingerprint)
    if is_comparable and fingerprint != once.fingerprint:
        raise refuse("idempotency_conflict")
    return EditResult(profile_of(profile))


def _version_of(fingerprint: str) -> str:
    """Return the version before the colon; fingerprints of the first form have none."""
    return fingerprint.rpartition(":")[0]


def answer_row(database: int, answer: StoredAnswer) -> Row:
    """Return a stored answer as a row: database, key, fingerprint, until, and its profile as JSON."""
    once = answer.once
    return database, once.key, once.fingerprint, once.until, profile_text(answer.profile)


def answer_of(row: Sequence[Any]) -> StoredAnswer:
    """Return the stored answer of a row without its database."""
    *once, profile = row
    return StoredAnswer(IdempotencyKey(*once), profile_of(profile))


def journal_row(change: Change, write: Write, id: str, version: int) -> Row:
    """Return the journal entry of a write as a row without its position.

    Its columns: database, profile, version, kind, time, observed, token, dialect, request, triggers, merge, replay as
    JSON, members as JSON.
    """
    database, origin, members = change.database, change.origin, ENCODER.encode(write.members).decode()
    observed = origin.observed if write.observed is None else write.observed
    return (
        *(database, id, version, write.kind, origin.time, observed, origin.token, origin.dialect),
        *(origin.request, origin.triggers, write.merge, _replay_text(write.replay) if write.replay else None, members),
    )


def entry_row(entry: JournalEntry) -> Row:
    """Return a journal entry as a row without its position."""
    origin, members = entry.origin, ENCODER.encode(entry.members).decode()
    return (
        *(entry.database, entry.profile, entry.version, entry.kind, origin.time, origin.observed, origin.token),
        *(origin.dialect, origin.request, origin.triggers, entry.merge),
        *(_replay_text(entry.replay) if entry.replay else None, members),
    )


def request_of(row: Row) -> str:
    """Return the request id in the row of a journal entry."""
    return str(row[_REQUEST])


def erased_row(row: Row) -> Row:
    """Return the row of a journal entry without values and without its request id."""
    return (*row[:_REQUEST], "", *row[_REQUEST + 1 : -2], None, ERASED_MEMBERS)


def entry_of(position: Position, row: Sequence[Any]) -> JournalEntry:
    """Return the journal entry of a position and a row."""
    database, profile, version, kind, time, observed, token, dialect, request, triggers, merge, replay, members = row
    origin = Origin(token, dialect, time, bool(triggers), request, observed)
    changes = MEMBERS.decode(members)
    return JournalEntry(
        position, database, profile, version, kind, origin, changes, merge, replay and orjson.loads(replay)
    )


def copied_entry(position: Position, text: str) -> JournalEntry:
    """Return the journal entry that a delivery holds, which is its row as JSON."""
    return entry_of(position, orjson.loads(text))


def _replay_text(replay: Mapping[str, Any]) -> str:
    return ENCODER.encode(replay).decode()


JOURNAL_COLUMNS = (
    "database, profile, version, kind, time, observed, token, dialect, request, triggers, merge, replay, members"
)

IS_MERGE = "merge IS NOT NULL AND merge = profile || '-' || version"
"""The condition of an entry of the destination of a merge, by the form of a merge's id."""

IS_UNDONE = """EXISTS (SELECT 1 FROM journal AS undo WHERE undo.database = journal.database
    AND undo.merge = journal.merge AND undo.kind NOT IN ('merge', 'create'))"""
"""Whether the merge of an entry was undone: the entries of an undo have other kinds."""

ENCODER = msgspec.json.Encoder()
MEMBERS = msgspec.json.Decoder(tuple[MemberChange, ...])

ERASED_MEMBERS = ENCODER.encode((UNKNOWN_VALUES,)).decode()
"""The members of an entry in the journal of an erased person."""

_REQUEST = JOURNAL_COLUMNS.split(", ").index("request")


def ledger_text(ledger: Ledger) -> str:
    """Return a ledger as JSON."""
    return json_text(msgspec.to_builtins(ledger))


def ledger_of(text: str | bytes) -> Ledger:
    """Return the ledger of its JSON."""
    return msgspec.json.decode(text, type=Ledger)


def job_row(database: int, job: Job) -> Row:
    """Return a job as a row: database, id, created, total, failed, its results as JSON, and its kind."""
    results = json_text({name: getattr(job, name) for name in JOB_RESULT_MEMBERS})
    return database, job.id, job.created, job.total, job.failed, results, job.kind


def job_of(row: Sequence[Any]) -> Job:
    """Return the job of a row without its database."""
    id, created, total, failed, text, kind = row
    results = orjson.loads(text)
    profiles, failures, lists = (tuple(results.get(name, ())) for name in JOB_RESULT_MEMBERS)
    return Job(id, created, total, failed, profiles, failures, lists, kind)

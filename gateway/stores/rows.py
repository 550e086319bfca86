"""What every engine keeps of a change, a job and an answer: values to rows and back."""

from collections.abc import Sequence
from typing import Any

import orjson
from msgspec.structs import asdict

from gateway.core.faults import Refusal, refuse
from gateway.core.model import (
    ChangeRecord,
    Created,
    EditResult,
    IdempotencyKey,
    Job,
    Origin,
    Profile,
    StoredAnswer,
    Write,
)


def settled(answers: list[Any]) -> list[Any]:
    """The answers of some changes, where each is an answer. Raises the first that is a failure."""
    for answer in answers:
        if isinstance(answer, BaseException) and not isinstance(answer, Refusal):
            raise answer
    return answers


def outcome(write: Write) -> tuple[str, int]:
    """The id of the profile that a write is about, and the version it comes to: a deletion counts as one more."""
    if write.after:
        return write.after.id, write.after.version
    if write.before:
        return write.before.id, write.before.version + 1
    raise ValueError("a write that neither finds nor leaves a profile")


LARGEST_DOCUMENT = 4 * 1024 * 1024
"""Bytes that a document may have as JSON: updates that each add a little must end somewhere."""


def document_text(write: Write) -> str:
    """What is kept of a write's document: JSON, or nothing where it removes. Raises `Refusal`: profile_too_large."""
    if write.after is None:
        return ""
    try:
        text = orjson.dumps(write.after.document)
    except orjson.JSONEncodeError as error:
        if "Recursion" not in str(error):
            raise
        raise refuse("profile_too_large", "the profile would be nested too deeply") from None
    if len(text) > LARGEST_DOCUMENT:
        raise refuse("profile_too_large", f"a profile may have at most {LARGEST_DOCUMENT} bytes")
    return text.decode()


def remembered(profile: Profile | None) -> str:
    """What is kept of an outcome that may have to be repeated: its profile, and whether the change made it."""
    return orjson.dumps([isinstance(profile, Created), profile and asdict(profile)]).decode()


def recalled(kept: str) -> Profile | None:
    """The profile of an outcome that was kept."""
    created, profile = orjson.loads(kept)
    return (Created if created else Profile)(**profile) if profile else None


def repeated(once: IdempotencyKey, fingerprint: str, kept: str) -> EditResult:
    """Return the kept answer of a change that was done before. Raises `Refusal`: idempotency_conflict.

    Fingerprints of two versions cannot be compared. The request then counts as the same one: a retry across an upgrade
    must return the kept answer.
    """
    is_comparable = _version_of(fingerprint) == _version_of(once.fingerprint)
    if is_comparable and fingerprint != once.fingerprint:
        raise refuse("idempotency_conflict")
    return EditResult(recalled(kept))


def _version_of(fingerprint: str) -> str:
    """The version before the colon; fingerprints of the first form have none."""
    return fingerprint.rpartition(":")[0]


def answered_row(database: int, answered: StoredAnswer) -> tuple[Any, ...]:
    """An answer as a row of the layout: database, key, fingerprint, until, and its profile as JSON."""
    once = answered.once
    return database, once.key, once.fingerprint, once.until, remembered(answered.profile)


def answered_of(row: Sequence[Any]) -> StoredAnswer:
    """The answer of such a row, read back without its database."""
    *once, kept = row
    return StoredAnswer(IdempotencyKey(*once), recalled(kept))


def recorded_row(recorded: ChangeRecord) -> tuple[Any, ...]:
    """A recorded change as a row: database, time, profile, version, token, dialect, triggers, and its patch as JSON."""
    origin = recorded.origin
    who = origin.token, origin.dialect, origin.triggers
    patch = orjson.dumps(recorded.patch).decode()
    return recorded.database, origin.time, recorded.profile, recorded.version, *who, patch


def recorded_of(row: Sequence[Any]) -> ChangeRecord:
    """The change of such a row."""
    database, time, profile, version, token, dialect, triggers, patch = row
    return ChangeRecord(database, profile, version, Origin(token, dialect, time, bool(triggers)), orjson.loads(patch))


def unknown(changes: Sequence[ChangeRecord], known: set[tuple[int, str, int]]) -> list[tuple[Any, ...]]:
    """The rows of those changes that are not known by time, profile and version, each once."""
    new = {(each.origin.time, each.profile, each.version): each for each in changes}
    return [recorded_row(each) for key, each in new.items() if key not in known]


def job_row(database: int, job: Job) -> tuple[Any, ...]:
    """A job as a row of the layout: database, id, created, total, failed, what came of it as JSON, and its kind."""
    outcome = orjson.dumps({name: getattr(job, name) for name in _OUTCOME}).decode()
    return database, job.id, job.created, job.total, job.failed, outcome, job.kind


def job_of(row: Sequence[Any]) -> Job:
    """The job of such a row, read back without its database."""
    id, created, total, failed, text, kind = row
    outcome = orjson.loads(text)
    profiles, failures, lists = (tuple(outcome.get(name, ())) for name in _OUTCOME)
    return Job(id, created, total, failed, profiles, failures, lists, kind)


_OUTCOME = ("profiles", "failures", "lists")
"""What came of a job, in the order of its members."""

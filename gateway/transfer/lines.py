"""How a row is spelled as a line, and read back from one: a JSON object whose `kind` says what else it must have.

A line is held to its shape here, exactly: a member too many, twice or of another type is refused. Whether its values
may stand in a database is judged where they are loaded.
"""

from typing import Annotated, Any, Literal, TypeAlias

import jiter
import msgspec
import orjson
from msgspec import Meta, Struct

from gateway.core.model import (
    RIGHTS,
    ChangeRecord,
    Created,
    Database,
    IdempotencyKey,
    Job,
    Origin,
    Profile,
    Resource,
    Segment,
    StoredAnswer,
    Token,
)

Count = Annotated[int, Meta(ge=0, le=2**63 - 1)]
Time = Count
"""Milliseconds since 1970 in UTC."""
Name = Annotated[str, Meta(min_length=1, max_length=300)]
Row: TypeAlias = Database | Token | Profile | Job | ChangeRecord | StoredAnswer


class BadLine(ValueError):
    """A line that no dump has."""


class Line(Struct, forbid_unknown_fields=True, tag_field="kind"):
    """What every line is."""


class DumpLine(Line, tag="dump"):
    """The first line."""

    format: Literal[1] = 1


class EndLine(Line, tag="end"):
    """The last line, without which a dump is not whole: how many are before it."""

    lines: Count


class ResourceOf(Struct, forbid_unknown_fields=True):
    """A resource within its database's line."""

    id: Count
    name: str
    categories: tuple[str, ...]
    fields: dict[str, Any]


class SegmentOf(Struct, forbid_unknown_fields=True):
    """A segment within its database's line."""

    id: Count
    name: str


class DatabaseLine(Line, tag="database"):
    """A database; all lines up to the next one's belong to it."""

    database: Count
    name: str
    closed: bool
    fields: dict[str, Any]
    company_id: str | None
    resources: list[ResourceOf]
    segments: list[SegmentOf]


class TokenLine(Line, tag="token"):
    """A token: its hash, never its secret."""

    database: Count
    id: Name
    hash: Name
    rights: list[Literal[RIGHTS]]  # type: ignore[valid-type]  # the values are the type
    created: Time
    revoked: bool


class ProfileLine(Line, tag="profile"):
    """A profile, in canonical form."""

    database: Count
    id: Name
    document: dict[str, Any]
    version: Count
    created: Time
    updated: Time


class JobLine(Line, tag="job"):
    """A batch that is remembered: what it was for, and what came of it."""

    database: Count
    id: Name
    created: Time
    total: Count
    failed: Count
    profiles: tuple[str, ...]
    failures: tuple[dict[str, Any], ...]
    lists: tuple[int | str, ...]
    purpose: str


class ChangeLine(Line, tag="change"):
    """A recorded change; those of one millisecond stand in the order in which they were made."""

    database: Count
    time: Time
    profile: Name
    version: Count
    token: str
    dialect: str
    triggers: bool
    patch: list[dict[str, Any]]


class AnswerOf(Struct, forbid_unknown_fields=True):
    """The profile that an answer is made from; `made` where the answered change made it."""

    made: bool
    id: Name
    document: dict[str, Any]
    version: Count
    created: Time
    updated: Time


class AnswerLine(Line, tag="answer"):
    """What is answered when an Idempotency-Key comes again."""

    database: Count
    key: Name
    fingerprint: str
    until: Time
    profile: AnswerOf | None


KeptLine: TypeAlias = ProfileLine | JobLine | ChangeLine | AnswerLine
RowLine: TypeAlias = DatabaseLine | TokenLine | KeptLine
AnyLine: TypeAlias = DumpLine | RowLine | EndLine


def read(line: bytes) -> AnyLine:
    """The line that these bytes spell. Raises `BadLine`."""
    try:
        tree = jiter.from_json(line, catch_duplicate_keys=True, allow_inf_nan=False)
        orjson.dumps(tree)  # no store could
        found: AnyLine = msgspec.convert(tree, AnyLine)
        return found
    except (ValueError, TypeError) as reason:  # what the libraries raise are kinds of these
        raise BadLine(str(reason)) from None


def spelled(line: Line) -> bytes:
    """A line as bytes, with its end."""
    return msgspec.json.encode(line) + b"\n"


def line_of(database: int, row: Row) -> RowLine:
    """The line of a row of a database."""
    match row:
        case Database():
            resources = [ResourceOf(it.id, it.name, it.categories, {**it.fields}) for it in row.resources.values()]
            segments = [SegmentOf(it.id, it.name) for it in row.segments.values()]
            return DatabaseLine(row.id, row.name, row.closed, {**row.fields}, row.company_id, resources, segments)
        case Token():
            rights = sorted(row.rights, key=RIGHTS.index)
            return TokenLine(row.database, row.id, row.hash, rights, row.created, row.revoked)
        case Profile():
            return ProfileLine(database, row.id, row.document, row.version, row.created, row.updated)
        case Job():
            failures = tuple(map(dict, row.failures))
            return JobLine(
                database, row.id, row.created, row.total, row.failed, row.profiles, failures, row.lists, row.kind
            )
        case ChangeRecord(origin=origin):
            who = origin.token, origin.dialect, origin.triggers
            return ChangeLine(database, origin.time, row.profile, row.version, *who, row.patch)
        case StoredAnswer(once, profile):
            return AnswerLine(
                database, once.key, once.fingerprint, once.until, _answer_of(profile) if profile else None
            )


def row_of(line: RowLine) -> Row:
    """The row of a line."""
    match line:
        case DatabaseLine():
            resources = {it.id: Resource(it.id, it.name, it.categories, it.fields) for it in line.resources}
            segments = {it.id: Segment(it.id, it.name) for it in line.segments}
            return Database(line.database, line.name, line.closed, line.fields, line.company_id, resources, segments)
        case TokenLine():
            return Token(line.id, line.hash, line.database, frozenset(line.rights), line.created, line.revoked)
        case ProfileLine():
            return Profile(line.id, line.document, line.version, line.created, line.updated)
        case JobLine():
            return Job(
                line.id, line.created, line.total, line.failed, line.profiles, line.failures, line.lists, line.purpose
            )
        case ChangeLine():
            origin = Origin(line.token, line.dialect, line.time, line.triggers)
            return ChangeRecord(line.database, line.profile, line.version, origin, line.patch)
        case AnswerLine():
            once = IdempotencyKey(line.key, line.fingerprint, line.until)
            return StoredAnswer(once, _profile_of(line.profile) if line.profile else None)


def _answer_of(profile: Profile) -> AnswerOf:
    made = isinstance(profile, Created)
    return AnswerOf(made, profile.id, profile.document, profile.version, profile.created, profile.updated)


def _profile_of(answer: AnswerOf) -> Profile:
    kind = Created if answer.made else Profile
    return kind(answer.id, answer.document, answer.version, answer.created, answer.updated)

"""The lines of a dump: JSON objects whose `kind` determines their other members.

The shape of a line is exact: an unknown or duplicate member, or one of another type, is rejected. `load.py` validates
the values.
"""

from typing import Annotated, Any, Literal, TypeAlias

import jiter
import msgspec
import orjson
from msgspec import Meta, Struct

from gateway.core.model import (
    AddressLedger,
    Created,
    Database,
    IdempotencyKey,
    Job,
    JournalEntry,
    JournalKind,
    Ledger,
    MemberChange,
    Origin,
    Profile,
    Resource,
    StoredAnswer,
    Token,
)
from gateway.core.rights import TOKEN_RIGHTS
from gateway.core.segments import Segment
from gateway.stores.journal_migration import entry_of_patch

Count = Annotated[int, Meta(ge=0, le=2**63 - 1)]
Time = Count
"""Milliseconds since 1970 in UTC."""
Name = Annotated[str, Meta(min_length=1, max_length=300)]
DumpRow: TypeAlias = Database | Token | Profile | Job | JournalEntry | StoredAnswer | AddressLedger


class InvalidLine(ValueError):
    """A line that no dump contains."""


class Line(Struct, forbid_unknown_fields=True, tag_field="kind"):
    """The base of every line."""


class DumpLine(Line, tag="dump"):
    """The first line."""

    format: Literal[1, 2, 3] = 3
    """Format 1 has no ledgers: a load of it derives them from the profiles. Formats 1 and 2 have records of changes,
    without the values before, in place of the journal."""


class EndLine(Line, tag="end"):
    """The last line: how many are before it. A dump without it is incomplete."""

    lines: Count


class ResourceMember(Struct, forbid_unknown_fields=True, omit_defaults=True):
    """A resource in its database's line."""

    id: Count
    name: str
    categories: tuple[str, ...]
    fields: dict[str, Any]
    token_hash: str | None = None
    public_key: str | None = None


class SegmentMember(Struct, forbid_unknown_fields=True):
    """A segment in its database's line."""

    id: Count | Name
    name: str
    created: int | None = None
    updated: int | None = None
    is_double_opt_in: bool = False
    preferences: dict[str, Any] = {}
    archived: Time | None = None


class DatabaseLine(Line, tag="database"):
    """A database. The lines up to the next database belong to it."""

    database: Count
    name: str
    closed: bool
    fields: dict[str, Any]
    company_id: str | None
    resources: list[ResourceMember]
    segments: list[SegmentMember]


class TokenLine(Line, tag="token"):
    """A token: its hash, never its secret."""

    database: Count
    id: Name
    hash: Name
    rights: list[Literal[TOKEN_RIGHTS]]  # type: ignore[valid-type]  # the values are the type
    created: Time
    revoked: bool
    name: str = ""
    user_hash: Name | None = None


class ProfileLine(Line, tag="profile"):
    """A profile, in canonical form."""

    database: Count
    id: Name
    document: dict[str, Any]
    version: Count
    created: Time
    updated: Time


class JobLine(Line, tag="job"):
    """A job: its purpose and its results."""

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
    """A record of changes, as formats 1 and 2 have it."""

    database: Count
    time: Time
    profile: Name
    version: Count
    token: str
    dialect: str
    triggers: bool
    patch: list[dict[str, Any]]


class JournalLine(Line, tag="journal"):
    """An entry of the journal. They are in its order; each store gives them positions of its own."""

    database: Count
    profile: Name
    version: Count
    change: JournalKind
    time: Time
    observed: Time | None
    token: str
    dialect: str
    request: str
    triggers: bool
    members: tuple[MemberChange, ...]
    merge: str | None = None
    replay: dict[str, Any] | None = None


class AnswerProfile(Struct, forbid_unknown_fields=True):
    """The profile of a stored answer. `made` is whether the change created it."""

    made: bool
    id: Name
    document: dict[str, Any]
    version: Count
    created: Time
    updated: Time


class AnswerLine(Line, tag="answer"):
    """The stored answer of an Idempotency-Key."""

    database: Count
    key: Name
    fingerprint: str
    until: Time
    profile: AnswerProfile | None


class LedgerLine(Line, tag="ledger"):
    """The facts of an address, such as opt-outs."""

    database: Count
    address: Name
    ledger: Ledger


ContentLine: TypeAlias = ProfileLine | JobLine | JournalLine | AnswerLine | LedgerLine
RowLine: TypeAlias = DatabaseLine | TokenLine | ContentLine | ChangeLine
AnyLine: TypeAlias = DumpLine | RowLine | EndLine


def parse_line(line: bytes) -> AnyLine:
    """Return the line of these bytes. Raises `InvalidLine`."""
    try:
        tree = jiter.from_json(line, catch_duplicate_keys=True, allow_inf_nan=False)
        orjson.dumps(tree)  # rejects what no store can have, such as a lone surrogate
        result: AnyLine = msgspec.convert(tree, AnyLine)
        return result
    except (ValueError, TypeError) as reason:  # the exceptions of both libraries are subclasses of these
        raise InvalidLine(str(reason)) from None


def encode_line(line: Line) -> bytes:
    """Return a line as bytes, with its line feed."""
    return orjson.dumps(msgspec.to_builtins(line), option=orjson.OPT_APPEND_NEWLINE)


def kind_of(line: bytes) -> str:
    """Return the kind of a line that `encode_line` made."""
    return line[len(b'{"kind":"') :].partition(b'"')[0].decode()


def line_of(database: int, row: DumpRow) -> RowLine:
    """Return the line of a row of a database."""
    match row:
        case Database():
            resources = [
                ResourceMember(it.id, it.name, it.categories, {**it.fields}, it.token_hash, it.public_key)
                for it in row.resources.values()
            ]
            segments = [*map(_segment_member, row.segments.values())]
            return DatabaseLine(row.id, row.name, row.closed, {**row.fields}, row.company_id, resources, segments)
        case Token():
            rights = sorted(row.rights, key=TOKEN_RIGHTS.index)
            return TokenLine(row.database, row.id, row.hash, rights, row.created, row.revoked, row.name, row.user_hash)
        case Profile():
            return ProfileLine(database, row.id, row.document, row.version, row.created, row.updated)
        case Job():
            failures = tuple(map(dict, row.failures))
            return JobLine(
                database, row.id, row.created, row.total, row.failed, row.profiles, failures, row.lists, row.kind
            )
        case JournalEntry():
            return _journal_line(database, row)
        case StoredAnswer(once, profile):
            return AnswerLine(
                database, once.key, once.fingerprint, once.until, _answer_profile(profile) if profile else None
            )
        case AddressLedger(address, ledger):
            return LedgerLine(database, address, ledger)


def row_of(line: RowLine) -> DumpRow:
    """Return the row of a line."""
    match line:
        case DatabaseLine():
            resources = {
                it.id: Resource(it.id, it.name, it.categories, it.fields, it.token_hash, it.public_key)
                for it in line.resources
            }
            segments = {each.id: _segment(each) for each in line.segments}
            return Database(line.database, line.name, line.closed, line.fields, line.company_id, resources, segments)
        case TokenLine():
            rights = frozenset(line.rights)
            return Token(
                line.id, line.hash, line.database, rights, line.created, line.revoked, line.name, line.user_hash
            )
        case ProfileLine():
            return Profile(line.id, line.document, line.version, line.created, line.updated)
        case JobLine():
            return Job(
                line.id, line.created, line.total, line.failed, line.profiles, line.failures, line.lists, line.purpose
            )
        case ChangeLine():
            origin = Origin(line.token, line.dialect, line.time, line.triggers)
            return entry_of_patch(line.database, line.profile, line.version, origin, line.patch)
        case JournalLine():
            origin = Origin(line.token, line.dialect, line.time, line.triggers, line.request, line.observed)
            place = line.database, line.profile, line.version, line.change
            return JournalEntry(0, *place, origin, line.members, line.merge, line.replay)
        case AnswerLine():
            once = IdempotencyKey(line.key, line.fingerprint, line.until)
            return StoredAnswer(once, _stored_profile(line.profile) if line.profile else None)
        case LedgerLine():
            return AddressLedger(line.address, line.ledger)


def _segment_member(it: Segment) -> SegmentMember:
    times = it.created, it.updated
    return SegmentMember(it.id, it.name, *times, it.is_double_opt_in, {**it.preferences}, it.archived)


def _segment(it: SegmentMember) -> Segment:
    return Segment(it.id, it.name, it.created, it.updated, it.is_double_opt_in, it.preferences, it.archived)


def _journal_line(database: int, entry: JournalEntry) -> JournalLine:
    origin = entry.origin
    return JournalLine(
        *(database, entry.profile, entry.version, entry.kind, origin.time, origin.observed, origin.token),
        *(origin.dialect, origin.request, origin.triggers, entry.members, entry.merge),
        dict(entry.replay) if entry.replay else None,
    )


def _answer_profile(profile: Profile) -> AnswerProfile:
    made = isinstance(profile, Created)
    return AnswerProfile(made, profile.id, profile.document, profile.version, profile.created, profile.updated)


def _stored_profile(answer: AnswerProfile) -> Profile:
    kind = Created if answer.made else Profile
    return kind(answer.id, answer.document, answer.version, answer.created, answer.updated)

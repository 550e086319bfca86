"""The nouns of the gateway: what a profile is, what a store is asked, what it answers.

Only values live here. Nothing in this file computes, and it imports nothing but the standard library and
msgspec: what each request makes anew is a `Struct`, which takes a tenth of the time of a frozen dataclass.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, TypeAlias

from msgspec import Struct

Tree: TypeAlias = Any
"""A decoded body: dicts, lists, strings, numbers, booleans and None. From XML its leaves are strings, not yet typed."""

Document: TypeAlias = dict[str, Any]
"""A profile in canonical form, as `schemas/profile.schema.json` describes it."""

Update: TypeAlias = dict[str, Any]
Search: TypeAlias = dict[str, Any]
Removal: TypeAlias = dict[str, Any]
Merge: TypeAlias = dict[str, Any]
"""Canonical commands. Each has a schema of its name in `schemas/`."""

Command: TypeAlias = Update | Search | Removal | Merge


class CommandType(StrEnum):
    """The type of a command, which is the name of its schema."""

    UPDATE = "update"
    SEARCH = "search"
    REMOVAL = "removal"
    MERGE = "merge"


Identity: TypeAlias = tuple[str, str]
"""(kind, value in normal form): one thing that names a profile, such as `("email", "a@example.com")`.

The kind `id` is the profile's own id; every engine finds it in its table of profiles."""

Find: TypeAlias = "Callable[[Sequence[Identity]], list[Profile]]"
"""The profiles that any of the identities names, each once, ordered by id; only valid while its edit runs."""

Edit: TypeAlias = "Callable[[Find], EditResult]"
"""The pure function a store runs inside its atomic step. It may be run again; it raises `Refusal` to refuse."""

READ, WRITE, DELETE = "read", "write", "delete"
RIGHTS = (READ, WRITE, DELETE)


class Profile(Struct, frozen=True):
    """A stored profile. `version` counts from 1; times are milliseconds since 1970 in UTC."""

    id: str
    document: Document
    version: int
    created: int
    updated: int


class Created(Profile, frozen=True):
    """A profile as the change that made it answers: whoever asks again finds a `Profile`."""


class Write(Struct, frozen=True):
    """One profile's way from `before` to `after`; None means that it did not, or does no longer, exist.

    `patch` is the RFC 6902 way from one document to the other and is what the record of changes keeps. None: it is not
    recorded, as where a profile is moved from another store and its record comes with it.
    """

    before: Profile | None
    after: Profile | None
    gained: frozenset[Identity] = frozenset()
    lost: frozenset[Identity] = frozenset()
    patch: tuple[Mapping[str, Any], ...] | None = ()


class EditResult(Struct, frozen=True):
    """What an edit decided: the profile to answer with, and the writes to keep (none: nothing changed).

    `others` are the ids of further profiles that the request named, and that were left alone.
    """

    profile: Profile | None
    writes: tuple[Write, ...] = ()
    others: tuple[str, ...] = ()


class Origin(Struct, frozen=True):
    """Who asked for a change, and when: kept with its record. `time` is in milliseconds since 1970 in UTC."""

    token: str
    dialect: str
    time: int
    triggers: bool = True


class IdempotencyKey(Struct, frozen=True):
    """What makes a change happen once, however often it is asked for (the Idempotency-Key header).

    `fingerprint` identifies the request: `version:hash`. `until` is in milliseconds since 1970.
    """

    key: str
    fingerprint: str
    until: int


class Change(Struct, frozen=True):
    """One isolated change. `identities` are those its edit will ask for: a store may fetch or lock them first."""

    database: int
    identities: tuple[Identity, ...]
    edit: Edit
    origin: Origin
    once: IdempotencyKey | None = None


@dataclass(frozen=True, slots=True)
class ChangeRecord:
    """One row of the record of changes, as it is read back."""

    database: int
    profile: str
    version: int
    origin: Origin
    patch: list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Job:
    """A batch that is remembered. `created` is in milliseconds since 1970; of `total` updates, `failed` were refused.

    `profiles` are the ids of those that were kept; each of `failures` is {"index", "faults", "sent"}; `lists` are the
    static segments that they were put on. All three are empty where jobs are listed. `kind` says what the job was for.
    """

    id: str
    created: int
    total: int
    failed: int
    profiles: tuple[str, ...] = ()
    failures: tuple[Mapping[str, Any], ...] = ()
    lists: tuple[int | str, ...] = ()
    kind: str = "import"


@dataclass(frozen=True, slots=True)
class StoredAnswer:
    """The answer that is kept of a change with a `once`: a `Created` profile where the change made it."""

    once: IdempotencyKey
    profile: Profile | None


@dataclass(frozen=True, slots=True)
class Query:
    """Which profiles are listed. Times are in milliseconds and between `from` and `to`, neither of them included.

    `sort` is `id`, `created`, `updated` or a member of the document, whose absence sorts behind every value; equals are
    in the order of their ids. `after` is the sorted value and the id that the page begins behind.
    """

    limit: int
    sort: str = "id"
    descending: bool = False
    after: tuple[Any, str] | None = None
    created: tuple[int | None, int | None] = (None, None)
    updated: tuple[int | None, int | None] = (None, None)


@dataclass(frozen=True, slots=True)
class Resource:
    """A channel source that profiles subscribe to. `fields` is a JSON Schema of its subscriptions' own fields."""

    id: int
    name: str
    categories: tuple[str, ...] = ()
    fields: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Segment:
    """A static segment: a list of profiles that is kept by hand."""

    id: int
    name: str


@dataclass(frozen=True, slots=True)
class Database:
    """A namespace of profiles. `fields` is a JSON Schema of its own fields; `closed` refuses names it does not declare.

    `company_id` is its public id, for calls that carry no secret.
    """

    id: int
    name: str
    closed: bool = False
    fields: Mapping[str, Any] = field(default_factory=dict)
    company_id: str | None = None
    resources: Mapping[int, Resource] = field(default_factory=dict)
    segments: Mapping[int, Segment] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Token:
    """A credential's record. The secret is never kept: `hash` is its SHA-256 in hexadecimal, `id` its public name."""

    id: str
    hash: str
    database: int
    rights: frozenset[str]
    created: int
    revoked: bool = False

"""The values of the gateway: profiles, commands, changes and their results.

A value that each request creates is a msgspec `Struct`: a frozen dataclass takes ten times as long to create.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal, TypeAlias

from msgspec import UNSET, Struct

from gateway.core.segments import Segment, SegmentId

Tree: TypeAlias = Any
"""A decoded body: dicts, lists, strings, numbers, booleans and None. From XML its leaves are strings, not yet typed."""

Document: TypeAlias = dict[str, Any]
"""A profile in canonical form, as `schemas/profile.schema.json` describes it."""

Command: TypeAlias = dict[str, Any]
"""A canonical command. Each `CommandType` has a schema of its name in `schemas/`."""

Update: TypeAlias = Command
Merge: TypeAlias = Command


class CommandType(StrEnum):
    """The type of a command, which is the name of its schema."""

    UPDATE = "update"
    SEARCH = "search"
    REMOVAL = "removal"
    MERGE = "merge"
    SPLIT = "split"
    RELATION = "relation"


Identity: TypeAlias = tuple[str, str]
"""(kind, value in normal form), such as `("email", "a@example.com")`: it identifies a profile.

The kind `id` is the profile's own id; every engine finds it in its table of profiles."""

Address: TypeAlias = str
"""A channel and an address in normal form, such as `email:ann@example.com`."""

Edit: TypeAlias = "Callable[[Find], EditResult]"
"""The pure function that a store runs inside its atomic step, maybe several times. It raises `Refusal` to reject."""


class Profile(Struct, frozen=True):
    """A stored profile. `version` counts from 1; times are milliseconds since 1970 in UTC."""

    id: str
    document: Document
    version: int
    created: int
    updated: int


class Created(Profile, frozen=True):
    """A profile as the change that created it returns it. Later searches return a `Profile`."""


JournalKind: TypeAlias = Literal["create", "update", "remove", "merge", "split", "erase"]
"""What a write does. A merge writes an entry of this kind for each of its profiles."""

JOURNAL_KINDS: tuple[JournalKind, ...] = ("create", "update", "remove", "merge", "split", "erase")

Position: TypeAlias = int
"""The place of an entry in the journal of a store. Later ones are higher. A position may have more than 64 bits, and
numbers are left out. 0 is before every entry."""


class MemberChange(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """The value of one member before and after a write; `UNSET` where it is absent.

    `pointer` is a JSON Pointer into the document; "" is the document itself, which is absent before a creation and
    after a removal. No pointer of a write leads into another one, and none into a list. Without `is_before_known`, the
    value before is not stored: after an erasure, and in entries without values. Without `is_stored`, the values are
    those in effect, and the document stays as it is (`core.consent_changes`).
    """

    pointer: str
    before: Any = UNSET
    after: Any = UNSET
    is_before_known: bool = True
    is_stored: bool = True


class Write(Struct, frozen=True):
    """The change of one profile from `before` to `after`; None means that it does not exist.

    `members` are what it changes, for the journal. None: the write has no entry, as in an import, which restores the
    journal of another store. `merge`, `replay` and `observed` (None: the origin's) are those of its entry.
    """

    before: Profile | None
    after: Profile | None
    gained: frozenset[Identity] = frozenset()
    lost: frozenset[Identity] = frozenset()
    members: tuple[MemberChange, ...] | None = ()
    kind: JournalKind = "update"
    merge: str | None = None
    replay: Mapping[str, Any] | None = None
    observed: int | None = None


class Fact(Struct, frozen=True):
    """Something that forbids messages to an address.

    `time`: when it was recorded (milliseconds since 1970). `number`: its place among the facts of the address, from 1.
    `is_lifted`: whether an explicit subscription of some profile lifted it.
    """

    time: int
    number: int
    is_lifted: bool = False


class Ledger(Struct, frozen=True):
    """The facts of one address, by resource id ("" for none) and reason. `number` is the highest one used."""

    number: int = 0
    facts: dict[str, dict[str, Fact]] = {}


class AddressLedger(Struct, frozen=True):
    """The ledger of an address, as a snapshot returns it."""

    address: Address
    ledger: Ledger


class Find(Struct, frozen=True):
    """What an edit reads in its step. It is valid only while the edit runs.

    Call it with identities for the profiles that any of them names, each once, by id. `ledgers` returns the ledgers of
    addresses; one without facts is absent. `has_ledgers` is False only if no address of the database has facts.
    `has_tombstones`: whether there may be tombstones among the ledgers.
    """

    profiles: Callable[[Sequence[Identity]], list[Profile]]
    ledgers: Callable[[Sequence[Address]], dict[Address, Ledger]]
    has_ledgers: Callable[[], bool]
    has_tombstones: bool = False

    def __call__(self, identities: Sequence[Identity]) -> list[Profile]:
        return self.profiles(identities)


class Erasure(Struct, frozen=True):
    """The persons of a privacy deletion: the ids of their profiles, and all their identities.

    A store removes the stored answers with these profiles, and these persons from its journal and from the results of
    its jobs. `tombstone` returns the address of the tombstone of a kind and a value, None: there are none. `time` is
    that of the erasure (ms since 1970). Jobs before `jobs_since` (ms since 1970) do not name them any more.
    """

    ids: frozenset[str]
    identities: frozenset[Identity]
    tombstone: "Callable[[str, str], Address] | None" = None
    time: int = 0
    jobs_since: int = 0


JobCursor: TypeAlias = tuple[int, str]
"""The time and the id of the job after which a reader continues."""


class EditResult(Struct, frozen=True):
    """The result of an edit: the profile to return, and the writes to store (none: nothing changed).

    `others` are the ids of further profiles that match and are unchanged. A ledger that is None is removed.
    """

    profile: Profile | None
    writes: tuple[Write, ...] = ()
    others: tuple[str, ...] = ()
    ledgers: Mapping[Address, Ledger | None] = {}
    erasure: Erasure | None = None


class Origin(Struct, frozen=True):
    """The source of a change, for the journal.

    `time` is when it was accepted, `observed` when it happened as the client says (ms since 1970); `request` is its id.
    """

    token: str
    dialect: str
    time: int
    triggers: bool = True
    request: str = ""
    observed: int | None = None


class IdempotencyKey(Struct, frozen=True):
    """The Idempotency-Key of a change, which is then carried out once.

    `fingerprint` identifies the request: `version:hash`. `until` is in milliseconds since 1970.
    """

    key: str
    fingerprint: str
    until: int


class Change(Struct, frozen=True):
    """One isolated change. `identities` are those that its edit searches: a store may fetch or lock them first.

    `registry` is the version of the registry that it relies on, None for any. Without `needs_documents` the caller gets
    neither documents nor writes in a new result: a group of changes then needs less memory.
    """

    database: int
    identities: tuple[Identity, ...]
    edit: Edit
    origin: Origin
    once: IdempotencyKey | None = None
    registry: int | None = None
    needs_documents: bool = True


class JournalEntry(Struct, frozen=True):
    """One write, as the journal has it. `version` is that of the profile after it; a removal counts as one more.

    `merge` is the id of the merge that the write is a part of, or that it undoes. `replay` is what an undo of a merge
    needs besides the members (`core.undo`).
    """

    position: Position
    database: int
    profile: str
    version: int
    kind: JournalKind
    origin: Origin
    members: tuple[MemberChange, ...]
    merge: str | None = None
    replay: Mapping[str, Any] | None = None


class RecordedMerge(Struct, frozen=True):
    """A merge: the entry of its destination, and whether it was undone."""

    entry: JournalEntry
    is_undone: bool


class JournalRange(Struct, frozen=True):
    """The entries that the journal of a database has.

    `oldest` and `newest` are the positions of the first and the last entry that can be read, 0 if there is none.
    `removed` is the highest position that was pruned, 0 if none: a reader that continues before it misses entries.
    """

    oldest: Position = 0
    newest: Position = 0
    removed: Position = 0


@dataclass(frozen=True, slots=True)
class Job:
    """A stored batch. `created` is in milliseconds since 1970; `failed` of `total` updates were rejected.

    `profiles` are the ids that were stored, `lists` their new static segments; each of `failures` is
    {"index", "faults", "sent"}. All three are empty in a list of jobs."""

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
    """The stored result of a change with an Idempotency-Key: a `Created` profile if the change created it."""

    once: IdempotencyKey
    profile: Profile | None


@dataclass(frozen=True, slots=True)
class Query:
    """A page of profiles. Times are in milliseconds and between `from` and `to`, neither of them included.

    `sort` is `id`, `created`, `updated` or a member of the document; a profile without it comes last. Equal values are
    in the order of ids. `after` has the sort value and the id of the profile before. `key`: profiles have it."""

    limit: int
    sort: str = "id"
    descending: bool = False
    after: tuple[Any, str] | None = None
    created: tuple[int | None, int | None] = (None, None)
    updated: tuple[int | None, int | None] = (None, None)
    key: Identity | None = None


@dataclass(frozen=True, slots=True)
class Resource:
    """A channel source that profiles subscribe to. `fields` is the JSON Schema of its subscriptions' own fields,
    `token_hash` the SHA-256 of its token in hexadecimal; `public_key` (PEM) verifies the JWTs of its apps."""

    id: int
    name: str
    categories: tuple[str, ...] = ()
    fields: Mapping[str, Any] = field(default_factory=dict)
    token_hash: str | None = None
    public_key: str | None = None


@dataclass(frozen=True, slots=True)
class Database:
    """A namespace of profiles. `fields` is the JSON Schema of its own fields; `closed` rejects undeclared names.
    `company_id` is its public id, for calls without a secret."""

    id: int
    name: str
    closed: bool = False
    fields: Mapping[str, Any] = field(default_factory=dict)
    company_id: str | None = None
    resources: Mapping[int, Resource] = field(default_factory=dict)
    segments: Mapping[SegmentId, Segment] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Token:
    """A credential without its secret: `hash` is the SHA-256 in hexadecimal, `id` public, `name` its owner's.
    `user_hash` is that of the external id of the only profile that it opens, None where it opens all."""

    id: str
    hash: str
    database: int
    rights: frozenset[str]
    created: int
    revoked: bool = False
    name: str = ""
    user_hash: str | None = None

"""The contract of a dialect: its calls, and the values that pass between it and the service."""

from collections.abc import Callable, Collection, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Protocol, TypeAlias

from msgspec import Struct, field

from gateway.core.faults import Fault, Refusal
from gateway.core.model import CommandType, Database, Document, Job, JournalEntry, Profile, Tree, Update
from gateway.core.segments import Segment
from gateway.dialects.outgoing import Outgoing

UPDATE, BATCH, FIND, REMOVE, DESCRIBE = "update", "batch", "find", "remove", "describe"
LIST, MERGE, IMPORT, JOB, JOBS = "list", "merge", "import", "job", "jobs"
JOB_PROFILES, ATOMIC, CHANGE_STATUSES = "job_profiles", "atomic", "change_statuses"
SPLIT, HISTORY, JOURNAL = "split", "history", "journal"
RELATE, RELATIONS = "relate", "relations"
DECLARE_SEGMENT, REMOVE_SEGMENT, REPLACE_MEMBERS = "declare_segment", "remove_segment", "replace_members"
"""The operations of a call.

`update` changes one profile, `batch` many, each by itself, and `atomic` many in one step, all or none.
`change_statuses` changes the subscriptions of all profiles, page by page, and returns how many. `declare_segment`
declares, changes or archives a static segment, `remove_segment` removes it after its members left it, page by page.
`replace_members` adds profiles to one and lets the others leave it: its first command names the segment. `import`
changes many as a job that the store keeps; `job`, `jobs` and `job_profiles` return one job, all jobs, or the profiles
of one.
`find` returns one profile, `list` a page of them, `remove` removes one, `merge` merges several into one, `split` moves
parts of one to others, `relate` changes a relation of two, `relations` returns one and those that its relations lead
from, `history` returns the changes of one profile, `journal` a page of those of all, and `describe` the databases that
the token may access.
"""

WITHOUT_DRY_RUN = (CHANGE_STATUSES, DECLARE_SEGMENT, REMOVE_SEGMENT, REPLACE_MEMBERS)
"""The writing operations that change more than some profiles in one step."""

COMMAND_TYPES: Mapping[str, CommandType] = {
    **dict.fromkeys((UPDATE, BATCH, IMPORT, ATOMIC, *WITHOUT_DRY_RUN), CommandType.UPDATE),
    **dict.fromkeys((FIND, LIST, JOB, JOBS, JOB_PROFILES, DESCRIBE, HISTORY, JOURNAL, RELATIONS), CommandType.SEARCH),
    REMOVE: CommandType.REMOVAL,
    MERGE: CommandType.MERGE,
    SPLIT: CommandType.SPLIT,
    RELATE: CommandType.RELATION,
}
"""The type of the command that each operation carries out."""

BATCHES = (BATCH, IMPORT, ATOMIC, REPLACE_MEMBERS)
"""The operations with many profiles."""


class Request(Struct, frozen=True):
    """One request as a dialect sees it: the tree of its body ({} without one), and what is outside the body."""

    tree: Tree
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    path: Mapping[str, str] = field(default_factory=dict)
    target: str = ""
    """The normalized path, and the query as it came (RFC 9112's origin-form)."""
    base: str = ""
    """The address that the client uses, without a path, such as `https://example.com/prefix`."""
    now: int = 0
    """Milliseconds since 1970."""
    is_typed: bool = True
    """Whether the leaves carry types. In XML they do not, so an empty element may be an empty object or list."""
    resource: int | None = None
    """The resource that the credential names."""
    database: int | None = None
    """The database of that resource."""
    claims: Mapping[str, Any] | None = None
    """The claims of the credential, if it is a JWT."""


class ResourceCredential(Struct, frozen=True):
    """What names a resource: its token, its id (beside a secret token only), or a JWT that its key verifies.

    `pointer` is that of the parameter that has it; "" for a header, whose fault is that of an unknown token. `time` is
    that of the request, in milliseconds since 1970.
    """

    token: str | None = None
    id: int | None = None
    jwt: str | None = None
    pointer: str = ""
    time: int = 0


class Credential(Struct, frozen=True):
    """The credential of a request: a secret token, the public company id of a database, or what names a resource."""

    token: str | None = None
    company: str | None = None
    resource: ResourceCredential | None = None


class ParsedCommand(Struct, frozen=True):
    """One update as parsed, and the faults found on the way. `update` is None where there are only faults."""

    update: Update | None
    faults: Sequence[Fault] = ()
    source: Tree = None
    """The tree that the update was parsed from. A job keeps it if the update is rejected."""


class ParsedRequest(Struct, frozen=True):
    """The commands of a request. `database` is the id as sent, None where the token alone decides it."""

    database: Any
    commands: Sequence[ParsedCommand]
    context: Mapping[str, Any] = field(default_factory=dict)
    """What the dialect's `parse` hands to its `render`."""
    expires: int | None = None
    """When the Idempotency-Key expires (ms since 1970), if the request sets it."""
    job: Mapping[str, Any] = field(default_factory=dict)
    """What a job keeps besides its outcomes: its `kind`, and the `lists` that it was for."""
    needs_consent: bool = False
    """Whether the reply shows subscriptions: each then has the strictest status that applies to its address."""
    repeat_key: str | None = None
    """What a repeated request has too, whatever else is in its body. It is then answered as the first one."""


class Reply(Struct, frozen=True):
    """A status (RFC 9110) and the tree of a body; None means no body."""

    status: int
    tree: Tree
    headers: Mapping[str, str] = field(default_factory=dict)


class HistoryRow(Struct, frozen=True):
    """An entry of the journal, its profile as it is now, and the cursor of the page that follows it."""

    entry: JournalEntry
    profile: Profile
    cursor: str


class Result(Struct, frozen=True):
    """The result of a request, with one outcome for each update: a profile, None for a removed one, or its faults.

    The document after an `update` may be empty unless the call `shows_profile` or the request `needs_consent`; those
    after a `batch` are. `list` and `jobs` have the profiles or jobs in order. `job` has the job, followed by its
    profiles if requested. `relate` has the profile that keeps the relation, with the id of the `subject` as its
    document; `relations` has a profile, followed by those that its relations lead from. `split` has the source,
    followed by the destinations without their documents. `history` and `journal` have rows.
    """

    database: Database
    outcomes: Sequence[Profile | Job | HistoryRow | Segment | Sequence[Fault] | int | None]
    updates: Sequence[Update | Refusal] = ()
    context: Mapping[str, Any] = field(default_factory=dict)


class Call(Struct, frozen=True, eq=False):
    """One call of a vendor's API: method and path, the right that it requires, how to parse it and render its reply.

    `path` may contain `{names}`. It is matched against the raw path, so that an encoded slash stays inside a name.
    """

    method: str
    path: str
    operation: str
    right: str
    parse: Callable[[Request], ParsedRequest]
    render: Callable[[Result], Reply]
    body_types: tuple[type, ...] = (dict,)
    """The types that the root of a body may have."""
    shows_profile: bool = False
    """Whether the reply to an update shows the profile, not only its id. Else its document may be empty."""
    is_body_optional: bool = False
    """Whether a request may have no body; its tree is then {}."""
    max_body_bytes: int | None = None
    """The maximum size of a body, in place of the settings' limits."""
    rates: Sequence[str] = ()
    """Rate limits for each credential, such as `75/second`; all of them apply."""
    pointers: Mapping[str, str] = field(default_factory=dict)
    """For a fault: canonical pointers, or codes of faults without one, and the names that this call has for them."""
    is_public: bool = False
    """Whether it needs no secret: pages of any site may call it from a browser, and its reply is of no profile."""
    has_cors: bool = False
    """Whether pages of any site may call it from a browser with their credential (CORS)."""
    further_rights: tuple[str, ...] = ()
    """Rights that it requires besides `right`."""
    accepts_forms: bool = False
    """Whether its parameters may be in the query or in a form, too. Then they are texts. The body may be absent."""
    render_faults: Callable[[Sequence[Fault]], Reply] | None = None
    """Renders the reply to a rejected request, in place of the dialect's function."""
    key_header: str = "idempotency-key"
    """The header with the key under which a repeated request gets the first response."""
    credential: Callable[[Request], Credential] | None = None
    """Returns the credential of a request, in place of the dialect's function."""
    resource: Callable[[Request], ResourceCredential] | None = None
    """Returns what names a resource of the database, beside the credential."""
    variant: Callable[[Request], "Call | None"] | None = None
    """Returns the call that a request is one of by its body, which has the same path and method; None: this one."""
    user: Callable[[Request], str] | None = None
    """Returns the external id of the only profile that a request is about. None: no token of a user opens the call."""


class FileRows(Struct, frozen=True):
    """How a dialect reads and writes the rows of a file, each of which is one profile."""

    calls: Mapping[str, Call]
    """The call that parses a row, for those of the modes `import` (update or create), `update` and `add` that exist."""
    request: Callable[[Tree, Mapping[str, Any], bool], Request]
    """Returns the request of such a call for one row, with the parameters of the file, and whether leaves have types.

    Raises `Refusal`.
    """
    names: Sequence[str]
    """The members of a row that are not a database's own fields, in the order of columns."""
    render: Callable[[Profile, Database], dict[str, Any]]
    """Returns the row that creates a profile with the same content."""
    describe: Callable[[Sequence[Fault]], str]
    """Returns the reason for which a row is refused, in the vendor's words."""
    has_parameters: bool = False
    """Whether the calls have parameters beside the row."""
    objects: Sequence[str] = ()
    """The members of a row that are objects, whose own members are columns of CSV: `address.locality`."""
    own_fields: str = ""
    """What the names of a database's own fields begin with."""
    is_open: bool = True
    """Whether a row may have other names."""
    smallest: Mapping[str, Any] = MappingProxyType({})
    """A row without anything that another one can lack."""


LocatedFields: TypeAlias = Mapping[tuple[str, ...], Mapping[str, tuple[str, ...]]]
"""By place of an IP address, the places of country, region, city, time_zone, latitude and longitude that it fills."""

NO_LOCATED_FIELDS: LocatedFields = MappingProxyType({})


class RequestNames(Struct, frozen=True):
    """The names in a dialect's requests that matter where a refused request is kept."""

    credentials: Collection[str] = ()
    """The members of a body, and the parameters of a query, that are credentials."""
    headers: Collection[str] = ()
    """The headers that its calls read, besides credentials and those that all dialects have."""
    impersonal: Collection[str] = ()
    """The members that are ids of a database or of its parts, and never of a person."""


class Dialect(Protocol):
    """A vendor's API."""

    def __hash__(self) -> int: ...

    name: str
    prefixes: Sequence[str]
    """The first segments of its paths, such as `/api/v1`. The dialect with the longest one rejects an unknown path."""
    slash_merging_prefix: str | None
    """The one under which repeated slashes count as one, as a client of the vendor sends them."""
    content_types: Mapping[str, str]
    """The media type of its replies, by codec name."""
    calls: Sequence[Call]
    fields: Mapping[str, Sequence[str]]
    """The vendor's name of each field of the profile, and its place in the canonical form."""
    reserved_names: Collection[str]
    """The names that a database's own fields cannot have, because the vendor's own fields are beside them."""
    located_fields: LocatedFields
    """The fields that `detect_geo` fills."""
    constraints: str | None
    """The name of the schema in `schemas/` that restricts its updates further than the canonical form does."""
    file_rows: FileRows | None
    """How files are imported and exported; None: not in this dialect."""
    outgoing: Outgoing | None
    """How changes are sent to an account of the vendor; None: not in this dialect."""

    request_names: RequestNames

    def media_type(self, incoming: Request) -> str | None:
        """Return the name of the codec that the request asks for, or None. Raises `Refusal` on an unknown one."""
        ...

    def credential(self, incoming: Request) -> Credential:
        """Return the credential of a request. Raises `Refusal`: no_token."""
        ...

    def resolve_patch(self, document: Document, update: Update) -> Update:
        """Return what the `patch` (RFC 6902) of an update writes: members of an update of the document.

        The patch is for this dialect's view of the document, or for the part of it that `patch_target` names. Raises
        `Refusal`: invalid_patch.
        """
        ...

    def render_faults(self, faults: Sequence[Fault]) -> Reply:
        """Render the vendor's reply to a rejected request."""
        ...

    def body_pointer(self, pointer: str) -> str:
        """Return the place in a body that the pointer of a fault means."""
        ...


CONTENT_TYPES = {"json": "application/json", "xml": "application/xml"}
"""The content types of a dialect that has none of its own."""

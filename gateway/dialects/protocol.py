"""What a dialect is: its calls, and what passes between a dialect and the service."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from msgspec import Struct, field

from gateway.core.faults import Fault, Refusal
from gateway.core.model import Database, Document, Job, Profile, Tree, Update

UPDATE, BATCH, FIND, REMOVE, DESCRIBE = "update", "batch", "find", "remove", "describe"
LIST, MERGE, IMPORT, JOB, JOBS, MEMBERS, TOGETHER = "list", "merge", "import", "job", "jobs", "members", "together"
"""The canonical requests: change one profile, change many, search one, remove one, describe what a token may see; list
profiles, merge several into one; change many as a job that is remembered, then one job, the jobs, a job's profiles;
change many in one step, all or none."""

BATCHES = (BATCH, IMPORT, TOGETHER)
"""The requests that hold many profiles."""


class Request(Struct, frozen=True):
    """One request as a dialect sees it: the tree of its body ({} without one), and what stands beside the body."""

    tree: Tree
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    path: Mapping[str, str] = field(default_factory=dict)
    target: str = ""
    """Path and query as they came (RFC 9112's origin-form)."""
    now: int = 0
    """Milliseconds since 1970."""
    typed: bool = True
    """Whether the leaves carry their types: where not, an empty element may be an object or a list without members."""


class Credential(Struct, frozen=True):
    """What a request shows of its right to be heard: a secret token, or a database's public company id."""

    token: str | None = None
    company: str | None = None


class ParsedCommand(Struct, frozen=True):
    """One update as it was read, and the faults that reading it found; without an update there are only faults."""

    update: Update | None
    faults: Sequence[Fault] = ()
    sent: Tree = None
    """What the update was read from, where a job is to remember it should it be refused."""


class ParsedRequest(Struct, frozen=True):
    """What a request asks for. `database` is the id as it was sent, None where the token alone tells it.

    `about` is the dialect's own, from its reading to its writing.
    """

    database: Any
    reads: Sequence[ParsedCommand]
    about: Mapping[str, Any] = field(default_factory=dict)
    until: int | None = None
    """When an Idempotency-Key expires (ms since 1970), where the request says so itself."""
    job: Mapping[str, Any] = field(default_factory=dict)
    """What a job is remembered with, besides what came of it: its `kind`, and the `lists` that it was for."""


class Reply(Struct, frozen=True):
    """A status (RFC 9110) and the tree of a body; None is no body at all."""

    status: int
    tree: Tree
    headers: Mapping[str, str] = field(default_factory=dict)


class Result(Struct, frozen=True):
    """What came of a request: one outcome for each update (a profile, None for one that is gone, or its faults).

    A list has its profiles or jobs, in order; a request about one job has the job, and its profiles if asked for.
    """

    database: Database
    outcomes: Sequence[Profile | Job | Sequence[Fault] | None]
    updates: Sequence[Update | Refusal] = ()
    about: Mapping[str, Any] = field(default_factory=dict)


class Call(Struct, frozen=True):
    """One call of a vendor's API: where it is, what it needs, how it is read and how it is answered.

    `path` may hold `{names}`; it is matched against the raw path, so that an encoded slash stays inside a name.
    """

    method: str
    path: str
    verb: str
    right: str
    read: Callable[[Request], ParsedRequest]
    write: Callable[[Result], Reply]
    bodies: tuple[type, ...] = (dict,)
    """What the root of a body may be."""
    limit: int | None = None
    """The most bytes of a body, where the settings' own limits do not count."""
    rates: Sequence[str] = ()
    """How often one credential may call it, such as `75/second`; all of them hold."""
    named: Mapping[str, str] = field(default_factory=dict)
    """Pointers into the canonical update that this call has names of its own for, and the pointers it tells them by."""
    open: bool = False
    """Whether pages of any site may call it from a browser (CORS)."""


class Dialect(Protocol):
    """A vendor's way to say an update."""

    name: str
    prefixes: Sequence[str]
    """What its paths begin with: a path that no call has is answered by the dialect of the longest prefix."""
    content_types: Mapping[str, str]
    """By codec name, the media type that its replies are sent as."""
    calls: Sequence[Call]
    fields: Mapping[str, Sequence[str]]
    """The vendor's name for a field of the profile, and its place in the canonical form."""
    constraints: str | None
    """The name of the schema in `schemas/` that this dialect asks of its updates beyond the canonical form."""

    def media_type(self, incoming: Request) -> str | None:
        """The codec's name that the request asks for in its own words, or None. Raises `Refusal` on an unknown one."""
        ...

    def credential(self, incoming: Request) -> Credential:
        """The credential of a request. Raises `Refusal`: no_token."""
        ...

    def patched(self, document: Document, patch: Sequence[Any]) -> Document:
        """A document after a JSON Patch (RFC 6902) of its view in this dialect. Raises `Refusal`: invalid_patch."""
        ...

    def refused(self, faults: Sequence[Fault]) -> Reply:
        """The vendor's reply to a request that was refused."""
        ...


CONTENT_TYPES = {"json": "application/json", "xml": "application/xml"}
"""The content types of a dialect that has none of its own."""

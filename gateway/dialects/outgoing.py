"""The direction from the canonical form to a vendor: the requests that give a vendor's profile the state of ours.

Pure functions. They send what members are now, never how they changed: a request that is repeated changes nothing.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from msgspec import Struct, field

from gateway.core.model import Document, Tree
from gateway.core.pointer import join_pointer, value_at

Path: TypeAlias = tuple[str, ...]
"""The place of a member in a document. Of an object, each member has one; a list is a member as a whole."""


class OutgoingRequest(Struct, frozen=True):
    """One request to a vendor. `path` is encoded. `tree` is its body, None for none."""

    method: str
    path: str
    tree: Tree | None = None
    rates: Sequence[str] = ()
    """The vendor's limits of the call, such as `75/second`; calls with the same ones share them."""
    missing_ok: bool = False
    """Whether 404 is success: what it removes is not there."""
    has_key: bool = False
    """Whether the vendor accepts an Idempotency-Key with it."""


class Target(Struct, frozen=True):
    """The account that a relay sends to: what is configured there, by our names."""

    database: int = 1
    resource: int | None = None
    """The resource of subscriptions that have none."""
    id_field: str | None = None
    """The own field there that has our id of a profile."""
    segments: Mapping[str, str] = field(default_factory=dict)
    topics: Mapping[str, str] = field(default_factory=dict)
    """The segments and the topics there, by segment and by resource here."""
    deletes: bool = False
    """Whether a removal is an erasure there, where the vendor has no other one."""
    replaces: bool = False
    """Whether the profile there gets all of the one here, and loses what else it has, where the vendor can do it."""
    properties: Mapping[str, str] = field(default_factory=dict)
    """The names there of members that the vendor has no field for."""
    merges: bool = False
    """Whether profiles there that have identifiers of one profile here are merged, where the vendor has a merge."""

    def segment(self, segment: int | str) -> str:
        """Return the vendor's id of a segment, which is its own if nothing else is configured."""
        return self.segments.get(str(segment), str(segment))


class ProfileState(Struct, frozen=True):
    """A profile as the vendor should have it, after some changes.

    `former` are the values of `touched` members before these changes, one for each change. `is_consent`: a client gave
    the statuses of subscriptions; otherwise, as in a backfill, no request may lift an opt-out. `omitted` are names of
    fields that the vendor has refused.
    """

    id: str
    document: Document
    touched: Sequence[Path] = ()
    former: Mapping[Path, Sequence[Any]] = field(default_factory=dict)
    vendor_id: str | None = None
    triggers: bool = True
    is_consent: bool = True
    is_copied: bool = False
    """Whether choices of messages may be older than those at the vendor, as in a backfill or after a merge."""
    time: int = 0
    """When the changes were accepted, in milliseconds since 1970."""
    omitted: frozenset[str] = frozenset()

    def value(self, path: Path) -> Any:
        """Return the value of a member now; None where it is absent."""
        return value_at(self.document, path)

    def ended(self, member: str) -> list[Any]:
        """Return the elements of a list that were there before one of the changes, and are not now."""
        now = self.document.get(member) or []
        return [each for each in self._earlier(member) if each not in now]

    def changed(self, member: str) -> list[Any]:
        """Return the elements of a list that were not there, as they are now, before each of the changes."""
        former = self.former.get((member,), ())
        return [each for each in self.document.get(member) or [] if not all(each in (old or ()) for old in former)]

    def _earlier(self, member: str) -> list[Any]:
        found: list[Any] = []
        for old in self.former.get((member,), ()):
            found += [each for each in old or () if each not in found]
        return found


class Rendered(Struct):
    """The requests for a state, in order, and the pointers of the members that the vendor cannot take.

    `vendor_id` is the id of the profile there, where the client of the vendor chooses it.
    """

    requests: list[OutgoingRequest] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    vendor_id: str | None = None

    def skip(self, *path: str | int) -> None:
        """Note a member that is not sent."""
        self.skipped.append(join_pointer(*path))


class VendorAnswer(Struct, frozen=True):
    """What a vendor's body says: the status that counts, its words, the profile's id, and the field that it refuses.

    `duplicate` is the vendor's id of another profile, which has an identifier of the request.
    """

    status: int
    words: str = ""
    vendor_id: str | None = None
    refused: str | None = None
    duplicate: str | None = None


class Batches(Struct, frozen=True):
    """How a vendor takes several requests, of different profiles, as one.

    At most `most` requests with the same `key` are joined; one with the key "" is sent alone. `parse` gets the tree of
    a reply and the number of requests, and returns the answer to each, in their order; None where the reply is about
    the batch as a whole.
    """

    most: int
    key: Callable[[OutgoingRequest], str]
    join: Callable[[Sequence[OutgoingRequest]], OutgoingRequest]
    parse: Callable[[Tree, int], Sequence[VendorAnswer] | None]


class Outgoing(Struct, frozen=True):
    """How a dialect renders. `headers` are those of a secret; `parse_answer` gets the status and the tree of a body."""

    headers: Callable[[str], Mapping[str, str]]
    render_change: Callable[[ProfileState, Target], Rendered]
    render_removal: Callable[[ProfileState, Target, bool], Rendered]
    """The last argument: whether the person is to be erased."""
    render_merge: Callable[[str, str, Target, bool], list[OutgoingRequest]]
    """The vendor's ids of the source and of the destination, and whether the source is removed. No requests: the vendor
    has no such merge."""
    parse_answer: Callable[[int, Tree], VendorAnswer]
    identifiers: Mapping[str, str] = {}
    """By kind, the vendor's name of an identifier of which another profile may have one; the weakest first."""
    render_split: Callable[[ProfileState, ProfileState, Target], list[OutgoingRequest]] = lambda *_: []
    """The first profile has at the vendor what belongs to the second, which is not there yet. No requests: the vendor
    has no split."""
    removes_sources: bool = True
    """Whether the source of a merge that cannot be rendered is removed. Otherwise only the destination is sent."""
    batches: Batches | None = None
    choices: Sequence[str] = ()
    """The members of a document with choices of messages that the vendor gets."""
    opts_out: Callable[[Any], bool] = lambda _: False
    """Whether a value inside of `choices` is an opt-out, or has one."""

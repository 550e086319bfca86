"""Refused requests: what is kept of them, so that a person finds the reason, mends them and sends them again."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from msgspec import Struct

from gateway.core.faults import Fault
from gateway.core.matching import EMAIL, EXTERNAL_ID, ID, PHONE, PUSH_SUB
from gateway.core.model import Address, Erasure, Identity, Position
from gateway.core.tombstones import Pseudonym, tombstone_address

VALUE = "value"
"""The kind under which a text is hashed that may be an identity, whatever its kind is."""

KEY_LENGTH = 32
"""Hexadecimal digits of a keyed hash that are kept (128 bits)."""


class RefusedRequest(Struct, frozen=True):
    """A refused request, without its credential.

    `call` is the method and the path of its call, `target` the path and query that it was sent to, `path` the values of
    the names in the path. `request` is its own id, `token` that of its token. `time` and `replayed` are in milliseconds
    since 1970. The pointers of `faults` are canonical.
    """

    database: int
    id: str
    time: int
    request: str
    token: str
    dialect: str
    call: str
    target: str
    path: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    faults: Sequence[Fault]
    keys: frozenset[str] | None
    """The keyed hashes of the texts that may be identities; None: they are not known, and any erasure removes it."""
    replayed: int = 0
    """When it was accepted after all; 0: it was not."""
    position: Position = 0
    """Its place among those of the database, which the store gives it."""


class RefusedCandidate(Struct, frozen=True):
    """A refused request that is not stored yet, and the addresses of the tombstones that would name its person."""

    request: RefusedRequest
    tombstones: frozenset[Address] = frozenset()


class RefusedFilter(Struct, frozen=True):
    """Which refused requests are listed; "" and None select all."""

    dialect: str = ""
    fault: str = ""
    """The code of the first fault."""
    request: str = ""
    is_replayed: bool | None = None

    def selects(self, request: RefusedRequest) -> bool:
        """Return whether a refused request is listed."""
        return (
            self.dialect in ("", request.dialect)
            and self.fault in ("", request.faults[0].code)
            and self.request in ("", request.request)
            and self.is_replayed in (None, bool(request.replayed))
        )


def keys_of_texts(texts: Iterable[str], pseudonym: Pseudonym) -> frozenset[str]:
    """Return the keyed hashes of texts that may be identities."""
    return frozenset(_key(tombstone_address(pseudonym, VALUE, text)) for text in texts)


def keys_of_persons(erasure: Erasure) -> frozenset[str] | None:
    """Return the keyed hashes of the identities of erased persons; None where there is no key to hash them with."""
    if erasure.tombstone is None:
        return None
    own = {(ID, id) for id in erasure.ids} | erasure.identities
    return frozenset(_key(erasure.tombstone(VALUE, _sent_text(each))) for each in own)


def erasure_marks(texts: Iterable[str], kinds: Iterable[str], pseudonym: Pseudonym) -> frozenset[Address]:
    """Return the addresses of the tombstones that name one of the texts, if its person was erased.

    `kinds` are those of the identities that any text may be, besides an e-mail address, a phone and an id.
    """
    others = {*kinds, EXTERNAL_ID, ID} - {EMAIL, PHONE}
    found = set()
    for text in texts:
        own = EMAIL if "@" in text else PHONE if text.startswith("+") else ID
        found |= {tombstone_address(pseudonym, kind, text) for kind in (own, *others)}
    return frozenset(found)


def render_fault(fault: Fault) -> dict[str, Any]:
    """Return a fault for people and programs, as a dry run names it."""
    return {"name": fault.code, "status": fault.status, "detail": fault.text, "pointer": fault.pointer}


def _key(address: Address) -> str:
    return address.rpartition(":")[2][:KEY_LENGTH]


def _sent_text(identity: Identity) -> str:
    """Return an identity as a body has it. That of a push subscription begins with its provider and its length."""
    kind, value = identity
    length, separator, rest = value.partition(":")
    if kind.partition("@")[0] == PUSH_SUB and separator and length.isdecimal():
        return rest[int(length) :]
    return value

"""What a codec is, and the bounds that every decoded tree keeps, whatever it was decoded from.

Knows no media type. The bounds stand here once, so that a body means the same in all of them.
"""

from dataclasses import dataclass
from math import isfinite
from typing import Protocol

from gateway.core.faults import Refusal, refuse
from gateway.core.model import Tree

_CONTAINERS = frozenset({dict, list})
_NUMBERS = frozenset({int, float})


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a decoded body may have at most: levels of objects and lists, and elements in all (members, items, leaves)."""

    depth: int = 32
    nodes: int = 10_000

    def check(self, tree: Tree) -> None:
        """Raises `Refusal`: too_deep, too_many_nodes, or malformed_body on a number that no store would keep as it is."""
        level, nodes = [tree], 1
        for _ in range(self.depth + 1):
            for value in level:
                if type(value) in _NUMBERS and not _is_kept(value):
                    raise refuse("malformed_body", f"the number at {_pointer(value, tree)} is out of range")
            containers = [value for value in level if type(value) in _CONTAINERS]
            if not containers:
                return
            level = [value for outer in containers for value in (outer.values() if type(outer) is dict else outer)]
            nodes += len(level)
            if nodes > self.nodes:
                raise self.too_many_nodes()
        raise self.too_deep()

    def too_deep(self) -> Refusal:
        """For a codec that sees the depth before there is a tree."""
        return refuse("too_deep", f"the body is nested deeper than {self.depth} levels")

    def too_many_nodes(self) -> Refusal:
        """For a codec that sees the number before there is a tree."""
        return refuse("too_many_nodes", f"the body has more than {self.nodes} elements")


class Codec(Protocol):
    """Decode and encode of one media type. A module with these names is one.

    `media_type` is what `encode` writes. `typed` tells whether decoded leaves carry their types; where not, every leaf is
    a string and schema.py reads it.
    """

    name: str
    media_type: str
    typed: bool

    def reads(self, media_type: str) -> bool:
        """Whether a lower-case media type without parameters is this codec's."""
        ...

    def decode(self, body: bytes, charset: str | None = None, bounds: Bounds = Bounds()) -> Tree:
        """The tree of a body. Raises `Refusal`: malformed_body, too_deep, too_many_nodes, unsupported_media_type (charset)."""
        ...

    def encode(self, tree: Tree) -> bytes:
        """The bytes of a tree, in UTF-8; never fails on a tree that the gateway can hold."""
        ...


def _is_kept(number: int | float) -> bool:
    """Signed 64 bits for an integer; for the rest what IEEE 754 can tell from infinity."""
    return -(2**63) <= number < 2**63 if type(number) is int else isfinite(number)


def _pointer(target: object, tree: Tree) -> str:
    """Where the target is in the tree (RFC 6901), for the text of a refusal: found again, since no walk carries paths."""
    places = [("", tree)]
    for pointer, value in places:
        if value is target:
            return pointer[:100] or "the root"
        members = value.items() if type(value) is dict else enumerate(value) if type(value) is list else ()
        places += [(f"{pointer}/{name}"[:101], member) for name, member in members]
    raise LookupError

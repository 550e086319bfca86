"""Media types: bytes to tree and back, and which of them a reply is written in.

One file per codec; a codec knows no dialect and no field. Only this room knows lxml, xmltodict and the JSON library.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from gateway.core.model import Tree


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a decoded body may have at most: levels of nesting, and elements in all (members, items and leaves)."""

    depth: int = 32
    nodes: int = 10_000


class Codec(Protocol):
    """Decode and encode of one media type.

    `typed` tells whether decoded leaves carry their types; where not, every leaf is a string and schema.py reads it.
    """

    name: str
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
